//! What happened and who did it: the activity log (`events`) and the audit log, written in the transaction of the change.
//!
//! Both carry ids and names of fields, never values of a person and never a secret.

pub mod chain;
mod store;

use db::{DbError, SystemTx, TenantTx};
use kernel::{Actor, Clock, ConnectionId, EventId, OrganizationId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::request_id;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    pub const ALL: &'static [Self] = &[Self::Info, Self::Warning, Self::Error];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A line of the activity log, for people.
pub struct Event {
    pub level: Level,
    /// `connection.connected`, `api_key.revoked`, …: subject, dot, what happened to it.
    pub event_type: &'static str,
    pub connection: Option<ConnectionId>,
    /// A sentence without personal data.
    pub message: String,
    pub meta: Value,
}

impl Event {
    pub fn info(event_type: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Info, event_type, connection: None, message: message.into(), meta: json!({}) }
    }

    pub fn warning(event_type: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::info(event_type, message) }
    }

    #[must_use]
    pub fn of(mut self, connection: ConnectionId) -> Self {
        self.connection = Some(connection);
        self
    }

    #[must_use]
    pub fn with(mut self, meta: Value) -> Self {
        self.meta = meta;
        self
    }
}

/// A line of the audit log: who changed what, before and after, with secrets masked and personal values left out.
pub struct Change {
    /// `api_key.create`, `connection.update`, …
    pub action: &'static str,
    pub resource: &'static str,
    pub resource_id: Option<Uuid>,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// Writes an event.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn event(tx: &mut TenantTx, clock: &Clock, event: Event) -> Result<(), DbError> {
    let (organization, actor) = (tx.organization(), tx.scope().actor());
    tx.ring_followers();
    store::insert_event(tx.conn(), EventId::new(clock), organization, actor, event, clock.now()).await
}

/// Writes an audit line.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn audit(tx: &mut TenantTx, clock: &Clock, change: Change) -> Result<(), DbError> {
    let (organization, actor) = (tx.organization(), tx.scope().actor());
    let request = request_id::current();
    store::insert_audit(tx.conn(), EventId::new(clock).uuid(), organization, actor, change, request, clock.now()).await
}

/// Writes both for somebody who has no scope in the organization yet: who signs up, or accepts an invitation.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn joined(
    tx: &mut SystemTx,
    clock: &Clock,
    organization: OrganizationId,
    actor: Actor,
    change: Change,
    event: Event,
) -> Result<(), DbError> {
    let (request, now) = (request_id::current(), clock.now());
    store::insert_audit(tx.conn(), EventId::new(clock).uuid(), organization, actor, change, request, now).await?;
    tx.ring_followers(organization);
    store::insert_event(tx.conn(), EventId::new(clock), organization, actor, event, now).await
}
