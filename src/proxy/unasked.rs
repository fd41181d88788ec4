//! Bytes from a backend that no request asked for.
//!
//! Here: looking for them, and what follows when a connection speaks while it rests, or says more than the answer: it is closed, counted and told,
//! and the backend's connections pass from no client to another for a while. Nothing in HTTP/1.1 tells such bytes from the
//! next request's answer once that request has gone out, so the first are the only warning. Not here: noticing them
//! elsewhere (`upstream.rs`, `exchange.rs`). Floor 3.

use std::io::Read;
use std::time::Duration;

use super::upstream::Upstream;
use super::{Proxy, Turn, UpstreamId};
use crate::balance::BackendId;
use crate::net::{Net, Stream};

/// For so long no client gets a connection that another one has used. HAProxy and nginx have no such memory; a minute is as long as
/// a connection rests by default, so that none of that time is left.
const DISTRUST: Duration = Duration::from_secs(60);

/// A connection that has carried many exchanges is looked at after so many more. A power of two.
const LOOKED_AT_EVERY: u8 = 64;

/// As much of the bytes is told.
const TOLD_BYTES: usize = 40;

impl<S: Stream> Upstream<S> {
    /// It has carried one exchange more. Whether it says more than the answer, as far as that is looked at: after its first exchanges
    /// and then after every 64th. A backend's system holds back a small second write until the first is acknowledged, which
    /// ours does with the next request: without a look the second would be taken for the answer to that, and every later
    /// answer for that to the request after its own, as long as the connection rests for no 40 ms. To look costs two calls
    /// of the system, too many for each exchange.
    #[inline]
    pub(super) fn goes_on(&mut self) -> bool {
        self.carried += 1;
        self.carried.is_power_of_two() && self.says_more()
    }

    #[cold]
    fn says_more(&mut self) -> bool {
        if self.carried == 2 * LOOKED_AT_EVERY {
            self.carried = LOOKED_AT_EVERY;
        }
        self.stream.acknowledge();
        self.stream.has_unread()
    }
}

impl<N: Net> Proxy<N> {
    /// A connection that has carried its exchange says more than the answer.
    #[cold]
    pub(super) fn goes_on(&mut self, turn: &mut Turn<'_, N>, id: UpstreamId) {
        let Some(upstream) = self.upstreams.get_mut(id) else { return };
        let (mut said, backend) = ([0; TOLD_BYTES], upstream.backend);
        let told = upstream.stream.read(&mut said).unwrap_or(0);
        self.close_soon(turn, id);
        self.spoke_unasked(turn, backend, &said[..told]);
    }

    /// A connection to `backend` has brought such bytes: `said`, as far as they are at hand. It is closed by the caller.
    #[cold]
    pub(super) fn spoke_unasked(&mut self, turn: &mut Turn<'_, N>, backend: BackendId, said: &[u8]) {
        if is_farewell(said) {
            return;
        }
        let now = turn.now();
        self.counters.connections_unasked += 1;
        self.servers.pool(backend).distrust(now + DISTRUST);
        self.close_pool(turn, backend);
        let url = self.servers.url(backend);
        self.unasked.warn(now, || {
            let what = match said {
                [] => "more than its answer".to_owned(),
                _ => format!("bytes that no request asked for (\"{}\")", said[..said.len().min(TOLD_BYTES)].escape_ascii()),
            };
            format!(
                "{url} sent {what}: the connection is closed, and for {DISTRUST:?} no connection to it passes from one client \
                 to another"
            )
        });
        self.tell_soon(turn);
    }
}

/// A 408 is how a server may say that it closes a connection that has rested too long (RFC 9110 §15.5.9): it is no answer to anything.
fn is_farewell(said: &[u8]) -> bool {
    said.starts_with(b"HTTP/1.1 408 ") || said.starts_with(b"HTTP/1.0 408 ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_408_is_a_farewell() {
        assert!(is_farewell(b"HTTP/1.1 408 Request Timeout\r\n") && is_farewell(b"HTTP/1.0 408 \r\n"));
        assert!(!is_farewell(b"") && !is_farewell(b"HTTP/1.1 200 OK\r\n") && !is_farewell(b"HTTP/1.1 408"));
    }
}
