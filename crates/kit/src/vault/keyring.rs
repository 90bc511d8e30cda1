//! Makes, opens, caches and destroys data keys.

use std::{collections::HashSet, sync::Arc};

use chrono::Duration;
use kernel::{
    Clock, Time,
    id::{DataKeyId, OrganizationId},
    random,
};
use zeroize::Zeroizing;

use super::{
    DataKey, Fingerprint, InstallationKey, KeyIdentity, KeyStore, KeyStoreError, MasterKey, MasterKeys, OpenError,
    Scope, Shard, WrappedKey, cache::Cache, key_store::made_at, primitives::KEY_LENGTH,
};

/// How many data keys are kept in memory: some 2 MiB.
const CACHE_CAPACITY: usize = 16_384;

/// How long a cached key is used before the store is asked again whether its shard exists. This, and not a message that can
/// be lost, makes a destroyed key unreadable on every node within a second.
const RECHECK_AFTER: Duration = Duration::milliseconds(750);

/// How old a shard without a row must be to be an orphan: longer than any transaction, and than backups of the store live.
const ORPHAN_AGE: Duration = Duration::days(7);

/// A sweep that finds more orphans than this, and than a tenth of all shards, was given the wrong list.
const ORPHANS_ALWAYS_SWEPT: usize = 16;

/// The installation's keys. One per process.
pub struct Keyring {
    masters: MasterKeys,
    installation: InstallationKey,
    fingerprints: Fingerprints,
    store: Arc<dyn KeyStore>,
    clock: Clock,
    cache: Cache,
}

/// What the database remembers of the keys that it was filled with; compare them at start with [`Fingerprints::expect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprints {
    pub master: Fingerprint,
    pub store: Fingerprint,
}

/// The process was started with other keys than the database was filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("this database was filled under master key {stored}, but the process runs with master key {present}")]
    MasterKey { stored: Fingerprint, present: Fingerprint },
    #[error(
        "this database was filled with key store {stored}, but the process runs with key store {present}: is the right \
         directory mounted?"
    )]
    KeyStore { stored: Fingerprint, present: Fingerprint },
}

impl Fingerprints {
    /// # Errors
    /// [`Mismatch`], which names both sides.
    pub fn expect(self, stored: Self) -> Result<(), Mismatch> {
        if self.master != stored.master {
            return Err(Mismatch::MasterKey { stored: stored.master, present: self.master });
        }
        if self.store != stored.store {
            return Err(Mismatch::KeyStore { stored: stored.store, present: self.store });
        }
        Ok(())
    }
}

/// A data key whose shard is durable, and whose row is to be written now.
pub struct NewDataKey {
    pub row: WrappedKey,
    pub key: Arc<DataKey>,
}

/// What a sweep destroyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Shards whose rows were never committed.
    pub orphans: usize,
    /// Files of interrupted writes.
    pub leftovers: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// Nothing was destroyed.
    #[error(
        "{orphans} of {total} shards have no row: the list of data keys is not complete, or the database is older than the key store"
    )]
    TooManyOrphans { orphans: usize, total: usize },
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
}

impl Keyring {
    pub fn new(masters: impl Into<MasterKeys>, store: Arc<dyn KeyStore>, clock: Clock) -> Self {
        Self::with_capacity(masters.into(), store, clock, CACHE_CAPACITY)
    }

    pub(super) fn with_capacity(
        masters: impl Into<MasterKeys>,
        store: Arc<dyn KeyStore>,
        clock: Clock,
        capacity: usize,
    ) -> Self {
        let masters = masters.into();
        let fingerprints = Fingerprints { master: masters.current(), store: store.fingerprint() };
        let installation = InstallationKey::of_current(&masters);
        Self { masters, installation, fingerprints, store, clock, cache: Cache::new(capacity) }
    }

    /// With the installation's own key. Without it keys are derived from the current master key, which whoever serves must not:
    /// another one could not open what they sealed.
    #[must_use]
    pub fn with_installation_key(self, installation: InstallationKey) -> Self {
        Self { installation, ..self }
    }

    pub fn masters(&self) -> &MasterKeys {
        &self.masters
    }

    pub fn fingerprints(&self) -> Fingerprints {
        self.fingerprints
    }

