//! The master key, the key store, and whether they open what is in the database.

use std::{
    collections::{BTreeSet, HashSet},
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use db::{
    DbError,
    cluster::Target,
    inspect::{DataKeyRow, Inspection},
};
use kernel::{Clock, DataKeyId, OrganizationId};
use kit::vault::{
    DirectoryKeyStore, KeyIdentity, KeyStore, Keyring, MasterKey, MasterKeyError, OpenError, Scope, WrappedKey,
};

use super::Report;

const PAGE: i64 = 1_000;
/// How many data keys are opened where not all are.
const SAMPLE: usize = 1_000;

/// What opens things here.
pub(crate) struct Keys {
    pub(crate) keyring: Keyring,
    pub(crate) shards: BTreeSet<DataKeyId>,
}

impl Keys {
    /// None, with findings, when there are no keys to open anything with.
    pub(super) async fn open(
        master_key: Result<MasterKey, MasterKeyError>,
        data_dir: &Path,
        clock: &Clock,
        report: &mut Report,
    ) -> Option<Self> {
        let master = match master_key {
            Ok(master) => Some(master),
            Err(error) => {
                report.error("master_key", error.to_string(), "the program does not start without it");
                None
            }
        };
        let root = data_dir.join("keys");
        let opened = async {
            let store = DirectoryKeyStore::existing(&root).await?;
            let shards = store.list().await?;
            anyhow::Ok((store, shards))
        };
        match (master, opened.await) {
            (Some(master), Ok((store, shards))) => {
                let keyring = Keyring::new(master, Arc::new(store), clock.clone());
                Some(Self { keyring, shards: shards.into_iter().collect() })
            }
            (None, Ok(_)) => None,
            (_, Err(error)) => {
                report.error(
                    "key_store",
                    format!("the key store {} cannot be used: {error:#}", root.display()),
                    "mount the directory that the installation was served with, or restore its newest backup",
                );
                None
            }
        }
    }
}

/// Data keys, and what became of opening them.
#[derive(Default)]
pub(crate) struct Opened {
    pub(crate) looked_at: usize,
    pub(crate) existing: BTreeSet<DataKeyId>,
    pub(crate) unopened: Vec<DataKeyId>,
    pub(crate) without_shard: Vec<DataKeyId>,
}

/// Opens the data keys of a database that have a shard, all of them.
pub(crate) async fn open_all(
    target: &Target,
    keyring: &Keyring,
    shards: &BTreeSet<DataKeyId>,
) -> anyhow::Result<Opened> {
    let mut inspection = Inspection::begin(target).await?;
    let opened = open(&mut inspection, keyring, shards, usize::MAX).await;
    inspection.end().await?;
    Ok(opened?)
}

async fn open(
    inspection: &mut Inspection,
    keyring: &Keyring,
    shards: &BTreeSet<DataKeyId>,
    at_most: usize,
) -> Result<Opened, DbError> {
    let mut found = Opened::default();
    let mut after = None;
    loop {
        let page = inspection.data_keys(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some((last.organization_id, last.id));
        for row in page {
            let id = DataKeyId::from(row.id);
            found.existing.insert(id);
            if !shards.contains(&id) {
                found.without_shard.push(id);
            } else if found.looked_at < at_most {
                found.looked_at += 1;
                let opened = match wrapped(row) {
                    Ok(row) => keyring.data_key(&row).await.map(|_| ()),
                    Err(_) => Err(OpenError::UnknownFormat),
                };
                match opened {
                    Ok(()) => {}
                    // Destroyed since the list of shards was made.
                    Err(OpenError::KeyDestroyed) => {}
                    Err(_) => found.unopened.push(id),
                }
            }
        }
    }
}

fn wrapped(row: DataKeyRow) -> anyhow::Result<WrappedKey> {
    let organization = OrganizationId::from(row.organization_id);
    let identity = KeyIdentity {
        id: row.id.into(),
        organization,
        scope: Scope::from_columns(organization, &row.scope, row.scope_id)?,
        version: u32::try_from(row.key_version)?,
    };
    let master = row.master_fingerprint.parse().context("the fingerprint of a master key")?;
    Ok(WrappedKey { identity, master, wrapped: row.wrapped })
}

/// The installation's fingerprints, and its data keys.
pub(super) async fn look(
    inspection: &mut Inspection,
    keys: &Keys,
    all: bool,
    stored: (Option<String>, Option<String>),
    report: &mut Report,
) -> Result<(), DbError> {
    let present = keys.keyring.fingerprints();
    for (check, stored, present, what) in [
        ("master_key", stored.0, present.master.to_string(), "master key"),
        ("key_store", stored.1, present.store.to_string(), "key store"),
    ] {
        match stored {
            Some(stored) if stored != present => report.error(
                check,
                format!(
                    "the database was filled with {what} {stored}, and the one here is {present}: nothing sealed opens"
                ),
                format!("give the program the {what} that belongs to this database"),
            ),
            Some(_) => report.ok(check, format!("the {what} is the database's")),
            None => report.ok(check, "the database was never served from"),
        }
    }
    let found = open(inspection, &keys.keyring, &keys.shards, if all { usize::MAX } else { SAMPLE }).await?;
    if found.unopened.is_empty() {
        report.ok("data_keys", format!("{} of {} data keys were opened", found.looked_at, found.existing.len()));
    } else {
        report.error(
            "data_keys",
            format!(
                "{} of {} data keys do not open: {}",
                found.unopened.len(),
                found.looked_at,
                named(&found.unopened)
            ),
            "their rows or shards were changed: restore a backup, or connect the shops concerned again",
        );
    }
    if found.without_shard.is_empty() {
        report.ok("shards", "every data key has its shard");
    } else {
        report.error(
            "shards",
            format!(
                "{} data keys have no shard: what they sealed cannot be opened: {}",
                found.without_shard.len(),
                named(&found.without_shard)
            ),
            "restore the key store from a backup of the last seven days, or connect the shops concerned again",
        );
    }
    let existing: HashSet<DataKeyId> = found.existing.into_iter().collect();
    let orphans = keys.shards.iter().filter(|id| !existing.contains(id)).count();
    if orphans > 16.max(keys.shards.len() / 10) {
        report.warning(
            "orphans",
            format!("{orphans} of {} shards belong to no data key", keys.shards.len()),
            "is this the database that belongs to the key store? The daily sweep removes some, and refuses so many",
        );
    } else {
        report.ok("orphans", format!("{orphans} shards belong to no data key; the sweep removes them after a week"));
    }
    Ok(())
}

fn named(ids: &[DataKeyId]) -> String {
    let named: Vec<String> = ids.iter().take(5).map(|id| id.to_string()).collect();
    named.join(", ") + if ids.len() > named.len() { ", …" } else { "" }
}
