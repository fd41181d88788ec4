//! In steady state a generator allocates nothing for a request.

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::simulated;
use tidegate::load::{AtEnd, Control, FixedRequest, Generator, Pace, Plan, TICK_SHIFT};
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

#[test]
fn a_closed_loop_allocates_nothing_once_warm() {
    let backend = simulated('A', "0");
    let plan = Plan {
        address: backend.address(),
        sources: vec![Pace::Closed { users: 20, pause: Duration::ZERO }],
        timeout: Duration::from_secs(10),
        duration: Duration::from_secs(60),
        at_end: AtEnd::Cut,
    };
    let request = FixedRequest::new("POST", "/", "h", &[], Some(b"body"));
    let mut generator = Generator::new(plan, request, Arc::new(Control::default()));
    let mut reactor = Reactor::new(OsNet::new().expect("a network"), TICK_SHIFT);
    reactor.begin(|turn| generator.open(turn));
    run_to(2_000, &mut reactor, &mut generator);
    let counted = allocation_counter::measure(|| run_to(4_000, &mut reactor, &mut generator));
    assert_eq!(counted.count_total, 0, "{counted:?}");
    assert_eq!(generator.tally().failures(), 0);
}
