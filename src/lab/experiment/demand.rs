//! From a demand to plans of load.
//!
//! Here: who sends what on which thread. Not here: sending (`load/`). Floor 4.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Demand, Pace, Run, Study};
use crate::load::customers::{Customer, CustomerSample, Customers, closed_loop, open_loop};
use crate::load::{self, Arrivals, AtEnd, FixedRequest, Plan, RequestId, Sample, Workload, share};

/// The most connections of a customer in an open loop.
const CUSTOMER_CONNECTIONS: usize = 1_000;

/// What is asked.
pub(super) enum Asker {
    /// The same request again and again.
    Fixed(FixedRequest),
    /// What customers ask.
    Customers(Customers<fn(&Customer, &CustomerSample)>),
}

impl Workload for Asker {
    const KEEPS_BODIES: bool = true;

    fn write(&mut self, request: RequestId, out: &mut Vec<u8>) -> bool {
        match self {
            Asker::Fixed(fixed) => fixed.write(request, out),
            Asker::Customers(customers) => customers.write(request, out),
        }
    }

    fn finished(&mut self, sample: &Sample, body: &[u8]) {
        match self {
            Asker::Fixed(fixed) => fixed.finished(sample, body),
            Asker::Customers(customers) => customers.finished(sample, body),
        }
    }
}

impl Demand {
    /// Over how many threads it is put on.
    pub(super) fn threads(&self) -> usize {
        match self {
            Demand::Requests { pace, threads, .. } => (*threads).clamp(1, pace.connections().max(1)),
            Demand::Customers { .. } => 1,
        }
    }

    /// Whether requests come at times of their own: figures are then of those that were due in the time of measurement, else of
    /// those that ended in it.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Demand::Requests { pace, .. } => matches!(pace, Pace::Open { .. }),
            Demand::Customers { .. } => true,
        }
    }
}

impl Pace {
    fn connections(self) -> usize {
        match self {
            Pace::Closed { connections, .. } | Pace::Open { connections, .. } => connections,
        }
    }

    /// The part of the `n`-th of so many threads.
    fn part(self, n: usize, threads: usize, seed: u64) -> load::Pace {
        let connections = share(self.connections(), n, threads);
        match self {
            Pace::Closed { pause, .. } => load::Pace::Closed { users: connections, pause },
            Pace::Open { rate, poisson, .. } => {
                let rate = rate / threads as f64;
                let arrivals = if poisson {
                    Arrivals::poisson(rate, seed.wrapping_add(n as u64))
                } else {
                    Arrivals::even(rate, n as f64 / threads as f64)
                };
                load::Pace::Open { arrivals, connections }
            }
        }
    }
}

/// What the `n`-th of so many threads does in `run`, and what it asks.
pub(super) fn part(study: &Study, run: Run, n: usize, threads: usize, address: SocketAddr) -> (Plan, Asker) {
    let duration = study.run_time();
    let plan = |sources, timeout: Duration, at_end| Plan { address, sources, timeout, duration, at_end };
    match &study.demand {
        Demand::Requests { pace, body_bytes, timeout, .. } => {
            let body = vec![b'x'; *body_bytes];
            let (method, body) =
                if body.is_empty() { ("GET", None) } else { ("POST", Some(body.as_slice())) };
            let at_end = if study.demand.is_open() { AtEnd::Drain } else { AtEnd::Cut };
            let plan = plan(vec![pace.part(n, threads, run.seed)], *timeout, at_end);
            (plan, Asker::Fixed(FixedRequest::new(method, "/", "proxy", &[], body)))
        }
        Demand::Customers { customers, timeout, .. } => {
            let source = |(customer, rate): &(Customer, Option<f64>)| {
                let alone = std::slice::from_ref(customer);
                match rate {
                    None => closed_loop(alone),
                    Some(rate) => open_loop(alone, *rate, run.seed, CUSTOMER_CONNECTIONS),
                }
            };
            let sources = customers.iter().flat_map(source).collect();
            let all = customers.iter().map(|(customer, _)| customer.clone()).collect();
            let report: fn(&Customer, &CustomerSample) = |_, _| {};
            let asker = Customers::new(all, run.seed, "/proxy_classify", "proxy", report);
            (plan(sources, *timeout, AtEnd::Drain), Asker::Customers(asker))
        }
    }
}
