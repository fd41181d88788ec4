//! Fewest requests in flight.
//!
//! Here: [`LeastRequests`]: of all backends that may be chosen the one with the fewest attempts in flight, ties in turn.
//! This is nginx's `least_conn` and HAProxy's `leastconn` without weights, counted in requests as Envoy does in
//! `LEAST_REQUEST` with a choice of all. `Balance` alone uses it. Floor 1.

use super::Backend;

/// Whose turn it is among equals.
#[derive(Debug, Default)]
pub(super) struct LeastRequests {
    next: usize,
}

impl LeastRequests {
    /// Chooses among the `usable` positions of `backends`; `None` if there are none.
    pub(super) fn select(&mut self, backends: &[Backend], usable: &[u16]) -> Option<usize> {
        let turn = usable.partition_point(|&index| usize::from(index) < self.next);
        let (before, from) = usable.split_at(turn);
        let order = from.iter().chain(before).map(|&index| usize::from(index));
        // Of equal ones, `min_by_key` takes the first.
        let index = order.min_by_key(|&index| backends[index].in_flight())?;
        self.next = index + 1;
        Some(index)
    }
}
