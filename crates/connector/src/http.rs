//! The one client that may open sockets outward.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::error::ProviderError;

/// The guarded client. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    _private: (),
}

/// One request. Built by connectors, sent by [`Http::send`].
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
    pub class: Class,
}

/// How much an answer may be and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A provider's API: 16 MiB, 30 s, 100:1.
    Api,
    /// Finding a shop's address from what a person typed: 1 MiB, 10 s, up to three redirects, each checked.
    Discovery,
}

/// An answer that was read whole, within the limits of its class.
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Where the answer came from, after redirects.
    pub url: Url,
    pub took: Duration,
}

impl Http {
    /// # Errors
    /// As a [`ProviderError`] when nothing came back; a status of 400 or more is a [`Response`].
    pub async fn send(&self, _request: Request) -> Result<Response, ProviderError> {
        Err(ProviderError::Unavailable { detail: "not built yet" })
    }
}
