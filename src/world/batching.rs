//! Batching in a virtual world.
//!
//! Here: [`BatchingWorld`]: customers, the proxy and a simulated classifier on one virtual network, for as long as the
//! customers ask; the very code that production runs. Not here: what must hold inside the proxy (`proxy/check.rs`).
//! Tests and benches run it. Floor 4.

use std::time::Duration;

use serde::Deserialize;

use super::front::Played;
use super::plan::usual_options;
use super::stage::{Servers, Stage, StagePlan};
use crate::balance::{HealthOptions, RoutingMode};
use crate::batch::QueueOptions;
use crate::codec::{Shape, Shapes};
use crate::load::customers::{Customer, CustomerSample, Customers, closed_loop, open_loop};
use crate::load::{AtEnd, Plan, RequestId, Sample, Workload};
use crate::net::Weather;
use crate::proxy::{self, BatchOptions, CheckOptions};
use crate::record::Record;
use crate::telemetry::BatchingState;
use crate::testbed::{ClassifierOptions, ServiceTime};

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
    /// How many bytes of requests it holds.
    pub queue_bytes: usize,
    /// What a classifier is like.
    pub classifier: ClassifierOptions,
    /// How many there are.
    pub classifiers: u64,
    /// What a request takes at the last of them, if it is not like the others.
    pub last: Option<ServiceTime>,
    /// How the proxy chooses one.
    pub routing: RoutingMode,
    /// How long the proxy waits for one, and a request for a batch.
    pub timeout: Duration,
    /// How long a customer waits for an answer.
    pub patience: Duration,
    /// When the proxy ejects classifiers.
    pub health: HealthOptions,
    /// How the proxy checks them.
    pub checks: Option<CheckOptions>,
    /// Which share of the requests it may send to another one.
    pub retry_budget: f64,
    /// Whether somebody drains classifiers and changes strategies meanwhile.
    pub steered: bool,
    /// How the links behave.
    pub weather: Weather,
}

impl BatchingPlan {
    /// `customers` in a closed loop for half a minute, one classifier that never fails, and calm weather; nobody is ever
    /// refused for waiting.
    pub fn calm(seed: u64, customers: Vec<Customer>, queue: QueueOptions) -> BatchingPlan {
        const PATIENCE: Duration = Duration::from_secs(600);
        BatchingPlan {
            seed,
            customers,
            rates: None,
            duration: Duration::from_secs(30),
            queue,
            queue_bytes: 64 << 20,
            classifier: ClassifierOptions::default(),
            classifiers: 1,
            last: None,
            routing: RoutingMode::RoundRobin,
            timeout: PATIENCE,
            patience: PATIENCE,
            health: HealthOptions::OFF,
            checks: None,
            retry_budget: 0.2,
            steered: false,
            weather: Weather::CALM,
        }
    }
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
    stage: Stage<Judge>,
}

impl BatchingWorld {
    /// Builds the system of `plan`; nothing has happened yet.
    pub fn new(plan: &BatchingPlan) -> BatchingWorld {
        let stage = StagePlan {
            seed: plan.seed,
            weather: plan.weather.clone(),
            proxy: proxy_options(plan),
            servers: Servers::Classifiers(classifiers(plan)),
            steered: plan.steered,
        };
        BatchingWorld { stage: Stage::new(stage, vec![(load(plan), judge(plan))]) }
    }

    /// Runs until the customers have all their answers; then everything stops, and nothing may be left.
    ///
    /// # Errors
    /// The first violation, with the virtual time.
    pub fn run(self) -> Result<BatchingOutcome, String> {
        let outcome = self.stage.run(|_| true)?;
        let digest = outcome.digest;
        let Played { workload, records, batching, .. } = outcome.only();
        match workload.violation {
            Some(violation) => Err(violation),
            None => {
                let (_, samples) = workload.workload.finish();
                Ok(BatchingOutcome { samples, records, state: batching, digest })
            }
        }
    }
}

/// All alike, but for the last and each with its own chance.
fn classifiers(plan: &BatchingPlan) -> Vec<ClassifierOptions> {
    let number = |i| ClassifierOptions { seed: plan.classifier.seed + i, ..plan.classifier.clone() };
    let mut all: Vec<_> = (0..plan.classifiers).map(number).collect();
    if let (Some(last), Some(service_time)) = (all.last_mut(), plan.last) {
        last.service_time = service_time;
    }
    all
}

fn load(plan: &BatchingPlan) -> Plan {
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
    let (duration, at_end) = (plan.duration, AtEnd::Drain);
    Plan { address: super::address(80), sources, timeout: plan.patience, duration, at_end }
}

fn judge(plan: &BatchingPlan) -> Judge {
    let report: Report = |_, _| {};
    let workload = Customers::new(plan.customers.clone(), plan.seed, "/proxy_classify", "proxy", report);
    Judge { customers: plan.customers.clone(), seed: plan.seed, workload, violation: None }
}

fn proxy_options(plan: &BatchingPlan) -> proxy::Options {
    proxy::Options {
        batching: Some(BatchOptions {
            classifiers: Vec::new(),
            queue: plan.queue.clone(),
            classifier_timeout: plan.timeout,
            queue_timeout: plan.timeout,
            queue_bytes: plan.queue_bytes,
            strategy_from_any: false,
            shapes: Shapes::new(vec![Shape::classify()]).expect("one shape"),
        }),
        routing: plan.routing,
        health: plan.health,
        classifier_checks: plan.checks.clone(),
        retry_budget: plan.retry_budget,
        ..usual_options(Vec::new())
    }
}
