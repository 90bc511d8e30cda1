use std::collections::BTreeMap;

use axum::{
    Json as Body,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::Response,
};
use chrono::{DateTime, Utc};
use connector::{Provider, provider::PastedSecrets};
use kernel::TenantScope;
use kit::{
    AcrossConnections, App, AtConnection, Authorized, Code, Problem, Router, SteppedUp,
    idempotency::{Created, IdempotencyKey, Once},
    input::{self, Json, Patch, Query},
    page::{Page, PageQuery},
    retention::Kind,
    route,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    Edit, Seen,
    model::{self, Fields, Health, NewConnection, NextStep, Status},
    store::{self, ConnectionRow},
};
use crate::data_access::model::DataAccess;
use crate::words::{ConnectionHealth, ConnectionNextStep, ConnectionStatus, CredentialKind};

kernel::permissions! {
    CreateConnections = (Connections, Create);
    ReadConnections = (Connections, Read);
    UpdateConnections = (Connections, Update);
    RestoreConnections = (Connections, Delete);
    DeleteConnections = (Connections, Delete, WHILE_READ_ONLY);
    /// Taking access to an account away: it can be done while the organization is read-only.
    EndConnections = (Connections, Update, WHILE_READ_ONLY);
}

pub fn routes() -> Router {
    Router::new()
        .routes(route!(list))
        .routes(route!(create))
        .routes(route!(find))
        .routes(route!(edit))
        .routes(route!(set_credential))
        .routes(route!(revoke_credential))
        .routes(route!(enable))
        .routes(route!(disable))
        .routes(route!(pause))
        .routes(route!(resume))
        .routes(route!(disconnect))
        .routes(route!(delete))
        .routes(route!(restore))
}

/// A connection, without its secrets.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectionView {
    id: Uuid,
    provider_key: String,
    external_account: Option<String>,
    display_name: String,
    #[schema(value_type = ConnectionStatus)]
    status: String,
    #[schema(value_type = ConnectionHealth)]
    health: String,
    /// What is wrong and what to do about it.
    health_cause: Option<String>,
    health_since: Option<DateTime<Utc>>,
    /// Since when it is beyond what the plan allows: no work in the background until it is allowed again. Live reads go on.
    plan_paused_at: Option<DateTime<Utc>>,
    /// What somebody is to do about it; null when nothing is.
    next_step: Option<NextStepView>,
    config: Value,
    scopes: Vec<String>,
    enabled_capabilities: Vec<String>,
    data_access_permissions: DataAccess,
    /// Null until one is set, and after it was revoked.
    credential: Option<CredentialView>,
    last_synced_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// When it was deleted: it can be restored for as long as GET /api/retention says.
    deleted_at: Option<DateTime<Utc>>,
}

/// What somebody is to do about a connection.
#[derive(Serialize, ToSchema)]
struct NextStepView {
    #[schema(value_type = ConnectionNextStep)]
    action: &'static str,
    /// The same for people.
    text: &'static str,
}

/// What may be told of a credential.
#[derive(Serialize, ToSchema)]
struct CredentialView {
    #[schema(value_type = CredentialKind)]
    kind: String,
    /// The last characters of a pasted key.
    hint: Option<String>,
    scopes: Vec<String>,
    /// When the token ends; it is renewed before.
    expires_at: Option<DateTime<Utc>>,
    set_at: Option<DateTime<Utc>>,
    /// The user who set it.
    set_by: Option<Uuid>,
}

impl From<ConnectionRow> for ConnectionView {
    fn from(row: ConnectionRow) -> Self {
        let stands = (Status::parse(&row.status), Health::parse(&row.health));
        let next_step = if let (Some(status), Some(health)) = stands {
            NextStep::of(status, health, row.credential_kind.is_some(), row.plan_paused_at.is_some())
                .map(|step| NextStepView { action: step.as_str(), text: step.text(status) })
        } else {
            None
        };
        Self {
            id: row.id.uuid(),
            provider_key: row.provider_key,
            external_account: row.external_account,
            display_name: row.display_name,
            status: row.status,
            health: row.health,
            health_cause: row.health_cause,
            health_since: row.health_since,
            plan_paused_at: row.plan_paused_at,
            next_step,
            config: row.config,
            scopes: row.scopes,
            enabled_capabilities: row.enabled_capabilities,
            data_access_permissions: row.data_access_permissions.0,
            credential: row.credential_kind.map(|kind| CredentialView {
                kind,
                hint: row.credential_hint,
                scopes: row.credential_scopes.unwrap_or_default(),
                expires_at: row.credential_expires_at,
                set_at: row.credential_set_at,
                set_by: row.credential_set_by,
            }),
            last_synced_at: row.last_synced_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        }
    }
}

