//! How well each way to choose a backend does, in virtual time.
//!
//! Here: scenarios (`scenario.rs`, `scenarios.rs`, those drawn at random in `holdout.rs`), who plays them (`contender.rs`), a
//! simulation of proxies that cost nothing before simulated backends (`simulation.rs`), and a table of what came out
//! (`table.rs`). The choosing is that of `balance/`, the backends are those of `testbed/`; there are no sockets, so a scenario
//! of a million requests takes a second. `cli/experiment/` and tests call it. Floor 4.

mod contender;
mod figures;
mod holdout;
mod scenario;
mod scenarios;
mod simulation;
mod table;

pub use contender::Contender;
pub use figures::Figures;
pub use scenario::{Arrivals, Group, Scenario};
pub use scenarios::scenarios;
pub use simulation::play;
pub use table::table;
