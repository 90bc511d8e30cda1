//! Redirects, for finding a shop's address only. Every hop is checked like the first, and credentials stay with the origin
//! that they were made for.

use http::{
    HeaderMap, HeaderName, Method, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, LOCATION},
};
use url::Url;

use super::request::Request;
use crate::error::ProviderError;

/// What may be known to another origin: a list of the harmless, since providers name their secrets' headers as they like.
const HARMLESS: &[HeaderName] = &[ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL];

/// The request that the answer asks for instead; None where it asks for none that may be followed: only reads are.
///
/// # Errors
/// [`ProviderError::Malformed`] for a target that is no URL. Whether it may be called is the caller's check.
pub(super) fn next(
    request: &Request,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<Request>, ProviderError> {
    let is_redirect = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    if !is_redirect || !matches!(request.method, Method::GET | Method::HEAD) {
        return Ok(None);
    }
    let Some(location) = headers.get(LOCATION) else { return Ok(None) };
    let malformed = || ProviderError::Malformed { path: "header location".to_owned() };
    let target = std::str::from_utf8(location.as_bytes()).map_err(|_| malformed())?;
    let mut url = request.url.join(target).map_err(|_| malformed())?;
    url.set_fragment(None);

    let mut next = Request { url, body: None, ..request.clone() };
    if next.url.origin() != request.url.origin() {
        next.headers.clear();
        for name in HARMLESS {
            if let Some(value) = request.headers.get(name) {
                next.headers.insert(name, value.clone());
            }
        }
        remove_credentials(&mut next.url);
    }
    Ok(Some(next))
}

/// Servers repeat the query in the target, and with it what OAuth 1.0a and WooCommerce's keys put there.
fn remove_credentials(url: &mut Url) {
    let is_credential = |name: &str| {
        name.starts_with("oauth_") || matches!(name, "consumer_key" | "consumer_secret" | "access_token" | "token")
    };
    if !url.query_pairs().any(|(name, _)| is_credential(&name)) {
        return;
    }
    let kept: Vec<_> = url.query_pairs().into_owned().filter(|(name, _)| !is_credential(name)).collect();
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
}
