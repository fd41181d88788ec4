//! How the bodies of a route look.
//!
//! Here: [`Shape`], the built-in ones, the form of one in a configuration file and what is refused there;
//! [`Shapes`], which finds the one of a path. Not here: the bodies themselves. Floor 1.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The member of an answer that holds the milliseconds from arrival to answer.
pub(super) const LATENCY: &str = "proxy_latency_ms";

/// What a path has in the place of any name.
const NAME: &str = "{name}";

/// What the elements of a request's array must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ElementKind {
    /// Strings; anything else is refused.
    Strings,
    /// Any values.
    #[default]
    Any,
}

/// The requests that may be batched on a route: `POST` to a path, with an object that has an array of elements; and
/// their answers, objects with an array of as many results.
///
/// In a configuration file:
///
/// ```toml
/// [[shape]]
/// path = "/v1/models/{name}:predict"  # `{name}`: any one segment, or a part of it
/// request-field = "instances"
/// response-field = "predictions"
/// # upstream = "/classify"            # default: the client's path
/// # elements = "strings"              # default: "any"
/// # headers = ["X-Model-Version"]     # must be equal to share a batch, and are passed on
/// # latency = true                    # answers tell `proxy_latency_ms`; default: false
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Entry", into = "Entry")]
pub struct Shape {
    path: Path,
    upstream: Option<String>,
    request: Array,
    response: Array,
    elements: ElementKind,
    headers: Vec<String>,
    latency: bool,
}

/// A shape as it stands in a file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
    request_field: String,
    response_field: String,
    #[serde(default)]
    elements: ElementKind,
    #[serde(default)]
    headers: Vec<String>,
    #[serde(default)]
    latency: bool,
}

/// Why a shape is not usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// A path that no request can have, or that means nothing.
    Path {
        /// The key that holds it.
        key: &'static str,
        /// The path.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An array without a name.
    NoField(&'static str),
    /// Results and latency in the same member.
    LatencyTaken,
    /// A header that cannot be chosen.
    Header {
        /// Its name.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// Two shapes of one path.
    SamePath(String),
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShapeError::Path { key, path, why } => write!(f, "bad `{key}` `{path}`: {why}"),
            ShapeError::NoField(key) => write!(f, "`{key}` is empty; name the array"),
            ShapeError::LatencyTaken => {
                write!(f, "with `latency` on, `response-field` cannot be `{LATENCY}`; choose another name")
            }
            ShapeError::Header { name, why } => write!(f, "bad header `{name}`: {why}"),
            ShapeError::SamePath(path) => write!(f, "two shapes have the path `{path}`; remove one"),
        }
    }
}

impl std::error::Error for ShapeError {}

/// An array by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Array {
    name: String,
    /// `"name":[`, the name escaped.
    opening: String,
}

impl Array {
    fn new(key: &'static str, name: String) -> Result<Array, ShapeError> {
        if name.is_empty() {
            return Err(ShapeError::NoField(key));
        }
        let opening = format!("{}:[", serde_json::Value::from(name.as_str()));
        Ok(Array { name, opening })
    }
}

impl TryFrom<Entry> for Shape {
    type Error = ShapeError;

    fn try_from(entry: Entry) -> Result<Shape, ShapeError> {
        if let Some(upstream) = &entry.upstream {
            check_path("upstream", upstream)?;
            if upstream.contains(['{', '}']) {
                let why = "it is one path; leave `upstream` out to keep the client's";
                return Err(ShapeError::Path { key: "upstream", path: upstream.clone(), why });
            }
        }
        if entry.latency && entry.response_field == LATENCY {
            return Err(ShapeError::LatencyTaken);
        }
        for (i, name) in entry.headers.iter().enumerate() {
            check_header(name, &entry.headers[..i])?;
        }
        Ok(Shape {
            path: Path::parse(&entry.path)?,
            upstream: entry.upstream,
            request: Array::new("request-field", entry.request_field)?,
            response: Array::new("response-field", entry.response_field)?,
            elements: entry.elements,
            headers: entry.headers,
            latency: entry.latency,
        })
    }
}

impl From<Shape> for Entry {
    fn from(shape: Shape) -> Entry {
        Entry {
            path: shape.path.to_string(),
            upstream: shape.upstream,
            request_field: shape.request.name,
            response_field: shape.response.name,
            elements: shape.elements,
            headers: shape.headers,
            latency: shape.latency,
        }
    }
}

impl Shape {
    /// `POST /proxy_classify` with `sequences`, strings, is sent as `POST /classify`; the answer has `results` and the
    /// latency.
    pub fn classify() -> Shape {
        Shape::built_in(Entry {
            path: "/proxy_classify".to_owned(),
            upstream: Some("/classify".to_owned()),
            request_field: "sequences".to_owned(),
            response_field: "results".to_owned(),
            elements: ElementKind::Strings,
            headers: Vec::new(),
            latency: true,
        })
    }

    /// KServe V1, as TensorFlow Serving has it too: `POST /v1/models/NAME:predict` with `instances`, answered with
    /// `predictions`; the path stays.
    pub fn kserve_v1() -> Shape {
        Shape::built_in(Entry {
            path: format!("/v1/models/{NAME}:predict"),
            upstream: None,
            request_field: "instances".to_owned(),
            response_field: "predictions".to_owned(),
            elements: ElementKind::Any,
            headers: Vec::new(),
            latency: false,
        })
    }

