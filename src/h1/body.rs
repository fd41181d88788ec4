//! How many of these bytes are body (RFC 9112 §6, §7.1)?
//!
//! Here: [`BodyReader`], which delimits and decodes a body piece by piece. Not here: writing one (`coding.rs`). Floor 1.

use std::fmt;
use std::ops::Range;

use super::BodyLength;

/// Chunk extensions of one chunk, and all trailer fields together, may take this many bytes; both are dropped.
const MAX_IGNORED_BYTES: u32 = 16 * 1024;

/// A chunk size has at most this many digits: those of a 64-bit number.
const MAX_SIZE_DIGITS: u8 = 16;

/// Why a chunked body is refused. Its connection can serve nothing after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkError(&'static str);

impl fmt::Display for ChunkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Where in the chunked coding the reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    Size {
        value: u64,
        digits: u8,
    },
    /// White space after the size, then an extension or the end of the line.
    AfterSize {
        value: u64,
    },
    Extension {
        value: u64,
        ignored: u32,
    },
    SizeLf {
        value: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    TrailerStart {
        ignored: u32,
    },
    Trailer {
        ignored: u32,
    },
    TrailerLf {
        ignored: u32,
    },
    EndLf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Exact { left: u64 },
    Chunked(Chunk),
    UntilClose,
    Done,
}

/// Reads one body, in whatever pieces it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyReader(State);

/// What a piece of input held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// How many bytes of the input belong to the body and its coding; those after it do not.
    pub consumed: usize,
    /// Where in the input the body's own bytes now stand.
    pub data: Range<usize>,
}

impl BodyReader {
    /// A reader for a body of that length.
    pub const fn new(length: BodyLength) -> BodyReader {
        BodyReader(match length {
            BodyLength::None | BodyLength::Exact(0) => State::Done,
            BodyLength::Exact(left) => State::Exact { left },
            BodyLength::Chunked => State::Chunked(Chunk::Size { value: 0, digits: 0 }),
            BodyLength::UntilClose => State::UntilClose,
        })
    }

    /// Whether the body has ended.
    pub const fn is_done(&self) -> bool {
        matches!(self.0, State::Done)
    }

    /// Whether the sender's closing now would be the body's proper end.
    pub const fn ends_at_close(&self) -> bool {
        matches!(self.0, State::UntilClose | State::Done)
    }

    /// Reads a piece. A chunked body is decoded in place: the data of the chunks in `input` is moved together, so
    /// that it can be passed on as one.
    ///
    /// # Errors
    /// When the chunked coding is violated; nothing of this piece may be used then.
    #[inline]
    pub fn read(&mut self, input: &mut [u8]) -> Result<Piece, ChunkError> {
        match &mut self.0 {
            State::Done => Ok(Piece { consumed: 0, data: 0..0 }),
            State::UntilClose => Ok(Piece { consumed: input.len(), data: 0..input.len() }),
            State::Exact { left } => {
                let n = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= n as u64;
                if *left == 0 {
                    self.0 = State::Done;
                }
                Ok(Piece { consumed: n, data: 0..n })
            }
            State::Chunked(chunk) => {
                let mut chunk = *chunk;
                let piece = read_chunked(&mut chunk, input)?;
                self.0 = match piece.1 {
                    true => State::Done,
                    false => State::Chunked(chunk),
                };
                Ok(piece.0)
            }
        }
    }
}

/// Returns the piece and whether the body has ended.
#[inline(never)]
fn read_chunked(chunk: &mut Chunk, input: &mut [u8]) -> Result<(Piece, bool), ChunkError> {
    let mut at = 0;
    let mut data = 0..0;
    while at < input.len() {
        if let Chunk::Data { left } = chunk {
            let n = usize::try_from(*left).map_or(input.len() - at, |left| left.min(input.len() - at));
            if data.is_empty() {
                data = at..at;
            }
            if data.end != at {
                input.copy_within(at..at + n, data.end);
            }
            data.end += n;
            at += n;
            *left -= n as u64;
            if *left == 0 {
                *chunk = Chunk::DataCr;
            }
            continue;
        }
        let byte = input[at];
        at += 1;
        match step(*chunk, byte)? {
            Some(next) => *chunk = next,
            None => return Ok((Piece { consumed: at, data }, true)),
        }
    }
    Ok((Piece { consumed: at, data }, false))
}

/// One byte of the coding outside chunk data; `None` at the end of the body.
fn step(chunk: Chunk, byte: u8) -> Result<Option<Chunk>, ChunkError> {
    Ok(Some(match (chunk, byte) {
        (Chunk::Size { value, digits }, _) if byte.is_ascii_hexdigit() => {
            if digits == MAX_SIZE_DIGITS {
                return Err(ChunkError("chunk size too large"));
            }
            let digit = (byte as char).to_digit(16).map_or(0, u64::from);
            Chunk::Size { value: value << 4 | digit, digits: digits + 1 }
        }
        (Chunk::Size { digits: 0, .. }, _) => return Err(ChunkError("malformed chunk size")),
        (Chunk::Size { value, .. } | Chunk::AfterSize { value }, b' ' | b'\t') => Chunk::AfterSize { value },
        (Chunk::Size { value, .. } | Chunk::AfterSize { value }, b';') => {
            Chunk::Extension { value, ignored: 0 }
        }
        (Chunk::Size { value, .. } | Chunk::AfterSize { value } | Chunk::Extension { value, .. }, b'\r') => {
            Chunk::SizeLf { value }
        }
        (Chunk::Size { .. } | Chunk::AfterSize { .. }, _) => return Err(ChunkError("malformed chunk size")),
        (Chunk::Extension { value, ignored }, _) => {
            Chunk::Extension { value, ignored: ignore(byte, ignored)? }
        }
        (Chunk::SizeLf { value: 0 }, b'\n') => Chunk::TrailerStart { ignored: 0 },
        (Chunk::SizeLf { value }, b'\n') => Chunk::Data { left: value },
        (Chunk::DataCr, b'\r') => Chunk::DataLf,
        (Chunk::DataLf, b'\n') => Chunk::Size { value: 0, digits: 0 },
        (Chunk::DataCr | Chunk::DataLf, _) => return Err(ChunkError("chunk longer than its size")),
        (Chunk::TrailerStart { .. }, b'\r') => Chunk::EndLf,
        (Chunk::Trailer { ignored }, b'\r') => Chunk::TrailerLf { ignored },
        (Chunk::TrailerStart { ignored } | Chunk::Trailer { ignored }, _) => {
            Chunk::Trailer { ignored: ignore(byte, ignored)? }
        }
        (Chunk::TrailerLf { ignored }, b'\n') => Chunk::TrailerStart { ignored },
        (Chunk::EndLf, b'\n') => return Ok(None),
        (Chunk::SizeLf { .. } | Chunk::TrailerLf { .. } | Chunk::EndLf, _) => {
            return Err(ChunkError("CR without LF in the chunked coding"));
        }
        (Chunk::Data { .. }, _) => unreachable!("chunk data is taken as a run"),
    }))
}

