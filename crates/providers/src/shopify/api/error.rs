//! What went wrong: the HTTP status, the body's `errors`, and the nulls that they leave behind.
//! <https://shopify.dev/docs/api/usage/response-codes>

use std::time::Duration;

use connector::{ProviderError, Withheld, WithheldReason, http::Response};
use kernel::Time;
use serde::Deserialize;
use serde_json::Value;

use super::Operation;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The bucket does not hold the points that the query asks for; it will after this long.
    Throttled {
        wait: Duration,
    },
    /// The query asks for more points than a query may (1000), or than the bucket ever holds.
    TooExpensive,
    Provider(ProviderError),
}

impl Failure {
    /// For queries that cannot ask for less.
    pub(crate) fn into_provider_error(self) -> ProviderError {
        match self {
            Self::Throttled { wait } => ProviderError::RateLimited { retry_after: wait },
            Self::TooExpensive => ProviderError::Rejected { detail: "MAX_COST_EXCEEDED".to_owned() },
            Self::Provider(error) => error,
        }
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        Self::Provider(error)
    }
}

/// What stands beside the data of an answer that can be used.
#[derive(Debug)]
pub(crate) struct Reading {
    /// Points: what the query took, or what was asked for where that is not said.
    pub(crate) cost: Option<f64>,
    /// Points that the bucket had to hold before the query ran.
    pub(crate) requested: Option<f64>,
    pub(crate) denied: Vec<Denied>,
}

/// A field that is null because we may not read it.
#[derive(Clone, Debug)]
pub(crate) struct Denied {
    /// The unified field that is missing for it; None when it is none that a caller sees.
    field: Option<&'static str>,
    reason: WithheldReason,
    scopes: Vec<String>,
}

impl Denied {
    pub(crate) fn withheld(&self) -> Option<Withheld> {
        self.field.map(|field| Withheld { field, reason: self.reason })
    }

    /// What to say when the denied field is all that was asked for.
    pub(crate) fn forbidden(denied: &[Self]) -> ProviderError {
        let mut missing_scopes: Vec<String> = denied.iter().flat_map(|denied| denied.scopes.iter().cloned()).collect();
        missing_scopes.sort();
        missing_scopes.dedup();
        let by_approval = denied.iter().any(|denied| denied.reason == WithheldReason::ProviderApproval);
        let detail = if by_approval {
            "Shopify has not approved the app for protected customer data"
        } else {
            "the app lacks an access scope"
        };
        ProviderError::Forbidden { missing_scopes, detail }
    }
}

#[derive(Deserialize)]
struct Envelope {
    errors: Option<Vec<GraphQlError>>,
    extensions: Option<Extensions>,
}

#[derive(Deserialize)]
struct GraphQlError {
    #[serde(default)]
    message: String,
    path: Option<Vec<Value>>,
    extensions: Option<ErrorExtensions>,
}

impl GraphQlError {
    fn code(&self) -> Option<&str> {
        self.extensions.as_ref()?.code.as_deref()
    }

