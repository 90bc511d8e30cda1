//! The span of a request, for who has a collector (`crate::telemetry::traces`). By the semantic conventions for HTTP servers
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>), but for what could say who asked and what for: no path, no
//! query, no address, no user agent.

use axum::{
    extract::{MatchedPath, Request},
    response::Response,
};
use kit::{App, Code, error_reports::standard_method, request_id};
use tracing::{Span, field::Empty};

use crate::telemetry::traces::TARGET;

/// W3C Trace Context. Nothing of ours carries it on: providers never see it.
const TRACEPARENT: &str = "traceparent";

pub(super) fn begin(app: &App, request: Request) -> (Span, Request) {
    let (caller, request) = caller(app, request);
    let method = standard_method(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let span = tracing::info_span!(
        target: TARGET,
        "request",
        otel.kind = "server",
        otel.name = format!("{method} {route}"),
        otel.status = Empty,
        otel.traceparent = caller,
        http.request.method = method,
        http.route = route,
        url.scheme = app.config.public_url.scheme(),
        http.response.status_code = Empty,
        "error.type" = Empty,
        entrepot.request_id = Empty,
    );
    (span, request)
}

/// What a caller says of the trace that this request is part of, where the operator believes them.
fn caller(app: &App, request: Request) -> (Option<String>, Request) {
    if !request.headers().contains_key(TRACEPARENT) {
        return (None, request);
    }
    let (parts, body) = request.into_parts();
    let config = &app.config;
    let is_believed =
        config.trusted_proxies.address(&parts).is_some_and(|address| config.traced_callers.contains(address));
    let said = parts.headers.get(TRACEPARENT).filter(|_| is_believed).and_then(|value| value.to_str().ok());
    (said.map(str::to_owned), Request::from_parts(parts, body))
}

pub(super) fn end(span: &Span, response: &Response) {
    if span.is_disabled() {
        return;
    }
    span.record("http.response.status_code", response.status().as_u16());
    if let Some(id) = request_id::current() {
        span.record("entrepot.request_id", id);
    }
    if let Some(code) = response.extensions().get::<Code>() {
        span.record("error.type", code.as_str());
    }
    if response.status().is_server_error() {
        span.record("otel.status", "error");
    }
}
