//! Install, consent and tokens: the authorization-code grant of an app that is not embedded in Shopify's admin.
//! <https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant>

use std::{collections::BTreeSet, time::Duration as StdDuration};

use async_trait::async_trait;
use chrono::Duration;
use connector::{
    Account, AppCredentials, AuthorizationCode, Call, Credential, Established, ProviderError, Token,
    http::{Http, Request, Response},
    provider::{Callback, Install, RevokeAccess, Unverified},
    signature::query::{self, Verified},
};
use kernel::{Clock, Secret, Time};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, json};
use url::Url;

use super::{
    MANIFEST, Shopify,
    api::{self, Session},
    convert::wire::ShopData,
};

/// How far a signed request's timestamp may be from our clock, either way: what Shopify's own libraries allow.
const FRESH: Duration = Duration::seconds(90);
/// Where Shopify asks the owner which shop to install in. It then calls our app URL with a signed query.
const INSTALL: &str = "https://admin.shopify.com/oauth/install";
/// Without `Retry-After`.
const WAIT_UNSAID: StdDuration = StdDuration::from_secs(2);

/// `some-shop.myshopify.com`, however it was written; None for every other host, since secrets are sent there.
/// Stricter than Shopify's libraries, which also take hosts of Shopify's own developers.
pub(super) fn shop_domain(text: &str) -> Option<String> {
    let domain = text.trim_end_matches('/').to_ascii_lowercase();
    let name = domain.strip_suffix(".myshopify.com")?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (is_name && !name.is_empty() && !name.starts_with('-')).then_some(domain)
}

/// An address of a shop.
///
/// # Errors
/// [`ProviderError::Rejected`] when the account is none.
pub(super) fn shop_url(account: &str, path: &str) -> Result<Url, ProviderError> {
    let invalid = || ProviderError::Rejected { detail: "the account is no shop of myshopify.com".to_owned() };
    let domain = shop_domain(account).ok_or_else(invalid)?;
    Url::parse(&format!("https://{domain}/{path}")).map_err(|_| invalid())
}

#[async_trait]
impl AuthorizationCode for Shopify {
    fn install_url(&self, app: &AppCredentials) -> Url {
        let mut url = Url::parse(INSTALL).expect("a constant is a URL");
        url.query_pairs_mut().append_pair("client_id", &app.client_id);
        url
    }

    fn verify_install(&self, app: &AppCredentials, raw_query: &str, now: Time) -> Result<Install, Unverified> {
        let (_, account) = verify(app, raw_query, now)?;
        Ok(Install { account })
    }

    fn authorize_url(&self, app: &AppCredentials, install: &Install, state: &str, redirect_uri: &Url) -> Url {
        let url = format!("https://{}/admin/oauth/authorize", install.account);
        let mut url = Url::parse(&url).expect("a verified shop's name is a host");
        // No `grant_options[]`: the token is the shop's own, not one of the person who consents.
        url.query_pairs_mut()
            .append_pair("client_id", &app.client_id)
            .append_pair("scope", &MANIFEST.scopes.join(","))
            .append_pair("redirect_uri", redirect_uri.as_str())
            .append_pair("state", state);
        url
    }

    fn verify_callback(&self, app: &AppCredentials, raw_query: &str, now: Time) -> Result<Callback, Unverified> {
        let (query, account) = verify(app, raw_query, now)?;
        if query.optional("error")?.is_some() {
            return Err(Unverified::Denied);
        }
        let code = Secret::new(filled(query.one("code")?)?);
        Ok(Callback { account, state: filled(query.one("state")?)?.to_owned(), code })
    }

    async fn exchange(
        &self,
        http: &Http,
        clock: &Clock,
        app: &AppCredentials,
        callback: &Callback,
    ) -> Result<Established, ProviderError> {
        let body = json!({
            "client_id": app.client_id,
            "client_secret": app.client_secret.expose(),
            "code": callback.code.expose(),
            // An offline token that expires; Shopify refuses the other kind from public apps.
            "expiring": "1",
        });
        let token = token(http, clock, &callback.account, &body, Step::Exchange).await?;
        let granted = expanded(&token.scopes);
        let missing: Vec<String> = MANIFEST.scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let missing: Vec<String> = missing.into_iter().filter(|scope| !granted.contains(scope)).collect();
        if !missing.is_empty() {
            let detail = "the shop's owner granted less than was asked for";
            return Err(ProviderError::Forbidden { missing_scopes: missing, detail });
        }
        establish(http, clock, &callback.account, token).await
    }

