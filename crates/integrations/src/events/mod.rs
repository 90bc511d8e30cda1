//! The organization's activity log, for those who may read it. `kit::trail` writes it.
//!
//! - [`export`]: the log as CSV, of any length in bounded memory

pub mod api;
mod export;
mod model;
mod store;

use db::{DbError, TenantTx};
use uuid::Uuid;

use model::{Filter, Span};
use store::EventRow;

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
