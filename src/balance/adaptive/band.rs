//! Whose cost wins.
//!
//! Here: [`Bid`], what a backend would cost, and the choice among bids. Not here: the cost itself (`cost.rs`). Floor 1.

/// Costs so much above the least are as good as it: the fewest in flight wins. Estimates are no better than that, and whoever
/// always takes the least sends all to one. With 0, unequal capacities at 95 % go from 18.7 to 22.0 ms.
pub(super) const BAND: f64 = 0.2;

/// So often the winner may turn out to be stalled before the least cost is taken without asking.
const MOST_ROUNDS: usize = 4;

/// What a request would cost at a backend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bid {
    pub(super) backend: u16,
    pub(super) in_flight: u32,
    /// By its load line.
    pub(super) quoted_ms: f64,
    /// The same, until its requests in flight tell otherwise.
    pub(super) cost_ms: f64,
    pub(super) keeps_promise: bool,
}

/// The best of `bids` that `allowed` lets pass, of equal ones the first; `None` if it lets none pass. `stalled_ms` tells what
/// the requests at a backend have waited, if that is more than the bid.
pub(super) fn best(
    bids: &mut [Bid],
    allowed: impl Fn(&Bid) -> bool,
    stalled_ms: impl Fn(&Bid) -> Option<f64>,
) -> Option<Bid> {
    bids.iter_mut().for_each(|bid| bid.cost_ms = bid.quoted_ms);
    for _ in 0..MOST_ROUNDS {
        let limit = least(bids, &allowed)?.cost_ms * (1.0 + BAND);
        let in_band = bids.iter_mut().filter(|bid| allowed(bid) && bid.cost_ms <= limit);
        let winner = in_band.min_by_key(|bid| bid.in_flight)?;
        match stalled_ms(winner) {
            Some(waited) => winner.cost_ms = waited,
            None => return Some(*winner),
        }
    }
    least(bids, &allowed)
}

fn least(bids: &[Bid], allowed: &impl Fn(&Bid) -> bool) -> Option<Bid> {
    let allowed = bids.iter().filter(|bid| allowed(bid));
    allowed.min_by(|a, b| a.cost_ms.total_cmp(&b.cost_ms)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bids(costs: &[(f64, u32)]) -> Vec<Bid> {
        let bid = |(i, &(cost, in_flight)): (usize, &(f64, u32))| Bid {
            backend: i as u16,
            in_flight,
            quoted_ms: cost,
            cost_ms: 0.0,
            keeps_promise: i % 2 == 1,
        };
        costs.iter().enumerate().map(bid).collect()
    }

    fn winner(costs: &[(f64, u32)], stalled: impl Fn(&Bid) -> Option<f64>) -> Option<u16> {
        best(&mut bids(costs), |_| true, stalled).map(|bid| bid.backend)
    }

    #[test]
    fn within_a_fifth_of_the_least_cost_the_fewest_in_flight_wins_of_equals_the_first() {
        assert_eq!(winner(&[(100.0, 9), (119.0, 3), (121.0, 0), (110.0, 3)], |_| None), Some(1));
        assert_eq!(winner(&[], |_| None), None);
    }

    #[test]
    fn a_stalled_winner_costs_what_its_requests_have_waited() {
        let stalled = |bid: &Bid| (bid.backend == 0 && bid.cost_ms < 500.0).then_some(500.0);
        assert_eq!(winner(&[(100.0, 1), (300.0, 9)], stalled), Some(1));
        assert_eq!(winner(&[(100.0, 1), (600.0, 9)], stalled), Some(0));
    }

    #[test]
    fn if_one_after_another_is_stalled_the_one_that_waited_least_is_taken() {
        let costs = [(1.0, 0), (1.0, 0), (1.0, 0), (1.0, 0), (100.0, 0)];
        let stalled = |bid: &Bid| (bid.backend < 4).then_some(10.0 - f64::from(bid.backend));
        assert_eq!(winner(&costs, stalled), Some(3));
    }

    #[test]
    fn a_second_choice_among_some_begins_from_the_quoted_costs() {
        let mut bids = bids(&[(1.0, 0), (2.0, 0), (3.0, 0), (4.0, 0)]);
        let first = best(&mut bids, |_| true, |bid| (bid.backend == 0).then_some(9.0)).unwrap();
        assert_eq!(first.backend, 1);
        let second = best(&mut bids, |bid| bid.backend != 1, |_| None).unwrap();
        assert_eq!((second.backend, second.cost_ms), (0, 1.0));
    }
}