    async fn refresh(
        &self,
        http: &Http,
        clock: &Clock,
        app: &AppCredentials,
        account: &Account,
        token: &Token,
    ) -> Result<Token, ProviderError> {
        let Some(refresh) = &token.refresh else {
            return Err(ProviderError::Unauthorized { detail: "the token cannot be refreshed" });
        };
        let body = json!({
            "client_id": app.client_id,
            "client_secret": app.client_secret.expose(),
            "grant_type": "refresh_token",
            "refresh_token": refresh.expose(),
        });
        let mut renewed = self::token(http, clock, &account.external_account, &body, Step::Refresh).await?;
        if renewed.scopes.is_empty() {
            renewed.scopes.clone_from(&token.scopes);
        }
        // In the form in which they were kept when the shop was connected.
        renewed.scopes = expanded(&renewed.scopes).into_iter().collect();
        // Shopify lets an old refresh token work until its successor is used, so an answer without one loses nothing.
        if renewed.refresh.is_none() {
            renewed.refresh = Some(refresh.clone());
            renewed.refresh_expires_at = token.refresh_expires_at;
        }
        Ok(renewed)
    }
}

/// Takes the app out of the shop, which ends every token of it there.
/// <https://shopify.dev/docs/api/admin-graphql/latest/mutations/appUninstall>
#[async_trait]
impl RevokeAccess for Shopify {
    async fn revoke(&self, call: &Call<'_>) -> Result<(), ProviderError> {
        let answered = Session::open(call)?.ask::<Uninstalled>(&api::UNINSTALL, &Map::new()).await;
        let answered = answered.map_err(api::Failure::into_provider_error)?;
        let refused = answered.data.and_then(|data| data.uninstall).map(|uninstall| uninstall.user_errors.len());
        match refused {
            Some(0) => Ok(()),
            Some(_) => Err(ProviderError::Rejected { detail: "Shopify does not take the app out".to_owned() }),
            None => Err(ProviderError::Malformed { path: "data.appUninstall".to_owned() }),
        }
    }
}

#[derive(Deserialize)]
struct Uninstalled {
    #[serde(rename = "appUninstall")]
    uninstall: Option<UninstallPayload>,
}

#[derive(Deserialize)]
struct UninstallPayload {
    #[serde(rename = "userErrors")]
    user_errors: Vec<IgnoredAny>,
}

/// Signature first, so that nothing is said about a query that Shopify did not make.
fn verify(app: &AppCredentials, raw_query: &str, now: Time) -> Result<(Verified, String), Unverified> {
    let secrets: Vec<&Secret> = [&app.client_secret].into_iter().chain(app.previous_secret.as_ref()).collect();
    let query = query::verify(raw_query, &secrets)?;
    let timestamp: i64 = query.one("timestamp")?.parse().map_err(|_| Unverified::Parameter)?;
    let at = Time::from_timestamp(timestamp, 0).ok_or(Unverified::Stale)?;
    if (now - at).abs() > FRESH {
        return Err(Unverified::Stale);
    }
    let account = shop_domain(query.one("shop")?).ok_or(Unverified::Account)?;
    Ok((query, account))
}

fn filled(text: &str) -> Result<&str, Unverified> {
    if text.is_empty() { Err(Unverified::Parameter) } else { Ok(text) }
}

/// Scopes with those that they imply: who may write may read. Shopify answers `write_products` to who asked for both.
fn expanded(scopes: &[String]) -> BTreeSet<String> {
    let implied = scopes.iter().filter_map(|scope| scope.strip_prefix("write_")).map(|what| format!("read_{what}"));
    implied.chain(scopes.iter().cloned()).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Exchange,
    Refresh,
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: Secret,
    /// Seconds.
    expires_in: Option<i64>,
    refresh_token: Option<Secret>,
    /// Seconds.
    refresh_token_expires_in: Option<i64>,
    /// A list with commas.
    #[serde(default)]
    scope: String,
}

#[derive(Deserialize)]
struct RefusalBody {
    error: Option<String>,
}

