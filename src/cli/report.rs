//! `tidegate report`: figures, tables and pictures of request logs.
//!
//! Here: which logs, how they are called, what is written where. Not here: the report (`lab/`). Floor 5.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::output::say;
use super::{CliError, Exit};
use crate::config::{ConfigError, Period, Value, parse};
use crate::lab::charts::{NAMES, charts};
use crate::lab::log::{LogError, Unusable, read};
use crate::lab::page::{PageExtra, page};
use crate::lab::report::{Report, Run};
use crate::lab::table::grouped;
use crate::telemetry::logger;

pub(super) const EXAMPLE: &str = "\
Examples:
  tidegate report proxy_log.csv
  tidegate report --duration 120s round_robin_persistent.csv.gz adaptive_sma_persistent.csv.gz --out report
  tidegate report --name before=monday.csv --name after=tuesday.csv --format json
  tidegate report proxy_log.csv --format html > report.html
  tidegate report --name sma=1.csv --name sma=2.csv ... --name ewma=6.csv --name ewma=7.csv ...

Logs of one name are repeats: names with two or more of them are compared, better, worse or not shown, with 99 %
confidence. Which of them are of persistent and non-persistent connections is told by their names, for the bar charts.
Rows that cannot be used are named on the standard error, counted and left out.
Exit codes: 0 done, or nobody reads on, 1 a file cannot be read or written, 2 usage.";

/// What `report` takes.
#[derive(Args)]
pub(super) struct ReportArgs {
    /// Request logs, also gzipped, called by their files' names
    #[arg(value_name = "FILE", required_unless_present = "name")]
    file: Vec<PathBuf>,

    /// A log under a name of yours, repeatable
    #[arg(long, value_name = "LABEL=FILE", value_parser = parse::<Named>)]
    name: Vec<Named>,

    /// How long each log's run took, for requests/s [default: from its first row to its last]
    #[arg(long, value_name = "TIME", value_parser = parse::<Period>)]
    duration: Option<Period>,

    /// A new folder for the report, with pictures as PNG and SVG, in place of the standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// What is written [default: markdown, with --out all]
    #[arg(long, value_name = "markdown|json|html")]
    format: Option<Format>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Markdown,
    Json,
    Html,
}

/// A log and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    name: String,
    file: PathBuf,
}

impl Value for Named {
    const EXPECTED: &'static str = "LABEL=FILE";

    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, file)) if !name.trim().is_empty() && !file.is_empty() => {
                Ok(Named { name: name.trim().to_owned(), file: file.into() })
            }
            _ => Err(format!("`{text}` is not {}", Named::EXPECTED)),
        }
    }

    fn show(&self) -> String {
        format!("{}={}", self.name, self.file.display())
    }
}

impl From<LogError> for CliError {
    fn from(error: LogError) -> CliError {
        match error.why {
            Unusable::Io(source) => {
                CliError::System { what: format!("read {}", error.path.display()), source }
            }
            Unusable::NoHeader(_) => CliError::Log(error),
        }
    }
}

/// Runs the command.
pub(super) fn run(args: ReportArgs) -> Result<Exit, CliError> {
    let folder = args.out.map(|path| Folder::new(path, args.format)).transpose()?;
    let duration = args.duration.map(|period| period.0);
    let runs = logs(&args.file, args.name).into_iter().map(|Named { name, file }| {
        let path = file.display().to_string();
        if fs::metadata(&file).is_ok_and(|found| found.file_type().is_fifo()) {
            complain(&format!("{path} is a pipe: it is read until all who write into it have closed it"));
        }
        let log = read(&file)?;
        for row in &log.examples {
            complain(&format!("{path}:{}: {}; row left out", row.line, row.why));
        }
        match log.malformed - log.examples.len() as u64 {
            0 => {}
            more => complain(&format!("{path}: {more} more malformed rows left out")),
        }
        log.remarks.iter().for_each(|remark| complain(&format!("{path}: {remark}")));
        Ok(Run::new(name, path, log, duration))
    });
    let report = Report::new(runs.collect::<Result<_, CliError>>()?);
    match (folder, args.format) {
        (Some(folder), _) => folder.write(&report)?,
        (None, None | Some(Format::Markdown)) => say(&report.markdown(TITLE, "", &[]))?,
        (None, Some(Format::Json)) => say(&report.json())?,
        (None, Some(Format::Html)) => say(&html(&report))?,
    }
    Ok(Exit::Clean)
}

fn html(report: &Report) -> String {
    let logs = report.runs().len();
    let rows: usize = report.runs().iter().map(|run| run.log.rows.len()).sum();
    let intro = [("Logs", logs.to_string()), ("Requests", grouped(&rows.to_string()))];
    page(
        report,
        &PageExtra {
            title: "Request logs".to_owned(),
            intro: intro.map(|(label, value)| (label.to_owned(), value)).into(),
            ..PageExtra::default()
        },
    )
}

