//! Styles, scripts and the icon, from the binary.

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use kit::Problem;
use sha2::{Digest, Sha256};

macro_rules! assets {
    ($($name:literal: $kind:literal),+ $(,)?) => {
        /// Name, media type, content.
        pub(super) const ALL: &[(&str, &str, &str)] = &[$(($name, $kind, include_str!(concat!("assets/", $name)))),+];
    };
}

assets! {
    "style.css": "text/css; charset=utf-8",
    "reference.css": "text/css; charset=utf-8",
    "favicon.svg": "image/svg+xml",
    "api.js": "text/javascript; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "passkeys.js": "text/javascript; charset=utf-8",
    "prove.js": "text/javascript; charset=utf-8",
    "account.js": "text/javascript; charset=utf-8",
    "status.js": "text/javascript; charset=utf-8",
    "sign-in.js": "text/javascript; charset=utf-8",
    "home.js": "text/javascript; charset=utf-8",
    "stores.js": "text/javascript; charset=utf-8",
    "connect.js": "text/javascript; charset=utf-8",
    "keys.js": "text/javascript; charset=utf-8",
    "events.js": "text/javascript; charset=utf-8",
    "link.js": "text/javascript; charset=utf-8",
    "reference.js": "text/javascript; charset=utf-8",
}

/// One of them. Browsers ask each time whether theirs is the current one, so a new version is seen at once.
pub(super) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some((_, kind, content)) = ALL.iter().find(|(known, ..)| *known == name) else {
        return Problem::not_found().into_response();
    };
    // Weak, since compression changes the bytes and not what they say (RFC 9110, section 8.8.1).
    let tag = format!("W/\"{}\"", hex::encode(&Sha256::digest(content.as_bytes())[..12]));
    let is_known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value == "*" || value.split(',').any(|known| known.trim() == tag));
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, *kind)], *content).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}
