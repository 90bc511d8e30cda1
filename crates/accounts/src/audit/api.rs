use axum::{Json as Body, extract::State};
use chrono::{DateTime, Utc};
use kit::{
    App, Authorized, Problem, Router,
    input::Query,
    page::{Page, PageQuery},
    route,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store;

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

/// Who changed what, newest first
#[utoipa::path(get, path = "/api/audit", tag = "audit", params(PageQuery),
    responses((status = 200, description = "A page of the audit log", body = Page<AuditEntry>)))]
async fn list(
    caller: Authorized<ReadAudit>,
    State(app): State<App>,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<AuditEntry>>, Problem> {
    let window = query.window(&app, &caller.scope, "audit", ())?;
    let mut tx = app.db.tenant(&caller.scope).await?;
    let rows = store::newest(&mut tx, window).await?;
    tx.commit().await?;
    Ok(Body(window.page(
        &app,
        rows,
        |row| row.id,
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
