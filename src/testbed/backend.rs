//! What a simulated backend answers.
//!
//! Here: [`Greetings`], 200 and a line of text after the next latency of a profile. Not here: the profiles
//! (`profile.rs`), connections (`connection.rs`). Floor 3.

use std::io::Write;
use std::time::Duration;

use super::{Millis, Profile};
use crate::h1::request::RequestHead;
use crate::server::{Response, Service};
use crate::time::{Instant, WallTime};

/// Answers any request with a line that names the backend and the latency. Any number of requests wait at once: it
/// sleeps, it does not queue.
pub struct Greetings {
    id: char,
    profile: Profile,
    /// How many requests have arrived.
    arrived: u64,
    text: Vec<u8>,
}

impl Greetings {
    pub(super) fn new(id: char, profile: Profile) -> Greetings {
        Greetings { id, profile, arrived: 0, text: Vec::with_capacity(64) }
    }
}

/// The latency of one request.
pub struct Greeting {
    latency: Duration,
    due: Instant,
}

impl Service for Greetings {
    type Asked = Greeting;
    type Answer = Greeting;

    fn name(&self) -> String {
        format!("backend {}", self.id)
    }

    /// The latency counts from here, however long the body takes.
    fn head(&mut self, _head: &RequestHead<'_, '_>, now: Instant) -> Greeting {
        let latency = self.profile.step(self.arrived);
        self.arrived += 1;
        Greeting { latency, due: now + latency }
    }

    fn wants_body(_asked: &Greeting) -> bool {
        false
    }

    fn request(&mut self, asked: Greeting, _body: &[u8], _now: Instant) -> (Greeting, Instant) {
        let due = asked.due;
        (asked, due)
    }

    fn response<'a>(&'a mut self, answer: &'a Greeting, _wall: WallTime) -> Response<'a> {
        self.text.clear();
        // Writing to a Vec cannot fail.
        let _ = writeln!(self.text, "Hello from {} – simulated {}ms", self.id, Millis(answer.latency));
        let content_type = "text/plain; charset=utf-8";
        Response { status: 200, content_type, fields: "", body: &self.text, every: None }
    }
}
