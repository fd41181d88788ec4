//! The timing wheel: every deadline of a reactor.
//!
//! Here: [`Wheel`], a hierarchical timing wheel over a slab of entries (Varghese and Lauck, "Hashed and
//! Hierarchical Timing Wheels", SOSP 1987). Not here: any clock, and deadlines that move (`deadline.rs`). The
//! reactor owns a wheel and lends it to its handler. Floor 0.

use std::time::Duration;

use crate::time::Instant;

const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// 11 levels of 6 bits cover every 64-bit tick, so no deadline is out of range.
const LEVELS: usize = 11;
const NIL: u32 = u32::MAX;
const NEVER: u64 = u64::MAX;

/// Names a timer until it expires or is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerId {
    index: u32,
    generation: u32,
}

impl TimerId {
    /// Names no timer.
    pub const NONE: TimerId = TimerId { index: u32::MAX, generation: u32::MAX };
}

struct Entry<P> {
    tick: u64,
    generation: u32,
    prev: u32,
    next: u32,
    /// Which list holds the entry: `level * SLOTS + slot`.
    list: u16,
    /// `None` while the entry is on the free list.
    payload: Option<P>,
}

#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

/// When whoever takes the timers out was not there to do so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stalls {
    /// For how many milliseconds in all, modulo 2^32.
    pub ms: u32,
    /// The end of the last time; what began before then was not watched all the time.
    pub until: Instant,
}

/// Timers of payload `P`. Insert, remove and expire take constant amortised time; none allocates once the wheel
/// has held as many timers before.
pub struct Wheel<P> {
    tick_shift: u32,
    /// The tick up to which all is expired; every live entry's tick is at or after it.
    elapsed: u64,
    entries: Vec<Entry<P>>,
    free: u32,
    live: usize,
    lists: Box<[List]>,
    /// Per level, which slots hold entries.
    occupied: [u64; LEVELS],
    stalls: Stalls,
    /// The tick at which the first slot that holds entries begins; [`NEVER`] if none does. Kept, since each turn of a
    /// reactor asks for it twice and few turns change it.
    first: u64,
}

impl<P> Wheel<P> {
    /// An empty wheel whose tick is `2^tick_shift` nanoseconds, standing at `now`.
    pub fn new(tick_shift: u32, now: Instant) -> Wheel<P> {
        Wheel {
            tick_shift,
            elapsed: now.as_nanos() >> tick_shift,
            entries: Vec::new(),
            free: NIL,
            live: 0,
            lists: vec![List { head: NIL, tail: NIL }; LEVELS * SLOTS].into_boxed_slice(),
            occupied: [0; LEVELS],
            stalls: Stalls::default(),
            first: NEVER,
        }
    }

    /// Whoever takes the timers out was not there for so long, until `until`.
    pub fn stalled(&mut self, lasted: Duration, until: Instant) {
        let ms = u32::try_from(lasted.as_millis()).unwrap_or(u32::MAX);
        self.stalls = Stalls { ms: self.stalls.ms.wrapping_add(ms), until };
    }

    /// When whoever takes the timers out was not there.
    #[inline]
    pub fn stalls(&self) -> Stalls {
        self.stalls
    }

    /// How many timers wait.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether no timer waits.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Sets a timer. It expires at the first tick that is not before `deadline`: never early. Timers of one tick
    /// expire in the order of their insertion.
    pub fn insert(&mut self, deadline: Instant, payload: P) -> TimerId {
        let tick = ceil_shift(deadline.as_nanos(), self.tick_shift).max(self.elapsed);
        let index = self.allocate(tick, payload);
        self.link(index);
        self.live += 1;
        TimerId { index, generation: self.entries[index as usize].generation }
    }

    /// Takes a timer back. `None` if it has expired or was removed.
    pub fn remove(&mut self, id: TimerId) -> Option<P> {
        let entry = self.entries.get(id.index as usize)?;
        if entry.generation != id.generation || entry.payload.is_none() {
            return None;
        }
        self.unlink(id.index);
        self.first = self.first_start();
        self.release(id.index)
    }

