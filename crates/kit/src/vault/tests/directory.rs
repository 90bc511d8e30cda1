use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::Duration;
use kernel::{Clock, id::DataKeyId};
use tempfile::TempDir;

use super::{
    super::{DirectoryKeyStore, KeyStore as _, KeyStoreError, Shard},
    start,
};

struct Fixture {
    folder: TempDir,
    clock: Clock,
}

impl Fixture {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: Clock::manual(start()) }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    async fn open(&self) -> DirectoryKeyStore {
        DirectoryKeyStore::open(self.root()).await.unwrap()
    }

    fn path(&self, id: DataKeyId) -> PathBuf {
        let text = id.to_string();
        self.root().join(&text[34..]).join(text)
    }

    async fn put(&self, store: &DirectoryKeyStore) -> (DataKeyId, [u8; 32]) {
        let (id, shard) = (DataKeyId::new(&self.clock), Shard::generate());
        let bytes = **shard.bytes();
        store.put(id, shard).await.unwrap();
        (id, bytes)
    }
}

async fn read(store: &DirectoryKeyStore, id: DataKeyId) -> Option<[u8; 32]> {
    store.get(id).await.unwrap().map(|shard| **shard.bytes())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_shard_outlives_the_process_until_it_is_deleted() {
    let fixture = Fixture::new();
    let store = fixture.open().await;
    let (kept, kept_bytes) = fixture.put(&store).await;
    let (lost, lost_bytes) = fixture.put(&store).await;
    assert_ne!(kept_bytes, lost_bytes);
    store.delete(lost).await.unwrap();
    let fingerprint = store.fingerprint();
    drop(store);

    let store = fixture.open().await;
    assert_eq!(store.fingerprint(), fingerprint);
    assert_eq!(read(&store, kept).await, Some(kept_bytes));
    assert_eq!(read(&store, lost).await, None);
    assert!(!fixture.path(lost).exists());
    assert_eq!(store.list().await.unwrap(), [kept]);
    store.delete(lost).await.unwrap();
}

#[tokio::test]
async fn a_shard_is_never_replaced() {
    let fixture = Fixture::new();
    let store = fixture.open().await;
    let (id, bytes) = fixture.put(&store).await;
    assert!(matches!(store.put(id, Shard::generate()).await, Err(KeyStoreError::Exists { .. })));
    assert_eq!(read(&store, id).await, Some(bytes));
    let left = fs::read_dir(fixture.path(id).parent().unwrap()).unwrap().count();
    assert_eq!(left, 1, "the refused write leaves nothing behind");
}

#[tokio::test]
async fn a_deleted_shard_is_overwritten_and_not_only_unlinked() {
    let fixture = Fixture::new();
    let store = fixture.open().await;
    let (id, bytes) = fixture.put(&store).await;
    // A second name shows what becomes of the file's content.
    let witness = fixture.folder.path().join("witness");
    fs::hard_link(fixture.path(id), &witness).unwrap();
    assert_eq!(fs::read(&witness).unwrap()[..32], bytes);
    store.delete(id).await.unwrap();
    assert_eq!(fs::read(&witness).unwrap(), [0; 40]);
}

#[tokio::test]
async fn a_delete_that_was_cut_short_has_destroyed_the_shard() {
    let fixture = Fixture::new();
    let store = fixture.open().await;
    let (id, _) = fixture.put(&store).await;
    // Overwritten, not yet unlinked.
    fs::write(fixture.path(id), [0; 40]).unwrap();
    assert_eq!(read(&store, id).await, None);
    assert_eq!(store.list().await.unwrap(), [id], "a sweep finds the rest");
    store.delete(id).await.unwrap();
    assert_eq!(store.list().await.unwrap(), []);
}

#[tokio::test]
async fn interrupted_writes_are_not_read_and_leave_when_they_are_old() {
    let fixture = Fixture::new();
    let store = fixture.open().await;
    let (kept, kept_bytes) = fixture.put(&store).await;
    let unfinished = DataKeyId::new(&fixture.clock);
    let final_path = fixture.path(unfinished);
    let temporary = final_path.with_file_name(format!(".{unfinished}.{}.new", kernel::random::token()));
    for partial in [0, 1, 39, 40] {
        fs::write(&temporary, vec![7; partial]).unwrap();
        assert_eq!(read(&store, unfinished).await, None);
        assert_eq!(store.list().await.unwrap(), [kept]);
        assert_eq!(store.tidy(start()).await.unwrap(), 0, "a write that may still go on is left alone");
        assert!(temporary.exists());
        assert_eq!(store.tidy(start() + Duration::seconds(1)).await.unwrap(), 1);
        assert!(!temporary.exists());
    }
    let foreign = final_path.with_file_name(".notes.new");
    fs::write(&foreign, "not ours").unwrap();
    assert_eq!(store.tidy(start() + Duration::days(1)).await.unwrap(), 0);
    assert!(foreign.exists(), "only what this store wrote is removed");
    assert_eq!(read(&store, kept).await, Some(kept_bytes));
}

#[tokio::test]
async fn a_first_opening_that_was_cut_short_is_finished_by_the_next() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.root()).unwrap();
    set_mode(&fixture.root(), 0o700);
    fs::create_dir(fixture.root().join("00")).unwrap();
    fs::write(fixture.root().join(".layout.0123.new"), "entrepot key st").unwrap();
    let store = fixture.open().await;
    let (id, bytes) = fixture.put(&store).await;
    assert_eq!(read(&fixture.open().await, id).await, Some(bytes));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_open_at_once_make_one_store() {
    let fixture = Arc::new(Fixture::new());
    let opened: Vec<_> = (0..16).map(|_| tokio::spawn(DirectoryKeyStore::open(fixture.root()))).collect();
    let mut fingerprints = vec![];
    for store in opened {
        fingerprints.push(store.await.unwrap().unwrap().fingerprint());
    }
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 1);
}

