//! Why a cluster did not start or stop, in words for the operator who reads them.

use std::{io, path::PathBuf};

use super::binaries::MINIMUM;

/// No variant carries a password, a bound value or a row. Those that quote the server quote what it said before it
/// took its first connection.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(
        "found no PostgreSQL {MINIMUM} or later. Three ways out: install the package (Debian: apt-get install postgresql), \
         name the directory of its programs in ENTREPOT_PG_BIN, or use a server of your own with DATABASE_URL"
    )]
    NoBinaries,
    #[error("{dir} is named as the directory of PostgreSQL's programs, but has no executable `{missing}`")]
    NotABinDir { dir: PathBuf, missing: &'static str },
    #[error("{dir} holds PostgreSQL {version}; {MINIMUM} or later is needed")]
    TooOld { dir: PathBuf, version: String },
    #[error(
        "the data in {pgdata} is of PostgreSQL {data}, and the programs found are of another version ({found}). Install \
         PostgreSQL {data}, name its programs in ENTREPOT_PG_BIN, or have `entrepot upgrade-cluster` convert the data for a later \
         version, for which both are installed"
    )]
    VersionMismatch { pgdata: PathBuf, data: u32, found: String },
    #[error("{program} did not say its version: {detail}")]
    UnknownVersion { program: PathBuf, detail: String },

    #[error("PostgreSQL refuses to run as root; name an ordinary user to run it")]
    Root,
    #[error("there is no user `{0}` on this machine to run PostgreSQL as")]
    UnknownUser(String),
    #[error("PostgreSQL cannot run as root, and this machine has neither a user `postgres` nor `nobody`")]
    NoUser,
    #[error(
        "the uid {0} has no entry in the passwd database, and PostgreSQL refuses to run without one: add an entry, run \
         as another user, or use a server of your own with DATABASE_URL"
    )]
    NoPasswdEntry(u32),
    #[error("only root can run PostgreSQL as another user: wanted {wanted}, running as {current}")]
    CannotSwitchUser { wanted: String, current: String },
    #[error("{pgdata} belongs to uid {owner}, PostgreSQL would run as {user}: chown -R {user} {pgdata}")]
    WrongOwner { pgdata: PathBuf, owner: u32, user: String },
    #[error(
        "the user {user}, as whom PostgreSQL runs, may not enter {dir}: give it the right to, or keep the data elsewhere"
    )]
    OutOfReach { user: String, dir: PathBuf },
    #[error("cannot run `{tool}` (Debian package {package}): {source}")]
    Tool { tool: &'static str, package: &'static str, source: io::Error },

    #[error("there is no database cluster in {data_dir}: name the data directory that Entrepot serves from")]
    NothingThere { data_dir: PathBuf },
    #[error(
        "the cluster in {data_dir} is run by process {holder}, which does not make it ready, or is not open to this user: \
         run this command as the user that runs Entrepot"
    )]
    NotReachable { data_dir: PathBuf, holder: String },
    #[error(
        "an upgrade of the cluster in {data_dir} was interrupted, and {staging} is left of it. Nothing is lost: run \
         `entrepot upgrade-cluster` to finish it, or `entrepot upgrade-cluster --abort` to go on with the cluster as it was"
    )]
    UnfinishedUpgrade { data_dir: PathBuf, staging: PathBuf },
    #[error("the cluster in {data_dir} is already run by process {holder}")]
    AlreadyRunning { data_dir: PathBuf, holder: String },
    #[error(
        "process {pid} serves {pgdata}, and it was not started from here: stop it first (kill -INT {pid}), it is not taken over"
    )]
    ForeignServer { pgdata: PathBuf, pid: i32 },
    #[error(
        "process {pid}, left over from an earlier run, still serves {pgdata} after {seconds} seconds of asking it to stop"
    )]
    OrphanStays { pgdata: PathBuf, pid: i32, seconds: u64 },
    #[error("{pgdata} is neither empty nor a data directory of PostgreSQL (it has no PG_VERSION)")]
    NotACluster { pgdata: PathBuf },
    #[error("`{0}` is not a setting that may be changed here (see cluster::settings::TUNABLE)")]
    Setting(String),
    #[error("`{0}` is not the name of a database: lower-case letters, digits and _, at most 63")]
    DatabaseName(String),

    #[error("initdb failed ({status}): {output}")]
    Initdb { status: String, output: String },
    #[error("PostgreSQL ended before it was ready ({status}): {output}")]
    NotReady { status: String, output: String },
    #[error("PostgreSQL was not ready within {seconds} seconds: {output}")]
    TooSlow { seconds: u64, output: String },
    #[error("the cluster was told to stop while it started")]
    Stopped,
    #[error("PostgreSQL did not end, not even when killed")]
    StillRunning,
    #[error("the thread that watches PostgreSQL ended unexpectedly")]
    SupervisorGone,

    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error(
        "the server in {data_dir} refused its superuser; delete {passwords} to have new passwords set at the next start"
    )]
    SuperuserRefused { data_dir: PathBuf, passwords: PathBuf },
    #[error("while {doing}: {source}")]
    Sql { doing: &'static str, source: sqlx::Error },
}

impl ClusterError {
    pub(super) fn from_io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { path: path.into(), source }
    }
}

/// Names the path in an I/O error, which by itself does not.
pub(super) trait At<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T, ClusterError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T, ClusterError> {
        self.map_err(|source| ClusterError::from_io(path, source))
    }
}
