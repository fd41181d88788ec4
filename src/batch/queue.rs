//! The queue itself.
//!
//! Here: [`Queue`], which keeps the jobs, asks the strategy what goes next, and counts. Not here: the orders of jobs
//! (`strategy.rs` and a file each), who is let in (`queue/admitting.rs`), nor how jobs are cut into parts
//! (`queue/ordering.rs`). Floor 1.

mod admitting;
mod ordering;

use std::time::Duration;

use super::admission::WaitingByCustomer;
use super::arrivals::Arrivals;
use super::customers::{CustomerFigures, Customers};
use super::dispatch::{Batch, BatchId, BatchOutcome, FlushReason, Next, Part};
use super::drain_rate::DrainRate;
use super::figures::Figures;
use super::halving::{Half, Halving};
use super::in_flight::InFlight;
use super::job::{Job, JobId, KeyId, Member, Shape};
use super::options::QueueOptions;
use super::service_time::{ServiceEstimate, ServiceTimes};
use super::strategy::{Pick, Situation, Strategy, StrategyName, empty};
use crate::slots::Slots;
use crate::time::Instant;

/// Jobs that wait to be sent to the classifier in batches.
///
/// A job's part is in a batch that was dispatched once, or twice and more if that batch was halved; a job ends when
/// all its sequences were answered, when a batch with a part of it failed, or when it is cancelled. From then on its
/// id is stale.
pub struct Queue {
    options: QueueOptions,
    jobs: Slots<Job>,
    arrivals: Arrivals,
    /// While the queue is about full.
    waiting_by_customer: Option<WaitingByCustomer>,
    customers: Customers,
    name: StrategyName,
    strategy: Box<dyn Strategy>,
    in_flight: InFlight,
    service_times: ServiceTimes,
    halving: Halving,
    drain_rate: DrainRate,
    draining: bool,
    /// Predictions are made in another way than when what waits was put in order.
    order_is_old: bool,
    /// Batches that were answered since then.
    answered_since_order: usize,
    figures: Figures,
    next_number: u64,
    next_batch: u64,
    /// How many bytes a batch has at most, unless it is of one job.
    batch_bytes: usize,
    /// Empty; kept for its memory.
    members: Vec<Member>,
}

impl Queue {
    /// An empty queue.
    ///
    /// # Panics
    ///
    /// If a batch may hold no sequence, or none may be in flight.
    pub fn new(options: QueueOptions) -> Queue {
        assert!(options.batch_size > 0, "a batch must hold a sequence");
        assert!(options.batches_in_flight != Some(0), "a batch must be allowed in flight");
        let service_times = ServiceTimes::new();
        Queue {
            jobs: Slots::default(),
            arrivals: Arrivals::default(),
            waiting_by_customer: None,
            customers: Customers::new(&options.weights),
            name: options.strategy,
            strategy: empty(options.strategy, &options, &service_times),
            in_flight: InFlight::new(fixed_in_flight(options.strategy, &options)),
            service_times,
            halving: Halving::new(options.halve),
            drain_rate: DrainRate::default(),
            draining: false,
            order_is_old: false,
            answered_since_order: 0,
            figures: Figures::new(),
            next_number: 0,
            next_batch: 0,
            batch_bytes: usize::MAX,
            members: Vec::new(),
            options,
        }
    }

    /// How many jobs may wait from now on; if more do, they stay.
    pub fn set_limit(&mut self, limit: usize) {
        self.options.limit = limit;
    }

    /// How many bytes a batch has at most from now on, if it is of several jobs: what is more goes right after it.
    pub fn set_batch_bytes(&mut self, bytes: usize) {
        self.batch_bytes = bytes;
    }

    /// A job that waits adds so many bytes to its batch, at most; until then none.
    pub fn weigh(&mut self, job: JobId, bytes: usize) {
        if let Some(job) = self.jobs.get_mut(job.0) {
            job.bytes = bytes;
        }
    }

    /// What is to be done next. To be called after each other call until it does not answer
    /// [`Dispatch`](Next::Dispatch).
    pub fn next(&mut self, now: Instant) -> Next {
        // Until times are known, only a batch that goes alone tells them.
        let is_learning = self.name == StrategyName::Adaptive && !self.service_times.is_known();
        let most = if is_learning { 1 } else { self.in_flight.limit() };
        if self.in_flight.len() >= most {
            return Next::Idle;
        }
        if let Some(half) = self.next_half() {
            return Next::Dispatch(self.send(half.key, half.parts, half.flush, now));
        }
        let situation = Situation {
            now,
            batch_size: self.options.batch_size as u32,
            draining: self.draining,
            customers: &self.customers,
            service_times: &self.service_times,
            in_flight: &self.in_flight,
        };
        match self.strategy.take(&situation, &mut self.members) {
            Pick::Batch { key, flush } => Next::Dispatch(self.dispatch(key, flush, now)),
            Pick::Wait(until) => Next::WaitUntil(until),
            Pick::Nothing => Next::Idle,
        }
    }

