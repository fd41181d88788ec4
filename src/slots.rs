//! Entries addressed by index and generation.
//!
//! Here: [`Slots`], a slab whose ids go stale when the entry is removed, so that a late event or timer of a
//! closed connection finds nothing instead of its successor. Not here: what the entries are. The handlers
//! (`proxy/`, `testbed/`) keep their connections in it. Floor 0.

use std::fmt;

/// Names an entry of a [`Slots`] for as long as that entry lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId {
    index: u32,
    generation: u32,
}

impl SlotId {
    /// Puts an id together again from the parts that a `Token` carries.
    pub const fn new(index: u32, generation: u32) -> SlotId {
        SlotId { index, generation }
    }

    /// Position in the slab; below the highest number of entries that lived at once.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Which of the entries that lived at this index is meant; 28 bits.
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

impl fmt::Debug for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// Generations wrap at 28 bits, so that role, index and generation fit into the 64 bits of an event's token.
const GENERATION_MASK: u32 = (1 << 28) - 1;

struct Slot<T> {
    generation: u32,
    entry: T,
}

/// A slab with generation-checked ids. All operations take constant time.
pub struct Slots<T> {
    slab: slab::Slab<Slot<T>>,
    next_generation: u32,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots { slab: slab::Slab::new(), next_generation: 0 }
    }
}

impl<T> Slots<T> {
    /// Stores an entry and names it.
    #[inline]
    pub fn insert(&mut self, entry: T) -> SlotId {
        let generation = self.next_generation;
        self.next_generation = (generation + 1) & GENERATION_MASK;
        let index = self.slab.insert(Slot { generation, entry });
        SlotId::new(u32::try_from(index).expect("fewer than 2^32 entries"), generation)
    }

    /// The entry, unless it is gone.
    pub fn get(&self, id: SlotId) -> Option<&T> {
        self.slab.get(id.index as usize).filter(|s| s.generation == id.generation).map(|s| &s.entry)
    }

    /// The entry for changing, unless it is gone.
    pub fn get_mut(&mut self, id: SlotId) -> Option<&mut T> {
        self.slab.get_mut(id.index as usize).filter(|s| s.generation == id.generation).map(|s| &mut s.entry)
    }

    /// Two entries for changing, unless one of them is gone or they are the same.
    pub fn get_both_mut(&mut self, one: SlotId, other: SlotId) -> Option<(&mut T, &mut T)> {
        if one.index == other.index {
            return None;
        }
        let (a, b) = self.slab.get2_mut(one.index as usize, other.index as usize)?;
        let live = a.generation == one.generation && b.generation == other.generation;
        live.then_some((&mut a.entry, &mut b.entry))
    }

    /// Takes the entry out; its id is stale from now on. `None` if it was stale already.
    pub fn remove(&mut self, id: SlotId) -> Option<T> {
        self.get(id)?;
        Some(self.slab.remove(id.index as usize).entry)
    }

    /// How many entries live.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether no entry lives.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// The ids and entries that live, in order of index.
    pub fn iter(&self) -> impl Iterator<Item = (SlotId, &T)> {
        self.slab.iter().map(|(i, s)| (SlotId::new(i as u32, s.generation), &s.entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_id_finds_nothing_although_the_index_is_in_use_again() {
        let mut slots = Slots::default();
        let old = slots.insert('a');
        assert_eq!(slots.remove(old), Some('a'));
        let new = slots.insert('b');
        assert_eq!(old.index(), new.index());
        assert_eq!(slots.get(old), None);
        assert_eq!(slots.get_mut(old), None);
        assert_eq!(slots.remove(old), None);
        assert_eq!(slots.get(new), Some(&'b'));
        assert_eq!(slots.iter().map(|(id, c)| (id, *c)).collect::<Vec<_>>(), [(new, 'b')]);
        assert_eq!(slots.len(), 1);
        assert_eq!(slots.get_both_mut(old, new), None);
        assert_eq!(slots.get_both_mut(new, new), None);
        let third = slots.insert('c');
        slots.get_both_mut(new, third).into_iter().for_each(|(b, c)| std::mem::swap(b, c));
        assert_eq!((slots.get(new), slots.get(third)), (Some(&'c'), Some(&'b')));
    }
}
