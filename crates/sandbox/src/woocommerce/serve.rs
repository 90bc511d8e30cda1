//! Routes of a shop: the REST API, and the pages around it that lead to it.

use super::auth::{Caller, Credentials};
use super::error::RestError;
use super::json::Fields;
use super::params::Window;
use super::query::{Query, decode};
use super::shop::{Data, Shop};
use super::spec::Transport;
use super::{customers, facts, orders, products, wc_auth};
use crate::faults::ClockSkew;
use crate::server::{Call, Origin, Scheme};
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

/// The routes, behind the shop's faults, behind its call log.
pub(super) fn router(shop: &Shop) -> Router {
    let router = Router::new().fallback(serve).with_state(shop.clone());
    shop.faults().apply(router).layer(from_fn_with_state(shop.clone(), record))
}

async fn record(State(shop): State<Shop>, request: Request, next: Next) -> Response {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let endpoint = match shop_path(&shop, path).and_then(|path| rest_route(path, &Query::parse(query))) {
        Some(route) => endpoint(&route),
        None => "page".to_owned(),
    };
    let call = Call { method: request.method().clone(), endpoint, path: path.to_owned(), query: query.to_owned() };
    shop.calls().record(call);
    next.run(request).await
}

/// What is asked of one endpoint.
pub(super) struct Ask<'a> {
    pub(super) shop: &'a Shop,
    pub(super) data: &'a Data,
    pub(super) query: &'a Query,
    pub(super) caller: &'a Caller,
    pub(super) fields: Option<Fields>,
    /// As PHP sees it.
    pub(super) ssl: bool,
}

impl Ask<'_> {
    /// An address of this shop's `wc/v3`.
    pub(super) fn rest_url(&self, path: &str) -> String {
        format!("{}/wp-json/wc/v3/{path}", self.shop.spec().home())
    }
}

/// What an endpoint answers.
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    pub(super) headers: Vec<(header::HeaderName, String)>,
}

impl Answer {
    /// One object.
    pub(super) fn single(body: Vec<u8>) -> Answer {
        Answer { body, headers: vec![] }
    }

    /// A page of a collection at `path`.
    pub(super) fn page(ask: &Ask<'_>, path: &str, window: Window, total: usize, body: Vec<u8>) -> Answer {
        let pages = total.div_ceil(window.per_page);
        let mut headers = vec![
            (header::HeaderName::from_static("x-wp-total"), total.to_string()),
            (header::HeaderName::from_static("x-wp-totalpages"), pages.to_string()),
        ];
        // Every query parameter comes back, keys and signatures among them.
        let link = |page: usize, relation: &str| {
            let mut query = ask.query.clone();
            query.set("page", page.to_string());
            format!("<{}?{}>; rel=\"{relation}\"", ask.rest_url(path), query.encode())
        };
        let mut links = vec![];
        if window.page > 1 {
            links.push(link((window.page - 1).min(pages), "prev"));
        }
        if pages > window.page {
            links.push(link(window.page + 1, "next"));
        }
        if !links.is_empty() {
            headers.push((header::LINK, links.join(", ")));
        }
        Answer { body, headers }
    }
}

async fn serve(State(shop): State<Shop>, request: Request) -> Response {
    let skew = request.extensions().get::<ClockSkew>().map_or(chrono::TimeDelta::zero(), |skew| skew.0);
    let now = shop.clock().now() + skew;
    let mut response = match consent(&shop, &request) {
        Some((route, query, method)) => wc_auth::answer(&shop, &route, &query, &method).await,
        None => dispatch(&shop, &request, now.timestamp()),
    };
    let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(header::DATE, date);
    }
    response.headers_mut().insert(header::SERVER, HeaderValue::from_static("Apache"));
    response
}

/// A request for the pages of a merchant's consent, if it comes by the shop's own scheme, or from a browser on this machine.
fn consent(shop: &Shop, request: &Request) -> Option<(String, Query, Method)> {
    let (spec, uri) = (shop.spec(), request.uri());
    let origin = request.extensions().get::<Origin>()?;
    let is_at_home = spec.transport == Transport::HttpOnly
        || origin.scheme == Scheme::Https
        || origin.host == wc_auth::browser_host(&spec.host);
    let query = Query::parse(uri.query().unwrap_or_default());
    let route = wc_auth::route(shop, uri.path(), &query).filter(|_| is_at_home)?;
    Some((route, query, request.method().clone()))
}

