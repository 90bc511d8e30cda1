//! What a backup says of itself: `manifest.json`, written last.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use kernel::Time;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

pub(crate) const MANIFEST: &str = "manifest.json";
/// Counts up when an older program could not read a backup any more.
const FORMAT: u32 = 1;

/// One of the two halves of a backup.
pub(crate) trait Half: Serialize + DeserializeOwned {
    /// `database` or `shards`.
    const KIND: &'static str;
}

/// The half that holds the dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Version of the program that made it.
    pub program: String,
    /// The newest migration in it.
    pub schema: i64,
    /// Major version of the server that it is of.
    pub postgresql: u32,
    /// Major version of the `pg_dump` that made it, which may be later; null in backups that did not say so.
    #[serde(default)]
    pub pg_dump: Option<u32>,
    /// Fingerprints: which master key and which key store belong to it.
    pub master_key: String,
    /// Every master key that a data key of it is wrapped under: two while one is replaced. Empty in backups that did not say so.
    #[serde(default)]
    pub master_keys: Vec<String>,
    pub key_store: String,
    pub organizations: i64,
    pub users: i64,
    pub members: i64,
    pub api_keys: i64,
    pub connections: i64,
    pub credentials: i64,
    /// Data keys that were not destroyed.
    pub data_keys: usize,
}

impl Half for Database {
    const KIND: &'static str = "database";
}

/// The half that holds the shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shards {
    pub program: String,
    pub key_store: String,
    pub shards: usize,
    /// Shards that could not be read and are not in it.
    #[serde(default)]
    pub unreadable: usize,
}

impl Half for Shards {
    const KIND: &'static str = "shards";
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest<H> {
    pub format: u32,
    pub kind: String,
    pub made_at: Time,
    pub of: H,
    /// Every other file of the backup.
    pub files: BTreeMap<String, Fingerprint>,
}

/// What a file must be like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    pub bytes: u64,
    /// In hexadecimal.
    pub sha256: String,
}

impl Fingerprint {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 256 * 1024];
        let mut bytes = 0;
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(Self { bytes, sha256: hex::encode(hash.finalize()) }),
                length => {
                    hash.update(&buffer[..length]);
                    bytes += length as u64;
                }
            }
        }
    }
}

impl<H: Half> Manifest<H> {
    pub(crate) fn new(made_at: Time, of: H, files: BTreeMap<String, Fingerprint>) -> Self {
        Self { format: FORMAT, kind: H::KIND.to_owned(), made_at, of, files }
    }

    /// Reads the manifest of the backup in a directory.
    ///
    /// # Errors
    /// When there is none, it is the other half's, or a later program made it; each says what to do.
    pub(crate) fn read(backup: &Path) -> anyhow::Result<Self> {
        let path = backup.join(MANIFEST);
        let text = std::fs::read(&path)
            .with_context(|| format!("{} is not a backup: it has no readable {MANIFEST}", backup.display()))?;
        let damaged = || format!("{} is damaged: take another backup", path.display());
        let value: serde_json::Value = serde_json::from_slice(&text).with_context(damaged)?;
        let format = value["format"].as_u64().with_context(damaged)?;
        if format > u64::from(FORMAT) {
            bail!(
                "{} was made by a later version of Entrepot (format {format}, this program reads up to {FORMAT}): restore it \
                 with that version",
                backup.display()
            );
        }
        if value["kind"] != H::KIND {
            bail!(
                "{} holds {}, not {}: have the two places been swapped?",
                backup.display(),
                value["kind"].as_str().unwrap_or("something else"),
                H::KIND
            );
        }
        serde_json::from_value(value).with_context(damaged)
    }

    /// Compares every file with what the manifest says of it, and returns their paths.
    ///
    /// # Errors
    /// Names the first that is missing or was changed.
    pub(crate) fn check_files(&self, backup: &Path) -> anyhow::Result<BTreeMap<String, PathBuf>> {
        let mut paths = BTreeMap::new();
        for (name, expected) in &self.files {
            let path = backup.join(name);
            let found = match Fingerprint::of(&path) {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    bail!("{} is missing: the backup is not whole; take another", path.display())
                }
                Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
            };
            if found != *expected {
                bail!(
                    "{} is damaged: it has {} bytes and SHA-256 {}, and should have {} and {}. Copy it again, or take \
                     another backup",
                    path.display(),
                    found.bytes,
                    found.sha256,
                    expected.bytes,
                    expected.sha256
                );
            }
            paths.insert(name.clone(), path);
        }
        Ok(paths)
    }
}
