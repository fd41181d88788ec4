//! Answers: the classifier's cut into results, and each client's own.
//!
//! Here: [`split`] and what it refuses, [`write_answer`], [`write_detail`]. Not here: requests (`request.rs`),
//! statuses and heads. Floor 1.

use std::fmt;

use super::request::write_array;
use super::shape::Shape;
use super::slices::{self, Member, Sink, Span};

/// Why an answer cannot be shared out.
#[derive(Debug)]
pub enum AnswerError {
    /// Not one result for each element.
    WrongCount {
        /// How many were sent.
        expected: usize,
        /// How many results came.
        got: usize,
    },
    /// Not JSON, or not an object with the array of results; with what is wrong.
    Malformed(String),
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AnswerError::WrongCount { expected, got } => {
                write!(f, "the classifier gave {got} results for {expected}")
            }
            AnswerError::Malformed(what) => write!(f, "the classifier's answer cannot be read: {what}"),
        }
    }
}

impl std::error::Error for AnswerError {}

struct Found<'s, 'a> {
    text: &'a str,
    expected: usize,
    got: usize,
    results: &'s mut Vec<Span>,
}

impl<'a> Sink<'a> for Found<'_, 'a> {
    fn element(&mut self, raw: &'a str) {
        if self.got < self.expected {
            self.results.push(Span::of(raw, self.text));
        }
        self.got += 1;
    }

    fn member(&mut self, _: Member<'a>) {}
}

/// Finds the `expected` results in a classifier's answer and appends where they stand to `results`, in their order.
/// Other members are passed over.
///
/// # Errors
/// Why the answer is of no use; what `results` then holds is of no use either.
pub fn split(
    body: &[u8],
    shape: &Shape,
    expected: usize,
    results: &mut Vec<Span>,
) -> Result<(), AnswerError> {
    if body.len() > Span::MOST_BYTES {
        let what = format!("{} bytes; the most is {}", body.len(), Span::MOST_BYTES);
        return Err(AnswerError::Malformed(what));
    }
    let text = std::str::from_utf8(body).map_err(|e| AnswerError::Malformed(e.to_string()))?;
    let mut found = Found { text, expected, got: 0, results };
    slices::read(text, shape.response_field(), &mut found)
        .map_err(|e| AnswerError::Malformed(e.to_string()))?;
    match found.got {
        got if got == expected => Ok(()),
        got => Err(AnswerError::WrongCount { expected, got }),
    }
}

/// Appends a client's answer to `out`: its own results as the classifier wrote them and, where the shape says so, the
/// whole milliseconds from the request's arrival to this answer.
pub fn write_answer<'a>(
    shape: &Shape,
    results: impl IntoIterator<Item = &'a [u8]>,
    latency_ms: u64,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    write_array(shape.response_opening(), results, out);
    if shape.reports_latency() {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(super::shape::LATENCY.as_bytes());
        out.extend_from_slice(b"\":");
        serde_json::to_writer(&mut *out, &latency_ms).expect("a number into memory");
    }
    out.push(b'}');
}

/// Appends `{"detail":"…"}` to `out`, the form of every error on a batched route.
pub fn write_detail(detail: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"detail\":");
    serde_json::to_writer(&mut *out, detail).expect("a string into memory");
    out.push(b'}');
}
