//! Finding a shop's REST API from its address (W1, W6).

use connector::{
    ProviderError,
    http::{Class, Http, Request, Response},
    provider::ConnectError,
};
use http::{HeaderValue, StatusCode, header};
use kernel::{Clock, random};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{SHOP_URL, address, behind_password, firewall, inactive, invalid};
use crate::woocommerce::{api::refusal, convert};

/// The relation under which WordPress announces its REST API.
const API_RELATION: &str = "https://api.w.org/";

/// A WordPress site with WooCommerce.
pub(super) struct Site {
    pub(super) name: String,
    pub(super) home: Url,
    pub(super) rest_root: Url,
    pub(super) timezone: String,
    pub(super) gmt_offset_minutes: Option<i32>,
}

/// The part of WordPress' index that matters. Plugins change types here as everywhere.
#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    name: Value,
    #[serde(default)]
    home: Value,
    #[serde(default)]
    url: Value,
    #[serde(default)]
    timezone_string: Value,
    #[serde(default)]
    gmt_offset: Value,
    namespaces: Vec<String>,
}

/// What stands where the index might be.
enum Found {
    Index(Box<Index>, Url),
    /// JSON of WordPress, but no index: a plugin keeps it from visitors.
    Closed,
    Firewall,
    Nothing,
}

/// `page` is what [`home_page`] gave for the typed address.
pub(super) async fn find(http: &Http, clock: &Clock, typed: &Url, page: Response) -> Result<Site, ConnectError> {
    // Where redirects led is where the shop is. A language's folder (`/hu/`) that its home page leads to is not.
    let base = if address::same_host(&page.url, typed) { at_host_of(typed, &page.url) } else { page.url.clone() };
    let mut candidates = vec![];
    if let Some(announced) = announced_root(&page) {
        if is_plain(&announced) {
            return Err(plain_permalinks());
        }
        if !address::same_host(&announced, &base) {
            return Err(elsewhere(&announced));
        }
        // A shop behind a proxy that ends TLS believes that it is on http.
        candidates.push(if base.scheme() == "https" { with_scheme(announced, "https") } else { announced });
    }
    candidates.extend(["wp-json/", "index.php/wp-json/"].iter().filter_map(|tail| folder(&base).join(tail).ok()));

    let mut is_closed = false;
    let mut is_blocked = matches!(page.status, StatusCode::FORBIDDEN | StatusCode::NOT_ACCEPTABLE);
    for candidate in candidates {
        match index(http, clock, &candidate).await? {
            Found::Index(index, root) => return site(*index, root),
            Found::Closed => is_closed = true,
            Found::Firewall => is_blocked = true,
            Found::Nothing => {}
        }
    }
    if is_closed {
        return Err(invalid(
            SHOP_URL,
            "A plugin of the shop closes its REST API to visitors. Allow the addresses below /wp-json/ in that plugin.",
        ));
    }
    if is_blocked {
        return Err(firewall());
    }
    // The page may announce nothing, with a theme that removes the link.
    let mut plain = folder(&base);
    plain.set_query(Some("rest_route=/"));
    if let Found::Index(..) = index(http, clock, &plain).await? {
        return Err(plain_permalinks());
    }
    Err(invalid(
        SHOP_URL,
        "There is no WordPress site at this address. Type the address of the shop's home page, with its folder if it has one.",
    ))
}

fn site(index: Index, root: Url) -> Result<Site, ConnectError> {
    if !index.namespaces.iter().any(|namespace| namespace == "wc/v3") {
        return Err(inactive());
    }
    let reported = [&index.home, &index.url].into_iter().find_map(|value| value.as_str()).map(Url::parse);
    let home = match reported {
        Some(Ok(home)) if matches!(home.scheme(), "http" | "https") => folder(&home),
        _ => return Err(ProviderError::Malformed { path: "index.home".to_owned() }.into()),
    };
    // The home URL names the account: a shop may not pass itself off as another.
    if !address::same_host(&home, &root) {
        return Err(elsewhere(&home));
    }
    let name = index.name.as_str().map(convert::decode_entities).filter(|name| !name.trim().is_empty());
    Ok(Site {
        name: name.unwrap_or_else(|| address::canonical(&home)),
        home,
        rest_root: root,
        timezone: index.timezone_string.as_str().unwrap_or_default().to_owned(),
        gmt_offset_minutes: offset_minutes(&index.gmt_offset),
    })
}

