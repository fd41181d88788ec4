//! Asking servers whether they work.
//!
//! Here: a GET request to each server in its time, on a connection of its own, and what follows from so many passes or failures
//! in a row. Not here: what it means to be down (`balance/health.rs`). Floor 3.

use std::io;

use super::connect::is_ours;
use super::options::CheckOptions;
use super::{CHECK, CheckId, Proxy, Timer, Turn};
use crate::balance::BackendId;
use crate::deadline::Deadline;
use crate::h1::Violation;
use crate::h1::request::field_space;
use crate::h1::response::{LineEnds, ResponseHead};
use crate::net::{Connect, Net, Readiness, Stream, Token};
use crate::telemetry::Kind;
use crate::wheel::TimerId;

/// A response whose head is longer, with all interim ones, is a failure.
const MAX_HEAD_BYTES: usize = 8 * 1024;

/// A check under way.
pub(super) struct Check<S> {
    server: BackendId,
    stream: S,
    request: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    /// How long the interim heads were.
    passed_over: usize,
    pub(super) deadline: Deadline,
    /// What its answer breaks.
    violation: Option<Violation>,
}

/// What the checks of one server have found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// When it is to be checked next.
    due: Option<TimerId>,
    pub(super) down: bool,
    /// Results in a row that speak against how it stands.
    against: u32,
}

impl Findings {
    /// A check has been passed or not. Returns how the server stands now.
    fn add(&mut self, passed: bool, options: &CheckOptions) -> bool {
        if passed != self.down {
            self.against = 0;
            return !self.down;
        }
        self.against += 1;
        if self.against >= if self.down { options.rise } else { options.fall } {
            self.down = !self.down;
            self.against = 0;
        }
        !self.down
    }
}

impl<N: Net> Proxy<N> {
    /// Begins to check all servers that are to be checked and are not yet, not all at once.
    pub(super) fn begin_checks(&mut self, turn: &mut Turn<'_, N>) {
        let now = turn.now();
        self.findings.resize_with(self.servers.seats.len(), Findings::default);
        let members = self.servers.balance.members().iter().chain(self.servers.classifiers.members());
        let members: Vec<_> = members.copied().collect();
        for (place, &server) in (0..).zip(&members) {
            let Some(options) = self.check_options(server) else { continue };
            let first = options.interval * place / members.len() as u32;
            let findings = &mut self.findings[usize::from(server.0)];
            if findings.due.is_none() {
                findings.due = Some(turn.timers.insert(now + first, Timer::CheckDue(server)));
            }
        }
    }

    /// Checks `server` no more; what was found is forgotten.
    pub(super) fn forget_checks(&mut self, turn: &mut Turn<'_, N>, server: BackendId) {
        let Some(findings) = self.findings.get_mut(usize::from(server.0)) else { return };
        let due = std::mem::take(findings).due;
        if let Some(timer) = due {
            turn.timers.remove(timer);
        }
        let own: Vec<_> = self.checks.iter().filter(|(_, c)| c.server == server).map(|(id, _)| id).collect();
        for id in own {
            if let Some(mut check) = self.checks.remove(id) {
                check.deadline.disarm(turn.timers);
            }
        }
    }

    /// How many servers are to be checked.
    pub(super) fn checked_servers(&self) -> usize {
        self.findings.iter().filter(|findings| findings.due.is_some()).count()
    }

    fn check_options(&self, server: BackendId) -> Option<&CheckOptions> {
        match self.servers.seats[usize::from(server.0)].kind {
            Kind::Backend => self.options.checks.as_ref(),
            Kind::Classifier => self.options.classifier_checks.as_ref(),
        }
    }