    fn is(&self, code: &str) -> bool {
        self.code() == Some(code)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErrorExtensions {
    code: Option<String>,
    required_access: Option<String>,
}

#[derive(Deserialize)]
struct Extensions {
    cost: Option<Cost>,
}

/// Numbers come as integers and as fractions; `actualQueryCost` is null when nothing ran.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cost {
    requested_query_cost: Option<f64>,
    actual_query_cost: Option<f64>,
    throttle_status: Option<ThrottleStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThrottleStatus {
    maximum_available: f64,
    currently_available: f64,
    /// Points per second.
    restore_rate: f64,
}

/// Shopify's edge sends 429 with `Retry-After`; without it this is the documented rhythm of the REST buckets.
const WAIT_UNSAID: Duration = Duration::from_secs(2);
/// 430 is a refusal by Shopify's protection against abuse: asking again soon prolongs it.
const WAIT_REFUSED: Duration = Duration::from_secs(300);

/// Reads an answer of the GraphQL endpoint as far as its errors.
///
/// # Errors
/// [`Failure`] when there is no data to be had from it.
pub(crate) fn read(response: &Response, operation: &Operation, now: Time) -> Result<Reading, Failure> {
    by_status(response, now)?;
    response.expect_json_content()?;
    let Envelope { errors, extensions } = response.json()?;
    let cost = extensions.and_then(|extensions| extensions.cost);
    let requested = cost.as_ref().and_then(|cost| cost.requested_query_cost);
    let errors = errors.unwrap_or_default();
    if errors.iter().any(|error| error.is("THROTTLED") || error.message == "Throttled") {
        return Err(throttled(cost.as_ref()));
    }
    if let Some(error) = errors.iter().find(|error| !error.is("ACCESS_DENIED")) {
        return Err(failure(error));
    }
    let denied = errors.iter().map(|error| denied(error, operation)).collect();
    let taken = cost.and_then(|cost| cost.actual_query_cost).or(requested);
    Ok(Reading { cost: taken, requested, denied })
}

fn by_status(response: &Response, now: Time) -> Result<(), Failure> {
    let suspended = |detail| Err(ProviderError::Suspended { detail }.into());
    let unavailable = |detail| Err(ProviderError::Unavailable { detail }.into());
    match response.status.as_u16() {
        200..=299 => Ok(()),
        300..=399 => unavailable("Shopify redirects calls to another address"),
        401 => Err(ProviderError::Unauthorized { detail: "Shopify refuses the access token" }.into()),
        402 => suspended("the shop is frozen until its owner pays Shopify"),
        403 => {
            let detail = "Shopify refuses the app or has blocked the shop";
            Err(ProviderError::Forbidden { missing_scopes: vec![], detail }.into())
        }
        404 => suspended("Shopify knows no shop at this address"),
        423 => suspended("the shop is locked by Shopify"),
        429 => {
            let retry_after = response.retry_after(now).unwrap_or(WAIT_UNSAID);
            Err(ProviderError::RateLimited { retry_after }.into())
        }
        430 => {
            let retry_after = response.retry_after(now).unwrap_or_default().max(WAIT_REFUSED);
            Err(ProviderError::RateLimited { retry_after }.into())
        }
        500.. => unavailable("Shopify fails on its own"),
        status => Err(ProviderError::Rejected { detail: format!("HTTP status {status}") }.into()),
    }
}

fn throttled(cost: Option<&Cost>) -> Failure {
    let Some((requested, status)) = cost.and_then(|cost| cost.requested_query_cost.zip(cost.throttle_status.as_ref()))
    else {
        return Failure::Throttled { wait: WAIT_UNSAID };
    };
    if requested > status.maximum_available {
        return Failure::TooExpensive;
    }
    let seconds = (requested - status.currently_available) / status.restore_rate;
    // Not a number, less than nothing or beyond all times: the shop says nothing useful about when.
    let wait = Duration::try_from_secs_f64(seconds).unwrap_or(WAIT_UNSAID);
    Failure::Throttled { wait }
}

fn failure(error: &GraphQlError) -> Failure {
    match error.code() {
        Some("MAX_COST_EXCEEDED") => Failure::TooExpensive,
        Some("SHOP_INACTIVE") => ProviderError::Suspended { detail: "Shopify says that the shop is inactive" }.into(),
        Some("INTERNAL_SERVER_ERROR") => ProviderError::Unavailable { detail: "Shopify fails on its own" }.into(),
        // Messages may quote what was searched for; codes are Shopify's own words.
        Some(code) if is_word(code) => ProviderError::Rejected { detail: code.to_owned() }.into(),
        _ => ProviderError::Rejected { detail: "an error without a code".to_owned() }.into(),
    }
}

fn is_word(code: &str) -> bool {
    (1..=60).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn denied(error: &GraphQlError, operation: &Operation) -> Denied {
    let message = error.message.to_ascii_lowercase();
    let by_approval = message.contains("not approved") || message.contains("protected-customer-data");
    let reason = if by_approval { WithheldReason::ProviderApproval } else { WithheldReason::Scope };
    let required = error.extensions.as_ref().and_then(|extensions| extensions.required_access.as_deref());
    let scopes = if by_approval { vec![] } else { scopes_in(required.unwrap_or(&error.message)) };
    Denied { field: field(error, operation), reason, scopes }
}

/// The unified field that the error's path leads to; without a path Shopify's message names it ("Access denied for … field").
fn field(error: &GraphQlError, operation: &Operation) -> Option<&'static str> {
    let named = |segment: &str| operation.fields.iter().find(|(shopify, _)| *shopify == segment).map(|(_, ours)| *ours);
    match &error.path {
        Some(path) => {
            // The first segment is our own name for the root (`records`), the next ones may be `nodes` and an index.
            let mut inner =
                path.iter().skip(1).filter_map(Value::as_str).filter(|segment| *segment != "nodes").peekable();
            inner.peek()?;
            Some(inner.find_map(named).unwrap_or("platform_specific"))
        }
        None => error.message.split_whitespace().find_map(named),
    }
}

/// "`read_customers` access scope." names the scope between accents.
fn scopes_in(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    let scopes = words.filter(|word| word.starts_with("read_") || word.starts_with("write_"));
    scopes.map(str::to_owned).collect()
}
