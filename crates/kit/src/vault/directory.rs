//! The key store of one machine: a directory.
//!
//! ```text
//! keys/                 0700
//!   layout              0600  "entrepot key store 1 <fingerprint>\n", written last when the store is made
//!   00/ … ff/           0700  all 256, from the start; the last two digits of the ids in it (the first tell the time)
//!     <data key id>     0600  40 bytes: the shard, then the first 8 bytes of SHA-256(label, id, shard)
//!     .<id>.<random>.new      a write that has not finished: never read, swept by `tidy`
//! ```
//!
//! A write is a new temporary file, `fsync`, a hard link under the final name (which, unlike a rename, never replaces),
//! removal of the temporary name, `fsync` of the directory. A delete overwrites with zeros, `fsync`s, removes and
//! `fsync`s the directory; after a crash in between the file is all zeros, which reads as destroyed. Overwriting reaches
//! the old blocks on plain file systems only: on copy-on-write or flash storage encrypt the volume. Backups of this
//! directory undo destruction for as long as they are kept: seven days at most.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    str::FromStr as _,
};

use async_trait::async_trait;
use kernel::{Time, id::DataKeyId, random};
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    Fingerprint, KeyStore, KeyStoreError, Shard,
    key_store::made_at,
    primitives::{KEY_LENGTH, frame},
};

pub(super) const CHECK_LENGTH: usize = 8;
const FILE_LENGTH: usize = KEY_LENGTH + CHECK_LENGTH;
const LAYOUT: &str = "layout";
/// The layout of a store whose shards are being moved elsewhere: it is no store any more.
const MOVED: &str = "layout.moved";
const LAYOUT_VERSION: &str = "entrepot key store 1 ";

/// Shards as files. All processes of one machine may share it.
#[derive(Debug)]
pub struct DirectoryKeyStore {
    root: PathBuf,
    fingerprint: Fingerprint,
}

impl DirectoryKeyStore {
    /// Opens the store, or makes it when there is nothing or an empty directory (its parent has to exist).
    ///
    /// # Errors
    /// [`KeyStoreError::Exposed`] when others may enter it, [`KeyStoreError::NotAKeyStore`] when something else is there,
    /// [`KeyStoreError::Io`].
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self, KeyStoreError> {
        let root = root.into();
        blocking(move || {
            let fingerprint = open(&root)?;
            Ok(Self { root, fingerprint })
        })
        .await
    }

    /// Opens a store that is there, and never makes one.
    ///
    /// # Errors
    /// As [`DirectoryKeyStore::open`]; [`KeyStoreError::NotAKeyStore`] where there is none.
    pub async fn existing(root: impl Into<PathBuf>) -> Result<Self, KeyStoreError> {
        let root = root.into();
        blocking(move || {
            let metadata = fs::metadata(&root).map_err(failed("look at", &root))?;
            refuse_exposed(&root, metadata.mode())?;
            match read_layout(&root)? {
                Some(fingerprint) => Ok(Self { root, fingerprint }),
                None => Err(KeyStoreError::NotAKeyStore { path: root }),
            }
        })
        .await
    }

    /// A store of shards that come back from a backup. One sync of the file system instead of three of every file; the layout,
    /// which makes it a store, is written after it.
    pub(super) async fn make_from(
        root: &Path,
        fingerprint: Fingerprint,
        shards: BTreeMap<DataKeyId, Shard>,
    ) -> Result<Self, KeyStoreError> {
        let root = root.to_owned();
        blocking(move || {
            if !make_folders(&root)? {
                return Err(KeyStoreError::NotAKeyStore { path: root });
            }
            for (id, shard) in &shards {
                let path = folder_of(&root, *id).join(id.to_string());
                // Where it was interrupted before, half of a file may be there.
                let opened = OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(0o600)
                    .custom_flags(no_follow())
                    .open(&path);
                let written = opened.and_then(|mut file| file.write_all(content(*id, shard).as_slice()));
                written.map_err(failed("write", &path))?;
            }
            let folder = File::open(&root).map_err(failed("open", &root))?;
            rustix::fs::syncfs(&folder).map_err(|error| failed("sync", &root)(error.into()))?;
            write_new(&root, LAYOUT, format!("{LAYOUT_VERSION}{fingerprint}\n").as_bytes())?;
            sync_folder(&parent(&root))?;
            Ok(Self { root, fingerprint })
        })
        .await
    }

