//! Why an exchange went wrong, and what follows: one row per failure.
//!
//! Here: status, reason word, blame, and log lines that must not flood. Not here: when a failure is noticed
//! (`upstream.rs`, `client.rs`) and what ends with it (`exchange.rs`). Floor 3.

use std::time::Duration;

use log::Level;

use crate::time::Instant;

/// Why an exchange went wrong: who, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    NoBackend,
    NoRoute,
    NoSocket,
    NoRoom,
    UpstreamRefused,
    ConnectTimeout,
    UpstreamResetBeforeHead,
    UpstreamHeadMalformed,
    UpstreamTimeout,
    StreamIdle,
    UpstreamTruncatedBody,
    UpstreamBodyMalformed,
    ClientBodyMalformed,
    ClientBodyTooLarge,
    ClientBodyTimeout,
    ClientTooSlow,
    ClientGone,
    DrainLimit,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Consequence {
    /// What the client gets if no byte of a response has gone to it, and what the record says then.
    pub(super) status: u16,
    /// The word in `X-Tidegate-Reason`.
    pub(super) reason: Option<&'static str>,
    pub(super) detail: &'static str,
    /// Whether the attempt enters the backend's averages as failed.
    pub(super) blames_backend: bool,
}

impl Failure {
    /// Its name in a trace.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Failure::NoBackend => "no-backend",
            Failure::NoRoute => "no-route",
            Failure::NoSocket => "no-socket",
            Failure::NoRoom => "no-room",
            Failure::UpstreamRefused => "upstream-refused",
            Failure::ConnectTimeout => "connect-timeout",
            Failure::UpstreamResetBeforeHead => "upstream-reset",
            Failure::UpstreamHeadMalformed => "upstream-head-malformed",
            Failure::UpstreamTimeout => "upstream-timeout",
            Failure::StreamIdle => "stream-idle-timeout",
            Failure::UpstreamTruncatedBody => "upstream-truncated-body",
            Failure::UpstreamBodyMalformed => "upstream-body-malformed",
            Failure::ClientBodyMalformed => "client-body-malformed",
            Failure::ClientBodyTooLarge => "client-body-too-large",
            Failure::ClientBodyTimeout => "client-body-timeout",
            Failure::ClientTooSlow => "client-too-slow",
            Failure::ClientGone => "client-gone",
            Failure::DrainLimit => "draining",
        }
    }

    pub(super) const fn consequence(self) -> Consequence {
        let (status, reason, blames_backend, detail) = match self {
            Failure::NoBackend => {
                (503, Some("no-backend"), false, "there is no backend, or none may be chosen")
            }
            Failure::NoRoute => {
                (404, Some("no-route"), false, "there is a classifier and no other backend; see GET /docs")
            }
            Failure::NoSocket => (503, Some("no-backend"), false, "no socket to a backend can be had"),
            Failure::NoRoom => (503, Some("no-room"), false, "there is no room for the backend's answer"),
            Failure::UpstreamRefused => {
                (502, Some("upstream-refused"), true, "the backend cannot be reached")
            }
            Failure::ConnectTimeout => {
                (504, Some("upstream-timeout"), true, "the backend did not accept a connection in time")
            }
            Failure::UpstreamResetBeforeHead => {
                (502, Some("upstream-reset"), true, "the backend closed the connection without a response")
            }
            Failure::UpstreamHeadMalformed => {
                (502, Some("upstream-malformed"), true, "the backend's response is malformed")
            }
            Failure::UpstreamTimeout => {
                (504, Some("upstream-timeout"), true, "the backend did not respond in time")
            }
            // Its head has been answer enough, and only its users know whether they wait: nobody is to blame.
            Failure::StreamIdle => (504, None, false, "the response stood still"),
            Failure::UpstreamTruncatedBody => {
                (502, Some("upstream-reset"), true, "the backend closed the connection in mid-response")
            }
            Failure::UpstreamBodyMalformed => {
                (502, Some("upstream-malformed"), true, "the backend's response body is malformed")
            }
            Failure::ClientBodyMalformed => (400, None, false, "the chunked body is malformed"),
            Failure::ClientBodyTooLarge => (413, None, false, "the request body is too large"),
            Failure::ClientBodyTimeout => (408, None, false, "the request body did not arrive in time"),
            Failure::ClientTooSlow => (408, Some("too-slow"), false, "the request body came too slowly"),
            Failure::ClientGone => (499, None, false, "the client left"),
            Failure::DrainLimit => (503, Some("draining"), false, "the proxy is stopping"),
        };
        Consequence { status, reason, detail, blames_backend }
    }
}

/// When a complaint was last logged, so that trouble at full load is told once a second and not once a request.
#[derive(Debug, Default)]
pub(super) struct Told {
    last: Option<Instant>,
    kept_back: u64,
}

impl Told {
    /// Logs `what` as an error, unless the last one is less than a second ago.
    pub(super) fn error(&mut self, now: Instant, what: impl FnOnce() -> String) {
        self.say(Level::Error, now, what);
    }

    /// The same as a warning.
    pub(super) fn warn(&mut self, now: Instant, what: impl FnOnce() -> String) {
        self.say(Level::Warn, now, what);
    }

    fn say(&mut self, level: Level, now: Instant, what: impl FnOnce() -> String) {
        match self.admit(now) {
            None => {}
            Some(0) => log::log!(level, "{}", what()),
            Some(n) => log::log!(level, "{} ({n} more of this kind since the last line)", what()),
        }
    }

    /// Whether there may be a line now; then how many there were none for since the last one.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now - last < Duration::from_secs(1)) {
            self.kept_back += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contract's table: a change of any row must be meant.
    #[test]
    fn the_table_of_failures() {
        use Failure::*;
        let rows = [
            (NoBackend, 503, Some("no-backend"), false),
            (NoRoute, 404, Some("no-route"), false),
            (NoSocket, 503, Some("no-backend"), false),
            (NoRoom, 503, Some("no-room"), false),
            (UpstreamRefused, 502, Some("upstream-refused"), true),
            (ConnectTimeout, 504, Some("upstream-timeout"), true),
            (UpstreamResetBeforeHead, 502, Some("upstream-reset"), true),
            (UpstreamHeadMalformed, 502, Some("upstream-malformed"), true),
            (UpstreamTimeout, 504, Some("upstream-timeout"), true),
            (StreamIdle, 504, None, false),
            (UpstreamTruncatedBody, 502, Some("upstream-reset"), true),
            (UpstreamBodyMalformed, 502, Some("upstream-malformed"), true),
            (ClientBodyMalformed, 400, None, false),
            (ClientBodyTooLarge, 413, None, false),
            (ClientBodyTimeout, 408, None, false),
            (ClientTooSlow, 408, Some("too-slow"), false),
            (ClientGone, 499, None, false),
            (DrainLimit, 503, Some("draining"), false),
        ];
        for (failure, status, reason, blames_backend) in rows {
            let c = failure.consequence();
            assert_eq!(
                (c.status, c.reason, c.blames_backend),
                (status, reason, blames_backend),
                "{failure:?}"
            );
        }
    }

    #[test]
    fn a_line_a_second_says_how_many_it_stands_for() {
        let mut told = Told::default();
        let at = |ms: u64| Instant::from_nanos(5_000_000_000 + ms * 1_000_000);
        assert_eq!(
            [0, 1, 999, 1_000, 1_001, 9_000].map(|ms| told.admit(at(ms))),
            [Some(0), None, None, Some(2), None, Some(1)]
        );
    }
}
