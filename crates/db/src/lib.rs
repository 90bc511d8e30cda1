//! Layer 1: the only doors to rows.
//!
//! - [`Db::tenant`] opens a [`TenantTx`] for a [`kernel::TenantScope`]: `BEGIN` and the tenant in one round trip
//! - [`Db::system`] opens a [`SystemTx`] for one of the few named [`SystemTask`]s, under another login with few grants
//! - [`Db::ingest`] opens an [`IngestTx`], which can write receipts and logs of many organizations and read none
//! - [`cluster`] runs PostgreSQL itself when no server is configured
//! - [`tls`]: how a server elsewhere is known to be the right one
//! - [`backup`] dumps all of it, as a login that never serves
//! - [`key_database`] is another database, for shards of data keys alone
//!
//! Nothing else can open a connection: the pools are private, and clippy refuses to make others.

pub mod backup;
pub mod cluster;
pub mod inspect;
pub mod key_database;
pub mod listener;
mod logins;
mod migrations;
mod reach;
pub mod tls;
mod transaction;

use std::{sync::Arc, time::Duration};

use kernel::{TenantScope, Time};
use sqlx::{
    AssertSqlSafe, Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub use cluster::Login;
pub use logins::UnsafeLogin;
use reach::{Pools, Reach};
pub use sqlx::PgConnection;
pub use transaction::{IngestOnce, IngestTx, SystemTask, SystemTx, TenantTx};

/// How to reach the four logins (`docs/TENANCY.md`).
#[derive(Clone)]
pub struct Logins {
    pub owner: PgConnectOptions,
    pub app: PgConnectOptions,
    pub system: PgConnectOptions,
    pub ingest: PgConnectOptions,
}

impl Logins {
    /// Those of the embedded cluster.
    pub fn of_cluster(cluster: &cluster::Cluster, database: &str) -> Self {
        Self {
            owner: cluster.url(Login::Owner, database),
            app: cluster.url(Login::App, database),
            system: cluster.url(Login::System, database),
            ingest: cluster.url(Login::Ingest, database),
        }
    }
}

/// How long work outside a request may take. Longer than the longest statement may (`BOUNDS`), and much shorter than TCP tries.
const WORK_WITHIN: Duration = Duration::from_secs(60);
/// How long connections that are still used are waited for when the program ends.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// How many connections each login may hold, and how long a caller waits for one.
#[derive(Clone, Debug)]
pub struct PoolSizes {
    pub app: u32,
    pub system: u32,
    pub ingest: u32,
    /// Short, so that a database that is gone becomes a 503 and not a queue.
    pub acquire_timeout: Duration,
}

impl Default for PoolSizes {
    fn default() -> Self {
        Self { app: 16, system: 6, ingest: 2, acquire_timeout: Duration::from_secs(3) }
    }
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    reach: Reach,
    /// Shared, since every request clones this.
    listener: Arc<PgConnectOptions>,
    grew: Arc<listener::Grew>,
}

/// What can go wrong below the slices. Carries no value of any row: PostgreSQL's own detail quotes them.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A unique, foreign-key or check constraint said no. The name is ours, so a slice can turn it into a plain message.
    #[error("constraint {constraint} is violated")]
    Constraint { constraint: String },
    /// A row level security policy, or a missing grant, said no: a bug in our permissions, never the caller's fault.
    #[error("the database refuses: policy or grant ({code})")]
    Refused { code: String },
    /// No connection to be had.
    #[error("the database is not available")]
    Unavailable,
    /// A server at the configured address that is not shown to be the right one. Told at the start and by `doctor`; while
    /// the program serves, such a server is as good as none.
    #[error("the database is not trusted: {0}")]
    Untrusted(&'static str),
    #[error("database error {code}")]
    Other { code: String },
    #[error(transparent)]
    UnsafeLogin(#[from] UnsafeLogin),
    #[error("migration failed: {0}")]
    Migration(String),
}

impl DbError {
    /// Whether PostgreSQL had this transaction give way to another, with nothing of it kept: a deadlock (40P01), or a conflict in the
    /// order of transactions (40001). Tried again it may succeed.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Other { code } if code == "40P01" || code == "40001")
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default().into_owned();
                match (code.as_str(), database.constraint()) {
                    ("23505" | "23503" | "23514" | "23502", Some(name)) => {
                        Self::Constraint { constraint: name.to_owned() }
                    }
                    ("42501", _) => Self::Refused { code },
                    // Admin shutdown, crash shutdown, cannot connect now, too many connections; statement or lock timeout;
                    // disk full, out of memory, and what else there is too little of; an input or output that failed, as
                    // PostgreSQL reports a full disk in places.
                    ("57P01" | "57P02" | "57P03" | "57014" | "55P03" | "58030", _) => Self::Unavailable,
                    (code, _) if code.starts_with("53") => Self::Unavailable,
                    _ => Self::Other { code },
                }
            }
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => {
                Self::Unavailable
            }
            sqlx::Error::RowNotFound => Self::Other { code: "row_not_found".to_owned() },
            sqlx::Error::ColumnDecode { index, .. } => Self::Other { code: format!("column {index}") },
            _ => Self::Other { code: "driver".to_owned() },
        }
    }
}

