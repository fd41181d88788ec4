//! A proxy of a stage, and the load in front of it.
//!
//! Here: [`Front`], both as one actor, and the checks of the proxy. Not here: what must hold inside it (`proxy/check.rs`), the
//! servers behind it (`backyard.rs`). Floor 4.

use std::sync::Arc;

use super::actor::{Actor, Acts, check_turn};
use super::judge::Judge;
use super::steering::Steering;
use super::{START, address};
use crate::load::{self, Generator, Tally, Workload};
use crate::net::{Fabric, VirtualNet};
use crate::proxy::{self, Proxy};
use crate::record::Record;
use crate::telemetry::{BatchingState, Tap, tap};
use crate::time::Instant;

/// With so many requests in flight the proxy is checked after every turn, with twice as many after every other.
const FLIGHTS_A_CHECK: usize = 64;

/// A proxy with its load.
pub(super) struct Front<W: Workload> {
    proxy: Actor<Proxy<VirtualNet>>,
    load: Load<W>,
    tap: Tap,
    records: Vec<Record>,
    /// Turns of the proxy since it was checked last.
    unchecked: usize,
    steered: Option<(Steering, Judge)>,
}

/// The load, as long as it has connections.
enum Load<W: Workload> {
    On(Box<Actor<Generator<VirtualNet, W>>>),
    Over(Box<(Tally, W)>),
}

/// What came of a proxy and its load.
pub struct Played<W> {
    /// What the load counted.
    pub tally: Tally,
    /// What it was.
    pub workload: W,
    /// The proxy's records, in order.
    pub records: Vec<Record>,
    /// What telemetry was told of batching last.
    pub batching: Option<BatchingState>,
}

impl<W: Workload> Front<W> {
    /// A proxy at `port` that is told `options`, steered or not, with the load of `plan` in front.
    pub(super) fn open(
        fabric: &Fabric,
        port: u16,
        options: proxy::Options,
        steered: bool,
        plan: load::Plan,
        workload: W,
    ) -> Front<W> {
        let net = fabric.net();
        let listener = net.listen(address(port)).expect(START);
        let (recorder, tap) = tap(options.roster());
        let (health, budgets) = (options.health, (options.retry_budget, options.hedge_budget));
        let steering = steered.then(|| Steering::new(fabric, &net, &options));
        let mut proxy = Proxy::new(options, listener, recorder);
        let steered = steering.map(|(steering, orders)| {
            proxy.obeys(orders);
            (steering, Judge::new(health, budgets, &proxy))
        });
        let mut proxy = Actor::new(net, proxy::TICK_SHIFT, proxy);
        proxy.reactor.begin(|turn| proxy.handler.open(turn)).expect(START);

        let plan = load::Plan { address: address(port), ..plan };
        let generator = Generator::new(plan, workload, Arc::default());
        let mut load = Actor::new(fabric.net(), load::TICK_SHIFT, generator);
        load.reactor.begin(|turn| load.handler.open(turn));
        let (load, records) = (Load::On(Box::new(load)), Vec::new());
        Front { proxy, load, tap, records, unchecked: 0, steered }
    }

    /// Whether the load has its answers.
    pub(super) fn is_over(&self) -> bool {
        match &self.load {
            Load::On(load) => load.has_stopped(),
            Load::Over(_) => true,
        }
    }

    /// Ends the load before its time.
    pub(super) fn interrupt(&mut self) {
        if let Load::On(load) = &mut self.load {
            load.stop();
        }
    }

    /// Takes the load off: its connections end here. Whether it was ended before its time.
    pub(super) fn take_off(self) -> (Front<W>, bool) {
        match self.load {
            Load::On(load) => {
                let interrupted = load.handler.interrupted();
                (Front { load: Load::Over(Box::new(load.handler.finish())), ..self }, interrupted)
            }
            Load::Over(_) => (self, false),
        }
    }

    /// What came of it. The proxy is gone then.
    ///
    /// # Errors
    /// If the proxy's books do not balance.
    pub(super) fn finish(mut self) -> Result<Played<W>, String> {
        self.take_records();
        let (begun, recorded) = (self.proxy.handler.begun(), self.records.len() as u64);
        if begun != recorded {
            return Err(format!("{begun} requests begun, {recorded} recorded"));
        }
        self.proxy.handler.check_drained()?;
        let (tally, workload) = match self.load {
            Load::Over(over) => *over,
            Load::On(load) => load.handler.finish(),
        };
        Ok(Played { tally, workload, records: self.records, batching: self.tap.batching() })
    }

    /// Looks at a proxy that waits for what comes.
    pub(super) fn check_quiet(&self) -> Result<(), String> {
        if self.unchecked > 0 { Ok(()) } else { self.proxy.handler.check_quiet() }
    }

    fn take_records(&mut self) {
        let records = &mut self.records;
        self.tap.take(|record| records.push(record));
    }

    /// Looks for what must not be: often while little is in flight, and rarely while much is, as each look is at all of it.
    fn check(&mut self, now: Instant) -> Result<(), String> {
        if let Some((steering, judge)) = &mut self.steered {
            judge.judge(&self.proxy.handler, steering.drained(), now)?;
        }
        self.unchecked += 1;
        if self.unchecked * FLIGHTS_A_CHECK < self.proxy.handler.in_flight() {
            return Ok(());
        }
        self.unchecked = 0;
        check_turn(&self.proxy)
    }
}

impl<W: Workload> Acts for Front<W> {
    fn act(&mut self, now: Instant) -> Result<bool, String> {
        let mut acted = self.proxy.act(now)?;
        if acted {
            self.check(now)?;
            self.take_records();
        }
        if let Some((steering, _)) = &mut self.steered {
            acted |= steering.act(now)?;
        }
        if let Load::On(load) = &mut self.load {
            acted |= load.act(now)?;
        }
        Ok(acted)
    }

    fn deadline(&self) -> Option<Instant> {
        let steering = self.steered.as_ref().and_then(|(steering, _)| steering.deadline());
        let load = match &self.load {
            Load::On(load) => load.deadline(),
            Load::Over(_) => None,
        };
        [self.proxy.deadline(), steering, load].into_iter().flatten().min()
    }

    fn has_stopped(&self) -> bool {
        self.proxy.has_stopped()
    }

    fn stop(&mut self) {
        if let Some((steering, _)) = &mut self.steered {
            steering.stop();
        }
        self.proxy.stop();
    }
}
