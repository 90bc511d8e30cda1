//! Dumps of the whole database, and putting one back: PostgreSQL's own programs, and what has to be known beside them.

mod store;

use std::{
    path::Path,
    process::{Command, Output},
};

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    DbError,
    cluster::{ProgramError, Target, client_program},
    tls,
};

/// Why there is no dump, or why it was not put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("{0} could not be run: {1}")]
    Run(&'static str, std::io::Error),
    /// What the program says of itself; rows are not quoted.
    #[error("{0} failed: {1}")]
    Failed(&'static str, String),
    #[error(
        "the login does not see all rows: it needs BYPASSRLS and pg_read_all_data, as docs/TENANCY.md shows for entrepot_backup"
    )]
    Blind,
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// What a database says of itself at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Major version of the server.
    pub postgresql: u32,
    /// The newest migration; 0 in a database that was never migrated.
    pub schema: i64,
    /// Which master key and which key store it was filled with; None before the first start of the program.
    pub master_key: Option<String>,
    /// The master keys that data keys are wrapped under and those of a rotation that has not ended, in order: two, or more, while one is
    /// replaced.
    pub master_keys: Vec<String>,
    pub key_store: Option<String>,
    pub counts: Counts,
    /// The data keys that were not destroyed, in order.
    pub data_keys: Vec<Uuid>,
}

/// How many rows there are of what people would miss first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub organizations: i64,
    pub users: i64,
    pub members: i64,
    pub api_keys: i64,
    pub connections: i64,
    pub credentials: i64,
}

/// One moment of a database, from which facts and dump are both taken.
pub struct Snapshot {
    connection: PgConnection,
    target: Target,
    name: String,
    pub facts: Facts,
}

impl Snapshot {
    /// Takes it, as the login of backups. Writers are not held up.
    ///
    /// # Errors
    /// [`BackupError::Blind`] when the login would leave rows out.
    pub async fn take(target: &Target) -> Result<Self, BackupError> {
        let mut connection = tls::connect(target.options()).await?;
        if !store::sees_everything(&mut connection).await? {
            return Err(BackupError::Blind);
        }
        let name = store::begin_snapshot(&mut connection).await?;
        let facts = store::facts(&mut connection).await?;
        Ok(Self { connection, target: target.clone(), name, facts })
    }

    /// Writes the dump, in PostgreSQL's custom format, into a new file. Returns the major version of the `pg_dump` that did: a later
    /// one than the server's writes what only a `pg_restore` as late can read.
    ///
    /// # Errors
    /// [`BackupError::Program`] when there is no `pg_dump` for this server.
    pub async fn dump(self, bin_dir: Option<&Path>, to: &Path) -> Result<u32, BackupError> {
        let program = client_program("pg_dump", self.facts.postgresql, bin_dir)?;
        let mut command = self.target.command(&program.path);
        command.args(["--format=custom", "--lock-wait-timeout=60s"]);
        command.arg(format!("--snapshot={}", self.name)).arg("--file").arg(to);
        run("pg_dump", command).await?;
        // The moment lasts until here.
        self.connection.close().await?;
        Ok(program.major)
    }
}

/// The data keys that were destroyed by now, in order.
///
/// # Errors
/// When the database is not available.
pub async fn destroyed_data_keys(target: &Target) -> Result<Vec<Uuid>, DbError> {
    let mut connection = tls::connect(target.options()).await?;
    let ids = store::destroyed_data_keys(&mut connection).await?;
    connection.close().await?;
    Ok(ids)
}

/// What the database says of itself now, as a login that sees all rows.
///
/// # Errors
/// When the database is not available.
pub async fn facts(target: &Target) -> Result<Facts, DbError> {
    let mut connection = tls::connect(target.options()).await?;
    let facts = store::facts(&mut connection).await?;
    connection.close().await?;
    Ok(facts)
}

/// Major version of a server, and whether its database has no table of anybody.
///
/// # Errors
/// When the database is not available.
pub async fn emptiness(target: &Target) -> Result<(u32, bool), DbError> {
    let mut connection = tls::connect(target.options()).await?;
    let found = store::emptiness(&mut connection).await?;
    connection.close().await?;
    Ok(found)
}

/// Fills an empty database from a dump, as its owner: all of it or, when it fails, nothing. `major` is the later of the versions of
/// the server and of the `pg_dump` that made it.
///
/// Row level security is switched on after the rows are there, so the owner can put them in.
///
/// # Errors
/// [`BackupError::Failed`] with what `pg_restore` says.
pub async fn restore(owner: &Target, major: u32, bin_dir: Option<&Path>, from: &Path) -> Result<(), BackupError> {
    let program = client_program("pg_restore", major, bin_dir)?;
    let mut command = owner.command(&program.path);
    command.args(["--no-owner", "--single-transaction", "--exit-on-error"]).arg(from);
    run("pg_restore", command).await?;
    // Statistics are not in a dump; without them the first queries are planned blindly.
    let mut connection = tls::connect(owner.options()).await?;
    store::analyze(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

async fn run(name: &'static str, command: Command) -> Result<(), BackupError> {
    let mut command = tokio::process::Command::from(command);
    let Output { status, stderr, .. } =
        command.kill_on_drop(true).output().await.map_err(|error| BackupError::Run(name, error))?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&stderr).into_owned();
    // Its further lines (DETAIL, CONTEXT) may quote rows.
    let errors: Vec<&str> = said.lines().filter(|line| line.contains(": error: ")).take(3).collect();
    let said = if errors.is_empty() { status.to_string() } else { errors.join("; ") };
    Err(BackupError::Failed(name, said))
}
