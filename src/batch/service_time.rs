//! How long the classifier takes for a batch, learned from what it took.
//!
//! Here: [`ServiceTimes`]: for each key and for all together three forms of a line through what was observed, by least
//! squares that forget, and the one of them that has predicted best. Not here: which batches tell how long the
//! classifier takes, and not how long others kept it busy (`in_flight.rs`). Called by `queue.rs`; the `adaptive`
//! strategy asks it. Floor 1.

use std::collections::BTreeMap;
use std::time::Duration;

use super::job::{KeyId, Shape};

/// Of how many batches something remains in a line.
const MEMORY: f64 = 200.0;

/// Of how many batches something remains in the error of a form.
const ERROR_MEMORY: f64 = 50.0;

/// After this many batches the best form is relied on, however good it is.
const KNOWN_AFTER: u32 = 20;

/// After this many batches a form is relied on that errs by less than [`SMALL_ERROR`] of what batches take.
const KNOWN_EARLY_AFTER: u32 = 5;
const SMALL_ERROR: f64 = 0.05;

/// Another form takes over when its error is below this share of that of the form in use.
const CLEARLY_BETTER: f64 = 0.8;

/// Keys with lines of their own. Of more, those that were seen last have them.
const MOST_KEYS: usize = 64;

/// What the time of a batch grows with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    LongestSquared,
    Characters,
    /// Sequences times the longest, as when each is padded to the longest.
    Padded,
}

impl Form {
    const ALL: [Form; 3] = [Form::LongestSquared, Form::Characters, Form::Padded];

    const fn name(self) -> &'static str {
        match self {
            Form::LongestSquared => "longest_squared",
            Form::Characters => "characters",
            Form::Padded => "padded",
        }
    }

    fn size(self, shape: Shape) -> f64 {
        match self {
            Form::LongestSquared => f64::from(shape.longest).powi(2),
            Form::Characters => shape.characters as f64,
            Form::Padded => f64::from(shape.sequences) * f64::from(shape.longest),
        }
    }
}

/// A line through decaying samples: their weight, means, and sums of squares about the means.
#[derive(Clone, Debug, Default)]
struct Line {
    weight: f64,
    mean_size: f64,
    mean_ms: f64,
    sizes: f64,
    products: f64,
    /// Decaying mean of how far predictions were from what was observed then.
    error_ms: f64,
    base_ms: f64,
    per_size_ms: f64,
}

impl Line {
    fn predict_ms(&self, size: f64) -> f64 {
        self.base_ms + self.per_size_ms * size
    }

    fn observe(&mut self, size: f64, ms: f64) {
        let decay = 1.0 - 1.0 / MEMORY;
        self.weight = self.weight * decay + 1.0;
        let (from_size, from_ms) = (size - self.mean_size, ms - self.mean_ms);
        self.mean_size += from_size / self.weight;
        self.mean_ms += from_ms / self.weight;
        self.sizes = self.sizes * decay + from_size * (size - self.mean_size);
        self.products = self.products * decay + from_size * (ms - self.mean_ms);
        self.solve();
    }

    /// Least squares with neither part negative.
    fn solve(&mut self) {
        self.per_size_ms = if self.sizes > 0.0 { (self.products / self.sizes).max(0.0) } else { 0.0 };
        self.base_ms = self.mean_ms - self.per_size_ms * self.mean_size;
        if self.base_ms < 0.0 {
            let squares = self.sizes + self.weight * self.mean_size.powi(2);
            self.base_ms = 0.0;
            self.per_size_ms = (self.products + self.weight * self.mean_size * self.mean_ms) / squares;
        }
    }
}

/// What a batch is expected to take: `base` and so much for each unit of its size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServiceEstimate {
    /// What its size is: `longest_squared` (characters of the longest sequence, squared), `characters` (of all
    /// together), `padded` (sequences times the characters of the longest).
    pub size: &'static str,
    /// Seconds of a batch of no size.
    pub base_s: f64,
    /// Seconds for each unit of size.
    pub per_size_s: f64,
    /// By how many seconds predictions have been wrong on average.
    pub error_s: f64,
}

/// What is known of one key, or of all together.
#[derive(Clone, Debug)]
pub(super) struct ServiceTime {
    lines: [Line; Form::ALL.len()],
    best: usize,
    seen: u32,
    /// Orders keys by when they were seen last.
    seen_last: u64,
}

