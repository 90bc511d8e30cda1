//! A directory of backups: what is in it, and how one gets into it whole or not at all.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, bail};
use kernel::{Time, random};

use super::manifest::{Fingerprint, Half, MANIFEST, Manifest};

const PREFIX: &str = "entrepot-";
/// Milliseconds, so that two backups of one second have names of their own; in the order of time.
const STAMP: &str = "%Y%m%dT%H%M%S%.3fZ";
const UNFINISHED: &str = ".unfinished";

/// A backup that is whole, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub path: PathBuf,
    pub made_at: Time,
}

/// The backups in a directory, oldest first.
///
/// # Errors
/// When it cannot be listed.
pub(crate) fn entries(dir: &Path) -> io::Result<Vec<Entry>> {
    let mut found = vec![];
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let stamp = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(PREFIX));
        let made_at = stamp.and_then(|stamp| chrono::NaiveDateTime::parse_from_str(stamp, STAMP).ok());
        if let Some(made_at) = made_at {
            found.push(Entry { path, made_at: made_at.and_utc() });
        }
    }
    found.sort_by_key(|entry| entry.made_at);
    Ok(found)
}

/// The backup that a directory is, or the newest of those in it.
///
/// # Errors
/// When there is none.
pub(crate) fn newest(dir: &Path) -> anyhow::Result<PathBuf> {
    if dir.join(MANIFEST).exists() {
        return Ok(dir.to_owned());
    }
    let found = entries(dir).with_context(|| format!("{} cannot be read", dir.display()))?;
    match found.into_iter().next_back() {
        Some(entry) => Ok(entry.path),
        None => bail!("there is no backup in {}", dir.display()),
    }
}

/// A directory that backups are written to, and nobody else writes to meanwhile.
pub(crate) struct Place {
    dir: PathBuf,
    _lock: File,
}

impl Place {
    /// Makes the directory where there is none, and clears up after backups that were interrupted.
    ///
    /// # Errors
    /// When another backup is being written there.
    pub(crate) fn open(dir: &Path) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("cannot make the directory {}", dir.display()))?;
        let path = dir.join(".lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot write to {}", dir.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another backup is being written to {}: wait until it is done", dir.display())
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{} cannot be locked", path.display()));
            }
        }
        let place = Self { dir: dir.to_owned(), _lock: lock };
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') && name.ends_with(UNFINISHED) {
                wipe(&entry.path())?;
            }
        }
        Ok(place)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Begins a backup, under a name that nobody takes for a whole one.
    pub(crate) fn begin(&self, made_at: Time) -> anyhow::Result<Unfinished<'_>> {
        let name = format!("{PREFIX}{}", made_at.format(STAMP));
        let dir = self.dir.join(format!(".{name}.{}{UNFINISHED}", random::token()));
        DirBuilder::new().mode(0o700).create(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Unfinished { place: self, name, made_at, dir, files: BTreeMap::new() })
    }

    /// Removes a backup: first its name, so that half of it is never taken for the whole.
    pub(crate) fn remove(&self, entry: &Entry) -> anyhow::Result<()> {
        let going = self.dir.join(format!(".{}{UNFINISHED}", random::token()));
        fs::rename(&entry.path, &going).with_context(|| format!("cannot remove {}", entry.path.display()))?;
        sync(&self.dir)?;
        wipe(&going)
    }
}

/// A backup on its way.
pub(crate) struct Unfinished<'a> {
    place: &'a Place,
    name: String,
    made_at: Time,
    dir: PathBuf,
    files: BTreeMap<String, Fingerprint>,
}

