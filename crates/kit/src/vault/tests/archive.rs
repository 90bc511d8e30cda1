use std::{collections::BTreeSet, os::unix::fs::PermissionsExt as _};

use kernel::{Clock, id::DataKeyId};

use super::{
    super::{DirectoryKeyStore, KeyStore as _, KeyStoreError, NotAnArchive, Shard, ShardArchive},
    start,
};

async fn filled(folder: &tempfile::TempDir, clock: &Clock) -> (DirectoryKeyStore, Vec<DataKeyId>) {
    let store = DirectoryKeyStore::open(folder.path().join("keys")).await.unwrap();
    let mut ids = vec![];
    for _ in 0..5 {
        let id = DataKeyId::new(clock);
        store.put(id, Shard::generate()).await.unwrap();
        ids.push(id);
    }
    (store, ids)
}

#[tokio::test]
async fn a_store_made_of_an_archive_is_the_store_that_it_is_of() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(start()));
    let (store, ids) = filled(&folder, &clock).await;
    store.delete(ids[0]).await.unwrap();
    let bytes = ShardArchive::of(&store).await.unwrap().0.to_bytes();
    let archive = ShardArchive::from_bytes(&bytes).unwrap();
    assert_eq!((archive.ids().len(), archive.contains(ids[0]), archive.contains(ids[1])), (4, false, true));
    let root = folder.path().join("restored");
    let restored = archive.make_store(&root).await.unwrap();
    assert_eq!(restored.fingerprint(), store.fingerprint());
    for id in &ids {
        let [ours, theirs] = [store.get(*id).await.unwrap(), restored.get(*id).await.unwrap()];
        assert_eq!(ours.map(|shard| **shard.bytes()), theirs.map(|shard| **shard.bytes()));
    }
    // What comes later is kept as in any store; and it is opened as one.
    restored.put(DataKeyId::new(&clock), Shard::generate()).await.unwrap();
    let again = DirectoryKeyStore::open(&root).await.unwrap();
    assert_eq!((again.fingerprint(), again.list().await.unwrap().len()), (store.fingerprint(), 5));
    let file = root.join(&ids[1].to_string()[34..]).join(ids[1].to_string());
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn an_archive_that_was_cut_or_changed_is_refused() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(start()));
    let (store, _) = filled(&folder, &clock).await;
    let bytes = ShardArchive::of(&store).await.unwrap().0.to_bytes().to_vec();
    for length in [0, 5, bytes.len() - 1, bytes.len() - 60] {
        assert_eq!(ShardArchive::from_bytes(&bytes[..length]).err(), Some(NotAnArchive), "{length} bytes");
    }
    for at in [0, 30, bytes.len() / 2, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert_eq!(ShardArchive::from_bytes(&changed).err(), Some(NotAnArchive), "byte {at}");
    }
}

#[tokio::test]
async fn shards_are_left_out_by_the_ids_of_their_data_keys() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(start()));
    let (store, ids) = filled(&folder, &clock).await;
    let (mut archive, _) = ShardArchive::of(&store).await.unwrap();
    archive.remove_all(&BTreeSet::from([ids[0]]));
    archive.keep_only(&BTreeSet::from([ids[0], ids[1], ids[2]]));
    assert_eq!(archive.ids().collect::<BTreeSet<_>>(), BTreeSet::from([ids[1], ids[2]]));
}

#[tokio::test]
async fn no_store_is_made_over_another_and_none_is_opened_where_there_is_none() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(start()));
    let (store, _) = filled(&folder, &clock).await;
    let (archive, _) = ShardArchive::of(&store).await.unwrap();
    let root = folder.path().join("keys");
    assert!(matches!(archive.make_store(&root).await, Err(KeyStoreError::NotAKeyStore { .. })));
    DirectoryKeyStore::existing(&root).await.unwrap();
    let nowhere = folder.path().join("nowhere");
    assert!(DirectoryKeyStore::existing(&nowhere).await.is_err() && !nowhere.exists());
    std::fs::create_dir(&nowhere).unwrap();
    std::fs::set_permissions(&nowhere, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(matches!(DirectoryKeyStore::existing(&nowhere).await, Err(KeyStoreError::NotAKeyStore { .. })));
}

#[tokio::test]
async fn a_damaged_and_an_exposed_shard_are_named_and_the_rest_is_archived() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(start()));
    let (store, ids) = filled(&folder, &clock).await;
    let file = |id: &DataKeyId| {
        let name = id.to_string();
        folder.path().join("keys").join(&name[34..]).join(name)
    };
    std::fs::write(file(&ids[1]), [7; 40]).unwrap();
    std::fs::set_permissions(file(&ids[3]), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (archive, unreadable) = ShardArchive::of(&store).await.unwrap();
    assert_eq!(archive.ids().collect::<BTreeSet<_>>(), BTreeSet::from([ids[0], ids[2], ids[4]]));
    let named: BTreeSet<DataKeyId> = unreadable.iter().map(|(id, _)| *id).collect();
    assert_eq!(named, BTreeSet::from([ids[1], ids[3]]));
    for (id, error) in unreadable {
        let expected = if id == ids[1] { "damaged" } else { "open to other users" };
        assert!(error.to_string().contains(expected), "{error}");
    }
}
