//! What `entrepot doctor` asks of a database, as the login of backups. Nothing is changed.

use std::collections::BTreeMap;

use kernel::Time;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{DbError, Login, Logins, cluster::Target, logins, migrations, tls};

/// A look at all organizations.
pub struct Inspection {
    connection: PgConnection,
}

/// The migrations of a database beside those of this program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaState {
    /// Known here and not there: `serve` and `migrate` run them.
    pub pending: Vec<i64>,
    /// There and not known here: a later program was here.
    pub unknown: Vec<i64>,
    /// Run with another text than this program's.
    pub edited: Vec<i64>,
    pub failed: Vec<i64>,
}

/// A row of `data_keys` that was not destroyed.
#[derive(Clone, Debug)]
pub struct DataKeyRow {
    pub organization_id: Uuid,
    pub id: Uuid,
    pub scope: String,
    pub scope_id: Uuid,
    pub key_version: i32,
    pub wrapped: Vec<u8>,
    pub master_fingerprint: String,
}

/// Jobs that need somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobCounts {
    /// Gave up after their last attempt.
    pub dead: i64,
    /// Should have been claimed, or taken over, by now.
    pub stuck: i64,
}

/// What broke and belongs to no organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCounts {
    /// Ways to break.
    pub broken: i64,
    /// Whether somebody who is no trusted proxy said for whom they ask.
    pub strangers: i64,
}

impl Inspection {
    /// # Errors
    /// When the database is not available.
    pub async fn begin(target: &Target) -> Result<Self, DbError> {
        Ok(Self { connection: tls::connect(target.options()).await? })
    }

    /// # Errors
    /// When the database is not available.
    pub async fn end(self) -> Result<(), DbError> {
        Ok(self.connection.close().await?)
    }

    /// # Errors
    /// When the database is not available.
    pub async fn schema(&mut self) -> Result<SchemaState, DbError> {
        // sqlx's own table, which queries that are checked at compile time do not know.
        let rows: Vec<(i64, bool, Vec<u8>)> =
            sqlx::query_as("select version, success, checksum from _sqlx_migrations order by version")
                .fetch_all(&mut self.connection)
                .await?;
        let mut known: BTreeMap<i64, &[u8]> = migrations::checksums();
        let mut state = SchemaState::default();
        for (version, is_done, checksum) in &rows {
            match known.remove(version) {
                None => state.unknown.push(*version),
                Some(_) if !is_done => state.failed.push(*version),
                Some(ours) if ours != checksum => state.edited.push(*version),
                Some(_) => {}
            }
        }
        state.pending = known.into_keys().collect();
        Ok(state)
    }

    /// Tables of the schema `public` without forced row level security.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn unprotected_tables(&mut self) -> Result<Vec<String>, DbError> {
        let names = sqlx::query_scalar!(
            r#"
            -- unprotected_tables
            select c.relname::text as "name!"
            from pg_class c
            where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
                and not (c.relrowsecurity and c.relforcerowsecurity) and c.relname <> '_sqlx_migrations'
            order by c.relname
            "#
        )
        .fetch_all(&mut self.connection)
        .await?;
        Ok(names)
    }

    /// Append-only tables that have no partition for the month of a moment.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn without_partition(&mut self, moment: Time) -> Result<Vec<String>, DbError> {
        let names = sqlx::query_scalar!(
            r#"
            -- without_partition
            select table_name as "name!"
            from app.partitioned_tables
            where to_regclass('public.' || quote_ident(table_name || '_' || to_char($1::timestamptz at time zone 'UTC', 'YYYY_MM')))
                is null
            order by table_name
            "#,
            moment
        )
        .fetch_all(&mut self.connection)
        .await?;
        Ok(names)
    }

    /// The next data keys that were not destroyed, in the order of organization and id.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn data_keys(&mut self, after: Option<(Uuid, Uuid)>, limit: i64) -> Result<Vec<DataKeyRow>, DbError> {
        let (organization_id, id) = after.unwrap_or_default();
        let rows = sqlx::query_as!(
            DataKeyRow,
            r#"
            -- inspected_data_keys
            select organization_id, id, scope, scope_id, key_version, wrapped as "wrapped!", master_fingerprint
            from data_keys
            where (organization_id, id) > ($1, $2) and destroyed_at is null
            order by organization_id, id
            limit $3
            "#,
            organization_id,
            id,
            limit
        )
        .fetch_all(&mut self.connection)
        .await?;
        Ok(rows)
    }

    /// Jobs that gave up, and jobs that nobody has claimed although they were to run before this moment.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn jobs(&mut self, due_before: Time) -> Result<JobCounts, DbError> {
        let counts = sqlx::query_as!(
            JobCounts,
            r#"
            -- inspected_jobs
            select
                count(*) filter (where state = 'dead') as "dead!",
                count(*) filter (where state in ('scheduled', 'retrying', 'ready', 'running') and due_at < $1) as "stuck!"
            from jobs
            "#,
            due_before
        )
        .fetch_one(&mut self.connection)
        .await?;
        Ok(counts)
    }

    /// What broke outside all organizations since this moment.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn error_reports(&mut self, since: Time) -> Result<ErrorCounts, DbError> {
        let counts = sqlx::query_as!(
            ErrorCounts,
            r#"
            -- inspected_error_reports
            select
                count(*) filter (where kind <> 'setting') as "broken!",
                count(*) filter (where code = 'untrusted_proxy') as "strangers!"
            from error_reports
            where organization_id is null and last_seen_at > $1
            "#,
            since
        )
        .fetch_one(&mut self.connection)
        .await?;
        Ok(counts)
    }

    /// Connections whose provider refuses the credential for good.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn needing_reauthorization(&mut self) -> Result<i64, DbError> {
        let count = sqlx::query_scalar!(
            r#"
            -- needing_reauthorization
            select count(*) as "count!" from connections where status = 'needs_reauth' and deleted_at is null
            "#
        )
        .fetch_one(&mut self.connection)
        .await?;
        Ok(count)
    }

    /// What time it is there.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn clock(&mut self) -> Result<Time, DbError> {
        Ok(sqlx::query_scalar!(r#"select clock_timestamp() as "time!""#).fetch_one(&mut self.connection).await?)
    }
}

/// Whether one of the logins that serve can be used, and has no rights that it must not have.
///
/// # Errors
/// [`DbError::UnsafeLogin`] says what is wrong; [`DbError::Unavailable`] or [`DbError::Untrusted`] when it cannot
/// connect.
pub async fn login(logins: &Logins, login: Login) -> Result<(), DbError> {
    let options = match login {
        // It owns everything, and never serves.
        Login::Owner => return Ok(tls::connect(&logins.owner).await?.close().await?),
        Login::App => &logins.app,
        Login::System => &logins.system,
        Login::Ingest => &logins.ingest,
    };
    let mut connection = tls::connect(options).await?;
    let checked = logins::refuse_unsafe(&mut connection, login).await;
    connection.close().await?;
    checked
}

/// Whether a program serves from the database now: each holds a connection on which it listens.
///
/// # Errors
/// When the database is not available.
pub async fn is_served_from(logins: &Logins) -> Result<bool, DbError> {
    let mut connection = PgConnection::connect_with(&logins.system).await?;
    let serves = sqlx::query_scalar!(
        r#"
        -- is_served_from
        select exists (
            select 1 from pg_stat_activity where datname = current_database() and application_name = 'entrepot_listener'
        ) as "serves!"
        "#
    )
    .fetch_one(&mut connection)
    .await?;
    connection.close().await?;
    Ok(serves)
}
