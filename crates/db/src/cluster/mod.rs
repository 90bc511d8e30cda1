//! The embedded PostgreSQL: a server of our own over the installed programs, for whoever has none to point us at.
//!
//! [`Cluster::start`] makes a database cluster in a folder where there is none, runs PostgreSQL on it, makes the four
//! logins and the database `entrepot`, and watches: a server that dies is started again, and one whose program dies,
//! even by `kill -9`, shuts down. It is reached through a Unix socket only, with passwords. A commit is on the disk when
//! it is acknowledged, and no setting can change that.
//!
//! - [`binaries`] finds the programs, [`account`] whose they run as and how they die with us
//! - [`area`] is the folder and its lock, [`logins`] the roles and their passwords
//! - [`server`] makes and launches, [`supervisor`] keeps it running, [`orphan`] clears up after a crash
//! - [`settings`] are the server's, [`log`] what of its log may be told
//! - [`Upgrade`] converts the data for a later version of PostgreSQL
//! - [`Borrowed`] is a cluster for a command that runs beside the program, [`Target`] a database as PostgreSQL's own programs
//!   are told of it
//!
//! Restart a program that fails to end its server properly without fear: PostgreSQL recovers from its log at each start.

mod account;
mod area;
mod binaries;
mod borrowed;
mod error;
mod log;
mod logins;
mod orphan;
mod server;
pub mod settings;
mod supervisor;
mod target;
#[cfg(test)]
mod tests;
mod upgrade;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::process::Signal;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use tokio::{sync::oneshot, time::timeout};

pub use self::{
    account::RunAs,
    binaries::{ProgramError, Version, client_program},
    borrowed::Borrowed,
    error::ClusterError,
    logins::{BACKUP, Login, RolesSql, roles_sql},
    target::{NotATarget, Target},
    upgrade::{Aside, Converted, Prepared, Profile, Upgrade, UpgradeError, UpgradeOptions},
};
use self::{
    logins::{SUPERUSER, backup_privileges_sql, backup_role_sql, create_database_sql, privileges_sql},
    server::Server,
    supervisor::{Control, Status},
};

/// The program's database.
pub const DATABASE: &str = "entrepot";

/// Names the socket (`.s.PGSQL.5432`); nothing listens on TCP.
const PORT: u16 = 5432;

/// Where [`ClusterOptions::new`] reads the directory of PostgreSQL's programs from.
pub const BIN_DIR_VARIABLE: &str = "ENTREPOT_PG_BIN";

/// A fast shutdown writes everything down first: on a slow disk that takes its time.
const FAST_SHUTDOWN: Duration = Duration::from_secs(60);
/// An immediate one writes nothing; the next start recovers.
const IMMEDIATE_SHUTDOWN: Duration = Duration::from_secs(10);
const KILL: Duration = Duration::from_secs(5);

/// What to run and where.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The folder of this cluster and of nothing else; made where there is none. Under root it must be somewhere that
    /// the server's user can get to. What lies in it: see `area.rs`.
    pub data_dir: PathBuf,
    /// The directory of `postgres` and `initdb`. Without it: Debian's, of the version that made the data, or the newest
    /// for new data; then `PATH`.
    pub bin_dir: Option<PathBuf>,
    pub run_as: RunAs,
    /// Settings of the server, by name, out of [`settings::TUNABLE`]; others are refused.
    pub extra_settings: Vec<(String, String)>,
    /// How long the server may take until it takes connections. After a crash it first does again what its log holds,
    /// up to `max_wal_size`.
    pub ready_within: Duration,
}

impl ClusterOptions {
    /// The usual choice, with the programs that [`BIN_DIR_VARIABLE`] names, if it does.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            bin_dir: std::env::var_os(BIN_DIR_VARIABLE).filter(|dir| !dir.is_empty()).map(PathBuf::from),
            run_as: RunAs::Auto,
            extra_settings: vec![],
            ready_within: Duration::from_mins(10),
        }
    }
}

/// The version that a new cluster will have, of the programs in this directory or of the newest that are found.
///
/// # Errors
/// When there are none.
pub fn version_for_new_data(bin_dir: Option<PathBuf>) -> Result<Version, ClusterError> {
    let nowhere = Path::new("/nonexistent");
    Ok(binaries::Search::on_this_machine(bin_dir).find(nowhere)?.version)
}

/// What the server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not yet up for the first time.
    Starting,
    Running,
    /// It ended by itself; another is being started, with growing pauses, for as long as it takes.
    Restarting,
    Stopped,
}

