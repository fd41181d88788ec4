//! Answers that wait for clients which do not read them.
//!
//! Here: [`Unread`], how many bytes those are and who has most. Not here: how many there may be (`room.rs`), who is cut
//! off for it (`answer.rs`). Floor 3.

use std::collections::{BTreeMap, BTreeSet};

use crate::proxy::ClientId;

/// How many bytes wait for whom.
#[derive(Default)]
pub(super) struct Unread {
    by_client: BTreeMap<ClientId, usize>,
    by_bytes: BTreeSet<(usize, ClientId)>,
    bytes: usize,
}

impl Unread {
    /// So many bytes wait for a client.
    #[cold]
    pub(super) fn insert(&mut self, client: ClientId, bytes: usize) {
        self.remove(client);
        self.by_client.insert(client, bytes);
        self.by_bytes.insert((bytes, client));
        self.bytes += bytes;
    }

    /// A client has read its answer, or is gone.
    #[cold]
    pub(super) fn remove(&mut self, client: ClientId) {
        if let Some(bytes) = self.by_client.remove(&client) {
            self.by_bytes.remove(&(bytes, client));
            self.bytes -= bytes;
        }
    }

    /// For whom most bytes wait.
    pub(super) fn most(&self) -> Option<ClientId> {
        self.by_bytes.last().map(|&(_, client)| client)
    }

    /// How many answers these are.
    pub(super) fn len(&self) -> usize {
        self.by_client.len()
    }

    /// How many bytes these are.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Who they are, and how many bytes wait for each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ClientId, usize)> {
        self.by_client.iter().map(|(&client, &bytes)| (client, bytes))
    }
}
