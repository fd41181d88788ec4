//! Who steers the proxy of a world while it runs.
//!
//! Here: [`Steering`], which sends commands at drawn times as the admin listener does, and expects an answer to each at once.
//! Not here: what they do (`proxy/obey.rs`). Floor 4.

use std::time::Duration;

use super::actor::Acts;
use crate::balance::RoutingMode;
use crate::batch::StrategyName;
use crate::command::{Answer, Command, Drained};
use crate::net::{Fabric, VirtualNet, VirtualWaker};
use crate::proxy::Options;
use crate::remote::{Orders, Remote, Sent, remote};
use crate::time::Instant;

/// Between two commands, at most.
const MICROS_BETWEEN: u64 = 200_000;

/// Sends commands until it is told to stop.
pub(super) struct Steering {
    fabric: Fabric,
    remote: Remote<VirtualWaker>,
    /// What the servers are called.
    names: Vec<Box<str>>,
    /// Some of them may not be there.
    reloads: bool,
    next: Instant,
    sent: Vec<(Command, Sent)>,
    /// Who is drained for all that it knows.
    drained: Vec<bool>,
    stopped: bool,
}

impl Steering {
    /// Steers the proxy on `proxy`, which is told `options`, and where its orders come from.
    pub(super) fn new(
        fabric: &Fabric,
        proxy: &VirtualNet,
        options: &Options,
    ) -> (Steering, Orders<VirtualWaker>) {
        let names: Vec<Box<str>> =
            options.roster().seats().iter().map(|seat| seat.name.as_ref().into()).collect();
        let (remote, orders) = remote(proxy.waker(), fabric.net().waker());
        let steering = Steering {
            fabric: fabric.clone(),
            remote,
            drained: vec![false; names.len()],
            names,
            reloads: false,
            next: fabric.now() + Duration::from_micros(fabric.draw(MICROS_BETWEEN)),
            sent: Vec::new(),
            stopped: false,
        };
        (steering, orders)
    }

    /// Who is drained for all that it knows; nothing while a command is under way.
    pub(super) fn drained(&self) -> &[bool] {
        if !self.sent.is_empty() { &[] } else { &self.drained }
    }

    /// The proxy has other servers now.
    pub(super) fn forget(&mut self) {
        self.reloads = true;
        self.drained.fill(false);
    }

    fn command(&self) -> Command {
        let draw = |below: usize| self.fabric.draw(below as u64) as usize;
        let one = self.names[draw(self.names.len())].clone();
        match draw(8) {
            0 | 1 => Command::SetRouting(RoutingMode::ALL[draw(RoutingMode::ALL.len())]),
            2 => Command::SetStrategy(StrategyName::ALL[draw(StrategyName::ALL.len())]),
            3 | 4 => Command::Drain(one, Drained::Yes),
            5 | 6 => Command::Drain(one, Drained::No),
            _ => Command::Stand,
        }
    }

    fn send(&mut self, command: Command) -> Result<(), String> {
        let sent =
            self.remote.send(command.clone()).map_err(|e| format!("{command:?} is not heard: {e:?}"))?;
        self.sent.push((command, sent));
        Ok(())
    }

    /// The proxy has had its turn since the command was sent.
    fn hear(&mut self, command: Command, sent: &Sent) -> Result<(), String> {
        match (sent.answer(), command) {
            (Ok(Some(Answer::NoSuchServer)), Command::Drain(..)) if self.reloads => Ok(()),
            (Ok(Some(Answer::Done)), Command::Drain(name, drained)) => {
                let known = self.names.iter().zip(&mut self.drained).filter(|(known, _)| **known == name);
                known.for_each(|(_, is)| *is = drained == Drained::Yes && !self.reloads);
                Ok(())
            }
            (Ok(Some(Answer::Done)), Command::SetRouting(_) | Command::SetStrategy(_)) => Ok(()),
            (Ok(Some(Answer::NoBatching)), Command::SetStrategy(_)) => Ok(()),
            (Ok(Some(Answer::Standing(standing))), Command::Stand) => {
                let (usable, at_rest) = (
                    standing.backends + standing.classifiers,
                    self.drained.iter().filter(|&&drained| drained).count(),
                );
                match usable + at_rest <= self.drained.len() {
                    true => Ok(()),
                    false => Err(format!("{usable} servers may be chosen while {at_rest} are drained")),
                }
            }
            (answer, command) => Err(format!("{command:?} was answered with {answer:?}")),
        }
    }
}

impl Acts for Steering {
    fn act(&mut self, now: Instant) -> Result<bool, String> {
        if !self.sent.is_empty() {
            for (command, sent) in std::mem::take(&mut self.sent) {
                self.hear(command, &sent)?;
            }
            return Ok(true);
        }
        if self.stopped || now < self.next {
            return Ok(false);
        }
        self.next = now + Duration::from_micros(1 + self.fabric.draw(MICROS_BETWEEN));
        let command = self.command();
        self.send(command)?;
        Ok(true)
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.next).filter(|_| !self.stopped)
    }

    fn has_stopped(&self) -> bool {
        self.stopped
    }

    /// With everything at work.
    fn stop(&mut self) {
        self.stopped = true;
        // A proxy that does not hear this is found to serve nobody.
        for name in self.names.clone() {
            let _ = self.send(Command::Drain(name, Drained::No));
        }
    }
}
