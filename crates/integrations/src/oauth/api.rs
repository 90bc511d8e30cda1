use std::sync::LazyLock;

use axum::{
    Json as Body,
    body::HttpBody,
    extract::{FromRequest, RawQuery, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use kernel::Actor;
use kit::{
    App, Authorized, Code, Problem, Public, Router, SignedIn,
    input::{Json, Path},
    route,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;
use utoipa::ToSchema;

use super::LIFETIME;
use crate::{connections::api::CreateConnections, data_access::model::DataAccess};

/// Sent only to the paths of this slice, so that nothing else sees a pairing.
const COOKIE_PATH: &str = "/api/oauth";

pub fn routes() -> Router {
    Router::new().routes(route!(start)).routes(route!(install)).routes(route!(callback))
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Start {
    /// What may be read of the shop. When absent: everything of a new one, and as it was of one that is connected again.
    #[serde(default, deserialize_with = "kit::input::optional_object")]
    data_access_permissions: Option<DataAccess>,
}

#[derive(Serialize, ToSchema)]
struct Started {
    /// Open it in this browser: the platform asks for consent and comes back.
    url: String,
    expires_at: DateTime<Utc>,
}

/// Begin to connect an account through its platform's consent page
#[utoipa::path(post, path = "/api/oauth/{provider}/start", tag = "connections", params(("provider" = String, Path)),
    request_body(content = Start, description = "Nothing need be chosen"), responses((status = 200, description = "Where to go", body = Started)))]
async fn start(
    caller: Authorized<CreateConnections>,
    State(app): State<App>,
    Path(provider): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let form = if request.body().is_end_stream() {
        Start::default()
    } else {
        Json::<Start>::from_request(request, &app).await?.0
    };
    let (pairing, url) = super::start(&app, &caller.scope, &provider, form.data_access_permissions).await?;
    let secure = if app.config.is_https() { "; Secure" } else { "" };
    let cookie = format!(
        "{}={pairing}; Path={COOKIE_PATH}; HttpOnly; SameSite=Lax; Max-Age={}{secure}",
        cookie_name(&app),
        LIFETIME.num_seconds()
    );
    let mut headers = HeaderMap::new();
    let mut cookie = HeaderValue::from_str(&cookie).map_err(|error| Problem::internal(&error))?;
    cookie.set_sensitive(true);
    headers.insert(header::SET_COOKIE, cookie);
    let started = Started { url: url.into(), expires_at: app.clock.now() + LIFETIME };
    Ok((StatusCode::OK, headers, Body(started)).into_response())
}

/// The app URL: where a platform's install page sends people
#[utoipa::path(get, path = "/api/oauth/{provider}/install", tag = "connections", params(("provider" = String, Path)),
    responses((status = 303, description = "On to the consent page")))]
async fn install(
    _: Public,
    State(app): State<App>,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let pairing = pairing(&app, &headers);
    match super::install(&app, &provider, query.as_deref().unwrap_or_default(), pairing.as_deref()).await {
        Ok(url) => Redirect::to(url.as_str()).into_response(),
        Err(problem) => page(&headers, problem),
    }
}

/// The redirect URI: where a platform's consent page sends people
#[utoipa::path(get, path = "/api/oauth/{provider}/callback", tag = "connections", params(("provider" = String, Path)),
    responses((status = 303, description = "Connected; back to the dashboard")))]
async fn callback(
    caller: Result<SignedIn, Problem>,
    State(app): State<App>,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let outcome = match caller {
        Ok(caller) => finish(&app, &caller, &provider, query.as_deref().unwrap_or_default()).await,
        Err(problem) if problem.code() == Code::Unauthenticated => Err(Problem::new(
            Code::Unauthenticated,
            "Your session has ended on the way, so nothing was connected. Sign in to Entrepot and start again.",
        )),
        Err(problem) => Err(problem),
    };
    match outcome {
        Ok(url) => Redirect::to(url.as_str()).into_response(),
        Err(problem) => page(&headers, problem),
    }
}

async fn finish(app: &App, caller: &SignedIn, provider: &str, query: &str) -> Result<Url, Problem> {
    let session = match caller.identity.actor {
        Actor::Person { session, .. } => Some(session),
        Actor::Key { .. } | Actor::System { .. } => None,
    };
    let given = super::take_return(app, provider, query, session).await?;
    // The rights that they have now, which may be fewer than when they began.
    let principal = app.authenticate.principal(app, &caller.identity, Some(given.organization)).await?;
    let scope = principal.allow::<CreateConnections>()?;
    let connection = super::finish(app, &scope, provider, given).await?;
    app.config.public_url.join(&format!("/?connected={}", connection.id)).map_err(|error| Problem::internal(&error))
}

const fn cookie_prefix(is_https: bool) -> &'static str {
    if is_https { "__Secure-" } else { "" }
}

fn cookie_name(app: &App) -> String {
    format!("{}entrepot_pairing", cookie_prefix(app.config.is_https()))
}

fn pairing(app: &App, headers: &HeaderMap) -> Option<String> {
    let name = cookie_name(app);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1.5rem}\
h1{font-size:1.5rem;line-height:1.25}";

/// The page loads nothing, and has no style but its own.
static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).ok()
});

/// A person in a browser gets a page, a program the problem.
fn page(headers: &HeaderMap, problem: Problem) -> Response {
    let wants_html = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if !wants_html {
        return problem.into_response();
    }
    let (code, detail) = (problem.code(), escape(problem.detail()));
    let body = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <meta name=color-scheme content='light dark'><title>{title}</title><style>{STYLE}</style>\
         <h1>{title}</h1><p>{detail}<p><a href='/'>Back to Entrepot</a>",
        title = Code::OauthRefused.title()
    );
    let mut response = (code.status(), Html(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(policy) = POLICY.clone() {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    // For the access log of the server, which tells failures by their code.
    response.extensions_mut().insert(code);
    response
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
