//! Requests that are batched, and their results.
//!
//! Here: texts that their request's number decides, and the results that they must have. Floor 4.

use std::collections::VecDeque;

use serde::Deserialize;

/// Whether text `at` of request `serial` is code.
fn is_code(serial: u64, at: usize) -> bool {
    (serial >> (at % 8) ^ serial >> 3) & 1 == 0
}

/// Writes request `serial` of `customer`, with so many texts that have so many bytes together.
pub(super) fn write(out: &mut VecDeque<u8>, customer: u32, serial: u64, texts: usize, bytes: usize) {
    let text = |at: usize| {
        let begin = if is_code(serial, at) { "x;" } else { "words" };
        format!("\"{begin}{}\"", "z".repeat(bytes / texts))
    };
    let texts: Vec<_> = (0..texts).map(text).collect();
    let body = format!("{{\"sequences\":[{}]}}", texts.join(","));
    let head = format!(
        "POST /proxy_classify HTTP/1.1\r\nHost: w\r\nContent-Type: application/json\r\nX-Customer-Id: {customer}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    out.extend(head.as_bytes());
    out.extend(body.as_bytes());
}

/// Whether this is the answer to request `serial` with so many texts.
pub(super) fn is_answer(answer: &[u8], serial: u64, texts: usize) -> bool {
    #[derive(Deserialize)]
    struct Answer {
        results: Vec<String>,
    }
    let label = |at| if is_code(serial, at) { "code" } else { "not code" };
    serde_json::from_slice(answer).is_ok_and(|answer: Answer| answer.results.iter().eq((0..texts).map(label)))
}
