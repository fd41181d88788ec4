//! Numbers for batch keys.
//!
//! Here: [`Keys`], which gives equal keys equal numbers for as long as a job has them, so that the queue need not know
//! what a key is. Floor 3.

use std::collections::HashMap;
use std::sync::Arc;

use slab::Slab;

use crate::batch::KeyId;
use crate::codec::{BatchKey, Shape};

/// The keys of the jobs that live.
#[derive(Default)]
pub(super) struct Keys {
    ids: HashMap<Arc<BatchKey>, u32>,
    entries: Slab<Entry>,
    /// Of all keys together.
    bytes: usize,
    /// The number of the key that was asked for last, which most often is the next one too.
    last: u32,
}

struct Entry {
    key: Arc<BatchKey>,
    /// The shape of the requests with this key.
    shape: Arc<Shape>,
    jobs: usize,
}

impl Keys {
    /// The number of `key`, of requests of that shape, for one more job. Equal keys have one shape, since the path tells it.
    pub(super) fn intern(&mut self, key: BatchKey, shape: &Arc<Shape>) -> KeyId {
        let is_last = self.entries.get(self.last as usize).is_some_and(|entry| *entry.key == key);
        let known = if is_last { Some(self.last) } else { self.ids.get(&key).copied() };
        self.last = match known {
            Some(id) => {
                let entry = &mut self.entries[id as usize];
                debug_assert_eq!(entry.shape, *shape);
                entry.jobs += 1;
                id
            }
            None => {
                let key = Arc::new(key);
                self.bytes += key.bytes();
                let entry = Entry { key: Arc::clone(&key), shape: Arc::clone(shape), jobs: 1 };
                let id = self.entries.insert(entry) as u32;
                self.ids.insert(key, id);
                id
            }
        };
        KeyId(self.last)
    }

    /// The key of that number, if a job has it.
    pub(super) fn get(&self, id: KeyId) -> Option<&BatchKey> {
        self.entries.get(id.0 as usize).map(|entry| &*entry.key)
    }

    /// The shape of the requests with the key of that number, if a job has it.
    pub(super) fn shape(&self, id: KeyId) -> Option<&Shape> {
        self.entries.get(id.0 as usize).map(|entry| &*entry.shape)
    }

    /// A job with this key is gone.
    pub(super) fn release(&mut self, id: KeyId) {
        let Some(entry) = self.entries.get_mut(id.0 as usize) else { return };
        entry.jobs -= 1;
        if entry.jobs == 0 {
            self.bytes -= entry.key.bytes();
            self.ids.remove(&entry.key);
            self.entries.remove(id.0 as usize);
        }
    }

    /// How many bytes all keys together take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many jobs have a key.
    pub(super) fn jobs(&self) -> usize {
        self.entries.iter().map(|(_, entry)| entry.jobs).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{HeadKey, parse};

    fn key(target: &str, body: &str) -> BatchKey {
        let shape = Shape::kserve_v1();
        let parsed = parse(body.as_bytes(), &shape, 5, HeadKey::new(&shape, target, &[]));
        parsed.expect("a body").key
    }

    #[test]
    fn equal_keys_have_one_number_while_a_job_has_them() {
        let mut keys = Keys::default();
        let [shape, other_shape] = [Shape::kserve_v1(), Shape::classify()].map(Arc::new);
        let [a, same, other] = [("/a", 1, &shape), ("/a", 2, &shape), ("/b", 1, &other_shape)]
            .map(|(target, n, shape)| keys.intern(key(target, &format!("{{\"instances\":[{n}]}}")), shape));
        assert_eq!(a, same);
        assert_ne!(a, other);
        assert_eq!(keys.jobs(), 3);
        assert_eq!(
            [a, other].map(|id| keys.shape(id).cloned()),
            [&shape, &other_shape].map(|s| Some((**s).clone()))
        );
        keys.release(a);
        assert_eq!(keys.get(a).map(BatchKey::target), Some("/a"));
        keys.release(same);
        assert_eq!(keys.get(a), None);
        let next = keys.intern(key("/c", r#"{"instances":[1]}"#), &shape);
        assert_eq!(next, a, "numbers are used again");
        assert_eq!(keys.get(next).map(BatchKey::target), Some("/c"));
    }
}
