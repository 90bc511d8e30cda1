//! Shards from one key store to another: from a directory to a database, and back. It can be killed at any moment and begun again.
//!
//! 1. Everything is copied to the new store, which is not served from until 4.
//! 2. The old one is marked: nobody serves from it any more.
//! 3. Both are compared, shard by shard.
//! 4. The new one is marked as one to serve from.
//! 5. What is in the old one is destroyed.
//!
//! So at most one of the two is ever served from, and a shard is in the old one until it is known to be in the new one. From 4 on the
//! new one is the store: what is not there any more was destroyed there, and is destroyed in the old one too.

use std::{collections::BTreeMap, path::PathBuf};

use db::{cluster::Target, key_database::State};
use kernel::id::DataKeyId;
use uuid::Uuid;

use super::{DatabaseKeyStore, DirectoryKeyStore, Fingerprint, KeyStore, KeyStoreError, Shard, directory::content};

/// How many shards are written or destroyed in one statement.
const AT_ONCE: usize = 1_000;

/// Where a key store is.
#[derive(Clone)]
pub enum KeyStorePlace {
    Directory(PathBuf),
    Database(Box<Target>),
}

impl std::fmt::Display for KeyStorePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Database(_) => f.write_str("the key database"),
        }
    }
}

impl KeyStorePlace {
    /// Opens the store, or makes it where there is none.
    ///
    /// # Errors
    /// [`KeyStoreError`].
    pub async fn open(&self) -> Result<std::sync::Arc<dyn KeyStore>, KeyStoreError> {
        Ok(match self {
            Self::Directory(path) => std::sync::Arc::new(DirectoryKeyStore::open(path).await?),
            Self::Database(target) => std::sync::Arc::new(DatabaseKeyStore::open(target).await?),
        })
    }

    /// Opens a store that is there.
    ///
    /// # Errors
    /// [`KeyStoreError`]; when there is none.
    pub async fn existing(&self) -> Result<std::sync::Arc<dyn KeyStore>, KeyStoreError> {
        Ok(match self {
            Self::Directory(path) => std::sync::Arc::new(DirectoryKeyStore::existing(path).await?),
            Self::Database(target) => std::sync::Arc::new(DatabaseKeyStore::existing(target).await?),
        })
    }
}

/// Why shards were not moved. What was done until then is kept; the old store is complete until the new one is.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error("there is no key store in {0} to move")]
    Nothing(KeyStorePlaceName),
    #[error("{place} holds key store {found}, and {wanted} is to be moved there: name an empty one")]
    Occupied { place: KeyStorePlaceName, found: Fingerprint, wanted: Fingerprint },
    #[error("{count} shards cannot be read, the first of data key {first}: {error}. Repair or restore them first")]
    Unreadable { count: usize, first: DataKeyId, error: KeyStoreError },
    #[error("what was copied is not what was there ({0} shards differ): run it again")]
    Different(usize),
    #[error("both places are the same kind of key store: nothing is to be moved")]
    SameKind,
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
}

/// A place as it is named in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStorePlaceName(String);

impl std::fmt::Display for KeyStorePlaceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn named(place: &KeyStorePlace) -> KeyStorePlaceName {
    KeyStorePlaceName(place.to_string())
}

/// What was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    pub store: Fingerprint,
    pub shards: usize,
}

/// Moves all shards; nothing may serve meanwhile. Begun again after an interruption it goes on.
///
/// # Errors
/// [`MoveError`].
pub async fn move_shards(from: &KeyStorePlace, to: &KeyStorePlace) -> Result<Moved, MoveError> {
    match (from, to) {
        (KeyStorePlace::Directory(root), KeyStorePlace::Database(target)) => {
            let (source, is_leaving) =
                DirectoryKeyStore::to_move(root).await?.ok_or_else(|| MoveError::Nothing(named(from)))?;
            let name = source.fingerprint();
            let (copy, state) =
                DatabaseKeyStore::to_move(target, Some(name)).await?.ok_or_else(|| MoveError::Nothing(named(to)))?;
            refuse_other(to, copy.fingerprint(), name)?;
            if !(is_leaving && state == State::InUse) {
                let shards = readable(&source).await?;
                if state != State::Filling {
                    return Err(MoveError::Occupied { place: named(to), found: copy.fingerprint(), wanted: name });
                }
                copy_into(&copy, &shards).await?;
                if !is_leaving {
                    source.leave().await?;
                }
                compare(&shards, &readable(&copy).await?)?;
                copy.database().set_state(State::InUse).await.map_err(KeyStoreError::from)?;
            }
            compare_left(&source, &copy).await?;
            // All that are listed: one that was overwritten and not removed is no shard any more, and a file still.
            for id in source.list().await? {
                source.delete(id).await?;
            }
            let shards = copy.list().await?.len();
            source.tidy(kernel::Time::MAX_UTC).await?;
            source.remove().await?;
            Ok(Moved { store: name, shards })
        }
        (KeyStorePlace::Database(target), KeyStorePlace::Directory(root)) => {
            let (source, state) =
                DatabaseKeyStore::to_move(target, None).await?.ok_or_else(|| MoveError::Nothing(named(from)))?;
            let name = source.fingerprint();
            let there = DirectoryKeyStore::to_move(root).await?;
            let is_copied = match &there {
                Some((found, is_leaving)) => {
                    refuse_other(to, found.fingerprint(), name)?;
                    if *is_leaving || state != State::Emptying {
                        return Err(MoveError::Occupied { place: named(to), found: found.fingerprint(), wanted: name });
                    }
                    true
                }
                None => false,
            };
            if !is_copied {
                if state == State::Filling {
                    return Err(MoveError::Nothing(named(from)));
                }
                // The layout, without which a directory is no store, is written last; so the old one is left before it.
                source.database().set_state(State::Emptying).await.map_err(KeyStoreError::from)?;
                DirectoryKeyStore::fill(root, name, readable(&source).await?).await?;
                let copy = DirectoryKeyStore::existing(root).await?;
                compare(&readable(&source).await?, &readable(&copy).await?)?;
            }
            compare_left(&source, &DirectoryKeyStore::existing(root).await?).await?;
            for part in source.database().ids().await.map_err(KeyStoreError::from)?.chunks(AT_ONCE) {
                source.database().delete_all(part).await.map_err(KeyStoreError::from)?;
            }
            source.database().forget_name().await.map_err(KeyStoreError::from)?;
            let shards = DirectoryKeyStore::existing(root).await?.list().await?.len();
            Ok(Moved { store: name, shards })
        }
        _ => Err(MoveError::SameKind),
    }
}

