//! What a server answers, and when.
//!
//! Here: [`Service`], the part in which servers differ. Not here: connections, which all of them share
//! (`connection.rs`), and the services themselves (`testbed/`, `admin/`). Floor 2.

use std::time::Duration;

use super::Presence;
use crate::h1::reply::sentence;
use crate::h1::request::RequestHead;
use crate::time::{Instant, WallTime};

/// What a server answers, and when. Each request passes [`Service::head`], [`Service::request`] and
/// [`Service::response`], unless its client leaves before.
pub trait Service {
    /// What the head says of a request whose body is still to come.
    type Asked;
    /// What will be answered.
    type Answer;

    /// Who serves, for the log: `backend A`.
    fn name(&self) -> String;

    /// It begins to serve.
    fn begun(&mut self, _now: Instant) {}

    /// Whether it serves at all; only asked of a server that may vanish, see [`Server::vanishing`](super::Server::vanishing).
    fn presence(&self, _now: Instant) -> Presence {
        Presence::Here { until: None }
    }

    /// It has vanished: nothing is left of what it was doing.
    fn vanished(&mut self) {}

    /// The head of a request has come.
    fn head(&mut self, head: &RequestHead<'_, '_>, now: Instant) -> Self::Asked;

    /// Whether [`Service::request`] is to see the body of that request; otherwise it is read and dropped.
    fn wants_body(asked: &Self::Asked) -> bool;

    /// The request has come whole. Returns the answer and when it is due; what is due by `now` is sent at once.
    fn request(&mut self, asked: Self::Asked, body: &[u8], now: Instant) -> (Self::Answer, Instant);

    /// The answer as it is sent at the civil time `wall`; none: the connection is reset instead.
    fn response<'a>(&'a mut self, answer: &'a Self::Answer, wall: WallTime) -> Option<Response<'a>>;

    /// Another thread has called: whether this answer, which was not due yet, is to be sent now.
    fn settles(&mut self, _answer: &mut Self::Answer) -> bool {
        false
    }

    /// Appends to `out` the next piece of an answer that goes on, see [`Response::every`].
    fn more(&mut self, _wall: WallTime, _out: &mut Vec<u8>) {}

    /// What a client is told whose request is refused before the service hears of it: the media type, and the body.
    fn refusal(&self, status: u16, detail: &str) -> (&'static str, String) {
        ("text/plain; charset=utf-8", sentence(status, detail))
    }
}

/// A response without what depends on its connection.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The status code.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'a str,
    /// Further lines of the head, each with its CR LF.
    pub fields: &'a str,
    /// The body, whole, or its first piece.
    pub body: &'a [u8],
    /// The body goes on until one of both sides closes the connection: [`Service::more`] is asked once in this time.
    /// Who is slow to take what was sent misses what would have come meanwhile.
    pub every: Option<Duration>,
}