impl ServiceTime {
    fn new() -> ServiceTime {
        ServiceTime { lines: Default::default(), best: 0, seen: 0, seen_last: 0 }
    }

    fn best(&self) -> &Line {
        &self.lines[self.best]
    }

    fn is_known(&self) -> bool {
        let early =
            self.seen >= KNOWN_EARLY_AFTER && self.best().error_ms < SMALL_ERROR * self.best().mean_ms;
        self.seen >= KNOWN_AFTER || early
    }

    /// Milliseconds that a batch of that shape takes when the classifier has nothing else to do.
    pub(super) fn predict_ms(&self, shape: Shape) -> f64 {
        self.best().predict_ms(Form::ALL[self.best].size(shape))
    }

    /// By how many milliseconds predictions have been wrong on average.
    pub(super) fn error_ms(&self) -> f64 {
        self.best().error_ms
    }

    /// Whether it is now relied on, or predicts in another form.
    fn observe(&mut self, shape: Shape, ms: f64) -> bool {
        let before = (self.is_known(), self.best);
        for (form, line) in Form::ALL.into_iter().zip(&mut self.lines) {
            let size = form.size(shape);
            // A line needs two points before it can predict.
            if self.seen >= 2 {
                let weight = 1.0 / f64::from(self.seen - 1).min(ERROR_MEMORY);
                line.error_ms += weight * ((line.predict_ms(size) - ms).abs() - line.error_ms);
            }
            line.observe(size, ms);
        }
        self.seen = self.seen.saturating_add(1);
        let least =
            (0..self.lines.len()).min_by(|&a, &b| self.lines[a].error_ms.total_cmp(&self.lines[b].error_ms));
        let least = least.expect("there are forms");
        if self.lines[least].error_ms < CLEARLY_BETTER * self.best().error_ms {
            self.best = least;
        }
        before != (self.is_known(), self.best)
    }
}

/// Learns how long batches take.
pub(super) struct ServiceTimes {
    all: ServiceTime,
    /// The key that was seen first. Until there is a second, what is known of all is known of it.
    first: Option<KeyId>,
    by_key: BTreeMap<KeyId, ServiceTime>,
    observed: u64,
}

impl ServiceTimes {
    /// Knows nothing yet.
    pub(super) fn new() -> ServiceTimes {
        ServiceTimes { all: ServiceTime::new(), first: None, by_key: BTreeMap::new(), observed: 0 }
    }

    /// Whether predictions can be relied on.
    pub(super) fn is_known(&self) -> bool {
        self.all.is_known()
    }

    /// What is known of all keys together; none before predictions can be relied on.
    pub(super) fn estimate(&self) -> Option<ServiceEstimate> {
        let (line, size) = (self.all.best(), Form::ALL[self.all.best].name());
        self.is_known().then_some(ServiceEstimate {
            size,
            base_s: line.base_ms / 1e3,
            per_size_s: line.per_size_ms / 1e3,
            error_s: line.error_ms / 1e3,
        })
    }

    /// What is known of a key; of all together until its own times can be relied on.
    pub(super) fn of(&self, key: KeyId) -> &ServiceTime {
        self.by_key.get(&key).filter(|own| own.is_known()).unwrap_or(&self.all)
    }

    /// A batch took that long while the classifier had nothing else to do. Whether predictions are now made in
    /// another way than before, so that what was ordered by them is to be ordered anew.
    pub(super) fn observe(&mut self, key: KeyId, shape: Shape, took: Duration) -> bool {
        self.observed += 1;
        let ms = took.as_secs_f64() * 1e3;
        let first = *self.first.get_or_insert(key);
        if first == key && self.by_key.is_empty() {
            return self.all.observe(shape, ms);
        }
        if self.by_key.is_empty() {
            self.by_key.insert(first, self.all.clone());
        }
        let before = self.way(key);
        self.all.observe(shape, ms);
        if self.by_key.len() >= MOST_KEYS && !self.by_key.contains_key(&key) {
            let oldest = self.by_key.iter().min_by_key(|(_, time)| time.seen_last).map(|(&key, _)| key);
            oldest.map(|key| self.by_key.remove(&key));
        }
        let own = self.by_key.entry(key).or_insert_with(ServiceTime::new);
        own.observe(shape, ms);
        own.seen_last = self.observed;
        before != self.way(key)
    }

