//! `entrepot backup` and `entrepot restore`.

use std::path::PathBuf;

use clap::Args;
use kernel::Clock;
use kit::vault::MasterKeys;

use super::{
    database::{BackupLogin, Database, KeyStoreDatabase},
    log_to_stderr, say,
};
use crate::{backup, restore};

#[derive(Args)]
pub(super) struct Backup {
    /// Where dumps of the database are kept
    #[arg(long, env = "ENTREPOT_BACKUP_DIR")]
    to: PathBuf,
    /// Where shards are kept, apart from the dumps; those older than seven days are removed
    #[arg(long, env = "ENTREPOT_BACKUP_SHARDS_DIR")]
    shards_to: PathBuf,
    /// How many dumps are kept
    #[arg(long, env = "ENTREPOT_BACKUP_KEEP", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..))]
    keep: u32,
    /// Where the embedded PostgreSQL and the key store live
    #[arg(long, env = "ENTREPOT_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    backup_login: BackupLogin,
    #[command(flatten)]
    key_database: KeyStoreDatabase,
}

#[derive(Args)]
pub(super) struct Restore {
    /// A dump, or the directory where dumps are kept: the newest is taken
    #[arg(long, env = "ENTREPOT_BACKUP_DIR")]
    from: PathBuf,
    /// A backup of shards, or the directory where they are kept: the newest is taken, which is right for older dumps too
    #[arg(long, env = "ENTREPOT_BACKUP_SHARDS_DIR")]
    shards_from: PathBuf,
    /// Where to: a directory that is not there yet, or an empty one
    #[arg(long, env = "ENTREPOT_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    /// Go on although shards are missing that were not destroyed; what they would open is lost
    #[arg(long)]
    accept_lost_keys: bool,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    backup_login: BackupLogin,
    #[command(flatten)]
    key_database: KeyStoreDatabase,
}

pub(super) async fn run(options: Backup) -> anyhow::Result<()> {
    log_to_stderr("warn");
    let options = backup::Options {
        to: options.to,
        shards_to: options.shards_to,
        keep: usize::try_from(options.keep)?,
        external: options.backup_login.target(&options.database)?,
        key_database: options.key_database.target()?,
        data_dir: options.data_dir,
    };
    let made = backup::run(&options, &Clock::system()).await?;
    say(&restore::summary_of_backup(&made));
    if !made.unreadable.is_empty() {
        let named: Vec<String> = made.unreadable.iter().take(5).map(|(id, why)| format!("{id}: {why}")).collect();
        anyhow::bail!(
            "{} shards could not be read and are not in this backup; the rest is, and no older backup was removed. Repair them, or put them \
             back from an earlier backup of the shards: {}",
            made.unreadable.len(),
            named.join("; ")
        );
    }
    if made.without_shard > 0 {
        anyhow::bail!(
            "{} data keys have no shard although they were not destroyed: what they sealed is lost unless an earlier backup has \
             them. Run `entrepot doctor`",
            made.without_shard
        );
    }
    Ok(())
}

pub(super) async fn restore(options: Restore) -> anyhow::Result<()> {
    log_to_stderr("warn");
    let external = match options.database.owner()? {
        Some(owner) => Some(restore::External { owner, backup: options.backup_login.target_if_set()? }),
        None => None,
    };
    let restored = Box::pin(restore::run(restore::Options {
        from: options.from,
        shards_from: options.shards_from,
        data_dir: options.data_dir,
        external,
        key_database: options.key_database.target()?,
        master_keys: MasterKeys::from_env()?,
        accept_lost_keys: options.accept_lost_keys,
    }))
    .await?;
    say(&restore::summary(&restored));
    Ok(())
}
