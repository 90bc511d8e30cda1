//! How much room there is, and how much is needed.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use super::UpgradeError;
use crate::cluster::error::{At as _, ClusterError};

/// What a new cluster takes before it has any data, its log included, and something to breathe.
const SLACK: u64 = 256 * 1024 * 1024;

/// # Errors
/// [`UpgradeError::NoRoom`].
pub(super) fn check(pgdata: &Path, beside: &Path, link: bool) -> Result<(), UpgradeError> {
    let needed = if link { SLACK } else { size(pgdata)? + SLACK };
    let space = rustix::fs::statvfs(beside).map_err(std::io::Error::from).at(beside)?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free >= needed {
        return Ok(());
    }
    let [needed, free] = [needed, free].map(|bytes| bytes / 1_000_000);
    Err(UpgradeError::NoRoom { dir: beside.into(), needed, free })
}

/// What is on the disk, in bytes.
fn size(dir: &Path) -> Result<u64, ClusterError> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir).at(dir)? {
        let entry = entry.at(dir)?;
        let data = entry.metadata().at(entry.path())?;
        bytes += if data.is_dir() { size(&entry.path())? } else { data.blocks() * 512 };
    }
    Ok(bytes)
}

#[test]
fn what_does_not_fit_is_refused_with_how_much_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("base")).unwrap();
    fs::write(folder.path().join("base/1"), vec![1; 300_000]).unwrap();
    let found = size(folder.path()).unwrap();
    assert!((300_000..400_000).contains(&found), "{found}");
    // Nothing is free there, whoever asks.
    let refused = check(folder.path(), Path::new("/proc"), false).unwrap_err().to_string();
    assert!(refused.contains("0 MB are free") && refused.contains("268 MB are needed"), "{refused}");
}
