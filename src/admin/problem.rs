//! Errors as `application/problem+json` (RFC 9457).
//!
//! Here: [`Problem`]. Not here: when there is one (`route.rs`, `guard.rs`, `control.rs`). Floor 3.

use serde_json::json;

use crate::h1::reply::phrase;

/// What a [`Problem`] is sent as.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The status code.
    pub(super) status: u16,
    /// What is wrong with this request, and what to do.
    detail: String,
    /// Where in a file, if that is what is wrong: its name, line and column.
    place: Option<(String, usize, usize)>,
    /// Further lines of the head, each with its CR LF.
    pub(super) fields: String,
}

impl Problem {
    pub(super) fn new(status: u16, detail: impl Into<String>) -> Problem {
        Problem { status, detail: detail.into(), place: None, fields: String::new() }
    }

    /// The same at a place of a file.
    pub(super) fn at(mut self, place: Option<(String, usize, usize)>) -> Problem {
        self.place = place;
        self
    }

    /// The same with a further field.
    pub(super) fn with(mut self, name: &str, value: &str) -> Problem {
        self.fields.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// The document. Its type is `about:blank`, so that its title is the status's phrase (RFC 9457 §4.2.1).
    pub(super) fn body(&self) -> String {
        let Problem { status, detail, place, .. } = self;
        let mut document = json!({ "title": phrase(*status), "status": status, "detail": detail });
        if let Some((file, line, column)) = place {
            document["file"] = json!(file);
            document["line"] = json!(line);
            document["column"] = json!(column);
        }
        document.to_string()
    }
}