fn complain(what: &str) {
    logger::complain(&format!("tidegate: {}", super::one_line(what)));
}

/// All logs with their names: those of files are `log` of `path/log.csv.gz`, or the whole path where that is taken.
fn logs(files: &[PathBuf], named: Vec<Named>) -> Vec<Named> {
    let stem = |file: &Path| {
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
        let bare = name.strip_suffix(".gz").unwrap_or(&name);
        bare.strip_suffix(".csv").unwrap_or(bare).to_owned()
    };
    let taken = |name: &str| {
        files.iter().filter(|file| stem(file) == name).count()
            + named.iter().filter(|log| log.name == name).count()
    };
    let by_file = files.iter().map(|file| {
        let name = stem(file);
        let name = if taken(&name) > 1 { file.display().to_string() } else { name };
        Named { name, file: file.clone() }
    });
    let mut all: Vec<Named> = by_file.collect();
    all.extend(named);
    all
}

const TITLE: &str = "Request logs";
const MARKDOWN: &str = "report.md";
const JSON: &str = "report.json";
const HTML: &str = "report.html";

/// Where a report goes; nothing there is overwritten.
struct Folder {
    path: PathBuf,
    format: Option<Format>,
}

impl Folder {
    /// Makes it, unless a report is in it; said before the work, not after.
    fn new(path: PathBuf, format: Option<Format>) -> Result<Folder, CliError> {
        let pictures = NAMES.iter().flat_map(|name| [format!("{name}.svg"), format!("{name}.png")]);
        let mut all = [MARKDOWN, JSON, HTML].map(str::to_owned).into_iter().chain(pictures);
        if let Some(there) = all.find(|name| path.join(name).symlink_metadata().is_ok()) {
            let what = format!("--out: {} is there already", path.join(there).display());
            return Err(ConfigError::new(what).hint("name another folder").into());
        }
        fs::create_dir_all(&path).map_err(|source| CliError::System {
            what: format!("make the folder {}", path.display()),
            source,
        })?;
        Ok(Folder { path, format })
    }

    fn write(&self, report: &Report) -> Result<(), CliError> {
        let failed = |e| CliError::System {
            what: "draw the report's pictures".to_owned(),
            source: io::Error::other(e),
        };
        let charts = charts(report).map_err(failed)?;
        for chart in &charts {
            self.put(&format!("{}.svg", chart.name), chart.picture.svg().as_bytes())?;
            self.put(&format!("{}.png", chart.name), &chart.picture.png().map_err(failed)?)?;
        }
        if self.wants(Format::Markdown) {
            let pictures: Vec<_> =
                charts.into_iter().map(|chart| (chart.title, chart.name.to_owned())).collect();
            self.put(MARKDOWN, report.markdown(TITLE, "", &pictures).as_bytes())?;
        }
        if self.wants(Format::Json) {
            self.put(JSON, report.json().as_bytes())?;
        }
        if self.wants(Format::Html) {
            self.put(HTML, html(report).as_bytes())?;
        }
        say(&format!("wrote the report and its pictures into {}\n", self.path.display()))
    }

    fn wants(&self, format: Format) -> bool {
        self.format.is_none_or(|wanted| wanted == format)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), CliError> {
        let path = self.path.join(name);
        let written = File::create_new(&path).and_then(|mut file| file.write_all(bytes));
        written.map_err(|source| CliError::System { what: format!("write {}", path.display()), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[&str], named: &[&str]) -> Vec<String> {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        let named = named.iter().map(|text| Named::parse(text).unwrap()).collect();
        logs(&files, named).into_iter().map(|log| log.name).collect()
    }

    #[test]
    fn logs_are_called_by_their_files_unless_that_is_ambiguous() {
        assert_eq!(names(&["a/x.csv", "y.csv.gz", "z"], &["n=x.csv"]), ["x", "y", "z", "n"]);
        assert_eq!(names(&["a/x.csv", "b/x.csv"], &[]), ["a/x.csv", "b/x.csv"]);
        // A file is a repeat only if it is said to be.
        assert_eq!(names(&["x.csv"], &["x=1.csv", "x=2.csv"]), ["x.csv", "x", "x"]);
    }

    #[test]
    fn a_name_needs_a_file() {
        assert_eq!(Named::parse("a=b=c.csv"), Ok(Named { name: "a".to_owned(), file: "b=c.csv".into() }));
        for text in ["a", "=x.csv", "a="] {
            assert!(Named::parse(text).unwrap_err().contains("is not LABEL=FILE"), "{text}");
        }
    }
}
