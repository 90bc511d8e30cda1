//! Who is calling: keys by Basic, by query string, by OAuth 1.0a; and what they may.
//!
//! The order is WooCommerce's: over TLS, as far as PHP knows, query keys and then Basic; if that finds nobody, OAuth.

use super::error::RestError;
use super::oauth;
use super::query::{Query, Value, decode};
use super::shop::Shop;
use super::spec::{ApiKey, Permissions};
use crate::world::Role;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method, StatusCode, header};
use subtle::ConstantTimeEq;

/// Timestamps may be this many seconds off, and nonces are remembered for as long.
const TIMESTAMP_WINDOW: f64 = 900.0;

const OAUTH_PARAMETERS: [&str; 5] =
    ["oauth_consumer_key", "oauth_timestamp", "oauth_nonce", "oauth_signature", "oauth_signature_method"];

/// The user of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    Anonymous,
    Key(ApiKey),
}

/// What the authentication looks at.
pub(super) struct Credentials<'r> {
    pub(super) method: &'r Method,
    /// The path as sent.
    pub(super) path: &'r str,
    pub(super) query: &'r Query,
    pub(super) headers: &'r HeaderMap,
    /// Whether PHP knows that the request came through TLS.
    pub(super) ssl: bool,
    /// The shop's clock, seconds since 1970.
    pub(super) now: i64,
}

impl Caller {
    /// Finds the key of a request to a WooCommerce route.
    pub(super) fn identify(shop: &Shop, request: &Credentials<'_>) -> Result<Caller, RestError> {
        let mut error = None;
        if request.ssl {
            match by_secret(shop, request) {
                Ok(Some(key)) => return Ok(Caller::Key(key)),
                Ok(None) => {}
                Err(wrong) => error = Some(wrong),
            }
        }
        match by_signature(shop, request)? {
            Some(key) => Ok(Caller::Key(key)),
            None => error.map_or(Ok(Caller::Anonymous), Err),
        }
    }

    /// Whether the key may use this method at all.
    pub(super) fn may_use(&self, method: &Method) -> Result<(), RestError> {
        let Caller::Key(key) = self else { return Ok(()) };
        let (wanted, lacking) = match method.as_str() {
            "GET" | "HEAD" => (Permissions::Read, "read"),
            "POST" | "PUT" | "PATCH" | "DELETE" => (Permissions::Write, "write"),
            "OPTIONS" => return Ok(()),
            _ => return Err(RestError::authentication("Unknown request method.")),
        };
        if key.permissions == wanted || key.permissions == Permissions::ReadWrite {
            return Ok(());
        }
        let message = format!("The API key provided does not have {lacking} permissions.");
        Err(RestError::authentication(&message))
    }

    /// Whether the key's owner may read shop data: `read_private_*`, `list_users`, `manage_woocommerce` go together in
    /// WordPress' own roles.
    pub(super) fn may_read(&self, list: bool) -> Result<(), RestError> {
        match self {
            Caller::Anonymous => Err(RestError::cannot_view(false, list)),
            Caller::Key(key) => match key.role {
                Role::Administrator | Role::ShopManager => Ok(()),
                Role::Customer | Role::Subscriber => Err(RestError::cannot_view(true, list)),
            },
        }
    }
}

/// Query keys, else Basic. `None`: no keys, or unknown ones.
fn by_secret(shop: &Shop, request: &Credentials<'_>) -> Result<Option<ApiKey>, RestError> {
    let text = |name| request.query.text(name).filter(|text| !text.is_empty());
    let pair = match (text("consumer_key"), text("consumer_secret")) {
        (Some(key), Some(secret)) => Some((key.to_owned(), secret.to_owned())),
        _ => basic(request.headers),
    };
    let Some((consumer_key, secret)) = pair else { return Ok(None) };
    let Some(key) = shop.find_key(&consumer_key) else { return Ok(None) };
    if !bool::from(key.consumer_secret.as_bytes().ct_eq(secret.as_bytes())) {
        return Err(RestError::authentication("Consumer secret is invalid."));
    }
    Ok(Some(key))
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let encoded = value.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case("basic ")).map(|_| value[6..].trim())?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    (!user.is_empty() && !password.is_empty()).then(|| (user.to_owned(), password.to_owned()))
}

