//! The three kinds of transaction. Each derefs to nothing: SQL is run on [`TenantTx::conn`], in `store.rs` files only.

use std::sync::Arc;

use kernel::{OrganizationId, TenantScope};
use sqlx::{PgConnection, Postgres, Transaction, pool::PoolConnection};
use tracing::Span;

use crate::{DbError, listener::Grew};

macro_rules! transaction {
    ($name:ident $(, $grown:ident)?) => {
        impl $name {
            /// For the queries of a `store.rs`.
            pub fn conn(&mut self) -> &mut PgConnection {
                &mut self.tx
            }

            /// # Errors
            /// When the database refuses or is gone; nothing was then written.
            pub async fn commit(self) -> Result<(), DbError> {
                self.tx.commit().await?;
                $(self.$grown.ring();)?
                Ok(())
            }

            /// Undoes everything. Dropping does the same, later.
            ///
            /// # Errors
            /// When the database is gone.
            pub async fn rollback(self) -> Result<(), DbError> {
                Ok(self.tx.rollback().await?)
            }
        }
    };
}

/// The organization whose activity log a transaction makes longer, if any, and who is told once it is committed.
struct Grown {
    organization: Option<OrganizationId>,
    grew: Arc<Grew>,
}

impl Grown {
    fn ring(self) {
        if let Some(organization) = self.organization {
            self.grew.note(organization.uuid());
        }
    }
}

/// The span of a transaction, for traces. It lasts from before a connection is waited for until the transaction is over.
pub(crate) fn span(of: &'static str, task: Option<SystemTask>) -> Span {
    tracing::info_span!(
        target: "otel",
        "transaction",
        otel.kind = "client",
        otel.name = of,
        db.system.name = "postgresql",
        entrepot.system_task = task.map(tracing::field::debug),
    )
}

/// A transaction in one organization.
pub struct TenantTx {
    tx: Transaction<'static, Postgres>,
    scope: TenantScope,
    grown: Grown,
    _span: Span,
}

impl TenantTx {
    pub(crate) fn new(tx: Transaction<'static, Postgres>, scope: TenantScope, grew: Arc<Grew>, span: Span) -> Self {
        Self { tx, scope, grown: Grown { organization: None, grew }, _span: span }
    }

    /// Wakes, on all nodes, those who follow the activity log, once this is committed. Without it they hear of a line some two
    /// seconds later.
    pub fn ring_followers(&mut self) {
        self.grown.organization = Some(self.scope.organization());
    }

    /// Who acts here, for the audit log and the events.
    pub fn scope(&self) -> &TenantScope {
        &self.scope
    }

    pub fn organization(&self) -> OrganizationId {
        self.scope.organization()
    }

    /// Lets what follows see also the connections that whoever acts was denied, until [`look_as_before`](Self::look_as_before): to
    /// count them against a limit, and never to show them.
    ///
    /// # Errors
    /// When the database is gone.
    pub async fn look_at_all_connections(&mut self) -> Result<(), DbError> {
        let words = self.scope.permissions_text().split(',').filter(|word| !word.starts_with('!'));
        let text = words.collect::<Vec<_>>().join(",");
        self.set_permissions(&text).await
    }

    /// Hides again what whoever acts was denied.
    ///
    /// # Errors
    /// When the database is gone; the transaction is then of no use any more.
    pub async fn look_as_before(&mut self) -> Result<(), DbError> {
        let text = self.scope.permissions_text().to_owned();
        self.set_permissions(&text).await
    }

    async fn set_permissions(&mut self, text: &str) -> Result<(), DbError> {
        // Hardly anybody was denied a connection.
        if !self.scope.permissions_text().contains('!') {
            return Ok(());
        }
        sqlx::query_scalar!("select set_config('app.permissions', $1, true)", text).fetch_one(&mut *self.tx).await?;
        Ok(())
    }
}
transaction!(TenantTx, grown);

