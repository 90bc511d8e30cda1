//! Connecting with keys that the owner made in the shop's admin, and proving them on every call (W1 to W3).

pub(super) mod address;
mod consent;
mod discovery;
mod facts;

use async_trait::async_trait;
use chrono::Duration;
use connector::{
    Credential, Established, KeyPair, PastedKeys, ProviderError,
    http::{Http, Request},
    provider::{ConnectError, PastedSecrets},
    signature::oauth1::{Algorithm, OAuth1},
};
use http::{HeaderValue, Method, StatusCode, header};
use kernel::{Clock, Time, random};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{
    Connection, Woocommerce,
    api::{
        Shop,
        refusal::{self, Refusal},
    },
};
use discovery::Site;
#[cfg(test)]
pub(super) use discovery::announced_root;
#[cfg(test)]
pub(super) use facts::facts;

pub(super) const SHOP_URL: &str = "shop_url";
pub(super) const CONSUMER_KEY: &str = "consumer_key";
pub(super) const CONSUMER_SECRET: &str = "consumer_secret";

/// How a shop can be shown the keys. Which one it understands depends on what stands before PHP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    /// RFC 7617, over https only.
    Basic,
    /// For servers that strip the `Authorization` header; over https only, and the keys end up in the shop's own logs.
    QueryKeys,
    /// OAuth 1.0a, signed for the https form of the home URL.
    OauthHttps,
    /// OAuth 1.0a, signed for its http form: plain http, or a proxy before the shop that ends TLS without saying so.
    OauthHttp,
}

/// In the order in which they are tried (W2).
const OVER_HTTPS: &[Way] = &[Way::Basic, Way::QueryKeys, Way::OauthHttps, Way::OauthHttp];
/// Over plain http WooCommerce looks at nothing else, and nothing else may be sent.
const OVER_HTTP: &[Way] = &[Way::OauthHttp];

impl Way {
    pub(super) fn is_oauth(self) -> bool {
        matches!(self, Self::OauthHttps | Self::OauthHttp)
    }
}

/// The request with its proof. Live reads must not come from a cache (W13): some caches ignore
/// `Cache-Control`, so the URL never repeats; under OAuth the nonce sees to that.
pub(super) fn sign(shop: &Shop<'_>, mut url: Url, now: Time) -> Result<Request, ProviderError> {
    let encrypted = url.scheme() == "https";
    if !shop.way.is_oauth() {
        url.query_pairs_mut().append_pair("nocache", &random::base62(12));
    }
    let request = match shop.way {
        Way::Basic if encrypted => Request::get(url).basic(&shop.keys.key, &shop.keys.secret),
        Way::QueryKeys if encrypted => {
            url.query_pairs_mut()
                .append_pair("consumer_key", shop.keys.key.expose())
                .append_pair("consumer_secret", shop.keys.secret.expose());
            Request::get(url)
        }
        Way::OauthHttps | Way::OauthHttp => {
            let mut home = shop.home.clone();
            let scheme = if shop.way == Way::OauthHttps { "https" } else { "http" };
            home.set_scheme(scheme).map_err(|()| ProviderError::Malformed { path: "config.home".to_owned() })?;
            let signature = OAuth1 {
                keys: shop.keys,
                algorithm: Algorithm::HmacSha256,
                home: &home,
                now,
                nonce: &random::base62(32),
            };
            Request::get(signature.sign(&Method::GET, &url))
        }
        Way::Basic | Way::QueryKeys => {
            return Err(ProviderError::Rejected { detail: "keys are not sent without encryption".to_owned() });
        }
    };
    Ok(request
        .header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))
        .header(header::ACCEPT, HeaderValue::from_static("application/json")))
}

