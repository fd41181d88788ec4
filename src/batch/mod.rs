//! The batching queue: which requests go to the classifier together, and when.
//!
//! Here: [`Queue`], pure logic. Jobs go in with their lengths, batches come out; time is an argument. `sjf.rs`,
//! `fair.rs` and `fcfs.rs` are the strategies of the contract, `adaptive/` is the one that learns. Not here: bytes, clients, deadlines and sockets,
//! which the caller knows by [`JobId`]. `proxy/` calls it inline. Floor 1.

mod adaptive;
mod admission;
#[cfg(test)]
mod admission_tests;
mod arrivals;
mod customers;
mod dispatch;
mod drain_rate;
mod fair;
mod fcfs;
mod fifo;
mod figures;
mod halving;
mod in_flight;
mod job;
#[cfg(test)]
mod model_tests;
mod options;
#[cfg(test)]
mod property_tests;
mod queue;
mod ranking;
mod service_time;
mod sjf;
mod strategy;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod work;

pub use self::customers::CustomerFigures;
pub use self::dispatch::{Admitted, Batch, BatchId, BatchOutcome, FlushReason, GaveWay, Next, Part, Refused};
pub use self::fcfs::FCFS_WAIT;
pub use self::figures::{Figures, FlushFigures, Histogram};
pub use self::job::{JobId, KeyId, Sequences};
pub use self::options::QueueOptions;
pub use self::queue::Queue;
pub use self::service_time::ServiceEstimate;
pub use self::strategy::StrategyName;
