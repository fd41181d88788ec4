//! Bytes to the answer of one request.
//!
//! Here: [`Answer`], which reads a response in whatever pieces it comes, interim ones passed over. Pure. Not here: the
//! connection that it comes on (`connection.rs`). Floor 3.

use crate::h1::body::BodyReader;
use crate::h1::persistence::Persistence;
use crate::h1::request::field_space;
use crate::h1::response::ResponseHead;

/// A response being read.
#[derive(Debug)]
pub(super) struct Answer {
    to_head: bool,
    reading: Reading,
}

#[derive(Debug)]
enum Reading {
    Head,
    Body { reader: BodyReader, answered: Answered },
}

/// What the head of a final response said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) persistence: Persistence,
}

/// What was in a piece of input.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// How many bytes were used; those behind must come again, with more, unless the answer is complete.
    pub(super) consumed: usize,
    /// The answer, once it is complete.
    pub(super) complete: Option<Answered>,
}

/// What came is not an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Answer {
    /// The answer to a request, a HEAD request or not.
    pub(super) fn new(to_head: bool) -> Answer {
        Answer { to_head, reading: Reading::Head }
    }

    /// Reads on; what belongs to the body is shown to `data`.
    pub(super) fn take(&mut self, bytes: &mut [u8], mut data: impl FnMut(&[u8])) -> Result<Taken, Malformed> {
        let mut consumed = 0;
        loop {
            let rest = &mut bytes[consumed..];
            match &mut self.reading {
                Reading::Head => {
                    let mut space = field_space();
                    let head = match ResponseHead::parse(rest, self.to_head, &mut space) {
                        Ok(Some(head)) => head,
                        Ok(None) => return Ok(Taken { consumed, complete: None }),
                        Err(_) => return Err(Malformed),
                    };
                    consumed += head.len;
                    match head.status {
                        // Nobody asked for another protocol.
                        101 => return Err(Malformed),
                        ..200 => {}
                        status => {
                            let answered = Answered { status, persistence: head.persistence };
                            let reader = BodyReader::new(head.body);
                            self.reading = Reading::Body { reader, answered };
                        }
                    }
                }
                Reading::Body { reader, answered } => {
                    let piece = reader.read(rest).map_err(|_| Malformed)?;
                    data(&rest[piece.data]);
                    consumed += piece.consumed;
                    return Ok(Taken { consumed, complete: reader.is_done().then_some(*answered) });
                }
            }
        }
    }

    /// Whether its head has come.
    pub(super) fn has_begun(&self) -> bool {
        matches!(self.reading, Reading::Body { .. })
    }

    /// The answer, if the end of the connection is its proper end.
    pub(super) fn at_close(&self) -> Option<Answered> {
        match &self.reading {
            Reading::Body { reader, answered } if reader.ends_at_close() => {
                Some(Answered { persistence: Persistence::Close, ..*answered })
            }
            Reading::Body { .. } | Reading::Head => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `wire` in pieces that end at `cuts`; returns the answer, its body and what was left.
    fn feed(
        wire: &[u8],
        to_head: bool,
        cuts: &[usize],
    ) -> Result<(Option<Answered>, String, usize), Malformed> {
        let (mut answer, mut body, mut held) = (Answer::new(to_head), Vec::new(), Vec::new());
        let mut ends: Vec<usize> =
            cuts.iter().map(|cut| cut % (wire.len() + 1)).chain([wire.len()]).collect();
        ends.sort_unstable();
        let mut from = 0;
        for end in ends {
            held.extend_from_slice(&wire[from..end]);
            from = end;
            let taken = answer.take(&mut held, |data| body.extend_from_slice(data))?;
            held.drain(..taken.consumed);
            if taken.complete.is_some() {
                let left = held.len() + wire.len() - end;
                return Ok((taken.complete, String::from_utf8(body).unwrap(), left));
            }
        }
        Ok((None, String::from_utf8(body).unwrap(), held.len()))
    }

    const KEPT: Option<Answered> = Some(Answered { status: 200, persistence: Persistence::KeepAlive });

    #[test]
    fn a_length_a_head_request_and_no_content_end_the_answer() {
        let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(feed(wire, false, &[]), Ok((KEPT, "hello".to_owned(), 0)));
        assert_eq!(feed(wire, true, &[]), Ok((KEPT, String::new(), 5)));
        let close = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
        let expected = Answered { status: 204, persistence: Persistence::Close };
        assert_eq!(feed(close, false, &[]), Ok((Some(expected), String::new(), 0)));
        assert_eq!(feed(&wire[..42], false, &[]).unwrap().0, None);
    }

    #[test]
    fn what_is_not_an_answer_is_refused() {
        for wire in [
            &b"SSH-2.0-x\r\n\r\n"[..],
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        ] {
            assert_eq!(feed(wire, false, &[]), Err(Malformed), "{}", wire.escape_ascii());
        }
    }

    #[test]
    fn only_a_body_without_length_ends_with_the_connection() {
        let mut answer = Answer::new(false);
        assert!(!answer.has_begun() && answer.at_close().is_none());
        answer.take(&mut b"HTTP/1.1 200 OK\r\n\r\nabc".to_vec(), |_| {}).unwrap();
        assert!(answer.has_begun());
        assert_eq!(answer.at_close().unwrap().persistence, Persistence::Close);
        let mut short = Answer::new(false);
        short.take(&mut b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc".to_vec(), |_| {}).unwrap();
        assert!(short.has_begun() && short.at_close().is_none());
    }

    proptest! {
        #[test]
        fn the_answer_does_not_depend_on_the_split(cuts in prop::collection::vec(any::<usize>(), 0..30)) {
            let wire = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x\r\n world\r\n0\r\n\r\nHTTP";
            prop_assert_eq!(feed(wire, false, &cuts), Ok((KEPT, "hello world".to_owned(), 4)));
        }
    }
}
