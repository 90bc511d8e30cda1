use axum::{Json as Body, extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use kernel::{Action, Effect, Grant, GrantId, MemberId, PermissionSet, Resource, Role, TenantScope, permission};
use kit::{
    App, Authorized, Problem, Router, SignedIn, SteppedUp,
    idempotency::{Created, IdempotencyKey, Once},
    input::{self, Path, Query},
    page::{Page, PageQuery},
    route,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{NewGrant, store::GrantRow};
use crate::{
    members::api::{ReadMembers, UpdateMembers},
    words::{GrantEffect, MemberRole, PermissionAction, PermissionResource},
};

pub fn routes() -> Router {
    Router::new().routes(route!(roles)).routes(route!(list)).routes(route!(create)).routes(route!(remove))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateGrant {
    /// A denial beats whatever allows the same.
    #[schema(value_type = GrantEffect)]
    effect: Effect,
    #[schema(value_type = PermissionResource)]
    resource: Resource,
    #[schema(value_type = PermissionAction)]
    action: Action,
    /// A connection, for what `is_of_connections` in GET /api/roles; the whole organization when absent. Who is denied
    /// `connections:read` at one does not know it at all.
    resource_id: Option<Uuid>,
    /// When it ends by itself; never when absent.
    ends_at: Option<DateTime<Utc>>,
    /// For those who read it later: one line.
    #[schema(min_length = 1, max_length = 500)]
    reason: Option<String>,
}

/// What is allowed or denied to a member beside their role.
#[derive(Serialize, ToSchema)]
struct GrantView {
    id: Uuid,
    member_id: Uuid,
    #[schema(value_type = GrantEffect)]
    effect: String,
    #[schema(value_type = PermissionResource)]
    resource: String,
    #[schema(value_type = PermissionAction)]
    action: String,
    /// The connection that it is about; null for the whole organization.
    resource_id: Option<Uuid>,
    reason: Option<String>,
    ends_at: Option<DateTime<Utc>>,
    /// Whether it has ended, so that it does nothing any more.
    has_ended: bool,
    created_by: Option<Uuid>,
    created_at: DateTime<Utc>,
}

impl Created for GrantView {
    fn again(self) -> Self {
        self
    }
}

fn view(app: &App, row: GrantRow) -> GrantView {
    GrantView {
        id: row.id.uuid(),
        member_id: row.member_id.uuid(),
        effect: row.effect,
        resource: row.resource,
        action: row.action,
        resource_id: row.resource_id,
        reason: row.reason,
        has_ended: row.ends_at.is_some_and(|end| end <= app.clock.now()),
        ends_at: row.ends_at,
        created_by: row.created_by,
        created_at: row.created_at,
    }
}

/// What is allowed and denied to a member beside their role, newest first
#[utoipa::path(get, path = "/api/members/{id}/grants", tag = "grants", params(("id" = Uuid, Path), PageQuery),
    responses((status = 200, description = "A page of grants", body = Page<GrantView>)))]
async fn list(
    caller: Authorized<ReadMembers>,
    State(app): State<App>,
    Path(id): Path<MemberId>,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<GrantView>>, Problem> {
    let window = query.window(&app, &caller.scope, "grants", id)?;
    let rows = super::newest(&app, &caller.scope, id, window).await?;
    let mut page = window.page(&app, rows, |row| row.id.uuid(), |row| row);
    // What is about a connection that the caller does not know would tell them of it.
    page.data.retain(|row| row.connection().is_none_or(|connection| !caller.scope.rights().is_hidden(connection)));
    Ok(Body(Page { data: page.data.into_iter().map(|row| view(&app, row)).collect(), next_cursor: page.next_cursor }))
}

/// Allow or deny something to a member
#[utoipa::path(post, path = "/api/members/{id}/grants", tag = "grants", params(("id" = Uuid, Path), IdempotencyKey),
    request_body = CreateGrant, responses(
    (status = 201, description = "The grant; it holds on every node within a second", body = GrantView),
    (status = 409, description = "They have it already, or are an owner, to whom nothing is denied"),
))]
async fn create(
    caller: SteppedUp<Authorized<UpdateMembers>>,
    State(app): State<App>,
    Path(id): Path<MemberId>,
    body: Once<CreateGrant>,
) -> Result<Response, Problem> {
    body.answer(app, caller.into_inner().scope, move |app, scope, form| create_once(app, scope, id, form)).await
}