/// Fills an empty key database, which is a key store of this name then.
pub(super) async fn fill_database(
    target: &Target,
    name: Fingerprint,
    shards: &BTreeMap<DataKeyId, Shard>,
) -> Result<DatabaseKeyStore, KeyStoreError> {
    let occupied = || KeyStoreError::Database { problem: "is not empty: name another".to_owned(), is_transient: false };
    let (copy, state) = DatabaseKeyStore::to_move(target, Some(name)).await?.ok_or_else(occupied)?;
    if state != State::Filling || copy.fingerprint() != name {
        return Err(occupied());
    }
    copy_into(&copy, shards).await?;
    copy.database().set_state(State::InUse).await?;
    Ok(copy)
}

fn refuse_other(place: &KeyStorePlace, found: Fingerprint, wanted: Fingerprint) -> Result<(), MoveError> {
    if found == wanted { Ok(()) } else { Err(MoveError::Occupied { place: named(place), found, wanted }) }
}

async fn readable(store: &dyn KeyStore) -> Result<BTreeMap<DataKeyId, Shard>, MoveError> {
    let (shards, mut unreadable) = store.all().await?;
    let count = unreadable.len();
    match unreadable.pop() {
        Some((first, error)) => Err(MoveError::Unreadable { count, first, error }),
        None => Ok(shards),
    }
}

/// Also removes what an earlier attempt copied and is destroyed by now.
async fn copy_into(copy: &DatabaseKeyStore, shards: &BTreeMap<DataKeyId, Shard>) -> Result<(), KeyStoreError> {
    let database = copy.database();
    let gone: Vec<Uuid> = database.ids().await?.into_iter().filter(|id| !shards.contains_key(&(*id).into())).collect();
    for part in gone.chunks(AT_ONCE) {
        database.delete_all(part).await?;
    }
    let all: Vec<(&DataKeyId, &Shard)> = shards.iter().collect();
    for part in all.chunks(AT_ONCE) {
        let ids: Vec<Uuid> = part.iter().map(|(id, _)| id.uuid()).collect();
        let contents: Vec<_> = part.iter().map(|(id, shard)| content(**id, shard)).collect();
        let contents: Vec<&[u8]> = contents.iter().map(|content| content.as_slice()).collect();
        database.put_all(&ids, &contents).await?;
    }
    Ok(())
}

/// Each shard of the old store is in the new one, which is not served from yet.
fn compare(old: &BTreeMap<DataKeyId, Shard>, new: &BTreeMap<DataKeyId, Shard>) -> Result<(), MoveError> {
    let is_same = |id: &DataKeyId, shard: &Shard| new.get(id).is_some_and(|copy| copy.bytes() == shard.bytes());
    match old.iter().filter(|(id, shard)| !is_same(id, shard)).count() {
        0 => Ok(()),
        different => Err(MoveError::Different(different)),
    }
}

/// What is still in the old store is what the new one has, which has been served from since: a shard that is missing there was destroyed.
/// One that cannot be read in the old store any more was about to be overwritten.
async fn compare_left(old: &dyn KeyStore, new: &dyn KeyStore) -> Result<(), MoveError> {
    let (left, _half_destroyed) = old.all().await?;
    let new = readable(new).await?;
    let differs = |id: &DataKeyId, shard: &Shard| new.get(id).is_some_and(|copy| copy.bytes() != shard.bytes());
    match left.iter().filter(|(id, shard)| differs(id, shard)).count() {
        0 => Ok(()),
        different => Err(MoveError::Different(different)),
    }
}
