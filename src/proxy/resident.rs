//! What the proxy keeps for others: memory and connections.
//!
//! Here: [`Resident`] and [`Pooled`], counted afresh for the world that holds it to a bound. Not on the hot path. Floor 3.

use super::Proxy;
use super::upstream::UpstreamState;
use crate::buffer::Buffer;
use crate::net::Net;

/// Bytes in buffers, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// What waits on connections, and requests kept for another sending.
    pub connections: usize,
    /// Bodies of batched requests and their answers.
    pub batching: usize,
    /// Buffers that wait to be used again.
    pub kept: usize,
}

/// Connections to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pooled {
    /// At rest for anybody.
    pub idle: usize,
    /// At rest for one client.
    pub kept: usize,
    /// Those that carry something or are being opened.
    pub busy: usize,
}

impl<N: Net> Proxy<N> {
    /// Of each server, how many connections to it rest for anybody and how many for one client, and how many carry something.
    pub fn pooled(&self) -> Vec<Pooled> {
        let mut counts = vec![Pooled::default(); self.servers.pools.len()];
        for (_, upstream) in self.upstreams.iter() {
            let Pooled { idle, kept, busy } = &mut counts[usize::from(upstream.backend.0)];
            *match upstream.state {
                UpstreamState::Idle => idle,
                UpstreamState::Kept(_) => kept,
                _ => busy,
            } += 1;
        }
        counts
    }

    /// How many clients there are.
    pub fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// What is kept now.
    pub fn resident(&self) -> Resident {
        let bytes = |buffer: &Option<Buffer>| buffer.as_ref().map_or(0, Buffer::capacity);
        let clients = self.clients.iter().map(|(_, c)| bytes(&c.pending) + bytes(&c.unsent));
        let upstreams = self.upstreams.iter().map(|(_, u)| bytes(&u.pending) + bytes(&u.unsent));
        let replays = self.exchanges.iter().map(|(_, e)| bytes(&e.replay));
        Resident {
            connections: clients.chain(upstreams).chain(replays).sum(),
            batching: self.batching.as_ref().map_or(0, |batching| batching.bytes()),
            kept: self.buffers.bytes_kept(),
        }
    }
}
