use axum::{Json as Body, extract::State};
use chrono::{DateTime, Utc};
use kernel::{ConnectionId, TenantScope};
use kit::{
    AcrossConnections, App, AtConnection, Authorized, Problem, Router,
    input::{self, Json, Query},
    page::{Page, PageQuery},
    route,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{model::DataAccess, store};
use crate::connections::{
    api::{ReadConnections, UpdateConnections},
    store as connections,
    store::ConnectionRow,
};
use crate::words::{AccessResult, ConnectionStatus, ShopOperation, ShopResource};

kernel::permissions! {
    ReadAccessLog = (AccessLog, Read);
}

pub fn routes() -> Router {
    Router::new()
        .routes(route!(list))
        .routes(route!(find))
        .routes(route!(set))
        .routes(route!(history))
        .routes(route!(access_log))
}

/// A webshop of the organization.
#[derive(Serialize, ToSchema)]
struct StoreView {
    /// For `store_id` of the live API.
    id: Uuid,
    name: String,
    platform: String,
    /// The shop's own name for itself: its address or its domain at the platform.
    external_account: Option<String>,
    #[schema(value_type = ConnectionStatus)]
    status: String,
    data_access_permissions: DataAccess,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct StoreQuery {
    /// Only stores that allow it: `customers`, `orders` or `products`.
    #[param(inline)]
    access: Option<Access>,
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    cursor: Option<String>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Access {
    Customers,
    Orders,
    Products,
}

/// The webshops of the organization
#[utoipa::path(get, path = "/api/stores", tag = "stores", params(StoreQuery),
    responses((status = 200, description = "A page of stores, newest first", body = Page<StoreView>)))]
async fn list(
    caller: AcrossConnections<ReadConnections>,
    State(app): State<App>,
    Query(query): Query<StoreQuery>,
) -> Result<Body<Page<StoreView>>, Problem> {
    let switch = query.access.map(|access| match access {
        Access::Customers => "allow_customer_access",
        Access::Orders => "allow_order_access",
        Access::Products => "allow_product_access",
    });
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (scope, reach) = caller.across();
    let window = page.window(&app, scope, "stores", switch)?;
    let mut tx = app.db.tenant(scope).await?;
    let rows = connections::list(&mut tx, window, reach, switch, None).await?;
    tx.commit().await?;
    Ok(Body(window.page(&app, rows, |row| row.id.uuid(), StoreView::from)))
}

/// One webshop
#[utoipa::path(get, path = "/api/stores/{id}", tag = "stores", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The store", body = StoreView)))]
async fn find(caller: AtConnection<ReadConnections>, State(app): State<App>) -> Result<Body<StoreView>, Problem> {
    Ok(Body(read(&app, &caller.scope, caller.id).await?.into()))
}

async fn read(app: &App, scope: &TenantScope, id: ConnectionId) -> Result<ConnectionRow, Problem> {
    let mut tx = app.db.tenant(scope).await?;
    let row = connections::find(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok(row)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetPermissions {
    #[serde(deserialize_with = "input::object")]
    data_access_permissions: DataAccess,
    /// For the history: one line.
    #[schema(min_length = 1, max_length = 500)]
    reason: Option<String>,
}

/// Decide what may be read of a webshop
#[utoipa::path(put, path = "/api/stores/{id}/permissions", tag = "stores", params(("id" = Uuid, Path)),
    request_body = SetPermissions,
    responses((status = 200, description = "The store; effective everywhere within a second", body = StoreView)))]
async fn set(
    caller: AtConnection<UpdateConnections>,
    State(app): State<App>,
    Json(form): Json<SetPermissions>,
) -> Result<Body<StoreView>, Problem> {
    let reason = form.reason.as_deref().map(|reason| input::text("/reason", reason, 500)).transpose()?;
    let row = super::set(&app, &caller.scope, caller.id, form.data_access_permissions, reason.as_deref()).await?;
    Ok(Body(row.into()))
}

/// One change of the switches.
#[derive(Serialize, ToSchema)]
struct PermissionChange {
    id: Uuid,
    actor: String,
    before: DataAccess,
    after: DataAccess,
    reason: Option<String>,
    created_at: DateTime<Utc>,
}

/// Who changed what may be read of a webshop
#[utoipa::path(get, path = "/api/stores/{id}/permissions/history", tag = "stores", params(("id" = Uuid, Path), PageQuery),
    responses((status = 200, description = "A page of changes, newest first", body = Page<PermissionChange>)))]
async fn history(
    caller: AtConnection<ReadConnections>,
    State(app): State<App>,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<PermissionChange>>, Problem> {
    let window = query.window(&app, &caller.scope, "permission history", caller.id)?;
    let mut tx = app.db.tenant(&caller.scope).await?;
    connections::find(&mut tx, caller.id).await?.ok_or_else(Problem::not_found)?;
    let rows = store::history(&mut tx, caller.id, window).await?;
    tx.commit().await?;
    Ok(Body(window.page(
        &app,
        rows,
        |row| row.id,
        |row| PermissionChange {
            id: row.id,
            actor: row.actor,
            before: row.before.0,
            after: row.after.0,
            reason: row.reason,
            created_at: row.created_at,
        },
    )))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AccessLogQuery {
    store_id: Option<Uuid>,
    key_id: Option<Uuid>,
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    cursor: Option<String>,
}

/// One access to shop data: what kind, never what.
#[derive(Serialize, ToSchema)]
struct AccessView {
    /// The receipt that the caller was given.
    id: Uuid,
    actor: String,
    key_id: Option<Uuid>,
    store_id: Option<Uuid>,
    #[schema(value_type = ShopResource)]
    resource: String,
    #[schema(value_type = ShopOperation)]
    operation: String,
    #[schema(value_type = AccessResult)]
    result: String,
    records: Option<i32>,
    fields_returned: Vec<String>,
    fields_withheld: Vec<String>,
    duration_ms: i32,
    upstream_ms: Option<i32>,
    request_id: Option<String>,
    created_at: DateTime<Utc>,
}

/// Who read what kind of shop data, newest first
#[utoipa::path(get, path = "/api/access-log", tag = "stores", params(AccessLogQuery),
    responses((status = 200, description = "A page of accesses", body = Page<AccessView>)))]
async fn access_log(
    caller: Authorized<ReadAccessLog>,
    State(app): State<App>,
    Query(query): Query<AccessLogQuery>,
) -> Result<Body<Page<AccessView>>, Problem> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let window = page.window(&app, &caller.scope, "access log", (query.store_id, query.key_id))?;
    let mut tx = app.db.tenant(&caller.scope).await?;
    let rows = store::accesses(&mut tx, query.store_id, query.key_id, window).await?;
    tx.commit().await?;
    Ok(Body(window.page(
        &app,
        rows,
        |row| row.id,
        |row| AccessView {
            id: row.id,
            actor: row.actor,
            key_id: row.key_id,
            store_id: row.connection_id,
            resource: row.resource,
            operation: row.operation,
            result: row.result,
            records: row.records,
            fields_returned: row.fields_returned,
            fields_withheld: row.fields_withheld,
            duration_ms: row.duration_ms,
            upstream_ms: row.upstream_ms,
            request_id: row.request_id,
            created_at: row.created_at,
        },
    )))
}

impl From<ConnectionRow> for StoreView {
    fn from(row: ConnectionRow) -> Self {
        Self {
            id: row.id.uuid(),
            name: row.display_name,
            platform: row.provider_key,
            external_account: row.external_account,
            status: row.status,
            data_access_permissions: row.data_access_permissions.0,
        }
    }
}
