//! The log of every access to shop data: durable before the first byte of the answer, without the data.
//!
//! Lines that arrive while one batch is being committed form the next: the cost of durability is per batch.

use std::time::Duration;

use db::{Db, DbError};
use kernel::{AccessReceiptId, Actor, ConnectionId, OrganizationId, Time};
use kit::Problem;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::store;

/// Lines of one commit at most.
const BATCH: usize = 512;
/// Lines that may wait; beyond that callers wait for a place.
const WAITING: usize = 8_192;

/// Who read what kind of data, and what came of it.
#[derive(Clone, Debug)]
pub struct Access {
    pub organization_id: OrganizationId,
    pub id: AccessReceiptId,
    pub(super) actor: String,
    pub(super) key_id: Option<Uuid>,
    pub connection_id: Option<ConnectionId>,
    pub resource: &'static str,
    pub operation: &'static str,
    /// `ok`, or the problem's code.
    pub result: &'static str,
    pub records: Option<u32>,
    pub fields_returned: Vec<&'static str>,
    pub fields_withheld: Vec<&'static str>,
    pub duration_ms: u32,
    pub upstream_ms: Option<u32>,
    pub request_id: Option<String>,
    pub created_at: Time,
}

impl Access {
    /// A line about a request that has just come in; the rest is filled in as it becomes known.
    pub fn new(
        id: AccessReceiptId,
        organization: OrganizationId,
        actor: Actor,
        resource: &'static str,
        operation: &'static str,
        now: Time,
    ) -> Self {
        Self {
            organization_id: organization,
            id,
            actor: actor.label(),
            key_id: match actor {
                Actor::Key { key, .. } => Some(key.uuid()),
                Actor::Person { .. } | Actor::System { .. } => None,
            },
            connection_id: None,
            resource,
            operation,
            result: "ok",
            records: None,
            fields_returned: vec![],
            fields_withheld: vec![],
            duration_ms: 0,
            upstream_ms: None,
            request_id: kit::request_id::current(),
            created_at: now,
        }
    }
}

/// The writer of one node. Cheap to clone; ends when the last clone is dropped. One and not several: two would halve the
/// batches, and each batch costs the database more than the wait for the one before it costs callers.
#[derive(Clone)]
pub struct AccessLog(mpsc::Sender<Waiting>);

struct Waiting {
    line: Access,
    written: oneshot::Sender<Result<(), ()>>,
}

impl AccessLog {
    pub fn new(db: Db) -> Self {
        let (sender, lines) = mpsc::channel(WAITING);
        tokio::spawn(write_batches(db, lines));
        Self(sender)
    }

    /// Returns once the line is committed. Without it there is no answer: an access that leaves no trace must not happen.
    ///
    /// # Errors
    /// [`kit::Code::DatabaseUnavailable`].
    pub async fn write(&self, line: Access) -> Result<(), Problem> {
        let (written, outcome) = oneshot::channel();
        self.0.send(Waiting { line, written }).await.map_err(|_| Problem::from(DbError::Unavailable))?;
        match outcome.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(())) | Err(_) => Err(DbError::Unavailable.into()),
        }
    }
}

async fn write_batches(db: Db, mut lines: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH);
    while lines.recv_many(&mut batch, BATCH).await > 0 {
        let result = write(&db, &batch).await;
        match &result {
            Err(DbError::Unavailable) => {
                tracing::error!(
                    lines = batch.len(),
                    "access-log lines could not be written; their answers are withheld"
                );
                // The callers are told at once; a database that is gone is not asked in a tight loop.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // A line that the database refuses must not take the lines of others with it.
            Err(error) if batch.len() > 1 => {
                tracing::error!(%error, lines = batch.len(), "a batch of access-log lines is written line by line");
                for waiting in batch.drain(..) {
                    let alone = [waiting];
                    let result = write(&db, &alone).await;
                    let [waiting] = alone;
                    tell(waiting, &result);
                }
            }
            Ok(()) | Err(_) => {}
        }
        for waiting in batch.drain(..) {
            tell(waiting, &result);
        }
    }
}

fn tell(waiting: Waiting, result: &Result<(), DbError>) {
    // A caller that has gone away no longer wants to know.
    let _gone = waiting.written.send(result.as_ref().copied().map_err(|_| ()));
}

async fn write(db: &Db, batch: &[Waiting]) -> Result<(), DbError> {
    // The one writer must not wait for a database that fell silent: every answer waits for it.
    db.unless_away(async {
        let mut once = db.ingest_once().await?;
        store::insert_accesses(&mut once, batch.iter().map(|waiting| &waiting.line)).await
    })
    .await
}
