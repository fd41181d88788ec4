//! The codec of batched bodies against a naive model, which decodes and encodes them again.
//!
//! Here: properties over bodies made of pieces, and a loop of mutations over the corpus in `tests/fuzz/corpus`, which
//! the coverage-guided targets in `tests/fuzz` share. `SECONDS=600` lets the loop run for so long.

mod mutations;
mod oracle;
mod properties;