#[async_trait]
impl PastedKeys for Woocommerce {
    async fn establish(
        &self,
        http: &Http,
        clock: &Clock,
        config: &Value,
        secrets: &PastedSecrets,
    ) -> Result<Established, ConnectError> {
        let typed = config.get(SHOP_URL).and_then(Value::as_str).unwrap_or_default();
        let address = address::clean(typed, http)?;
        let keys =
            KeyPair { key: pasted(secrets, CONSUMER_KEY, "ck_")?, secret: pasted(secrets, CONSUMER_SECRET, "cs_")? };
        let page = discovery::home_page(http, &address).await.map_err(|error| without_https(error, typed))?;
        let site = discovery::find(http, clock, &address, page).await?;
        let shop = prove(http, clock, &keys, &site).await?;
        let facts = facts::read(&shop).await;
        let connection = Connection {
            shop_url: address.to_string(),
            home: site.home.clone(),
            rest_root: site.rest_root.clone(),
            auth: shop.way,
            clock_offset_s: shop.clock_offset.num_seconds(),
            currency: facts.currency,
            price_decimals: facts.price_decimals,
            weight_unit: facts.weight_unit,
            timezone: site.timezone.clone(),
            gmt_offset_minutes: site.gmt_offset_minutes,
            version: facts.version,
            warnings: warnings(&site, shop.way),
        };
        Ok(Established {
            external_account: address::canonical(&site.home),
            display_name: site.name.clone(),
            config: serde_json::to_value(connection)
                .map_err(|_| ProviderError::Malformed { path: "config".to_owned() })?,
            credential: Credential::Keys(keys),
            scopes: vec![],
        })
    }
}

/// Nobody said https, so the shop may have none.
fn without_https(error: ConnectError, typed: &str) -> ConnectError {
    match error {
        ConnectError::Provider(
            error @ (ProviderError::Unavailable { .. } | ProviderError::Cut { .. } | ProviderError::TimedOut { .. }),
        ) if !typed.contains("://") => invalid(
            SHOP_URL,
            format!("By https, {error}. If the shop has no https, type its address with http:// in front."),
        ),
        error => error,
    }
}

/// Tells the two keys apart before the shop is asked: pasting one for the other is the commonest mistake, and the shop's
/// answer to it is that it knows no such key.
fn pasted(secrets: &PastedSecrets, field: &'static str, prefix: &str) -> Result<kernel::Secret, ConnectError> {
    let text = secrets.get(field).map(|secret| secret.expose().trim()).unwrap_or_default();
    if text.starts_with(prefix) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(kernel::Secret::new(text));
    }
    Err(invalid(
        field,
        format!(
            "This must be the text that starts with {prefix}. Copy it from WooCommerce → Settings → \
        Advanced → REST API."
        ),
    ))
}

fn warnings(site: &Site, way: Way) -> Vec<String> {
    let mut warnings = vec![];
    if site.rest_root.scheme() == "http" {
        warnings.push(
            "This shop has no https: what is read from it, people's data included, travels unencrypted.".to_owned(),
        );
    }
    if way == Way::QueryKeys {
        warnings.push(
            "The shop's server strips the Authorization header, so the keys are sent in the address and can appear in the \
             shop's own logs."
                .to_owned(),
        );
    }
    warnings
}

/// What a shop makes of one way of showing the keys.
enum Verdict {
    Accepted {
        clock_offset: Duration,
    },
    /// The keys were not seen, or are unknown: over Basic and query keys WooCommerce does not tell these apart.
    NotSeen,
    /// The keys were seen and refused.
    Refused,
}

