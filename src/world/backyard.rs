//! The servers of a stage.
//!
//! Here: [`Backyard`], many servers that act as one: only those are asked of which something is known to be due, so that a
//! thousand of them cost no more than those that work. Not here: what they do (`testbed/`). Floor 4.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use super::actor::{Actor, Acts};
use super::{START, Servers, address};
use crate::net::{Fabric, Net, VirtualNet};
use crate::proxy::Backend;
use crate::server::{Server, Service};
use crate::testbed::{self, SimulatedBackend, SimulatedClassifier};
use crate::time::Instant;

/// Where the first server is; the others are on the ports behind.
const FIRST_PORT: u16 = 81;

/// Servers, and which of them have something to do.
pub(super) struct Backyard {
    fabric: Fabric,
    servers: Vec<Box<dyn Acts>>,
    /// Which server each net belongs to.
    of_net: BTreeMap<usize, usize>,
    /// The deadlines that are in `deadlines` for each.
    noted: Vec<Option<Instant>>,
    /// The earliest first. One that is not noted any more means nothing; there is none such at the top.
    deadlines: BinaryHeap<Reverse<(Instant, usize)>>,
    /// To whom something has happened.
    stirred: BTreeSet<usize>,
    room: Vec<usize>,
}

impl Backyard {
    /// Starts the servers; returns them, and how a proxy knows them.
    pub(super) fn open(fabric: &Fabric, servers: Servers) -> (Backyard, Vec<Backend>) {
        let mut yard = Backyard {
            fabric: fabric.clone(),
            servers: Vec::new(),
            of_net: BTreeMap::new(),
            noted: Vec::new(),
            deadlines: BinaryHeap::new(),
            stirred: BTreeSet::new(),
            room: Vec::new(),
        };
        let mut known = Vec::new();
        match servers {
            Servers::Backends(backends) => {
                for (port, (name, options)) in (FIRST_PORT..).zip(backends) {
                    let (net, listener) = listen(fabric, port);
                    yard.add(net, SimulatedBackend::new(options, listener, address(port), Arc::default()));
                    known.push(backend(name, port));
                }
            }
            Servers::Classifiers(classifiers) => {
                for (port, options) in (FIRST_PORT..).zip(classifiers) {
                    let (net, listener) = listen(fabric, port);
                    yard.add(net, SimulatedClassifier::new(options, listener, Arc::default()));
                    let number = if port == FIRST_PORT { String::new() } else { (port - 80).to_string() };
                    known.push(backend(format!("classifier{number}"), port));
                }
            }
        }
        (yard, known)
    }

    fn add<S: Service + 'static>(&mut self, net: VirtualNet, server: Server<VirtualNet, S>)
    where
        S::Asked: 'static,
        S::Answer: 'static,
    {
        let index = self.servers.len();
        self.of_net.insert(net.number(), index);
        let mut actor = Actor::new(net, testbed::TICK_SHIFT, server);
        actor.reactor.begin(|turn| actor.handler.open(turn)).expect(START);
        self.servers.push(Box::new(actor));
        self.noted.push(None);
        self.stirred.insert(index);
    }

    /// Keeps in mind what server `index` waits for.
    fn note(&mut self, index: usize) {
        let deadline = self.servers[index].deadline();
        if self.noted[index] != deadline {
            self.noted[index] = deadline;
            self.deadlines.extend(deadline.map(|at| Reverse((at, index))));
        }
    }

    fn forget_the_past(&mut self) {
        while let Some(&Reverse((at, index))) = self.deadlines.peek()
            && self.noted[index] != Some(at)
        {
            self.deadlines.pop();
        }
    }

    /// Adds those to `stirred` who have something to do at `now`.
    fn look(&mut self, now: Instant) {
        self.fabric.stirred(&mut self.room);
        self.stirred.extend(self.room.drain(..).filter_map(|net| self.of_net.get(&net)));
        while let Some(&Reverse((at, index))) = self.deadlines.peek()
            && at <= now
        {
            self.deadlines.pop();
            if self.noted[index] == Some(at) {
                self.noted[index] = None;
                self.stirred.insert(index);
            }
        }
    }
}

impl Acts for Backyard {
    fn act(&mut self, now: Instant) -> Result<bool, String> {
        self.look(now);
        let mut acted = false;
        for index in std::mem::take(&mut self.stirred) {
            if self.servers[index].act(now)? {
                acted = true;
                // It may not have taken all.
                self.stirred.insert(index);
            }
            self.note(index);
        }
        self.forget_the_past();
        Ok(acted)
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadlines.peek().map(|&Reverse((at, _))| at)
    }

    fn has_stopped(&self) -> bool {
        self.servers.iter().all(|server| server.has_stopped())
    }

    fn stop(&mut self) {
        self.servers.iter_mut().for_each(|server| server.stop());
    }
}

fn listen(fabric: &Fabric, port: u16) -> (VirtualNet, <VirtualNet as Net>::Listener) {
    let net = fabric.net();
    let listener = net.listen(address(port)).expect(START);
    (net, listener)
}

fn backend(name: String, port: u16) -> Backend {
    Backend { authority: name.clone(), url: name, addresses: vec![address(port)] }
}
