use std::{collections::BTreeMap, sync::LazyLock};

use axum::{
    Json as Body,
    body::{HttpBody, to_bytes},
    extract::{FromRequest, RawQuery, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use kernel::{Actor, SessionId, TenantScope};
use kit::{
    App, AtConnection, Authorized, Code, Problem, Public, Router, SignedIn, SteppedUp,
    input::{Json, Path},
    network::Network,
    route,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{Begun, Handovers, LIFETIME, Traveller, Wishes, code, granted};
use crate::{
    connections::{
        api::{CreateConnections, UpdateConnections},
        store::ConnectionRow,
    },
    data_access::model::DataAccess,
};

/// Sent only to the paths of this slice, so that nothing else sees a pairing.
const COOKIE_PATH: &str = "/api/oauth";
/// Bytes of what a shop hands over, several times as many as it needs.
const HANDED_OVER_MAX: usize = 8 * 1024;

pub fn routes() -> Router {
    Router::new()
        .routes(route!(start))
        .routes(route!(reauthorize))
        .routes(route!(install))
        .routes(route!(callback))
        .routes(route!(hand_over))
        .routes(route!(come_back))
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Start {
    /// What may be read of the shop. When absent: everything of a new one, and as it was of one that is connected again.
    #[serde(default, deserialize_with = "kit::input::optional_object")]
    data_access_permissions: Option<DataAccess>,
    /// Takes an account over that another organization holds: the consent at the account proves that its owner wants that.
    /// It is disconnected there, and its owners there are told.
    #[serde(default)]
    transfer: bool,
    /// The fields of the provider's form that are not secret, for providers that are connected by `granted_keys`.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    config: Option<BTreeMap<String, String>>,
}

#[derive(Serialize, ToSchema)]
struct Started {
    /// Open it in this browser: the platform asks for consent and comes back.
    url: String,
    expires_at: DateTime<Utc>,
}

/// Begin to connect an account through its platform's consent page, or the shop's own
#[utoipa::path(post, path = "/api/oauth/{provider}/start", tag = "connections", params(("provider" = String, Path)),
    request_body(content = Start, description = "Nothing need be chosen"), responses(
    (status = 200, description = "Where to go", body = Started),
    (status = 422, description = "The address is no shop's; the detail says why and what to do"),
))]
async fn start(
    caller: SteppedUp<Authorized<CreateConnections>>,
    State(app): State<App>,
    Path(provider): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let form = if request.body().is_end_stream() {
        Start::default()
    } else {
        Json::<Start>::from_request(request, &app).await?.0
    };
    let wishes = Wishes { data_access: form.data_access_permissions, is_transfer: form.transfer, config: form.config };
    started(&app, super::start(&app, &caller.scope, &provider, wishes).await?)
}

/// Begin to prove a connection's account anew, by consent for this very account
#[utoipa::path(post, path = "/api/integrations/connections/{id}/reauthorize/", tag = "connections",
    params(("id" = Uuid, Path)), responses(
    (status = 200, description = "Where to go. The connection stays as it is until the consent is given", body = Started),
    (status = 422, description = "The shop is not there any more; the detail says why and what to do"),
))]
async fn reauthorize(
    caller: SteppedUp<AtConnection<UpdateConnections>>,
    State(app): State<App>,
) -> Result<Response, Problem> {
    started(&app, super::start_again(&app, &caller.scope, caller.id).await?)
}

fn started(app: &App, begun: Begun) -> Result<Response, Problem> {
    let mut headers = HeaderMap::new();
    if let Some(pairing) = begun.pairing {
        let secure = if app.config.is_https() { "; Secure" } else { "" };
        let cookie = format!(
            "{}={pairing}; Path={COOKIE_PATH}; HttpOnly; SameSite=Lax; Max-Age={}{secure}",
            cookie_name(app),
            LIFETIME.num_seconds()
        );
        let mut cookie = HeaderValue::from_str(&cookie).map_err(|error| Problem::internal(&error))?;
        cookie.set_sensitive(true);
        headers.insert(header::SET_COOKIE, cookie);
    }
    let started = Started { url: begun.url.into(), expires_at: begun.expires_at };
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
    match code::install(&app, &provider, query.as_deref().unwrap_or_default(), pairing.as_deref()).await {
        Ok(url) => Redirect::to(url.as_str()).into_response(),
        Err(problem) => page(&headers, problem),
    }
}

/// The redirect URI: where a platform's consent page sends people
#[utoipa::path(get, path = "/api/oauth/{provider}/callback", tag = "connections", params(("provider" = String, Path)),
    responses(
    (status = 303, description = "Connected; back to the dashboard"),
    (status = 402, description = "The plan allows no more connections of the provider, or the organization is read-only"),
))]
async fn callback(
    caller: Result<SignedIn, Problem>,
    State(app): State<App>,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let outcome = async {
        if is_somebody_else(&caller) {
            unless_it_was_none(code::burn_return(&app, &provider, &query).await)?;
        }
        let caller = still_signed_in(caller)?;
        let given = code::take_return(&app, &provider, &query, session(&caller)).await?;
        let scope = rights(&app, &caller, &given.traveller).await?;
        code::finish(&app, &scope, &provider, given).await
    };
    connected(&app, &headers, outcome.await)
}

