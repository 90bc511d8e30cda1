use std::path::PathBuf;

use crate::cluster::error::ClusterError;

/// Why a cluster was not converted, in words for the operator. Whatever it is, the cluster is as it was, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(
        "the data is of PostgreSQL {major}, and its programs are not found{}: install PostgreSQL {major} beside the later one, or name \
         the directory of its programs with --from-bin",
        named.as_ref().map(|dir| format!(" in {}", dir.display())).unwrap_or_default()
    )]
    NoOld { major: u32, named: Option<PathBuf> },
    #[error(
        "the data is of PostgreSQL {major}, and no later version is found: install one, or name the directory of its programs with \
         --to-bin"
    )]
    NoLater { major: u32 },
    #[error(
        "{dir} has no `{program}`, which pg_upgrade needs: install the whole of that version (Debian: postgresql-<version>)"
    )]
    MissingProgram { dir: PathBuf, program: &'static str },
    #[error(
        "the cluster has tablespaces, which lie outside its directory: dump it with `entrepot backup`, and restore it instead"
    )]
    Tablespaces,
    #[error(
        "the cluster uses collations of ICU, and the programs in {to} were built without it: name others with --to-bin. In another \
         order of letters indexes would be wrong"
    )]
    Icu { to: PathBuf },
    #[error(
        "{free} MB are free beside {dir}, and {needed} MB are needed: make room, or share files with --link, after a backup, since the \
         old cluster is of no use then"
    )]
    NoRoom { dir: PathBuf, needed: u64, free: u64 },
    #[error(
        "the file system of {0} cannot exchange two directories in one step (renameat2, RENAME_EXCHANGE): move the data directory to \
         ext4, XFS or Btrfs"
    )]
    CannotExchange(PathBuf),
    #[error("pg_upgrade finds that it cannot be done:\n{said}")]
    Refused { said: String },
    #[error("pg_upgrade failed, and the cluster is as it was. It said:\n{said}")]
    Failed { said: String },
    #[error("there is nothing to abort: no upgrade of {0} was interrupted")]
    NothingToAbort(PathBuf),
    #[error(
        "the converted cluster has run already, or is in its place: run `entrepot upgrade-cluster` again, which finishes it"
    )]
    OnlyForward,
    #[error("while {doing}: {source}")]
    Sql { doing: &'static str, source: sqlx::Error },
}
