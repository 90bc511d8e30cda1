use axum::{Json as Body, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use connector::{
    Provider,
    provider::{AuthType, Category, FieldKind, PastedSecrets},
};
use kernel::{ConnectionId, Secret};
use kit::{
    App, Authorized, Code, Problem, Router,
    input::{Json, Path, Query},
    page::{Page, PageQuery},
    route,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Edit,
    model::{self, NewConnection},
    store::{self, ConnectionRow},
};
use crate::data_access::model::DataAccess;

kernel::permissions! {
    CreateConnections = (Connections, Create);
    ReadConnections = (Connections, Read);
    UpdateConnections = (Connections, Update);
}

pub fn routes() -> Router {
    Router::new()
        .routes(route!(providers))
        .routes(route!(list))
        .routes(route!(create))
        .routes(route!(find))
        .routes(route!(edit))
        .routes(route!(set_credential))
        .routes(route!(revoke_credential))
}

/// A kind of external system, from its manifest.
#[derive(Serialize, ToSchema)]
struct ProviderView {
    key: &'static str,
    label: &'static str,
    /// `api` or `vendor`
    #[schema(value_type = String)]
    category: Category,
    /// `oauth`, `api_key` or `none`
    #[schema(value_type = String)]
    auth_type: AuthType,
    capabilities: Vec<CapabilityView>,
    /// The fields of the connect form.
    config: Vec<FieldView>,
    scopes: &'static [&'static str],
    /// What the provider cannot do.
    notes: &'static [&'static str],
    /// Whether it can be connected on this installation.
    available: bool,
}

#[derive(Serialize, ToSchema)]
struct CapabilityView {
    key: &'static str,
    label: &'static str,
    default_enabled: bool,
    scopes: &'static [&'static str],
}

#[derive(Serialize, ToSchema)]
struct FieldView {
    name: &'static str,
    label: &'static str,
    /// `text`, `url` or `secret`
    #[schema(value_type = String)]
    kind: FieldKind,
    required: bool,
    help: &'static str,
}

#[derive(Serialize, ToSchema)]
struct ProviderList {
    data: Vec<ProviderView>,
}

/// What can be connected, and with what
#[utoipa::path(get, path = "/api/integrations/providers/", tag = "connections",
    responses((status = 200, description = "The providers of this installation", body = ProviderList)))]
async fn providers(_: Authorized<ReadConnections>, State(app): State<App>) -> Body<ProviderList> {
    let view = |provider: &'static dyn Provider| {
        let manifest = provider.manifest();
        ProviderView {
            key: manifest.key,
            label: manifest.label,
            category: manifest.category,
            auth_type: manifest.auth_type,
            capabilities: manifest
                .capabilities
                .iter()
                .map(|capability| CapabilityView {
                    key: capability.key,
                    label: capability.label,
                    default_enabled: capability.default_enabled,
                    scopes: capability.scopes,
                })
                .collect(),
            config: manifest
                .config
                .iter()
                .map(|field| FieldView {
                    name: field.name,
                    label: field.label,
                    kind: field.kind,
                    required: field.required,
                    help: field.help,
                })
                .collect(),
            scopes: manifest.scopes,
            notes: manifest.notes,
            available: provider.authorization_code().is_none() || app.config.app_credentials(manifest.key).is_some(),
        }
    };
    Body(ProviderList { data: app.providers.iter().map(view).collect() })
}