    fn folder(&self, id: DataKeyId) -> PathBuf {
        folder_of(&self.root, id)
    }

    /// What there is to move out of a directory: a store, or one whose moving was interrupted, which is no store any more.
    pub(super) async fn to_move(root: &Path) -> Result<Option<(Self, bool)>, KeyStoreError> {
        let root = root.to_owned();
        blocking(move || {
            if !root.exists() {
                return Ok(None);
            }
            refuse_exposed(&root, fs::metadata(&root).map_err(failed("look at", &root))?.mode())?;
            for (name, is_leaving) in [(LAYOUT, false), (MOVED, true)] {
                if let Some(fingerprint) = read_layout_from(&root, name)? {
                    return Ok(Some((Self { root, fingerprint }, is_leaving)));
                }
            }
            Ok(None)
        })
        .await
    }

    /// Ends it being a store, and keeps the shards for the time.
    pub(super) async fn leave(&self) -> Result<(), KeyStoreError> {
        let root = self.root.clone();
        blocking(move || {
            let path = root.join(LAYOUT);
            fs::rename(&path, root.join(MOVED)).map_err(failed("rename", &path))?;
            sync_folder(&root)
        })
        .await
    }

    /// Removes the directory, once all shards in it are destroyed.
    pub(super) async fn remove(self) -> Result<(), KeyStoreError> {
        let root = self.root;
        blocking(move || {
            for number in 0..=u8::MAX {
                let folder = root.join(format!("{number:02x}"));
                match fs::remove_dir(&folder) {
                    Err(source) if source.kind() != ErrorKind::NotFound => {
                        return Err(failed("remove", &folder)(source));
                    }
                    _ => {}
                }
            }
            let mark = root.join(MOVED);
            fs::remove_file(&mark).map_err(failed("remove", &mark))?;
            fs::remove_dir(&root).map_err(failed("remove", &root))?;
            sync_folder(&parent(&root))
        })
        .await
    }

    /// The folders of a store that is not one yet: [`DirectoryKeyStore::make_from`] in a directory where it was begun before. Shards
    /// that are not among these go.
    pub(super) async fn fill(
        root: &Path,
        fingerprint: Fingerprint,
        shards: BTreeMap<DataKeyId, Shard>,
    ) -> Result<Self, KeyStoreError> {
        let (half, filled) = (root.to_owned(), root.to_owned());
        let keep: BTreeSet<DataKeyId> = shards.keys().copied().collect();
        blocking(move || {
            if !make_folders(&half)? {
                return Ok(());
            }
            for_each_name(&half, |folder, name| {
                let is_kept = name.parse().is_ok_and(|id: DataKeyId| keep.contains(&id));
                if !is_kept {
                    shred(&folder.join(name))?;
                }
                Ok(())
            })
        })
        .await?;
        Self::make_from(&filled, fingerprint, shards).await
    }
}

fn folder_of(root: &Path, id: DataKeyId) -> PathBuf {
    root.join(format!("{:02x}", id.uuid().as_bytes()[15]))
}

/// What the file of a shard holds.
pub(super) fn content(id: DataKeyId, shard: &Shard) -> Zeroizing<[u8; FILE_LENGTH]> {
    let mut content = Zeroizing::new([0; FILE_LENGTH]);
    content[..KEY_LENGTH].copy_from_slice(shard.bytes().as_slice());
    content[KEY_LENGTH..].copy_from_slice(&check(id, shard));
    content
}

