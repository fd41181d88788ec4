//! The proxy: clients on one side, backends on the other.
//!
//! Floor 3.

mod options;

pub use options::{Backend, ConnectionMode, Options};
