//! `/wc-auth/v1/`: a merchant consents, the shop makes a key and hands it over, from server to server.
//!
//! As WooCommerce has it: the five parameters are mandatory and texts, the callback must be https, the key is taken back unless
//! the answer is exactly 200, refusals are HTML pages with 401 and lead nowhere. Whoever looks counts as logged in to the shop's
//! admin. Two deviations, so that the flow can be walked on one machine: a callback on loopback may be http, and the
//! pages are also found at [`browser_host`].

use super::query::Query;
use super::serve::shop_path;
use super::shop::Shop;
use super::spec::{ApiKey, Permissions};
use crate::world::{Rng, Role};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::fmt::{Debug, Formatter};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use url::Url;

/// How long a shop waits for the answer to its keys.
const PATIENCE: Duration = Duration::from_secs(60);
const PARAMETERS: [&str; 5] = ["app_name", "user_id", "return_url", "callback_url", "scope"];

/// Keys on their way from a shop's server to the application's.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The `callback_url`.
    pub url: String,
    /// JSON.
    pub body: Bytes,
}

/// Carries a [`Delivery`]; `None`: no answer came.
pub type Carrier = Arc<dyn Fn(Delivery) -> BoxFuture<'static, Option<StatusCode>> + Send + Sync>;

/// How keys are delivered: over loopback, until a test carries them itself.
#[derive(Clone, Default)]
pub(super) struct Post(Arc<RwLock<Option<Carrier>>>);

impl Debug for Post {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Post")
    }
}

impl Post {
    pub(super) fn carried_by(&self, carrier: Carrier) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(carrier);
    }

    async fn deliver(&self, delivery: Delivery) -> Option<StatusCode> {
        let carrier = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let sent = async {
            match carrier {
                Some(carrier) => carrier(delivery).await,
                None => over_loopback(delivery).await.ok(),
            }
        };
        tokio::time::timeout(PATIENCE, sent).await.ok().flatten()
    }
}

/// The name under which a browser on this machine finds a shop: its host as one label.
pub(super) fn browser_host(host: &str) -> String {
    format!("{}.woocommerce.localhost", host.replace('.', "-"))
}

/// Whether a request is for these pages. Shops with plain permalinks have them too, by two parameters.
pub(super) fn route(shop: &Shop, path: &str, query: &Query) -> Option<String> {
    if !shop.spec().active {
        return None;
    }
    let path = shop_path(shop, path)?;
    if let Some(route) = path.strip_prefix("/wc-auth/v1/") {
        return Some(route.trim_end_matches('/').to_owned());
    }
    query.text("wc-auth-version").filter(|version| *version == "1")?;
    query.text("wc-auth-route").map(str::to_owned)
}

pub(super) async fn answer(shop: &Shop, route: &str, query: &Query, method: &Method) -> Response {
    if method != Method::GET {
        return refusal("Invalid method");
    }
    let asked = match Asked::read(query) {
        Ok(asked) => asked,
        Err(error) => return refusal(&error),
    };
    match route {
        "authorize" | "login" => consent_page(shop, &asked, query),
        "access_granted" => {
            let nonce = query.text("wc_auth_nonce").unwrap_or_default();
            if shop.knows_auth_nonce(nonce) { grant(shop, &asked).await } else { refusal("Invalid nonce verification") }
        }
        _ => refusal("Invalid route"),
    }
}

/// The five parameters, as WooCommerce checks them.
struct Asked {
    app_name: String,
    user_id: String,
    return_url: Url,
    callback_url: Url,
    permissions: Permissions,
    scope: String,
}

impl Asked {
    fn read(query: &Query) -> Result<Self, String> {
        for name in PARAMETERS {
            match query.get(name) {
                None => return Err(format!("Missing parameter {name}")),
                Some(_) if query.text(name).is_none() => return Err(format!("Invalid parameter {name}")),
                Some(_) if query.text(name) == Some("") => return Err(format!("Missing parameter {name}")),
                Some(_) => {}
            }
        }
        let text = |name: &str| query.text(name).unwrap_or_default().to_owned();
        let scope = text("scope");
        let permissions = match scope.as_str() {
            "read" => Permissions::Read,
            "write" => Permissions::Write,
            "read_write" => Permissions::ReadWrite,
            other => return Err(format!("Invalid scope {other}")),
        };
        let url = |name: &str| {
            let text = text(name);
            let whole = if text.contains("://") { text } else { format!("https://{text}") };
            Url::parse(&whole).map_err(|_| format!("The {name} is not a valid URL"))
        };
        let (return_url, callback_url) = (url("return_url")?, url("callback_url")?);
        if callback_url.scheme() != "https" && !is_loopback(&callback_url) {
            return Err("The callback_url needs to be over SSL".to_owned());
        }
        Ok(Self { app_name: text("app_name"), user_id: text("user_id"), return_url, callback_url, permissions, scope })
    }

