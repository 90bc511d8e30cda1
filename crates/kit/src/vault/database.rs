//! The key store of several nodes: a small PostgreSQL of its own. What lies in it is what lies in a file of
//! [`super::DirectoryKeyStore`].

use std::collections::BTreeMap;

use async_trait::async_trait;
use db::{
    cluster::Target,
    key_database::{KeyDatabase, KeyDatabaseError, State},
};
use kernel::{Time, id::DataKeyId, random};
use zeroize::Zeroizing;

use super::{
    Fingerprint, KeyStore, KeyStoreError, Shard,
    directory::{content, parse_content},
};

/// Shards as rows.
pub struct DatabaseKeyStore {
    database: KeyDatabase,
    fingerprint: Fingerprint,
}

impl From<KeyDatabaseError> for KeyStoreError {
    fn from(error: KeyDatabaseError) -> Self {
        match error {
            KeyDatabaseError::Exists(id) => Self::Exists { id: id.into() },
            error => Self::Database { is_transient: error.is_transient(), problem: error.to_string() },
        }
    }
}

impl DatabaseKeyStore {
    /// Opens the store, or makes it where nothing was ever stored.
    ///
    /// # Errors
    /// [`KeyStoreError::Database`], also while shards are being moved in or out.
    pub async fn open(target: &Target) -> Result<Self, KeyStoreError> {
        let database = KeyDatabase::connect(target).await?;
        let new = Fingerprint(random::bytes()).to_string();
        let said = database.name(&new, State::InUse).await?;
        Self::of(database, &said.fingerprint, said.state)
    }

    /// Opens a store that is there, and never makes one.
    ///
    /// # Errors
    /// As [`DatabaseKeyStore::open`]; [`KeyStoreError::Database`] where there is none.
    pub async fn existing(target: &Target) -> Result<Self, KeyStoreError> {
        let database = KeyDatabase::connect(target).await?;
        match database.said().await? {
            Some(said) => Self::of(database, &said.fingerprint, said.state),
            None => Err(broken("is empty: nothing was ever stored in it")),
        }
    }

    fn of(database: KeyDatabase, fingerprint: &str, state: State) -> Result<Self, KeyStoreError> {
        match state {
            State::InUse => {}
            State::Filling => return Err(broken("is being filled: run `entrepot keys move` to its end")),
            State::Emptying => return Err(broken("is not the key store any more: its shards were moved elsewhere")),
        }
        Self::any(database, fingerprint)
    }

    fn any(database: KeyDatabase, fingerprint: &str) -> Result<Self, KeyStoreError> {
        let fingerprint = fingerprint.parse().map_err(|_| broken("has a name of unknown form"))?;
        Ok(Self { database, fingerprint })
    }

    /// The store as it is, whatever is being moved; of this name, where it has none.
    pub(super) async fn to_move(
        target: &Target,
        fingerprint: Option<Fingerprint>,
    ) -> Result<Option<(Self, State)>, KeyStoreError> {
        let database = KeyDatabase::connect(target).await?;
        let said = match fingerprint {
            Some(fingerprint) => {
                let fingerprint = fingerprint.to_string();
                if database.said().await?.is_some_and(|said| said.fingerprint != fingerprint) {
                    // A program that was started with it too early has named it, and put nothing into it.
                    database.forget_name().await?;
                }
                Some(database.name(&fingerprint, State::Filling).await?)
            }
            None => database.said().await?,
        };
        said.map(|said| Ok((Self::any(database, &said.fingerprint)?, said.state))).transpose()
    }

    pub(super) fn database(&self) -> &KeyDatabase {
        &self.database
    }
}

fn broken(problem: &str) -> KeyStoreError {
    KeyStoreError::Database { problem: problem.to_owned(), is_transient: false }
}

#[async_trait]
impl KeyStore for DatabaseKeyStore {
    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    async fn put(&self, id: DataKeyId, shard: Shard) -> Result<(), KeyStoreError> {
        Ok(self.database.put(id.uuid(), content(id, &shard).as_slice()).await?)
    }

    async fn get(&self, id: DataKeyId) -> Result<Option<Shard>, KeyStoreError> {
        let Some(found) = self.database.get(id.uuid()).await?.map(Zeroizing::new) else { return Ok(None) };
        parse_content(id, &found)
    }

    async fn delete(&self, id: DataKeyId) -> Result<(), KeyStoreError> {
        Ok(self.database.delete(id.uuid()).await?)
    }

    async fn list(&self) -> Result<Vec<DataKeyId>, KeyStoreError> {
        Ok(self.database.ids().await?.into_iter().map(DataKeyId::from).collect())
    }

    async fn all(&self) -> Result<super::AllShards, KeyStoreError> {
        let (mut shards, mut unreadable, mut after) = (BTreeMap::new(), vec![], None);
        loop {
            let page = self.database.page(after).await?;
            let Some((last, _)) = page.last() else { return Ok((shards, unreadable)) };
            after = Some(*last);
            for (id, found) in page {
                let (id, found) = (DataKeyId::from(id), Zeroizing::new(found));
                match parse_content(id, &found) {
                    Ok(Some(shard)) => drop(shards.insert(id, shard)),
                    Ok(None) => {}
                    Err(error) => unreadable.push((id, error)),
                }
            }
        }
    }

    async fn tidy(&self, _made_before: Time) -> Result<usize, KeyStoreError> {
        // A row is there whole or not at all.
        Ok(0)
    }
}
