//! `entrepot restore`: an installation out of a dump and its shards, in a place where there is none.
//!
//! Everything is looked at before anything is written. While it is written a mark lies in the data directory, and the program
//! does not serve from it.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail, ensure};
use db::{
    Db, Login,
    backup::{emptiness, facts, restore},
    cluster::{self, Cluster, ClusterOptions, Target},
    key_database::KeyDatabase,
};
use kernel::{Clock, DataKeyId};
use kit::vault::{KeyStore, Keyring, MasterKeys, ShardArchive};

use crate::backup::{
    self, DATA_KEYS, DESTROYED, DUMP, SHARDS, bin_dir,
    manifest::{Database, Manifest, Shards},
    place, read_ids,
};

/// Lies in a data directory that is being filled.
const MARK: &str = "restore.unfinished";

/// What to restore, and to where.
pub struct Options {
    /// A backup, or a directory of backups, of which the newest is taken.
    pub from: PathBuf,
    pub shards_from: PathBuf,
    pub data_dir: PathBuf,
    pub external: Option<External>,
    /// Where the shards go; None: into a directory beside the data.
    pub key_database: Option<Target>,
    pub master_keys: MasterKeys,
    /// Go on although shards are missing: what they would open is lost.
    pub accept_lost_keys: bool,
}

/// An empty database of an external server.
pub struct External {
    pub owner: Target,
    /// The login of backups, with which the result is looked at; without it, it is not.
    pub backup: Option<Target>,
}

/// What was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    pub backup: PathBuf,
    pub shards_of: PathBuf,
    pub facts: Database,
    /// Data keys of the dump whose shards were put back.
    pub shards: usize,
    /// Data keys of the dump that were destroyed after it.
    pub destroyed_since: usize,
    pub lost: usize,
    /// Whether rows were counted and keys opened in the result.
    pub was_looked_at: bool,
}

/// # Errors
/// When a restore into this directory did not come to its end.
pub(crate) fn refuse_unfinished(data_dir: &Path) -> anyhow::Result<()> {
    ensure!(
        !data_dir.join(MARK).exists(),
        "a restore into {} was not finished: remove the directory, and restore again",
        data_dir.display()
    );
    Ok(())
}

/// # Errors
/// With what is wrong and what to do about it.
pub async fn run(options: Options) -> anyhow::Result<Restored> {
    let checked = check(&options)?;
    refuse_occupied(&options.data_dir)?;
    let major = match &options.external {
        Some(external) => {
            let (major, is_empty) =
                Box::pin(emptiness(&external.owner)).await.context("the database to restore into")?;
            ensure!(
                is_empty,
                "the database to restore into is not empty: make a new one as docs/TENANCY.md shows, and name it in \
                 DATABASE_OWNER_URL"
            );
            major
        }
        None => cluster::version_for_new_data(bin_dir())?.major,
    };
    let made_with = checked.database.of.postgresql;
    ensure!(
        major >= made_with,
        "the dump is of PostgreSQL {made_with}, and the server to restore into is {major}: use {made_with} or later \
         (embedded: install it, or name its programs in ENTREPOT_PG_BIN)"
    );
    let pg_dump = checked.database.of.pg_dump.unwrap_or(made_with);
    let needed = major.max(pg_dump);
    cluster::client_program("pg_restore", needed, bin_dir().as_deref()).with_context(|| {
        format!(
            "the dump was made by pg_dump {pg_dump} of a server {made_with}, and only a pg_restore as late can read it"
        )
    })?;
    if let Some(target) = &options.key_database {
        refuse_filled(target).await?;
        if let Some(external) = &options.external {
            let database = KeyDatabase::connect(target).await.context("the key database")?;
            let apart = database.refuse_server_of(external.owner.options()).await;
            database.close().await;
            apart.context("the key database")?;
        }
    }
    let hint = (pg_dump > major).then(|| {
        format!(
            "the dump was made by pg_dump {pg_dump}, and the server is {major}: if it refuses what a later version writes, restore into \
             PostgreSQL {pg_dump}, or make backups with pg_dump {made_with}"
        )
    });
    let filled = Box::pin(fill(options, checked, needed)).await;
    match hint {
        Some(hint) => filled.context(hint),
        None => filled,
    }
}

/// A backup that was found whole and fitting.
struct Checked {
    backup: PathBuf,
    shards_of: PathBuf,
    database: Manifest<Database>,
    dump: PathBuf,
    /// The shards of the dump's data keys, and no others.
    archive: ShardArchive,
    destroyed_since: usize,
    lost: usize,
}