/// Hours, as a number or a text, with fractions (`5.5`). Of quarter hours a binary fraction is exact.
fn offset_minutes(value: &Value) -> Option<i32> {
    let hours = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    let minutes = hours * 60.0;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked, and a minute is exact enough")]
    (minutes.abs() <= 14.0 * 60.0).then_some(minutes.round() as i32)
}

/// The page that the typed address leads to. Some firewalls refuse HEAD, so a refused one is asked again in full.
pub(super) async fn home_page(http: &Http, typed: &Url) -> Result<Response, ConnectError> {
    let head = send(http, Request::head(typed.clone())).await;
    match head {
        Ok(response) if response.status.is_success() => Ok(response),
        // A page may be longer than we read, and what matters of it is in its headers.
        Ok(response) => Ok(send(http, Request::get(typed.clone())).await.unwrap_or(response)),
        Err(ProviderError::Rejected { detail }) => {
            Err(invalid(SHOP_URL, format!("The shop cannot be called: {detail}.")))
        }
        Err(_) => Ok(send(http, Request::get(typed.clone())).await?),
    }
}

async fn send(http: &Http, request: Request) -> Result<Response, ProviderError> {
    http.send(request.class(Class::Discovery).header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))).await
}

/// The root that the page announces: `Link: <https://shop.example/wp-json/>; rel="https://api.w.org/"`.
pub(in super::super) fn announced_root(page: &Response) -> Option<Url> {
    let lines = page.headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok());
    let target = lines.flat_map(|line| line.split(", ")).find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        parameters.contains(API_RELATION).then_some(target)
    })?;
    page.url.join(target).ok()
}

/// `https://shop.example/?rest_route=/`: on such a site keys are not looked at.
fn is_plain(root: &Url) -> bool {
    root.query_pairs().any(|(name, _)| name == "rest_route")
}

async fn index(http: &Http, clock: &Clock, root: &Url) -> Result<Found, ConnectError> {
    let mut url = root.clone();
    url.query_pairs_mut()
        .append_pair("_fields", "name,url,home,gmt_offset,timezone_string,namespaces")
        .append_pair("nocache", &random::base62(12));
    let response = match send(http, Request::get(url)).await {
        Ok(response) => response,
        Err(ProviderError::Rejected { .. } | ProviderError::Malformed { .. }) => return Ok(Found::Nothing),
        Err(error) => return Err(error.into()),
    };
    let Ok(answer) = refusal::read(&response, clock.now()) else { return Ok(Found::Nothing) };
    Ok(match answer {
        Ok(document) => match serde_json::from_value::<Index>(document) {
            Ok(index) => Found::Index(Box::new(index), folder(&response.url)),
            Err(_) => Found::Nothing,
        },
        Err(refusal) if refusal.is_firewall() => Found::Firewall,
        Err(refusal) => match (refusal.status, &refusal.code) {
            (StatusCode::UNAUTHORIZED, None) => return Err(behind_password()),
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Some(_)) => Found::Closed,
            (StatusCode::TOO_MANY_REQUESTS, _) => return Err(refusal.into_error().into()),
            (status, _) if status.is_server_error() => return Err(refusal.into_error().into()),
            _ => Found::Nothing,
        },
    })
}

fn folder(url: &Url) -> Url {
    let mut folder = url.clone();
    folder.set_query(None);
    folder.set_fragment(None);
    folder.set_path(&address::as_folder(url.path()));
    folder
}

/// `path` of the one, everything before it of the other.
fn at_host_of(path: &Url, host: &Url) -> Url {
    let mut url = host.clone();
    url.set_query(None);
    url.set_path(path.path());
    url
}

fn with_scheme(mut url: Url, scheme: &str) -> Url {
    // Between http and https this cannot fail; a URL that it fails for stays what it is and is refused by the client.
    let _ = url.set_scheme(scheme);
    url
}

fn plain_permalinks() -> ConnectError {
    invalid(
        SHOP_URL,
        "The shop's permalinks are set to Plain, and so it does not accept keys. In the shop's admin choose anything else in \
         Settings → Permalinks, then connect again.",
    )
}

fn elsewhere(told: &Url) -> ConnectError {
    invalid(
        SHOP_URL,
        format!(
            "The shop says that its address is {}. Connect with that address, or correct it in the shop's Settings → \
             General.",
            address::canonical(told)
        ),
    )
}
