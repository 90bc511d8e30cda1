//! Shards of data keys in a small PostgreSQL of their own, for several nodes that share no directory. It knows bytes and ids; what
//! they mean is `kit::vault`'s.
//!
//! Everything is bounded: whoever asks a server that is away, or silent, is told within seconds.

mod store;

use std::{future::Future, time::Duration};

use sqlx::{Connection, PgConnection, PgPool, postgres::PgConnectOptions, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::cluster::Target;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("src/key_database/migrations");

/// How long a caller waits at most, a connection and an answer together.
const PATIENCE: Duration = Duration::from_millis(2_500);
const CONNECTIONS: u32 = 8;
/// Of all shards in pages of so many.
const PAGE: i64 = 10_000;

/// Why the key database did not do it. Says nothing of its address, which holds a password.
#[derive(Debug, thiserror::Error)]
pub enum KeyDatabaseError {
    #[error("does not answer")]
    Unavailable,
    #[error("has no tables: run `entrepot keys migrate` with KEY_DATABASE_OWNER_URL, as docs/keys.md shows")]
    NotMigrated,
    #[error("is of a later version of Entrepot, or its migrations were edited")]
    Foreign,
    #[error(
        "is reached by the login \"{user}\", which {problem}: use one that has the role entrepot_keys and nothing else (docs/keys.md)"
    )]
    TooPowerful { user: String, problem: &'static str },
    #[error(
        "is on the same server as the database: a copy of that server would hold both halves of every key. Use another server (docs/keys.md)"
    )]
    SameServer,
    #[error("has a shard of data key {0} already")]
    Exists(Uuid),
    #[error("refuses ({0})")]
    Refused(String),
}

impl KeyDatabaseError {
    /// Whether it may be over in a moment.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable)
    }
}

impl From<sqlx::Error> for KeyDatabaseError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => match database.code().as_deref() {
                Some("42P01") => Self::NotMigrated,
                Some("57P01" | "57P02" | "57P03" | "57014" | "55P03" | "58030") => Self::Unavailable,
                Some(code) if code.starts_with("53") => Self::Unavailable,
                code => Self::Refused(code.unwrap_or_default().to_owned()),
            },
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => {
                Self::Unavailable
            }
            _ => Self::Refused("driver".to_owned()),
        }
    }
}

/// What a key store that is a database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its name, in hexadecimal.
    pub fingerprint: String,
    pub state: State,
}

/// Whether shards are being moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In, from somewhere else: it is not to be served from yet.
    Filling,
    InUse,
    /// Out: what is still here is destroyed.
    Emptying,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Filling => "filling",
            Self::InUse => "in_use",
            Self::Emptying => "emptying",
        }
    }

    fn parse(text: &str) -> Result<Self, KeyDatabaseError> {
        [Self::Filling, Self::InUse, Self::Emptying]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(KeyDatabaseError::Foreign)
    }
}

/// The connections to it. Cheap to clone.
#[derive(Clone)]
pub struct KeyDatabase {
    pool: PgPool,
}

impl KeyDatabase {
    /// Connects, and refuses a login that may do more than it must.
    ///
    /// # Errors
    /// [`KeyDatabaseError::TooPowerful`], [`KeyDatabaseError::NotMigrated`], [`KeyDatabaseError::Unavailable`].
    pub async fn connect(target: &Target) -> Result<Self, KeyDatabaseError> {
        let database = Self { pool: pool(target.options()) };
        let login = bounded(async { store::login(&mut *database.pool.acquire().await?).await }).await?;
        let problem = if login.is_superuser {
            "is a superuser"
        } else if login.creates {
            "may create roles or databases, or bypasses row level security"
        } else if login.owns {
            "owns the tables"
        } else if login.is_strong {
            "is a member of a role that reads or writes everything"
        } else {
            return Ok(database);
        };
        Err(KeyDatabaseError::TooPowerful { user: login.user, problem })
    }