/// A connection with its version, for `If-Match`.
type Tagged = ([(HeaderName, String); 1], Body<ConnectionView>);

fn tagged(row: ConnectionRow) -> Tagged {
    ([(header::ETAG, format!("\"{}\"", model::version(row.updated_at)))], Body(row.into()))
}

/// The versions that a caller has seen (RFC 9110, section 13.1.1). Weak tags match nothing here.
pub(super) fn if_match(headers: &HeaderMap) -> Seen {
    let mut lines = headers.get_all(header::IF_MATCH).iter().peekable();
    if lines.peek().is_none() {
        return Seen::Any;
    }
    let tags: Vec<&str> =
        lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim).collect();
    if tags == ["*"] {
        return Seen::Any;
    }
    let version = |tag: &str| Some(tag.strip_prefix('"')?.strip_suffix('"')?.to_owned());
    Seen::OneOf(tags.into_iter().filter_map(version).collect())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ConnectionQuery {
    /// Those that were deleted and can be restored, in place of those that are there.
    deleted: Option<bool>,
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    cursor: Option<String>,
}

/// The organization's connections
#[utoipa::path(get, path = "/api/integrations/connections/", tag = "connections", params(ConnectionQuery),
    responses((status = 200, description = "A page of connections, newest first", body = Page<ConnectionView>)))]
async fn list(
    caller: AcrossConnections<ReadConnections>,
    State(app): State<App>,
    Query(query): Query<ConnectionQuery>,
) -> Result<Body<Page<ConnectionView>>, Problem> {
    let (scope, reach) = caller.across();
    let deleted = query.deleted.unwrap_or_default();
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let window = page.window(&app, scope, "connections", deleted)?;
    let deleted_since = deleted.then(|| app.config.retention.before(Kind::Connections, app.clock.now()));
    let mut tx = app.db.tenant(scope).await?;
    let rows = store::list(&mut tx, window, reach, None, deleted_since).await?;
    tx.commit().await?;
    Ok(Body(window.page(&app, rows, |row| row.id.uuid(), ConnectionView::from)))
}

/// One connection
#[utoipa::path(get, path = "/api/integrations/connections/{id}/", tag = "connections", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The connection", body = ConnectionView,
        headers(("ETag" = String, description = "Its version, for If-Match")))))]
async fn find(caller: AtConnection<ReadConnections>, State(app): State<App>) -> Result<Tagged, Problem> {
    let mut tx = app.db.tenant(&caller.scope).await?;
    let row = store::find(&mut tx, caller.id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok(tagged(row))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateConnection {
    /// A `key` of GET /api/integrations/providers/.
    provider_key: String,
    /// What you call it; the shop's own name when absent.
    #[schema(min_length = 1, max_length = 200)]
    display_name: Option<String>,
    /// The fields of the provider's form that are not secret.
    #[schema(value_type = BTreeMap<String, String>)]
    config: BTreeMap<String, String>,
    /// The secret fields of the provider's form. They are sealed and never come back.
    #[schema(value_type = BTreeMap<String, String>)]
    credential: Fields,
    #[serde(default, deserialize_with = "kit::input::optional_object")]
    data_access_permissions: Option<DataAccess>,
}

/// Connect an account with keys
#[utoipa::path(post, path = "/api/integrations/connections/", tag = "connections", params(IdempotencyKey), request_body = CreateConnection, responses(
    (status = 201, description = "Connected: the keys were proven by using them", body = ConnectionView),
    (status = 409, description = "The account is connected already"),
    (status = 422, description = "The account could not be connected; the detail says why and what to do"),
))]
async fn create(
    caller: SteppedUp<Authorized<CreateConnections>>,
    State(app): State<App>,
    body: Once<CreateConnection>,
) -> Result<Response, Problem> {
    body.answer(app, caller.into_inner().scope, create_once).await
}

impl Created for ConnectionView {
    fn again(self) -> Self {
        self
    }
}

