//! Faults switched on over HTTP, at `/sandbox/faults`: as JSON for programs, as a form for people (`docs/sandbox.md`).
//!
//! Only the listeners on loopback serve it, under names of this machine, so a page of somebody else's cannot reach it by a name
//! of its own; what such a page sends here from a browser says where it comes from, and is refused.

use super::{Fault, Faults, Rule, Shared, lock, page};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use chrono::TimeDelta;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use url::form_urlencoded;

/// The kinds of faults, as they are named over HTTP, each with what it does, in words for people.
pub(super) const KINDS: [(&str, &str); 17] = [
    ("latency", "Answers late: by milliseconds, and by something up to jitter_milliseconds more"),
    ("too_many_requests", "429, with Retry-After of retry_after_seconds"),
    ("throttled", "Shopify's THROTTLED: 200, with errors, and nothing left of the budget"),
    ("status", "Answers with status and no words; 503 when none is given"),
    ("php_fatal", "500, with WordPress' JSON for a fatal error"),
    ("hang", "Never answers, and keeps the connection open"),
    ("cut_before", "Closes the connection; the request is not looked at"),
    ("lost_answer", "Does what was asked, then closes the connection without an answer"),
    ("cut_after_headers", "Closes the connection after the headers"),
    ("half_body", "Announces all of the body, sends half, closes the connection"),
    ("slow_drip", "Sends the body bytes by bytes, with milliseconds before each piece"),
    ("malformed_json", "Sends half of the body as if it were all"),
    ("html", "Answers with a web page where JSON is expected; status 200 when none is given"),
    ("redirect", "Sends the caller to location, with 302 when no status is given"),
    ("revoked_token", "Refuses the token or key in the provider's own words; tokens can be renewed"),
    ("uninstalled", "The same, and the renewal of tokens is refused too"),
    ("clock_skew", "The clock is off by skew_seconds; behind, when negative"),
];

/// Longest pause; whoever wants more has `hang`.
const MILLISECONDS_MAX: u64 = 600_000;

/// A fault as it is asked for.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    pub(super) fault: String,
    /// A host, or `*.` and the domain above it; absent for all.
    #[serde(default)]
    pub(super) host: Option<String>,
    /// A part of the path; `*` in it stands for anything.
    #[serde(default)]
    pub(super) path: Option<String>,
    /// So many requests; absent for all until it is taken away.
    #[serde(default)]
    pub(super) times: Option<u32>,
    /// So many requests pass first.
    #[serde(default)]
    after: Option<u32>,
    /// The share of requests, from 0 to 1.
    #[serde(default)]
    pub(super) probability: Option<f64>,
    /// Chooses which; the same seed chooses the same.
    #[serde(default)]
    seed: Option<u64>,
    #[serde(default)]
    milliseconds: Option<u64>,
    #[serde(default)]
    jitter_milliseconds: Option<u64>,
    #[serde(default)]
    bytes: Option<usize>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    retry_after_seconds: Option<u64>,
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    skew_seconds: Option<i64>,
}

/// A fault that is on.
pub(super) struct Active {
    pub(super) id: u64,
    pub(super) asked: Asked,
    rule: Shared,
    services: Vec<Faults>,
}

impl Active {
    pub(super) fn struck(&self) -> u64 {
        lock(&self.rule).struck
    }

    pub(super) fn left(&self) -> Option<u32> {
        lock(&self.rule).times
    }

    fn view(&self) -> Value {
        let mut view = serde_json::to_value(&self.asked).unwrap_or_default();
        if let Some(members) = view.as_object_mut() {
            members.retain(|_, value| !value.is_null());
            members.insert("id".to_owned(), self.id.into());
            members.insert("struck".to_owned(), self.struck().into());
            members.insert("left".to_owned(), self.left().into());
        }
        view
    }
}

/// All services and what is on in them. Clones are of the same board.
#[derive(Clone)]
pub(crate) struct Board {
    pub(super) services: Arc<[(Vec<String>, Faults)]>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    made: u64,
    active: Vec<Active>,
}

impl Board {
    /// Each service with its hosts.
    pub(crate) fn new(services: Vec<(Vec<String>, Faults)>) -> Board {
        Board { services: services.into(), inner: Arc::default() }
    }

    pub(crate) fn router(&self) -> Router {
        Router::new()
            .route("/sandbox/faults", get(show).post(inject).delete(clear))
            .route("/sandbox/faults/clear", post(clear))
            .route("/sandbox/faults/{id}", get(one).delete(remove))
            .route("/sandbox/faults/{id}/remove", post(remove))
            .with_state(self.clone())
    }