/// A byte of an extension or a trailer field: passed over, but it must not be one that another reader could take
/// for the end of the line.
fn ignore(byte: u8, ignored: u32) -> Result<u32, ChunkError> {
    if (byte < b' ' && byte != b'\t') || byte == 0x7f {
        return Err(ChunkError("control character in a chunk extension or trailer"));
    }
    if ignored == MAX_IGNORED_BYTES {
        return Err(ChunkError("chunk extensions or trailers too large"));
    }
    Ok(ignored + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::coding::{BODY_END, CHUNK_END, ChunkLine, Coding};
    use proptest::prelude::*;

    /// Feeds `wire` in pieces that end at `cuts`; returns the data, what was consumed, and whether the body ended.
    fn feed(length: BodyLength, wire: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, usize, bool), ChunkError> {
        let mut reader = BodyReader::new(length);
        let (mut out, mut consumed, mut from) = (Vec::new(), 0, 0);
        let mut ends: Vec<usize> = cuts.iter().map(|c| c % (wire.len() + 1)).collect();
        ends.push(wire.len());
        ends.sort_unstable();
        for end in ends {
            let mut piece = wire[from..end].to_vec();
            let read = reader.read(&mut piece)?;
            out.extend_from_slice(&piece[read.data]);
            consumed += read.consumed;
            from = end;
            if reader.is_done() {
                break;
            }
        }
        Ok((out, consumed, reader.is_done()))
    }

    #[test]
    fn an_exact_body_takes_its_bytes_and_no_more() {
        assert_eq!(feed(BodyLength::Exact(5), b"helloGET", &[2]), Ok((b"hello".to_vec(), 5, true)));
        assert_eq!(feed(BodyLength::Exact(9), b"hello", &[]), Ok((b"hello".to_vec(), 5, false)));
        assert_eq!(feed(BodyLength::None, b"GET", &[]), Ok((vec![], 0, true)));
    }

    #[test]
    fn extensions_trailers_and_leading_zeros_are_read_over() {
        let wire = b"00A;x=\"y z\"\r\n0123456789\r\n2 ;q\r\nab\r\n000;end\r\nX-T: late\r\nX-U:\r\n\r\nGET";
        assert_eq!(
            feed(BodyLength::Chunked, wire, &[]),
            Ok((b"0123456789ab".to_vec(), wire.len() - 3, true))
        );
    }

    #[test]
    fn a_violated_coding_is_refused() {
        let bad: &[&[u8]] = &[
            b"5\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b"10000000000000005\r\nhello",
            b"-5\r\nhello",
            b"\r\nhello",
            b" 5\r\nhello",
            b"5\r\nhelloX\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"2;\nxx\r\n0\r\n\r\n",
            b"2;a\0\r\nxx\r\n0\r\n\r\n",
            b"5\rhello",
            b"0\r\nX: y\n\r\n",
            b"0\r\nX: y\rZ\r\n\r\n",
            b"5 5\r\nhello\r\n0\r\n\r\n",
        ];
        for wire in bad {
            assert!(feed(BodyLength::Chunked, wire, &[]).is_err(), "{}", wire.escape_ascii());
        }
        let endless = [b"5;".to_vec(), vec![b'x'; 20_000]].concat();
        assert!(feed(BodyLength::Chunked, &endless, &[]).is_err());
    }

    proptest! {
        #[test]
        fn chunked_data_survives_any_split(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
            rest in prop::collection::vec(any::<u8>(), 0..20),
            cuts in prop::collection::vec(any::<usize>(), 0..40),
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(ChunkLine::new(Coding::Chunked, chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(CHUNK_END);
            }
            wire.extend_from_slice(BODY_END);
            let len = wire.len();
            wire.extend_from_slice(&rest);
            prop_assert_eq!(feed(BodyLength::Chunked, &wire, &cuts), Ok((chunks.concat(), len, true)));
        }

        #[test]
        fn any_bytes_give_the_same_verdict_in_any_split(
            wire in "[0-9a-fx;= \t\r\nGET:]{0,60}",
            cuts in prop::collection::vec(any::<usize>(), 0..20),
        ) {
            let whole = feed(BodyLength::Chunked, wire.as_bytes(), &[]);
            let split = feed(BodyLength::Chunked, wire.as_bytes(), &cuts);
            prop_assert_eq!(whole, split);
        }
    }
}
