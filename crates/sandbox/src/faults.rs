//! What goes wrong between a client and a shop, switched on from tests.
//!
//! A service has one [`Faults`]; its router is wrapped with [`Faults::apply`]. Rules are tried in the order they were injected,
//! and all that match act together, up to one that ends the request: a `Delay` and then an `Answer` is a slow answer.

use crate::server::Abort;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Something that goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The request reaches the service this much later, and so the answer comes later.
    Delay(Duration),
    /// The service does at once what it is asked; its answer comes this much later.
    LateAnswer(Duration),
    /// Something in front of the service answers instead of it.
    Answer {
        /// The status.
        status: StatusCode,
        /// Headers, `Content-Type` among them.
        headers: HeaderMap,
        /// The body.
        body: Bytes,
    },
    /// The connection is closed before any byte of the answer.
    CutBeforeHeaders,
    /// The connection is closed after the headers.
    CutAfterHeaders,
    /// The connection is closed after half of the body.
    CutHalfway,
    /// No answer ever comes; the connection stays open.
    Hang,
    /// These bytes come before the body: a byte order mark, a PHP notice.
    Prefix(Bytes),
    /// The web server does not pass the `Authorization` header on.
    StripAuthorization,
    /// The service's clock is off by this much (ahead, if positive). Read by the service through [`ClockSkew`].
    WrongClock(chrono::TimeDelta),
    /// The first JSON object of the body has one more field, of this many bytes.
    GiantField(usize),
}

/// An extension of a request: how far the service's clock is off for it.
#[derive(Debug, Clone, Copy)]
pub struct ClockSkew(pub chrono::TimeDelta);

impl Fault {
    /// 429 with a plain body, as a hosting company's front end sends it.
    pub fn too_many_requests(retry_after: Option<Duration>) -> Fault {
        let mut fault = Self::html(StatusCode::TOO_MANY_REQUESTS, "429 Too Many Requests");
        if let (Fault::Answer { headers, .. }, Some(wait)) = (&mut fault, retry_after) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        fault
    }

    /// An HTML page with this status, as firewalls and proxies send it.
    pub fn html(status: StatusCode, title: &str) -> Fault {
        let body =
            format!("<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n");
        Self::answer(status, "text/html; charset=UTF-8", body)
    }

    /// Any answer.
    pub fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Fault {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Fault::Answer { status, headers, body: body.into() }
    }

    /// 500 with WordPress' JSON for a fatal PHP error.
    pub fn php_fatal() -> Fault {
        let body = r#"{"code":"internal_server_error","message":"<p>There has been a critical error on this website.<\/p>","data":{"status":500},"additional_errors":[]}"#;
        Self::answer(StatusCode::INTERNAL_SERVER_ERROR, "application/json; charset=UTF-8", body)
    }

    /// A PHP notice printed before the JSON.
    pub fn php_notice() -> Fault {
        let notice = "<br />\n<b>Notice</b>:  Undefined index: rate in <b>/var/www/html/wp-content/plugins/rates/rates.php</b> on line <b>42</b><br />\n";
        Fault::Prefix(Bytes::from_static(notice.as_bytes()))
    }

    /// A UTF-8 byte order mark before the JSON.
    pub fn byte_order_mark() -> Fault {
        Fault::Prefix(Bytes::from_static("\u{feff}".as_bytes()))
    }
}

/// Which requests a fault strikes, and how often.
#[derive(Debug, Clone)]
pub struct Rule {
    fault: Fault,
    path_contains: Option<String>,
    skip: u32,
    times: Option<u32>,
}

impl Rule {
    /// Only requests whose path contains `part`.
    pub fn on(mut self, part: &str) -> Rule {
        self.path_contains = Some(part.to_owned());
        self
    }

    /// Only so many requests, then never again.
    pub fn times(mut self, times: u32) -> Rule {
        self.times = Some(times);
        self
    }

    /// Lets the first `skip` matching requests pass.
    pub fn after(mut self, skip: u32) -> Rule {
        self.skip = skip;
        self
    }

    fn strikes(&mut self, path: &str) -> bool {
        if self.path_contains.as_ref().is_some_and(|part| !path.contains(part.as_str())) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        match &mut self.times {
            None => true,
            Some(0) => false,
            Some(times) => {
                *times -= 1;
                true
            }
        }
    }
}

impl From<Fault> for Rule {
    fn from(fault: Fault) -> Rule {
        Rule { fault, path_contains: None, skip: 0, times: None }
    }
}

