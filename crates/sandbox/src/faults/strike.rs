//! The layer in front of a service.

use super::{ClockSkew, Fault, Faults};
use crate::Clock;
use crate::server::Abort;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, Uri, header};
use http_body_util::BodyExt;
use std::io;
use std::time::Duration;

pub(super) async fn strike(State(faults): State<Faults>, mut request: Request, next: Next) -> Response {
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
            Fault::Uninstalled if request.uri().path().ends_with("/admin/oauth/access_token") => return uninstalled(),
            // Renewing a token is no use of it.
            Fault::RevokedToken if request.uri().path().starts_with("/admin/oauth/") => {}
            Fault::RevokedToken | Fault::Uninstalled => strip_credentials(&mut request),
            Fault::WrongClock(skew) => {
                request.extensions_mut().insert(ClockSkew(*skew));
            }
            Fault::CutBeforeHeaders => return abort(),
            Fault::Answer { status, headers, body } => {
                let mut response = (*status, body.clone()).into_response();
                response.headers_mut().clear();
                response.headers_mut().extend(headers.clone());
                return response;
            }
            Fault::LateAnswer(_)
            | Fault::CutAfterHeaders
            | Fault::CutHalfway
            | Fault::LoseAnswer
            | Fault::Drip { .. }
            | Fault::Truncate
            | Fault::Prefix(_)
            | Fault::GiantField(_)
            // Its time was chosen when it struck.
            | Fault::Jitter(..) => {}
        }
    }
    let response = next.run(request).await;
    spoil(response, &striking).await
}

fn abort() -> Response {
    let mut response = StatusCode::OK.into_response();
    response.extensions_mut().insert(Abort);
    response
}

/// What Shopify says to an app that wants a token of a shop which has removed it.
fn uninstalled() -> Response {
    let body = r#"{"error":"invalid_client","error_description":"The app is not installed in this shop"}"#;
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Takes away whatever proves who is calling; the service says itself what it thinks of that.
fn strip_credentials(request: &mut Request) {
    request.headers_mut().remove(header::AUTHORIZATION);
    request.headers_mut().remove("x-shopify-access-token");
    let is_credential = |pair: &&str| pair.starts_with("consumer_") || pair.starts_with("oauth_");
    let kept = match request.uri().query() {
        Some(query) if query.split('&').any(|pair| is_credential(&pair)) => {
            query.split('&').filter(|pair| !is_credential(pair)).collect::<Vec<_>>().join("&")
        }
        _ => return,
    };
    let path = request.uri().path();
    let target = if kept.is_empty() { path.to_owned() } else { format!("{path}?{kept}") };
    if let Ok(uri) = target.parse::<Uri>() {
        *request.uri_mut() = uri;
    }
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
            Fault::WrongClock(skew) if !parts.headers.contains_key(header::DATE) => {
                let date = (Clock::default().now() + *skew).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
                if let Ok(date) = HeaderValue::from_str(&date) {
                    parts.headers.insert(header::DATE, date);
                }
            }
            Fault::GiantField(bytes) => body = whole(with_giant_field(&body, *bytes), &mut parts),
            Fault::LoseAnswer => return abort(),
            Fault::Truncate => body = whole(body.slice(..body.len() / 2), &mut parts),
            Fault::Drip { bytes, pause } => return drip(parts, body, (*bytes).max(1), *pause),
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
                    Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), 2))
                }
                _ => None,
            }
        }
    });
    Response::from_parts(parts, Body::from_stream(stream))
}

/// All of `body`, a piece at a time.
fn drip(mut parts: http::response::Parts, body: Bytes, bytes: usize, pause: Duration) -> Response {
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let stream = futures::stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = rest.split_to(bytes.min(rest.len()));
        Some((Ok::<_, io::Error>(piece), rest))
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