    /// A batch has ended. If it failed, so have its jobs, with what of them still waits.
    pub fn finished(&mut self, batch: Batch, outcome: BatchOutcome, now: Instant) {
        match outcome {
            BatchOutcome::Answered { took } => {
                self.learn(&batch, took, now);
                self.figures.by_flush_mut(batch.flush).service_us.record_duration(took);
                self.halving.answered();
                self.share_out(&batch, took);
                batch.parts.iter().for_each(|part| self.answered(part));
            }
            BatchOutcome::Failed => {
                self.in_flight.failed(batch.id, now);
                self.figures.failed += 1;
                for part in &batch.parts {
                    self.end(part.job, now);
                }
            }
        }
    }

    /// A batch has failed in a way that may be the fault of one of its jobs: it is to be sent again in halves, before
    /// anything else and as places in flight become free.
    ///
    /// # Errors
    ///
    /// Gives the batch back, still in flight, if it is of one job only, or if halving is off or has been of no use
    /// too often lately. Then it is to be [`finished`](Queue::finished).
    pub fn halve(&mut self, batch: Batch, now: Instant) -> Result<(), Batch> {
        let id = batch.id;
        self.halving.halve(batch)?;
        self.in_flight.failed(id, now);
        self.figures.halved += 1;
        Ok(())
    }

    /// A batch is to be sent once more, after what is to go next.
    pub fn again(&mut self, batch: Batch, now: Instant) {
        self.in_flight.failed(batch.id, now);
        self.halving.defer(batch.key, batch.parts, batch.flush);
    }

    /// A job is wanted no longer: its client left or its time is over. What of it waits is not sent; what is in
    /// flight will be answered for nobody. Whether there was such a job.
    pub fn cancel(&mut self, job: JobId, now: Instant) -> bool {
        let ended = self.end(job, now);
        self.figures.cancelled += u64::from(ended);
        ended
    }

    /// The strategy of the next batch.
    pub fn strategy(&self) -> StrategyName {
        self.name
    }

    /// Changes the strategy of the next batch. All that waits keeps its place in the order of arrival and its age.
    pub fn set_strategy(&mut self, name: StrategyName, now: Instant) {
        self.name = name;
        self.in_flight.set_fixed(fixed_in_flight(name, &self.options), now);
        self.order_anew();
    }

    /// From now on nothing is waited for that might come: the queue is to be emptied.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// How many jobs wait, wholly or in part.
    pub fn depth(&self) -> usize {
        self.arrivals.len()
    }

    /// When to try again if there is no place: whole seconds, at least 1, in which what waits is likely to be sent.
    pub fn retry_after_s(&mut self, now: Instant) -> u64 {
        self.drain_rate.seconds_for(self.depth(), now)
    }

    /// How many batches are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// How many batches may be in flight.
    pub fn most_in_flight(&self) -> usize {
        self.in_flight.limit()
    }

