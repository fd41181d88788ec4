//! Customers of the batching proxy.
//!
//! Here: [`Customers`], the workload that sends what [`Customer`]s ask for and checks what they are answered. Not here: what they ask
//! for (`profile.rs`), printing (`cli/clients.rs`). The program's `clients`, experiments and worlds use it. Floor 3.

mod profile;

use std::fmt;
use std::io::Write;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Arrivals, Failure, Pace, RequestId, Sample, Workload};
use crate::time::Instant;

pub use profile::{Customer, Lengths};

/// This much of an error that is not JSON is shown, in characters.
const DETAIL_CHARACTERS: usize = 200;

/// One request of a customer that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomerSample {
    /// Which of the customers, by position, and which of its requests.
    pub request: RequestId,
    /// How many sequences it had.
    pub sequences: usize,
    /// When it was to be sent.
    pub due: Instant,
    /// From then to the last byte of the answer, connecting included.
    pub latency: Duration,
    /// What it got.
    pub verdict: Verdict,
}

/// What a customer got.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// A result for each sequence.
    Served {
        /// How long it took by the proxy's own account, in milliseconds.
        proxy_ms: Option<f64>,
    },
    /// Results, but not one for each sequence.
    WrongCount {
        /// How many.
        results: usize,
    },
    /// Status 200 without a list of results.
    Unreadable,
    /// Another status.
    Refused {
        /// Which.
        status: u16,
        /// What the body says, on one line.
        detail: String,
    },
    /// No answer.
    Failed(Failure),
}

impl Verdict {
    /// Whether it got what it asked for.
    pub fn is_served(&self) -> bool {
        matches!(self, Verdict::Served { .. })
    }
}

/// As the earlier system's client said it: `A: 3 seqs done in   12.3 ms (proxy said 11 ms)`.
pub struct Told<'a>(pub &'a Customer, pub &'a CustomerSample);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told(Customer { name, .. }, CustomerSample { sequences, latency, verdict, .. }) = self;
        let took = if verdict.is_served() { "done in" } else { "failed after" };
        // The earlier one wrote the number seven wide behind `in`; with a space of its own it never touches the word.
        write!(f, "{name}: {sequences} seqs {took} {:6.1} ms", latency.as_secs_f64() * 1e3)?;
        match verdict {
            Verdict::Served { proxy_ms: Some(ms) } => write!(f, " (proxy said {ms} ms)"),
            Verdict::Served { proxy_ms: None } => write!(f, " (proxy said nothing)"),
            Verdict::WrongCount { results } => write!(f, ": {results} results for {sequences} sequences"),
            Verdict::Unreadable => write!(f, ": the answer has no list of results"),
            Verdict::Refused { status, detail } => write!(f, ": {status} {detail}"),
            Verdict::Failed(failure) => write!(f, ": {failure}"),
        }
    }
}

/// The workload of several customers, each of which is the source at its position.
pub struct Customers<F> {
    customers: Vec<Customer>,
    seed: u64,
    /// `POST target HTTP/1.1` and `Host`.
    start: Vec<u8>,
    body: Vec<u8>,
    samples: Vec<CustomerSample>,
    report: F,
}

impl<F: FnMut(&Customer, &CustomerSample)> Customers<F> {
    /// The workload that posts to `target` on the server called `authority`; `report` is told of each request at its end.
    pub fn new(
        customers: Vec<Customer>,
        seed: u64,
        target: &str,
        authority: &str,
        report: F,
    ) -> Customers<F> {
        let start = format!(
            "POST {target} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\nX-Customer-Id: "
        );
        Customers {
            customers,
            seed,
            start: start.into_bytes(),
            body: Vec::new(),
            samples: Vec::new(),
            report,
        }
    }

    /// The customers, and all requests that are over, in order of their ends.
    pub fn finish(self) -> (Vec<Customer>, Vec<CustomerSample>) {
        (self.customers, self.samples)
    }
}

/// The paces of customers that send their next request when the last is answered and their pause has passed.
pub fn closed_loop(customers: &[Customer]) -> Vec<Pace> {
    customers.iter().map(|customer| Pace::Closed { users: 1, pause: customer.pause }).collect()
}

/// The paces of customers whose requests arrive at `rate` a second each, above 0, as Poisson processes of their own; each has at most
/// so many `connections`.
pub fn open_loop(customers: &[Customer], rate: f64, seed: u64, connections: usize) -> Vec<Pace> {
    let arrivals = |customer: &Customer| Arrivals::poisson(rate, customer.seed_of_arrivals(seed));
    customers.iter().map(|customer| Pace::Open { arrivals: arrivals(customer), connections }).collect()
}

