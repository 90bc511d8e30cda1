//! Where shards live: outside PostgreSQL, so that no dump of the database holds what opens it.

use std::{collections::BTreeMap, io, path::PathBuf};

use async_trait::async_trait;
use chrono::DateTime;
use kernel::{Time, id::DataKeyId, random};
use zeroize::Zeroizing;

use super::{Fingerprint, primitives::KeyBytes};

/// The half of a data key's wrapping that can be destroyed: 32 random bytes. No `Debug`, no `Clone`; wiped on drop.
pub struct Shard(KeyBytes);

impl Shard {
    /// Fresh random bytes.
    pub fn generate() -> Self {
        Self(Zeroizing::new(random::bytes()))
    }

    pub(super) fn from_bytes(bytes: KeyBytes) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &KeyBytes {
        &self.0
    }
}

/// The store could not do it. Paths hold ids only.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    #[error("the key store could not {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is open to other users (mode {mode:04o}): directories of a key store need 0700, files 0600", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{} is not a key store: name an empty directory, or one that this program made", path.display())]
    NotAKeyStore { path: PathBuf },
    #[error("the shard of data key {id} is damaged: restore the key store from its backup")]
    Damaged { id: DataKeyId },
    #[error("data key {id} has a shard already")]
    Exists { id: DataKeyId },
    /// Of a key store that is a database.
    #[error("the key database {problem}")]
    Database { problem: String, is_transient: bool },
    #[error("the program is stopping")]
    Stopping,
}

impl KeyStoreError {
    /// Whether it may be over in a moment, without anybody repairing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Stopping => true,
            Self::Database { is_transient, .. } => *is_transient,
            Self::Exposed { .. } | Self::NotAKeyStore { .. } | Self::Damaged { .. } | Self::Exists { .. } => false,
        }
    }
}

/// The shards of a store, and those that cannot be read, with why.
pub type AllShards = (BTreeMap<DataKeyId, Shard>, Vec<(DataKeyId, KeyStoreError)>);

/// One shard per data key.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// Which store this is, made once with it: an empty directory mounted in its place must not look like one whose keys
    /// were all destroyed.
    fn fingerprint(&self) -> Fingerprint;

    /// Stores a new shard; it is durable when this returns, and never replaces another.
    async fn put(&self, id: DataKeyId, shard: Shard) -> Result<(), KeyStoreError>;

    /// None: there is none, or it was destroyed.
    async fn get(&self, id: DataKeyId) -> Result<Option<Shard>, KeyStoreError>;

    /// Destroys a shard; durable when this returns, and no error when there is none.
    async fn delete(&self, id: DataKeyId) -> Result<(), KeyStoreError>;

    /// The ids of all shards, in no order.
    async fn list(&self) -> Result<Vec<DataKeyId>, KeyStoreError>;

    /// Every shard. One that is damaged, or open to others, is named and does not hold up the rest.
    async fn all(&self) -> Result<AllShards, KeyStoreError> {
        let (mut shards, mut unreadable) = (BTreeMap::new(), vec![]);
        for id in self.list().await? {
            match self.get(id).await {
                Ok(Some(shard)) => drop(shards.insert(id, shard)),
                // Destroyed since it was listed.
                Ok(None) => {}
                Err(error @ (KeyStoreError::Stopping | KeyStoreError::Database { .. })) => return Err(error),
                Err(error) => unreadable.push((id, error)),
            }
        }
        Ok((shards, unreadable))
    }

    /// Destroys what interrupted writes of keys made before this time left behind. Returns how many.
    async fn tidy(&self, made_before: Time) -> Result<usize, KeyStoreError>;
}

/// When a data key was made: its id says so (UUIDv7). None for an id that we did not make.
pub(super) fn made_at(id: DataKeyId) -> Option<Time> {
    let (seconds, nanoseconds) = id.uuid().get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
}
