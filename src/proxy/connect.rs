//! Opening connections to backends.
//!
//! Here: trying the addresses of a backend one after another, and what it means when none can be had. Not here: the end of an
//! attempt (`upstream.rs`), room for one more socket (`idle_clients.rs`). Floor 3.

use std::io;
use std::net::SocketAddr;

use super::exchange::{Course, Owner};
use super::rules::Event;
use super::target::Attempt;
use super::upstream::Upstream;
use super::{ExchangeId, Proxy, Timer, Turn, UPSTREAM, UpstreamId};
use crate::buffer::Buffer;
use crate::net::{Connect, Net, Token, is_exhaustion};
use crate::telemetry::console::{self, ConnectionEvent};

impl<N: Net> Proxy<N> {
    /// Opens a connection to the exchange's backend; `request` goes out when it stands.
    pub(super) fn connect(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        request: Buffer,
        mut attempt: Attempt,
    ) {
        let Some(exchange) = self.exchanges.get_mut(id) else { return self.buffers.put(request) };
        if exchange.course == Course::Reused {
            exchange.course = Course::Fresh;
        }
        let backend = exchange.backend;
        let mut request = Some(request);
        let mut failed = Event::Refused;
        while let Some(address) = self.servers.target(backend).address(attempt) {
            match self.open_upstream(turn, id, address, attempt, &mut request) {
                Ok((upstream_id, next)) => {
                    if next == Connect::TryNow {
                        self.connected(turn, upstream_id, id, attempt);
                    }
                    return;
                }
                Err(e) if is_ours(&e) => {
                    let (now, url) = (turn.now(), self.servers.url(backend));
                    self.told.error(now, || format!("no socket to {url} can be had: {e} ({})", advice(&e)));
                    failed = Event::NoSocket;
                    break;
                }
                Err(_) => attempt = attempt.next(),
            }
        }
        request.into_iter().for_each(|request| self.never_sent(turn, id, request, failed));
    }

    /// No connection came about for this request.
    pub(super) fn never_sent(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        request: Buffer,
        event: Event,
    ) {
        match self.exchanges.get_mut(id) {
            Some(exchange) => exchange.replay = Some(request),
            None => self.buffers.put(request),
        }
        self.happened(turn, id, event);
    }

    /// Begins to connect; takes `request` if that succeeds.
    #[inline(always)]
    fn open_upstream(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ExchangeId,
        address: SocketAddr,
        attempt: Attempt,
        request: &mut Option<Buffer>,
    ) -> io::Result<(UpstreamId, Connect)> {
        let now = turn.now();
        let exchange = self.exchanges.get(id).ok_or(io::ErrorKind::NotFound)?;
        let (owner, backend, logs_in) = (exchange.owner, exchange.backend, exchange.logs_in);
        let (stream, next) = match turn.net.connect(address) {
            Ok(opened) => opened,
            // Copies are not worth another's connection.
            Err(e) if matches!(owner, Owner::Copy(_) | Owner::Nobody) => return Err(e),
            Err(e) => self.connect_instead(turn, address, e)?,
        };
        let mut upstream = Upstream::connecting(stream, backend, id, attempt);
        upstream.belongs = self.belongs(owner, backend, logs_in, now);
        let upstream_id = self.upstreams.insert(upstream);
        let upstream = self.upstreams.get_mut(upstream_id).ok_or(io::ErrorKind::NotFound)?;
        if let Err(e) = turn.net.register(&mut upstream.stream, Token::new(UPSTREAM, upstream_id)) {
            self.upstreams.remove(upstream_id);
            return Err(e);
        }
        upstream.unsent = request.take();
        let limit = now + self.options.connect_timeout;
        upstream.deadline.set(turn.timers, limit, Timer::Upstream(upstream_id));
        self.servers.pool(backend).begin_use();
        if let Some(exchange) = self.exchanges.get_mut(id) {
            exchange.upstream = Some(upstream_id);
        }
        self.counters.connections_opened += 1;
        console::connection(ConnectionEvent::Opened, self.servers.url(backend));
        Ok((upstream_id, next))
    }
}

/// Whether the error says that this machine has run out of something, rather than that the backend is not there.
pub(super) fn is_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, StorageFull};
    // epoll_ctl(2) says ENOSPC when the user watches too many descriptors.
    is_exhaustion(error) || matches!(error.kind(), AddrNotAvailable | StorageFull)
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            "no free local port: use --connections persistent, more of --source-address or a wider net.ipv4.ip_local_port_range"
        }
        _ => "raise the descriptor limit or lower --max-connections",
    }
}
