//! Playing a scenario with the whole proxy.
//!
//! Here: [`play_in_world`]: the program itself, from the first byte of a request to the last of its answer, on a virtual
//! network that takes no time worth telling. Each proxy has a load of its own: a Poisson process is the same divided or not, and
//! clients of a closed load keep to their proxy. Not here: the same without a proxy (`model.rs`). Floor 4.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::contender::Contender;
use super::figures::{Figures, Tally};
use super::scenario::{Arrivals, Scenario, backends};
use crate::lab::experiment::letter;
use crate::load::{self, AtEnd, FixedRequest, Pace, Plan, RequestId, Sample, Workload, share};
use crate::net::Weather;
use crate::proxy;
use crate::time::Instant;
use crate::world::{self, Servers, Stage, StagePlan};

/// From end to end of a link. Not nothing, so that things have an order; far below the grain of the backends' deadlines.
const HOP: Duration = Duration::from_nanos(100);

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// A proxy's load has so many connections if need be; more than there are requests under way.
const CONNECTIONS: usize = 1_000_000;

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct InWorld {
    /// What clients saw, and what backends worked.
    pub figures: Figures,
    /// Each request that was sent to a backend, the earliest first.
    pub sent: Vec<Sent>,
}

/// A request, as a proxy saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When it was sent, since the beginning.
    pub at: Duration,
    /// By which proxy.
    pub proxy: usize,
    /// To which backend, the last one that was tried.
    pub backend: usize,
    /// What the client got.
    pub status: u16,
}

/// Plays `scenario` with `contender` in each proxy. Everything random follows from `seed`.
///
/// # Errors
/// If something happens in the world that must not.
pub fn play_in_world(scenario: &Scenario, contender: &Contender, seed: u64) -> Result<InWorld, String> {
    let backends = backends(scenario, seed);
    let meters: Vec<_> = backends.iter().filter_map(|options| options.meter.clone()).collect();
    let named = (0..).zip(backends).map(|(n, options)| (letter(n).to_string(), options));
    let plan = StagePlan {
        seed,
        weather: Weather { delay: (HOP, HOP), ..Weather::CALM },
        proxy: proxy_options(contender, seed),
        servers: Servers::Backends(named.collect()),
        steered: false,
    };
    let loads = (0..scenario.proxies).map(|proxy| (load(scenario, proxy, seed), Counter::new(scenario)));
    let outcome = Stage::new(plan, loads.collect()).run(|_| true)?;
    let began = outcome.began;
    let (mut tally, mut sent) = (Tally::new(scenario), Vec::new());
    for (proxy, played) in outcome.played.into_iter().enumerate() {
        tally = tally.and(played.workload.tally);
        sent.extend(played.records.iter().filter_map(|record| {
            let ended = Duration::from_nanos(record.ended.as_nanos() - began.as_nanos());
            let at = ended.saturating_sub(Duration::from_nanos(record.latency_ns));
            Some(Sent { at, proxy, backend: usize::from(record.backend?.0), status: record.status })
        }));
    }
    sent.sort_by_key(|sent| sent.at);
    Ok(InWorld { figures: tally.figures(&meters), sent })
}

/// What a proxy is told. Nothing is ejected: the scenarios are about choosing.
fn proxy_options(contender: &Contender, seed: u64) -> proxy::Options {
    let options = world::usual_options(Vec::new());
    proxy::Options {
        routing: contender.mode,
        sma_window: contender.options.sma_window,
        ewma_alpha: contender.options.ewma_alpha,
        reprobe_after: contender.options.reprobe_after,
        routing_goal: contender.options.goal,
        hedge_budget: contender.options.hedge_budget,
        health: contender.options.health,
        run: seed,
        upstream_timeout: PATIENCE,
        limits: proxy::Limits::default(),
        ..options
    }
}

/// The part of the load that comes to proxy number `proxy`.
fn load(scenario: &Scenario, proxy: usize, seed: u64) -> Plan {
    let sources = match &scenario.arrivals {
        Arrivals::Closed(clients) => {
            vec![Pace::Closed { users: share(*clients, proxy, scenario.proxies), pause: Duration::ZERO }]
        }
        Arrivals::Open(steps) => {
            let ends = steps.iter().skip(1).map(|step| step.0).chain([scenario.end]);
            let step = |(number, (&(from, rate), until)): (u64, (&(Duration, f64), Duration))| {
                let seed = seed ^ number << 16 ^ (proxy as u64) << 32;
                let arrivals = load::Arrivals::poisson(rate / scenario.proxies as f64, seed);
                Pace::Open { arrivals: arrivals.within(from, until), connections: CONNECTIONS }
            };
            (0..).zip(steps.iter().zip(ends)).map(step).collect()
        }
    };
    // The stage knows better.
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Plan { address, sources, timeout: PATIENCE, duration: scenario.end, at_end: AtEnd::Drain }
}

/// Asks, and counts what is answered.
struct Counter {
    request: FixedRequest,
    start: Instant,
    tally: Tally,
}

impl Counter {
    fn new(scenario: &Scenario) -> Counter {
        Counter {
            request: FixedRequest::new("GET", "/", "proxy", &[], None),
            start: Instant::ZERO,
            tally: Tally::new(scenario),
        }
    }
}

impl Workload for Counter {
    const KEEPS_BODIES: bool = false;

    fn begun(&mut self, start: Instant) {
        self.start = start;
    }

    fn write(&mut self, request: RequestId, out: &mut Vec<u8>) -> bool {
        self.request.write(request, out)
    }

    fn finished(&mut self, sample: &Sample, _body: &[u8]) {
        let good = sample.outcome.is_ok_and(|status| status < 500);
        self.tally.ended(sample.due - self.start, sample.ended - self.start, good);
    }
}