impl Db {
    /// Connects the three serving logins and refuses those that could see past row level security.
    ///
    /// # Errors
    /// [`DbError::UnsafeLogin`] says which login can do what it must not.
    pub async fn connect(logins: &Logins, sizes: &PoolSizes) -> Result<Self, DbError> {
        let listener = Arc::new(logins.system.clone().application_name("entrepot_listener"));
        let (logins, sizes) = (logins.clone(), sizes.clone());
        let reach = Reach::new(move || Pools {
            app: pool(&logins.app, Login::App, sizes.app, sizes.acquire_timeout),
            system: pool(&logins.system, Login::System, sizes.system, sizes.acquire_timeout),
            ingest: pool(&logins.ingest, Login::Ingest, sizes.ingest, sizes.acquire_timeout),
        });
        let pools = reach.pools();
        let db = Self { reach, listener, grew: Arc::default() };
        db.unless_away(async {
            tokio::try_join!(
                Box::pin(refuse_unsafe(&pools.app, Login::App)),
                Box::pin(refuse_unsafe(&pools.system, Login::System)),
                Box::pin(refuse_unsafe(&pools.ingest, Login::Ingest)),
            )
        })
        .await?;
        Ok(db)
    }

    /// Brings the schema up to date, as the owner. Safe to run from several nodes at once.
    ///
    /// # Errors
    /// [`DbError::Migration`] when a migration fails or one that has landed was edited.
    pub async fn migrate(owner: &PgConnectOptions) -> Result<(), DbError> {
        migrations::run(owner).await
    }

    /// The number of the newest migration that this program knows.
    pub fn newest_migration() -> i64 {
        migrations::newest()
    }

