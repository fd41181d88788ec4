//! Clients that send too slowly.
//!
//! Here: how much time a client has for its body, and which slow one gives its place to a newcomer. Not here: what follows
//! (`rules.rs`), whose turn it is (`timeouts.rs`), clients that are idle (`idle_clients.rs`). Floor 3.

use std::collections::VecDeque;
use std::time::Duration;

use super::client::{Client, ClientState};
use super::rules;
use super::{ClientId, Options, Proxy, Timer, Turn};
use crate::net::Net;
use crate::time::Instant;

/// So long a body may take whatever its rate; or `--body-timeout`, if that is shorter.
const FREE: Duration = Duration::from_secs(10);

/// Who has been slow for so long gives way to a newcomer.
const GRACE: Duration = Duration::from_secs(3);

/// How soon all clients are looked at again, at the earliest.
const NEXT_LOOK: Duration = Duration::from_millis(100);

/// How many a look finds at most.
const MOST_FOUND: usize = 64;

/// The time that a client has left for sending its body: it passes while the client has to send, and each byte brings some back.
#[derive(Clone, Copy, Debug)]
pub(super) struct SendTime {
    left_ns: u64,
    /// Since when it passes; `NEVER` while it does not.
    since: Instant,
}

impl Default for SendTime {
    fn default() -> SendTime {
        SendTime { left_ns: u64::MAX, since: Instant::NEVER }
    }
}

impl SendTime {
    /// A body begins.
    pub(super) fn of_body(options: &Options) -> SendTime {
        let free = FREE.min(options.body_timeout);
        SendTime {
            left_ns: if options.min_data_rate == 0 { u64::MAX } else { nanos(free) },
            ..SendTime::default()
        }
    }

    /// It is the client's turn from `now` on. Returns when its time is over.
    pub(super) fn run(&mut self, now: Instant) -> Instant {
        self.pause(now);
        self.since = now;
        self.end()
    }

    /// It is not the client's turn any more.
    pub(super) fn pause(&mut self, now: Instant) {
        if self.since != Instant::NEVER && self.left_ns != u64::MAX {
            self.left_ns = self.left_ns.saturating_sub(now.nanos_since(self.since));
        }
        self.since = Instant::NEVER;
    }

    /// So many bytes have come. Nobody saves up more than may pass without a byte.
    pub(super) fn gain(&mut self, bytes: usize, options: &Options, now: Instant) {
        let was_running = self.since != Instant::NEVER;
        self.pause(now);
        if options.min_data_rate == 0 {
            self.left_ns = u64::MAX;
        } else if self.left_ns != u64::MAX {
            let gained = (bytes as u64).saturating_mul(1_000_000_000) / options.min_data_rate;
            let most = nanos(options.body_timeout);
            self.left_ns = self.left_ns.saturating_add(gained).min(most);
        }
        if was_running {
            self.since = now;
        }
    }

    /// Whether it ends before a client that sends nothing is late.
    pub(super) fn is_short(&self, options: &Options) -> bool {
        self.left_ns < nanos(options.body_timeout)
    }

    fn end(&self) -> Instant {
        Instant::from_nanos(self.since.as_nanos().saturating_add(self.left_ns))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn before(at: Instant, span: Duration) -> Instant {
    Instant::from_nanos(at.as_nanos().saturating_sub(nanos(span)))
}

impl<S> Client<S> {
    /// When it has been slow for so long that others go first; `NEVER` as long as it is not its turn.
    fn gives_way_at(&self, options: &Options) -> Instant {
        let deadline = self.deadline.at();
        if deadline == Instant::NEVER {
            return Instant::NEVER;
        }
        match self.state {
            ClientState::Head => before(deadline, options.header_timeout) + GRACE.min(options.header_timeout),
            ClientState::Busy(_) | ClientState::Flushing(_) if self.unsent.is_some() => {
                before(deadline, options.body_timeout) + GRACE.min(options.body_timeout)
            }
            ClientState::Busy(_) | ClientState::Asking(_) if self.send_time.since != Instant::NEVER => {
                let free = FREE.min(options.body_timeout);
                match self.send_time.left_ns {
                    u64::MAX => Instant::NEVER,
                    _ => before(self.send_time.end(), free.saturating_sub(GRACE)),
                }
            }
            _ => Instant::NEVER,
        }
    }
}

/// Slow clients, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct SlowClients {
    /// The slowest first.
    found: VecDeque<ClientId>,
    /// Before it a look finds nobody.
    not_before: Instant,
}

impl<N: Net> Proxy<N> {
    /// A body that is ours to read goes on, or begins: the client has to send.
    pub(super) fn await_body(&mut self, turn: &mut Turn<'_, N>, id: ClientId, now: Instant) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let limit = client.send_time.run(now).min(now + self.options.body_timeout);
        client.deadline.set(turn.timers, limit, Timer::Client(id));
    }

    /// The slowest of the clients that have been slow for a while. All are looked at ten times a second at most.
    #[cold]
    pub(super) fn slowest_client(&mut self, now: Instant) -> Option<ClientId> {
        let options = &self.options;
        while let Some(id) = self.slow_clients.found.pop_front() {
            if self.clients.get(id).is_some_and(|client| client.gives_way_at(options) <= now) {
                return Some(id);
            }
        }
        if now < self.slow_clients.not_before {
            return None;
        }
        let mut next = now + GRACE;
        let mut slow = Vec::new();
        for (id, client) in self.clients.iter() {
            let at = client.gives_way_at(options);
            if at <= now {
                slow.push((at, id));
            } else {
                next = next.min(at);
            }
        }
        let by_time = |&(at, id): &(Instant, ClientId)| (at, id.index());
        if slow.len() > MOST_FOUND {
            slow.select_nth_unstable_by_key(MOST_FOUND, by_time);
            slow.truncate(MOST_FOUND);
            next = now;
        }
        slow.sort_unstable_by_key(by_time);
        self.slow_clients.found.extend(slow.into_iter().map(|(_, id)| id));
        self.slow_clients.not_before = next.max(now + NEXT_LOOK);
        self.slow_clients.found.pop_front()
    }

    /// A slow client gives its place to others. It is told so if it takes that at once.
    #[cold]
    pub(super) fn cut_slow(&mut self, turn: &mut Turn<'_, N>, id: ClientId) {
        let Some(client) = self.clients.get(id) else { return };
        let departure = rules::client_expired(client.state, client.unsent.is_some(), true);
        self.depart(turn, id, departure);
        self.close_client(turn, id);
    }
}
