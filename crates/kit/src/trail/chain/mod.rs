//! The hash chain over the logs of an organization: every so often the new lines of each are sealed, in the order of their
//! commits, and each seal holds the hash of the one before. [`verify`] names the first line that is not what was sealed.
//! `docs/adr/0026-logs-are-sealed-in-batches.md`

mod line;
mod store;
mod verify;

use db::{DbError, SystemTx, TenantTx};
use kernel::{Clock, EventId, OrganizationId, Time};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use verify::{Fault, Verified, Wrong, verify};

/// Lines of one seal at most.
const BATCH: i64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    Events,
    Audit,
}

impl Log {
    pub const ALL: [Self; 2] = [Self::Events, Self::Audit];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Audit => "audit_log",
        }
    }
}

/// A place in the order of commits. Ids are not in that order, nor are a sequence's numbers: both are drawn while a
/// transaction runs. Transaction ids are not either, but below the oldest that still runs they are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// PostgreSQL's xid8, which does not wrap around.
    pub xid: i64,
    pub id: Uuid,
}

impl Position {
    const START: Self = Self { xid: 0, id: Uuid::nil() };
}

/// A batch that was sealed.
pub(crate) struct Seal {
    number: i64,
    last: Position,
    lines: Vec<u8>,
    previous: Vec<u8>,
    hash: Vec<u8>,
    created_at: Time,
}

impl Seal {
    fn compute(&self, log: Log, organization: OrganizationId) -> [u8; 32] {
        let mut hasher = Sha256::new_with_prefix(b"entrepot seal 1\0");
        hasher.update(log.as_str());
        hasher.update([0]);
        hasher.update(organization.uuid().as_bytes());
        hasher.update(self.number.to_be_bytes());
        hasher.update(self.created_at.timestamp_micros().to_be_bytes());
        hasher.update(&self.previous);
        hasher.update(self.last.xid.to_be_bytes());
        hasher.update(self.last.id.as_bytes());
        hasher.update(&self.lines);
        hasher.finalize().into()
    }
}

/// Seals the next lines of a log in the caller's transaction; false when there were none.
///
/// # Errors
/// When the database refuses, since the scope may not `audit:create`, or is gone.
pub async fn seal(tx: &mut TenantTx, clock: &Clock, log: Log) -> Result<bool, DbError> {
    store::lock(tx, log).await?;
    let before = store::last_seal(tx, log).await?;
    let after = before.as_ref().map_or(Position::START, |seal| seal.last);
    let lines = store::next_lines(tx, log, after, BATCH).await?;
    let Some(last) = lines.last().map(|line| line.position) else { return Ok(false) };
    let sealed: Vec<_> = lines.iter().map(|line| line.seal(log)).collect();
    let mut seal = Seal {
        number: before.as_ref().map_or(0, |seal| seal.number) + 1,
        last,
        lines: line::write(&sealed),
        previous: before.map_or_else(|| vec![0; 32], |seal| seal.hash),
        hash: vec![],
        // PostgreSQL keeps microseconds.
        created_at: Time::from_timestamp_micros(clock.now().timestamp_micros()).unwrap_or_default(),
    };
    seal.hash = seal.compute(log, tx.organization()).to_vec();
    store::insert(tx, log, EventId::new(clock).uuid(), &seal).await?;
    Ok(true)
}

/// All organizations, a page at a time.
///
/// # Errors
/// When the database is gone.
pub async fn organizations(tx: &mut SystemTx, after: Option<OrganizationId>) -> Result<Vec<OrganizationId>, DbError> {
    let ids = store::organizations(tx, after.map(Uuid::from), 1_000).await?;
    Ok(ids.into_iter().map(OrganizationId::from).collect())
}
