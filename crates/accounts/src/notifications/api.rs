use axum::{Json as Body, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use kernel::{Actor, NotificationId, TenantScope, UserId};
use kit::{
    App, Authorized, Code, Problem, Router,
    input::{Path, Query},
    page::PageQuery,
    route,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Kind,
    store::{self, NotificationRow},
};
use crate::{
    organizations::api::ReadOrganization,
    words::{NotificationKind, NotificationSeverity},
};

pub fn routes() -> Router {
    Router::new().routes(route!(list)).routes(route!(read)).routes(route!(read_all))
}

/// Something that you are told.
#[derive(Serialize, ToSchema)]
struct NotificationView {
    id: Uuid,
    #[schema(value_type = NotificationKind)]
    kind: String,
    #[schema(value_type = NotificationSeverity)]
    severity: String,
    /// A sentence for people.
    title: String,
    /// What the sentence is made with.
    params: Value,
    /// What it is about; null when it is about the organization.
    about: Option<AboutView>,
    created_at: DateTime<Utc>,
    read_at: Option<DateTime<Utc>>,
}

/// The one thing that a notification is about.
#[derive(Serialize, ToSchema)]
struct AboutView {
    /// `connection`, `api_key` or `member`.
    resource: String,
    id: Uuid,
}

/// A page of what you are told.
#[derive(Serialize, ToSchema)]
struct Notifications {
    data: Vec<NotificationView>,
    /// For the page after this one; null at the end.
    next_cursor: Option<String>,
    /// How many you have not read, on all pages; counted to a thousand.
    unread: u64,
}

/// Notifications are a person's own.
fn person(scope: &TenantScope) -> Result<UserId, Problem> {
    match scope.actor() {
        Actor::Person { user, .. } => Ok(user),
        Actor::Key { .. } | Actor::System { .. } => {
            Err(Problem::new(Code::Forbidden, "Notifications are for people. Sign in as a person."))
        }
    }
}

/// What you are told in the organization, newest first, for 90 days
#[utoipa::path(get, path = "/api/notifications", tag = "notifications", params(PageQuery),
    responses((status = 200, description = "A page of your notifications", body = Notifications)))]
async fn list(
    caller: Authorized<ReadOrganization>,
    State(app): State<App>,
    Query(query): Query<PageQuery>,
) -> Result<Body<Notifications>, Problem> {
    let user = person(&caller.scope)?;
    let window = query.window(&app, &caller.scope, "notifications", user)?;
    let mut tx = app.db.tenant(&caller.scope).await?;
    let rows = store::newest(&mut tx, user, window).await?;
    let unread = store::count_unread(&mut tx, user).await?;
    tx.commit().await?;
    let page = window.page(&app, rows, |row| row.id.uuid(), view);
    Ok(Body(Notifications {
        data: page.data,
        next_cursor: page.next_cursor,
        unread: u64::try_from(unread).unwrap_or(0),
    }))
}

/// Mark one of your notifications as read
#[utoipa::path(post, path = "/api/notifications/{id}/read", tag = "notifications", params(("id" = Uuid, Path)),
    responses((status = 204, description = "It is read")))]
async fn read(
    caller: Authorized<ReadOrganization>,
    State(app): State<App>,
    Path(id): Path<NotificationId>,
) -> Result<StatusCode, Problem> {
    let user = person(&caller.scope)?;
    let mut tx = app.db.tenant(&caller.scope).await?;
    if !store::read(&mut tx, user, id, app.clock.now()).await? {
        return Err(Problem::not_found());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mark all your notifications of the organization as read
#[utoipa::path(post, path = "/api/notifications/read-all", tag = "notifications",
    responses((status = 204, description = "All are read")))]
async fn read_all(caller: Authorized<ReadOrganization>, State(app): State<App>) -> Result<StatusCode, Problem> {
    let user = person(&caller.scope)?;
    let mut tx = app.db.tenant(&caller.scope).await?;
    store::read_all(&mut tx, user, app.clock.now()).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(row: NotificationRow) -> NotificationView {
    let about = match (row.connection_id, row.resource.zip(row.resource_id)) {
        (Some(id), _) => Some(AboutView { resource: "connection".to_owned(), id }),
        (None, other) => other.map(|(resource, id)| AboutView { resource, id }),
    };
    NotificationView {
        id: row.id.uuid(),
        // One that a newer program wrote has no sentence here yet.
        title: Kind::parse(&row.kind).map_or_else(|| row.kind.replace('_', " "), |kind| kind.title(&row.params)),
        kind: row.kind,
        severity: row.severity,
        params: row.params,
        about,
        created_at: row.created_at,
        read_at: row.read_at,
    }
}
