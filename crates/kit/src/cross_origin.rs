//! Calls from web pages of other origins (the Fetch standard's CORS protocol, <https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! A browser asks beforehand without saying which key it will send, so the answer to that is the same for everybody: a page
//! may try. Whether it may read what comes back is the key's to say, which names its pages (`allowed_origins`). Sessions
//! are never readable from another origin: credentials of the browser's own are not allowed, and no session names a page.

use std::sync::{Arc, OnceLock};

use axum::{
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

/// The methods that keys may use.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type, entrepot-organization");
/// What a page may read besides the body.
const ANSWER_HEADERS: HeaderValue =
    HeaderValue::from_static("ratelimit, ratelimit-policy, retry-after, server-timing, x-request-id");
/// Seconds; the longest that Chromium keeps it.
const KEPT: HeaderValue = HeaderValue::from_static("7200");

/// The answer to a browser's question whether a page may call; None for any other request.
pub fn preflight(request: &Request) -> Option<Response> {
    let origin = request.headers().get(header::ORIGIN)?;
    let is_question =
        *request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    is_question.then(|| {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, KEPT),
        ] {
            headers.insert(name, value);
        }
        response
    })
}

/// Where it is left on a request's way in which page may read its answer, to be told on its way out.
#[derive(Clone, Default)]
pub struct Readable {
    has_origin: bool,
    by: Arc<OnceLock<HeaderValue>>,
}

impl Readable {
    /// The place for this request.
    pub fn expected_of(request: &mut Request) -> Self {
        let readable = Self { has_origin: request.headers().contains_key(header::ORIGIN), by: Arc::default() };
        if readable.has_origin {
            request.extensions_mut().insert(readable.clone());
        }
        readable
    }

    /// Lets the page that the request came from read the answer: its key names that page.
    pub fn allow(parts: &Parts) {
        if let (Some(readable), Some(origin)) = (parts.extensions.get::<Self>(), parts.headers.get(header::ORIGIN)) {
            readable.by.get_or_init(|| origin.clone());
        }
    }

    /// Tells the browser.
    pub fn tell(&self, response: &mut Response) {
        if !self.has_origin {
            return;
        }
        let headers = response.headers_mut();
        if let Some(origin) = self.by.get() {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
        }
        // The answer is another one for a page of another origin: no cache may give it to that one.
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
}