fn check(options: &Options) -> anyhow::Result<Checked> {
    let backup = place::newest(&options.from)?;
    let database = Manifest::<Database>::read(&backup)?;
    let masters = &options.master_keys;
    let present = masters.current();
    ensure!(
        database.of.master_key == present.to_string(),
        "this backup belongs to master key {}, and the one given is {present}: set ENTREPOT_MASTER_KEY_FILE to the key that the \
         installation ran with. With another nothing sealed could be opened",
        database.of.master_key
    );
    let missing = database.of.master_keys.iter().find(|key| !key.parse().is_ok_and(|key| masters.holds(key)));
    ensure!(
        missing.is_none(),
        "this backup was made while the master key was replaced, and data keys are under {} too: set ENTREPOT_MASTER_KEY_PREVIOUS_FILE to \
         it",
        missing.map_or("another", String::as_str)
    );
    let newest = Db::newest_migration();
    ensure!(
        database.of.schema <= newest,
        "the dump was made by a later version of Entrepot ({}, schema {}; this program knows {newest}): restore it with that \
         version",
        database.of.program,
        database.of.schema
    );
    let shards_of = place::newest(&options.shards_from)?;
    let shards = Manifest::<Shards>::read(&shards_of)?;
    ensure!(
        shards.of.key_store == database.of.key_store,
        "the shards in {} are of key store {}, and the dump needs those of {}: they are of another installation",
        shards_of.display(),
        shards.of.key_store,
        database.of.key_store
    );
    ensure!(
        shards.made_at >= database.made_at,
        "the shards in {} are of {}, older than the dump of {}: keys made in between would be missing. Name the newest backup of \
         shards; it serves older dumps too",
        shards_of.display(),
        shards.made_at,
        database.made_at
    );
    let of_database = database.check_files(&backup)?;
    let of_shards = shards.check_files(&shards_of)?;
    let file = |files: &std::collections::BTreeMap<String, PathBuf>, name: &str, of: &Path| {
        files.get(name).cloned().with_context(|| format!("{} has no {name}: it is not whole", of.display()))
    };
    let alive = read_ids(&file(&of_database, DATA_KEYS, &backup)?)?;
    let destroyed = read_ids(&file(&of_shards, DESTROYED, &shards_of)?)?;
    let path = file(&of_shards, SHARDS, &shards_of)?;
    let mut archive = ShardArchive::from_bytes(&fs::read(&path)?)
        .with_context(|| format!("{} cannot be used: take another backup of the shards", path.display()))?;
    ensure!(archive.store().to_string() == shards.of.key_store, "{} is of another key store", path.display());
    archive.keep_only(&alive);
    archive.remove_all(&destroyed);
    let destroyed_since = alive.intersection(&destroyed).count();
    let missing: Vec<&DataKeyId> =
        alive.iter().filter(|id| !archive.contains(**id) && !destroyed.contains(*id)).collect();
    if !missing.is_empty() && !options.accept_lost_keys {
        let named: Vec<String> = missing.iter().take(5).map(|id| id.to_string()).collect();
        bail!(
            "the shards of {} of {} data keys are missing in {} ({}{}), and they were not destroyed: what these keys sealed could \
             not be opened. Name a newer or another backup of the shards; --accept-lost-keys restores the rest without them",
            missing.len(),
            alive.len(),
            shards_of.display(),
            named.join(", "),
            if missing.len() > named.len() { ", …" } else { "" }
        );
    }
    let lost = missing.len();
    let dump = file(&of_database, DUMP, &backup)?;
    Ok(Checked { backup, shards_of, database, dump, archive, destroyed_since, lost })
}

async fn refuse_filled(target: &Target) -> anyhow::Result<()> {
    let database = KeyDatabase::connect(target).await.context("the key database")?;
    let said = database.said().await.context("the key database")?;
    database.close().await;
    ensure!(
        said.is_none(),
        "the key database to restore into is not empty: make a new one as docs/keys.md shows, and name it in KEY_DATABASE_URL"
    );
    Ok(())
}

fn refuse_occupied(data_dir: &Path) -> anyhow::Result<()> {
    refuse_unfinished(data_dir)?;
    match fs::read_dir(data_dir) {
        Ok(mut entries) => ensure!(
            entries.next().is_none(),
            "{} is not empty: name a directory that is not there yet. Nothing is restored over something else",
            data_dir.display()
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("{} cannot be looked at", data_dir.display())),
    }
    Ok(())
}