    /// Whether the store has the shard of a data key, asked anew each time.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn has_shard(&self, id: DataKeyId) -> Result<bool, KeyStoreError> {
        Ok(self.store.get(id).await?.is_some())
    }

    /// A new data key, wrapped under the master key that the database names. Its shard is durable when this returns, so the row
    /// can be written in any transaction after it; if that rolls back, [`Keyring::sweep`] finds the shard.
    ///
    /// # Errors
    /// [`OpenError::WrongMasterKey`] when the process has not got that key, [`OpenError::KeyStore`]: there is no such key then.
    pub async fn create(
        &self,
        under: Fingerprint,
        organization: OrganizationId,
        scope: Scope,
        version: u32,
    ) -> Result<NewDataKey, OpenError> {
        let master = self.master(under)?;
        let identity = KeyIdentity { id: DataKeyId::new(&self.clock), organization, scope, version };
        let key = DataKey::new(identity, Zeroizing::new(random::bytes()));
        let shard = Shard::generate();
        let row = WrappedKey::wrap(master, &shard, &key);
        self.store.put(identity.id, shard).await?;
        Ok(NewDataKey { row, key: Arc::new(key) })
    }

    /// The data key of a row, from memory or unwrapped.
    ///
    /// # Errors
    /// [`OpenError`]; [`OpenError::Tampered`] when the row was changed or moved.
    pub async fn data_key(&self, row: &WrappedKey) -> Result<Arc<DataKey>, OpenError> {
        let master = self.master(row.master)?;
        let id = row.identity.id;
        let now = self.clock.now();
        let cached = self.cache.get(row);
        if let Some((key, checked_at)) = &cached
            && is_recent(*checked_at, now)
        {
            return Ok(key.clone());
        }
        let Some(shard) = self.store.get(id).await? else {
            self.cache.forget(id);
            return Err(OpenError::KeyDestroyed);
        };
        if let Some((key, _)) = cached {
            self.cache.confirm(id, now);
            return Ok(key);
        }
        let key = Arc::new(row.unwrap(master, &shard)?);
        self.cache.insert(row.clone(), key.clone(), now);
        Ok(key)
    }

    /// The same data key, wrapped under the current master key.
    ///
    /// # Errors
    /// As [`Keyring::data_key`].
    pub async fn rewrap(&self, row: &WrappedKey) -> Result<WrappedKey, OpenError> {
        let (old, new) = (self.master(row.master)?, self.master(self.fingerprints.master)?);
        let shard = self.store.get(row.identity.id).await?.ok_or(OpenError::KeyDestroyed)?;
        let key = row.unwrap(old, &shard)?;
        Ok(WrappedKey::wrap(new, &shard, &key))
    }

    fn master(&self, key: Fingerprint) -> Result<&MasterKey, OpenError> {
        let wrong = || OpenError::WrongMasterKey { sealed_under: key, present: self.fingerprints.master };
        self.masters.get(key).ok_or_else(wrong)
    }

    /// Destroys a data key: what it sealed is lost for good, here at once and on every node within a second.
    ///
    /// # Errors
    /// [`KeyStoreError`]: it may or may not be destroyed; do it again.
    pub async fn destroy(&self, id: DataKeyId) -> Result<(), KeyStoreError> {
        self.store.delete(id).await?;
        self.cache.forget(id);
        Ok(())
    }

    /// Wipes the keys of one scope, all versions, from this process's memory.
    pub fn forget(&self, organization: OrganizationId, scope: Scope) {
        self.cache.forget_scope(organization, scope);
    }

    /// Wipes all keys from this process's memory.
    pub fn forget_all(&self) {
        self.cache.forget_all();
    }

    /// Destroys the shards of keys that are in no row and older than a week, and what interrupted writes left. `existing`
    /// are the ids in `data_keys` of **all** organizations.
    ///
    /// # Errors
    /// [`SweepError::TooManyOrphans`] before anything is destroyed, [`SweepError::KeyStore`].
    pub async fn sweep(&self, existing: &HashSet<DataKeyId>) -> Result<Swept, SweepError> {
        let before = self.clock.now() - ORPHAN_AGE;
        let all = self.store.list().await?;
        let is_orphan = |id: &DataKeyId| !existing.contains(id) && made_at(*id).is_some_and(|made| made < before);
        let orphans: Vec<DataKeyId> = all.iter().copied().filter(is_orphan).collect();
        if orphans.len() > ORPHANS_ALWAYS_SWEPT.max(all.len() / 10) {
            return Err(SweepError::TooManyOrphans { orphans: orphans.len(), total: all.len() });
        }
        for id in &orphans {
            self.destroy(*id).await?;
        }
        Ok(Swept { orphans: orphans.len(), leftovers: self.store.tidy(before).await? })
    }

    /// A key of the installation for one purpose: keyed hashes, signatures, tokens. A purpose is a name used in one place;
    /// changing it invalidates what was made with it, another master key does not. All purposes are listed in `docs/keys.md`.
    pub fn derive(&self, purpose: &'static str) -> Zeroizing<[u8; KEY_LENGTH]> {
        self.installation.derive(purpose)
    }
}

/// A clock that was set back makes nothing recent.
fn is_recent(checked_at: Time, now: Time) -> bool {
    let age = now - checked_at;
    age >= Duration::zero() && age < RECHECK_AFTER
}
