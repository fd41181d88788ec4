//! Numbers for batch keys.
//!
//! Here: [`Keys`], which gives equal keys equal numbers for as long as a job has them, so that the queue need not know
//! what a key is. Floor 3.

use std::collections::HashMap;
use std::sync::Arc;

use slab::Slab;

use crate::batch::KeyId;
use crate::codec::BatchKey;

/// The keys of the jobs that live.
#[derive(Default)]
pub(super) struct Keys {
    ids: HashMap<Arc<BatchKey>, u32>,
    entries: Slab<(Arc<BatchKey>, usize)>,
}

impl Keys {
    /// The number of `key`, for one more job.
    pub(super) fn intern(&mut self, key: BatchKey) -> KeyId {
        if let Some(&id) = self.ids.get(&key) {
            self.entries[id as usize].1 += 1;
            return KeyId(id);
        }
        let key = Arc::new(key);
        let id = self.entries.insert((Arc::clone(&key), 1)) as u32;
        self.ids.insert(key, id);
        KeyId(id)
    }

    /// The key of that number, if a job has it.
    pub(super) fn get(&self, id: KeyId) -> Option<&BatchKey> {
        self.entries.get(id.0 as usize).map(|(key, _)| &**key)
    }

    /// A job with this key is gone.
    pub(super) fn release(&mut self, id: KeyId) {
        let Some((key, jobs)) = self.entries.get_mut(id.0 as usize) else { return };
        *jobs -= 1;
        if *jobs == 0 {
            self.ids.remove(key);
            self.entries.remove(id.0 as usize);
        }
    }

    /// How many jobs have a key.
    pub(super) fn jobs(&self) -> usize {
        self.entries.iter().map(|(_, (_, jobs))| jobs).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{HeadKey, Shape, parse};

    fn key(target: &str, body: &str) -> BatchKey {
        let shape = Shape::kserve_v1();
        let parsed = parse(body.as_bytes(), &shape, 5, HeadKey::new(&shape, target, &[]));
        parsed.expect("a body").key
    }

    #[test]
    fn equal_keys_have_one_number_while_a_job_has_them() {
        let mut keys = Keys::default();
        let [a, same, other] =
            [("/a", r#"{"instances":[1]}"#), ("/a", r#"{"instances":[2]}"#), ("/b", r#"{"instances":[1]}"#)]
                .map(|(target, body)| keys.intern(key(target, body)));
        assert_eq!(a, same);
        assert_ne!(a, other);
        assert_eq!(keys.jobs(), 3);
        keys.release(a);
        assert_eq!(keys.get(a).map(BatchKey::target), Some("/a"));
        keys.release(same);
        assert_eq!(keys.get(a), None);
        assert_eq!(keys.intern(key("/c", r#"{"instances":[1]}"#)), a, "numbers are used again");
    }
}
