//! VLT-5: what was destroyed stays unreadable, whoever has a copy of what.

use std::{fs, path::Path, sync::Arc};

use kernel::Clock;
use uuid::Uuid;

use super::{
    super::{
        Context, DirectoryKeyStore, Keyring, Kind, MASTER_KEY_FILE, MasterKey, OpenError, Scope, WrappedKey, open, seal,
    },
    organization, start,
};

/// What a dump of the database holds of one credential.
struct Dump {
    key: WrappedKey,
    context: Context,
    sealed: Vec<u8>,
}

/// As a process starts: the key file is read and the store opened anew, nothing is in memory.
async fn fresh_process(folder: &Path) -> Keyring {
    let key_file = folder.join("master.key");
    let master = MasterKey::from_lookup(|name| (name == MASTER_KEY_FILE).then(|| key_file.clone().into())).unwrap();
    let store = DirectoryKeyStore::open(folder.join("keys")).await.unwrap();
    Keyring::new(master, Arc::new(store), Clock::manual(start()))
}

async fn seal_one(keyring: &Keyring, number: u128) -> Dump {
    let scope = Scope::Connection(Uuid::from_u128(number).into());
    let new = keyring.create(keyring.masters().current(), organization(1), scope, 1).await.unwrap();
    let context =
        Context { organization: organization(1), scope, kind: Kind::CREDENTIAL, record: Uuid::from_u128(number) };
    Dump { sealed: seal(&new.key, &context, b"shpat_canary").unwrap(), context, key: new.row }
}

async fn restore(keyring: &Keyring, dump: &Dump) -> Result<Vec<u8>, OpenError> {
    let key = keyring.data_key(&dump.key).await?;
    open(&key, &dump.context, &dump.sealed).map(|opened| opened.to_vec())
}

#[tokio::test]
async fn yesterday_s_dump_does_not_open_after_the_key_was_destroyed() {
    let folder = tempfile::tempdir().unwrap();
    MasterKey::generate_file(&folder.path().join("master.key")).unwrap();
    let keyring = fresh_process(folder.path()).await;
    let (doomed, kept) = (seal_one(&keyring, 1).await, seal_one(&keyring, 2).await);
    assert_eq!(restore(&keyring, &doomed).await.unwrap(), b"shpat_canary");
    assert_eq!(restore(&fresh_process(folder.path()).await, &doomed).await.unwrap(), b"shpat_canary");

    keyring.destroy(doomed.key.identity.id).await.unwrap();

    for keyring in [keyring, fresh_process(folder.path()).await] {
        assert!(matches!(restore(&keyring, &doomed).await, Err(OpenError::KeyDestroyed)));
        assert_eq!(restore(&keyring, &kept).await.unwrap(), b"shpat_canary", "other connections are not touched");
    }
}

/// The master key, the dump and the store as it is now are not enough: the bytes of the shard are needed, not a file in its
/// place.
#[tokio::test]
async fn no_other_shard_takes_the_place_of_a_destroyed_one() {
    let folder = tempfile::tempdir().unwrap();
    MasterKey::generate_file(&folder.path().join("master.key")).unwrap();
    let keyring = fresh_process(folder.path()).await;
    let (doomed, kept) = (seal_one(&keyring, 1).await, seal_one(&keyring, 2).await);
    let master =
        MasterKey::from_lookup(|name| (name == MASTER_KEY_FILE).then(|| folder.path().join("master.key").into()))
            .unwrap();
    let store = DirectoryKeyStore::open(folder.path().join("keys")).await.unwrap();
    let shard = |id| {
        let store = &store;
        async move { super::super::KeyStore::get(store, id).await.unwrap() }
    };

    let right = shard(doomed.key.identity.id).await.unwrap();
    assert!(doomed.key.unwrap(&master, &right).is_ok());
    let other = shard(kept.key.identity.id).await.unwrap();
    assert!(matches!(doomed.key.unwrap(&master, &other), Err(OpenError::Tampered)));
    for _ in 0..64 {
        assert!(matches!(doomed.key.unwrap(&master, &super::super::Shard::generate()), Err(OpenError::Tampered)));
    }
    let zeros = super::super::Shard::from_bytes(zeroize::Zeroizing::new([0; 32]));
    assert!(matches!(doomed.key.unwrap(&master, &zeros), Err(OpenError::Tampered)));
}

#[tokio::test]
async fn nothing_of_a_key_or_value_lies_in_the_store_or_the_dump() {
    let folder = tempfile::tempdir().unwrap();
    MasterKey::generate_file(&folder.path().join("master.key")).unwrap();
    let keyring = fresh_process(folder.path()).await;
    let dump = seal_one(&keyring, 1).await;
    let key = keyring.data_key(&dump.key).await.unwrap();
    let mut bytes = [dump.sealed.clone(), dump.key.wrapped.clone()].concat();
    for folder in fs::read_dir(folder.path().join("keys")).unwrap().map(|entry| entry.unwrap().path()) {
        if folder.is_dir() {
            fs::read_dir(folder).unwrap().for_each(|entry| bytes.extend(fs::read(entry.unwrap().path()).unwrap()));
        }
    }
    assert!(bytes.len() > 150);
    for secret in [key.bytes().as_slice(), b"shpat_canary"] {
        assert!(!bytes.windows(8).any(|part| secret.windows(8).any(|piece| piece == part)));
    }
}