/// The callback URL: where a shop's server hands over the keys that it made. Answered with anything but 200, it takes them back
#[utoipa::path(post, path = "/api/oauth/{provider}/callback", tag = "connections", params(("provider" = String, Path)),
    request_body(content = Value, description = "As the provider documents it"), responses(
    (status = 200, description = "The keys work at the shop that was meant, and wait for the browser", body = HandedOverView),
    (status = 413, description = "It is longer than keys are"),
    (status = 422, description = "The keys do not work at the shop that was meant"),
    (status = 429, description = "Too many come from this network"),
))]
async fn hand_over(
    _: Public,
    State(app): State<App>,
    Path(provider): Path<String>,
    request: Request,
) -> Result<Body<HandedOverView>, Problem> {
    let (parts, body) = request.into_parts();
    app.slice::<Handovers>()
        .enter(app.config.trusted_proxies.address(&parts).and_then(Network::of), app.clock.now())?;
    let body = to_bytes(body, HANDED_OVER_MAX)
        .await
        .map_err(|_| Problem::new(Code::PayloadTooLarge, "Keys are shorter than that."))?;
    granted::hand_over(&app, &provider, &body).await?;
    Ok(Body(HandedOverView { accepted: true }))
}

#[derive(Serialize, ToSchema)]
struct HandedOverView {
    accepted: bool,
}

/// The return URL: where a shop sends people after they consented, or did not
#[utoipa::path(get, path = "/api/oauth/{provider}/return", tag = "connections", params(("provider" = String, Path)),
    responses(
    (status = 303, description = "Connected; back to the dashboard"),
    (status = 402, description = "The plan allows no more connections of the provider, or the organization is read-only"),
))]
async fn come_back(
    caller: Result<SignedIn, Problem>,
    State(app): State<App>,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let outcome = async {
        if is_somebody_else(&caller) {
            unless_it_was_none(granted::burn_return(&app, &provider, &query).await)?;
        }
        let caller = still_signed_in(caller)?;
        let given = granted::take_return(&app, &provider, &query, session(&caller)).await?;
        let scope = rights(&app, &caller, &given.traveller).await?;
        granted::finish(&app, &scope, &provider, given).await
    };
    connected(&app, &headers, outcome.await)
}

/// Whether nobody whom we know came back: a browser without a session, or a program. What they bring is not brought again.
fn is_somebody_else(caller: &Result<SignedIn, Problem>) -> bool {
    matches!(caller, Err(problem) if matches!(problem.code(), Code::Unauthenticated | Code::Forbidden))
}

/// What was no way back at all burns nothing, and is told who must come instead. Only our own failures are told first: the state may
/// still be there.
fn unless_it_was_none(burnt: Result<(), Problem>) -> Result<(), Problem> {
    burnt.or_else(|problem| if problem.code().status().is_server_error() { Err(problem) } else { Ok(()) })
}

fn still_signed_in(caller: Result<SignedIn, Problem>) -> Result<SignedIn, Problem> {
    caller.map_err(|problem| {
        if problem.code() != Code::Unauthenticated {
            return problem;
        }
        Problem::new(
            Code::Unauthenticated,
            "Your session has ended on the way, so nothing was connected. Sign in to Entrepot and start again. If you did not \
             begin this yourself, somebody else asked for access to your shop: delete the key that was made for Entrepot there.",
        )
    })
}

fn session(caller: &SignedIn) -> Option<SessionId> {
    match caller.identity.actor {
        Actor::Person { session, .. } => Some(session),
        Actor::Key { .. } | Actor::System { .. } => None,
    }
}

/// The rights that they have now, which may be fewer than when they began.
async fn rights(app: &App, caller: &SignedIn, traveller: &Traveller) -> Result<TenantScope, Problem> {
    let principal = app.authenticate.principal(app, &caller.identity, Some(traveller.organization)).await?;
    match traveller.connection {
        Some(connection) => Ok(principal.allow_at::<UpdateConnections>(connection)?),
        None => Ok(principal.allow::<CreateConnections>()?),
    }
}

fn connected(app: &App, headers: &HeaderMap, outcome: Result<ConnectionRow, Problem>) -> Response {
    let url = outcome.and_then(|connection| {
        let path = format!("/?connected={}", connection.id);
        app.config.public_url.join(&path).map_err(|error| Problem::internal(&error))
    });
    match url {
        Ok(url) => Redirect::to(url.as_str()).into_response(),
        Err(problem) => page(headers, problem),
    }
}

const fn cookie_prefix(is_https: bool) -> &'static str {
    if is_https { "__Secure-" } else { "" }
}

fn cookie_name(app: &App) -> String {
    format!("{}entrepot_pairing", cookie_prefix(app.config.is_https()))
}

fn pairing(app: &App, headers: &HeaderMap) -> Option<String> {
    pairing_in(&cookie_name(app), headers)
}

pub(super) fn pairing_in(name: &str, headers: &HeaderMap) -> Option<String> {
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
    let again =
        problem.retry_after().map(|wait| format!("<meta http-equiv=refresh content={}>", wait.as_secs().max(1)));
    let body = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <meta name=color-scheme content='light dark'>{again}<title>{title}</title><style>{STYLE}</style>\
         <h1>{title}</h1><p>{detail}<p><a href='/'>Back to Entrepot</a>",
        title = code.title(),
        again = again.unwrap_or_default()
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