async fn token(
    http: &Http,
    clock: &Clock,
    account: &str,
    body: &serde_json::Value,
    step: Step,
) -> Result<Token, ProviderError> {
    let request = Request::post_json(shop_url(account, "admin/oauth/access_token")?, body.to_string());
    let asked_at = clock.now();
    let response = http.send(request).await?;
    if !response.status.is_success() {
        return Err(refusal(&response, step, clock.now()));
    }
    response.expect_json_content()?;
    let body: TokenBody = response.json()?;
    let after = |seconds: Option<i64>| end_of_life(asked_at, seconds?);
    let scopes = body.scope.split(',').map(str::trim).filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    // A field that is there and empty is a field that is not there.
    let refresh = body.refresh_token.filter(|refresh| !refresh.expose().is_empty());
    Ok(Token {
        refresh_expires_at: refresh.as_ref().and_then(|_| after(body.refresh_token_expires_in)),
        access: body.access_token,
        refresh,
        expires_at: after(body.expires_in),
        scopes,
    })
}

/// None for a life that ends beyond all times: then it does not end.
pub(super) fn end_of_life(asked_at: Time, seconds: i64) -> Option<Time> {
    asked_at.checked_add_signed(Duration::try_seconds(seconds)?)
}

/// RFC 6749, section 5.2, with the meanings that Shopify gives the codes.
fn refusal(response: &Response, step: Step, now: Time) -> ProviderError {
    let code = response.json::<RefusalBody>().ok().and_then(|body| body.error);
    match (response.status.as_u16(), code.as_deref(), step) {
        (429 | 430, ..) => ProviderError::RateLimited { retry_after: response.retry_after(now).unwrap_or(WAIT_UNSAID) },
        (500.., ..) => ProviderError::Unavailable { detail: "Shopify fails on its own" },
        (402 | 423, ..) => ProviderError::Suspended { detail: "the shop is frozen or locked" },
        (404, ..) => ProviderError::Suspended { detail: "Shopify knows no shop at this address" },
        // An app that was taken out of a shop is told the same; a live read then finds its token dead before its time.
        (_, Some("invalid_client"), _) => {
            ProviderError::AppRefused { detail: "Shopify refuses the app's own client id and secret" }
        }
        (_, Some("invalid_grant"), Step::Refresh) => {
            ProviderError::Unauthorized { detail: "the refresh token is unknown, expired or replaced" }
        }
        (401, _, Step::Refresh) => ProviderError::Unauthorized { detail: "Shopify refuses the refresh token" },
        (_, _, Step::Exchange) => {
            ProviderError::Rejected { detail: "Shopify does not take the code; it can be used once".to_owned() }
        }
        (status, _, Step::Refresh) => ProviderError::Rejected { detail: format!("HTTP status {status}") },
    }
}

/// Looks at the shop, by its new token.
async fn establish(http: &Http, clock: &Clock, shop: &str, token: Token) -> Result<Established, ProviderError> {
    let account = Account { external_account: shop.to_owned(), config: json!({}), scopes: token.scopes.clone() };
    let credential = Credential::Token(token.clone());
    let call = Call { http, account: &account, credential: &credential, clock };
    let answered = Session::open(&call)?.ask::<ShopData>(&api::SHOP, &Map::new()).await;
    let answered = answered.map_err(api::Failure::into_provider_error)?;
    let Some(ShopData { shop, current_app_installation }) = answered.data else {
        return Err(ProviderError::Malformed { path: "data.shop".to_owned() });
    };
    let external_account = shop_domain(&shop.myshopify_domain)
        .ok_or_else(|| ProviderError::Malformed { path: "data.shop.myshopifyDomain".to_owned() })?;
    // What the installation says is true now; what came with the token was when it was made.
    let installed = current_app_installation.map(|installation| installation.access_scopes).unwrap_or_default();
    let mut scopes: Vec<String> = installed.into_iter().map(|scope| scope.handle).collect();
    scopes.extend(token.scopes);
    let config = json!({
        "shop_id": shop.id.as_str(),
        "domain": external_account,
        "primary_domain": shop.primary_domain.as_ref().map(|domain| domain.host.as_str()),
        "url": shop.primary_domain.as_ref().map(|domain| domain.url.as_str()),
        "currency": shop.currency_code,
        "timezone": shop.iana_timezone,
        "taxes_included": shop.taxes_included,
        "weight_unit": shop.weight_unit,
        "plan": shop.plan.as_ref().map(|plan| plan.public_display_name.as_str()),
        "is_development": shop.plan.as_ref().map(|plan| plan.partner_development),
    });
    Ok(Established {
        external_account,
        display_name: shop.name,
        config,
        credential,
        scopes: expanded(&scopes).into_iter().collect(),
    })
}
