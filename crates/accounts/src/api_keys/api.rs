use axum::http::uri::Authority;
use axum::{Json as Body, extract::State, response::Response};
use chrono::{DateTime, Duration, Utc};
use kernel::{ConnectionId, Rights, TenantScope};
use kit::{
    App, Authorized, Problem, Router, SteppedUp,
    caller::AnyKey,
    idempotency::{Created, IdempotencyKey, Once},
    input::{self, Json, Query},
    page::{Page, PageQuery},
    route,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    ApiKeys, CreatedKey, EXPIRED,
    model::{KeyPermissions, NewKey},
    store::{self, KeyRow},
    suspicion::Suspicion,
};
use crate::{grants::api::spelled, words::ApiKeyState};

kernel::permissions! {
    CreateApiKeys = (ApiKeys, Create);
    ReadApiKeys = (ApiKeys, Read);
    UpdateApiKeys = (ApiKeys, Update);
    /// Revoking: it can be done while the organization is read-only.
    DeleteApiKeys = (ApiKeys, Delete, WHILE_READ_ONLY);
}

const DEFAULT_DAYS: u16 = 365;

pub fn routes() -> Router {
    Router::new()
        .routes(route!(create))
        .routes(route!(list))
        .routes(route!(own))
        .routes(route!(revoke))
        .routes(route!(clear))
        .routes(route!(rotate))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateKey {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// 1 to 365; a year when absent.
    #[schema(minimum = 1, maximum = 365)]
    expires_in_days: Option<u16>,
    #[serde(default, deserialize_with = "input::optional_object")]
    permissions: Option<KeyPermissions>,
    /// The stores that the key reaches; all when absent.
    #[schema(min_items = 1, max_items = 100)]
    stores: Option<Vec<Uuid>>,
    /// Web pages that may use it (`https://example.com`); any program when absent.
    #[schema(max_items = 20)]
    allowed_origins: Option<Vec<String>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NameKey {
    key_id: Uuid,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RotateKey {
    key_id: Uuid,
    /// How long the old key goes on, 0 to 168; 24 when absent.
    #[schema(minimum = 0, maximum = 168)]
    overlap_hours: Option<u16>,
}

/// A key without its secret.
#[derive(Serialize, ToSchema)]
struct ApiKeyView {
    key_id: Uuid,
    name: String,
    /// How the key begins, to tell one from another.
    prefix: String,
    /// Whose rights it acts with.
    user_id: Uuid,
    permissions: KeyPermissions,
    stores: Option<Vec<Uuid>>,
    allowed_origins: Option<Vec<String>>,
    #[schema(value_type = ApiKeyState)]
    state: String,
    state_reason: Option<String>,
    last_used_at: Option<DateTime<Utc>>,
    expires_at: DateTime<Utc>,
    rotated_from: Option<Uuid>,
    created_at: DateTime<Utc>,
}

/// A key with its text, which is shown this once.
#[derive(Serialize, ToSchema)]
struct CreatedKeyView {
    /// Keep it now: only its hash is stored. Null when the request was sent again.
    api_key: Option<String>,
    /// Whether the request was sent again, so that the text was shown before.
    already_shown: bool,
    #[serde(flatten)]
    key: ApiKeyView,
}

impl Created for CreatedKeyView {
    fn again(self) -> Self {
        Self { api_key: None, already_shown: true, ..self }
    }
}

/// Create an API key
#[utoipa::path(post, path = "/api-key-management/create", tag = "api keys", params(IdempotencyKey), request_body = CreateKey, responses(
    (status = 201, description = "The key, shown this once", body = CreatedKeyView),
))]
async fn create(
    caller: SteppedUp<Authorized<CreateApiKeys>>,
    State(app): State<App>,
    body: Once<CreateKey>,
) -> Result<Response, Problem> {
    body.answer(app, caller.into_inner().scope, create_once).await
}