/// Finds the way that the shop understands, then sees that the keys may read all three resources.
async fn prove<'a>(
    http: &'a Http,
    clock: &'a Clock,
    keys: &'a KeyPair,
    site: &'a Site,
) -> Result<Shop<'a>, ConnectError> {
    let ways = if site.rest_root.scheme() == "https" { OVER_HTTPS } else { OVER_HTTP };
    let mut was_refused = false;
    for way in ways {
        let (home, rest_root) = (&site.home, &site.rest_root);
        let mut shop = Shop { http, clock, keys, home, rest_root, way: *way, clock_offset: Duration::zero() };
        match try_read(&shop, "orders").await? {
            Verdict::Accepted { clock_offset } => {
                shop.clock_offset = clock_offset;
                for resource in ["products", "customers"] {
                    if !matches!(try_read(&shop, resource).await?, Verdict::Accepted { .. }) {
                        return Err(lacks_role(resource));
                    }
                }
                return Ok(shop);
            }
            Verdict::Refused if !way.is_oauth() => {
                return Err(invalid(
                    CONSUMER_SECRET,
                    "The shop knows the consumer key, but this is not its secret, or the key has only the permission \
                     Write. Copy the secret again, or make a new key with the permission Read or Read/Write.",
                ));
            }
            Verdict::Refused => was_refused = true,
            Verdict::NotSeen => {}
        }
    }
    let message = if was_refused {
        "The shop does not know this pair of keys. Copy both again, or make a new key in WooCommerce → Settings → Advanced \
         → REST API. Where the keys are right, the WordPress Address and Site Address in Settings → General may not be \
         the address that the shop is called by."
    } else {
        "The shop does not see the keys in any form. A plugin or the server removes them; ask the shop's host to pass the \
         Authorization header to PHP."
    };
    Err(invalid(CONSUMER_KEY, message))
}

async fn try_read(shop: &Shop<'_>, resource: &'static str) -> Result<Verdict, ConnectError> {
    let params = [("per_page", "1".to_owned()), ("_fields", "id".to_owned())];
    let read = match shop.ask(resource, &params).await {
        Ok(Ok(reply)) => reply.document().map(|document: Value| (document, reply.clock_offset)),
        Ok(Err(refusal)) => return judge(refusal, resource),
        Err(error) => Err(error),
    };
    match read {
        Ok((Value::Array(_), clock_offset)) => Ok(Verdict::Accepted { clock_offset }),
        Ok(_) => Err(ProviderError::Malformed { path: resource.to_owned() }.into()),
        // A page with status 200 in the place of JSON: a bot check, a cache, or a login wall.
        Err(ProviderError::Malformed { .. }) => Err(firewall()),
        Err(error) => Err(error.into()),
    }
}

fn judge(refusal: Refusal, resource: &str) -> Result<Verdict, ConnectError> {
    match (refusal.status, refusal.code.as_deref()) {
        (StatusCode::UNAUTHORIZED, Some(refusal::AUTHENTICATION_ERROR)) => Ok(Verdict::Refused),
        (StatusCode::UNAUTHORIZED, Some(_)) => Ok(Verdict::NotSeen),
        (StatusCode::UNAUTHORIZED, None) => Err(behind_password()),
        _ if refusal.is_firewall() => Err(firewall()),
        (StatusCode::FORBIDDEN, _) => Err(lacks_role(resource)),
        _ if refusal.is_no_route() => Err(inactive()),
        _ => Err(refusal.into_error().into()),
    }
}

fn lacks_role(resource: &str) -> ConnectError {
    invalid(
        CONSUMER_KEY,
        format!(
            "The user that this key belongs to may not read {resource}. Make a key for a user who is administrator or shop \
             manager."
        ),
    )
}

fn inactive() -> ConnectError {
    invalid(
        SHOP_URL,
        "This is a WordPress site, but WooCommerce is not active on it, or is older than 3.5. Activate or update the plugin.",
    )
}

fn behind_password() -> ConnectError {
    invalid(SHOP_URL, "The whole site is behind a password of its own. Take /wp-json/ out of that protection.")
}

fn firewall() -> ConnectError {
    invalid(
        SHOP_URL,
        "A firewall or security plugin answers with a page in the place of the shop. Allow requests to /wp-json/ whose \
         User-Agent names Entrepot.",
    )
}

fn invalid(field: &'static str, message: impl Into<String>) -> ConnectError {
    ConnectError::Invalid { field, message: message.into() }
}
