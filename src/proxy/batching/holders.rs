//! Whose requests take how much of the room.
//!
//! Here: [`Holders`], customers by the bytes that are held for them, as they were a moment ago. It is made only where there
//! is no room, and not for each request that finds none. Not here: who gives way then (`resuming.rs`). Floor 3.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::proxy::TicketId;
use crate::time::Instant;

/// How soon all requests are looked at again, at the earliest.
const NEXT_LOOK: Duration = Duration::from_millis(10);

/// A request, and how much is held for it.
pub(super) struct Held<'a> {
    pub(super) customer: &'a str,
    pub(super) arrived: Instant,
    pub(super) ticket: TicketId,
    pub(super) bytes: usize,
}

/// Customers by how much is held for them.
#[derive(Default)]
pub(super) struct Holders {
    indices: HashMap<Box<str>, usize>,
    holders: Vec<Holder>,
    /// Bytes and index, of those who hold any.
    order: BTreeSet<(usize, usize)>,
    /// Before it the next look is not worth it.
    not_before: Instant,
}

#[derive(Default)]
struct Holder {
    bytes: usize,
    /// The newest last.
    requests: Vec<(Instant, TicketId, usize)>,
}

impl Holders {
    /// Whether all requests are to be looked at again.
    pub(super) fn is_old(&self, now: Instant) -> bool {
        now >= self.not_before
    }

    /// All requests, as they are now.
    pub(super) fn look<'a>(&mut self, all: impl Iterator<Item = Held<'a>>, now: Instant) {
        self.forget();
        self.not_before = now + NEXT_LOOK;
        for held in all {
            let holder = self.holder(held.customer);
            let holder = &mut self.holders[holder];
            holder.bytes += held.bytes;
            holder.requests.push((held.arrived, held.ticket, held.bytes));
        }
        for (index, holder) in self.holders.iter_mut().enumerate() {
            holder.requests.sort_unstable_by_key(|&(arrived, ticket, _)| (arrived, ticket));
            self.order.insert((holder.bytes, index));
        }
    }

    /// Nothing is known any more.
    pub(super) fn forget(&mut self) {
        *self = Holders::default();
    }

    /// The newest request of the customer that holds most, if that is more than `customer` would with so many bytes more;
    /// the customer itself is never the one. It is taken for gone then.
    pub(super) fn newest_of_most(&mut self, customer: &str, more: usize) -> Option<TicketId> {
        let own = self.holder(customer);
        let (bytes, index) = *self.order.last()?;
        if index == own || bytes <= self.holders[own].bytes + more {
            return None;
        }
        self.order.remove(&(bytes, index));
        let holder = &mut self.holders[index];
        let (_, ticket, held) = holder.requests.pop()?;
        holder.bytes -= held;
        self.order.insert((holder.bytes, index));
        Some(ticket)
    }

    /// A customer has taken so many bytes more.
    pub(super) fn took(&mut self, customer: &str, bytes: usize) {
        let index = self.holder(customer);
        let holder = &mut self.holders[index];
        self.order.remove(&(holder.bytes, index));
        holder.bytes += bytes;
        self.order.insert((holder.bytes, index));
    }

    fn holder(&mut self, customer: &str) -> usize {
        if let Some(&index) = self.indices.get(customer) {
            return index;
        }
        self.holders.push(Holder::default());
        self.indices.insert(customer.into(), self.holders.len() - 1);
        self.holders.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;

    #[test]
    fn the_newest_of_the_customer_with_most_gives_way_until_it_has_no_more_than_the_other() {
        let mut slots = Slots::default();
        let ids: Vec<TicketId> = (0..5).map(|_| slots.insert(())).collect();
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        let held =
            |customer, i: usize, bytes| Held { customer, arrived: at(i as u64), ticket: ids[i], bytes };
        let mut holders = Holders::default();
        assert!(holders.is_old(at(5)));
        // In any order.
        let all = [held("a", 2, 10), held("a", 0, 10), held("a", 1, 10), held("b", 3, 8), held("b", 4, 8)];
        holders.look(all.into_iter(), at(5));
        assert!(!holders.is_old(at(14)) && holders.is_old(at(15)));
        assert_eq!(holders.newest_of_most("a", 1), None, "it has most itself");
        assert_eq!(holders.newest_of_most("c", 5), Some(ids[2]));
        // Now `a` has 20, `b` 16.
        assert_eq!(holders.newest_of_most("b", 4), None);
        assert_eq!(holders.newest_of_most("b", 3), Some(ids[1]));
        assert_eq!(holders.newest_of_most("c", 5), Some(ids[4]));
        holders.took("c", 5);
        assert_eq!(holders.newest_of_most("c", 5), None, "they have 10, 8 and 5");
        holders.forget();
        assert_eq!(holders.newest_of_most("c", 0), None);
    }
}
