//! The folder that an experiment is kept in.
//!
//! Here: [`Folder`]: making it, writing rows and files into it; nothing is ever overwritten. Not here: what stands in them
//! (`summary.rs`, `report.rs`). Floor 4.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::environment::local;
use super::rows::{Observed, Served};
use super::{ExperimentError, Outcome, Rows, Run, Study, cannot};
use crate::lab::log::NO_ANSWER;
use crate::load::Failure;
use crate::time::WallTime;

/// The folder of rows.
const ROWS: &str = "rows";

/// The columns of a row: the contract's, then ours.
const COLUMNS: [&str; 9] = [
    "timestamp",
    "backend_url",
    "latency_ms",
    "status_code",
    "routing_mode",
    "raw_ms",
    "source",
    "request",
    "failure",
];

/// A folder of results.
#[derive(Clone, Debug)]
pub struct Folder {
    results: PathBuf,
    path: PathBuf,
    stamp: String,
}

impl Folder {
    /// Makes `results/YYYYMMDD_HHMMSS_NAME`, local time; another number behind it if that is taken.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(results: &Path, name: &str, now: WallTime) -> Result<Folder, ExperimentError> {
        let stamp = local(now, "%Y%m%d_%H%M%S");
        let what = |path: &Path| format!("make the folder {}", path.display());
        fs::create_dir_all(results).map_err(cannot(what(results)))?;
        for n in 1.. {
            let behind = if n == 1 { String::new() } else { format!("_{n}") };
            let path = results.join(format!("{stamp}_{name}{behind}"));
            match fs::create_dir(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(cannot(what(&path))(e)),
                Ok(()) => {
                    fs::create_dir(path.join(ROWS)).map_err(cannot(what(&path)))?;
                    return Ok(Folder { results: results.to_owned(), path, stamp });
                }
            }
        }
        unreachable!("some number is free")
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where rows are.
    pub fn rows(&self) -> PathBuf {
        self.path.join(ROWS)
    }

    /// Writes a new file.
    ///
    /// # Errors
    /// When it is there already or cannot be written.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), ExperimentError> {
        let path = self.path.join(name);
        let written = File::create_new(&path).and_then(|mut file| file.write_all(bytes));
        written.map_err(cannot(format!("write {}", path.display())))
    }

    /// Lets `results/STAMP_NAME` lead to the file `name` of this folder, where the earlier system's users look; returns that path.
    ///
    /// # Errors
    /// When the link cannot be made.
    pub fn link(&self, name: &str) -> Result<PathBuf, ExperimentError> {
        let path = self.results.join(format!("{}_{name}", self.stamp));
        let folder = self.path.file_name().unwrap_or_default();
        std::os::unix::fs::symlink(Path::new(folder).join(name), &path)
            .map_err(cannot(format!("make the link {}", path.display())))?;
        Ok(path)
    }

    /// Writes the rows of a run, gzipped; those that the proxy has logged are here already. Returns the file's name.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn keep(&self, study: &Study, outcome: &Outcome) -> Result<String, ExperimentError> {
        match &outcome.rows {
            Rows::Logged { file, .. } => {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                Ok(format!("{ROWS}/{name}"))
            }
            Rows::Seen(rows) => {
                let name = format!("{ROWS}/{}.csv.gz", study.label(outcome.run));
                let path = self.path.join(&name);
                write(&path, study, outcome, rows).map_err(cannot(format!("write {}", path.display())))?;
                Ok(name)
            }
        }
    }
}

impl Study {
    /// What the files of a run are called, without the ending.
    pub fn label(&self, run: Run) -> String {
        let name = &self.variants[run.variant].name;
        let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        format!("{:02}-{}-{}", run.variant + 1, name.chars().map(safe).collect::<String>(), run.repeat)
    }
}

fn write(path: &Path, study: &Study, outcome: &Outcome, rows: &[Observed]) -> io::Result<()> {
    let file = GzEncoder::new(BufWriter::new(File::create_new(path)?), Compression::fast());
    let mut csv = csv::WriterBuilder::new().from_writer(file);
    csv.write_record(COLUMNS)?;
    let (names, mode) = (study.servers.names(), study.mode(outcome.run));
    let zone = TimeZone::system();
    let mut order: Vec<&Observed> = rows.iter().collect();
    order.sort_by_key(|row| row.ended);
    for row in order {
        let ended = i128::from(outcome.began.as_nanos()) + row.ended.as_nanos() as i128;
        let ended = zone.to_datetime(Timestamp::from_nanosecond(ended).unwrap_or_default());
        let server = match row.served {
            Served::Backend(n) => &names[usize::from(n)],
            Served::Batch => &names[0],
            Served::Nobody => &names[names.len() - 1],
        };
        let ms = |span: std::time::Duration| format!("{:.6}", span.as_secs_f64() * 1e3);
        let failure = row.outcome.err().map_or("", Failure::name);
        csv.write_record([
            ended.strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string().as_str(),
            server,
            &ms(row.corrected()),
            &row.outcome.unwrap_or(NO_ANSWER).to_string(),
            mode,
            &ms(row.raw()),
            &row.request.source.to_string(),
            &row.request.index.to_string(),
            failure,
        ])?;
    }
    csv.into_inner().map_err(|e| e.into_error())?.finish()?.flush()
}
