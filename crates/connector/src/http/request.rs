//! What is asked.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use kernel::Secret;
use url::Url;

use super::limits::Class;
use crate::error::ProviderError;

/// One request. Built by connectors, sent by [`Http::send`](super::Http::send).
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
    pub class: Class,
}

impl Request {
    pub fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: None, class: Class::Api }
    }

    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    pub fn head(url: Url) -> Self {
        Self::new(Method::HEAD, url)
    }

    pub fn delete(url: Url) -> Self {
        Self::new(Method::DELETE, url)
    }

    /// A body of JSON that is already written, and JSON wanted back.
    pub fn post_json(url: Url, body: impl Into<Bytes>) -> Self {
        Self::new(Method::POST, url).json(body)
    }

    pub fn put_json(url: Url, body: impl Into<Bytes>) -> Self {
        Self::new(Method::PUT, url).json(body)
    }

    fn json(mut self, body: impl Into<Bytes>) -> Self {
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        self.headers.insert(CONTENT_TYPE, JSON);
        self.headers.insert(ACCEPT, JSON);
        self.body = Some(body.into());
        self
    }

    #[must_use]
    pub fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Replaces the header if it is there. The value is not a secret; see [`Self::secret_header`].
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// A header whose value is kept out of logs and never follows a redirect to another origin.
    ///
    /// # Errors
    /// [`ProviderError::Unauthorized`] for a secret with characters that no header can carry: something else was pasted.
    pub fn secret_header(mut self, name: HeaderName, secret: &Secret) -> Result<Self, ProviderError> {
        self.headers.insert(name, sensitive(secret.expose())?);
        Ok(self)
    }

    /// RFC 6750.
    ///
    /// # Errors
    /// As [`Self::secret_header`].
    pub fn bearer(mut self, token: &Secret) -> Result<Self, ProviderError> {
        self.headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {}", token.expose()))?);
        Ok(self)
    }

    /// RFC 7617.
    #[must_use]
    pub fn basic(mut self, user: &Secret, password: &Secret) -> Self {
        let pair = STANDARD.encode(format!("{}:{}", user.expose(), password.expose()));
        let value = sensitive(&format!("Basic {pair}")).expect("base64 can stand in a header");
        self.headers.insert(AUTHORIZATION, value);
        self
    }
}

fn sensitive(text: &str) -> Result<HeaderValue, ProviderError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| ProviderError::Unauthorized { detail: "the credential has characters that no credential has" })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Method and host, nothing that could be secret or personal.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .field("class", &self.class)
            .finish_non_exhaustive()
    }
}