    /// What has struck for the last time is forgotten.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        let mut inner = lock(&self.inner);
        inner.active.retain(|active| !lock(&active.rule).is_over());
        inner
    }

    /// What is on, oldest first.
    pub(super) fn look<T>(&self, look: impl FnOnce(&[Active]) -> T) -> T {
        look(&self.inner().active)
    }

    fn add(&self, asked: Asked) -> Result<Value, String> {
        let rule = rule(&asked)?;
        let services: Vec<Faults> = self
            .services
            .iter()
            .filter(|(hosts, _)| is_meant(&asked, hosts))
            .map(|(_, faults)| faults.clone())
            .collect();
        if services.is_empty() {
            return Err(format!("host: no simulated shop is at {}", asked.host.unwrap_or_default()));
        }
        let rule = Arc::new(Mutex::new(rule));
        for service in &services {
            service.share(&rule);
        }
        let mut inner = self.inner();
        inner.made += 1;
        let active = Active { id: inner.made, asked, rule, services };
        let view = active.view();
        inner.active.push(active);
        Ok(view)
    }

    fn take_away(&self, which: impl Fn(u64) -> bool) -> usize {
        let mut inner = self.inner();
        let (gone, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut inner.active).into_iter().partition(|active| which(active.id));
        inner.active = kept;
        for active in &gone {
            for service in &active.services {
                service.take_away(&active.rule);
            }
        }
        gone.len()
    }
}

fn is_meant(asked: &Asked, hosts: &[String]) -> bool {
    let Some(wanted) = &asked.host else { return true };
    match wanted.strip_prefix('*') {
        Some(tail) => hosts.iter().any(|host| host.ends_with(tail)),
        None => hosts.iter().any(|host| host.eq_ignore_ascii_case(wanted)),
    }
}

fn rule(asked: &Asked) -> Result<Rule, String> {
    let mut rule = Rule::from(fault(asked)?);
    if let Some(path) = &asked.path {
        rule = rule.on(path);
    }
    if let Some(share) = asked.probability
        && !(0.0..=1.0).contains(&share)
    {
        return Err("probability: must be from 0 to 1".to_owned());
    }
    rule = rule.with_probability(asked.probability.unwrap_or(1.0), asked.seed.unwrap_or_default());
    if let Some(after) = asked.after {
        rule = rule.after(after);
    }
    match asked.times {
        Some(0) => Err("times: must be 1 or more, or be left out".to_owned()),
        Some(times) => Ok(rule.times(times)),
        None => Ok(rule),
    }
}

fn fault(asked: &Asked) -> Result<Fault, String> {
    let millis = |given: Option<u64>, usually| match given.unwrap_or(usually) {
        millis if millis <= MILLISECONDS_MAX => Ok(Duration::from_millis(millis)),
        _ => Err(format!("milliseconds: must be {MILLISECONDS_MAX} at most; hang never answers")),
    };
    let status =
        |usually| StatusCode::from_u16(asked.status.unwrap_or(usually)).ok().filter(|status| status.as_u16() >= 200);
    let status = |usually| status(usually).ok_or_else(|| "status: must be from 200 to 999".to_owned());
    Ok(match asked.fault.as_str() {
        "latency" => {
            let from = millis(asked.milliseconds, 500)?;
            Fault::Jitter(from, from + millis(asked.jitter_milliseconds, 0)?)
        }
        "too_many_requests" => Fault::too_many_requests(asked.retry_after_seconds.map(Duration::from_secs)),
        "throttled" => Fault::throttled(),
        "status" => Fault::answer(status(503)?, "text/plain; charset=utf-8", ""),
        "php_fatal" => Fault::php_fatal(),
        "hang" => Fault::Hang,
        "cut_before" => Fault::CutBeforeHeaders,
        "lost_answer" => Fault::LoseAnswer,
        "cut_after_headers" => Fault::CutAfterHeaders,
        "half_body" => Fault::CutHalfway,
        "slow_drip" => Fault::Drip { bytes: asked.bytes.unwrap_or(64), pause: millis(asked.milliseconds, 200)? },
        "malformed_json" => Fault::Truncate,
        "html" => Fault::html(status(200)?, "Just a moment…"),
        "redirect" => {
            let location = asked.location.as_deref().ok_or("location: is required for a redirect")?;
            let location = HeaderValue::from_str(location).map_err(|_| "location: cannot be a header")?;
            let headers = HeaderMap::from_iter([(header::LOCATION, location)]);
            Fault::Answer { status: status(302)?, headers, body: Bytes::new() }
        }
        "revoked_token" => Fault::RevokedToken,
        "uninstalled" => Fault::Uninstalled,
        "clock_skew" => {
            let seconds = asked.skew_seconds.ok_or("skew_seconds: is required")?;
            let century = 3_155_760_000;
            if !(-century..=century).contains(&seconds) {
                return Err("skew_seconds: must be less than a hundred years".to_owned());
            }
            Fault::WrongClock(TimeDelta::seconds(seconds))
        }
        other => {
            let known = KINDS.map(|(name, _)| name).join(", ");
            return Err(format!("fault: there is no {other}; there are {known}"));
        }
    })
}