#[async_trait]
impl KeyStore for DirectoryKeyStore {
    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    async fn put(&self, id: DataKeyId, shard: Shard) -> Result<(), KeyStoreError> {
        let folder = self.folder(id);
        blocking(move || match write_new(&folder, &id.to_string(), content(id, &shard).as_slice()) {
            Err(KeyStoreError::Io { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {
                Err(KeyStoreError::Exists { id })
            }
            written => written,
        })
        .await
    }

    async fn get(&self, id: DataKeyId) -> Result<Option<Shard>, KeyStoreError> {
        let path = self.folder(id).join(id.to_string());
        blocking(move || read(id, &path)).await
    }

    async fn delete(&self, id: DataKeyId) -> Result<(), KeyStoreError> {
        let folder = self.folder(id);
        blocking(move || {
            shred(&folder.join(id.to_string()))?;
            // Also when there was nothing: the removal before a crash may not be durable yet.
            sync_folder(&folder)
        })
        .await
    }

    async fn list(&self) -> Result<Vec<DataKeyId>, KeyStoreError> {
        let root = self.root.clone();
        blocking(move || {
            let mut ids = vec![];
            for_each_name(&root, |_, name| {
                ids.extend(Uuid::from_str(name).ok().map(DataKeyId::from).filter(|id| id.to_string() == name));
                Ok(())
            })?;
            Ok(ids)
        })
        .await
    }

    async fn tidy(&self, made_before: Time) -> Result<usize, KeyStoreError> {
        let root = self.root.clone();
        blocking(move || {
            let mut destroyed = 0;
            for_each_name(&root, |folder, name| {
                let leftover = temporary_of(name).and_then(made_at).is_some_and(|made| made < made_before);
                if leftover && shred(&folder.join(name))? {
                    sync_folder(folder)?;
                    destroyed += 1;
                }
                Ok(())
            })?;
            Ok(destroyed)
        })
        .await
    }
}

fn open(root: &Path) -> Result<Fingerprint, KeyStoreError> {
    create(root)?;
    if let Some(fingerprint) = read_layout(root)? {
        return Ok(fingerprint);
    }
    // Another process may have made it since.
    if !make_folders(root)? {
        return read_layout(root)?.ok_or_else(|| KeyStoreError::NotAKeyStore { path: root.into() });
    }
    sync_folder(root)?;
    let fingerprint = Fingerprint(random::bytes());
    match write_new(root, LAYOUT, format!("{LAYOUT_VERSION}{fingerprint}\n").as_bytes()) {
        Ok(()) => Ok(fingerprint),
        // Another process made it first.
        Err(KeyStoreError::Io { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {
            read_layout(root)?.ok_or_else(|| KeyStoreError::NotAKeyStore { path: root.into() })
        }
        Err(error) => Err(error),
    }
}

/// The directory itself, which must be ours alone.
fn create(root: &Path) -> Result<(), KeyStoreError> {
    match DirBuilder::new().mode(0o700).create(root) {
        Ok(()) => sync_folder(&parent(root))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(source) => return Err(failed("create", root)(source)),
    }
    let metadata = fs::metadata(root).map_err(failed("look at", root))?;
    if !metadata.is_dir() {
        return Err(KeyStoreError::NotAKeyStore { path: root.into() });
    }
    refuse_exposed(root, metadata.mode())
}

/// The 256 folders, in a directory where nothing else is; false when it is a store already.
fn make_folders(root: &Path) -> Result<bool, KeyStoreError> {
    create(root)?;
    for entry in fs::read_dir(root).map_err(failed("list", root))? {
        let name = entry.map_err(failed("list", root))?.file_name();
        if name.to_str() == Some(LAYOUT) {
            return Ok(false);
        }
        // What an interrupted first opening leaves; anything else belongs to someone else.
        let ours = name.to_str().is_some_and(|name| is_fan_out(name) || name.starts_with(".layout."));
        if !ours {
            return Err(KeyStoreError::NotAKeyStore { path: root.into() });
        }
    }
    for number in 0..=u8::MAX {
        let folder = root.join(format!("{number:02x}"));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(source) if source.kind() != ErrorKind::AlreadyExists => return Err(failed("create", &folder)(source)),
            _ => {}
        }
    }
    Ok(true)
}

fn read_layout(root: &Path) -> Result<Option<Fingerprint>, KeyStoreError> {
    read_layout_from(root, LAYOUT)
}

fn read_layout_from(root: &Path, name: &str) -> Result<Option<Fingerprint>, KeyStoreError> {
    let path = root.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let fingerprint = text.strip_prefix(LAYOUT_VERSION).and_then(|rest| rest.trim_end().parse().ok());
            fingerprint.map(Some).ok_or_else(|| KeyStoreError::NotAKeyStore { path: root.into() })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("read", &path)(source)),
    }
}

fn read(id: DataKeyId, path: &Path) -> Result<Option<Shard>, KeyStoreError> {
    let mut file = match OpenOptions::new().read(true).custom_flags(no_follow()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("open", path)(source)),
    };
    let metadata = file.metadata().map_err(failed("look at", path))?;
    refuse_exposed(path, metadata.mode())?;
    if metadata.len() != FILE_LENGTH as u64 {
        return Err(KeyStoreError::Damaged { id });
    }
    let mut content = Zeroizing::new([0; FILE_LENGTH]);
    file.read_exact(content.as_mut_slice()).map_err(failed("read", path))?;
    parse_content(id, content.as_slice())
}