/// A running server, ours. Dropping it asks the server to stop without waiting for it; [`Cluster::stop`] waits.
pub struct Cluster {
    control: Handle,
    server: Arc<Server>,
}

/// Asks the supervisor to stop when nobody holds the cluster any more, also when its start is given up half way.
struct Handle(Arc<Control>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Cluster {
    /// Makes the cluster where there is none, starts it, waits until it takes connections, and makes sure that the logins
    /// and the database are there. Passwords and data are kept from one start to the next.
    pub async fn start(options: ClusterOptions) -> Result<Self, ClusterError> {
        let control = Handle(Control::new());
        let (started, outcome) = oneshot::channel();
        let watched = Arc::clone(&control.0);
        thread::Builder::new()
            .name("postgres-supervisor".into())
            .spawn(move || supervisor::run(&options, &watched, started))
            .map_err(|source| ClusterError::File { path: "/proc/self/task".into(), source })?;
        let server = outcome.await.map_err(|_| ClusterError::SupervisorGone)??;
        let cluster = Self { control, server };
        match cluster.ensure_logins().await {
            Ok(()) => Ok(cluster),
            Err(error) => {
                if let Err(error) = cluster.stop().await {
                    tracing::warn!(%error, "PostgreSQL was started and does not stop");
                }
                Err(error)
            }
        }
    }

    /// How to connect to `database` as `login`. Not to be logged: sqlx prints the password.
    pub fn url(&self, login: Login, database: &str) -> PgConnectOptions {
        self.connect_as(login.as_str(), database)
    }

    /// The same for PostgreSQL's own programs.
    pub fn target(&self, login: Login, database: &str) -> Target {
        self.target_as(login.as_str(), database)
    }

    /// How backups reach `database`: every row, read only.
    pub fn backup_target(&self, database: &str) -> Target {
        self.target_as(BACKUP, database)
    }

    fn target_as(&self, role: &str, database: &str) -> Target {
        Target::at_socket(&self.server.socket_dir, role, self.server.passwords.of(role), database)
    }

    /// How to connect as the superuser, for whom no row is hidden: **for tests only**, never for serving.
    pub fn superuser_url(&self, database: &str) -> PgConnectOptions {
        self.connect_as(SUPERUSER, database)
    }

    fn connect_as(&self, role: &str, database: &str) -> PgConnectOptions {
        self.target_as(role, database).options().clone()
    }

    /// The program's database, [`DATABASE`].
    pub fn database(&self) -> &str {
        DATABASE
    }

    /// Makes a database that the owner owns, a copy of `template`, with the same rights as the program's. Nobody may be
    /// connected to the template meanwhile. For tests.
    pub async fn create_database(&self, name: &str, template: &str) -> Result<(), ClusterError> {
        let (name, template) = (checked_name(name)?, checked_name(template)?);
        let mut admin = self.superuser().await?;
        execute(&mut admin, "creating a database", create_database_sql(name, template)).await?;
        let who = format!("{}{}", privileges_sql(name), backup_privileges_sql(name));
        execute(&mut admin, "saying who may connect", who).await?;
        close(admin).await
    }

    /// Drops a database where it exists, and with it the connections to it. For tests.
    pub async fn drop_database(&self, name: &str) -> Result<(), ClusterError> {
        let sql = format!("drop database if exists {} with (force)", checked_name(name)?);
        let mut admin = self.superuser().await?;
        execute(&mut admin, "dropping a database", sql).await?;
        close(admin).await
    }

    /// Fast shutdown: takes no more connections, ends those that are there, writes everything down. Returns when the
    /// server is gone and the folder is free for the next. A server that does not follow is made to.
    pub async fn stop(self) -> Result<(), ClusterError> {
        let mut status = self.control.0.status();
        self.control.0.stop();
        for (patience, then) in
            [(FAST_SHUTDOWN, Signal::QUIT), (IMMEDIATE_SHUTDOWN, Signal::KILL), (KILL, Signal::KILL)]
        {
            let stopped = status.wait_for(|status| status.phase == Phase::Stopped);
            if timeout(patience, stopped).await.is_ok() {
                return Ok(());
            }
            tracing::warn!(?then, "PostgreSQL does not stop; signalling it again");
            self.control.0.signal(then);
        }
        Err(ClusterError::StillRunning)
    }

    /// Waits until the server has ended more often than this without having been asked to ([`Self::deaths`]), and says how it
    /// did. It is being started again by then: a pool reconnects by itself, what was in flight is lost unless its commit was
    /// acknowledged. Returns, too, when the cluster stops, and then says so.
    pub async fn died(&self, seen: u64) -> String {
        let mut status = self.control.0.status();
        let news = |status: &Status| status.deaths > seen || status.phase == Phase::Stopped;
        match status.wait_for(news).await {
            Ok(status) if status.deaths > seen => status.last_death.clone(),
            _ => "stopped".into(),
        }
    }

    /// Waits until the server runs, at once if it does; false when it is stopped for good.
    pub async fn running(&self) -> bool {
        let mut status = self.control.0.status();
        let settled = |status: &Status| matches!(status.phase, Phase::Running | Phase::Stopped);
        status.wait_for(settled).await.is_ok_and(|status| status.phase == Phase::Running)
    }

    pub fn phase(&self) -> Phase {
        self.control.0.status().borrow().phase
    }

    /// How often the server ended without having been asked to.
    pub fn deaths(&self) -> u64 {
        self.control.0.status().borrow().deaths
    }

    /// The process id of the server, while there is one.
    pub fn pid(&self) -> Option<u32> {
        self.control.0.status().borrow().pid
    }

    /// The folder of this cluster, absolute.
    pub fn data_dir(&self) -> &Path {
        &self.server.area.root
    }

    /// PostgreSQL's own data directory in it.
    pub fn pgdata(&self) -> &Path {
        &self.server.area.pgdata
    }

    /// Where the socket is: `psql -h` takes it.
    pub fn socket_dir(&self) -> &Path {
        &self.server.socket_dir
    }

    /// The directory of the programs in use; `pg_dump` is often beside them.
    pub fn bin_dir(&self) -> &Path {
        &self.server.binaries.dir
    }

    pub fn version(&self) -> &Version {
        &self.server.binaries.version
    }

    /// The name of the user as whom the server runs.
    pub fn run_as(&self) -> &str {
        &self.server.account.name
    }

    /// The last lines of the server's log, without anything that a client sent.
    pub fn recent_log(&self) -> Vec<String> {
        self.server.log.recent()
    }

    async fn superuser(&self) -> Result<PgConnection, ClusterError> {
        match PgConnection::connect_with(&self.superuser_url("postgres")).await {
            Ok(connection) => Ok(connection),
            // invalid_password
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("28P01") => {
                let area = &self.server.area;
                Err(ClusterError::SuperuserRefused { data_dir: area.root.clone(), passwords: area.passwords.clone() })
            }
            Err(source) => Err(ClusterError::Sql { doing: "connecting as the superuser", source }),
        }
    }

    async fn ensure_logins(&self) -> Result<(), ClusterError> {
        let sql = roles_sql(|login| self.server.passwords.of(login.as_str()).clone());
        let mut admin = self.superuser().await?;
        let exists = sqlx::query("select from pg_database where datname = $1").bind(DATABASE);
        let exists = exists.fetch_optional(&mut admin).await;
        let exists =
            exists.map_err(|source| ClusterError::Sql { doing: "looking for the database", source })?.is_some();
        if !exists {
            execute(&mut admin, "making the logins", sql.roles.clone()).await?;
            execute(&mut admin, "making the database", sql.create_database).await?;
        }
        // The server is ours alone, so nobody has any business in the databases that come with it. In one go, which is one
        // commit: all this is done at every start.
        let others = "revoke all on database postgres, template1 from public";
        let backup = backup_role_sql(self.server.passwords.of(BACKUP)) + &backup_privileges_sql(DATABASE);
        execute(&mut admin, "making the logins", format!("{}{}{backup}{others}", sql.roles, sql.privileges)).await?;
        close(admin).await
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("data_dir", &self.data_dir()).field("phase", &self.phase()).finish()
    }
}

/// Several statements in one go are one transaction, except for `create database` and `drop database`, which must come
/// alone. Nothing in them is from outside: names are checked, passwords are ours.
async fn execute(admin: &mut PgConnection, doing: &'static str, sql: String) -> Result<(), ClusterError> {
    match admin.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await {
        Ok(_) => Ok(()),
        Err(source) => Err(ClusterError::Sql { doing, source }),
    }
}

async fn close(admin: PgConnection) -> Result<(), ClusterError> {
    admin.close().await.map_err(|source| ClusterError::Sql { doing: "taking leave", source })
}

/// Names go into statements as they are: only what needs no quotes.
fn checked_name(name: &str) -> Result<&str, ClusterError> {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let rest = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if first && rest && name.len() <= 63 { Ok(name) } else { Err(ClusterError::DatabaseName(name.into())) }
}
