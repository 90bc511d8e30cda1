//! `entrepot upgrade-cluster`.

use std::path::PathBuf;

use clap::Args;
use kit::vault::{MasterKeyError, MasterKeys};

use super::{database::KeyStoreDatabase, log_to_stderr, say};
use crate::upgrade_cluster;

#[derive(Args)]
pub(super) struct UpgradeCluster {
    /// Where the embedded PostgreSQL and the key store live
    #[arg(long, env = "ENTREPOT_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    /// The directory of the programs that made the data; found by itself where they are Debian's or on PATH
    #[arg(long)]
    from_bin: Option<PathBuf>,
    /// The directory of the programs of the later version; the latest that is found
    #[arg(long)]
    to_bin: Option<PathBuf>,
    /// Share files instead of copying them: quick, needs no room, and leaves no way back. Back up first
    #[arg(long)]
    link: bool,
    /// Only say whether it can be done
    #[arg(long, conflicts_with = "abort")]
    check: bool,
    /// Throw away what an interrupted upgrade has left, and go on with the cluster as it was
    #[arg(long)]
    abort: bool,
    #[command(flatten)]
    key_database: KeyStoreDatabase,
}

pub(super) async fn run(arguments: UpgradeCluster) -> anyhow::Result<()> {
    log_to_stderr("info,sqlx=warn,postgres=warn");
    let data_dir = arguments.data_dir.clone();
    let master_keys = match MasterKeys::from_env() {
        Ok(key) => Some(key),
        Err(MasterKeyError::Missing) => None,
        Err(error) => return Err(error.into()),
    };
    let options = upgrade_cluster::Options {
        key_database: arguments.key_database.target()?,
        data_dir: arguments.data_dir,
        from_bin: arguments.from_bin,
        to_bin: arguments.to_bin,
        link: arguments.link,
        master_keys,
    };
    if arguments.abort {
        upgrade_cluster::abort(&options)?;
        say("The cluster is as it was before the upgrade that was interrupted.");
    } else if arguments.check {
        let (from, to) = Box::pin(upgrade_cluster::check(options)).await?;
        say(&format!("The cluster is of PostgreSQL {from}, and can be converted to {to}. Nothing was changed."));
    } else {
        let upgraded = Box::pin(upgrade_cluster::run(options)).await?;
        say(&upgrade_cluster::summary(&upgraded, &data_dir));
    }
    Ok(())
}
