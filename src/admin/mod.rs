//! Watching and steering the proxy over HTTP.
//!
//! Here: [`Admin`], the service behind the admin listener. `route.rs` says what there is, `guard.rs` who is let near,
//! `control.rs` changes things, `status.rs`, `data.rs`, `live.rs` and `metrics/` render what telemetry has published,
//! `page/` is for browsers. It reads snapshots and sends commands, so that the proxy never waits for it. Not here:
//! connections (`server/`), the figures (`telemetry/`), what a command does (`proxy/`). `cli/` starts it. Floor 3.

mod asked;
mod configuration;
mod control;
mod data;
mod facts;
mod guard;
mod live;
mod metrics;
mod page;
mod problem;
mod route;
mod status;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::command::{Reload, ReloadFailure, Reloaded};
use crate::h1::request::RequestHead;
use crate::net::{Net, Wakes};
use crate::remote::{Bell, Remote};
use crate::server::{Limits, Response, Server, Service};
use crate::telemetry::Snapshots;
use crate::time::{Instant, WallTime};

use asked::Asked;
use control::Pending;
use page::File;
use problem::Problem;
use route::{Call, Page};

pub use configuration::{Configuration, InForce, SettingFacts};
pub use facts::Facts;

/// The grain of its deadlines, for [`crate::reactor::Reactor::new`].
pub const TICK_SHIFT: u32 = 20;

/// What the listener bears: a few browsers, scrapers and scripts. Half of the places are never those of event streams, and
/// who is idle or slow there gives way, so that whoever asks for health or metrics is always answered.
pub const LIMITS: Limits = Limits {
    connections: 64,
    evicts: true,
    streams: 32,
    body_bytes: 64 * 1024,
    request: Duration::from_secs(10),
    idle: Duration::from_secs(75),
    stop: Duration::from_secs(1),
};

/// How often a page that watches hears something.
const EVENT_INTERVAL: Duration = Duration::from_millis(500);

/// How long the proxy may take to obey.
const OBEDIENCE: Duration = Duration::from_secs(5);

/// How long a reload may take: names are looked up, of which some may have no answer.
const RELOADING: Duration = Duration::from_secs(30);

const JSON: &str = "application/json";

/// A field of everything that changes.
const NO_STORE: &str = "Cache-Control: no-store\r\n";

/// The way to whoever reads the settings.
pub type Reloads = Remote<Bell, Reload, Result<Reloaded, ReloadFailure>>;

/// The admin listener on a reactor.
pub type AdminServer<N> = Server<N, Admin<<N as Net>::Waker>>;

/// What is answered on the admin listener.
pub struct Admin<W> {
    facts: Facts,
    snapshots: Snapshots,
    remote: Remote<W>,
    reloads: Reloads,
    live: live::Live,
    clock: data::LocalTime,
    /// The body of the answer that is being sent.
    body: String,
}

/// An answer, before it is sent.
pub enum Answer {
    /// A part of the page; `known` if its asker has it already.
    File {
        /// Which.
        file: File,
        /// The fields of its head.
        fields: String,
        /// Whether there is no need to send it.
        known: bool,
    },
    /// Rendered when it is sent.
    Page(Page),
    /// Ready as it is.
    Told(Told),
    /// The proxy has been asked.
    Pending(Pending),
}

/// An answer that is known.
#[derive(Debug)]
pub struct Told {
    status: u16,
    content_type: &'static str,
    fields: String,
    body: String,
}

impl Told {
    fn json(status: u16, body: String) -> Told {
        Told { status, content_type: JSON, fields: NO_STORE.to_owned(), body }
    }
}

impl From<Problem> for Told {
    fn from(problem: Problem) -> Told {
        Told {
            status: problem.status,
            content_type: problem::MEDIA_TYPE,
            fields: format!("{NO_STORE}{}", problem.fields),
            body: problem.body(),
        }
    }
}

impl<W: Wakes> Admin<W> {
    /// The service for a proxy of which `facts` are known, which publishes `snapshots` and obeys `remote`, and whose settings
    /// are read again by who obeys `reloads`.
    pub fn new(facts: Facts, snapshots: Snapshots, remote: Remote<W>, reloads: Reloads) -> Admin<W> {
        Admin {
            facts,
            snapshots,
            remote,
            reloads,
            live: live::Live::default(),
            clock: data::LocalTime::default(),
            body: String::new(),
        }
    }

