//! `/admin/oauth/authorize`: what the app asks for, and what the merchant answers.

use super::install::unknown_app;
use super::page::{escape, page, refusal};
use super::signed_url;
use crate::shopify::app::App;
use crate::shopify::scopes::Scopes;
use crate::shopify::serve::ShopContext;
use crate::shopify::tokens::Grant;
use axum::body::Bytes;
use axum::extract::{RawQuery, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// What stands in the link to the consent page.
struct Asked {
    app: App,
    scopes: Scopes,
    redirect_uri: String,
    state: Option<String>,
}

/// `GET`: the consent page.
pub(in crate::shopify) async fn ask_consent(
    Shared(context): Shared<ShopContext>,
    RawQuery(query): RawQuery,
) -> Response {
    let params = parse(query.unwrap_or_default().as_bytes());
    let asked = match read(&context, &params) {
        Ok(asked) => asked,
        Err(refusal) => return *refusal,
    };
    let scopes: String = asked.scopes.iter().map(|scope| format!("<li>{}</li>\n", describe(scope))).collect();
    let hidden = |(name, value): &(String, String)| {
        format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">\n", escape(name), escape(value))
    };
    let hidden: String = params.iter().map(hidden).collect();
    let (app, shop) = (escape(&asked.app.title), escape(&context.shop.spec().name));
    let body = format!(
        "<p><strong>{app}</strong> wants to work in <strong>{shop}</strong>. It asks to</p>\n<ul>\n{scopes}</ul>\n\
         <form method=\"post\" action=\"/admin/oauth/authorize\">\n{hidden}\
         <button class=\"primary\" name=\"decision\" value=\"approve\">Install app</button>\n\
         <button name=\"decision\" value=\"cancel\">Cancel</button>\n</form>"
    );
    page(&format!("Install {}", asked.app.title), &body).into_response()
}

/// `POST`: the merchant's answer. `decision=approve` leads back with a code, anything else with `error=access_denied`.
pub(in crate::shopify) async fn decide(Shared(context): Shared<ShopContext>, body: Bytes) -> Response {
    let params = parse(&body);
    let asked = match read(&context, &params) {
        Ok(asked) => asked,
        Err(refusal) => return *refusal,
    };
    let now = context.state.clock.now();
    let mut more = Vec::new();
    if get(&params, "decision") == Some("approve") {
        let grant = Grant { client_id: asked.app.client_id.clone(), shop: context.shop.domain(), scopes: asked.scopes };
        more.push(("code", context.state.access().tokens.grant_code(grant, &asked.redirect_uri, now)));
    } else {
        more.push(("error", "access_denied".to_owned()));
    }
    if let Some(state) = asked.state {
        more.push(("state", state));
    }
    let location = signed_url(&asked.app, &asked.redirect_uri, &context.shop, now, more);
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

fn read(context: &ShopContext, params: &[(String, String)]) -> Result<Asked, Box<Response>> {
    let app = get(params, "client_id").and_then(|id| context.state.app(id)).ok_or_else(|| Box::new(unknown_app()))?;
    let redirect_uri = get(params, "redirect_uri").unwrap_or_default();
    if !app.redirect_urls.iter().any(|known| known == redirect_uri) {
        return Err(Box::new(refusal("invalid_request", "The redirect_uri is not whitelisted")));
    }
    if get(params, "grant_options[]").is_some_and(|option| !option.is_empty()) {
        return Err(Box::new(refusal("invalid_request", "Online access is not simulated")));
    }
    let asked = Scopes::parse(get(params, "scope").unwrap_or_default());
    let scopes = if asked.is_empty() { app.scopes.clone() } else { asked };
    let refused = app.may_not_ask(&scopes);
    if !refused.is_empty() {
        return Err(Box::new(refusal("invalid_scope", &format!("The app may not ask for {}", refused.join(", ")))));
    }
    let state = get(params, "state").map(str::to_owned);
    Ok(Asked { app, scopes, redirect_uri: redirect_uri.to_owned(), state })
}

fn parse(query: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query).into_owned().collect()
}

fn get<'a>(params: &'a [(String, String)], name: &str) -> Option<&'a str> {
    params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// `read_products` in words.
fn describe(scope: &str) -> String {
    let (verb, what) = match scope.split_once('_') {
        Some(("write", what)) => ("view and change", what),
        Some(("read", what)) => ("view", what),
        _ => ("use", scope),
    };
    format!("{verb} {} <small><code>{}</code></small>", escape(&what.replace('_', " ")), escape(scope))
}
