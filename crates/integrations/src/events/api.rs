use axum::{
    Json as Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use kit::{
    App, Authorized, Lasting, Problem, Router,
    input::Query,
    page::{Page, PageQuery},
    route,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    export::Export,
    find,
    model::{Asked, Filter},
    store::EventRow,
};
use crate::words::EventLevel;

kernel::permissions! {
    ReadEvents = (Events, Read);
}

/// About how many lines an export will have.
const ESTIMATE_HEADER: &str = "entrepot-row-estimate";

pub fn routes() -> Router {
    Router::new().routes(route!(list)).routes(route!(export))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EventQuery {
    /// Only events of this connection.
    connection_id: Option<Uuid>,
    #[param(value_type = Option<EventLevel>)]
    level: Option<String>,
    /// `connection.connected`, or the beginning of a type and `*`: `connection.*`
    event_type: Option<String>,
    /// Who did it, as the log shows it: `user:…`, `key:…` or `system:…`
    actor: Option<String>,
    /// Not older than this.
    created_after: Option<DateTime<Utc>>,
    /// Older than this.
    created_before: Option<DateTime<Utc>>,
    /// Part of the message, in small or capital letters. A page of a search may be short, or empty, and still have a
    /// `next_cursor`: it looks at a bounded part of the log.
    search: Option<String>,
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    cursor: Option<String>,
}

impl EventQuery {
    fn split(self) -> Result<(Filter, PageQuery), Problem> {
        let Self { connection_id, level, event_type, actor, created_after, created_before, search, limit, cursor } =
            self;
        let asked = Asked { connection_id, level, event_type, actor, created_after, created_before, search };
        Ok((Filter::new(asked)?, PageQuery { limit, cursor }))
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    /// For links, which send no header `Entrepot-Organization`.
    #[serde(rename = "organization")]
    _organization: Option<Uuid>,
    /// Only events of this connection.
    connection_id: Option<Uuid>,
    #[param(value_type = Option<EventLevel>)]
    level: Option<String>,
    /// `connection.connected`, or the beginning of a type and `*`: `connection.*`
    event_type: Option<String>,
    /// Who did it, as the log shows it: `user:…`, `key:…` or `system:…`
    actor: Option<String>,
    /// Not older than this; 90 days before the end when absent, and at most.
    created_after: Option<DateTime<Utc>>,
    /// Older than this.
    created_before: Option<DateTime<Utc>>,
    /// Part of the message, in small or capital letters.
    search: Option<String>,
}

/// One line of the activity log.
#[derive(Serialize, ToSchema)]
struct EventView {
    id: Uuid,
    /// The connection that it is about, if any.
    connection_id: Option<Uuid>,
    #[schema(value_type = EventLevel)]
    level: String,
    event_type: String,
    message: String,
    meta: Value,
    /// `user:…`, `key:…` or `system:…`
    actor: String,
    created_at: DateTime<Utc>,
}

impl From<EventRow> for EventView {
    fn from(row: EventRow) -> Self {
        let EventRow { id, connection_id, level, event_type, message, meta, actor, created_at } = row;
        Self { id, connection_id, level, event_type, message, meta, actor, created_at }
    }
}

/// What happened, newest first
#[utoipa::path(get, path = "/api/integrations/events/", tag = "events", params(EventQuery),
    responses((status = 200, description = "A page of events", body = Page<EventView>)))]
async fn list(
    caller: Authorized<ReadEvents>,
    State(app): State<App>,
    Query(query): Query<EventQuery>,
) -> Result<Body<Page<EventView>>, Problem> {
    let (filter, page) = query.split()?;
    let window = page.window(&app, &caller.scope, "events", &filter)?;
    let mut tx = app.db.tenant(&caller.scope).await?;
    let found = find(&mut tx, &filter, window.before, window.fetch).await?;
    tx.commit().await?;
    Ok(Body(window.page_of_part(&app, found.rows, found.looked_to, |row| row.id, EventView::from)))
}

/// What happened in up to 90 days, as CSV, newest first
///
/// A text that a spreadsheet would take for a formula has an apostrophe before it. A transfer that is cut off is not whole.
#[utoipa::path(get, path = "/api/integrations/events/export.csv", tag = "events", params(ExportQuery),
    responses((status = 200, description = "created_at, level, event_type, connection, actor, message, meta",
        body = String, content_type = "text/csv",
        headers(("Entrepot-Row-Estimate" = u64, description = "About how many lines there will be")))))]
async fn export(
    caller: Lasting<ReadEvents>,
    State(app): State<App>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let ExportQuery { connection_id, level, event_type, actor, created_after, created_before, search, .. } = query;
    let asked = Asked { connection_id, level, event_type, actor, created_after, created_before, search };
    let export = Export::begin(&app, &caller.scope, Filter::new(asked)?).await?;
    let estimate = export.estimate;
    let lines = export.lines(app, caller).map_err(|problem| {
        tracing::warn!(code = problem.code().as_str(), "an export of events was cut off");
        std::io::Error::other(problem.code().as_str())
    });
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/csv; charset=utf-8; header=present"),
        (header::CONTENT_DISPOSITION.as_str(), "attachment; filename=\"events.csv\""),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        (ESTIMATE_HEADER, &estimate.to_string()),
    ];
    Ok((headers, axum::body::Body::from_stream(lines)).into_response())
}