/// A connection, without its secrets.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectionView {
    id: Uuid,
    provider_key: String,
    external_account: Option<String>,
    display_name: String,
    /// `pending`, `connected`, `paused`, `disabled`, `needs_reauth`, `suspended` or `disconnected`
    status: String,
    /// `ok`, `degraded` or `failing`
    health: String,
    /// What is wrong and what to do about it.
    health_cause: Option<String>,
    health_since: Option<DateTime<Utc>>,
    config: Value,
    scopes: Vec<String>,
    enabled_capabilities: Vec<String>,
    data_access_permissions: DataAccess,
    last_synced_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<ConnectionRow> for ConnectionView {
    fn from(row: ConnectionRow) -> Self {
        Self {
            id: row.id.uuid(),
            provider_key: row.provider_key,
            external_account: row.external_account,
            display_name: row.display_name,
            status: row.status,
            health: row.health,
            health_cause: row.health_cause,
            health_since: row.health_since,
            config: row.config,
            scopes: row.scopes,
            enabled_capabilities: row.enabled_capabilities,
            data_access_permissions: row.data_access_permissions.0,
            last_synced_at: row.last_synced_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// The organization's connections
#[utoipa::path(get, path = "/api/integrations/connections/", tag = "connections", params(PageQuery),
    responses((status = 200, description = "A page of connections, newest first", body = Page<ConnectionView>)))]
async fn list(
    caller: Authorized<ReadConnections>,
    State(app): State<App>,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<ConnectionView>>, Problem> {
    let window = query.window(&app, &caller.scope, "connections", ())?;
    let only: Option<Vec<Uuid>> =
        caller.stores.as_ref().map(|stores| stores.iter().map(|store| store.uuid()).collect());
    let mut tx = app.db.tenant(&caller.scope).await?;
    let rows = store::list(&mut tx, window, only.as_deref(), None).await?;
    tx.commit().await?;
    Ok(Body(window.page(&app, rows, |row| row.id.uuid(), ConnectionView::from)))
}

/// One connection
#[utoipa::path(get, path = "/api/integrations/connections/{id}/", tag = "connections", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The connection", body = ConnectionView)))]
async fn find(
    caller: Authorized<ReadConnections>,
    State(app): State<App>,
    Path(id): Path<ConnectionId>,
) -> Result<Body<ConnectionView>, Problem> {
    if !caller.reaches(id) {
        return Err(Problem::not_found());
    }
    let mut tx = app.db.tenant(&caller.scope).await?;
    let row = store::find(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok(Body(row.into()))
}

/// The fields of a provider's connect form: what its manifest names, secrets among them.
type Fields = BTreeMap<String, Secret>;

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
    data_access_permissions: Option<DataAccess>,
}

/// Connect an account with keys
#[utoipa::path(post, path = "/api/integrations/connections/", tag = "connections", request_body = CreateConnection, responses(
    (status = 201, description = "Connected: the keys were proven by using them", body = ConnectionView),
    (status = 409, description = "The account is connected already"),
    (status = 422, description = "The account could not be connected; the detail says why and what to do"),
))]
async fn create(
    caller: Authorized<CreateConnections>,
    State(app): State<App>,
    Json(form): Json<CreateConnection>,
) -> Result<(StatusCode, Body<ConnectionView>), Problem> {
    let display_name = form.display_name.as_deref().map(name).transpose()?;
    let provider = app
        .providers
        .get(&form.provider_key)
        .ok_or_else(|| Problem::invalid("/provider_key", "is not a provider of this installation"))?;
    let (config, secrets) = split(provider, form.config, form.credential)?;
    let established = establish(&app, provider, &config, &secrets).await?;
    let new = NewConnection {
        provider_key: provider.manifest().key,
        display_name,
        established,
        enabled_capabilities: model::default_capabilities(provider),
        data_access: super::chosen(form.data_access_permissions),
    };
    Ok((StatusCode::CREATED, Body(super::insert(&app, &caller.scope, new).await?.into())))
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
    keys.establish(&app.http, &app.clock, config, secrets).await.map_err(super::connect_problem)
}

