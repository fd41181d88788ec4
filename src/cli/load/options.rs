//! What `load` takes, and what it comes to.
//!
//! Here: flags, and the request that they describe. Not here: sending it (`mod.rs`). Floor 5.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::config::{ConfigError, Count, Period, Rate, Spacing, TargetUrl, Value, parse, read_bounded};
use crate::load::{Arrivals, FixedRequest};

/// The largest body that is read from a file.
const MOST_BODY_BYTES: u64 = 1 << 30;

/// What `load` takes.
#[derive(Args)]
pub(crate) struct LoadArgs {
    /// What is asked for; plain http
    #[arg(value_parser = parse::<TargetUrl>)]
    url: TargetUrl,

    /// Connections, over all threads; with --rate the most that are opened [default: 10, with --rate 1000]
    #[arg(short, long, value_name = "N", value_parser = parse::<Count>)]
    connections: Option<Count>,

    /// Threads, each with its share of the connections [default: 2, or 1 for one connection]
    #[arg(short, long, value_name = "N", value_parser = parse::<Count>)]
    threads: Option<Count>,

    /// How long [default: 10s]
    #[arg(short, long, value_name = "TIME", value_parser = parse::<Period>)]
    duration: Option<Period>,

    /// Open loop: so many requests a second, whether or not earlier ones are answered
    #[arg(long, value_name = "N", value_parser = parse::<Rate>)]
    rate: Option<Rate>,

    /// How the requests of --rate follow each other: evenly or as a Poisson process
    #[arg(long, value_name = "even|poisson", requires = "rate", default_value = "even", value_parser = parse::<Spacing>)]
    arrivals: Spacing,

    /// The seed of Poisson arrivals
    #[arg(long, value_name = "N", requires = "rate", default_value_t = 0)]
    seed: u64,

    /// How long a request may take; then it is given up and its connection closed [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse::<Period>)]
    timeout: Option<Period>,

    /// The method [default: GET, or POST with a body]
    #[arg(long, value_name = "METHOD", value_parser = parse::<Method>)]
    method: Option<Method>,

    /// The body: a text, or @FILE for what is in the file
    #[arg(long, value_name = "TEXT|@FILE")]
    body: Option<String>,

    /// A header field, repeatable
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = parse::<HeaderField>)]
    header: Vec<HeaderField>,

    /// Print the distribution of latency
    #[arg(long)]
    latency: bool,

    /// Write the figures as JSON to a file, or with - to the standard output in place of the text
    #[arg(long, value_name = "FILE|-", value_parser = parse::<Destination>)]
    json: Option<Destination>,
}

/// What is to be done.
pub(super) struct Setup {
    pub(super) url: TargetUrl,
    pub(super) connections: usize,
    pub(super) rate: Option<OpenLoop>,
    pub(super) threads: usize,
    pub(super) duration: Duration,
    pub(super) timeout: Duration,
    pub(super) request: FixedRequest,
    pub(super) latency: bool,
    pub(super) json: Option<Destination>,
}

/// Requests that come at a rate of their own.
#[derive(Clone, Copy)]
pub(super) struct OpenLoop {
    /// A second.
    pub(super) rate: f64,
    pub(super) spacing: Spacing,
    pub(super) seed: u64,
}

impl OpenLoop {
    /// The share of the `n`-th of `parts` threads; even arrivals of all together are even.
    pub(super) fn arrivals(&self, n: usize, parts: usize) -> Arrivals {
        let rate = self.rate / parts as f64;
        match self.spacing {
            Spacing::Even => Arrivals::even(rate, n as f64 / parts as f64),
            Spacing::Poisson => Arrivals::poisson(rate, self.seed.wrapping_add(n as u64)),
        }
    }
}

impl LoadArgs {
    pub(super) fn setup(self) -> Result<Setup, ConfigError> {
        let usual = if self.rate.is_some() { 1000 } else { 10 };
        let connections = self.connections.map_or(usual, |count| count.0);
        let threads = self.threads.map_or(connections.min(2), |count| count.0);
        if threads > connections {
            return Err(ConfigError::new(format!(
                "--threads {threads} is more than --connections {connections}"
            ))
            .hint("each thread needs a connection of its own"));
        }
        let body = self.body.as_deref().map(body).transpose()?;
        let method = match (&self.method, &body) {
            (Some(method), _) => method.0.as_str(),
            (None, Some(_)) => "POST",
            (None, None) => "GET",
        };
        let fields: Vec<_> = self.header.into_iter().map(|field| (field.name, field.value)).collect();
        let request =
            FixedRequest::new(method, &self.url.target, &self.url.authority(), &fields, body.as_deref());
        let seconds = |period: Option<Period>| period.map_or(Duration::from_secs(10), |period| period.0);
        Ok(Setup {
            url: self.url,
            connections,
            rate: self.rate.map(|Rate(rate)| OpenLoop { rate, spacing: self.arrivals, seed: self.seed }),
            threads,
            duration: seconds(self.duration),
            timeout: seconds(self.timeout),
            request,
            latency: self.latency,
            json: self.json,
        })
    }
}

