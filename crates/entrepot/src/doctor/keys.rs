//! The master key, the key store, and whether they open what is in the database.

use std::collections::{BTreeSet, HashSet};

use anyhow::Context;
use db::{
    DbError,
    cluster::Target,
    inspect::{DataKeyRow, Inspection},
};
use kernel::{Clock, DataKeyId, OrganizationId};
use kit::vault::{
    Fingerprint, KeyIdentity, KeyStorePlace, Keyring, MasterKeyError, MasterKeys, OpenError, Scope, WrappedKey,
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
        master_keys: Result<MasterKeys, MasterKeyError>,
        place: &KeyStorePlace,
        clock: &Clock,
        report: &mut Report,
    ) -> Option<Self> {
        let master = match master_keys {
            Ok(master) => Some(master),
            Err(error) => {
                report.error("master_key", error.to_string(), "the program does not start without it");
                None
            }
        };
        let opened = async {
            let store = place.existing().await?;
            let shards = store.list().await?;
            anyhow::Ok((store, shards))
        };
        match (master, opened.await) {
            (Some(master), Ok((store, shards))) => {
                let keyring = Keyring::new(master, store, clock.clone());
                Some(Self { keyring, shards: shards.into_iter().collect() })
            }
            (None, Ok(_)) => None,
            (_, Err(error)) => {
                report.error(
                    "key_store",
                    format!("the key store in {place} cannot be used: {error:#}"),
                    "mount the directory that the installation was served with (or name its key database in KEY_DATABASE_URL), or restore its \
                     newest backup",
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
    /// Shards that cannot be read, and why.
    pub(crate) unreadable: Vec<(DataKeyId, String)>,
    /// How many data keys are under a master key that is not here.
    pub(crate) under_another_key: usize,
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
                    Err(OpenError::KeyStore(error)) => found.unreadable.push((id, error.to_string())),
                    Err(OpenError::WrongMasterKey { .. }) => {
                        found.under_another_key += 1;
                        found.unopened.push(id);
                    }
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
    let stored_master = stored.0.as_deref();
    for (check, stored, present, what) in [
        ("master_key", stored.0.clone(), counting(keys, stored_master).to_string(), "master key"),
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
            match found.under_another_key {
                0 => "their rows or shards were changed: restore a backup, or connect the shops concerned again".to_owned(),
                count => format!(
                    "{count} of them are under another master key: set ENTREPOT_MASTER_KEY_PREVIOUS to the one before until `entrepot keys \
                     status` says that it can be removed"
                ),
            },
        );
    }
    if let Some((first, why)) = found.unreadable.first() {
        report.error(
            "shard_files",
            format!("{} shards cannot be read, the first of data key {first}: {why}", found.unreadable.len()),
            "run `chmod 600` where one is open to others; put a damaged one back from a backup of the shards of the last seven days",
        );
    } else {
        report.ok("shard_files", "every shard that was looked at can be read");
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

/// The key of the two here that is the database's, or the current one where none is.
fn counting(keys: &Keys, stored: Option<&str>) -> Fingerprint {
    let masters = keys.keyring.masters();
    let known = stored.and_then(|stored| stored.parse().ok()).filter(|stored| masters.holds(*stored));
    known.unwrap_or_else(|| masters.current())
}

fn named(ids: &[DataKeyId]) -> String {
    let named: Vec<String> = ids.iter().take(5).map(|id| id.to_string()).collect();
    named.join(", ") + if ids.len() > named.len() { ", …" } else { "" }
}