    /// Whether predictions are relied on, whether the key has its own, and of which form.
    fn way(&self, key: KeyId) -> (bool, bool, usize) {
        let own = self.by_key.get(&key).is_some_and(ServiceTime::is_known);
        (self.is_known(), own, self.of(key).best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: KeyId = KeyId(0);

    fn shape(lengths: &[u32]) -> Shape {
        Shape::of(lengths.iter().copied())
    }

    fn micros(us: f64) -> Duration {
        Duration::from_secs_f64(us / 1e6)
    }

    /// Batches of short and of long sequences, and what a classifier takes for them.
    fn learn(times: &mut ServiceTimes, batches: usize, us: impl Fn(Shape) -> f64) {
        for i in 0..batches {
            let length = |j: usize| {
                if (i * 7 + j * 5).is_multiple_of(3) { 558 } else { 5 + (i * 31 + j * 17) as u32 % 112 }
            };
            let shape = shape(&(0..1 + i % 5).map(length).collect::<Vec<_>>());
            times.observe(KEY, shape, micros(us(shape)));
        }
    }

    fn assert_predicts(times: &ServiceTimes, us: impl Fn(Shape) -> f64) {
        for lengths in [&[1][..], &[116; 5], &[558, 10], &[300, 300, 300]] {
            let (predicted, true_ms) = (times.of(KEY).predict_ms(shape(lengths)), us(shape(lengths)) / 1e3);
            assert!(
                (predicted - true_ms).abs() < 1e-6 * true_ms.max(1.0),
                "{lengths:?}: {predicted} {true_ms}"
            );
        }
    }

    #[test]
    fn finds_the_form_and_the_numbers_of_each_model() {
        let models: [fn(Shape) -> f64; 4] = [
            |s| f64::from(s.longest).powi(2),
            |s| 20_000.0 + 50.0 * s.characters as f64,
            |s| 20_000.0 + 50.0 * f64::from(s.sequences * s.longest),
            |_| 7000.0,
        ];
        for us in models {
            let mut times = ServiceTimes::new();
            learn(&mut times, 40, us);
            assert_predicts(&times, us);
            let estimate = times.estimate().unwrap();
            let none = us(Shape::of([])) / 1e6;
            assert!((estimate.base_s - none).abs() < 1e-6, "{estimate:?}");
        }
    }

    #[test]
    fn is_known_after_five_batches_that_it_predicts_and_after_twenty_at_the_latest() {
        let mut exact = ServiceTimes::new();
        learn(&mut exact, 4, |s| f64::from(s.longest).powi(2));
        assert!(!exact.is_known());
        exact.observe(KEY, shape(&[558]), micros(311_364.0));
        assert!(exact.is_known());

        let mut wild = ServiceTimes::new();
        let mut n = 0u32;
        while !wild.is_known() {
            n += 1;
            wild.observe(KEY, shape(&[n % 7 + 1]), Duration::from_millis(u64::from(n * n * 7919 % 100)));
        }
        assert_eq!(n, 20);
    }

    #[test]
    fn follows_a_classifier_that_becomes_slower() {
        let mut times = ServiceTimes::new();
        learn(&mut times, 400, |s| f64::from(s.longest).powi(2));
        learn(&mut times, 2000, |s| 3.0 * f64::from(s.longest).powi(2));
        let predicted = times.of(KEY).predict_ms(shape(&[558]));
        assert!((predicted / 934.1 - 1.0).abs() < 0.01, "{predicted}");
    }

    #[test]
    fn keys_have_times_of_their_own_and_are_bounded_in_number() {
        let mut times = ServiceTimes::new();
        for i in 0..30 {
            times.observe(KeyId(0), shape(&[100 + i]), Duration::from_millis(10));
            times.observe(KeyId(1), shape(&[100 + i]), Duration::from_millis(500));
        }
        assert!((times.of(KeyId(0)).predict_ms(shape(&[110])) - 10.0).abs() < 0.1);
        assert!((times.of(KeyId(1)).predict_ms(shape(&[110])) - 500.0).abs() < 0.1);
        (2..1000).for_each(|key| _ = times.observe(KeyId(key), shape(&[1]), Duration::from_millis(1)));
        assert_eq!(times.by_key.len(), MOST_KEYS);
    }
}