    /// Where the browser goes afterwards.
    fn back(&self, success: bool) -> String {
        let mut url = self.return_url.clone();
        url.query_pairs_mut()
            .append_pair("success", if success { "1" } else { "0" })
            .append_pair("user_id", &self.user_id);
        url.into()
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn consent_page(shop: &Shop, asked: &Asked, query: &Query) -> Response {
    let mut query = query.clone();
    query.set("wc_auth_nonce", shop.new_auth_nonce());
    let approve = format!("{}/wc-auth/v1/access_granted?{}", shop.spec().path, query.encode());
    let scope = asked.scope.replace('_', "/");
    page(
        StatusCode::OK,
        &format!("{} would like to connect to your store", asked.app_name),
        &format!(
            "<p>This will give it <strong>{}</strong> access to {}.</p>\n<p><a class=\"wc-auth-approve\" href=\"{}\">Approve</a> \
             <a class=\"wc-auth-deny\" href=\"{}\">Deny</a></p>",
            escape(&scope),
            escape(&shop.spec().name),
            escape(&approve),
            escape(&asked.back(false)),
        ),
    )
}

async fn grant(shop: &Shop, asked: &Asked) -> Response {
    let mut rng = Rng::new(rand::random());
    let key = ApiKey::generate(&mut rng, asked.permissions, Role::Administrator);
    shop.add_key(key.clone());
    // A number that is a text: what the documents show as a number is whatever was sent.
    let body = json!({
        "key_id": shop.key_count(),
        "user_id": asked.user_id,
        "consumer_key": key.consumer_key,
        "consumer_secret": key.consumer_secret,
        "key_permissions": asked.scope,
    });
    let delivery = Delivery { url: asked.callback_url.to_string(), body: body.to_string().into() };
    if shop.post().deliver(delivery).await == Some(StatusCode::OK) {
        let mut response = StatusCode::FOUND.into_response();
        if let Ok(back) = HeaderValue::from_str(&asked.back(true)) {
            response.headers_mut().insert(header::LOCATION, back);
        }
        return response;
    }
    shop.revoke_key(&key.consumer_key);
    refusal("An error occurred in the request and at the time were unable to send the consumer data")
}

/// An error page: 401, and no way back.
fn refusal(error: &str) -> Response {
    page(StatusCode::UNAUTHORIZED, "Something went wrong", &format!("<p>Error: {}.</p>", escape(error)))
}

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en-US\"><head><meta charset=\"UTF-8\" /><meta name=\"viewport\" \
         content=\"width=device-width\" /><title>{title}</title></head>\n<body class=\"wc-auth\"><h1>{title}</h1>\n{body}\n\
         <p><small>Simulated WooCommerce: nothing here is real.</small></p></body></html>\n"
    );
    (status, Html(html)).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// To an application on this machine, by plain http.
async fn over_loopback(delivery: Delivery) -> anyhow::Result<StatusCode> {
    let url = Url::parse(&delivery.url)?;
    anyhow::ensure!(url.scheme() == "http" && is_loopback(&url), "only loopback is reached");
    let host = match url.host() {
        Some(url::Host::Ipv6(address)) => address.to_string(),
        _ => "127.0.0.1".to_owned(),
    };
    let port = url.port_or_known_default().unwrap_or(80);
    let stream = tokio::net::TcpStream::connect((host.as_str(), port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let authority = format!("{}:{port}", url.host_str().unwrap_or("localhost"));
    let request = Request::post(&url[url::Position::BeforePath..])
        .header(header::HOST, authority)
        .header(header::CONTENT_TYPE, "application/json;charset=UTF-8")
        .body(Full::new(delivery.body))?;
    let answered = async { Ok::<_, anyhow::Error>(sender.send_request(request).await?.status()) };
    tokio::select! {
        status = answered => status,
        ended = connection => { ended?; anyhow::bail!("the connection ended") }
    }
}
