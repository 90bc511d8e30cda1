use axum::{
    Json as Body,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
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
    tail::Tails,
};
use crate::words::EventLevel;

kernel::permissions! {
    ReadEvents = (Events, Read);
}

/// About how many lines an export will have.
const ESTIMATE_HEADER: &str = "entrepot-row-estimate";
/// WHATWG HTML, server-sent events.
const LAST_EVENT_ID: &str = "last-event-id";

pub fn routes() -> Router {
    Router::new().routes(route!(list)).routes(route!(export)).routes(route!(stream))
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
    #[param(pattern = "^[a-z0-9._]{1,100}\\*?$")]
    event_type: Option<String>,
    /// Who did it, as the log shows it: `user:…`, `key:…` or `system:…`
    #[param(pattern = "^[a-z0-9_-]*:[a-z0-9:_-]*$", max_length = 100)]
    actor: Option<String>,
    /// Not older than this.
    #[serde(default, deserialize_with = "kit::input::optional_time")]
    created_after: Option<DateTime<Utc>>,
    /// Older than this.
    #[serde(default, deserialize_with = "kit::input::optional_time")]
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
    #[param(pattern = "^[a-z0-9._]{1,100}\\*?$")]
    event_type: Option<String>,
    /// Who did it, as the log shows it: `user:…`, `key:…` or `system:…`
    #[param(pattern = "^[a-z0-9_-]*:[a-z0-9:_-]*$", max_length = 100)]
    actor: Option<String>,
    /// Not older than this; 90 days before the end when absent, and at most.
    #[serde(default, deserialize_with = "kit::input::optional_time")]
    created_after: Option<DateTime<Utc>>,
    /// Older than this.
    #[serde(default, deserialize_with = "kit::input::optional_time")]
    created_before: Option<DateTime<Utc>>,
    /// Part of the message, in small or capital letters.
    search: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct StreamQuery {
    /// For browsers, whose `EventSource` sends no header `Entrepot-Organization`.
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
    /// Not older than this.
    created_after: Option<DateTime<Utc>>,
    /// Older than this.
    created_before: Option<DateTime<Utc>>,
    /// Part of the message, in small or capital letters.
    search: Option<String>,
    /// An `id` of this stream with the same filters, of the last day: it goes on behind that. `Last-Event-ID` counts more.
    cursor: Option<String>,
}

/// One line of the activity log.
#[derive(Serialize, ToSchema)]
pub(super) struct EventView {
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
        headers(("Entrepot-Row-Estimate" = u64, description = "About how many lines there will be"))),
        (status = 429, description = "Two exports of the caller's, or too many of the organization's, are under way")))]
async fn export(
    caller: Lasting<ReadEvents>,
    State(app): State<App>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let ExportQuery { connection_id, level, event_type, actor, created_after, created_before, search, .. } = query;
    let asked = Asked { connection_id, level, event_type, actor, created_after, created_before, search };
    let export = Export::begin(&app, &caller, Filter::new(asked)?).await?;
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

/// What happens, as it is committed
///
/// Server-sent events, for `EventSource` and whoever reads like it. Each `event` has a line of the log as its data and its place
/// in the order of commits as its id; further ids come without an event. A reader who comes back with the last id as
/// `Last-Event-ID`, as browsers do by themselves, misses nothing and gets nothing twice. Without one the stream begins now: open
/// it, then read the list, and leave out what both have by its `id`. Every 15 s there is a sign of life. A stream that merely
/// ends is to be opened again; after `closed`, whose data is a problem, it is not.
#[utoipa::path(get, path = "/api/integrations/events/stream", tag = "events",
    params(StreamQuery, ("Last-Event-ID" = Option<String>, Header, description = "The last id that came: the stream goes on behind it")),
    responses((status = 200, description = "`event`: an `EventView`; `closed`: a `Problem`, and the end", body = String,
        content_type = "text/event-stream"),
        (status = 429, description = "Six streams of the caller's, or too many of the organization's, are open")))]
async fn stream(
    caller: Lasting<ReadEvents>,
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<StreamQuery>,
) -> Result<Response, Problem> {
    let StreamQuery { connection_id, level, event_type, actor, created_after, created_before, search, cursor, .. } =
        query;
    let asked = Asked { connection_id, level, event_type, actor, created_after, created_before, search };
    // The header is newer: a browser that comes back asks with the address that it asked with first.
    let last = headers.get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or_default());
    let tails = app.slice::<Tails>().clone();
    let stream = tails.open(app, caller, Filter::new(asked)?, last.or(cursor.as_deref())).await?;
    let parts = stream.parts().map(Ok::<_, std::convert::Infallible>);
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        // nginx would otherwise collect what is to be seen at once.
        ("x-accel-buffering", "no"),
    ];
    Ok((headers, axum::body::Body::from_stream(parts)).into_response())
}
