//! What must hold of batching between any two events.
//!
//! Here: tickets and their clients, jobs and their tickets. Not on the hot path. Floor 3.

use super::{Batching, Stage, Ticket};
use crate::codec::Element;
use crate::net::Net;
use crate::proxy::Proxy;
use crate::proxy::check::ensure;
use crate::proxy::client::ClientState;

impl Batching {
    /// How many bytes the bodies of requests and answers take.
    pub(in crate::proxy) fn bytes(&self) -> usize {
        let of_ticket = |ticket: &Ticket| match &ticket.stage {
            Stage::Gathering(gathering) => gathering.body.capacity(),
            Stage::Asked => 0,
            Stage::Queued(queued) => {
                let elements = queued.elements.capacity() * size_of::<Element>();
                queued.body.capacity() + elements + queued.answers.capacity()
            }
        };
        let tickets = self.tickets.iter().map(|(_, ticket)| of_ticket(ticket));
        let calls = self.calls.iter().map(|(_, call)| call.answer.capacity());
        tickets.chain(calls).sum::<usize>() + self.body.capacity() + self.keys.bytes()
    }
}

impl<N: Net> Proxy<N> {
    /// Checks that each ticket's client waits for it, that the queue knows each ticket's job, and no other. Returns how
    /// many buffers tickets and calls hold.
    pub(in crate::proxy) fn check_batching(&self) -> Result<usize, String> {
        let asking = self.clients.iter().filter(|(_, c)| matches!(c.state, ClientState::Asking(_))).count();
        let Some(batching) = &self.batching else { return Ok(0) };
        ensure(asking == batching.tickets.len(), || {
            format!("{asking} clients ask, {} tickets", batching.tickets.len())
        })?;
        let mut jobs = 0;
        for (id, ticket) in batching.tickets.iter() {
            let client = self.clients.get(ticket.client);
            ensure(client.is_some_and(|c| c.state == ClientState::Asking(id)), || {
                format!("ticket {id:?}: its client {:?} does not wait for it", ticket.client)
            })?;
            if let Stage::Queued(queued) = &ticket.stage {
                jobs += 1;
                ensure(batching.by_job.get(queued.job) == Some(id), || {
                    format!("ticket {id:?}: its job {:?} is not its own", queued.job)
                })?;
                ensure(queued.missing > 0, || format!("ticket {id:?} has all its results and waits"))?;
            }
        }
        ensure(jobs == batching.by_job.len() && jobs == batching.keys.jobs(), || {
            format!(
                "{jobs} jobs, {} known by number, {} with a key",
                batching.by_job.len(),
                batching.keys.jobs()
            )
        })?;
        let held: usize = batching.tickets.iter().map(|(_, ticket)| ticket.held).sum();
        let (kept, room) = (batching.keys.bytes(), &batching.room);
        ensure(held + kept == room.held(), || {
            format!("tickets hold {held} bytes and keys {kept}, {} by the books", room.held())
        })?;
        let calls: usize = batching.calls.iter().map(|(_, call)| call.held).sum();
        ensure(calls == room.calls(), || format!("calls take {calls} bytes, {} by the books", room.calls()))?;
        for (id, bytes) in room.unread.iter() {
            let unsent = self.clients.get(id).and_then(|client| client.unsent.as_ref());
            ensure(unsent.is_some_and(|unsent| unsent.capacity() <= bytes), || {
                format!("client {id:?} reads {bytes} bytes no more, but has {unsent:?}")
            })?;
        }
        let (sent, calls) = (batching.queue.in_flight(), batching.calls.len());
        ensure(sent == calls, || format!("{sent} batches in flight by the queue's books, {calls} sent"))?;
        ensure(batching.queue.depth() <= jobs, || {
            format!("{} jobs wait in the queue, {jobs} tickets", batching.queue.depth())
        })?;
        Ok(batching.tickets.len() + calls)
    }
}
