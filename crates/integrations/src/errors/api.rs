use axum::{Json as Body, extract::State};
use chrono::{DateTime, Utc};
use kit::{
    App, Authorized, Problem, Router,
    input::Query,
    page::{Page, PageQuery},
    route,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store::{self, ErrorRow};
use crate::words::ErrorKind;

kernel::permissions! {
    ReadErrors = (Events, Read);
}

pub fn routes() -> Router {
    Router::new().routes(route!(list))
}

/// One way in which something broke, and how often.
#[derive(Serialize, ToSchema)]
struct ErrorReport {
    id: Uuid,
    /// The same in every organization and release.
    fingerprint: String,
    #[schema(value_type = ErrorKind)]
    kind: String,
    /// A route, a line of the program, the name of a job or a task.
    place: String,
    /// The `code` of the answer's problem; otherwise `dead`, `panic` or `failed`.
    code: String,
    /// Words of the program; no data.
    message: String,
    occurrences: i64,
    first_seen_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    /// Of the last request that it happened to, for whoever is asked for help.
    last_request_id: Option<String>,
    /// The version of the program that it happened in last.
    release: String,
}

impl From<ErrorRow> for ErrorReport {
    fn from(row: ErrorRow) -> Self {
        Self {
            id: row.id,
            fingerprint: row.fingerprint,
            kind: row.kind,
            place: row.place,
            code: row.code,
            message: row.message,
            occurrences: row.occurrences,
            first_seen_at: row.first_seen_at,
            last_seen_at: row.last_seen_at,
            last_request_id: row.last_request_id,
            release: row.release,
        }
    }
}

/// What broke for the organization in the last 30 days, what began last first
#[utoipa::path(get, path = "/api/errors", tag = "errors", params(PageQuery),
    responses((status = 200, description = "A page of the ways in which something broke", body = Page<ErrorReport>)))]
async fn list(
    caller: Authorized<ReadErrors>,
    State(app): State<App>,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<ErrorReport>>, Problem> {
    let window = query.window(&app, &caller.scope, "errors", ())?;
    let mut tx = app.db.tenant(&caller.scope).await?;
    let rows = store::newest(&mut tx, window).await?;
    tx.commit().await?;
    Ok(Body(window.page(&app, rows, |row| row.id, ErrorReport::from)))
}