impl Unfinished<'_> {
    /// Where another program is to write a file of this name; [`Unfinished::add`] it then.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Takes over a file that has been written.
    pub(crate) fn add(&mut self, name: &str) -> anyhow::Result<u64> {
        let path = self.path(name);
        let of = || format!("{} cannot be finished", path.display());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).with_context(of)?;
        File::open(&path).and_then(|file| file.sync_all()).with_context(of)?;
        let fingerprint = Fingerprint::of(&path).with_context(of)?;
        let bytes = fingerprint.bytes;
        self.files.insert(name.to_owned(), fingerprint);
        Ok(bytes)
    }

    pub(crate) fn write(&mut self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        self.write_file(name, content)?;
        self.add(name)?;
        Ok(())
    }

    fn write_file(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let path = self.path(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes the manifest, and gives the backup its name. On the disk when this returns.
    pub(crate) fn finish<H: Half>(self, of: H) -> anyhow::Result<PathBuf> {
        let manifest = Manifest::new(self.made_at, of, self.files.clone());
        self.write_file(MANIFEST, &serde_json::to_vec_pretty(&manifest)?)?;
        sync(&self.dir)?;
        let path = self.place.dir.join(&self.name);
        fs::rename(&self.dir, &path).with_context(|| format!("cannot name {}", path.display()))?;
        sync(&self.place.dir)?;
        Ok(path)
    }
}

/// Overwrites and removes: shards in here bring back what was destroyed. Reaches the old blocks on plain file systems only. A link
/// is removed, and what it leads to is left alone.
fn wipe(dir: &Path) -> anyhow::Result<()> {
    let of = || format!("cannot remove {}", dir.display());
    if !fs::symlink_metadata(dir).with_context(of)?.is_dir() {
        fs::remove_file(dir).with_context(of)?;
        return sync(dir.parent().unwrap_or(Path::new("/")));
    }
    for entry in fs::read_dir(dir).with_context(of)? {
        let path = entry.with_context(of)?.path();
        if fs::symlink_metadata(&path).is_ok_and(|data| data.is_file() && data.len() <= WIPED_MAX) {
            let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
            let mut file = OpenOptions::new().write(true).custom_flags(no_follow).open(&path).with_context(of)?;
            let length = file.metadata().with_context(of)?.len().min(WIPED_MAX);
            let zeros = vec![0; usize::try_from(length).unwrap_or_default()];
            file.write_all(&zeros).and_then(|()| file.sync_all()).with_context(of)?;
        }
    }
    fs::remove_dir_all(dir).with_context(of)?;
    sync(dir.parent().unwrap_or(Path::new("/")))
}

/// Archives of shards are smaller (a million are 53 MiB); what is larger is a dump, which is sealed where it matters.
const WIPED_MAX: u64 = 256 * 1024 * 1024;

fn sync(dir: &Path) -> anyhow::Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).with_context(|| format!("cannot sync {}", dir.display()))
}

/// Where a path leads, also when it or a part of it is not there yet.
///
/// # Errors
/// When it goes up from a directory that is not there.
pub(crate) fn resolved(path: &Path) -> anyhow::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let mut rest = vec![];
    let mut there = path.as_path();
    loop {
        match there.canonicalize() {
            Ok(found) => return Ok(rest.iter().rev().fold(found, |path, name| path.join(name))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("{} cannot be looked at", there.display())),
        }
        match there.components().next_back() {
            Some(Component::Normal(name)) => rest.push(name.to_owned()),
            _ => bail!("{} leads through a directory that is not there", path.display()),
        }
        there = there.parent().unwrap_or(Path::new("/"));
    }
}

/// The two halves of a backup, and what they are a backup of, must not lie in one another: whoever gets one place must not get
/// the other with it, and what takes the data away must not take the backup too.
///
/// # Errors
/// Names the two that do.
pub(crate) fn refuse_one_in_another(places: &[(&str, &Path)]) -> anyhow::Result<()> {
    for (index, (name, path)) in places.iter().enumerate() {
        for (other_name, other) in &places[index + 1..] {
            let (place, other_place) = (resolved(path)?, resolved(other)?);
            if place.starts_with(&other_place) || other_place.starts_with(&place) {
                bail!(
                    "{name} ({}) and {other_name} ({}) lie in one another: whoever has a dump, its shards and the master key \
                     has everything, so they are kept in separate places. Name another directory",
                    place.display(),
                    other_place.display()
                );
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn clearing_up_removes_links_and_touches_nothing_that_they_lead_to() {
        let root = tempfile::tempdir().expect("a folder");
        let (place, foreign) = (root.path().join("place"), root.path().join("foreign"));
        fs::create_dir(&place).expect("a folder");
        fs::create_dir(&foreign).expect("a folder");
        let file = foreign.join("file");
        fs::write(&file, "mine").expect("a file");
        let inside = place.join(".half.unfinished");
        fs::create_dir(&inside).expect("a folder");
        fs::write(inside.join("shards"), "half").expect("a file");
        symlink(&file, inside.join("link")).expect("a link");
        symlink(&foreign, place.join(".whole.unfinished")).expect("a link");
        symlink(&file, place.join(".file.unfinished")).expect("a link");
        let opened = Place::open(&place).expect("a place");
        let left: Vec<_> =
            fs::read_dir(&place).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
        assert_eq!(left, [".lock"]);

        // An old backup that is a link goes the same way.
        let old = place.join("entrepot-20200101T000000.000Z");
        symlink(&foreign, &old).expect("a link");
        let entry = entries(&place).expect("entries").pop().expect("one");
        opened.remove(&entry).expect("it is removed");
        assert!(fs::symlink_metadata(&old).is_err());
        assert_eq!(fs::read_to_string(&file).expect("the file"), "mine");
    }
}
