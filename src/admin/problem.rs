//! Errors as `application/problem+json` (RFC 9457).
//!
//! Here: [`Problem`]. Not here: when there is one (`route.rs`, `guard.rs`, `control.rs`). Floor 3.

use serde_json::{Value, json};

use crate::command::ReloadError;
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
    /// What is wrong with settings, if that is it.
    errors: Vec<ReloadError>,
    /// Further lines of the head, each with its CR LF.
    pub(super) fields: String,
}

impl Problem {
    pub(super) fn new(status: u16, detail: impl Into<String>) -> Problem {
        Problem { status, detail: detail.into(), errors: Vec::new(), fields: String::new() }
    }

    /// The same about settings.
    pub(super) fn about(mut self, errors: Vec<ReloadError>) -> Problem {
        self.errors = errors;
        self
    }

    /// The same with a further field.
    pub(super) fn with(mut self, name: &str, value: &str) -> Problem {
        self.fields.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// The document. Its type is `about:blank`, so that its title is the status's phrase (RFC 9457 §4.2.1).
    pub(super) fn body(&self) -> String {
        let Problem { status, detail, errors, .. } = self;
        let mut document = json!({ "title": phrase(*status), "status": status, "detail": detail });
        if let Some(first) = errors.first() {
            set_place(&mut document, first);
        }
        if errors.len() > 1 {
            let each = errors.iter().map(|error| {
                let mut told = json!({ "detail": error.detail });
                set_place(&mut told, error);
                told
            });
            document["errors"] = each.collect();
        }
        document.to_string()
    }
}

/// Tells where in a file it is, if it is in one.
fn set_place(document: &mut Value, error: &ReloadError) {
    if let Some((file, line, column)) = &error.place {
        document["file"] = json!(file);
        document["line"] = json!(line);
        document["column"] = json!(column);
    }
}