    fn call(&mut self, asked: Asked, body: &[u8]) -> Answer {
        let Asked { call, known } = asked;
        match call {
            Call::Load(file) => Answer::File { file, fields: file.fields(), known },
            Call::Show(page) => Answer::Page(page),
            Call::Steer(steering) => {
                match control::begin(steering, body, &self.snapshots, (&self.remote, &self.reloads)) {
                    Ok(pending) => Answer::Pending(pending),
                    Err(problem) => Answer::Told(problem.into()),
                }
            }
        }
    }

    /// Renders a page into `self.body`.
    fn render(&mut self, page: Page, wall: WallTime) -> (&'static str, &'static str) {
        let snapshot = self.snapshots.latest();
        let facts = &self.facts;
        let body = &mut self.body;
        body.clear();
        match page {
            Page::Health => body.push_str("{\"healthy\":true}\n"),
            Page::Data => data::write(&snapshot, &mut self.clock, body),
            Page::Status => *body = status::status(facts, &snapshot, wall).to_string(),
            Page::Backends => *body = status::servers(&snapshot).to_string(),
            Page::Config => *body = status::config(facts).to_string(),
            Page::Live => self.live.write(facts, &snapshot, wall, body),
            Page::Events => {
                self.live.open_feed(facts, &snapshot, wall, body);
                return ("text/event-stream; charset=utf-8", NO_STORE);
            }
            Page::Metrics(format) => {
                metrics::write(facts, snapshot, format, body);
                return (format.media_type(), NO_STORE);
            }
        }
        (JSON, NO_STORE)
    }
}

impl<W: Wakes> Service for Admin<W> {
    type Asked = Result<Asked, Problem>;
    type Answer = Answer;

    fn name(&self) -> String {
        "dashboard".to_owned()
    }

    fn head(&mut self, head: &RequestHead<'_, '_>, _now: Instant) -> Self::Asked {
        Asked::read(head, self.facts.admin)
    }

    fn wants_body(asked: &Self::Asked) -> bool {
        matches!(asked, Ok(asked) if asked.call.wants_body())
    }

    fn request(&mut self, asked: Self::Asked, body: &[u8], now: Instant) -> (Answer, Instant) {
        let answer = match asked {
            Ok(asked) => self.call(asked, body),
            Err(problem) => Answer::Told(problem.into()),
        };
        let due = match &answer {
            Answer::Pending(pending) if pending.is_reload() => now + RELOADING,
            Answer::Pending(_) => now + OBEDIENCE,
            Answer::File { .. } | Answer::Page(_) | Answer::Told(_) => now,
        };
        (answer, due)
    }

    fn settles(&mut self, answer: &mut Answer) -> bool {
        let Answer::Pending(pending) = answer else { return false };
        match pending.told() {
            Some(told) => {
                *answer = Answer::Told(told);
                true
            }
            None => false,
        }
    }

    fn response<'a>(&'a mut self, answer: &'a Answer, wall: WallTime) -> Option<Response<'a>> {
        let (status, content_type, fields, every) = match answer {
            Answer::File { file, fields, known } => {
                let status = if *known { 304 } else { 200 };
                let (content_type, body) = (file.content_type(), file.text().as_bytes());
                return Some(Response { status, content_type, fields, body, every: None });
            }
            Answer::Page(page) => {
                let (content_type, fields) = self.render(*page, wall);
                (200, content_type, fields, (*page == Page::Events).then_some(EVENT_INTERVAL))
            }
            Answer::Told(Told { status, content_type, fields, body }) => {
                let (status, fields, body) = (*status, fields.as_str(), body.as_bytes());
                return Some(Response { status, content_type, fields, body, every: None });
            }
            Answer::Pending(pending) => {
                let Told { status, content_type, body, .. } = pending.unanswered();
                self.body = body;
                (status, content_type, NO_STORE, None)
            }
        };
        Some(Response { status, content_type, fields, body: self.body.as_bytes(), every })
    }

    fn more(&mut self, wall: WallTime, out: &mut Vec<u8>) {
        let snapshot = self.snapshots.latest();
        self.body.clear();
        self.live.write_event(&self.facts, &snapshot, wall, &mut self.body);
        out.extend_from_slice(self.body.as_bytes());
    }

    fn refusal(&self, status: u16, detail: &str) -> (&'static str, String) {
        (problem::MEDIA_TYPE, Problem::new(status, detail).body())
    }
}
