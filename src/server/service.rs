//! What a simulated server answers, and when.
//!
//! Here: [`Service`], the part in which simulated servers differ. Not here: connections, which all of them share
//! (`connection.rs`), and the services themselves (`backend.rs`, `classifier.rs`). Floor 3.

use crate::h1::request::RequestHead;
use crate::time::Instant;

/// What a simulated server answers, and when. Each request passes [`Service::head`], [`Service::request`] and
/// [`Service::response`], unless its client leaves before.
pub trait Service {
    /// What the head says of a request whose body is still to come.
    type Asked;
    /// What will be answered.
    type Answer;

    /// Who serves, for the log: `backend A`.
    fn name(&self) -> String;

    /// The head of a request has come.
    fn head(&mut self, head: &RequestHead<'_, '_>, now: Instant) -> Self::Asked;

    /// Whether [`Service::request`] is to see the body of that request; otherwise it is read and dropped.
    fn wants_body(asked: &Self::Asked) -> bool;

    /// The request has come whole. Returns the answer and when it is due; what is due by `now` is sent at once.
    fn request(&mut self, asked: Self::Asked, body: &[u8], now: Instant) -> (Self::Answer, Instant);

    /// The answer as it is sent.
    fn response<'a>(&'a mut self, answer: &'a Self::Answer) -> Response<'a>;
}

/// A response without what depends on its connection.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The status code.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Further lines of the head, each with its CR LF.
    pub fields: &'static str,
    /// The body, whole.
    pub body: &'a [u8],
}