/// What the machine may do outside an organization. The grants that each needs are listed in the catalogue test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemTask {
    /// Finds out who is calling.
    Authenticate,
    /// Makes a user with an organization.
    SignUp,
    /// Makes, finds and uses up links that prove that somebody reads an address, and what they allow.
    UserLink,
    /// Finds whom of ours a person of an issuer is, and links the two.
    Identity,
    /// Sets up, uses and removes what people prove who they are by.
    Factors,
    /// Finds an invitation by its link, and takes the seat that it offers.
    Invitation,
    /// Consumes a single-use state of an OAuth flow.
    OauthState,
    /// Finds who holds an account that one organization holds at a time.
    ExclusiveAccount,
    /// Claims jobs of all organizations, and counts them.
    ClaimJobs,
    /// Enqueues the jobs of the house for all organizations.
    EnqueueSchedules,
    MaintainPartitions,
    /// Removes what has run out: states of consent, sessions, minutes of callers, kept answers; and lists the data keys for
    /// the sweep.
    Purge,
    /// Changes plans, as the clock or the operator asks, and tells the owners; lists organizations for the operator.
    Plans,
    /// Lists the organizations whose logs are compared with their seals.
    VerifyLogs,
    /// Writes down what broke, and shows what belongs to no organization.
    ErrorReports,
    /// Reads and writes facts of the installation.
    Installation,
    /// Wraps data keys under another master key.
    RotateKeys,
    /// Answers whether the database answers.
    Readiness,
}

/// A transaction of the machine.
pub struct SystemTx {
    tx: Transaction<'static, Postgres>,
    task: SystemTask,
    grown: Grown,
    _span: Span,
}

impl SystemTx {
    pub(crate) fn new(tx: Transaction<'static, Postgres>, task: SystemTask, grew: Arc<Grew>, span: Span) -> Self {
        Self { tx, task, grown: Grown { organization: None, grew }, _span: span }
    }

    /// The same as [`TenantTx::ring_followers`], of an organization that the transaction writes to.
    pub fn ring_followers(&mut self, organization: OrganizationId) {
        self.grown.organization = Some(organization);
    }

    pub fn task(&self) -> SystemTask {
        self.task
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// When it gives none.
    pub async fn ping(&mut self) -> Result<(), DbError> {
        sqlx::query!("select 1 as one").fetch_one(&mut *self.tx).await?;
        Ok(())
    }

    /// The newest migration that has run.
    ///
    /// # Errors
    /// When the database refuses or is gone.
    pub async fn schema_version(&mut self) -> Result<i64, DbError> {
        Ok(sqlx::query_scalar!(r#"select app.schema_version() as "version!""#).fetch_one(&mut *self.tx).await?)
    }

    /// A fact that all nodes share: what is stored under the name, or `first`, which is stored then.
    ///
    /// # Errors
    /// When the database refuses or is gone.
    pub async fn installation_fact(&mut self, name: &str, first: &str) -> Result<String, DbError> {
        sqlx::query!(
            "insert into installation (name, value) values ($1, $2) on conflict (name) do nothing",
            name,
            first
        )
        .execute(&mut *self.tx)
        .await?;
        let stored = sqlx::query_scalar!("select value from installation where name = $1", name)
            .fetch_one(&mut *self.tx)
            .await?;
        Ok(stored)
    }

    /// The same without storing anything.
    ///
    /// # Errors
    /// When the database refuses or is gone.
    pub async fn known_fact(&mut self, name: &str) -> Result<Option<String>, DbError> {
        let stored = sqlx::query_scalar!("select value from installation where name = $1", name)
            .fetch_optional(&mut *self.tx)
            .await?;
        Ok(stored)
    }

    /// Replaces a fact that is stored.
    ///
    /// # Errors
    /// When the database refuses or is gone.
    pub async fn replace_fact(&mut self, name: &str, value: &str) -> Result<(), DbError> {
        sqlx::query!("update installation set value = $2 where name = $1", name, value).execute(&mut *self.tx).await?;
        Ok(())
    }
}
transaction!(SystemTx, grown);

/// A transaction that only writes, for many organizations at once.
pub struct IngestTx {
    tx: Transaction<'static, Postgres>,
    _span: Span,
}

impl IngestTx {
    pub(crate) fn new(tx: Transaction<'static, Postgres>, span: Span) -> Self {
        Self { tx, _span: span }
    }
}
transaction!(IngestTx);

/// A connection that only writes, for one statement, which commits by itself.
pub struct IngestOnce {
    connection: PoolConnection<Postgres>,
    _span: Span,
}

impl IngestOnce {
    pub(crate) fn new(connection: PoolConnection<Postgres>, span: Span) -> Self {
        Self { connection, _span: span }
    }

    /// For the query of a `store.rs`.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
