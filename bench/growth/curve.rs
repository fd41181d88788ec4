//! What is made larger, step by step.
//!
//! Here: the curves, their steps, and one run of a step. Everything else is as in [`Curve::start`]. Not here: what becomes of the
//! figures (`told.rs`, `picture.rs`).

use std::net::SocketAddr;

use super::common::sample::{Effort, Sample};
use super::common::server::{Backend, Running, TINY, tidegate};
use super::common::wrk::{self, Wanted};
use super::crowd::Crowd;

/// What the steps of the others have of each.
const USUAL_CLIENTS: usize = 100;
const USUAL_BACKENDS: usize = 3;

/// About how long a field is that fills a head, with its name and line end.
const FIELD_BYTES: usize = 200;

/// One quantity that grows, under one kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    /// Connections that all ask.
    Busy,
    /// Connections of which some ask, in turn.
    InTurn,
    /// Backends, in turn.
    RoundRobin,
    /// Backends, chosen by what is known of them.
    Adaptive,
    /// Bytes of the request's head.
    Head,
    /// Bytes of the answer's body.
    Body,
}

impl Curve {
    pub(crate) const ALL: [Curve; 6] =
        [Curve::Busy, Curve::InTurn, Curve::RoundRobin, Curve::Adaptive, Curve::Head, Curve::Body];

    /// Its name in the file of figures.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Curve::Busy => "connections",
            Curve::InTurn => "connections-in-turn",
            Curve::RoundRobin => "backends",
            Curve::Adaptive => "backends-adaptive",
            Curve::Head => "head-bytes",
            Curve::Body => "body-bytes",
        }
    }

    /// The values, ascending. All that ask need a connection at both sides of the proxy: 10,000 of them would be more descriptors
    /// than a process may have here.
    pub(crate) const fn steps(self) -> &'static [usize] {
        match self {
            Curve::Busy => &[1, 10, 100, 1_000, 5_000],
            Curve::InTurn => &[100, 1_000, 5_000, 10_000],
            Curve::RoundRobin | Curve::Adaptive => &[3, 10, 100, 1_000],
            Curve::Head => &[100, 500, 1_000, 4_000, 16_000],
            Curve::Body => &BODIES,
        }
    }

    /// One run: a new proxy, which must first pass on what is asked whole.
    pub(crate) fn run(self, step: usize, effort: &Effort, backend: &Backend) -> Result<Sample, String> {
        let proxy = self.start(step, backend)?;
        let wanted = self.wanted(step, proxy.address);
        let body = if self == Curve::Body { step } else { TINY.len() };
        let fields: String = filler(self.filling(step, proxy.address)).map(|field| field + "\r\n").collect();
        proxy.expect(
            &format!("GET {} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{fields}\r\n", wanted.target),
            body,
        )?;
        if self == Curve::InTurn {
            let mut crowd = Crowd::connect(proxy.address, step)?;
            return Sample::take(proxy.id(), effort, |seconds| crowd.load(seconds));
        }
        Sample::take(proxy.id(), effort, |seconds| wrk::run(&wanted, proxy.address, seconds))
    }

    fn start(self, step: usize, backend: &Backend) -> Result<Running, String> {
        let (routing, backends) = match self {
            Curve::Busy | Curve::InTurn | Curve::Head | Curve::Body => ("round-robin", USUAL_BACKENDS),
            Curve::RoundRobin => ("round-robin", step),
            Curve::Adaptive => ("adaptive", step),
        };
        tidegate(
            backend.addresses().take(backends),
            &["--admin=off".to_owned(), format!("--routing={routing}")],
        )
    }

    fn wanted(self, step: usize, proxy: SocketAddr) -> Wanted {
        let target = if self == Curve::Body { format!("/{step}") } else { "/tiny".to_owned() };
        let clients = if self == Curve::Busy { step } else { USUAL_CLIENTS };
        let options = filler(self.filling(step, proxy)).flat_map(|field| ["-H".to_owned(), field]).collect();
        Wanted { target, clients, options }
    }

    /// How many bytes a head needs beside those that wrk sends anyway.
    fn filling(self, step: usize, proxy: SocketAddr) -> usize {
        let own = format!("GET /tiny HTTP/1.1\r\nHost: {proxy}\r\n\r\n").len();
        if self == Curve::Head { step.saturating_sub(own) } else { 0 }
    }
}

/// The sizes of bodies that the backend has.
pub(crate) const BODIES: [usize; 6] = [0, 1 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// The most backends.
pub(crate) const BACKENDS: usize = 1_000;

/// Fields of so many bytes in all with their line ends, which they are given without.
fn filler(bytes: usize) -> impl Iterator<Item = String> {
    let count = (bytes / FIELD_BYTES).max(bytes.min(1));
    (0..count).map(move |n| {
        let mine = bytes / count + usize::from(n < bytes % count);
        let name = format!("X-Filler-{n:02}: ");
        format!("{name}{}", "a".repeat(mine - name.len() - 2))
    })
}
