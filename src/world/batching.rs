//! Batching in a virtual world.
//!
//! Here: [`BatchingWorld`]: customers, the proxy and a simulated classifier on one virtual network, for as long as the
//! customers ask; the very code that production runs. Not here: what must hold inside the proxy (`proxy/check.rs`).
//! Tests and benches run it. Floor 4.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::actor::{Actor, Acts, close_down, wait};
use super::{address, options};
use crate::batch::QueueOptions;
use crate::codec::{Shape, Shapes};
use crate::load::customers::{Customer, CustomerSample, Customers, closed_loop, open_loop};
use crate::load::{self, AtEnd, Generator, Plan, RequestId, Sample, Workload};
use crate::net::{Fabric, VirtualNet, Weather};
use crate::proxy::{self, Backend, BatchOptions, Proxy};
use crate::record::Record;
use crate::telemetry::{BatchingState, Tap, tap};
use crate::testbed::{self, ClassifierOptions, SimulatedClassifier};
use crate::time::Instant;

/// What a world of customers is made of.
#[derive(Clone, Debug)]
pub struct BatchingPlan {
    /// Equal seeds give equal runs.
    pub seed: u64,
    /// Who asks.
    pub customers: Vec<Customer>,
    /// Requests a second of each customer, whether or not earlier ones are answered; none: a closed loop.
    pub rates: Option<Vec<f64>>,
    /// How long they ask.
    pub duration: Duration,
    /// How the proxy batches.
    pub queue: QueueOptions,
    /// What the classifier is like.
    pub classifier: ClassifierOptions,
    /// How the links behave.
    pub weather: Weather,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct BatchingOutcome {
    /// What each customer got, in order of the ends.
    pub samples: Vec<CustomerSample>,
    /// The proxy's records, in order.
    pub records: Vec<Record>,
    /// What telemetry was told last.
    pub state: Option<BatchingState>,
    /// Equal for equal runs.
    pub digest: u64,
}

type Report = fn(&Customer, &CustomerSample);
type Crowd = Generator<VirtualNet, Judge>;

/// The customers, each of whom knows what the results of its texts should be.
struct Judge {
    customers: Vec<Customer>,
    seed: u64,
    workload: Customers<Report>,
    /// The first answer that was wrong.
    violation: Option<String>,
}

impl Judge {
    /// What the contract's classifier says of the texts of a request.
    fn expected(&self, request: RequestId) -> Vec<&'static str> {
        #[derive(Deserialize)]
        struct Request {
            sequences: Vec<String>,
        }
        let mut body = Vec::new();
        self.customers[request.source].write_body(self.seed, request.index, &mut body);
        let request: Request = serde_json::from_slice(&body).expect("our own request");
        let is_code =
            |text: &String| [";", "{", "}", "def ", "class "].iter().any(|sign| text.contains(sign));
        request.sequences.iter().map(|text| if is_code(text) { "code" } else { "not code" }).collect()
    }
}

impl Workload for Judge {
    const KEEPS_BODIES: bool = true;

    fn write(&mut self, request: RequestId, out: &mut Vec<u8>) -> bool {
        self.workload.write(request, out)
    }

    fn finished(&mut self, sample: &Sample, body: &[u8]) {
        #[derive(Deserialize)]
        struct Answer {
            results: Vec<String>,
        }
        let expected = self.expected(sample.request);
        let right = |answer: Answer| answer.results == expected;
        if sample.outcome == Ok(200) && !serde_json::from_slice(body).is_ok_and(right) {
            let got = String::from_utf8_lossy(body);
            let what = format!("{:?}: expected {expected:?}, got {got}", sample.request);
            self.violation.get_or_insert(what);
        }
        self.workload.finished(sample, body);
    }
}

/// Customers, proxy and classifier under way.
pub struct BatchingWorld {
    fabric: Fabric,
    proxy: Actor<Proxy<VirtualNet>>,
    classifier: Actor<SimulatedClassifier<VirtualNet>>,
    customers: Actor<Crowd>,
    tap: Tap,
    records: Vec<Record>,
    limit: Instant,
}

