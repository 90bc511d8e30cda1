//! The install link. On the real service the App Store leads here; the page that lists shops stands in for being logged in.

use super::page::{escape, page, refusal};
use super::signed_url;
use crate::shopify::State;
use crate::shopify::serve::ShopContext;
use crate::shopify::shop::Shop;
use axum::extract::{Path, Query, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
pub(in crate::shopify) struct Link {
    #[serde(default)]
    client_id: String,
}

/// `GET admin.shopify.com/oauth/install?client_id=`: the merchant chooses a shop.
pub(in crate::shopify) async fn choose_shop(Shared(state): Shared<Arc<State>>, Query(link): Query<Link>) -> Response {
    let Some(app) = state.app(&link.client_id) else { return unknown_app() };
    let client_id: String = url::form_urlencoded::byte_serialize(link.client_id.as_bytes()).collect();
    let item = |shop: &Arc<Shop>| {
        let (handle, name) = (escape(&shop.spec().handle), escape(&shop.spec().name));
        let domain = escape(&shop.domain());
        format!(
            "<li><a href=\"/store/{handle}/oauth/install?client_id={client_id}\">{name}</a> <small>{domain}</small></li>\n"
        )
    };
    let shops: String = state.shops.iter().map(item).collect();
    page(&format!("Install {}", app.title), &format!("<p>Choose the shop to install it in.</p>\n<ul>\n{shops}</ul>"))
        .into_response()
}

/// `GET admin.shopify.com/store/{handle}/oauth/install?client_id=`.
pub(in crate::shopify) async fn install(
    Shared(state): Shared<Arc<State>>,
    Path(handle): Path<String>,
    Query(link): Query<Link>,
) -> Response {
    match state.shop(&handle) {
        Some(shop) => open_app(&state, shop, &link),
        None => (StatusCode::NOT_FOUND, page("There is no such shop", "")).into_response(),
    }
}

/// `GET {shop}/admin/oauth/install?client_id=`.
pub(in crate::shopify) async fn install_here(
    Shared(context): Shared<ShopContext>,
    Query(link): Query<Link>,
) -> Response {
    open_app(&context.state, &context.shop, &link)
}

/// The install request: the app's own page, with signed parameters that say who comes.
fn open_app(state: &State, shop: &Shop, link: &Link) -> Response {
    let Some(app) = state.app(&link.client_id) else { return unknown_app() };
    let location = signed_url(&app, &app.application_url, shop, state.clock.now(), vec![]);
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

pub(super) fn unknown_app() -> Response {
    refusal("invalid_request", "Could not find an application with this client_id")
}