    /// It is time to check `server`, and for the next time to be set.
    pub(super) fn check_due(&mut self, turn: &mut Turn<'_, N>, server: BackendId) {
        let Some(CheckOptions { path, interval, timeout, .. }) = self.check_options(server).cloned() else {
            return;
        };
        if self.is_draining() {
            return;
        }
        let now = turn.now();
        let next = turn.timers.insert(now + interval, Timer::CheckDue(server));
        self.findings[usize::from(server.0)].due = Some(next);
        let target = self.servers.target(server);
        let Some(address) = target.address(target.attempt()) else { return };
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: tidegate-check\r\nConnection: close\r\n\r\n",
            path, target.authority
        )
        .into_bytes();
        let opened = turn.net.connect(address).or_else(|e| self.connect_instead(turn, address, e));
        let (stream, connect) = match opened {
            Ok(opened) => opened,
            // What this machine lacks says nothing of the server.
            Err(e) if is_ours(&e) => return,
            Err(_) => return self.judge(turn, server, false),
        };
        let id = self.checks.insert(Check {
            server,
            stream,
            request,
            sent: 0,
            received: Vec::new(),
            passed_over: 0,
            deadline: Deadline::default(),
            violation: None,
        });
        let Some(check) = self.checks.get_mut(id) else { return };
        if turn.net.register(&mut check.stream, Token::new(CHECK, id)).is_err() {
            return self.end_check(turn, id, false);
        }
        check.deadline.set(turn.timers, now + timeout, Timer::Check(id));
        if connect == Connect::TryNow {
            self.check_ready(turn, id, Readiness { writable: true, ..Readiness::default() });
        }
    }

    /// Something may have changed on the connection of a check.
    pub(super) fn check_ready(&mut self, turn: &mut Turn<'_, N>, id: CheckId, readiness: Readiness) {
        let Some(check) = self.checks.get_mut(id) else { return };
        let verdict = match check.send(readiness) {
            Ok(()) => check.receive(self.options.line_ends),
            Err(_) => Some(false),
        };
        if let Some(passed) = verdict {
            self.end_check(turn, id, passed);
        }
    }

    /// A check takes too long.
    pub(super) fn check_expired(&mut self, turn: &mut Turn<'_, N>, id: CheckId) {
        let now = turn.now();
        let Some(check) = self.checks.get_mut(id) else { return };
        if check.deadline.has_passed(turn.timers, now, Timer::Check(id)) {
            self.end_check(turn, id, false);
        }
    }

    fn end_check(&mut self, turn: &mut Turn<'_, N>, id: CheckId, passed: bool) {
        let Some(mut check) = self.checks.remove(id) else { return };
        check.deadline.disarm(turn.timers);
        if let Some(violation) = check.violation {
            self.count_malformed(check.server, "the answer to a health check", violation, turn.now());
        }
        self.judge(turn, check.server, passed);
    }

    fn judge(&mut self, turn: &mut Turn<'_, N>, server: BackendId, passed: bool) {
        let now = turn.now();
        self.counters.checks_failed += u64::from(!passed);
        let Some(options) = self.check_options(server).cloned() else { return };
        let Some(findings) = self.findings.get_mut(usize::from(server.0)) else { return };
        let up = findings.add(passed, &options);
        // One pass alone is no reason to trust a server that is down; of one that is not, it ends an ejection.
        if passed || !up {
            self.servers.checked(server, up, now);
        }
        if let Some(batching) = &mut self.batching {
            batching.stir();
        }
        self.arm_flush(turn, now);
    }

    /// Ends all checks.
    pub(super) fn end_checks(&mut self, turn: &mut Turn<'_, N>) {
        let all: Vec<_> = self.checks.iter().map(|(id, _)| id).collect();
        for id in all {
            if let Some(mut check) = self.checks.remove(id) {
                check.deadline.disarm(turn.timers);
            }
        }
    }
}

impl<S: Stream> Check<S> {
    fn send(&mut self, readiness: Readiness) -> io::Result<()> {
        if !readiness.writable && !readiness.broken {
            return Ok(());
        }
        while self.sent < self.request.len() {
            match self.stream.write(&self.request[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Reads what has come. Returns whether the check is passed, once that is known.
    fn receive(&mut self, line_ends: LineEnds) -> Option<bool> {
        let mut block = [0; 1024];
        loop {
            match self.stream.read(&mut block) {
                Ok(0) => return Some(false),
                Ok(n) => self.received.extend_from_slice(&block[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => return Some(false),
            }
            let verdict = self.verdict(line_ends);
            if verdict.is_some() {
                return verdict;
            }
        }
    }

    fn verdict(&mut self, line_ends: LineEnds) -> Option<bool> {
        loop {
            let mut space = field_space();
            let interim = match ResponseHead::parse_with(line_ends, &self.received, false, &mut space) {
                Ok(Some(head)) if head.status >= 200 => return Some(head.status < 400),
                Ok(Some(head)) => head.len,
                Ok(None) if self.passed_over + self.received.len() > MAX_HEAD_BYTES => {
                    self.violation = Some(Violation::HeadTooLarge);
                    return Some(false);
                }
                Ok(None) => return None,
                Err(violation) => {
                    self.violation = Some(violation);
                    return Some(false);
                }
            };
            self.received.drain(..interim);
            self.passed_over += interim;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_server_falls_and_rises_by_results_in_a_row() {
        let options = CheckOptions {
            path: "/".to_owned(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 3,
        };
        let mut findings = Findings::default();
        let mut stands = |results: &str| -> String {
            let up = |c| if findings.add(c == '+', &options) { 'u' } else { 'd' };
            results.chars().map(up).collect()
        };
        assert_eq!(stands("+--+---"), "uuuuuud");
        assert_eq!(stands("-+-++-"), "dddduu");
    }
}
