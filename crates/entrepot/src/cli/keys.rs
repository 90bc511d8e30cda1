//! `entrepot keys`: the master key, and where the shards are.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use db::{
    Db, Logins, PoolSizes, SystemTask,
    cluster::{Borrowed, ClusterOptions, Target},
    inspect,
    key_database::KeyDatabase,
};
use kernel::Clock;
use kit::{
    data_keys::rotation::{self, RotationError},
    vault::{KeyStorePlace, Keyring, MasterKeys, move_shards},
};

use super::{
    database::{Database, KeyStoreDatabase, target},
    log_to_stderr, say,
};
use crate::keys::{
    place,
    rotate::{self, Ended},
    status,
};

#[derive(Subcommand)]
pub(super) enum Keys {
    /// Say which master key counts, how many data keys are under which, and whether an old one can be removed
    Status(Status),
    /// Replace the master key while nodes serve: wraps every data key under ENTREPOT_MASTER_KEY, beside ENTREPOT_MASTER_KEY_PREVIOUS. Goes on
    /// where it was interrupted
    Rotate(Rotate),
    /// Move the shards between the directory and the key database, while nothing serves. Goes on where it was interrupted
    Move(Move),
    /// Make the tables of the key database, as its owner
    Migrate(Migrate),
}

#[derive(Args)]
pub(super) struct Status {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Where the embedded PostgreSQL and the key store live
    #[arg(long, env = "ENTREPOT_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    #[command(flatten)]
    database: Database,
}

#[derive(Args)]
pub(super) struct Rotate {
    /// Finish although some data keys open with neither key: what they sealed is lost
    #[arg(long)]
    give_up_unopened: bool,
    /// Where the embedded PostgreSQL and the key store live
    #[arg(long, env = "ENTREPOT_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    key_database: KeyStoreDatabase,
}

#[derive(Clone, Copy, ValueEnum)]
enum To {
    Directory,
    Database,
}

#[derive(Args)]
pub(super) struct Move {
    /// Where to
    #[arg(long)]
    to: To,
    /// Where the embedded PostgreSQL and the key store live
    #[arg(long, env = "ENTREPOT_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    key_database: KeyStoreDatabase,
}

#[derive(Args)]
pub(super) struct Migrate {
    /// postgres://… of the login that owns the key database
    #[arg(long, env = "KEY_DATABASE_OWNER_URL", hide_env_values = true)]
    key_database_owner_url: String,
}

pub(super) async fn run(command: Keys) -> anyhow::Result<()> {
    log_to_stderr("warn");
    match command {
        Keys::Status(options) => {
            let (logins, cluster) = reach(options.database.logins()?, &options.data_dir).await?;
            let found = on(&logins, async |db| status::of(db).await).await;
            give_back(cluster).await?;
            let found = found?;
            if options.json {
                say(&serde_json::to_string_pretty(&found)?);
            } else {
                status::lines(&found).iter().for_each(|line| say(line));
            }
            Ok(())
        }
        Keys::Rotate(options) => {
            let masters = MasterKeys::from_env()?;
            let key_database = options.key_database.target()?;
            let place = place::of(&options.data_dir, key_database.as_ref());
            let (logins, cluster) = reach(options.database.logins()?, &options.data_dir).await?;
            let done =
                on(&logins, async |db| Box::pin(replace(db, masters, &place, options.give_up_unopened)).await).await;
            give_back(cluster).await?;
            done
        }
        Keys::Move(options) => {
            let Some(key_database) = options.key_database.target()? else {
                bail!("name the key database in KEY_DATABASE_URL")
            };
            let (logins, cluster) = reach(options.database.logins()?, &options.data_dir).await?;
            let done = Box::pin(shift(&logins, &options.data_dir, key_database, options.to)).await;
            give_back(cluster).await?;
            done
        }
        Keys::Migrate(options) => {
            let owner = target("KEY_DATABASE_OWNER_URL", &options.key_database_owner_url)?;
            KeyDatabase::migrate(&owner).await.context("the key database")?;
            say("The key database is up to date.");
            Ok(())
        }
    }
}

async fn reach(logins: Option<Logins>, data_dir: &std::path::Path) -> anyhow::Result<(Logins, Option<Borrowed>)> {
    match logins {
        Some(logins) => Ok((logins, None)),
        None => {
            let cluster = Borrowed::of(ClusterOptions::new(data_dir.join("postgres"))).await?;
            Ok((cluster.logins(), Some(cluster)))
        }
    }
}

