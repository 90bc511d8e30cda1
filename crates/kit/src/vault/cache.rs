//! Data keys that were unwrapped lately. Our own and not `moka`: that drops evicted values some time later, and these must
//! be wiped when they leave.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kernel::{
    Time,
    id::{DataKeyId, OrganizationId},
};

use super::{DataKey, Scope, WrappedKey};

pub(super) struct Cache {
    capacity: usize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_id: HashMap<DataKeyId, Entry>,
    /// Counts uses, so that the order of last use is known.
    uses: u64,
}

struct Entry {
    row: WrappedKey,
    key: Arc<DataKey>,
    checked_at: Time,
    used: u64,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, entries: Mutex::default() }
    }

    /// The key of exactly this row, and when its shard was last seen to exist. A row that was changed, or moved to another
    /// organization, does not get what was unwrapped from the original.
    pub(super) fn get(&self, row: &WrappedKey) -> Option<(Arc<DataKey>, Time)> {
        let mut entries = self.lock();
        entries.uses += 1;
        let used = entries.uses;
        let entry = entries.by_id.get_mut(&row.identity.id).filter(|entry| entry.row == *row)?;
        entry.used = used;
        Some((entry.key.clone(), entry.checked_at))
    }

    pub(super) fn insert(&self, row: WrappedKey, key: Arc<DataKey>, checked_at: Time) {
        let mut entries = self.lock();
        if entries.by_id.len() >= self.capacity {
            entries.drop_unused_quarter();
        }
        entries.uses += 1;
        let used = entries.uses;
        entries.by_id.insert(row.identity.id, Entry { row, key, checked_at, used });
    }

    /// Notes that the shard still exists. Does not bring back a key that was forgotten meanwhile.
    pub(super) fn confirm(&self, id: DataKeyId, checked_at: Time) {
        if let Some(entry) = self.lock().by_id.get_mut(&id) {
            entry.checked_at = checked_at;
        }
    }

    pub(super) fn forget(&self, id: DataKeyId) {
        self.lock().by_id.remove(&id);
    }

    pub(super) fn forget_scope(&self, organization: OrganizationId, scope: Scope) {
        self.lock().by_id.retain(|_, entry| {
            let identity = entry.row.identity;
            (identity.organization, identity.scope) != (organization, scope)
        });
    }

    pub(super) fn forget_all(&self) {
        self.lock().by_id.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Every change is one call on the map: a panic elsewhere leaves nothing half done.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// A quarter at once, so that a full cache does not look for its oldest entry at every insertion.
    fn drop_unused_quarter(&mut self) {
        let mut uses: Vec<u64> = self.by_id.values().map(|entry| entry.used).collect();
        if uses.is_empty() {
            return;
        }
        let at = uses.len() / 4;
        let (_, bound, _) = uses.select_nth_unstable(at);
        let bound = *bound;
        self.by_id.retain(|_, entry| entry.used > bound);
    }
}