async fn create_once(app: App, scope: TenantScope, form: CreateConnection) -> Result<ConnectionView, Problem> {
    let display_name = form.display_name.as_deref().map(name).transpose()?;
    let provider = app
        .providers
        .get(&form.provider_key)
        .ok_or_else(|| Problem::invalid("/provider_key", "is not a provider of this installation"))?;
    let (config, secrets) = model::split(provider, form.config, form.credential)?;
    let established = establish(&app, provider, &config, &secrets).await?;
    let new = NewConnection {
        provider_key: provider.manifest().key,
        display_name,
        established,
        enabled_capabilities: model::default_capabilities(provider),
        data_access: form.data_access_permissions,
    };
    Ok(super::insert(&app, &scope, new).await?.into())
}

async fn establish(
    app: &App,
    provider: &'static dyn Provider,
    config: &Value,
    secrets: &PastedSecrets,
) -> Result<connector::Established, Problem> {
    let Some(keys) = provider.pasted_keys() else {
        return Err(Problem::new(
            Code::NotSupportedByPlatform,
            format!(
                "This provider is connected through its consent page: POST /api/oauth/{}/start.",
                provider.manifest().key
            ),
        ));
    };
    keys.establish(&app.http, &app.clock, config, secrets).await.map_err(crate::problem::of_connect)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EditConnection {
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200)]
    display_name: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Vec<String>, required = false, max_items = 50)]
    enabled_capabilities: Patch<Vec<String>>,
}

/// Change a connection
#[utoipa::path(patch, path = "/api/integrations/connections/{id}/", tag = "connections",
    params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header, description = "The ETag of what you have seen")),
    request_body = EditConnection, responses(
    (status = 200, description = "The connection", body = ConnectionView,
        headers(("ETag" = String, description = "Its version, for If-Match"))),
    (status = 412, description = "It has changed since you have seen it"),
    (status = 422, description = "A capability that the platform does not have; `allowed` names those that it has"),
))]
async fn edit(
    caller: AtConnection<UpdateConnections>,
    State(app): State<App>,
    headers: HeaderMap,
    Json(form): Json<EditConnection>,
) -> Result<Tagged, Problem> {
    let display_name = given("/display_name", form.display_name)?.as_deref().map(name).transpose()?;
    let enabled_capabilities = given("/enabled_capabilities", form.enabled_capabilities)?;
    let change = Edit { seen: if_match(&headers), display_name, enabled_capabilities };
    Ok(tagged(super::edit(&app, &caller.scope, caller.id, change).await?))
}

/// A field that can be left out and cannot be cleared.
fn given<T>(pointer: &str, field: Patch<T>) -> Result<Option<T>, Problem> {
    match field {
        Patch::Absent => Ok(None),
        Patch::Value(value) => Ok(Some(value)),
        Patch::Null => Err(Problem::invalid(pointer, "cannot be cleared; leave it out to keep it")),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetCredential {
    /// The secret fields of the provider's form.
    #[schema(value_type = BTreeMap<String, String>)]
    credential: Fields,
}

/// Give a connection new keys
#[utoipa::path(post, path = "/api/integrations/connections/{id}/credential/", tag = "connections",
    params(("id" = Uuid, Path)), request_body = SetCredential, responses(
    (status = 200, description = "The connection; the old keys are erased", body = ConnectionView),
    (status = 422, description = "The keys do not work, or are for another account"),
))]
async fn set_credential(
    caller: SteppedUp<AtConnection<UpdateConnections>>,
    State(app): State<App>,
    Json(form): Json<SetCredential>,
) -> Result<Body<ConnectionView>, Problem> {
    let mut tx = app.db.tenant(&caller.scope).await?;
    let row = store::find(&mut tx, caller.id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    let provider = app.providers.get(&row.provider_key).ok_or_else(|| Problem::internal(&"a provider is missing"))?;
    // The public fields of the form are in the connection's configuration already.
    let config = model::fields_of(provider, &row.config);
    let (config, secrets) = model::split(provider, config, form.credential)?;
    let established = establish(&app, provider, &config, &secrets).await?;
    Ok(Body(super::replace_credential(&app, &caller.scope, caller.id, established, None).await?.into()))
}

/// Take a connection's credential away
#[utoipa::path(post, path = "/api/integrations/connections/{id}/revoke/", tag = "connections",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The connection, which waits for a new credential", body = ConnectionView)))]
async fn revoke_credential(
    caller: SteppedUp<AtConnection<EndConnections>>,
    State(app): State<App>,
) -> Result<Body<ConnectionView>, Problem> {
    Ok(Body(super::revoke_credential(&app, &caller.scope, caller.id).await?.into()))
}

/// Switch a connection on again
#[utoipa::path(post, path = "/api/integrations/connections/{id}/enable/", tag = "connections",
    params(("id" = Uuid, Path)), responses(
    (status = 200, description = "The connection, which is read again", body = ConnectionView),
    (status = 409, description = "It is not disabled, or has no credential"),
))]
async fn enable(caller: AtConnection<UpdateConnections>, State(app): State<App>) -> Result<Tagged, Problem> {
    Ok(tagged(super::enable(&app, &caller.scope, caller.id).await?))
}

