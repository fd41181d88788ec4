//! How many of these bytes are body (RFC 9112 §6, §7.1)?
//!
//! Here: [`BodyReader`], which delimits and decodes a body piece by piece. Not here: the chunked coding byte by
//! byte (`chunked.rs`), writing one (`coding.rs`). Floor 1.

use std::ops::Range;

use super::chunked::Chunk;
use super::{BodyLength, Violation};

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
            BodyLength::Chunked => State::Chunked(Chunk::START),
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
    pub fn read(&mut self, input: &mut [u8]) -> Result<Piece, Violation> {
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
fn read_chunked(chunk: &mut Chunk, input: &mut [u8]) -> Result<(Piece, bool), Violation> {
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
        match chunk.step(byte)? {
            Some(next) => *chunk = next,
            None => return Ok((Piece { consumed: at, data }, true)),
        }
    }
    Ok((Piece { consumed: at, data }, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::coding::{BODY_END, CHUNK_END, ChunkLine, Coding};
    use proptest::prelude::*;

    /// Feeds `wire` in pieces that end at `cuts`; returns the data, what was consumed, and whether the body ended.
    fn feed(length: BodyLength, wire: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, usize, bool), Violation> {
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
            b"5 \r\nhello\r\n0\r\n\r\n",
            b"5\t\r\nhello\r\n0\r\n\r\n",
            b"5;\r\nhello\r\n0\r\n\r\n",
        ];
        for wire in bad {
            assert!(feed(BodyLength::Chunked, wire, &[]).is_err(), "{}", wire.escape_ascii());
        }
        for endless in [&b"5;"[..], b"5;x=\"", b"5 ", b"0\r\nX: "] {
            let byte = if endless.ends_with(b" ") { b' ' } else { b'x' };
            let wire = [endless, &vec![byte; 20_000]].concat();
            assert!(feed(BodyLength::Chunked, &wire, &[]).is_err());
        }
    }

    /// RFC 9112 §7.1.1, RFC 9110 §5.6.4: what the grammar allows behind a size.
    #[test]
    fn extensions_are_of_their_grammar_or_refused() {
        let read = |extension: &str| {
            let wire = format!("5{extension}\r\nhello\r\n0{extension}\r\n\r\n");
            feed(BodyLength::Chunked, wire.as_bytes(), &[]).is_ok_and(|(_, _, done)| done)
        };
        let good = [
            "",
            ";a",
            ";a=b",
            ";a;b",
            "; a",
            " ;a",
            "\t;\ta",
            ";a ;b",
            ";a=b ;c",
            ";a = b",
            ";a=\"\"",
            ";a=\"b;c\"",
            ";a=\"\\\"\\\\\"",
            ";a=\"\u{e9}\t\" ; c",
        ];
        for extension in good {
            assert!(read(extension), "{extension:?}");
        }
        let bad = [
            " ",
            "\t",
            ";",
            "; ",
            ";;a",
            ";a ",
            ";a;",
            ";a=",
            ";a= ",
            ";=b",
            ";a b",
            ";a=b c",
            ";a=b ",
            ";a=\"b",
            ";a=\"b\"c",
            ";a=\"b\" ",
            ";a=b=c",
            ";a=\"\\",
            ";\u{e9}",
            ";a=\u{e9}",
            ";a\r",
            " a",
            ",a",
        ];
        for extension in bad {
            assert!(!read(extension), "{extension:?}");
        }
    }

    #[test]
    fn trailer_fields_are_fields_or_refused() {
        let read = |lines: &str| {
            let wire = format!("0\r\n{lines}\r\n");
            feed(BodyLength::Chunked, wire.as_bytes(), &[]).is_ok_and(|(_, _, done)| done)
        };
        for lines in ["", "X:\r\n", "X: a b\r\nY:\tc \r\n", "!#$%&'*+-.^_`|~1: \u{e9}\r\n", "X: a:b\r\n"] {
            assert!(read(lines), "{lines:?}");
        }
        let bad = [
            "X\r\n",
            "X y\r\n",
            "X : a\r\n",
            "X\t: a\r\n",
            ": a\r\n",
            "X: a\r\n b\r\n",
            " X: a\r\n",
            "\tX: a\r\n",
            "X: a\n",
            "X: a\rb\r\n",
            "X: a\0\r\n",
            "X(: a\r\n",
            "X\u{e9}: a\r\n",
            "GET /smuggled HTTP/1.1\r\n",
            "X: a\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n",
        ];
        for lines in bad {
            assert!(!read(lines), "{lines:?}");
        }
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
            wire in "(([0-9a-f]{1,2}([ \t;=\"x\\\\]{0,4})\r\n)|[0-9a-fx;= \t\r\n\"GET:]{0,30}){0,4}",
            cuts in prop::collection::vec(any::<usize>(), 0..20),
        ) {
            let whole = feed(BodyLength::Chunked, wire.as_bytes(), &[]);
            let split = feed(BodyLength::Chunked, wire.as_bytes(), &cuts);
            prop_assert_eq!(whole, split);
        }
    }
}
