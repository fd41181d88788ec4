//! Commands from another thread.
//!
//! Here: what each does. Not here: how they come (`remote.rs`), who may send them (`admin/`). Floor 3.

use super::{Proxy, Turn};
use crate::balance::{BackendId, RoutingMode};
use crate::batch::StrategyName;
use crate::command::{Answer, Command, Drained, Standing};
use crate::net::Net;
use crate::remote::Orders;

impl<N: Net> Proxy<N> {
    /// The same, which another reactor commands: it wakes this one when a command waits.
    pub fn commanded_by(mut self, orders: Orders<N::Waker>) -> Proxy<N> {
        self.obeys(orders);
        self
    }

    /// From now on another reactor commands it.
    pub(crate) fn obeys(&mut self, orders: Orders<N::Waker>) {
        self.orders = Some(orders);
    }

    /// Does what was asked for.
    pub(super) fn obey(&mut self, turn: &mut Turn<'_, N>) {
        let Some(orders) = self.orders.take() else { return };
        orders.each(|command| {
            let changes = command != Command::Stand;
            let answer = self.obey_one(turn, command);
            if changes {
                self.flush_records(turn);
            }
            answer
        });
        self.orders = Some(orders);
    }

    fn obey_one(&mut self, turn: &mut Turn<'_, N>, command: Command) -> Answer {
        match command {
            Command::SetRouting(mode) => self.set_routing(mode),
            Command::SetStrategy(strategy) if self.set_strategy(turn, strategy) => {}
            Command::SetStrategy(_) => return Answer::NoBatching,
            Command::Drain(name, drained) => {
                let ids = self.servers.called(&name);
                if ids.is_empty() {
                    return Answer::NoSuchServer;
                }
                ids.into_iter().for_each(|id| self.drain(turn, id, drained));
            }
            Command::Stand => {
                let (backends, classifiers) = self.servers.serving(turn.net.now());
                return Answer::Standing(Standing { draining: self.is_draining(), backends, classifiers });
            }
        }
        Answer::Done
    }

    pub(super) fn set_routing(&mut self, mode: RoutingMode) {
        let before = self.servers.balance.mode();
        self.servers.balance.set_mode(mode);
        log::info!("routing: {before} until now, {mode} from now on");
    }

    /// Changes the strategy of the batching queue, in which every job stays with its age; `false` without a classifier.
    pub(super) fn set_strategy(&mut self, turn: &mut Turn<'_, N>, strategy: StrategyName) -> bool {
        let Some(batching) = &mut self.batching else { return false };
        let before = batching.set_strategy(strategy, turn.net.now());
        log::info!("strategy: {before} until now, {strategy} from now on");
        true
    }

    /// What is in flight on a server that is drained ends undisturbed; what rests is closed.
    fn drain(&mut self, turn: &mut Turn<'_, N>, id: BackendId, drained: Drained) {
        self.servers.drain(id, drained == Drained::Yes);
        if drained == Drained::Yes {
            self.close_pool(turn, id);
        }
        if let Some(batching) = &mut self.batching {
            batching.stir();
        }
    }
}