async fn fill(options: Options, checked: Checked, major: u32) -> anyhow::Result<Restored> {
    let Options { data_dir, external, key_database, master_keys, .. } = options;
    DirBuilder::new()
        .recursive(true)
        // PostgreSQL runs as another user under root and must get through; what lies in it has modes of its own.
        .mode(0o711)
        .create(&data_dir)
        .with_context(|| format!("cannot make the data directory {}", data_dir.display()))?;
    let mark = data_dir.join(MARK);
    File::create_new(&mark).and_then(|file| file.sync_all()).with_context(|| format!("{}", mark.display()))?;

    let cluster = match &external {
        Some(_) => None,
        None => Some(Cluster::start(ClusterOptions::new(data_dir.join("postgres"))).await?),
    };
    let external = match (external, &cluster) {
        (Some(external), _) => external,
        (None, Some(cluster)) => External {
            owner: cluster.target(Login::Owner, cluster.database()),
            backup: Some(cluster.backup_target(cluster.database())),
        },
        (None, None) => bail!("there is no database to restore into"),
    };
    let filled = fill_database(&external, checked, major, &data_dir, key_database.as_ref(), master_keys).await;
    if let Some(cluster) = cluster {
        cluster.stop().await?;
    }
    let restored = filled?;
    fs::remove_file(&mark).and_then(|()| File::open(&data_dir)?.sync_all())?;
    Ok(restored)
}

async fn fill_database(
    external: &External,
    checked: Checked,
    major: u32,
    data_dir: &Path,
    key_database: Option<&Target>,
    master_keys: MasterKeys,
) -> anyhow::Result<Restored> {
    let Checked { backup, shards_of, database, dump, archive, destroyed_since, lost } = checked;
    restore(&external.owner, major, bin_dir().as_deref(), &dump).await?;
    Db::migrate(external.owner.options()).await.context("the restored database could not be brought up to date")?;
    let shards: BTreeSet<DataKeyId> = archive.ids().collect();
    let store: Arc<dyn KeyStore> = match key_database {
        Some(target) => Arc::new(archive.make_database_store(target).await?),
        None => Arc::new(archive.make_store(&data_dir.join("keys")).await?),
    };
    if let Some(target) = &external.backup {
        look_at(target, &database.of).await?;
        let keyring = Keyring::new(master_keys, store, Clock::system());
        let opened = crate::doctor::keys::open_all(target, &keyring, &shards).await?;
        ensure!(
            opened.unopened.is_empty(),
            "{} data keys cannot be opened although they have their shards: the dump does not fit. Take another backup",
            opened.unopened.len()
        );
    }
    Ok(Restored {
        backup,
        shards_of,
        facts: database.of,
        shards: shards.len(),
        destroyed_since,
        lost,
        was_looked_at: external.backup.is_some(),
    })
}

/// The rows are those that the manifest counts.
async fn look_at(target: &Target, expected: &Database) -> anyhow::Result<()> {
    let counts = facts(target).await?.counts;
    let found = [
        ("organizations", counts.organizations, expected.organizations),
        ("users", counts.users, expected.users),
        ("members", counts.members, expected.members),
        ("API keys", counts.api_keys, expected.api_keys),
        ("connections", counts.connections, expected.connections),
        ("credentials", counts.credentials, expected.credentials),
    ];
    for (what, found, expected) in found {
        ensure!(
            found == expected,
            "{found} {what} were restored, and the manifest counts {expected}: take another backup"
        );
    }
    Ok(())
}

/// For the operator.
pub(crate) fn summary(restored: &Restored) -> String {
    let Restored { facts, shards, destroyed_since, lost, was_looked_at, .. } = restored;
    let looked = if *was_looked_at {
        "Rows were counted and every data key was opened."
    } else {
        "Set DATABASE_BACKUP_URL and run `entrepot doctor` to have rows counted and keys opened."
    };
    format!(
        "Restored {} organizations, {} users and {} connections of {}, with {shards} data keys; {destroyed_since} were destroyed \
         after the dump and stay so, {lost} are lost. {looked}",
        facts.organizations,
        facts.users,
        facts.connections,
        restored.backup.display()
    )
}

/// For the operator.
pub(crate) fn summary_of_backup(made: &backup::Made) -> String {
    let (dumps, archives) = made.removed;
    format!(
        "Dump ({} bytes, {} organizations) in {}\n{} shards in {}\nRemoved: {dumps} older dumps, {archives} backups of shards past \
         seven days. The master key is not in a backup: keep a copy of it in a third place.",
        made.dump_bytes,
        made.facts.organizations,
        made.database.display(),
        made.shard_count,
        made.shards.display()
    )
}
