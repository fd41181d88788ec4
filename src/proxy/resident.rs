//! What the proxy keeps in memory for others.
//!
//! Here: [`Resident`], counted afresh for the world that holds it to a bound. Not on the hot path. Floor 3.

use super::Proxy;
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

impl<N: Net> Proxy<N> {
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