fn dispatch(shop: &Shop, request: &Request, now: i64) -> Response {
    let spec = shop.spec();
    let uri = request.uri();
    let scheme = request.extensions().get::<Origin>().map_or(Scheme::Https, |origin| origin.scheme);
    if spec.transport != Transport::HttpOnly && scheme == Scheme::Http {
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        return redirect(&format!("{}{target}", spec.origin(true)));
    }
    let ssl = scheme == Scheme::Https && spec.transport == Transport::Https;
    let Some(path) = shop_path(shop, uri.path()) else { return page(shop, StatusCode::NOT_FOUND) };
    let query = Query::parse(uri.query().unwrap_or_default());
    if !spec.pretty_permalinks && is_below(path, "/wp-json") {
        return redirect(&format!("{}/", spec.home()));
    }
    let Some(route) = rest_route(path, &query) else { return front(shop, request, path) };
    let in_path = is_below(path, "/wp-json/wc") || path.contains("/wp-json/wc-");
    let honors_keys = in_path || (spec.version.reads_rest_route() && route.starts_with("/wc"));
    let method = effective_method(request.method(), &query, request.headers());
    let caller = if honors_keys {
        let (path, headers) = (uri.path(), request.headers());
        Caller::identify(shop, &Credentials { method: request.method(), path, query: &query, headers, ssl, now })
    } else {
        Ok(Caller::Anonymous)
    };
    let fields = query.list("_fields").and_then(|list| Fields::parse(&list.join(",")));
    let outcome = caller.and_then(|caller| {
        caller.may_use(&method)?;
        let data = shop.data();
        let ask = Ask { shop, data: &data, query: &query, caller: &caller, fields, ssl };
        answer(&ask, &route, &method)
    });
    finish(shop, outcome)
}

/// The route table.
fn answer(ask: &Ask<'_>, route: &str, method: &Method) -> Result<Answer, RestError> {
    let parts: Vec<&str> = route.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Ok(facts::index(ask));
    }
    let ["wc", "v3", parts @ ..] = parts.as_slice() else { return Err(RestError::no_route()) };
    if !ask.shop.spec().active {
        return Err(RestError::no_route());
    }
    let id = |part: &str| part.parse().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()));
    let ids: Vec<Option<u64>> = parts.iter().map(|part| id(part)).collect();
    let known = match (parts, ids.as_slice()) {
        (["orders"], _) => orders::list(ask),
        (["orders", _], [_, Some(id)]) => orders::single(ask, *id),
        (["orders", _, "refunds"], [_, Some(id), _]) => orders::refunds(ask, *id),
        (["orders", _, "refunds", _], [_, Some(id), _, Some(refund)]) => orders::refund(ask, *id, *refund),
        (["customers"], _) => customers::list(ask),
        (["customers", _], [_, Some(id)]) => customers::single(ask, *id),
        (["products"], _) => products::list(ask),
        (["products", _], [_, Some(id)]) => products::single(ask, *id),
        (["products", _, "variations"], [_, Some(id), _]) => products::variations(ask, *id),
        (["products", _, "variations", _], [_, Some(id), _, Some(variation)]) => {
            products::variation(ask, *id, *variation)
        }
        (["data", "currencies", "current"], _) => facts::currency(ask),
        (["settings", "general"], _) => facts::settings(ask),
        (["settings", "general", name], _) => facts::setting(ask, name),
        (["system_status"], _) => facts::system_status(ask),
        _ => return Err(RestError::no_route()),
    };
    match *method {
        Method::GET | Method::HEAD => known,
        // The real API writes here; the simulator says openly that it does not.
        _ => {
            let message = "This simulator only reads.";
            Err(RestError::new(StatusCode::NOT_IMPLEMENTED, "sandbox_not_simulated", message))
        }
    }
}