#[tokio::test]
async fn nobody_else_may_enter() {
    let fixture = Fixture::new();
    let store = fixture.open().await;
    let (id, _) = fixture.put(&store).await;
    assert_eq!(mode(&fixture.root()), 0o700);
    assert_eq!(mode(fixture.path(id).parent().unwrap()), 0o700);
    assert_eq!(mode(&fixture.path(id)), 0o600);
    assert_eq!(mode(&fixture.root().join("layout")), 0o600);

    for bad in [0o750, 0o705, 0o710, 0o701, 0o777] {
        set_mode(&fixture.root(), bad);
        let error = DirectoryKeyStore::open(fixture.root()).await.unwrap_err();
        assert!(matches!(error, KeyStoreError::Exposed { mode, .. } if mode == bad), "{bad:o}: {error}");
    }
    set_mode(&fixture.root(), 0o700);

    for bad in [0o640, 0o604, 0o660, 0o666] {
        set_mode(&fixture.path(id), bad);
        let error = store.get(id).await.err().unwrap();
        assert!(matches!(error, KeyStoreError::Exposed { mode, .. } if mode == bad), "{bad:o}: {error}");
    }
}

#[tokio::test]
async fn a_directory_of_someone_else_is_not_taken_over() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.root()).unwrap();
    set_mode(&fixture.root(), 0o700);
    fs::write(fixture.root().join("thesis.txt"), "words").unwrap();
    let refused = DirectoryKeyStore::open(fixture.root()).await.unwrap_err();
    assert!(matches!(refused, KeyStoreError::NotAKeyStore { .. }));
    assert_eq!(fs::read_dir(fixture.root()).unwrap().count(), 1);

    fs::remove_file(fixture.root().join("thesis.txt")).unwrap();
    fs::write(fixture.root().join("layout"), "entrepot key store 2 00112233\n").unwrap();
    let refused = DirectoryKeyStore::open(fixture.root()).await.unwrap_err();
    assert!(matches!(refused, KeyStoreError::NotAKeyStore { .. }), "a layout of a later version");

    let file = fixture.folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(DirectoryKeyStore::open(file).await.unwrap_err(), KeyStoreError::NotAKeyStore { .. }));
    let orphaned = fixture.folder.path().join("no/keys");
    assert!(matches!(DirectoryKeyStore::open(orphaned).await.unwrap_err(), KeyStoreError::Io { .. }));
}

#[tokio::test]
async fn damage_is_not_mistaken_for_destruction() {
    let fixture = Fixture::new();
    let store = fixture.open().await;
    let (id, _) = fixture.put(&store).await;
    let (other, _) = fixture.put(&store).await;
    let whole = fs::read(fixture.path(id)).unwrap();
    let is_damaged = |got: Result<Option<Shard>, KeyStoreError>| matches!(got, Err(KeyStoreError::Damaged { .. }));

    for at in [0, 31, 32, 39] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(fixture.path(id), changed).unwrap();
        assert!(is_damaged(store.get(id).await), "byte {at}");
    }
    fs::write(fixture.path(id), &whole[..39]).unwrap();
    assert!(is_damaged(store.get(id).await));
    fs::copy(fixture.path(other), fixture.path(id)).unwrap();
    assert!(is_damaged(store.get(id).await), "the shard of another key");
    fs::remove_file(fixture.path(id)).unwrap();
    symlink(fixture.path(other), fixture.path(id)).unwrap();
    assert!(matches!(store.get(id).await, Err(KeyStoreError::Io { .. })), "a link in a shard's place");
}

#[tokio::test]
async fn errors_hold_ids_and_no_key_material() {
    let fixture = Fixture::new();
    let store = fixture.open().await;
    let (id, bytes) = fixture.put(&store).await;
    let mut errors = vec![store.put(id, Shard::from_bytes(zeroize::Zeroizing::new(bytes))).await.unwrap_err()];
    fs::write(fixture.path(id), &fs::read(fixture.path(id)).unwrap()[..39]).unwrap();
    errors.extend(store.get(id).await.err());
    set_mode(&fixture.path(id), 0o644);
    errors.extend(store.get(id).await.err());
    assert_eq!(errors.len(), 3);
    for error in errors {
        let shown = format!("{error} {error:?}").to_lowercase();
        assert!(shown.contains(&id.to_string()), "{shown}");
        assert!(
            !shown.contains(&hex::encode(&bytes[..4])) && !shown.contains(&format!("{:?}", &bytes[..4])),
            "{shown}"
        );
    }
}
