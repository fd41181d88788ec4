//! Traces on their way to the `trace` thread.
//!
//! Here: [`TraceLane`], the reactor's side: bounded, it drops and counts what has no room, and never allocates or waits.
//! Not here: what a trace says (`record/trace.rs`), writing it down (`trace.rs`). The recorder owns it. Floor 2.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::counts::Lines;
use super::roster::{Block, Roster};
use crate::record::Record;
use crate::record::trace::Trace;

/// Traces that are handed over together.
pub(super) const BLOCK: usize = 64;

/// How long the last block waits for room.
const PATIENCE: Duration = Duration::from_secs(1);

/// An exchange, short and long.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) record: Record,
    pub(super) trace: Trace,
}

/// Takes traces from the reactor.
pub(super) struct TraceLane {
    current: Vec<Entry>,
    roster: Arc<Roster>,
    blocks: Sender<Block<Entry>>,
    spare: Receiver<Vec<Entry>>,
    lines: Arc<Lines>,
}

/// The other end of a lane.
pub(super) struct LaneEnd {
    pub(super) blocks: Receiver<Block<Entry>>,
    /// Where emptied blocks go back to.
    pub(super) back: Sender<Vec<Entry>>,
}

impl TraceLane {
    /// A lane in which so many blocks may wait.
    pub(super) fn new(waiting: usize, roster: Arc<Roster>, lines: Arc<Lines>) -> (TraceLane, LaneEnd) {
        let (sender, blocks) = bounded(waiting);
        // One is being filled, one being written; so there is a spare one whenever there is room to send.
        let (back, spare) = bounded(waiting + 2);
        for _ in 0..=waiting {
            // The channel has room for exactly these and the one below.
            let _ = back.try_send(Vec::with_capacity(BLOCK));
        }
        let lane = TraceLane { current: Vec::with_capacity(BLOCK), roster, blocks: sender, spare, lines };
        (lane, LaneEnd { blocks, back })
    }

    /// Keeps a trace until its block is sent. If all blocks wait already, it is dropped and counted.
    pub(super) fn push(&mut self, record: Record, trace: &Trace) {
        if self.current.len() == BLOCK {
            self.send();
        }
        if self.current.len() == BLOCK {
            self.lines.offered.add(1);
            return self.lines.dropped.add(1);
        }
        self.current.push(Entry { record, trace: *trace });
    }

    /// Who is meant from now on, also by what waits.
    pub(super) fn set_roster(&mut self, roster: Arc<Roster>) {
        self.roster = roster;
    }

    /// Whether nothing waits to be handed over.
    pub(super) fn is_empty(&self) -> bool {
        self.current.is_empty()
    }

    /// Hands over what waits, if there is room for it.
    pub(super) fn send(&mut self) {
        if self.current.is_empty() || self.blocks.is_full() {
            return;
        }
        let Ok(fresh) = self.spare.try_recv() else { return };
        // Nobody else sends, so there is still room: an error means that the thread is gone.
        let block = Block { items: mem::replace(&mut self.current, fresh), roster: Arc::clone(&self.roster) };
        self.lines.offered.add(block.items.len());
        if let Err(refused) = self.blocks.try_send(block) {
            self.lines.dropped.add(refused.into_inner().items.len());
        }
    }
}

impl Drop for TraceLane {
    /// Hands over the rest. Here alone it may wait, a while: the loop has ended.
    fn drop(&mut self) {
        let block = Block { items: mem::take(&mut self.current), roster: Arc::clone(&self.roster) };
        self.lines.offered.add(block.items.len());
        if !block.items.is_empty()
            && let Err(refused) = self.blocks.send_timeout(block, PATIENCE)
        {
            self.lines.dropped.add(refused.into_inner().items.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::RoutingMode;
    use crate::record::{Averages, Mode};
    use crate::time::{Instant, WallTime};

    fn record(status: u16) -> Record {
        Record {
            ended: WallTime::default(),
            latency_ns: 1,
            backend: None,
            status,
            mode: Mode::Routing(RoutingMode::RoundRobin),
            failed: false,
            reused: false,
            connect_us: 0,
            averages: Averages::UNMEASURED,
        }
    }

    #[test]
    fn a_lane_that_nobody_empties_keeps_what_has_room_and_counts_the_rest() {
        let lines = Arc::new(Lines::default());
        let (mut lane, end) = TraceLane::new(2, Arc::default(), Arc::clone(&lines));
        let trace = Trace::arrived(Instant::ZERO);
        let room = 3 * BLOCK as u64;
        (0..room + 7).for_each(|n| lane.push(record(n as u16), &trace));
        assert_eq!(lines.dropped.get(), 7);
        let statuses =
            |block: &Vec<Entry>| block.iter().map(|e| u64::from(e.record.status)).collect::<Vec<_>>();
        let first = end.blocks.try_recv().unwrap().items;
        assert_eq!(statuses(&first), (0..BLOCK as u64).collect::<Vec<_>>());
        crate::telemetry::give_back(&end.back, first);
        lane.push(record(1000), &trace);
        assert_eq!(lines.dropped.get(), 7, "there is room again");
        let taken =
            std::thread::spawn(move || end.blocks.iter().map(|block| block.items.len() as u64).sum::<u64>());
        drop(lane);
        assert_eq!(taken.join().unwrap(), room - BLOCK as u64 + 1);
    }

    #[test]
    fn blocks_that_come_back_are_used_again_for_ever() {
        let (mut lane, end) = TraceLane::new(2, Arc::default(), Arc::default());
        let trace = Trace::arrived(Instant::ZERO);
        let mut blocks = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            lane.push(record(200), &trace);
            lane.send();
            let block = end.blocks.try_recv().unwrap().items;
            blocks.insert(block.as_ptr());
            crate::telemetry::give_back(&end.back, block);
        }
        assert_eq!(blocks.len(), 4);
    }
}
