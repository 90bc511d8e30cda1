use axum::{Json as Body, extract::State};
use chrono::{DateTime, Utc};
use kit::{
    App, Authorized, Problem, Router,
    input::Query,
    page::{Page, PageQuery},
    route,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    model::{Asked, Filter},
    store::AuditRow,
};

kernel::permissions! {
    ReadAudit = (Audit, Read);
}

pub fn routes() -> Router {
    Router::new().routes(route!(list))
}

/// Who changed what.
#[derive(Serialize, ToSchema)]
struct AuditEntry {
    id: Uuid,
    /// `user:…`, `key:…` or `system:…`
    actor: String,
    action: String,
    resource: String,
    resource_id: Option<Uuid>,
    /// Without secrets and without personal values.
    before: Option<Value>,
    after: Option<Value>,
    request_id: Option<String>,
    created_at: DateTime<Utc>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    /// `user:…`, `key:…` or `system:…`, as a line shows it.
    #[param(max_length = 100)]
    actor: Option<String>,
    /// `connection.delete`, or the beginning of actions and `*`: `connection.*`.
    #[param(max_length = 100)]
    action: Option<String>,
    /// `connection`, `member`, …
    #[param(max_length = 100)]
    resource: Option<String>,
    resource_id: Option<Uuid>,
    /// What one request has changed: its `X-Request-Id`.
    #[param(max_length = 100)]
    request_id: Option<String>,
    #[serde(default, deserialize_with = "kit::input::optional_time")]
    created_after: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "kit::input::optional_time")]
    created_before: Option<DateTime<Utc>>,
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// From `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Who changed what, newest first
#[utoipa::path(get, path = "/api/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, description = "A page of the audit log; with filters it may be short before the end", body = Page<AuditEntry>)))]
async fn list(
    caller: Authorized<ReadAudit>,
    State(app): State<App>,
    Query(query): Query<AuditQuery>,
) -> Result<Body<Page<AuditEntry>>, Problem> {
    let AuditQuery { actor, action, resource, resource_id, request_id, created_after, created_before, limit, cursor } =
        query;
    let filter =
        Filter::new(Asked { actor, action, resource, resource_id, request_id, created_after, created_before })?;
    let window = PageQuery { limit, cursor }.window(&app, &caller.scope, "audit", &filter)?;
    let mut tx = app.db.tenant(&caller.scope).await?;
    let (rows, looked_to) = super::find(&mut tx, &filter, window.before, window.fetch).await?;
    tx.commit().await?;
    Ok(Body(window.page_of_part(
        &app,
        rows,
        looked_to,
        |row: &AuditRow| row.id,
        |row| AuditEntry {
            id: row.id,
            actor: row.actor,
            action: row.action,
            resource: row.resource,
            resource_id: row.resource_id,
            before: row.before,
            after: row.after,
            request_id: row.request_id,
            created_at: row.created_at,
        },
    )))
}