fn finish(shop: &Shop, outcome: Result<Answer, RestError>) -> Response {
    let mut response = match outcome {
        Ok(answer) => {
            let content_type = [(header::CONTENT_TYPE, "application/json; charset=UTF-8")];
            let mut response = (content_type, answer.body).into_response();
            for (name, value) in answer.headers {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        }
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    // PHP's header() replaces: where a collection has links, this one is gone.
    if !headers.contains_key(header::LINK) {
        headers.extend(api_link(shop));
    }
    for (name, value) in [
        ("x-robots-tag", "noindex"),
        ("x-content-type-options", "nosniff"),
        ("access-control-expose-headers", "X-WP-Total, X-WP-TotalPages, Link"),
        ("access-control-allow-headers", "Authorization, X-WP-Nonce, Content-Disposition, Content-MD5, Content-Type"),
        ("cache-control", "no-cache, must-revalidate, max-age=0, no-store, private"),
        ("expires", "Wed, 11 Jan 1984 05:00:00 GMT"),
    ] {
        headers.insert(header::HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// The front page, or WordPress' page for what is not there; on another host than the configured one, the way home.
fn front(shop: &Shop, request: &Request, path: &str) -> Response {
    let spec = shop.spec();
    let host = request.extensions().get::<Origin>().map_or(spec.host.as_str(), |origin| origin.host.as_str());
    if host != spec.host {
        return redirect(&format!("{}{path}", spec.home()));
    }
    let found = matches!(path, "" | "/" | "/index.php");
    page(shop, if found { StatusCode::OK } else { StatusCode::NOT_FOUND })
}

/// Any page of the shop: each says where the REST API is.
fn page(shop: &Shop, status: StatusCode) -> Response {
    let name = shop.spec().name.replace('&', "&amp;").replace('"', "&#8221;");
    let api = api_root(shop);
    let title = if status == StatusCode::OK { name.clone() } else { format!("Page not found &#8211; {name}") };
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en-US\">\n<head>\n<meta charset=\"UTF-8\" />\n<title>{title}</title>\n\
         <link rel=\"https://api.w.org/\" href=\"{api}\" />\n<meta name=\"generator\" content=\"WordPress {}\" />\n\
         <meta name=\"generator\" content=\"WooCommerce {}\" />\n</head>\n<body class=\"home\"><h1>{name}</h1></body>\n</html>\n",
        shop.spec().wordpress,
        shop.spec().version,
    );
    let mut response = (status, Html(html)).into_response();
    response.headers_mut().extend(api_link(shop));
    response
}

fn redirect(target: &str) -> Response {
    let mut response = (StatusCode::MOVED_PERMANENTLY, Html(String::new())).into_response();
    if let Ok(target) = HeaderValue::from_str(target) {
        response.headers_mut().insert(header::LOCATION, target);
    }
    response
}

fn api_root(shop: &Shop) -> String {
    let spec = shop.spec();
    format!("{}/{}", spec.home(), if spec.pretty_permalinks { "wp-json/" } else { "?rest_route=/" })
}

fn api_link(shop: &Shop) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("<{}>; rel=\"https://api.w.org/\"", api_root(shop)));
    value.map(|value| HeaderMap::from_iter([(header::LINK, value)])).unwrap_or_default()
}

/// The path below the shop's folder; `None`: outside of it.
pub(super) fn shop_path<'p>(shop: &Shop, path: &'p str) -> Option<&'p str> {
    let below = path.strip_prefix(shop.spec().path.as_str())?;
    (below.is_empty() || below.starts_with('/')).then_some(below)
}

fn is_below(path: &str, folder: &str) -> bool {
    let path = path.strip_prefix("/index.php").unwrap_or(path);
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The REST route that a request names: below `/wp-json`, or in `rest_route`. `None`: not a REST request.
fn rest_route(path: &str, query: &Query) -> Option<String> {
    if let Some(route) = query.text("rest_route").filter(|route| !route.is_empty()) {
        return Some(route.to_owned());
    }
    let path = path.strip_prefix("/index.php").unwrap_or(path);
    is_below(path, "/wp-json").then(|| decode(&path["/wp-json".len()..]))
}

/// A route with ids replaced: the same for all objects of a kind.
fn endpoint(route: &str) -> String {
    let parts = route.split('/').filter(|part| !part.is_empty());
    let name = |part: &str| match part.bytes().all(|byte| byte.is_ascii_digit()) {
        true => "{id}".to_owned(),
        false => part.to_owned(),
    };
    let parts: Vec<String> = parts.map(name).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        [] => "index".to_owned(),
        ["wc", "v3", rest @ ..] => rest.join("/"),
        other => other.join("/"),
    }
}

/// `_method` and `X-HTTP-Method-Override` stand in for verbs that a firewall blocks.
fn effective_method(method: &Method, query: &Query, headers: &HeaderMap) -> Method {
    let header = headers.get("x-http-method-override").and_then(|value| value.to_str().ok());
    let named = query.text("_method").or(header);
    named
        .and_then(|name| Method::from_bytes(name.to_ascii_uppercase().as_bytes()).ok())
        .unwrap_or_else(|| method.clone())
}