impl BatchingWorld {
    /// Builds the system of `plan`; nothing has happened yet.
    pub fn new(plan: &BatchingPlan) -> BatchingWorld {
        let fabric = Fabric::new(plan.seed, plan.weather.clone());
        let start = "a fresh network has room";
        let net = fabric.net();
        let listener = net.listen(address(81)).expect(start);
        let classifier = SimulatedClassifier::new(plan.classifier.clone(), listener, Arc::default());
        let mut classifier = Actor::new(net, testbed::TICK_SHIFT, classifier);
        classifier.reactor.begin(|turn| classifier.handler.open(turn)).expect(start);

        let net = fabric.net();
        let listener = net.listen(address(80)).expect(start);
        let (recorder, tap) = tap(1);
        let proxy = Proxy::new(proxy_options(plan), listener, recorder);
        let mut proxy = Actor::new(net, proxy::TICK_SHIFT, proxy);
        proxy.reactor.begin(|turn| proxy.handler.open(turn)).expect(start);

        let mut customers = Actor::new(fabric.net(), load::TICK_SHIFT, crowd(plan, address(80)));
        customers.reactor.begin(|turn| customers.handler.open(turn));
        let limit = Instant::ZERO + plan.duration + PATIENCE * 2;
        BatchingWorld { fabric, proxy, classifier, customers, tap, records: Vec::new(), limit }
    }

    /// Runs until the customers have all their answers; then everything stops, and nothing may be left.
    ///
    /// # Errors
    /// The first violation, with the virtual time.
    pub fn run(mut self) -> Result<BatchingOutcome, String> {
        let ran = self.run_to_end();
        ran.map_err(|what| format!("{:?} of virtual time: {what}", self.fabric.now() - Instant::ZERO))?;
        let BatchingWorld { fabric, proxy, mut classifier, customers, records, tap, .. } = self;
        drop(proxy);
        let (_, crowd) = customers.handler.finish();
        close_down(&fabric, vec![&mut classifier])?;
        if let Some(violation) = crowd.violation {
            return Err(violation);
        }
        let (_, samples) = crowd.workload.finish();
        Ok(BatchingOutcome { samples, records, state: tap.batching(), digest: fabric.digest() })
    }

    fn run_to_end(&mut self) -> Result<(), String> {
        while !self.customers.has_stopped() {
            self.step()?;
        }
        self.proxy.stop();
        while !self.proxy.has_stopped() {
            self.step()?;
        }
        self.take_records();
        let (begun, recorded) = (self.proxy.handler.begun(), self.records.len() as u64);
        if begun != recorded {
            return Err(format!("{begun} requests begun, {recorded} recorded"));
        }
        self.proxy.handler.check_drained()
    }

    fn step(&mut self) -> Result<(), String> {
        let now = self.fabric.now();
        if now > self.limit {
            return Err("the customers wait for ever".to_owned());
        }
        let mut acted = self.proxy.act(now)?;
        if acted {
            self.proxy.handler.check()?;
            self.take_records();
        }
        acted |= self.classifier.act(now)?;
        acted |= self.customers.act(now)?;
        if acted {
            return Ok(());
        }
        self.proxy.handler.check_quiet()?;
        wait(&self.fabric, &[&mut self.proxy, &mut self.classifier, &mut self.customers])
    }

    fn take_records(&mut self) {
        self.tap.take(|record| self.records.push(record));
    }
}

/// How long a customer waits for an answer.
const PATIENCE: Duration = Duration::from_secs(600);

fn crowd(plan: &BatchingPlan, proxy: SocketAddr) -> Crowd {
    let sources = match &plan.rates {
        Some(rates) => {
            let alone = plan.customers.iter().map(std::slice::from_ref);
            alone
                .zip(rates)
                .flat_map(|(customer, rate)| open_loop(customer, *rate, plan.seed, 1000))
                .collect()
        }
        None => closed_loop(&plan.customers),
    };
    let report: Report = |_, _| {};
    let workload = Customers::new(plan.customers.clone(), plan.seed, "/proxy_classify", "proxy", report);
    let duration = plan.duration;
    let load = Plan { address: proxy, sources, timeout: PATIENCE, duration, at_end: AtEnd::Drain };
    let judge = Judge { customers: plan.customers.clone(), seed: plan.seed, workload, violation: None };
    Generator::new(load, judge, Arc::default())
}

fn proxy_options(plan: &BatchingPlan) -> proxy::Options {
    let classifier = Backend {
        url: "http://classifier".to_owned(),
        authority: "classifier".to_owned(),
        addresses: vec![address(81)],
    };
    proxy::Options {
        batching: Some(BatchOptions {
            classifiers: vec![classifier],
            queue: plan.queue.clone(),
            classifier_timeout: PATIENCE,
            queue_timeout: PATIENCE,
            strategy_from_any: false,
            shapes: Shapes::new(vec![Shape::classify()]).expect("one shape"),
        }),
        ..options(Vec::new())
    }
}
