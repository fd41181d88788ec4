//! The ways in which a backend can answer badly, as bytes.
//!
//! Here: [`Manner`] and what is written for each. Not here: when (`unruly.rs`). Floor 4.

use super::letter;

/// What the proxy reads at most at once.
const BLOCK: usize = 64 * 1024;

/// How a request is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Proper,
    Chunked,
    UntilClose,
    /// 103 first.
    Interim,
    /// In drops.
    Slow,
    /// Before the request's body has come.
    Early,
    /// Large.
    Large,
    /// More than the head says, in the same breath.
    Surplus,
    /// The same, where the answer fills the reader's block to the brim.
    Brimful,
    /// A word that nobody asked for, some time after the answer.
    LateWord,
    /// The whole answer once more, in the same breath.
    Twice,
    Malformed,
    CutHead,
    CutBody,
    ResetBody,
    /// Closes without an answer.
    Hangup,
    /// Never answers.
    Silence,
    /// Falls silent in mid-head.
    StallHead,
    /// Falls silent in mid-body.
    StallBody,
}

/// All of them.
pub(super) const MANNERS: [Manner; 19] = [
    Manner::Proper,
    Manner::Chunked,
    Manner::UntilClose,
    Manner::Interim,
    Manner::Slow,
    Manner::Early,
    Manner::Large,
    Manner::Surplus,
    Manner::Brimful,
    Manner::LateWord,
    Manner::Twice,
    Manner::Malformed,
    Manner::CutHead,
    Manner::CutBody,
    Manner::ResetBody,
    Manner::Hangup,
    Manner::Silence,
    Manner::StallHead,
    Manner::StallBody,
];

/// Heads that no proxy may pass on.
const MALFORMED: [&str; 7] = [
    "HTTP/1.1 200 OK\r\nX-Poison: \0\r\n\r\n",
    "HTTP/1.1 2000 OK\r\nX-Poison: 1\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX-Poison: 1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\npoison",
    "HTTP/1.1 200 OK\r\nX-Poison: 1\r\nContent-Length: -6\r\n\r\npoison",
    "HTTP/1.1 200 OK\r\nX-Poison: 1\r\nContent-Length: 99999999999999999999999\r\n\r\npoison",
    "HTTP/1.1 200 OK\r\nX-Poison 1\r\nContent-Length: 0\r\n\r\n",
    "POISON 200 OK\r\nX-Poison: 1\r\nContent-Length: 0\r\n\r\n",
];

/// What a backend says to a check, drawn from `draw`: `well` or in one of many ways not. What becomes of the connection then:
/// it is closed, unless the backend says nothing more.
pub(super) fn check_answer(well: bool, draw: u64) -> (Vec<u8>, bool) {
    let (bytes, closes) = match draw % 7 {
        _ if well => ("HTTP/1.1 204 No Content\r\n\r\n", true),
        0 => ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", true),
        1 => ("HTTP/1.1 200 O", true),
        2 => ("HTTP/1.1 200 O", false),
        3 => ("HTTP/1.1 102 Processing\r\n\r\n", false),
        4 => (MALFORMED[0], true),
        5 => ("", true),
        _ => ("", false),
    };
    (bytes.into(), closes)
}

/// The bytes of an answer, with about `size` bytes of body. The body consists of the request's letter, so that a byte of another one is seen.
pub(super) fn answer_bytes(manner: Manner, serial: u64, to_head: bool, size: usize) -> Vec<u8> {
    let head_len = |size: usize| head(serial, "", &format!("Content-Length: {size}\r\n")).len();
    let size = match manner {
        Manner::Large => size * 30,
        Manner::Brimful => BLOCK - head_len(BLOCK),
        _ => size,
    };
    let fill = |n: usize| vec![letter(serial); n];
    let length = format!("Content-Length: {size}\r\n");
    let (before, framing) = match manner {
        Manner::Hangup | Manner::Silence => return Vec::new(),
        Manner::Malformed => return MALFORMED[size % MALFORMED.len()].into(),
        Manner::Interim => ("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", length.as_str()),
        Manner::Chunked => ("", "Transfer-Encoding: chunked\r\n"),
        Manner::UntilClose => ("", ""),
        _ => ("", length.as_str()),
    };
    let mut bytes = head(serial, before, framing).into_bytes();
    match manner {
        _ if to_head => {}
        Manner::Chunked => {
            for part in [1, size / 2 + 1, 3] {
                bytes.extend(format!("{part:X};x=y\r\n").as_bytes());
                bytes.extend(fill(part));
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\nX-Trailer: t\r\n\r\n");
        }
        Manner::CutBody | Manner::ResetBody | Manner::StallBody => bytes.extend(fill(size / 2)),
        _ => bytes.extend(fill(size)),
    }
    match manner {
        Manner::CutHead | Manner::StallHead => bytes.truncate(20),
        Manner::Twice => bytes.extend_from_within(..),
        Manner::Surplus | Manner::Brimful => bytes.extend(b"HTTP/1.1 200 \0surplus"),
        _ => {}
    }
    bytes
}

fn head(serial: u64, before: &str, framing: &str) -> String {
    format!("{before}HTTP/1.1 200 OK\r\nX-Serial: {serial}\r\n{framing}\r\n")
}
