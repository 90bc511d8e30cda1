//! Hosts and routes.

use super::graphql::access::Viewer;
use super::graphql::answer::{self, Answer, Endpoint};
use super::graphql::resolve::VERSIONS;
use super::shop::Shop;
use super::{State, oauth};
use crate::server::Origin;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State as Shared};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use tower::ServiceExt;

const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-shopify-access-token");
const API_VERSION: HeaderName = HeaderName::from_static("x-shopify-api-version");

/// What handlers of one shop get.
#[derive(Clone)]
pub(super) struct ShopContext {
    pub(super) state: Arc<State>,
    pub(super) shop: Arc<Shop>,
}

/// All hosts: each shop has its own routes, behind its own faults.
pub(super) fn router(state: &Arc<State>) -> Router {
    let mut by_label: HashMap<String, Router> = HashMap::new();
    for shop in &state.shops {
        let context = ShopContext { state: state.clone(), shop: shop.clone() };
        by_label.insert(shop.spec().handle.clone(), shop.faults().apply(shop_router(context)));
    }
    let admin = state.admin_faults.apply(admin_router(state.clone()));
    let hosts = Arc::new(Hosts { admin, by_label });
    Router::new().fallback(dispatch).with_state(hosts)
}

struct Hosts {
    admin: Router,
    by_label: HashMap<String, Router>,
}

async fn dispatch(
    Shared(hosts): Shared<Arc<Hosts>>,
    Extension(origin): Extension<Origin>,
    request: Request,
) -> Response {
    let label = origin.host.split('.').next().unwrap_or_default();
    let router = match hosts.by_label.get(label) {
        _ if label == "admin" && !origin.host.ends_with(".myshopify.com") => &hosts.admin,
        Some(router) => router,
        None => return not_found().await.into_response(),
    };
    router.clone().oneshot(request).await.into_response()
}

fn admin_router(state: Arc<State>) -> Router {
    Router::new()
        .route("/oauth/install", get(oauth::choose_shop))
        .route("/store/{handle}/oauth/install", get(oauth::install))
        .fallback(not_found)
        .with_state(state)
}

fn shop_router(context: ShopContext) -> Router {
    Router::new()
        .route("/admin/oauth/install", get(oauth::install_here))
        .route("/admin/oauth/authorize", get(oauth::ask_consent).post(oauth::decide))
        .route("/admin/oauth/access_token", post(oauth::token))
        .route("/admin/api_permissions/current.json", delete(uninstall))
        .route("/admin/api/{version}/graphql.json", post(graphql))
        .fallback(not_found)
        .with_state(context)
}

async fn not_found() -> (StatusCode, Json<serde_json::Value>) {
    (StatusCode::NOT_FOUND, Json(json!({"errors": "Not Found"})))
}

async fn graphql(
    Shared(context): Shared<ShopContext>,
    Path(version): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(version) = effective_version(&version) else { return not_found().await.into_response() };
    if let Some((status, errors)) = context.shop.status().refusal() {
        return (status, Json(json!({"errors": errors}))).into_response();
    }
    let Some((client_id, viewer)) = viewer(&context, &headers) else {
        context.shop.count(|counts| counts.unauthorized += 1);
        return unauthorized();
    };
    let Ok(request) = serde_json::from_slice(&body) else {
        let errors = json!({"errors": {"query": "Required parameter missing or invalid"}});
        return (StatusCode::BAD_REQUEST, Json(errors)).into_response();
    };
    let Answer { body, uninstall } = answer::answer(
        &request,
        &Endpoint {
            documents: &context.state.documents,
            store: context.shop.store(),
            viewer: &viewer,
            bucket: &context.shop.bucket(&client_id),
            clock: &context.state.clock,
            throttle: &|| context.shop.in_storm(),
            count: &|name| context.shop.count(|counts| *counts.operations.entry(name.to_owned()).or_default() += 1),
            throttled: &|| context.shop.count(|counts| counts.throttled += 1),
        },
    );
    if uninstall {
        context.state.uninstall(&context.shop.domain(), &client_id);
    }
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")),
        (API_VERSION, HeaderValue::from_static(version)),
    ];
    (headers, body.to_string()).into_response()
}

/// The version that answers: a known one, or the oldest that still works for one that is gone. `None`: no version at all.
fn effective_version(asked: &str) -> Option<&'static str> {
    if let Some((known, ..)) = VERSIONS.iter().find(|(handle, ..)| *handle == asked) {
        return Some(known);
    }
    let (year, month) = asked.split_once('-')?;
    let numeric = |text: &str, length: usize| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    let oldest = VERSIONS.first()?.0;
    (numeric(year, 4) && numeric(month, 2) && asked < oldest).then_some(oldest)
}

fn viewer(context: &ShopContext, headers: &HeaderMap) -> Option<(String, Viewer)> {
    let token = headers.get(ACCESS_TOKEN)?.to_str().ok()?;
    let grant = {
        let access = context.state.access();
        access.tokens.access(token, &context.shop.domain(), context.state.clock.now())?.clone()
    };
    let app = context.state.app(&grant.client_id)?;
    let viewer = Viewer { scopes: grant.scopes, data_access: app.data_access, app: app.facts() };
    Some((grant.client_id, viewer))
}

fn unauthorized() -> Response {
    let errors = "[API] Invalid API key or access token (unrecognized login or wrong password)";
    (StatusCode::UNAUTHORIZED, Json(json!({"errors": errors}))).into_response()
}

/// `DELETE /admin/api_permissions/current.json`: the app removes itself.
async fn uninstall(Shared(context): Shared<ShopContext>, headers: HeaderMap) -> Response {
    let Some((client_id, _)) = viewer(&context, &headers) else { return unauthorized() };
    context.state.uninstall(&context.shop.domain(), &client_id);
    Json(json!({})).into_response()
}

#[cfg(test)]
mod tests {
    use super::effective_version;

    #[test]
    fn versions_that_are_gone_fall_forward_and_nonsense_is_not_found() {
        assert_eq!(effective_version("2026-10"), Some("2026-10"));
        assert_eq!(effective_version("unstable"), Some("unstable"));
        assert_eq!(effective_version("2024-04"), Some("2026-01"));
        assert_eq!([effective_version("2031-01"), effective_version("v1"), effective_version("")], [None; 3]);
    }
}