fn refusal(status: StatusCode, error: &str) -> Response {
    (status, axum::Json(json!({ "error": error }))).into_response()
}

/// A browser says where a page comes from that sends something. Programs say nothing.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let own = text(header::HOST).map(|host| format!("http://{host}"));
    headers.contains_key(header::ORIGIN) && text(header::ORIGIN) != own.as_deref()
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.starts_with("application/x-www-form-urlencoded")
}

async fn show(State(board): State<Board>, headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") {
        return page::list(&board, None);
    }
    let kinds: Map<String, Value> = KINDS.iter().map(|(name, says)| ((*name).to_owned(), json!(says))).collect();
    let hosts: Vec<&String> = board.services.iter().flat_map(|(hosts, _)| hosts).collect();
    let data: Vec<Value> = board.look(|active| active.iter().map(Active::view).collect());
    axum::Json(json!({ "data": data, "kinds": kinds, "hosts": hosts })).into_response()
}

async fn one(State(board): State<Board>, Path(id): Path<u64>) -> Response {
    match board.look(|active| active.iter().find(|active| active.id == id).map(Active::view)) {
        Some(view) => axum::Json(view).into_response(),
        None => refusal(StatusCode::NOT_FOUND, "no such fault is on"),
    }
}

async fn inject(State(board): State<Board>, headers: HeaderMap, body: Bytes) -> Response {
    if is_foreign(&headers) {
        return refusal(StatusCode::FORBIDDEN, "this was sent by another page");
    }
    let is_form = is_form(&headers);
    let asked = if is_form { of_form(&body) } else { serde_json::from_slice(&body).map_err(|error| error.to_string()) };
    match asked.and_then(|asked: Asked| board.add(asked)) {
        Ok(_) if is_form => Redirect::to("/sandbox/faults").into_response(),
        Ok(view) => (StatusCode::CREATED, axum::Json(view)).into_response(),
        Err(error) if is_form => page::list(&board, Some(&error)),
        Err(error) => refusal(StatusCode::BAD_REQUEST, &error),
    }
}

/// What is left empty in a form is not said.
fn of_form(body: &[u8]) -> Result<Asked, String> {
    let value = |name: &str, text: &str| match text.parse::<serde_json::Number>() {
        Ok(number) if !matches!(name, "fault" | "host" | "path" | "location") => Value::Number(number),
        _ => Value::from(text),
    };
    let members: Map<String, Value> = form_urlencoded::parse(body)
        .filter(|(_, text)| !text.trim().is_empty())
        .map(|(name, text)| (name.to_string(), value(&name, text.trim())))
        .collect();
    serde_json::from_value(Value::Object(members)).map_err(|error| error.to_string())
}

async fn clear(State(board): State<Board>, headers: HeaderMap) -> Response {
    if is_foreign(&headers) {
        return refusal(StatusCode::FORBIDDEN, "this was sent by another page");
    }
    let gone = board.take_away(|_| true);
    if is_form(&headers) {
        return Redirect::to("/sandbox/faults").into_response();
    }
    axum::Json(json!({ "taken_away": gone })).into_response()
}

async fn remove(State(board): State<Board>, Path(id): Path<u64>, headers: HeaderMap) -> Response {
    if is_foreign(&headers) {
        return refusal(StatusCode::FORBIDDEN, "this was sent by another page");
    }
    let gone = board.take_away(|known| known == id);
    match gone {
        _ if is_form(&headers) => Redirect::to("/sandbox/faults").into_response(),
        0 => refusal(StatusCode::NOT_FOUND, "no such fault is on"),
        _ => axum::Json(json!({ "taken_away": gone })).into_response(),
    }
}
