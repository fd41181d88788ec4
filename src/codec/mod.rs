//! Bodies of requests that share a batch, cut and joined as slices.
//!
//! Here: how a route's bodies look ([`Shape`]), a request's elements with their lengths ([`parse`]), the batch's
//! body ([`merge`]), the answer's results ([`split`]), each client's answer ([`write_answer`], [`write_detail`]).
//! Pure: bytes in, bytes out. Not here: which requests share a batch and when (`batch/`), heads, sockets. The
//! proxy's batching calls it. Floor 1.
//!
//! Elements are sliced, never decoded and encoded again: serde_json reads each as a `RawValue`, which checks the
//! grammar and tells where it stands, and those bytes are what is sent. A decoded value would come out changed:
//! integers above 2⁶⁴ and long fractions rounded, `1E2` as `100.0`, escapes normalised, members sorted, names that
//! occur twice lost; and it would cost an allocation for each string.
//!
//! What `RawValue` does not check is checked here, so that what we send on is what a strict reader accepts, and no
//! request can spoil the batch it shares: a request is accepted if `serde_json::Value` accepts it, with its limits
//! (nesting of 127, numbers within `f64`, no lone surrogates), and if no name occurs twice in the outer object.

mod answer;
mod key;
mod length;
mod request;
mod shape;
mod slices;
#[cfg(test)]
mod tests;

pub use answer::{AnswerError, split, write_answer, write_detail};
pub use key::{BatchKey, HeadKey};
pub use request::{BodyError, Element, Parsed, merge, parse};
pub use shape::{ElementKind, Shape, ShapeError, Shapes};
pub use slices::Span;