impl<F: FnMut(&Customer, &CustomerSample)> Workload for Customers<F> {
    const KEEPS_BODIES: bool = true;

    fn write(&mut self, request: RequestId, out: &mut Vec<u8>) -> bool {
        let customer = &self.customers[request.source];
        self.body.clear();
        customer.write_body(self.seed, request.index, &mut self.body);
        out.extend_from_slice(&self.start);
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{}\r\nContent-Length: {}\r\n\r\n", customer.name, self.body.len());
        out.extend_from_slice(&self.body);
        false
    }

    fn finished(&mut self, sample: &Sample, body: &[u8]) {
        let request = sample.request;
        let customer = &self.customers[request.source];
        let sequences = customer.count(self.seed, request.index);
        let verdict = match sample.outcome {
            Ok(200) => judge(body, sequences),
            Ok(status) => Verdict::Refused { status, detail: detail(body) },
            Err(failure) => Verdict::Failed(failure),
        };
        let told =
            CustomerSample { request, sequences, due: sample.due, latency: sample.corrected(), verdict };
        (self.report)(customer, &told);
        self.samples.push(told);
    }
}

/// The proxy's answer.
#[derive(Deserialize)]
struct Answer {
    results: Vec<IgnoredAny>,
    proxy_latency_ms: Option<f64>,
}

fn judge(body: &[u8], sequences: usize) -> Verdict {
    match serde_json::from_slice::<Answer>(body) {
        Err(_) => Verdict::Unreadable,
        Ok(answer) if answer.results.len() != sequences => {
            Verdict::WrongCount { results: answer.results.len() }
        }
        Ok(answer) => Verdict::Served { proxy_ms: answer.proxy_latency_ms },
    }
}

/// What a body says of an error: its `detail`, or else its beginning, on one line.
fn detail(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        detail: serde_json::Value,
    }
    let text = match serde_json::from_slice(body) {
        Ok(Refusal { detail: serde_json::Value::String(detail) }) => detail,
        Ok(Refusal { detail }) => detail.to_string(),
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    };
    let shown = text.chars().take(DETAIL_CHARACTERS);
    shown.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(verdict: Verdict) -> String {
        let request = RequestId { source: 0, index: 0 };
        let latency = Duration::from_micros(12_345);
        let sample = CustomerSample { request, sequences: 3, due: Instant::ZERO, latency, verdict };
        Told(&Customer::a(), &sample).to_string()
    }

    #[test]
    fn an_answer_is_told_as_the_earlier_client_did() {
        let served = judge(br#"{"results": ["code", "not code", "code"], "proxy_latency_ms": 11}"#, 3);
        assert_eq!(told(served), "A: 3 seqs done in   12.3 ms (proxy said 11 ms)");
        assert_eq!(
            told(Verdict::Served { proxy_ms: None }),
            "A: 3 seqs done in   12.3 ms (proxy said nothing)"
        );
    }

    #[test]
    fn an_error_is_told_with_status_and_detail() {
        let refused = |body: &[u8]| told(Verdict::Refused { status: 503, detail: detail(body) });
        assert_eq!(
            refused(br#"{"detail":"no classifier"}"#),
            "A: 3 seqs failed after   12.3 ms: 503 no classifier"
        );
        assert_eq!(
            refused(br#"{"detail":[{"loc":1}]}"#),
            r#"A: 3 seqs failed after   12.3 ms: 503 [{"loc":1}]"#
        );
        assert_eq!(
            refused(b"<h1>Bad\ngateway</h1>\n"),
            "A: 3 seqs failed after   12.3 ms: 503 <h1>Bad gateway</h1>"
        );
        assert_eq!(refused(&[b'x'; 1000]).len(), "A: 3 seqs failed after   12.3 ms: 503 ".len() + 200);
        assert_eq!(
            told(Verdict::Failed(Failure::Timeout)),
            "A: 3 seqs failed after   12.3 ms: no answer in time"
        );
    }

    #[test]
    fn there_must_be_a_result_for_each_sequence() {
        let two = judge(br#"{"results": ["code", "code"]}"#, 3);
        assert_eq!(told(two), "A: 3 seqs failed after   12.3 ms: 2 results for 3 sequences");
        for body in ["", "{}", r#"{"results": 3}"#, r#"["code"]"#] {
            assert_eq!(judge(body.as_bytes(), 1), Verdict::Unreadable, "{body}");
        }
    }
}