    /// Makes its tables, as its owner.
    ///
    /// # Errors
    /// [`KeyDatabaseError::Foreign`], [`KeyDatabaseError::Refused`] when the role entrepot_keys is not there.
    pub async fn migrate(owner: &Target) -> Result<(), KeyDatabaseError> {
        let mut connection = PgConnection::connect_with(owner.options()).await?;
        let run = MIGRATOR.run_direct(None, &mut connection, false).await;
        connection.close().await?;
        run.map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(error) | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => {
                error.into()
            }
            _ => KeyDatabaseError::Foreign,
        })
    }

    /// # Errors
    /// [`KeyDatabaseError::SameServer`] when the other database is on this server, whatever address it goes by.
    pub async fn refuse_server_of(&self, other: &PgConnectOptions) -> Result<(), KeyDatabaseError> {
        let ours = bounded(async { store::server(&mut *self.pool.acquire().await?).await }).await?;
        let theirs = bounded(async {
            let mut connection = PgConnection::connect_with(other).await?;
            let server = store::server(&mut connection).await?;
            connection.close().await?;
            Ok(server)
        })
        .await?;
        if ours == theirs { Err(KeyDatabaseError::SameServer) } else { Ok(()) }
    }

    /// None: nothing was ever stored here.
    ///
    /// # Errors
    /// [`KeyDatabaseError`].
    pub async fn said(&self) -> Result<Option<Said>, KeyDatabaseError> {
        let found = bounded(async { store::said(&mut *self.pool.acquire().await?).await }).await?;
        found.map(|(fingerprint, state)| Ok(Said { fingerprint, state: State::parse(&state)? })).transpose()
    }

    /// Names it, where it has no name, and returns what it says of itself then.
    ///
    /// # Errors
    /// [`KeyDatabaseError`].
    pub async fn name(&self, fingerprint: &str, state: State) -> Result<Said, KeyDatabaseError> {
        bounded(async { store::name(&mut *self.pool.acquire().await?, fingerprint, state.as_str()).await }).await?;
        self.said().await?.ok_or(KeyDatabaseError::Foreign)
    }

    /// # Errors
    /// [`KeyDatabaseError`].
    pub async fn set_state(&self, state: State) -> Result<(), KeyDatabaseError> {
        bounded(async { store::set_state(&mut *self.pool.acquire().await?, state.as_str()).await }).await
    }

    /// Takes its name away, once nothing is in it.
    ///
    /// # Errors
    /// [`KeyDatabaseError`].
    pub async fn forget_name(&self) -> Result<(), KeyDatabaseError> {
        bounded(async { store::forget_name(&mut *self.pool.acquire().await?).await }).await
    }

    /// # Errors
    /// [`KeyDatabaseError::Exists`]: no shard is ever replaced.
    pub async fn put(&self, id: Uuid, shard: &[u8]) -> Result<(), KeyDatabaseError> {
        let is_new = bounded(async { store::put(&mut *self.pool.acquire().await?, id, shard).await }).await?;
        if is_new { Ok(()) } else { Err(KeyDatabaseError::Exists(id)) }
    }

    /// Several at once; those that are there already stay as they are.
    ///
    /// # Errors
    /// [`KeyDatabaseError`].
    pub async fn put_all(&self, ids: &[Uuid], shards: &[&[u8]]) -> Result<(), KeyDatabaseError> {
        bounded(async { store::put_all(&mut *self.pool.acquire().await?, ids, shards).await }).await
    }

    /// # Errors
    /// [`KeyDatabaseError`].
    pub async fn get(&self, id: Uuid) -> Result<Option<Vec<u8>>, KeyDatabaseError> {
        bounded(async { store::get(&mut *self.pool.acquire().await?, id).await }).await
    }

    /// No error when there is none.
    ///
    /// # Errors
    /// [`KeyDatabaseError`].
    pub async fn delete(&self, id: Uuid) -> Result<(), KeyDatabaseError> {
        bounded(async { store::delete(&mut *self.pool.acquire().await?, id).await }).await
    }

    /// Several at once.
    ///
    /// # Errors
    /// [`KeyDatabaseError`].
    pub async fn delete_all(&self, ids: &[Uuid]) -> Result<(), KeyDatabaseError> {
        bounded(async { store::delete_all(&mut *self.pool.acquire().await?, ids).await }).await
    }

    /// The next shards above an id, in the order of their ids.
    ///
    /// # Errors
    /// [`KeyDatabaseError`].
    pub async fn page(&self, after: Option<Uuid>) -> Result<Vec<(Uuid, Vec<u8>)>, KeyDatabaseError> {
        bounded(async { store::page(&mut *self.pool.acquire().await?, after.unwrap_or_default(), PAGE).await }).await
    }

    /// The ids of all of them.
    ///
    /// # Errors
    /// [`KeyDatabaseError`].
    pub async fn ids(&self) -> Result<Vec<Uuid>, KeyDatabaseError> {
        let mut all: Vec<Uuid> = vec![];
        loop {
            let after = all.last().copied().unwrap_or_default();
            let page = bounded(async { store::ids(&mut *self.pool.acquire().await?, after, PAGE).await }).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// Closes its connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// On the heap: connecting is a large piece of state, and every caller would carry it.
fn bounded<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> impl Future<Output = Result<T, KeyDatabaseError>> {
    let work = Box::pin(work);
    async move {
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(KeyDatabaseError::Unavailable),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the other place that makes a pool: of another database, which no organization's rows are in"
)]
fn pool(options: &PgConnectOptions) -> PgPool {
    let bounds = [("statement_timeout", "2s"), ("lock_timeout", "1s"), ("idle_in_transaction_session_timeout", "5s")];
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(Duration::from_secs(2))
        .idle_timeout(Duration::from_secs(300))
        .connect_lazy_with(options.clone().application_name("entrepot_keys").options(bounds))
}