    /// When to call [`Wheel::expire`] next: no timer expires before. It may be earlier than the first timer, since
    /// a coarse slot must be taken apart first.
    pub fn next_deadline(&self) -> Option<Instant> {
        let start = self.first.max(self.elapsed);
        (self.live > 0).then(|| Instant::from_nanos(start.saturating_mul(1 << self.tick_shift)))
    }

    /// Takes out one timer whose time has come at `now`; call until `None`. The handler may insert and remove in
    /// between.
    #[inline]
    pub fn expire(&mut self, now: Instant) -> Option<P> {
        let now_tick = now.as_nanos() >> self.tick_shift;
        if now_tick < self.first {
            self.elapsed = self.elapsed.max(now_tick);
            return None;
        }
        self.expire_first(now_tick)
    }

    #[inline(never)]
    fn expire_first(&mut self, now_tick: u64) -> Option<P> {
        while let Some((level, slot)) = self.first_slot() {
            let start = self.slot_start(level, slot);
            if start > now_tick {
                break;
            }
            self.elapsed = self.elapsed.max(start);
            if level == 0 {
                let index = self.lists[slot].head;
                self.unlink(index);
                self.first = self.first_start();
                return self.release(index);
            }
            self.cascade(level, slot);
        }
        self.elapsed = self.elapsed.max(now_tick);
        self.first = self.first_start();
        None
    }

    fn first_start(&self) -> u64 {
        self.first_slot().map_or(NEVER, |(level, slot)| self.slot_start(level, slot))
    }

    /// The first slot that holds entries. A lower level's slots all come before a higher level's, since the level
    /// is that of the highest bit in which a tick differs from `elapsed`.
    fn first_slot(&self) -> Option<(usize, usize)> {
        let level = self.occupied.iter().position(|&bits| bits != 0)?;
        Some((level, self.occupied[level].trailing_zeros() as usize))
    }

    fn slot_start(&self, level: usize, slot: usize) -> u64 {
        let shift = SLOT_BITS * level as u32;
        let above = self.elapsed.checked_shr(shift + SLOT_BITS).unwrap_or(0);
        above.checked_shl(shift + SLOT_BITS).unwrap_or(0) | (slot as u64) << shift
    }

    /// Moves a coarse slot's entries, in order, to where they belong now that `elapsed` has reached the slot.
    fn cascade(&mut self, level: usize, slot: usize) {
        let mut index = self.lists[level * SLOTS + slot].head;
        self.lists[level * SLOTS + slot] = List { head: NIL, tail: NIL };
        self.occupied[level] &= !(1 << slot);
        while index != NIL {
            let next = self.entries[index as usize].next;
            self.link(index);
            index = next;
        }
    }

    fn link(&mut self, index: u32) {
        let tick = self.entries[index as usize].tick;
        let differing = tick ^ self.elapsed;
        let level = (63 - (differing | 1).leading_zeros()) / SLOT_BITS;
        let slot = (tick >> (SLOT_BITS * level)) as usize % SLOTS;
        let list = level as usize * SLOTS + slot;
        let tail = self.lists[list].tail;
        let entry = &mut self.entries[index as usize];
        (entry.prev, entry.next, entry.list) = (tail, NIL, list as u16);
        match tail {
            NIL => self.lists[list].head = index,
            _ => self.entries[tail as usize].next = index,
        }
        self.lists[list].tail = index;
        self.occupied[level as usize] |= 1 << slot;
        self.first = self.first.min(tick >> (SLOT_BITS * level) << (SLOT_BITS * level));
    }

    fn unlink(&mut self, index: u32) {
        let Entry { prev, next, list, .. } = self.entries[index as usize];
        let list = list as usize;
        match prev {
            NIL => self.lists[list].head = next,
            _ => self.entries[prev as usize].next = next,
        }
        match next {
            NIL => self.lists[list].tail = prev,
            _ => self.entries[next as usize].prev = prev,
        }
        if self.lists[list].head == NIL {
            self.occupied[list / SLOTS] &= !(1 << (list % SLOTS));
        }
    }