async fn give_back(cluster: Option<Borrowed>) -> anyhow::Result<()> {
    match cluster {
        Some(cluster) => Ok(cluster.give_back().await?),
        None => Ok(()),
    }
}

async fn on<T>(logins: &Logins, work: impl AsyncFnOnce(&Db) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let db = Db::connect(logins, &PoolSizes::default()).await?;
    let done = work(&db).await;
    db.close().await;
    done
}

async fn replace(db: &Db, masters: MasterKeys, place: &KeyStorePlace, give_up: bool) -> anyhow::Result<()> {
    let clock = Clock::system();
    let store = place.existing().await.with_context(|| format!("the key store in {place} cannot be used"))?;
    let mut tx = db.system(SystemTask::RotateKeys).await?;
    let stored = tx.known_fact("key_store").await?;
    tx.rollback().await?;
    let present = store.fingerprint().to_string();
    ensure!(
        stored.as_deref() == Some(&present),
        "this database belongs to key store {}, and {place} is key store {present}",
        stored.as_deref().unwrap_or("none")
    );
    let keyring = Keyring::new(masters, store, clock.clone());
    let begun = match rotate::begin(db, &keyring, &clock).await {
        Ok(rotation) => rotation,
        Err(error @ (RotationError::Misfit(_) | RotationError::NothingToReplace { .. })) => bail!(error),
        Err(error) => return Err(error).context("the master key was not replaced"),
    };
    say(&format!("Replacing master key {} by {}: {} data keys.", begun.from, begun.to, begun.total));
    let mut said = Instant::now();
    let ended = rotate::go_on(db, &keyring, &clock, |rotation| {
        if said.elapsed().as_secs() >= 2 {
            said = Instant::now();
            say(&format!("{} of {} data keys are wrapped anew.", rotation.rewrapped, rotation.total));
        }
    })
    .await
    .context("the rest of the data keys was not wrapped anew; run it again")?;
    if let Ended::Left { rotation, unopened } = &ended {
        let named: Vec<String> = unopened.iter().take(5).map(|(id, why)| format!("{id}: {why}")).collect();
        let (count, named) = (unopened.len(), named.join("; "));
        if !give_up {
            bail!(
                "{count} data keys could not be opened and stay under {}: {named}. Restore their shards from a backup of the last seven \
                 days and run it again, or give up what they sealed with --give-up-unopened. Until then keep the previous key",
                rotation.from
            );
        }
        rotate::give_up_the_rest(db, &clock).await?;
        say(&format!("{count} data keys were given up: {named}"));
    }
    let mut tx = db.system(SystemTask::RotateKeys).await?;
    let last = rotation::last(&mut tx).await?;
    let last = last.context("the rotation is gone")?;
    let left = rotation::under(&mut tx, last.from).await?;
    tx.rollback().await?;
    let done = format!("Done: {} data keys are wrapped under {}.", last.rewrapped, last.to);
    say(&match left {
        0 => format!(
            "{done} Remove ENTREPOT_MASTER_KEY_PREVIOUS ({}) from every node, restart them, and make a backup; keep a copy of the old key \
             for as long as you keep backups that were made before.",
            last.from
        ),
        left => format!(
            "{done} {left} are still under {}: keep it for as long as their shards may come back, and run this again then.",
            last.from
        ),
    });
    Ok(())
}

async fn shift(logins: &Logins, data_dir: &std::path::Path, key_database: Target, to: To) -> anyhow::Result<()> {
    ensure!(
        !inspect::is_served_from(logins).await?,
        "a program serves from this database: stop all nodes first, so that no shard is written where it is not looked for"
    );
    let directory = place::of(data_dir, None);
    let database = place::of(data_dir, Some(&key_database));
    place::refuse_one_server(&database, logins).await?;
    let (from, to, set) = match to {
        To::Database => (directory, database, "Set KEY_DATABASE_URL on every node"),
        To::Directory => (database, directory, "Take KEY_DATABASE_URL away from every node"),
    };
    let moved = move_shards(&from, &to).await.context("the shards were not moved; run it again")?;
    say(&format!(
        "{} shards of key store {} are in {to} now, and destroyed in {from}. {set}, start them, and make a backup.",
        moved.shards, moved.store
    ));
    Ok(())
}
