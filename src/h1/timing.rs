//! `Server-Timing` (W3C Server Timing, §2).
//!
//! Here: one metric after the other, durations in milliseconds to the microsecond. Not here: what is measured
//! (`proxy/trace.rs`). Floor 1.

use std::io::Write;

/// Appends one line to `out`: each metric with its duration in nanoseconds; those that are not known are left out, and
/// the line with them if none is.
pub fn server_timing(metrics: &[(&str, Option<u64>)], out: &mut Vec<u8>) {
    let mut before = "Server-Timing: ";
    for (name, ns) in metrics.iter().filter_map(|&(name, ns)| Some((name, ns?))) {
        let us = ns / 1_000;
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{before}{name};dur={}.{:03}", us / 1_000, us % 1_000);
        before = ", ";
    }
    if before == ", " {
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_milliseconds_and_what_is_not_known_is_left_out() {
        let mut out = Vec::new();
        server_timing(
            &[("queue", Some(104_999)), ("connect", None), ("total", Some(12_400_000_000))],
            &mut out,
        );
        assert_eq!(out, b"Server-Timing: queue;dur=0.104, total;dur=12400.000\r\n");
        out.clear();
        server_timing(&[("queue", None)], &mut out);
        assert_eq!(out, b"");
    }
}