    fn allocate(&mut self, tick: u64, payload: P) -> u32 {
        if self.free == NIL {
            let index = u32::try_from(self.entries.len()).expect("fewer than 2^32 timers");
            let entry = Entry { tick, generation: 0, prev: NIL, next: NIL, list: 0, payload: Some(payload) };
            self.entries.push(entry);
            return index;
        }
        let index = self.free;
        let entry = &mut self.entries[index as usize];
        self.free = entry.next;
        entry.tick = tick;
        entry.payload = Some(payload);
        index
    }

    fn release(&mut self, index: u32) -> Option<P> {
        let entry = &mut self.entries[index as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = self.free;
        self.free = index;
        self.live -= 1;
        entry.payload.take()
    }
}

fn ceil_shift(nanos: u64, shift: u32) -> u64 {
    (nanos >> shift) + u64::from(nanos & ((1 << shift) - 1) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn expires_at_the_first_tick_not_before_the_deadline() {
        let mut wheel = Wheel::new(4, at(0));
        wheel.insert(at(17), 'a');
        assert_eq!(wheel.expire(at(31)), None);
        assert_eq!(wheel.expire(at(32)), Some('a'));
        assert!(wheel.is_empty());
    }

    #[test]
    fn a_removed_or_expired_timer_cannot_be_removed_again() {
        let mut wheel = Wheel::new(0, at(0));
        let a = wheel.insert(at(5), 'a');
        assert_eq!((wheel.remove(a), wheel.remove(a)), (Some('a'), None));
        let b = wheel.insert(at(6), 'b');
        assert_eq!(wheel.expire(at(6)), Some('b'));
        assert_eq!((wheel.remove(a), wheel.remove(b)), (None, None));
    }

    #[test]
    fn the_far_end_of_time_is_in_range() {
        let mut wheel = Wheel::new(0, at(0));
        wheel.insert(at(u64::MAX - 1), 'z');
        assert_eq!(wheel.expire(at(u64::MAX - 2)), None);
        assert_eq!(wheel.expire(at(u64::MAX - 1)), Some('z'));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Remove(usize),
        Advance(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let far = prop_oneof![0..200u64, 0..100_000u64, 0..u64::from(u32::MAX)];
        let step = prop_oneof![
            3 => far.clone().prop_map(Step::Insert),
            1 => any::<usize>().prop_map(Step::Remove),
            2 => far.prop_map(Step::Advance),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        /// The oracle is a sorted set of (tick, order of insertion): naive, and nothing of it shared.
        #[test]
        fn equals_a_sorted_set(shift in 0u32..21, start in 0..u64::MAX / 4, steps in steps()) {
            let mut now = start;
            let mut wheel = Wheel::new(shift, at(now));
            let mut model = BTreeSet::new();
            let mut ids = Vec::new();
            for (n, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(delay) => {
                        let tick = (now + delay).div_ceil(1 << shift);
                        ids.push((wheel.insert(at(now + delay), n), tick, n));
                        model.insert((tick, n));
                    }
                    Step::Remove(k) if !ids.is_empty() => {
                        let (id, tick, n) = ids[k % ids.len()];
                        prop_assert_eq!(wheel.remove(id).is_some(), model.remove(&(tick, n)));
                    }
                    Step::Remove(_) => {}
                    Step::Advance(by) => {
                        now += by;
                        while let Some(n) = wheel.expire(at(now)) {
                            let first = model.pop_first();
                            prop_assert_eq!(first.map(|(_, n)| n), Some(n));
                            prop_assert!(first.unwrap().0 << shift <= now, "early");
                        }
                        let late = model.first().filter(|(tick, _)| tick << shift <= now);
                        prop_assert_eq!(late, None, "forgotten");
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
                let bound = wheel.next_deadline();
                prop_assert_eq!(bound.is_some(), !model.is_empty());
                if let (Some(bound), Some(first)) = (bound, model.first()) {
                    prop_assert!(bound.as_nanos() <= first.0 << shift);
                }
                prop_assert_eq!(wheel.first, wheel.first_start());
            }
        }
    }
}