async fn create_once(app: App, scope: TenantScope, form: CreateKey) -> Result<CreatedKeyView, Problem> {
    let name = input::text("/name", &form.name, 100)?;
    let days = form.expires_in_days.unwrap_or(DEFAULT_DAYS);
    if !(1..=DEFAULT_DAYS).contains(&days) {
        return Err(Problem::invalid("/expires_in_days", "must be 1 to 365"));
    }
    if form.stores.as_ref().is_some_and(|stores| stores.is_empty() || stores.len() > 100) {
        return Err(Problem::invalid("/stores", "must name 1 to 100 stores, or be left out for all"));
    }
    let allowed_origins = form.allowed_origins.map(origins).transpose()?;
    let new = NewKey {
        name,
        expires_at: app.clock.now() + Duration::days(i64::from(days)),
        permissions: form.permissions.unwrap_or_default(),
        stores: form.stores,
        allowed_origins,
    };
    Ok(created_view(&app, &scope, super::create(&app, &scope, new).await?))
}

/// The organization's API keys, newest first
#[utoipa::path(get, path = "/api-key-management/list", tag = "api keys", params(PageQuery),
    responses((status = 200, description = "A page of keys, without their secrets", body = Page<ApiKeyView>)))]
async fn list(
    caller: Authorized<ReadApiKeys>,
    State(app): State<App>,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<ApiKeyView>>, Problem> {
    let window = query.window(&app, &caller.scope, "api keys", ())?;
    let mut tx = app.db.tenant(&caller.scope).await?;
    let rows = store::newest(&mut tx, window).await?;
    tx.commit().await?;
    Ok(Body(window.page(&app, rows, |row| row.id.uuid(), |row| view(&app, &caller.scope, row))))
}

/// A key, as the program that has it may know it.
#[derive(Serialize, ToSchema)]
struct OwnKey {
    key_id: Uuid,
    name: String,
    organization_id: Uuid,
    organization_name: String,
    permissions: KeyPermissions,
    /// What the key may do now, as `resource:action`: its permissions as far as its creator has them too.
    scopes: Vec<String>,
    /// The stores that the key reaches; null for all of the organization.
    stores: Option<Vec<Uuid>>,
    expires_at: DateTime<Utc>,
    /// Requests that the key may make in a minute.
    limit_per_minute: u32,
}

/// What the key that calls is and may do: whether a key works
#[utoipa::path(get, path = "/api-key-management/self", tag = "api keys",
    responses((status = 200, description = "The key of this request", body = OwnKey)))]
async fn own(caller: AnyKey, State(app): State<App>) -> Result<Body<OwnKey>, Problem> {
    let facts = app.slice::<ApiKeys>().facts((caller.principal.organization(), caller.key)).await?;
    Ok(Body(OwnKey {
        key_id: caller.key.uuid(),
        name: facts.key_name.clone(),
        organization_id: caller.principal.organization().uuid(),
        organization_name: facts.organization_name.clone(),
        permissions: facts.permissions,
        scopes: spelled(caller.principal.permissions()),
        stores: facts.stores.as_deref().map(|stores| known(caller.principal.rights(), stores.iter().copied())),
        expires_at: facts.expires_at,
        limit_per_minute: app.config.live_requests_per_minute,
    }))
}

/// Revoke an API key
#[utoipa::path(post, path = "/api-key-management/revoke", tag = "api keys", request_body = NameKey,
    responses((status = 200, description = "The key, which works nowhere within a second", body = ApiKeyView)))]
async fn revoke(
    caller: Authorized<DeleteApiKeys>,
    State(app): State<App>,
    Json(form): Json<NameKey>,
) -> Result<Body<ApiKeyView>, Problem> {
    let row = super::revoke(&app, &caller.scope, form.key_id.into()).await?;
    Ok(Body(view(&app, &caller.scope, row)))
}

/// Let a suspended API key work again
#[utoipa::path(post, path = "/api-key-management/clear", tag = "api keys", request_body = NameKey, responses(
    (status = 200, description = "The key, which works again", body = ApiKeyView),
    (status = 409, description = "The key is not suspended"),
))]
async fn clear(
    caller: SteppedUp<Authorized<UpdateApiKeys>>,
    State(app): State<App>,
    Json(form): Json<NameKey>,
) -> Result<Body<ApiKeyView>, Problem> {
    let row = super::clear(&app, &caller.scope, form.key_id.into()).await?;
    Ok(Body(view(&app, &caller.scope, row)))
}