    fn built_in(entry: Entry) -> Shape {
        entry.try_into().expect("the built-in shapes are usable")
    }

    /// Where a request goes whose target was `target`, path and query: the upstream path, with the query kept.
    pub fn upstream_target<'a>(&'a self, target: &'a str) -> Cow<'a, str> {
        match (&self.upstream, target.find('?')) {
            (None, _) => Cow::Borrowed(target),
            (Some(path), None) => Cow::Borrowed(path),
            (Some(path), Some(query)) => Cow::Owned(format!("{path}{}", &target[query..])),
        }
    }

    /// Headers that must be equal for two requests to share a batch, and that are passed on.
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// Name of the request's array.
    pub fn request_field(&self) -> &str {
        &self.request.name
    }

    /// The path of its requests, as it stands in a file.
    pub fn path(&self) -> String {
        self.path.to_string()
    }

    /// Whether requests for `path` are of this shape.
    pub fn is_for(&self, path: &str) -> bool {
        self.path.matches(path)
    }

    /// Name of the answer's array.
    pub fn response_field(&self) -> &str {
        &self.response.name
    }

    /// What the elements must be.
    pub fn elements(&self) -> ElementKind {
        self.elements
    }

    /// Whether a client's answer tells how long it took.
    pub fn reports_latency(&self) -> bool {
        self.latency
    }

    pub(super) fn request_opening(&self) -> &str {
        &self.request.opening
    }

    pub(super) fn response_opening(&self) -> &str {
        &self.response.opening
    }
}

/// All shapes of a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shapes(Vec<Arc<Shape>>);

impl Shapes {
    /// # Errors
    /// If two have the same path.
    pub fn new(shapes: Vec<Shape>) -> Result<Shapes, ShapeError> {
        match Shapes::second_ones(&shapes).first() {
            Some(&second) => Err(ShapeError::SamePath(shapes[second].path.to_string())),
            None => Ok(Shapes(shapes.into_iter().map(Arc::new).collect())),
        }
    }

    /// The positions of those whose path one before them has.
    pub fn second_ones(shapes: &[Shape]) -> Vec<usize> {
        let mut paths = HashSet::new();
        (0..shapes.len()).filter(|&i| !paths.insert(&shapes[i].path)).collect()
    }

    /// The shape of the requests for `path`, without its query: the one of exactly this path, else the first with a
    /// pattern that matches. Escapes (`%3A`) are not decoded.
    pub fn find(&self, path: &str) -> Option<&Arc<Shape>> {
        let exact = self.0.iter().find(|shape| matches!(&shape.path, Path::Exact(own) if own == path));
        exact.or_else(|| self.0.iter().find(|shape| shape.path.matches(path)))
    }
}

/// Which paths a shape is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Path {
    Exact(String),
    /// These around a name: one or more characters other than `/`.
    Named {
        before: String,
        after: String,
    },
}

impl Path {
    fn parse(path: &str) -> Result<Path, ShapeError> {
        check_path("path", path)?;
        let Some((before, after)) = path.split_once(NAME) else {
            let braces = path.contains(['{', '}']);
            return if braces { Err(bad_braces(path)) } else { Ok(Path::Exact(path.to_owned())) };
        };
        if before.contains(['{', '}']) || after.contains(['{', '}']) {
            return Err(bad_braces(path));
        }
        Ok(Path::Named { before: before.to_owned(), after: after.to_owned() })
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Path::Exact(own) => own == path,
            Path::Named { before, after } => path
                .strip_prefix(before.as_str())
                .and_then(|rest| rest.strip_suffix(after.as_str()))
                .is_some_and(|name| !name.is_empty() && !name.contains('/')),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Exact(path) => f.write_str(path),
            Path::Named { before, after } => write!(f, "{before}{NAME}{after}"),
        }
    }
}

fn bad_braces(path: &str) -> ShapeError {
    let why = "`{name}` may stand in it once, and no other braces";
    ShapeError::Path { key: "path", path: path.to_owned(), why }
}

fn check_path(key: &'static str, path: &str) -> Result<(), ShapeError> {
    let why = if !path.starts_with('/') {
        "it must begin with `/`"
    } else if path.contains(['?', '#']) {
        "it is compared without the query; leave `?` and `#` out"
    } else if !path.bytes().all(|b| b.is_ascii_graphic()) {
        "blanks and characters beyond ASCII must be written as %XX"
    } else {
        return Ok(());
    };
    Err(ShapeError::Path { key, path: path.to_owned(), why })
}

/// What the batch's own request has of its own, or its connection.
const NOT_CHOSEN: [&str; 13] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

fn check_header(name: &str, before: &[String]) -> Result<(), ShapeError> {
    // RFC 9110 §5.6.2
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let why = if name.is_empty() || !name.bytes().all(is_token) {
        "that is no header name"
    } else if NOT_CHOSEN.iter().any(|not| not.eq_ignore_ascii_case(name)) {
        "a batch is a request with its own; choose one that the clients add"
    } else if before.iter().any(|other| other.eq_ignore_ascii_case(name)) {
        "it stands there twice"
    } else {
        return Ok(());
    };
    Err(ShapeError::Header { name: name.to_owned(), why })
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