async fn create_once(app: App, scope: TenantScope, member: MemberId, form: CreateGrant) -> Result<GrantView, Problem> {
    let CreateGrant { effect, resource, action, resource_id, ends_at, reason } = form;
    let reason = reason.as_deref().map(|reason| input::text("/reason", reason, 500)).transpose()?;
    let grant = Grant { effect, resource, action, connection: resource_id.map(Into::into), ends_at };
    let row = super::create(&app, &scope, member, NewGrant { grant, reason }).await?;
    Ok(view(&app, row))
}

/// Take a grant back
#[utoipa::path(delete, path = "/api/members/{id}/grants/{grant_id}", tag = "grants",
    params(("id" = Uuid, Path), ("grant_id" = Uuid, Path)),
    responses((status = 204, description = "It does nothing any more, on every node within a second")))]
async fn remove(
    caller: SteppedUp<Authorized<UpdateMembers>>,
    State(app): State<App>,
    Path((id, grant)): Path<(MemberId, GrantId)>,
) -> Result<StatusCode, Problem> {
    super::remove(&app, &caller.scope, id, grant).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The roles, and what there is to be allowed.
#[derive(Serialize, ToSchema)]
struct RoleMatrix {
    roles: Vec<RoleView>,
    resources: Vec<ResourceView>,
    actions: Vec<ActionView>,
}

#[derive(Serialize, ToSchema)]
struct RoleView {
    #[schema(value_type = MemberRole)]
    role: Role,
    label: &'static str,
    /// What the role may do: `resource:action`.
    permissions: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct ResourceView {
    #[schema(value_type = PermissionResource)]
    resource: Resource,
    label: &'static str,
    /// Whether it can be allowed or denied for one connection.
    is_of_connections: bool,
    /// What there is to be done with it.
    #[schema(value_type = Vec<PermissionAction>)]
    actions: Vec<Action>,
    /// Those that can be allowed or denied for one connection.
    #[schema(value_type = Vec<PermissionAction>)]
    actions_at_connections: Vec<Action>,
}

#[derive(Serialize, ToSchema)]
struct ActionView {
    #[schema(value_type = PermissionAction)]
    action: Action,
    label: &'static str,
}

/// A set of permissions as people and programs read it.
pub(crate) fn spelled(permissions: PermissionSet) -> Vec<String> {
    permissions.iter().map(|(resource, action)| format!("{resource}:{action}")).collect()
}

/// What each role may do, and everything that can be allowed or denied
#[utoipa::path(get, path = "/api/roles", tag = "grants",
    responses((status = 200, description = "The matrix of roles", body = RoleMatrix)))]
async fn roles(_: SignedIn) -> Body<RoleMatrix> {
    let all = Role::Owner.permissions();
    let role = |role: &Role| RoleView { role: *role, label: role.label(), permissions: spelled(role.permissions()) };
    let resource = |resource: &Resource| {
        let actions: Vec<Action> =
            Action::ALL.iter().copied().filter(|action| all.contains(*resource, *action)).collect();
        let at_connections = actions.iter().copied().filter(|action| permission::is_at_connections(*resource, *action));
        ResourceView {
            resource: *resource,
            label: resource.label(),
            is_of_connections: resource.is_of_connections(),
            actions_at_connections: at_connections.collect(),
            actions,
        }
    };
    Body(RoleMatrix {
        roles: Role::ALL.iter().map(role).collect(),
        resources: Resource::ALL.iter().map(resource).collect(),
        actions: Action::ALL.iter().map(|action| ActionView { action: *action, label: action.label() }).collect(),
    })
}
