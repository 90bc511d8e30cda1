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

use super::store;
use crate::words::EventLevel;

kernel::permissions! {
    ReadEvents = (Events, Read);
}

pub fn routes() -> Router {
    Router::new().routes(route!(list))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EventQuery {
    /// Only events of this connection.
    connection_id: Option<Uuid>,
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    cursor: Option<String>,
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

/// What happened, newest first
#[utoipa::path(get, path = "/api/integrations/events/", tag = "events", params(EventQuery),
    responses((status = 200, description = "A page of events", body = Page<EventView>)))]
async fn list(
    caller: Authorized<ReadEvents>,
    State(app): State<App>,
    Query(query): Query<EventQuery>,
) -> Result<Body<Page<EventView>>, Problem> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let window = page.window(&app, &caller.scope, "events", query.connection_id)?;
    let mut tx = app.db.tenant(&caller.scope).await?;
    let rows = store::newest(&mut tx, query.connection_id, window).await?;
    tx.commit().await?;
    Ok(Body(window.page(
        &app,
        rows,
        |row| row.id,
        |row| EventView {
            id: row.id,
            connection_id: row.connection_id,
            level: row.level,
            event_type: row.event_type,
            message: row.message,
            meta: row.meta,
            actor: row.actor,
            created_at: row.created_at,
        },
    )))
}