    /// Makes the partitions around `now` and drops those past their retention: as usual, or so many days as `kept` says of a table.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn maintain_partitions(&self, now: Time, kept: &[(&str, u16)]) -> Result<(), DbError> {
        // A table at a time: whoever writes to two of them would otherwise meet, at the second, what waits for the first.
        let parts: Vec<&[(&str, u16)]> = if kept.is_empty() { vec![kept] } else { kept.chunks(1).collect() };
        for part in parts {
            let tables: Vec<String> = part.iter().map(|(table, _)| (*table).to_owned()).collect();
            let days: Vec<i32> = part.iter().map(|(_, days)| i32::from(*days)).collect();
            let mut tx = self.system(SystemTask::MaintainPartitions).await?;
            sqlx::query_scalar!("select app.maintain_partitions($1, $2, $3)", now, &tables, &days)
                .fetch_one(tx.conn())
                .await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// A transaction that sees one organization's rows and nothing else.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when no connection comes free in time, and at once while the database is known to be away.
    pub async fn tenant(&self, scope: &TenantScope) -> Result<TenantTx, DbError> {
        let span = transaction::span("tenant transaction", None);
        // Both values are ours, a UUID and words of our own vocabulary, so that nothing from outside reaches this text.
        let begin = format!(
            "begin; set local app.organization_id = '{}'; set local app.permissions = '{}'",
            scope.organization(),
            scope.permissions_text()
        );
        let pool = self.reach.pools().app;
        let begun = async { Ok::<_, DbError>(pool.begin_with(AssertSqlSafe(begin)).await?) };
        let tx = self.reach.unless_away(begun).await?;
        Ok(TenantTx::new(tx, scope.clone(), self.grew.clone(), span))
    }

    /// A transaction of the machine itself, outside any organization.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when no connection comes free in time.
    pub async fn system(&self, task: SystemTask) -> Result<SystemTx, DbError> {
        let span = transaction::span("system transaction", Some(task));
        let pool = self.reach.pools().system;
        let tx = self.reach.unless_away(async { Ok::<_, DbError>(pool.begin().await?) }).await?;
        Ok(SystemTx::new(tx, task, self.grew.clone(), span))
    }

    /// A transaction that can write receipts and access-log lines of any organization.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when no connection comes free in time.
    pub async fn ingest(&self) -> Result<IngestTx, DbError> {
        let span = transaction::span("ingest transaction", None);
        let pool = self.reach.pools().ingest;
        let tx = self.reach.unless_away(async { Ok::<_, DbError>(pool.begin().await?) }).await?;
        Ok(IngestTx::new(tx, span))
    }

    /// A connection for one statement that writes access-log lines of any organization. It is its own transaction, so that
    /// nothing but its commit has to be waited for.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when no connection comes free in time.
    pub async fn ingest_once(&self) -> Result<IngestOnce, DbError> {
        let span = transaction::span("ingest transaction", None);
        let pool = self.reach.pools().ingest;
        let connection = self.reach.unless_away(async { Ok::<_, DbError>(pool.acquire().await?) }).await?;
        Ok(IngestOnce::new(connection, span))
    }

    /// Ends when the database stops answering: what waits for an answer then would wait for long. A database that refuses says so
    /// to whoever asks, and does not end this.
    pub async fn falls_silent(&self) {
        self.reach.falls_silent().await;
    }

    /// Does something that waits for the database, outside a request: [`DbError::Unavailable`] when the database goes away
    /// meanwhile, or after a minute, since the network may have forgotten a single connection too. Whoever works outside a
    /// request does it here: nothing else ends a wait for an answer that never comes (`docs/adr/0031-a-database-that-is-away-is-known-to-be.md`).
    ///
    /// # Errors
    /// Those of the work, or that.
    pub fn unless_away<T, E: From<DbError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, E>> {
        self.unless_away_within(WORK_WITHIN, work)
    }

    /// The same for work that may take longer, or must not take as long.
    ///
    /// # Errors
    /// Those of the work, or [`DbError::Unavailable`].
    pub fn unless_away_within<T, E: From<DbError>>(
        &self,
        within: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, E>> {
        let work = self.reach.unless_away(work);
        async move { tokio::time::timeout(within, work).await.unwrap_or_else(|_| Err(DbError::Unavailable.into())) }
    }

    /// Closes the pools once their connections are returned. One that waits for an answer that does not come is not waited for.
    pub async fn close(&self) {
        if tokio::time::timeout(CLOSED_WITHIN, self.reach.pools().close()).await.is_err() {
            tracing::warn!("connections to the database are left behind: it does not answer");
        }
    }
}

async fn refuse_unsafe(pool: &PgPool, login: Login) -> Result<(), DbError> {
    let mut connection = pool.acquire().await.map_err(tls::connecting)?;
    logins::refuse_unsafe(&mut connection, login).await
}

/// A statement that waits for a lock, or for ever, gives its connection back; its caller has gone by then.
const BOUNDS: [(&str, &str); 3] =
    [("statement_timeout", "15s"), ("lock_timeout", "3s"), ("idle_in_transaction_session_timeout", "30s")];

/// Inside a tenant a query is planned once for each connection, not for each execution: with row level security over
/// partitions planning takes longer than most queries. PostgreSQL would do so by itself but for the limit, whose value it
/// does not know beforehand. So the best plan of a query must not depend on which of its parameters is null: where an
/// index is for a filter that may be left out, write two queries.
pub const TENANT_PLANS: (&str, &str) = ("plan_cache_mode", "force_generic_plan");

/// How long an idle connection is believed to be alive.
const TRUSTED_FOR: Duration = Duration::from_millis(250);

#[expect(clippy::disallowed_methods, reason = "this is the one place that makes pools")]
fn pool(options: &PgConnectOptions, login: Login, size: u32, acquire_timeout: Duration) -> PgPool {
    let options = options.clone().application_name(login.as_str()).options(BOUNDS);
    let options = if login == Login::App { options.options([TENANT_PLANS]) } else { options };
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(acquire_timeout)
        .idle_timeout(Duration::from_secs(300))
        // A connection that was used a moment ago is not asked whether it lives: that is a round trip for every transaction.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > TRUSTED_FOR {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        // A lazy pool: the server can start while the database is still coming up.
        .connect_lazy_with(options)
}
