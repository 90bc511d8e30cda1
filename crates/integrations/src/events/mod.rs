//! The organization's activity log, for those who may read it. `kit::trail` writes it.
//!
//! - [`export`]: the log as CSV, of any length in bounded memory
//! - [`tail`]: the log as it grows

pub mod api;
mod export;
#[cfg(test)]
mod fuzz;
mod model;
mod places;
mod store;
mod tail;

use db::{DbError, TenantTx};
use kit::{Problem, trail::chain::Position};
use uuid::Uuid;

pub use export::Exports;
use model::{Filter, Span};
use store::{EventRow, FollowedRow};
pub use tail::Tails;

/// Lines that are looked at for one page. A filter that leaves few of many would otherwise read the whole log for it.
const LINES_LOOKED_AT: i64 = 10_000;

/// The newest lines below an id that a filter leaves.
struct Found {
    rows: Vec<EventRow>,
    /// Where looking ended before the log did.
    looked_to: Option<Uuid>,
}

async fn find(tx: &mut TenantTx, filter: &Filter, before: Uuid, fetch: i64) -> Result<Found, DbError> {
    let mut span = filter.span(before);
    let looked_to = match filter.is_driver_alone() {
        true => None,
        false => store::last_of(tx, filter, span, LINES_LOOKED_AT).await?,
    };
    span.from = looked_to.unwrap_or(span.from);
    Ok(Found { rows: store::newest(tx, filter, span, fetch).await?, looked_to })
}

/// How many lines a filter leaves below an id: exact for a short log, otherwise as if the rest were like its newest part.
async fn estimate(tx: &mut TenantTx, filter: &Filter, before: Uuid) -> Result<u64, DbError> {
    let span: Span = filter.span(before);
    let looked_to = store::last_of(tx, filter, span, LINES_LOOKED_AT).await?;
    let part = Span { from: looked_to.unwrap_or(span.from), ..span };
    let counted = u64::try_from(store::count(tx, filter, part, LINES_LOOKED_AT).await?).unwrap_or(0);
    let (Some(looked_to), Some(oldest)) = (looked_to, store::oldest(tx, span).await?) else { return Ok(counted) };
    Ok(model::extrapolate(
        counted,
        model::millis_of(span.before),
        model::millis_of(looked_to),
        model::millis_of(oldest),
    ))
}

/// The next lines behind a position in the order of commits. Those behind the first that is not settled are none yet: a line
/// may still appear before them.
async fn after(
    tx: &mut TenantTx,
    filter: &Filter,
    bookmark: &Bookmark,
    limit: i64,
) -> Result<Vec<FollowedRow>, Problem> {
    Ok(store::after(tx, filter, bookmark.position, bookmark.told.as_deref(), limit).await?)
}

/// How far somebody who follows a log has come.
struct Bookmark {
    /// Everything up to here was told, or is not to be.
    position: Position,
    /// What could be seen when they began (a `pg_snapshot`), if they began at a moment: while an older transaction ran, lines that
    /// had been committed by then lie behind the position, and are not to be told.
    told: Option<String>,
}

impl Bookmark {
    fn behind(position: Position) -> Self {
        Self { position, told: None }
    }

    /// With what is committed from now on.
    async fn now(tx: &mut TenantTx) -> Result<Self, DbError> {
        let snapshot = store::snapshot(tx).await?;
        Ok(Self { position: Position { xid: snapshot.oldest_running - 1, id: Uuid::max() }, told: Some(snapshot.text) })
    }
}
