//! How well each way to choose a backend does, in virtual time.
//!
//! Here: scenarios (`scenario.rs`, `scenarios.rs`, those drawn at random in `holdout.rs`), who plays them (`contender.rs`), a
//! simulation of proxies that cost nothing before simulated backends (`model.rs`), the same with the whole proxy (`world.rs`), and
//! figures of the same over sockets (`sockets.rs`), and a table of what came out (`table.rs`). The choosing is that of `balance/`, the backends are those of `testbed/`; there are no
//! sockets, so a scenario of a million requests takes a second, or with the proxy twenty. `cli/experiment/` and tests call it. Floor 4.

mod contender;
mod figures;
mod holdout;
mod model;
mod scenario;
mod scenarios;
mod sockets;

mod table;
mod world;

pub use contender::Contender;
pub use figures::Figures;
pub use model::play;
pub use scenario::{Arrivals, Group, Scenario};
pub use scenarios::scenarios;
pub use sockets::figures_over_sockets;

pub use table::table;
pub use world::{InWorld, Sent, play_in_world};
