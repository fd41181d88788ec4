//! How a backend is asked to answer.
//!
//! Here: [`Script`], which stands in a request's target, and what is written for it and when. Not here: who writes it
//! (`backend.rs`) and who asks (`users.rs`). Floor 4.

use std::time::Duration;

use crate::h1::request::Target;
use crate::world::letter;

/// How a backend answers one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// After some time, with so many bytes.
    Plain(Duration, usize),
    /// With a 102 so often for so long, and then with an answer.
    Interims(Duration, Duration),
    /// With a head and a first byte at once, and so many further ones, each after a pause.
    Stream(Duration, usize),
    /// At once, and after some time the same once more, in a second write.
    Twice(Duration),
    /// At once, and the same once more when the connection's next request comes, before the answer to that: as where the system holds
    /// back a small second write until the first is acknowledged.
    TwiceHeld,
    /// In two writes: so many bytes at once, and the rest after some time.
    Split(Duration, usize),
    /// As soon as the head is there, before the body.
    Early,
    /// After a pause in which it reads nothing of the request's body.
    LateReader(Duration),
    /// With 500.
    Error,
    /// With a head that says more than comes: it falls silent in the body.
    StallBody,
    /// Never.
    Silence,
    /// The connection is closed without one.
    Hangup,
    /// With something else than was asked for: a classifier with too few results.
    Lie,
}

/// What is written and how long after what was written before; nothing: the connection is closed.
pub(super) type Pieces = Vec<(Duration, Vec<u8>)>;

impl Script {
    /// The target of request `serial`, which asks for this.
    pub(super) fn target(self, serial: u64) -> String {
        let us = |time: Duration| time.as_micros();
        match self {
            Script::Plain(after, size) => format!("/{serial}/plain/{}/{size}", us(after)),
            Script::Interims(every, long) => format!("/{serial}/interims/{}/{}", us(every), us(long)),
            Script::Stream(pause, more) => format!("/{serial}/stream/{}/{more}", us(pause)),
            Script::Twice(gap) => format!("/{serial}/twice/{}/0", us(gap)),
            Script::TwiceHeld => format!("/{serial}/twice-held/0/0"),
            Script::Split(gap, at) => format!("/{serial}/split/{}/{at}", us(gap)),
            Script::Early => format!("/{serial}/early/0/0"),
            Script::LateReader(pause) => format!("/{serial}/late-reader/{}/0", us(pause)),
            Script::Error => format!("/{serial}/error/0/0"),
            Script::StallBody => format!("/{serial}/stall-body/0/0"),
            Script::Silence => format!("/{serial}/silence/0/0"),
            Script::Hangup => format!("/{serial}/hangup/0/0"),
            Script::Lie => format!("/{serial}/lie/0/0"),
        }
    }

    /// The number of a request and what it asks for.
    pub(super) fn of(target: Target<'_>) -> Option<(u64, Script)> {
        let Target::Origin(path) = target else { return None };
        let mut parts = path.strip_prefix('/')?.split('/');
        let serial = parts.next()?.parse().ok()?;
        let name = parts.next()?;
        let numbers: (u64, u64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let us = Duration::from_micros;
        let script = match name {
            "plain" => Script::Plain(us(numbers.0), numbers.1 as usize),
            "interims" => Script::Interims(us(numbers.0), us(numbers.1)),
            "stream" => Script::Stream(us(numbers.0), numbers.1 as usize),
            "twice" => Script::Twice(us(numbers.0)),
            "twice-held" => Script::TwiceHeld,
            "split" => Script::Split(us(numbers.0), numbers.1 as usize),
            "early" => Script::Early,
            "late-reader" => Script::LateReader(us(numbers.0)),
            "error" => Script::Error,
            "stall-body" => Script::StallBody,
            "silence" => Script::Silence,
            "hangup" => Script::Hangup,
            "lie" => Script::Lie,
            _ => return None,
        };
        Some((serial, script))
    }

    /// How long it reads nothing of the body.
    pub(super) fn reads_after(self) -> Duration {
        if let Script::LateReader(pause) = self { pause } else { Duration::ZERO }
    }

    /// What is written for request `serial`, but for what waits until the next one.
    pub(super) fn pieces(self, serial: u64) -> Pieces {
        match self {
            Script::Plain(_, size) => self.pieces_of(answer(serial, 200, size)),
            Script::Split(..) => self.pieces_of(answer(serial, 200, 300)),
            Script::Stream(pause, more) => {
                let mut first = head(serial, 200, more + 1);
                first.push(letter(serial));
                let mut pieces = vec![(Duration::ZERO, first)];
                pieces.resize(1 + more, (pause, vec![letter(serial)]));
                pieces
            }
            Script::Error => self.pieces_of(answer(serial, 500, 20)),
            Script::StallBody => {
                let mut part = head(serial, 200, 1_000);
                part.extend([letter(serial); 100]);
                vec![(Duration::ZERO, part)]
            }
            _ => self.pieces_of(usual(serial)),
        }
    }

    /// The same where this is the whole answer.
    pub(super) fn pieces_of(self, whole: Vec<u8>) -> Pieces {
        let now = Duration::ZERO;
        match self {
            Script::Plain(after, _) => vec![(after, whole)],
            Script::Interims(every, long) => {
                let count = long.as_nanos().checked_div(every.as_nanos()).unwrap_or(0);
                let interim = (every, b"HTTP/1.1 102 Processing\r\n\r\n".to_vec());
                let mut pieces = vec![interim; count as usize];
                pieces.push((now, whole));
                pieces
            }
            Script::Twice(gap) => vec![(now, whole.clone()), (gap, whole)],
            Script::Split(gap, at) => {
                let mut first = whole;
                let rest = first.split_off(at.clamp(1, first.len() - 1));
                vec![(now, first), (gap, rest)]
            }
            Script::Hangup => vec![(now, Vec::new())],
            Script::Silence => Vec::new(),
            Script::StallBody => vec![(now, whole[..whole.len() - 1].to_vec())],
            _ => vec![(now, whole)],
        }
    }
}

/// The answer that says no more than whose it is.
pub(super) fn usual(serial: u64) -> Vec<u8> {
    answer(serial, 200, 20)
}

fn answer(serial: u64, status: u16, size: usize) -> Vec<u8> {
    let mut bytes = head(serial, status, size);
    bytes.resize(bytes.len() + size, letter(serial));
    bytes
}

fn head(serial: u64, status: u16, size: usize) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\nX-Serial: {serial}\r\nContent-Length: {size}\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_tells_its_script() {
        let ms = Duration::from_millis;
        for script in [
            Script::Plain(ms(3), 77),
            Script::Interims(ms(200), ms(1_000)),
            Script::Stream(ms(9), 4),
            Script::Twice(ms(1)),
            Script::TwiceHeld,
            Script::Split(ms(3), 40),
            Script::Early,
            Script::LateReader(ms(14_000)),
            Script::Error,
            Script::StallBody,
            Script::Silence,
            Script::Hangup,
            Script::Lie,
        ] {
            assert_eq!(Script::of(Target::Origin(&script.target(12))), Some((12, script)));
        }
        assert_eq!(Script::Interims(ms(200), ms(1_000)).pieces(1).len(), 6);
        assert_eq!(Script::Stream(ms(1), 4).pieces(1).len(), 5);
        let whole: Vec<u8> =
            Script::Split(ms(1), 9).pieces(7).into_iter().flat_map(|(_, bytes)| bytes).collect();
        assert_eq!(whole, answer(7, 200, 300));
    }
}
