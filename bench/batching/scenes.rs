//! Workloads: who sends what, and how long the classifier takes.

use std::time::Duration;

use tidegate::batch::Batch;

/// How long the classifier takes for a batch.
#[derive(Clone, Copy)]
pub(crate) enum Model {
    /// The square of the longest sequence, in microseconds.
    LongestSquared,
    /// Milliseconds for a batch and for each character.
    Affine(f64, f64),
    /// Milliseconds for a batch and for each character when all sequences are as long as the longest.
    Padded(f64, f64),
}

impl Model {
    pub(crate) fn time(self, batch: &Batch) -> Duration {
        let (n, characters, longest) =
            (batch.sequences() as f64, batch.characters() as f64, f64::from(batch.longest()));
        let ms = match self {
            Model::LongestSquared => longest.powi(2) / 1e3,
            Model::Affine(base, each) => base + each * characters,
            Model::Padded(base, each) => base + each * n * longest,
        };
        Duration::from_secs_f64(ms / 1e3)
    }
}

/// When a customer sends.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// So long after each answer.
    Closed(Duration),
    /// At random, so many a second.
    Open(f64),
}

#[derive(Clone, Copy)]
pub(crate) struct Customer {
    /// As customer B of the contract: blocks. Otherwise as A: snippets.
    pub(crate) long: bool,
    pub(crate) pace: Pace,
}

pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) customers: Vec<Customer>,
    pub(crate) model: Model,
    /// Batches that the classifier works on at once; the others wait for it in order.
    pub(crate) servers: usize,
    pub(crate) batch_size: usize,
    pub(crate) length: Duration,
    /// Requests that arrive earlier are not counted.
    pub(crate) warm_up: Duration,
    pub(crate) runs: u64,
    /// Who is not counted in the latencies of the others.
    pub(crate) greedy: Option<usize>,
}

/// Milliseconds of a request of B in a batch of its own, on average.
const OWN_MS: f64 = 219.0;
/// The same in full batches of 32 with 20 ms for a batch and 0.05 ms for a character.
const OWN_AFFINE_MS: f64 = 52.0;

/// The contract's two customers for 30 s.
pub(crate) fn contract(name: &'static str, servers: usize) -> Scene {
    let closed = |ms| Pace::Closed(Duration::from_millis(ms));
    Scene {
        name,
        customers: vec![
            Customer { long: false, pace: closed(330) },
            Customer { long: true, pace: closed(670) },
        ],
        model: Model::LongestSquared,
        servers,
        batch_size: 5,
        length: Duration::from_secs(30),
        warm_up: Duration::ZERO,
        runs: 200,
        greedy: None,
    }
}

/// `n` customers, every other one as B and the others three times as often as A, that send as much as `load` of what
/// the classifier could do if a request of B took `own_ms`.
fn open(name: &'static str, n: usize, load: f64, own_ms: f64) -> Scene {
    let each = load / own_ms * 1e3 / (n / 2) as f64;
    let customer = |i: usize| match i % 2 {
        0 => Customer { long: false, pace: Pace::Open(3.0 * each) },
        _ => Customer { long: true, pace: Pace::Open(each) },
    };
    Scene {
        customers: (0..n).map(customer).collect(),
        length: Duration::from_secs(120),
        warm_up: Duration::from_secs(10),
        runs: 3,
        ..contract(name, 1)
    }
}

pub(crate) fn ten_customers() -> Scene {
    open("10 customers, 90 %", 10, 0.9, OWN_MS)
}

pub(crate) fn four_servers() -> Scene {
    Scene { servers: 4, ..open("4 servers, 90 % of them", 10, 0.9 * 4.0, OWN_MS) }
}

pub(crate) fn greedy() -> Scene {
    let mut scene = open("one customer sends 12 times its share, 160 %", 10, 0.5, OWN_MS);
    scene.greedy = Some(1);
    if let Pace::Open(rate) = &mut scene.customers[1].pace {
        *rate *= 12.0;
    }
    scene
}

fn affine(name: &'static str, load: f64) -> Scene {
    let model = Model::Affine(20.0, 0.05);
    Scene { model, batch_size: 32, ..open(name, 10, load, OWN_AFFINE_MS) }
}

/// Every workload of the table.
pub(crate) fn all() -> Vec<Scene> {
    let padded = Model::Padded(20.0, 0.05);
    vec![
        contract("the contract's two, serial", 1),
        contract("the contract's two, concurrent", 1000),
        ten_customers(),
        open("100 customers, 110 %", 100, 1.1, OWN_MS),
        open("100 customers, 200 %", 100, 2.0, OWN_MS),
        four_servers(),
        greedy(),
        affine("affine, 32 a batch, 70 %", 0.7),
        affine("affine, 32 a batch, 90 %", 0.9),
        affine("affine, 32 a batch, 110 %", 1.1),
        Scene {
            model: padded,
            batch_size: 32,
            ..open("padded, 32 a batch, 90 %-like", 10, 0.5, OWN_AFFINE_MS)
        },
    ]
}
