//! The batching queue against simulated clients and a simulated classifier, in virtual time.
//!
//! `scenes.rs` has the workloads, `simulation.rs` plays them, `report.rs` adds up. Shared by the table
//! (`bench/batching_table.rs`) and the tests (`tests/batching_simulation.rs`).

pub(crate) mod report;
pub(crate) mod scenes;
pub(crate) mod simulation;