/// OAuth 1.0a without token. `None`: not tried.
fn by_signature(shop: &Shop, request: &Credentials<'_>) -> Result<Option<ApiKey>, RestError> {
    let mut params = request.query.clone();
    for (name, value) in authorization_parameters(request.headers) {
        params.set(&name, value);
    }
    let missing: Vec<&str> = OAUTH_PARAMETERS.into_iter().filter(|name| is_empty(params.get(name))).collect();
    if missing.len() == OAUTH_PARAMETERS.len() {
        return Ok(None);
    }
    if !missing.is_empty() {
        let plural = if missing.len() == 1 { "" } else { "s" };
        let message = format!("Missing OAuth parameter{plural} {}", missing.join(", "));
        return Err(RestError::new(
            StatusCode::UNAUTHORIZED,
            "woocommerce_rest_authentication_missing_parameter",
            message,
        ));
    }
    let text = |name| params.text(name).unwrap_or_default();
    let key = shop
        .find_key(text("oauth_consumer_key"))
        .ok_or_else(|| RestError::authentication("Consumer key is invalid."))?;
    check_signature(shop, request, &params, &key)?;
    check_timestamp_and_nonce(shop, &key, text("oauth_timestamp"), text("oauth_nonce"), request.now)?;
    Ok(Some(key))
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None => true,
        // PHP's `empty()` takes "0" for empty.
        Some(Value::Text(text)) => text.is_empty() || text == "0",
        Some(Value::Map(map)) => map.is_empty(),
    }
}

/// `Authorization: OAuth a="1", b="2"`
fn authorization_parameters(headers: &HeaderMap) -> Vec<(String, String)> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(list) = value.trim().strip_prefix("OAuth ") else { return vec![] };
    let pair = |part: &str| {
        let (name, value) = part.trim().split_once('=')?;
        name.starts_with("oauth_").then(|| (name.to_owned(), decode(value.trim_matches('"'))))
    };
    list.split(',').filter_map(pair).collect()
}

fn check_signature(shop: &Shop, request: &Credentials<'_>, params: &Query, key: &ApiKey) -> Result<(), RestError> {
    let text = |name| params.text(name).unwrap_or_default();
    // The configured address counts, not the host that was called; only the scheme is what PHP sees.
    let spec = shop.spec();
    let url = format!("{}{}", spec.origin(request.ssl), request.path);
    let base_string = oauth::base_string(request.method.as_str(), &url, params);
    let expected = oauth::sign(text("oauth_signature_method"), &key.consumer_secret, &base_string)
        .ok_or_else(|| RestError::authentication("Invalid signature - signature method is invalid."))?;
    // A plus sign that was not encoded arrives as a space; one that was encoded twice as its code.
    let given = decode(&text("oauth_signature").replace(' ', "+").replace('+', "%2B"));
    if !bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
        return Err(RestError::authentication("Invalid signature - provided signature does not match."));
    }
    Ok(())
}

fn check_timestamp_and_nonce(
    shop: &Shop,
    key: &ApiKey,
    timestamp: &str,
    nonce: &str,
    now: i64,
) -> Result<(), RestError> {
    let timestamp: Option<f64> = timestamp.trim().parse().ok();
    let now = now as f64;
    let Some(timestamp) = timestamp.filter(|timestamp| (timestamp - now).abs() <= TIMESTAMP_WINDOW) else {
        return Err(RestError::authentication("Invalid timestamp."));
    };
    if !shop.use_nonce(&key.consumer_key, nonce, timestamp, now - TIMESTAMP_WINDOW) {
        return Err(RestError::authentication("Invalid nonce - nonce has already been used."));
    }
    Ok(())
}
