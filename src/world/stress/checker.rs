//! What a proxy under stress must not do.
//!
//! Here: [`Checker`], which looks at it between turns: no more idle connections to a backend than were ever in use at once, no more
//! bytes than its limits allow, and nobody ejected where nobody is to blame. Not here: what must hold at any time
//! (`proxy/check.rs`). Floor 4.

use super::plan::StressPlan;
use crate::net::VirtualNet;
use crate::proxy::{INPUT_BLOCK_BYTES, Pooled, Proxy, Resident};

/// So many idle connections more than were in use at once may be seen: those whose use began and ended within a turn.
const POOLED_BESIDE: usize = 2;

/// What empty buffers may hold together: 1,024 small ones and 64 large ones.
const KEPT_BYTES: usize = 1_024 * 8 * 1_024 + 64 * 192 * 1_024;

/// What it has seen.
pub(super) struct Checker {
    blameless: bool,
    /// What bodies that are batched may take together: the growth of the process is at most twice the option.
    batching_bytes: usize,
    /// What a connection may hold, with what it carries.
    connection_bytes: usize,
    /// How many connections to each backend carried an exchange after the turn before, and the most that may have done so at once.
    busy: Vec<usize>,
    most_busy: Vec<usize>,
    /// Exchanges begun by then.
    begun: u64,
    /// By how many the idle connections to one backend exceeded those at most.
    pub(super) most_pooled: usize,
    /// The most bytes of each kind.
    pub(super) most_bytes: Resident,
}

impl Checker {
    pub(super) fn new(plan: &StressPlan) -> Checker {
        let limits = &plan.options.limits;
        // What was read at once and not passed on, and a head and its answer's; a buffer that grows doubles.
        let connection_bytes = 2 * (limits.pipelined_bytes + limits.request.head_bytes + INPUT_BLOCK_BYTES);
        let servers = plan.backends + usize::from(plan.options.batching.is_some());
        Checker {
            blameless: plan.blameless,
            batching_bytes: plan.options.batching.as_ref().map_or(0, |batching| 2 * batching.queue_bytes),
            connection_bytes,
            busy: vec![0; servers],
            most_busy: vec![0; servers],
            begun: 0,
            most_pooled: 0,
            most_bytes: Resident::default(),
        }
    }

    /// The proxy has had a turn.
    pub(super) fn note(&mut self, proxy: &Proxy<VirtualNet>) {
        // All that began within the turn may have been under way before any of it ended.
        let begun = proxy.begun();
        let new = (begun - std::mem::replace(&mut self.begun, begun)) as usize;
        for ((most, before), busy) in self.most_busy.iter_mut().zip(&mut self.busy).zip(proxy.in_flight_at())
        {
            *most = (*most).max(busy).max(*before + new);
            *before = busy;
        }
    }

    /// Looks at the proxy after a turn.
    ///
    /// # Errors
    /// What must not be.
    pub(super) fn check(&mut self, proxy: &Proxy<VirtualNet>) -> Result<(), String> {
        let ejected: u64 = proxy.standing().map(|(_, ejected)| ejected).sum();
        if self.blameless && ejected > 0 {
            return Err(format!("{ejected} backends were ejected, and none is to blame"));
        }
        self.check_pools(proxy)?;
        self.check_bytes(proxy)
    }

    fn check_pools(&mut self, proxy: &Proxy<VirtualNet>) -> Result<(), String> {
        let clients = proxy.client_count();
        for (backend, Pooled { idle, kept, busy }) in proxy.pooled().into_iter().enumerate() {
            if kept > clients {
                return Err(format!("{kept} connections to backend {backend} rest for {clients} clients"));
            }
            let most = &mut self.most_busy[backend];
            *most = (*most).max(busy);
            self.most_pooled = self.most_pooled.max(idle.saturating_sub(*most));
            if idle > *most + POOLED_BESIDE {
                let what =
                    format!("{idle} idle connections to backend {backend}, {most} were in use at most");
                return Err(what);
            }
        }
        Ok(())
    }

    fn check_bytes(&mut self, proxy: &Proxy<VirtualNet>) -> Result<(), String> {
        let Resident { connections, batching, kept } = proxy.resident();
        let most = &mut self.most_bytes;
        most.connections = most.connections.max(connections);
        most.batching = most.batching.max(batching);
        most.kept = most.kept.max(kept);
        let sockets = proxy.sockets();
        if connections > sockets * self.connection_bytes {
            return Err(format!("{connections} bytes are kept for {sockets} connections"));
        }
        if batching > self.batching_bytes {
            return Err(format!("{batching} bytes for batching, {} are allowed", self.batching_bytes));
        }
        match kept > KEPT_BYTES {
            true => Err(format!("{kept} bytes in empty buffers")),
            false => Ok(()),
        }
    }
}
