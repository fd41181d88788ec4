//! A well-behaved backend that notes what comes.
//!
//! Here: [`Witness`], the simulated backend's own answers, with a note in the [`Ledger`] of each request and each answer. Not
//! here: what it answers (`testbed/`). Floor 4.

use super::ledger::Ledger;
use super::serial_of;
use crate::h1::request::RequestHead;
use crate::server::{Presence, Response, Service};
use crate::testbed::Greetings;
use crate::time::{Instant, WallTime};

/// A service with a witness.
pub(super) struct Witness {
    pub(super) greetings: Greetings,
    pub(super) ledger: Ledger,
    /// Its position in the proxy's configuration.
    pub(super) backend: usize,
}

/// What it notes of a request: its number, if it is one of a user's.
pub(super) struct Noted<T> {
    serial: Option<u64>,
    of: T,
}

impl Service for Witness {
    type Asked = Noted<<Greetings as Service>::Asked>;
    type Answer = Noted<<Greetings as Service>::Answer>;

    fn name(&self) -> String {
        self.greetings.name()
    }

    fn begun(&mut self, now: Instant) {
        self.greetings.begun(now);
    }

    fn presence(&self, now: Instant) -> Presence {
        self.greetings.presence(now)
    }

    fn vanished(&mut self) {
        self.greetings.vanished();
    }

    fn head(&mut self, head: &RequestHead<'_, '_>, now: Instant) -> Self::Asked {
        let serial = serial_of(head.target);
        if let Some(serial) = serial {
            self.ledger.arrived(serial, head.is_idempotent(), self.backend);
        }
        Noted { serial, of: self.greetings.head(head, now) }
    }

    fn wants_body(asked: &Self::Asked) -> bool {
        Greetings::wants_body(&asked.of)
    }

    fn request(&mut self, asked: Self::Asked, body: &[u8], now: Instant) -> (Self::Answer, Instant) {
        let (of, due) = self.greetings.request(asked.of, body, now);
        (Noted { serial: asked.serial, of }, due)
    }

    fn response<'a>(&'a mut self, answer: &'a Self::Answer, wall: WallTime) -> Option<Response<'a>> {
        let response = self.greetings.response(&answer.of, wall);
        if let (Some(_), Some(serial)) = (&response, answer.serial) {
            self.ledger.answered(serial, self.backend);
        }
        response
    }
}