/// Reads what [`content`] made. None when it was overwritten with zeros, and not removed yet.
pub(super) fn parse_content(id: DataKeyId, content: &[u8]) -> Result<Option<Shard>, KeyStoreError> {
    if content.len() != FILE_LENGTH {
        return Err(KeyStoreError::Damaged { id });
    }
    if content.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let mut shard = Zeroizing::new([0; KEY_LENGTH]);
    shard.copy_from_slice(&content[..KEY_LENGTH]);
    let shard = Shard::from_bytes(shard);
    if content[KEY_LENGTH..] == check(id, &shard) { Ok(Some(shard)) } else { Err(KeyStoreError::Damaged { id }) }
}

/// Tells damage of the disk from a key that does not fit. Says nothing usable about the shard.
pub(super) fn check(id: DataKeyId, shard: &Shard) -> [u8; CHECK_LENGTH] {
    let framed = Zeroizing::new(frame(&[b"entrepot shard v1", id.uuid().as_bytes(), shard.bytes().as_slice()]));
    let mut out = [0; CHECK_LENGTH];
    out.copy_from_slice(&Sha256::digest(&*framed)[..CHECK_LENGTH]);
    out
}

/// All or nothing, also when the power goes: the name appears with the whole content or not at all.
fn write_new(folder: &Path, name: &str, content: &[u8]) -> Result<(), KeyStoreError> {
    let path = folder.join(name);
    let temporary = folder.join(format!(".{name}.{}.new", random::token()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| fs::hard_link(&temporary, &path));
    let removed = fs::remove_file(&temporary);
    written.and(removed).map_err(failed("write", &path))?;
    sync_folder(folder)
}

/// False: there was nothing.
fn shred(path: &Path) -> Result<bool, KeyStoreError> {
    let overwritten = OpenOptions::new().write(true).custom_flags(no_follow()).open(path).and_then(|mut file| {
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(FILE_LENGTH).min(FILE_LENGTH);
        file.write_all(&[0; FILE_LENGTH][..length])?;
        file.sync_all()
    });
    match overwritten.and_then(|()| fs::remove_file(path)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(failed("destroy", path)(source)),
    }
}

fn for_each_name(
    root: &Path,
    mut visit: impl FnMut(&Path, &str) -> Result<(), KeyStoreError>,
) -> Result<(), KeyStoreError> {
    for number in 0..=u8::MAX {
        let folder = root.join(format!("{number:02x}"));
        for entry in fs::read_dir(&folder).map_err(failed("list", &folder))? {
            let name = entry.map_err(failed("list", &folder))?.file_name();
            if let Some(name) = name.to_str() {
                visit(&folder, name)?;
            }
        }
    }
    Ok(())
}

/// The data key that a temporary file was to be the shard of.
fn temporary_of(name: &str) -> Option<DataKeyId> {
    let (id, _) = name.strip_prefix('.')?.strip_suffix(".new")?.split_once('.')?;
    id.parse().ok()
}

fn is_fan_out(name: &str) -> bool {
    name.len() == 2 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn refuse_exposed(path: &Path, mode: u32) -> Result<(), KeyStoreError> {
    let mode = mode & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeyStoreError::Exposed { path: path.into(), mode }) }
}

fn no_follow() -> i32 {
    OFlags::NOFOLLOW.bits().cast_signed()
}

fn parent(path: &Path) -> PathBuf {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).into()
}

fn sync_folder(folder: &Path) -> Result<(), KeyStoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyStoreError {
    move |source| KeyStoreError::Io { action, path: path.into(), source }
}

/// The work goes on to its end when the caller stops waiting: no half-written shard because a request was cancelled.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KeyStoreError> + Send + 'static,
) -> Result<T, KeyStoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(KeyStoreError::Stopping),
        },
    }
}
