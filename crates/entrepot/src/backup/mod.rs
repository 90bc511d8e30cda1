//! `entrepot backup`: a dump of the database to one place, the shards to another.
//!
//! ```text
//! <to>/entrepot-20261120T031500.000Z/         manifest.json  database.dump  data-keys
//! <shards-to>/entrepot-20261120T031500.000Z/  manifest.json  shards  destroyed
//! ```
//!
//! First the dump, of one moment; then the shards. A shard is durable before the row of its data key can be committed, so each
//! data key of the dump has its shard among those that are read afterwards, but for keys that were destroyed meanwhile, which
//! is as it should be. The other way round, keys made between the two would be in the dump without their shards. Which keys
//! are destroyed is asked last: a shard that was read before its destruction is left out again.
//!
//! Only the newest shards are ever needed, for older dumps too: what they lack was destroyed. So dumps are kept for long, and
//! shards for seven days at most, since until then a destroyed key can be brought back.

pub(crate) mod manifest;
pub(crate) mod place;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use chrono::Duration;
use db::{
    backup::{Snapshot, destroyed_data_keys},
    cluster::{BIN_DIR_VARIABLE, Borrowed, ClusterOptions, Target},
};
use kernel::{Clock, DataKeyId};
use kit::vault::{KeyStore, ShardArchive};

use crate::keys;

use self::{
    manifest::{Database, Shards},
    place::{Place, entries, refuse_one_in_another},
};

pub(crate) const DUMP: &str = "database.dump";
/// The data keys of the dump that were not destroyed, one id a line.
pub(crate) const DATA_KEYS: &str = "data-keys";
pub(crate) const SHARDS: &str = "shards";
/// The data keys that were destroyed when the shards were read, one id a line.
pub(crate) const DESTROYED: &str = "destroyed";

/// How long backups of shards may live.
pub(crate) const SHARDS_LIVE: Duration = Duration::days(7);

/// What to back up, and to where.
pub struct Options {
    pub to: PathBuf,
    pub shards_to: PathBuf,
    /// How many dumps stay.
    pub keep: usize,
    pub data_dir: PathBuf,
    /// The login of backups on an external server; None: the embedded one.
    pub external: Option<Target>,
    /// Where the shards are; None: in a directory beside the data.
    pub key_database: Option<Target>,
}

/// A backup that was made.
#[derive(Clone, Debug)]
pub struct Made {
    pub database: PathBuf,
    pub shards: PathBuf,
    pub facts: Database,
    pub dump_bytes: u64,
    pub shard_count: usize,
    /// Data keys of the dump whose shards are gone, or unreadable, although they were not destroyed.
    pub without_shard: usize,
    /// Shards that could not be read, and why. The rest is in the backup.
    pub unreadable: Vec<(DataKeyId, String)>,
    /// How many older backups were removed: dumps, and shards.
    pub removed: (usize, usize),
}

/// The directory of PostgreSQL's programs that the operator named.
pub(crate) fn bin_dir() -> Option<PathBuf> {
    std::env::var_os(BIN_DIR_VARIABLE).filter(|dir| !dir.is_empty()).map(PathBuf::from)
}

/// # Errors
/// With what is wrong and what to do about it. What was written until then does not look like a backup.
pub async fn run(options: &Options, clock: &Clock) -> anyhow::Result<Made> {
    refuse_one_in_another(&[
        ("the place for the dump", &options.to),
        ("the place for the shards", &options.shards_to),
        ("the data directory", &options.data_dir),
    ])?;
    let keys = keys::place::of(&options.data_dir, options.key_database.as_ref());
    let store = keys.existing().await.with_context(|| format!("{keys} is not the key store of an installation"))?;
    if let Some(target) = &options.external {
        return make(options, clock, &*store, target).await;
    }
    let cluster = Borrowed::of(ClusterOptions::new(options.data_dir.join("postgres"))).await?;
    let made = make(options, clock, &*store, &cluster.backup_target()).await;
    cluster.give_back().await?;
    made
}

