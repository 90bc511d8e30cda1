//! All shards of a key store in one piece, for backups.
//!
//! ```text
//! "entrepot shards 1 <fingerprint of the store>\n"
//! 56 bytes per shard, in the order of their ids: data key id, shard, first 8 bytes of SHA-256(label, id, shard)
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use db::cluster::Target;
use kernel::id::DataKeyId;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    DatabaseKeyStore, DirectoryKeyStore, Fingerprint, KeyStore, KeyStoreError, Shard,
    directory::{CHECK_LENGTH, check},
    moving::fill_database,
    primitives::KEY_LENGTH,
};

const HEADER: &str = "entrepot shards 1 ";
const ID_LENGTH: usize = 16;
const RECORD_LENGTH: usize = ID_LENGTH + KEY_LENGTH + CHECK_LENGTH;

/// Shards on their way to a backup or back. No `Debug`; wiped on drop.
pub struct ShardArchive {
    store: Fingerprint,
    shards: BTreeMap<DataKeyId, Shard>,
}

/// The bytes are not an archive of shards, or not a whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a whole archive of shards")]
pub struct NotAnArchive;

impl ShardArchive {
    /// Reads every shard of a store, and names those that cannot be read. One that is destroyed meanwhile is left out.
    ///
    /// # Errors
    /// [`KeyStoreError`] when the store itself cannot be read.
    pub async fn of(store: &dyn KeyStore) -> Result<(Self, Vec<(DataKeyId, KeyStoreError)>), KeyStoreError> {
        let (shards, unreadable) = store.all().await?;
        Ok((Self { store: store.fingerprint(), shards }, unreadable))
    }

    /// The store that the shards are of.
    pub fn store(&self) -> Fingerprint {
        self.store
    }

    pub fn ids(&self) -> impl ExactSizeIterator<Item = DataKeyId> {
        self.shards.keys().copied()
    }

    pub fn contains(&self, id: DataKeyId) -> bool {
        self.shards.contains_key(&id)
    }

    /// Forgets the shards of these data keys.
    pub fn remove_all(&mut self, ids: &BTreeSet<DataKeyId>) {
        self.shards.retain(|id, _| !ids.contains(id));
    }

    /// Forgets all shards but those of these data keys.
    pub fn keep_only(&mut self, ids: &BTreeSet<DataKeyId>) {
        self.shards.retain(|id, _| ids.contains(id));
    }

    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let header = format!("{HEADER}{}\n", self.store);
        // All of it at once: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(header.len() + self.shards.len() * RECORD_LENGTH));
        bytes.extend_from_slice(header.as_bytes());
        for (id, shard) in &self.shards {
            bytes.extend_from_slice(id.uuid().as_bytes());
            bytes.extend_from_slice(shard.bytes().as_slice());
            bytes.extend_from_slice(&check(*id, shard));
        }
        bytes
    }

    /// # Errors
    /// [`NotAnArchive`] when a byte is missing or was changed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAnArchive> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(NotAnArchive)?;
        let header = str::from_utf8(&bytes[..end]).map_err(|_| NotAnArchive)?;
        let store = header.strip_prefix(HEADER).and_then(|text| text.parse().ok()).ok_or(NotAnArchive)?;
        let (records, rest) = bytes[end + 1..].as_chunks::<RECORD_LENGTH>();
        if !rest.is_empty() {
            return Err(NotAnArchive);
        }
        let mut shards = BTreeMap::new();
        for record in records {
            let (id, record) = record.split_first_chunk::<ID_LENGTH>().ok_or(NotAnArchive)?;
            let (bytes, found) = record.split_first_chunk::<KEY_LENGTH>().ok_or(NotAnArchive)?;
            let id = DataKeyId::from(Uuid::from_bytes(*id));
            let shard = Shard::from_bytes(Zeroizing::new(*bytes));
            if found != check(id, &shard) {
                return Err(NotAnArchive);
            }
            shards.insert(id, shard);
        }
        Ok(Self { store, shards })
    }

    /// Makes a key store of them, with the fingerprint of the one that they are of. On disk when this returns; until then the
    /// directory is not a key store.
    ///
    /// # Errors
    /// [`KeyStoreError::NotAKeyStore`] when there is anything but an empty directory, [`KeyStoreError::Io`].
    pub async fn make_store(self, root: &Path) -> Result<DirectoryKeyStore, KeyStoreError> {
        DirectoryKeyStore::make_from(root, self.store, self.shards).await
    }

    /// The same in an empty key database.
    ///
    /// # Errors
    /// [`KeyStoreError::Database`].
    pub async fn make_database_store(self, target: &Target) -> Result<DatabaseKeyStore, KeyStoreError> {
        fill_database(target, self.store, &self.shards).await
    }
}