    /// Whether nothing waits and nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.depth() == 0 && self.in_flight.len() == 0 && self.halving.is_empty()
    }

    /// For how long the job has waited that has waited longest; `None` if none waits.
    pub fn oldest_age(&self, now: Instant) -> Option<Duration> {
        let oldest = self.jobs.get(self.arrivals.oldest()?.0)?;
        Some(now - oldest.arrived)
    }

    /// What the classifier is expected to take; none before that can be relied on.
    pub fn service_estimate(&self) -> Option<ServiceEstimate> {
        self.service_times.estimate()
    }

    /// What was counted since the queue began.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// What each customer has received, by name; at most some thousand.
    pub fn customers(&self) -> impl Iterator<Item = (&str, CustomerFigures)> {
        self.customers.figures()
    }

    /// What customers have received together that [`customers`](Queue::customers) no longer lists.
    pub fn other_customers(&self) -> CustomerFigures {
        self.customers.forgotten()
    }

    /// Sends parts that the strategy took out.
    fn dispatch(&mut self, key: KeyId, flush: FlushReason, now: Instant) -> Batch {
        let mut parts = Vec::with_capacity(self.members.len());
        let (mut jobs_sent, mut bytes) = (0, 0);
        for member in self.members.drain(..) {
            let id = member.job;
            let job = self.jobs.get_mut(id.0).expect("a job that waits lives");
            if let Some(by_customer) = &mut self.waiting_by_customer {
                by_customer.remove(job.customer.index(), job.number);
            }
            job.waiting.remove(member.slice);
            job.in_flight.insert(member.slice);
            bytes += job.bytes;
            let (customer, shape) = (job.customer, job.shape(member.slice));
            let sequences = job.sequences(member.slice);
            self.figures.by_flush_mut(flush).wait_us.record_duration(now - job.arrived);
            if job.waiting.is_empty() {
                self.arrivals.remove(&mut self.jobs, id);
                jobs_sent += 1;
            }
            self.customers.sent(customer, shape.sequences);
            parts.push(Part { job: id, sequences, slice: member.slice, customer, shape });
        }
        self.drain_rate.sent(jobs_sent, now);
        self.note_emptiness(now);
        if bytes > self.batch_bytes {
            self.put_off(key, &mut parts, flush);
        }
        self.send(key, parts, flush, now)
    }

    /// Takes out of a batch what it has no room for: that goes next.
    #[cold]
    fn put_off(&mut self, key: KeyId, parts: &mut Vec<Part>, flush: FlushReason) {
        let mut bytes = 0;
        let fits = |part: &Part| {
            bytes += self.jobs.get(part.job.0).map_or(0, |job| job.bytes);
            bytes <= self.batch_bytes
        };
        let most = parts.iter().map(fits).take_while(|fits| *fits).count().max(1);
        let others = parts.split_off(most);
        if !others.is_empty() {
            self.halving.defer(key, others, flush);
        }
    }

    fn send(&mut self, key: KeyId, parts: Vec<Part>, flush: FlushReason, now: Instant) -> Batch {
        let id = BatchId(self.next_batch);
        self.next_batch += 1;
        let shape = parts.iter().fold(Shape::default(), |sum, part| sum.with(part.shape));
        self.figures.by_flush_mut(flush).sequences.record(u64::from(shape.sequences));
        self.figures.characters += shape.characters;
        self.figures.wasted_characters +=
            u64::from(shape.sequences) * u64::from(shape.longest) - shape.characters;
        let known = self.service_times.is_known();
        let predicted_ms = known.then(|| self.service_times.of(key).predict_ms(shape));
        self.in_flight.start(id, predicted_ms, now);
        let predicted = predicted_ms.map(|ms| Duration::from_secs_f64(ms / 1e3));
        Batch { id, key, parts, flush, predicted, shape }
    }

    /// The half that goes next, without jobs that have ended meanwhile.
    fn next_half(&mut self) -> Option<Half> {
        loop {
            let mut half = self.halving.pop()?;
            half.parts.retain(|part| self.jobs.get(part.job.0).is_some());
            if !half.parts.is_empty() {
                self.put_off(half.key, &mut half.parts, half.flush);
                return Some(half);
            }
        }
    }

    /// Adds the time of a batch to the work of its customers, in proportion to what their parts would take alone, or
    /// to their sequences while that is unknown.
    fn share_out(&mut self, batch: &Batch, took: Duration) {
        if let [part] = &batch.parts[..] {
            return self.customers.worked(part.customer, took);
        }
        let service_time = self.service_times.of(batch.key);
        let alone = |part: &Part| match batch.predicted {
            Some(_) => service_time.predict_ms(part.shape).max(1e-6),
            None => f64::from(part.shape.sequences),
        };
        let per_share = took.as_nanos() as f64 / batch.parts.iter().map(alone).sum::<f64>();
        for part in &batch.parts {
            self.customers.worked(part.customer, Duration::from_nanos((per_share * alone(part)) as u64));
        }
    }

    /// A part was answered; its job ends with its last.
    fn answered(&mut self, part: &Part) {
        let Some(job) = self.jobs.get_mut(part.job.0) else { return };
        job.in_flight.remove(part.slice);
        job.answered.insert(part.slice);
        if job.in_flight.is_empty() && job.waiting.is_empty() {
            self.customers.leave(job.customer);
            self.jobs.remove(part.job.0);
        }
    }

    /// Ends a job and takes out what of it waits. Whether there was such a job.
    fn end(&mut self, id: JobId, now: Instant) -> bool {
        let Some(job) = self.jobs.get(id.0) else { return false };
        let customer = job.customer;
        if let Some(by_customer) = &mut self.waiting_by_customer {
            by_customer.remove(customer.index(), job.number);
        }
        if !job.waiting.is_empty() {
            for slice in job.waiting.iter() {
                self.strategy.remove(&job.describe(id, slice, self.customers.weight(customer)));
            }
            self.arrivals.remove(&mut self.jobs, id);
            self.note_emptiness(now);
        }
        self.jobs.remove(id.0);
        self.customers.leave(customer);
        true
    }

    fn note_emptiness(&mut self, now: Instant) {
        if self.depth() == 0 {
            self.drain_rate.empty(now);
        }
    }
}

/// How many batches may be in flight, unless that is learned.
fn fixed_in_flight(name: StrategyName, options: &QueueOptions) -> Option<usize> {
    options.batches_in_flight.or((name != StrategyName::Adaptive).then_some(1))
}
