//! What users ask for, as bytes.
//!
//! Here: a request of each kind. Not here: who sends it, and when (`clients.rs`); those for tunnels (`tunnels.rs`). Floor 4.

use std::collections::VecDeque;

use super::letter;

/// Writes a request of one of twelve kinds. Its number is in the target, and its body consists of the number's letter.
pub(super) fn write_request(out: &mut VecDeque<u8>, kind: u64, serial: u64, size: usize) {
    let method = match kind {
        8 => "HEAD",
        9 => "POST",
        10 => "PUT",
        _ => "GET",
    };
    let fields = match kind {
        9 => format!("Content-Length: {size}\r\n"),
        10 => "Transfer-Encoding: chunked\r\n".to_owned(),
        11 => "Connection: close\r\n".to_owned(),
        _ => String::new(),
    };
    out.extend(format!("{method} /{serial} HTTP/1.1\r\nHost: w\r\n{fields}\r\n").as_bytes());
    let fill = |n: usize| std::iter::repeat_n(letter(serial), n);
    match kind {
        9 => out.extend(fill(size)),
        10 => {
            for chunk in [1, size / 3 + 1, 7] {
                out.extend(format!("{chunk:x}\r\n").as_bytes());
                out.extend(fill(chunk));
                out.extend(b"\r\n");
            }
            out.extend(b"0\r\n\r\n");
        }
        _ => {}
    }
}
