//! `POST {shop}/admin/oauth/access_token`: codes for tokens, refresh tokens for new pairs, permanent tokens for expiring ones.

use crate::shopify::app::App;
use crate::shopify::serve::ShopContext;
use crate::shopify::tokens::{ACCESS_LIFE, Issued};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::HashMap;

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const OFFLINE_TOKEN: &str = "urn:shopify:params:oauth:token-type:offline-access-token";

/// The endpoint. Errors are 400 with `error` and `error_description`.
pub(in crate::shopify) async fn token(
    Shared(context): Shared<ShopContext>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(params) = parse(&headers, &body) else {
        return refusal("invalid_request", "The body is neither JSON nor a form");
    };
    let get = |name: &str| params.get(name).map(String::as_str);
    let grant_type = get("grant_type");
    match grant_type {
        Some("refresh_token") => context.shop.count(|counts| counts.refreshes += 1),
        None | Some("authorization_code") => context.shop.count(|counts| counts.exchanges += 1),
        _ => {}
    }
    let Some(app) = client(&context, get("client_id"), get("client_secret")) else {
        return refusal("invalid_client", "The client_id or client_secret is wrong");
    };
    match grant_type {
        Some("refresh_token") => refresh(&context, &app, get("refresh_token")),
        Some(TOKEN_EXCHANGE) => migrate(&context, &app, &params),
        None | Some("authorization_code") => {
            exchange(&context, &app, get("code"), get("redirect_uri"), get("expiring"))
        }
        Some(_) => refusal("unsupported_grant_type", "This grant_type is not simulated"),
    }
}

fn client(context: &ShopContext, client_id: Option<&str>, secret: Option<&str>) -> Option<App> {
    let app = context.state.app(client_id?)?;
    app.knows(secret?).then_some(app)
}

fn exchange(
    context: &ShopContext,
    app: &App,
    code: Option<&str>,
    redirect_uri: Option<&str>,
    expiring: Option<&str>,
) -> Response {
    let (domain, now) = (context.shop.domain(), context.state.clock.now());
    let expiring = matches!(expiring, Some("1" | "true"));
    let mut access = context.state.access();
    let code = code.unwrap_or_default();
    match access.tokens.exchange(code, &app.client_id, &domain, redirect_uri, expiring, now) {
        Some(issued) => {
            access.installed.insert((app.client_id.clone(), domain));
            answer(&issued, now)
        }
        None => refusal("invalid_request", "The authorization code was not found or was already used"),
    }
}

fn refresh(context: &ShopContext, app: &App, token: Option<&str>) -> Response {
    let (domain, now) = (context.shop.domain(), context.state.clock.now());
    let mut access = context.state.access();
    if !access.installed.contains(&(app.client_id.clone(), domain.clone())) {
        return refusal("invalid_client", "The app is not installed in this shop");
    }
    match access.tokens.refresh(token.unwrap_or_default(), &app.client_id, &domain, now) {
        Some(issued) => answer(&issued, now),
        None => refusal("invalid_grant", "The refresh token is unknown, expired or replaced"),
    }
}

/// A permanent offline token for an expiring pair.
fn migrate(context: &ShopContext, app: &App, params: &HashMap<String, String>) -> Response {
    let is = |name: &str, value: &str| params.get(name).is_some_and(|given| given == value);
    if !is("subject_token_type", OFFLINE_TOKEN) || !is("requested_token_type", OFFLINE_TOKEN) || !is("expiring", "1") {
        return refusal(
            "invalid_request",
            "Only the exchange of a permanent for an expiring offline token is simulated",
        );
    }
    let subject = params.get("subject_token").map(String::as_str).unwrap_or_default();
    let now = context.state.clock.now();
    match context.state.access().tokens.migrate(subject, &app.client_id, &context.shop.domain(), now) {
        Some(issued) => answer(&issued, now),
        None => refusal("invalid_subject_token", "The token is unknown or expires already"),
    }
}

fn answer(issued: &Issued, now: DateTime<Utc>) -> Response {
    let mut body = json!({"access_token": issued.access_token, "scope": issued.scopes.to_string()});
    if let (Some(token), Some(until)) = (&issued.refresh_token, issued.refresh_until) {
        body["expires_in"] = json!(ACCESS_LIFE.num_seconds());
        body["refresh_token"] = json!(token);
        body["refresh_token_expires_in"] = json!((until - now).num_seconds());
    }
    Json(body).into_response()
}

fn refusal(error: &str, description: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": error, "error_description": description}))).into_response()
}

/// JSON or a form, by `Content-Type`. Numbers and booleans in JSON count as their text.
fn parse(headers: &HeaderMap, body: &[u8]) -> Option<HashMap<String, String>> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        return Some(url::form_urlencoded::parse(body).into_owned().collect());
    }
    let Value::Object(object) = serde_json::from_slice(body).ok()? else { return None };
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Some(object.into_iter().map(|(name, value)| (name, text(value))).collect())
}