/// Switch a connection off: the shop is not asked until it is on again
#[utoipa::path(post, path = "/api/integrations/connections/{id}/disable/", tag = "connections",
    params(("id" = Uuid, Path)), responses(
    (status = 200, description = "The connection, which keeps its credential", body = ConnectionView),
    (status = 409, description = "It is not connected"),
))]
async fn disable(caller: AtConnection<EndConnections>, State(app): State<App>) -> Result<Tagged, Problem> {
    Ok(tagged(super::disable(&app, &caller.scope, caller.id).await?))
}

/// Pause a connection: no work in the background, live reads go on
#[utoipa::path(post, path = "/api/integrations/connections/{id}/pause/", tag = "connections",
    params(("id" = Uuid, Path)), responses(
    (status = 200, description = "The connection, which is read live and no more", body = ConnectionView),
    (status = 409, description = "It is not connected"),
))]
async fn pause(caller: AtConnection<UpdateConnections>, State(app): State<App>) -> Result<Tagged, Problem> {
    Ok(tagged(super::pause(&app, &caller.scope, caller.id).await?))
}

/// Go on with a connection that was paused
#[utoipa::path(post, path = "/api/integrations/connections/{id}/resume/", tag = "connections",
    params(("id" = Uuid, Path)), responses(
    (status = 200, description = "The connection, with its work in the background", body = ConnectionView),
    (status = 409, description = "It is not paused"),
))]
async fn resume(caller: AtConnection<UpdateConnections>, State(app): State<App>) -> Result<Tagged, Problem> {
    Ok(tagged(super::resume(&app, &caller.scope, caller.id).await?))
}

/// End a connection: its credential is destroyed, here and at the platform where a call can do that. It keeps its id, its
/// settings and its logs, and gets them back when its account is connected again
#[utoipa::path(post, path = "/api/integrations/connections/{id}/disconnect/", tag = "connections",
    params(("id" = Uuid, Path)), responses(
    (status = 200, description = "The connection; `health_cause` says what is left to do at the shop", body = ConnectionView),
    (status = 409, description = "It was connected anew meanwhile"),
))]
async fn disconnect(
    caller: SteppedUp<AtConnection<EndConnections>>,
    State(app): State<App>,
) -> Result<Tagged, Problem> {
    Ok(tagged(Box::pin(super::disconnect(&app, &caller.scope, caller.id)).await?))
}

/// Delete a connection: it is disconnected first, its account is free, and what is written of it in the logs stays. It can be
/// restored for as long as GET /api/retention says
#[utoipa::path(delete, path = "/api/integrations/connections/{id}/", tag = "connections",
    params(("id" = Uuid, Path)), responses(
    (status = 204, description = "Deleted; its credential and its data key are destroyed"),
    (status = 409, description = "It was connected anew meanwhile"),
))]
async fn delete(
    caller: SteppedUp<AtConnection<DeleteConnections>>,
    State(app): State<App>,
) -> Result<StatusCode, Problem> {
    Box::pin(super::delete(&app, &caller.scope, caller.id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Bring back a connection that was deleted: with its id, its settings and its logs, and without a credential
#[utoipa::path(post, path = "/api/integrations/connections/{id}/restore/", tag = "connections",
    params(("id" = Uuid, Path)), responses(
    (status = 200, description = "The connection, which waits for a new credential", body = ConnectionView),
    (status = 402, description = "The plan allows no more connections of the provider"),
    (status = 409, description = "Its account was connected anew meanwhile, as another connection"),
))]
async fn restore(caller: AtConnection<RestoreConnections>, State(app): State<App>) -> Result<Tagged, Problem> {
    Ok(tagged(super::restore(&app, &caller.scope, caller.id).await?))
}

fn name(text: &str) -> Result<String, Problem> {
    input::text("/display_name", text, model::NAME_MAX)
}
