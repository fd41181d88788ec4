//! Clients of whom only some ask at any time.
//!
//! Here: a closed loop over many connections that takes them in turn. Not here: loops in which all ask (`common/wrk.rs`).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::common::client::Client;
use super::common::wrk::Load;

/// How many requests are under way at any time.
pub(crate) const BUSY: usize = 100;

/// Connected clients, in the order in which they ask.
pub(crate) struct Crowd {
    clients: Vec<Client>,
    next: usize,
}

impl Crowd {
    /// Connects so many, each of which is served once.
    pub(crate) fn connect(proxy: SocketAddr, count: usize) -> Result<Crowd, String> {
        let connect = |n| Client::connect(proxy).map_err(|e| format!("client {n} of {count}: {e}"));
        Ok(Crowd { clients: (1..=count).map(connect).collect::<Result<_, _>>()?, next: 0 })
    }

    /// Asks for so long, each after the one before it; answers are taken in the same order.
    pub(crate) fn load(&mut self, seconds: u64) -> Result<Load, String> {
        let mut latencies = Histogram::<u64>::new(3).expect("three digits are possible");
        let mut under_way = VecDeque::with_capacity(BUSY);
        let start = now();
        let end = start + Duration::from_secs(seconds);
        let mut time = start;
        loop {
            while under_way.len() < BUSY.min(self.clients.len()) && time < end {
                self.clients[self.next].send().map_err(|e| format!("client {}: {e}", self.next))?;
                under_way.push_back((self.next, time));
                self.next = (self.next + 1) % self.clients.len();
            }
            let Some((client, sent)) = under_way.pop_front() else { break };
            self.clients[client].receive().map_err(|e| format!("client {client}: {e}"))?;
            time = now();
            latencies += (time - sent).as_nanos() as u64;
        }
        let quantile_ms = |q| latencies.value_at_quantile(q) as f64 / 1e6;
        Ok(Load {
            requests: latencies.len(),
            seconds: (time - start).as_secs_f64(),
            p50_ms: quantile_ms(0.5),
            p99_ms: quantile_ms(0.99),
            errors: Vec::new(),
        })
    }
}

#[allow(clippy::disallowed_methods, reason = "an outside judge has a clock of its own")]
fn now() -> Instant {
    Instant::now()
}
