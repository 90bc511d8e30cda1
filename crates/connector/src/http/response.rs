//! What came back.

use std::{fmt, time::Duration};

use bytes::Bytes;
use chrono::NaiveDateTime;
use http::{
    HeaderMap, StatusCode,
    header::{AsHeaderName, CONTENT_TYPE, RETRY_AFTER},
};
use kernel::Time;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroize;

use crate::{
    error::ProviderError,
    json::{self, Json},
};

/// An answer that was read whole, within the limits of its class.
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Where the answer came from, after redirects.
    pub url: Url,
    pub took: Duration,
}

/// A wait that a server asks for is believed up to this: a typing error must not silence a connection for years.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

impl Response {
    /// A header as text; None when it is absent or not ASCII.
    pub fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; [`crate::json::Json`] borrows from it.
    ///
    /// # Errors
    /// [`ProviderError::Malformed`] with the path to what does not fit, without its value.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ProviderError> {
        let bytes = self.text_bytes();
        // Looking through it all for UTF-8 once is less than doing so for each text in it.
        let read = std::str::from_utf8(bytes).ok().and_then(|text| serde_json::from_str(text).ok());
        // Following the path costs on every field; it is paid for answers that do not fit only.
        read.ok_or_else(|| ProviderError::Malformed { path: path_of_error::<T>(bytes) })
    }

    /// The body as a list, with something made of each entry ([`crate::json::entries`]).
    ///
    /// # Errors
    /// The first of `make`'s, and [`ProviderError::Malformed`] for a body that is no list of JSON.
    pub fn json_entries<'a, T>(
        &'a self,
        make: impl FnMut(Json<'a>) -> Result<T, ProviderError>,
    ) -> Result<Vec<T>, ProviderError> {
        let bytes = self.text_bytes();
        let read = std::str::from_utf8(bytes).ok().and_then(|text| json::entries(text, make).ok());
        read.unwrap_or_else(|| Err(ProviderError::Malformed { path: path_of_error::<Vec<Json<'_>>>(bytes) }))
    }

    /// Overwrites the body in memory, where nobody else holds it too.
    pub fn wipe(&mut self) {
        if let Ok(mut body) = std::mem::take(&mut self.body).try_into_mut() {
            body.zeroize();
        }
    }

    /// Some WordPress plugins put a byte-order mark before every page (UTF-8's, in files of PHP), which is not JSON.
    fn text_bytes(&self) -> &[u8] {
        self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body)
    }

    /// Refuses pages: security plugins, hosts and caches answer API calls with HTML, often with status 200.
    /// What is in the body decides, since shops mislabel it in both directions.
    ///
    /// # Errors
    /// [`ProviderError::Malformed`] when the body cannot be JSON.
    pub fn expect_json_content(&self) -> Result<(), ProviderError> {
        let malformed = |path: &str| Err(ProviderError::Malformed { path: path.to_owned() });
        match self.text_bytes().iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{' | b'[') => Ok(()),
            Some(b'<') => malformed("body, which is a web page and not JSON"),
            None => malformed("body, which is empty"),
            Some(_) if self.says_json() => Ok(()),
            Some(_) => malformed("body, which is not JSON"),
        }
    }

    fn says_json(&self) -> bool {
        let essence = self.header(CONTENT_TYPE).and_then(|value| value.split(';').next()).unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
    }

    /// How long the server asks to be left alone: seconds, which Shopify writes as `2.0`, or a date (RFC 9110,
    /// section 10.2.3). At most a day; a date in the past is zero.
    pub fn retry_after(&self, now: Time) -> Option<Duration> {
        let text = self.header(RETRY_AFTER)?.trim();
        let wait = match text.parse::<f64>() {
            Ok(seconds) => Duration::try_from_secs_f64(seconds).ok().or((seconds > 0.0).then_some(RETRY_AFTER_MAX))?,
            Err(_) => (http_date(text)? - now).to_std().unwrap_or_default(),
        };
        Some(wait.min(RETRY_AFTER_MAX))
    }
}

/// The three forms of RFC 9110, section 5.6.7. All are GMT.
fn http_date(text: &str) -> Option<Time> {
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .map(|date| date.and_utc())
}

/// Longer paths name keys of maps, which are the shop's data.
const PATH_CHARS_MAX: usize = 120;

fn path_of_error<'a, T: Deserialize<'a>>(text: &'a [u8]) -> String {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(error) => {
            let path = error.path().to_string();
            path.chars().filter(|c| !c.is_control()).take(PATH_CHARS_MAX).collect()
        }
        // The value itself fits, so what follows it does not.
        Ok(_) => "the end of the body".to_owned(),
    }
}

/// Status, host and size, nothing that could be secret or personal.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("host", &self.url.host_str())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
