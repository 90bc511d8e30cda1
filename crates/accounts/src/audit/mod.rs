//! The trail of every change, for those who may read it.

pub mod api;
pub mod jobs;
mod model;
mod store;

use db::{DbError, TenantTx};
use uuid::Uuid;

use model::Filter;
use store::AuditRow;

/// Lines that are looked at for one page. A filter that leaves few of many would otherwise read the whole log for it.
const LINES_LOOKED_AT: i64 = 10_000;

/// The newest lines below an id that a filter leaves, and where looking ended before the log did.
async fn find(
    tx: &mut TenantTx,
    filter: &Filter,
    before: Uuid,
    fetch: i64,
) -> Result<(Vec<AuditRow>, Option<Uuid>), DbError> {
    let mut span = filter.span(before);
    let looked_to = match filter.is_everything() {
        true => None,
        false => store::last_of(tx, span, LINES_LOOKED_AT).await?,
    };
    span.from = looked_to.unwrap_or(span.from);
    Ok((store::newest(tx, filter, span, fetch).await?, looked_to))
}