async fn make(options: &Options, clock: &Clock, store: &dyn KeyStore, target: &Target) -> anyhow::Result<Made> {
    let (dumps, archives) = (Place::open(&options.to)?, Place::open(&options.shards_to)?);
    let made_at = clock.now();
    let mut dump = dumps.begin(made_at)?;
    let mut archive = archives.begin(made_at)?;

    let snapshot = Snapshot::take(target).await?;
    let found = snapshot.facts.clone();
    let (Some(master_key), Some(key_store)) = (found.master_key, found.key_store) else {
        bail!("this database was never served from: there is nothing to back up");
    };
    if key_store != store.fingerprint().to_string() {
        bail!(
            "this database belongs to key store {key_store}, and {} is key store {}: name the data directory, or the key database, that \
             it is served with",
            keys::place::of(&options.data_dir, options.key_database.as_ref()),
            store.fingerprint()
        );
    }
    let pg_dump = snapshot.dump(bin_dir().as_deref(), &dump.path(DUMP)).await?;
    let dump_bytes = dump.add(DUMP)?;
    let alive: BTreeSet<DataKeyId> = found.data_keys.iter().copied().map(DataKeyId::from).collect();
    dump.write(DATA_KEYS, lines(&alive).as_bytes())?;

    let (mut shards, unreadable) = ShardArchive::of(store).await?;
    let destroyed: BTreeSet<DataKeyId> = destroyed_data_keys(target).await?.into_iter().map(DataKeyId::from).collect();
    shards.remove_all(&destroyed);
    archive.write(SHARDS, &shards.to_bytes())?;
    archive.write(DESTROYED, lines(&destroyed).as_bytes())?;
    let without_shard = alive.iter().filter(|id| !shards.contains(**id) && !destroyed.contains(*id)).count();

    let program = env!("CARGO_PKG_VERSION").to_owned();
    let facts = Database {
        program: program.clone(),
        schema: found.schema,
        postgresql: found.postgresql,
        pg_dump: Some(pg_dump),
        master_key,
        master_keys: found.master_keys,
        key_store: key_store.clone(),
        organizations: found.counts.organizations,
        users: found.counts.users,
        members: found.counts.members,
        api_keys: found.counts.api_keys,
        connections: found.counts.connections,
        credentials: found.counts.credentials,
        data_keys: alive.len(),
    };
    let shard_count = shards.ids().len();
    // Shards without their dump are of use, a dump without its shards is not: so the dump gets its name last.
    let unreadable: Vec<(DataKeyId, String)> = unreadable
        .into_iter()
        .filter(|(id, _)| !destroyed.contains(id))
        .map(|(id, error)| (id, error.to_string()))
        .collect();
    let shards = archive.finish(Shards { program, key_store, shards: shard_count, unreadable: unreadable.len() })?;
    let database = dump.finish(facts.clone())?;
    // What is missing here may be in an earlier archive: nothing older goes before somebody has looked.
    let removed = match without_shard + unreadable.len() {
        0 => (remove_dumps(&dumps, options.keep)?, remove_shards(&archives, clock)?),
        _ => Default::default(),
    };
    Ok(Made { database, shards, facts, dump_bytes, shard_count, without_shard, unreadable, removed })
}

fn lines(ids: &BTreeSet<DataKeyId>) -> String {
    ids.iter().map(|id| format!("{id}\n")).collect()
}

/// Reads what [`lines`] wrote.
pub(crate) fn read_ids(path: &Path) -> anyhow::Result<BTreeSet<DataKeyId>> {
    let text = std::fs::read_to_string(path)?;
    let ids = text.lines().map(|line| line.parse().ok()).collect::<Option<_>>();
    ids.with_context(|| format!("{} is not a list of data keys", path.display()))
}

fn remove_dumps(place: &Place, keep: usize) -> anyhow::Result<usize> {
    let found = entries(place.dir())?;
    let old = &found[..found.len().saturating_sub(keep.max(1))];
    old.iter().try_for_each(|entry| place.remove(entry))?;
    Ok(old.len())
}

/// All but the newest, which is needed.
fn remove_shards(place: &Place, clock: &Clock) -> anyhow::Result<usize> {
    let before = clock.now() - SHARDS_LIVE;
    let mut found = entries(place.dir())?;
    found.pop();
    let old: Vec<_> = found.into_iter().filter(|entry| entry.made_at <= before).collect();
    old.iter().try_for_each(|entry| place.remove(entry))?;
    Ok(old.len())
}