/// Replace an API key
#[utoipa::path(post, path = "/api-key-management/rotate", tag = "api keys", params(IdempotencyKey), request_body = RotateKey, responses(
    (status = 201, description = "The new key, shown this once; the old one goes on for the overlap", body = CreatedKeyView),
    (status = 409, description = "The key no longer works, or was rotated already"),
))]
async fn rotate(
    caller: SteppedUp<Authorized<UpdateApiKeys>>,
    State(app): State<App>,
    body: Once<RotateKey>,
) -> Result<Response, Problem> {
    body.answer(app, caller.into_inner().scope, rotate_once).await
}

async fn rotate_once(app: App, scope: TenantScope, form: RotateKey) -> Result<CreatedKeyView, Problem> {
    let hours = form.overlap_hours.unwrap_or(24);
    if hours > 168 {
        return Err(Problem::invalid("/overlap_hours", "must be 0 to 168"));
    }
    let overlap = Duration::hours(i64::from(hours));
    Ok(created_view(&app, &scope, super::rotate(&app, &scope, form.key_id.into(), overlap).await?))
}

/// Origins as browsers send them (RFC 6454): scheme, host and port, nothing after.
pub(crate) fn origins(given: Vec<String>) -> Result<Vec<String>, Problem> {
    if given.is_empty() || given.len() > 20 {
        return Err(Problem::invalid("/allowed_origins", "must name 1 to 20 origins, or be left out"));
    }
    let origin = |(index, text): (usize, String)| {
        let is_origin = text.len() <= 300
            && text.parse::<axum::http::Uri>().is_ok_and(|uri| {
                let (scheme, authority) = (uri.scheme_str().unwrap_or_default(), uri.authority());
                let is_all = |authority: &Authority| text.eq_ignore_ascii_case(&format!("{scheme}://{authority}"));
                matches!(scheme, "https" | "http")
                    && authority.is_some_and(|authority| {
                        // What stands behind `#` is dropped by the parser, and browsers never send it.
                        is_all(authority) && !authority.host().is_empty() && !authority.as_str().contains('@')
                    })
            });
        if is_origin {
            Ok(text.to_ascii_lowercase())
        } else {
            Err(Problem::invalid(format!("/allowed_origins/{index}"), "must be an origin such as https://example.com"))
        }
    };
    given.into_iter().enumerate().map(origin).collect()
}

/// Suspicions are stored by their word.
fn explained(reason: String) -> String {
    Suspicion::of(&reason).map_or(reason, Suspicion::sentence)
}

/// Those that the caller does not know are not named to them.
fn known(rights: &Rights, stores: impl IntoIterator<Item = ConnectionId>) -> Vec<Uuid> {
    stores.into_iter().filter(|store| !rights.is_hidden(*store)).map(ConnectionId::uuid).collect()
}

fn view(app: &App, scope: &TenantScope, row: KeyRow) -> ApiKeyView {
    let state = row.state_at(app.clock.now()).to_owned();
    ApiKeyView {
        key_id: row.id.uuid(),
        name: row.key_name,
        prefix: format!("{}{}", app.config.api_key_prefix.as_str(), row.lookup),
        user_id: row.user_id.uuid(),
        permissions: row.permissions.0,
        stores: row.stores.map(|stores| known(scope.rights(), stores.into_iter().map(ConnectionId::from))),
        allowed_origins: row.allowed_origins,
        state_reason: if state == row.state { row.state_reason.map(explained) } else { Some(EXPIRED.to_owned()) },
        state,
        last_used_at: row.last_used_at,
        expires_at: row.expires_at,
        rotated_from: row.rotated_from,
        created_at: row.created_at,
    }
}

fn created_view(app: &App, scope: &TenantScope, created: CreatedKey) -> CreatedKeyView {
    CreatedKeyView {
        api_key: Some(created.text.expose().to_owned()),
        already_shown: false,
        key: view(app, scope, created.row),
    }
}
