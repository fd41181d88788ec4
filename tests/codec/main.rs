//! The codec of batched bodies against a naive model, which decodes and encodes them again.
//!
//! Here: properties over bodies made of pieces, and the model, which the targets in `tests/fuzz` share.

mod oracle;
mod properties;
