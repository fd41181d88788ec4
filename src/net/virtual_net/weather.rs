//! How badly the links of a virtual world behave.
//!
//! Here: delays, capacity, shares of faults. Not here: what they do (`fabric.rs`, `calls.rs`). Floor 2.

use std::time::Duration;

/// How the links behave. Shares are from 0 to 1.
#[derive(Clone, Debug)]
pub struct Weather {
    /// The least and the most time from sending to arrival.
    pub delay: (Duration, Duration),
    /// How many bytes one direction of a connection holds, sent and not yet read.
    pub capacity: usize,
    /// Share of writes that are cut short although there is room.
    pub short_writes: f64,
    /// Share of segments that arrive in two pieces, the second later.
    pub split_segments: f64,
    /// Share of connection attempts that are mostly over when the call returns, as on loopback.
    pub instant_connects: f64,
    /// Share of connection attempts that are refused.
    pub refusals: f64,
    /// Share of segments whose arrival resets the connection instead.
    pub resets: f64,
    /// Share of FINs that come much later than what was sent before.
    pub late_fins: f64,
    /// Share of reads and writes after which the socket is reported without need.
    pub spurious: f64,
    /// Share of accepts that fail for want of descriptors or because the client has left.
    pub accept_errors: f64,
}

impl Weather {
    /// Nothing goes wrong: 50 µs from end to end, room for 64 KiB.
    pub const CALM: Weather = Weather {
        delay: (Duration::from_micros(50), Duration::from_micros(50)),
        capacity: 64 * 1024,
        short_writes: 0.0,
        split_segments: 0.0,
        instant_connects: 0.0,
        refusals: 0.0,
        resets: 0.0,
        late_fins: 0.0,
        spurious: 0.0,
        accept_errors: 0.0,
    };
}
