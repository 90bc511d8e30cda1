//! What is not the answer that was asked for (W14).

use std::time::Duration;

use chrono::DateTime;
use connector::{ProviderError, http::Response, json::Json};
use http::{StatusCode, header};
use kernel::Time;
use serde::Deserialize;
use serde_json::Value;

const ASK_AGAIN_AFTER: Duration = Duration::from_secs(30);
const PARAMETERS_NAMED_MAX: usize = 5;

/// The shop's own account of why it did not answer. Messages are translated to the shop's language and may quote what was
/// sent, so only `code`, the status and the names of parameters are read.
#[derive(Debug)]
pub(in super::super) struct Refusal {
    pub(in super::super) status: StatusCode,
    /// WordPress' error code. None: what came is a page, not WordPress' JSON.
    pub(in super::super) code: Option<String>,
    /// Names of refused parameters.
    parameters: Vec<String>,
    retry_after: Option<Duration>,
    /// The shop's clock when it answered.
    pub(in super::super) shop_time: Option<Time>,
}

/// Over Basic and query keys: the secret is wrong, or the key may not do this. Over OAuth also: the key is unknown, or the
/// signature, timestamp or nonce is.
pub(in super::super) const AUTHENTICATION_ERROR: &str = "woocommerce_rest_authentication_error";

/// The document of an answer, or the shop's refusal.
///
/// # Errors
/// As [`document`] and [`refused`].
pub(in super::super) fn read(response: &Response, now: Time) -> Result<Result<Value, Refusal>, ProviderError> {
    match refused(response, now)? {
        Some(refusal) => Ok(Err(refusal)),
        None => document(response).map(Ok),
    }
}

/// The document of an answer that is no refusal.
///
/// # Errors
/// [`ProviderError::Malformed`] when the shop says that all is well and sends no JSON. A byte-order mark before the document
/// is forgiven; PHP's notices are not, since what follows them may be cut.
pub(super) fn document<'a, T: Deserialize<'a>>(response: &'a Response) -> Result<T, ProviderError> {
    response.expect_json_content()?;
    response.json()
}

/// What is made of each entry of an answer that is no refusal and should be a list.
///
/// # Errors
/// As [`document`], and those of `make`.
pub(super) fn entries<'a, T>(
    response: &'a Response,
    make: impl FnMut(Json<'a>) -> Result<T, ProviderError>,
) -> Result<Vec<T>, ProviderError> {
    response.expect_json_content()?;
    response.json_entries(make)
}

/// The shop's refusal; None when it says that all is well.
///
/// # Errors
/// [`ProviderError::Malformed`] when the shop says that a refusal is JSON and it is not.
pub(super) fn refused(response: &Response, now: Time) -> Result<Option<Refusal>, ProviderError> {
    if response.status.is_success() {
        return Ok(None);
    }
    let error = match document::<Value>(response) {
        Err(error) if response.status.is_client_error() && is_said_to_be_json(response) => return Err(error),
        document => document.unwrap_or_default(),
    };
    let parameters = error.pointer("/data/params").and_then(Value::as_object);
    Ok(Some(Refusal {
        status: response.status,
        code: error.get("code").and_then(Value::as_str).map(word).filter(|code| !code.is_empty()),
        parameters: parameters
            .map(|params| params.keys().take(PARAMETERS_NAMED_MAX).map(|name| word(name)).collect())
            .unwrap_or_default(),
        retry_after: response.retry_after(now).map(|wait| wait.max(Duration::from_secs(1))),
        shop_time: response
            .header(header::DATE)
            .and_then(|text| Some(DateTime::parse_from_rfc2822(text).ok()?.to_utc())),
    }))
}

/// Hosts that limit calls send any body with status 429.
fn is_said_to_be_json(response: &Response) -> bool {
    let media_type = response.header(header::CONTENT_TYPE).unwrap_or_default();
    response.status != StatusCode::TOO_MANY_REQUESTS && media_type.starts_with("application/json")
}

impl Refusal {
    /// WordPress does not know the path: WooCommerce is not active, or is older than `wc/v3`.
    pub(in super::super) fn is_no_route(&self) -> bool {
        self.code.as_deref() == Some("rest_no_route")
    }

    /// The path is known and the record is not: codes differ by resource (`woocommerce_rest_shop_order_invalid_id`).
    pub(in super::super) fn is_unknown_record(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && self.code.is_some() && !self.is_no_route()
    }

    /// A page in the place of JSON from what stands before WordPress: firewall, security plugin, bot check.
    pub(in super::super) fn is_firewall(&self) -> bool {
        let blocked = [StatusCode::FORBIDDEN, StatusCode::NOT_ACCEPTABLE, StatusCode::NOT_IMPLEMENTED];
        self.code.is_none() && blocked.contains(&self.status)
    }

    pub(in super::super) fn into_error(self) -> ProviderError {
        let (status, code) = (self.status.as_u16(), self.code.as_deref());
        match (status, code) {
            (429 | 508, _) => ProviderError::RateLimited { retry_after: self.retry_after.unwrap_or(ASK_AGAIN_AFTER) },
            // Maintenance, or a host that is full: both say when to come back.
            (503, _) if self.retry_after.is_some() => {
                ProviderError::RateLimited { retry_after: self.retry_after.unwrap_or(ASK_AGAIN_AFTER) }
            }
            (401, Some(AUTHENTICATION_ERROR | "woocommerce_rest_authentication_missing_parameter")) => {
                ProviderError::Unauthorized {
                    detail: "the consumer secret or the signature is wrong, or the key may not read",
                }
            }
            (401, Some(_)) => ProviderError::Unauthorized {
                detail: "the consumer key is unknown or revoked, or the shop's server removes it from requests",
            },
            (401, None) => ProviderError::Unauthorized { detail: "the whole site is behind a password of its own" },
            _ if self.is_firewall() => {
                ProviderError::Unavailable { detail: "a firewall or security plugin answers in its place" }
            }
            (403, _) => ProviderError::Forbidden {
                missing_scopes: vec![],
                detail: "the key's user is no longer administrator or shop manager",
            },
            (404, Some("rest_no_route")) => {
                ProviderError::Suspended { detail: "WooCommerce is not active on the site" }
            }
            (300..=399, _) | (404, None) => ProviderError::Suspended {
                detail: "the REST API is no longer at its address: the site moved, or its permalinks are Plain",
            },
            (400, Some(code)) if !self.parameters.is_empty() => {
                ProviderError::Rejected { detail: format!("{code}: {}", self.parameters.join(", ")) }
            }
            (400..=499 | 501, Some(code)) => ProviderError::Rejected { detail: code.to_owned() },
            (400..=499, None) => ProviderError::Rejected { detail: format!("status {status}") },
            _ => ProviderError::Unavailable { detail: "its server fails" },
        }
    }
}

/// A code or a name, without anything that could be a text.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "_-[]".contains(*c)).take(64).collect()
}
