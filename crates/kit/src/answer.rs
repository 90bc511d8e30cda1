//! The one writer that may put personal data into an answer.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use kernel::{Exit, personal::Door};

/// The answer that `write` makes of the revealed values. It must not be kept by anyone on the way.
///
/// # Errors
/// When the answer cannot be serialised, which is a bug in its view.
pub fn reveal(write: impl FnOnce(&Exit, &mut Vec<u8>) -> serde_json::Result<()>) -> serde_json::Result<Response> {
    #[expect(clippy::disallowed_methods, reason = "the exit into an authorised caller's answer")]
    let exit = Exit::open(Door::Answer);
    let mut body = Vec::with_capacity(32 * 1024);
    write(&exit, &mut body)?;
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