/// The faults of one simulated service. Cloning gives another handle on the same.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    rules: Arc<Mutex<Vec<Rule>>>,
}

impl Faults {
    /// Switches a fault on: `faults.inject(Fault::Hang)`, `faults.inject(Rule::from(Fault::Hang).on("/orders").times(1))`.
    pub fn inject(&self, rule: impl Into<Rule>) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(rule.into());
    }

    /// Switches all faults off.
    pub fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Puts the faults in front of a service's routes.
    pub fn apply(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), strike))
    }

    /// The faults that strike a request for `path`; counts the request. Those behind one that ends the request do not see it.
    fn striking(&self, path: &str) -> Vec<Fault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut striking = vec![];
        for rule in rules.iter_mut() {
            if rule.strikes(path) {
                striking.push(rule.fault.clone());
                if matches!(rule.fault, Fault::Answer { .. } | Fault::CutBeforeHeaders | Fault::Hang) {
                    break;
                }
            }
        }
        striking
    }
}

async fn strike(State(faults): State<Faults>, mut request: Request, next: Next) -> Response {
    let striking = faults.striking(request.uri().path());
    if striking.is_empty() {
        return next.run(request).await;
    }
    for fault in &striking {
        match fault {
            Fault::Delay(time) => tokio::time::sleep(*time).await,
            Fault::Hang => std::future::pending().await,
            Fault::StripAuthorization => {
                request.headers_mut().remove(header::AUTHORIZATION);
            }
            Fault::WrongClock(skew) => {
                request.extensions_mut().insert(ClockSkew(*skew));
            }
            Fault::CutBeforeHeaders => {
                let mut response = StatusCode::OK.into_response();
                response.extensions_mut().insert(Abort);
                return response;
            }
            Fault::Answer { status, headers, body } => {
                let mut response = (*status, body.clone()).into_response();
                response.headers_mut().clear();
                response.headers_mut().extend(headers.clone());
                return response;
            }
            Fault::LateAnswer(_)
            | Fault::CutAfterHeaders
            | Fault::CutHalfway
            | Fault::Prefix(_)
            | Fault::GiantField(_) => {}
        }
    }
    let response = next.run(request).await;
    spoil(response, &striking).await
}

/// Applies the faults that change an answer of the service.
async fn spoil(response: Response, striking: &[Fault]) -> Response {
    let (mut parts, body) = response.into_parts();
    let mut body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            tracing::error!(%error, "a simulated answer could not be read");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let whole = |body: Bytes, parts: &mut http::response::Parts| {
        parts.headers.remove(header::CONTENT_LENGTH);
        body
    };
    for fault in striking {
        match fault {
            Fault::LateAnswer(time) => tokio::time::sleep(*time).await,
            Fault::Prefix(prefix) => body = whole([prefix.as_ref(), &body].concat().into(), &mut parts),
            Fault::GiantField(bytes) => body = whole(with_giant_field(&body, *bytes), &mut parts),
            Fault::CutAfterHeaders => return cut(parts, &body, 0),
            Fault::CutHalfway => return cut(parts, &body, body.len() / 2),
            _ => {}
        }
    }
    Response::from_parts(parts, Body::from(body))
}

/// Announces all of `body`, sends `sent` bytes of it, then breaks off.
fn cut(mut parts: http::response::Parts, body: &Bytes, sent: usize) -> Response {
    let length = HeaderValue::from(body.len().max(sent + 1));
    parts.headers.insert(header::CONTENT_LENGTH, length);
    let first = body.slice(..sent);
    let stream = futures::stream::unfold(0u8, move |step| {
        let first = first.clone();
        async move {
            match step {
                0 if !first.is_empty() => Some((Ok(first), 1)),
                // Time for what was written so far to leave the buffers.
                0 | 1 => {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    Some((Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)), 2))
                }
                _ => None,
            }
        }
    });
    Response::from_parts(parts, Body::from_stream(stream))
}

/// Puts the giant field first in the first JSON object of the body; anything else stays as it is.
fn with_giant_field(body: &Bytes, bytes: usize) -> Bytes {
    let Some(open) = body.iter().position(|byte| *byte == b'{').filter(|_| matches!(body.first(), Some(b'{' | b'[')))
    else {
        return body.clone();
    };
    let (before, after) = body.split_at(open + 1);
    let comma = if after.first() == Some(&b'}') { "" } else { "," };
    let field = format!("\"sandbox_giant_field\":\"{}\"{comma}", "x".repeat(bytes));
    [before, field.as_bytes(), after].concat().into()
}