/// Checks a form against the manifest: nothing missing, nothing unknown, nothing secret where it would be shown.
fn split(
    provider: &'static dyn Provider,
    config: BTreeMap<String, String>,
    credential: Fields,
) -> Result<(Value, PastedSecrets), Problem> {
    let fields = provider.manifest().config;
    let is_secret =
        |name: &str| fields.iter().find(|field| field.name == name).map(|field| field.kind == FieldKind::Secret);
    if let Some(name) = config.keys().find(|name| is_secret(name) != Some(false)) {
        return Err(Problem::invalid(format!("/config/{name}"), "is not a public field of this provider"));
    }
    if let Some(name) = credential.keys().find(|name| is_secret(name) != Some(true)) {
        return Err(Problem::invalid(format!("/credential/{name}"), "is not a secret field of this provider"));
    }
    for field in fields.iter().filter(|field| field.required) {
        let (place, given) = if field.kind == FieldKind::Secret {
            ("credential", credential.get(field.name).is_some_and(|secret| !secret.expose().trim().is_empty()))
        } else {
            ("config", config.get(field.name).is_some_and(|text| !text.trim().is_empty()))
        };
        if !given {
            return Err(Problem::invalid(format!("/{place}/{}", field.name), format!("is required: {}", field.help)));
        }
    }
    if config
        .values()
        .map(String::len)
        .chain(credential.values().map(|secret| secret.expose().len()))
        .any(|length| length > 2_048)
    {
        return Err(Problem::invalid("/config", "a field is longer than 2048 characters"));
    }
    let config =
        config.into_iter().map(|(name, text)| (name, Value::String(text.trim().to_owned()))).collect::<Map<_, _>>();
    Ok((Value::Object(config), PastedSecrets(credential.into_iter().collect())))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EditConnection {
    #[schema(min_length = 1, max_length = 200)]
    display_name: Option<String>,
    #[schema(max_items = 50)]
    enabled_capabilities: Option<Vec<String>>,
}

/// Change a connection
#[utoipa::path(patch, path = "/api/integrations/connections/{id}/", tag = "connections", params(("id" = Uuid, Path)),
    request_body = EditConnection, responses((status = 200, description = "The connection", body = ConnectionView)))]
async fn edit(
    caller: Authorized<UpdateConnections>,
    State(app): State<App>,
    Path(id): Path<ConnectionId>,
    Json(form): Json<EditConnection>,
) -> Result<Body<ConnectionView>, Problem> {
    let display_name = form.display_name.as_deref().map(name).transpose()?;
    let change = Edit { display_name, enabled_capabilities: form.enabled_capabilities };
    Ok(Body(super::edit(&app, &caller.scope, id, change).await?.into()))
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
    caller: Authorized<UpdateConnections>,
    State(app): State<App>,
    Path(id): Path<ConnectionId>,
    Json(form): Json<SetCredential>,
) -> Result<Body<ConnectionView>, Problem> {
    let mut tx = app.db.tenant(&caller.scope).await?;
    let row = store::find(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    let provider = app.providers.get(&row.provider_key).ok_or_else(|| Problem::internal(&"a provider is missing"))?;
    // The public fields of the form are in the connection's configuration already.
    let config = provider
        .manifest()
        .config
        .iter()
        .filter(|field| field.kind != FieldKind::Secret)
        .filter_map(|field| Some((field.name.to_owned(), row.config.get(field.name)?.as_str()?.to_owned())))
        .collect();
    let (config, secrets) = split(provider, config, form.credential)?;
    let established = establish(&app, provider, &config, &secrets).await?;
    Ok(Body(super::replace_credential(&app, &caller.scope, id, established).await?.into()))
}

/// Take a connection's credential away
#[utoipa::path(post, path = "/api/integrations/connections/{id}/revoke/", tag = "connections",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The connection, which waits for a new credential", body = ConnectionView)))]
async fn revoke_credential(
    caller: Authorized<UpdateConnections>,
    State(app): State<App>,
    Path(id): Path<ConnectionId>,
) -> Result<Body<ConnectionView>, Problem> {
    Ok(Body(super::revoke_credential(&app, &caller.scope, id).await?.into()))
}

fn name(text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 200 || text.chars().any(char::is_control) {
        return Err(Problem::invalid("/display_name", "must have 1 to 200 characters"));
    }
    Ok(text.to_owned())
}
