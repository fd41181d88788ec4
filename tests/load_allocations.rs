//! In steady state a generator allocates nothing for a request.

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::simulated;
use tidegate::load::{Arrivals, AtEnd, Control, FixedRequest, Generator, Pace, Plan, TICK_SHIFT};
use tidegate::net::OsNet;
use tidegate::reactor::Reactor;

/// Turns until so many requests are answered.
fn run_to(
    answered: u64,
    reactor: &mut Reactor<OsNet, tidegate::load::Timer>,
    generator: &mut Generator<OsNet, FixedRequest>,
) {
    while generator.tally().answered() < answered {
        reactor.turn(generator).expect("a turn");
    }
}

/// How many allocations 2,000 requests make, behind 2,000 others.
fn allocations(pace: Pace) -> u64 {
    let backend = simulated('A', "0");
    let plan = Plan {
        address: backend.address(),
        sources: vec![pace],
        timeout: Duration::from_secs(10),
        duration: Duration::from_secs(60),
        at_end: AtEnd::Cut,
    };
    let request = FixedRequest::new("POST", "/", "h", &[], Some(b"body"));
    let mut generator = Generator::new(plan, request, Arc::new(Control::default()));
    let net = OsNet::new().and_then(OsNet::with_fine_timer).expect("a network");
    let mut reactor = Reactor::new(net, TICK_SHIFT);
    reactor.begin(|turn| generator.open(turn));
    run_to(2_000, &mut reactor, &mut generator);
    let counted = allocation_counter::measure(|| run_to(4_000, &mut reactor, &mut generator));
    assert_eq!(generator.tally().failures(), 0);
    counted.count_total
}

#[test]
fn a_closed_loop_allocates_nothing_once_warm() {
    assert_eq!(allocations(Pace::Closed { users: 20, pause: Duration::ZERO }), 0);
}

#[test]
fn an_open_loop_allocates_nothing_once_its_connections_are_open() {
    // Due faster than they can be sent, so that all connections are open from the start.
    assert_eq!(allocations(Pace::Open { arrivals: Arrivals::even(1e6, 0.0), connections: 20 }), 0);
}