fn body(text: &str) -> Result<Vec<u8>, ConfigError> {
    match text.strip_prefix('@') {
        None => Ok(text.as_bytes().to_vec()),
        Some(path) => read_bounded(Path::new(path), MOST_BODY_BYTES)
            .map_err(|why| ConfigError::new(format!("--body: cannot read the file {path}: {why}"))),
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// A method (RFC 9110 §9.1).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Method(String);

impl Value for Method {
    const EXPECTED: &'static str = "a method such as \"GET\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "CONNECT" => Err("CONNECT asks for a tunnel, which is no request to measure".to_owned()),
            _ if is_token(text) => Ok(Method(text.to_owned())),
            _ => Err(format!("`{text}` is not {}", Method::EXPECTED)),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A header field (RFC 9110 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
struct HeaderField {
    name: String,
    value: String,
}

impl Value for HeaderField {
    const EXPECTED: &'static str = "a field such as \"X-Customer-Id: A\"";

    fn parse(text: &str) -> Result<Self, String> {
        let (name, value) =
            text.split_once(':').ok_or_else(|| format!("`{text}` is not {}", HeaderField::EXPECTED))?;
        if !is_token(name) {
            return Err(format!("`{name}` is not the name of a header field"));
        }
        if ["content-length", "transfer-encoding"].iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
            return Err(format!("{name} follows from the body and cannot be given"));
        }
        let value = value.trim();
        if value.chars().any(char::is_control) {
            return Err(format!("the value of {name} must not have control characters"));
        }
        Ok(HeaderField { name: name.to_owned(), value: value.to_owned() })
    }

    fn show(&self) -> String {
        format!("{}: {}", self.name, self.value)
    }
}

/// Where figures go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Stdout,
    File(PathBuf),
}

impl Value for Destination {
    const EXPECTED: &'static str = "a path or \"-\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" => Err(format!("the path is empty; give {}", Destination::EXPECTED)),
            "-" => Ok(Destination::Stdout),
            path => Ok(Destination::File(path.into())),
        }
    }

    fn show(&self) -> String {
        match self {
            Destination::Stdout => "-".to_owned(),
            Destination::File(path) => path.display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: LoadArgs,
    }

    fn setup(arguments: &[&str]) -> Result<Setup, String> {
        let line = Line::try_parse_from(["load", "http://h:1/p"].iter().chain(arguments));
        line.map_err(|e| e.to_string())?.args.setup().map_err(|e| e.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_wrk() {
        let plain = setup(&[]).unwrap();
        assert_eq!((plain.connections, plain.threads, plain.duration.as_secs()), (10, 2, 10));
        assert_eq!(setup(&["-c1"]).unwrap().threads, 1);
        assert!(plain.rate.is_none());
        assert_eq!(setup(&["--rate=5"]).unwrap().connections, 1000);
    }

    #[test]
    fn a_body_makes_it_a_post_and_comes_from_a_file_or_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b");
        std::fs::write(&path, "four").unwrap();
        let from_file = format!("--body=@{}", path.display());
        for (arguments, start, end) in [
            (vec!["--body=four"], "POST /p ", "Content-Length: 4\r\n\r\nfour"),
            (vec![from_file.as_str()], "POST /p ", "Content-Length: 4\r\n\r\nfour"),
            (vec!["--body=four", "--method=PUT"], "PUT /p ", "\r\n\r\nfour"),
            (vec!["-H", "X:  y "], "GET /p ", "Host: h:1\r\nX: y\r\n\r\n"),
        ] {
            let request = setup(&arguments).unwrap().request.text();
            assert!(request.starts_with(start) && request.ends_with(end), "{request}");
        }
    }

    #[test]
    fn the_threads_share_a_rate_and_even_arrivals_stay_even() {
        let open = setup(&["--rate=1000"]).unwrap().rate.unwrap();
        let mut all: Vec<_> = (0..4).flat_map(|n| open.arrivals(n, 4).take(5)).collect();
        all.sort_unstable();
        assert_eq!(all, (0..20).map(Duration::from_millis).collect::<Vec<_>>());
        let open = setup(&["--rate=1000", "--arrivals=poisson", "--seed=3"]).unwrap().rate.unwrap();
        assert_ne!(open.arrivals(0, 2).next(), open.arrivals(1, 2).next());
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (arguments, why) in [
            (vec!["-c2", "-t3"], "--threads 3 is more than --connections 2"),
            (vec!["--body=@/no/such"], "cannot read the file /no/such: "),
            (vec!["-H", "no colon"], "`no colon` is not a field"),
            (vec!["-H", "a b: c"], "`a b` is not the name"),
            (vec!["-H", "Content-length: 3"], "follows from the body"),
            (vec!["-H", "X: a\rb"], "control characters"),
            (vec!["--method", "G T"], "`G T` is not a method"),
            (vec!["--duration=5"], "needs a unit"),
            (vec!["--rate=0"], "`0` is not a number of requests a second"),
            (vec!["--rate=5", "--arrivals=odd"], "`odd` is neither even nor poisson"),
            (vec!["--arrivals=even"], "--rate <N>"),
            (vec!["--json="], "the path is empty"),
        ] {
            let error = setup(&arguments).err().unwrap_or_else(|| panic!("{arguments:?} was taken"));
            assert!(error.contains(why), "{arguments:?}: {error}");
        }
    }
}
