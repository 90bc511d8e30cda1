//! The one writer that may put personal data into an answer.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use kernel::{Exit, personal::Door};
use serde::Serialize;

/// Serialises what `view` makes of the revealed values. The answer must not be kept by anyone on the way.
///
/// # Errors
/// When the view cannot be serialised, which is a bug in the view.
pub fn reveal<V: Serialize>(view: impl FnOnce(&Exit) -> V) -> Result<Response, serde_json::Error> {
    #[expect(clippy::disallowed_methods, reason = "the exit into an authorised caller's answer")]
    let exit = Exit::open(Door::Answer);
    let body = serde_json::to_vec(&view(&exit))?;
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
