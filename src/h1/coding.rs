//! A body as it is written (RFC 9112 §7.1).
//!
//! Here: the coding that a receiver gets, and the pieces of a message in it. Not here: reading a body (`body.rs`).
//! Floor 1.

use super::{BodyLength, Version};

/// How a body is written to the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// The bytes as they are: the length is told, or the connection's end is the body's.
    Identity,
    /// The chunked coding.
    Chunked,
}

impl Coding {
    /// How a body of a length known so goes to a receiver of that version.
    pub const fn of(body: BodyLength, receiver: Version) -> Coding {
        match (body, receiver) {
            (BodyLength::Chunked | BodyLength::UntilClose, Version::Http11) => Coding::Chunked,
            _ => Coding::Identity,
        }
    }
}

/// The line before a chunk's data.
#[derive(Clone, Copy, Debug)]
pub struct ChunkLine {
    text: [u8; 18],
    start: u8,
}

impl ChunkLine {
    /// The line for a chunk of `size` bytes, which must not be 0: that would end the body. With another coding, none.
    #[inline]
    pub fn new(coding: Coding, size: usize) -> ChunkLine {
        match coding {
            Coding::Identity => ChunkLine { text: [0; 18], start: 18 },
            Coding::Chunked => ChunkLine::of_chunk(size),
        }
    }

    fn of_chunk(size: usize) -> ChunkLine {
        let mut text = [0; 18];
        text[16..].copy_from_slice(b"\r\n");
        let (mut start, mut left) = (16, size);
        while left > 0 {
            start -= 1;
            text[start] = b"0123456789abcdef"[left & 15];
            left >>= 4;
        }
        ChunkLine { text, start: start as u8 }
    }

    /// The line with its CR LF.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[self.start as usize..]
    }
}

/// What follows a chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";
/// What follows the data of the last chunk that has any: its end, and the end of the body.
pub const CHUNK_AND_BODY_END: &[u8] = b"\r\n0\r\n\r\n";
/// The end of a chunked body.
pub const BODY_END: &[u8] = b"0\r\n\r\n";

/// The parts to send for a piece of body data behind a `head` (which may be empty); `line` must live as long.
pub fn parts<'a>(
    head: &'a [u8],
    coding: Coding,
    line: &'a ChunkLine,
    data: &'a [u8],
    last: bool,
) -> [&'a [u8]; 4] {
    match (coding, data.is_empty(), last) {
        (Coding::Identity, _, _) => [head, &[], data, &[]],
        (Coding::Chunked, true, false) => [head, &[], &[], &[]],
        (Coding::Chunked, true, true) => [head, BODY_END, &[], &[]],
        (Coding::Chunked, false, false) => [head, line.as_bytes(), data, CHUNK_END],
        (Coding::Chunked, false, true) => [head, line.as_bytes(), data, CHUNK_AND_BODY_END],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_lines_are_lower_case_hex() {
        for size in [1, 9, 10, 255, 256, 65_536, usize::MAX] {
            assert_eq!(ChunkLine::new(Coding::Chunked, size).as_bytes(), format!("{size:x}\r\n").as_bytes());
        }
    }

    #[test]
    fn parts_make_a_message_that_ends_when_the_body_does() {
        let line = ChunkLine::new(Coding::Chunked, 5);
        let joined = |coding, data: &[u8], last| parts(b"H", coding, &line, data, last).concat();
        assert_eq!(joined(Coding::Identity, b"hello", true), b"Hhello");
        assert_eq!(joined(Coding::Chunked, b"hello", false), b"H5\r\nhello\r\n");
        assert_eq!(joined(Coding::Chunked, b"hello", true), b"H5\r\nhello\r\n0\r\n\r\n");
        assert_eq!(joined(Coding::Chunked, b"", true), b"H0\r\n\r\n");
        // An empty chunk would be the end of the body.
        assert_eq!(joined(Coding::Chunked, b"", false), b"H");
    }
}
