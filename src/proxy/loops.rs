//! Requests that come back to where they have been.
//!
//! Here: their answer, 508 (RFC 5842 §7.2), so that none runs round until every connection is used up. Not here: knowing them,
//! by our own name in `Via` (`h1/via.rs`); addresses of our own among the backends, which are refused at the start (`config/`).
//! Floor 3.

use super::client::After;
use super::{ClientId, Proxy, Turn};
use crate::h1::BodyLength;
use crate::h1::persistence::Persistence;
use crate::h1::reply::Reply;
use crate::h1::request::RequestHead;
use crate::net::Net;

impl<N: Net> Proxy<N> {
    /// Answers a request that was here before. Returns how many bytes from the beginning of its head are done with.
    #[cold]
    #[inline(never)]
    pub(super) fn turn_back(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: ClientId,
        head: &RequestHead<'_, '_>,
    ) -> usize {
        let now = turn.now();
        self.counters.loops_cut += 1;
        if let Some(client) = self.clients.get(id) {
            let from = String::from_utf8_lossy(client.address.as_bytes());
            self.turned_back.error(now, || {
                format!("a request came back from {from}, and was answered with 508: this proxy, or one that sends requests to it, is among the backends")
            });
        }
        let keep = head.body == BodyLength::None
            && head.persistence == Persistence::KeepAlive
            && self.serves_another(id, now);
        let reply = Reply {
            status: 508,
            reason: Some("loop-detected"),
            fields: "",
            detail: "the request has come back to a proxy that has sent it on",
            to_head: head.is_head(),
            version: head.version,
            persistence: if keep { Persistence::KeepAlive } else { Persistence::Close },
        };
        self.reply(turn, id, &reply, if keep { After::KeepAlive } else { After::Linger });
        self.tell_soon(turn);
        if keep { head.len } else { head.len + head.rest().len() }
    }
}
