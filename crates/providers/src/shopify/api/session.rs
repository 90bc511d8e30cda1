//! One call of a caller is one session: however many queries it takes, they share its patience and its notes.

use std::time::Duration;

use bytes::Bytes;
use connector::{
    Call, Credential, Notes, ProviderError,
    http::{Request, Response},
};
use http::HeaderName;
use kernel::Secret;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use url::Url;

use super::{
    Operation,
    error::{self, Denied, Failure},
};
use crate::shopify::auth;

/// <https://shopify.dev/docs/api/usage/versioning>: supported until 2027-10-16.
const VERSION: &str = "2026-10";
/// How long a session may take, waits included.
const TIME: Duration = Duration::from_secs(28);
/// How much of it may be spent on waits when Shopify throttles.
const PATIENCE: Duration = Duration::from_secs(10);
const ATTEMPTS_MAX: u32 = 5;
const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-shopify-access-token");

pub(crate) struct Session<'a> {
    call: &'a Call<'a>,
    token: &'a Secret,
    url: Url,
    /// What is left of [`TIME`].
    time: Duration,
    /// What is left of [`PATIENCE`].
    patience: Duration,
    pub(super) notes: Notes,
}

/// The data of an answer, with what was kept out of it.
pub(crate) struct Answered<T> {
    /// None when the whole of it is null.
    pub(crate) data: Option<T>,
    pub(crate) denied: Vec<Denied>,
    pub(crate) requested: Option<f64>,
}

#[derive(Deserialize)]
struct Body<T> {
    data: Option<T>,
}

impl<'a> Session<'a> {
    /// # Errors
    /// [`ProviderError`] when the connection is not one to a shop.
    pub(crate) fn open(call: &'a Call<'a>) -> Result<Self, ProviderError> {
        let Credential::Token(token) = call.credential else {
            return Err(ProviderError::Unauthorized { detail: "a shop is called with a token" });
        };
        let url = auth::shop_url(&call.account.external_account, &format!("admin/api/{VERSION}/graphql.json"))?;
        Ok(Self { call, token: &token.access, url, time: TIME, patience: PATIENCE, notes: Notes::default() })
    }

    /// Asks once, and again as long as Shopify only wants us to wait.
    ///
    /// # Errors
    /// [`Failure::TooExpensive`] when less must be asked for, else [`Failure::Provider`].
    pub(crate) async fn ask<T: DeserializeOwned>(
        &mut self,
        operation: &Operation,
        variables: &Map<String, Value>,
    ) -> Result<Answered<T>, Failure> {
        let body = Bytes::from(operation.request(variables).to_string());
        let mut attempt = 1;
        loop {
            let response = self.send(body.clone()).await?;
            match error::read(&response, operation, self.call.clock.now()) {
                Ok(reading) => {
                    if let Some(cost) = reading.cost {
                        self.notes.cost = Some(self.notes.cost.unwrap_or_default() + cost);
                    }
                    let Body { data } = response.json()?;
                    return Ok(Answered { data, denied: reading.denied, requested: reading.requested });
                }
                Err(Failure::Throttled { wait }) => {
                    let pause = wait + jitter();
                    if attempt == ATTEMPTS_MAX || pause > self.patience.min(self.time) {
                        return Err(ProviderError::RateLimited { retry_after: wait }.into());
                    }
                    tokio::time::sleep(pause).await;
                    self.patience -= pause;
                    self.time -= pause;
                    attempt += 1;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn send(&mut self, body: Bytes) -> Result<Response, ProviderError> {
        if self.time.is_zero() {
            return Err(ProviderError::TimedOut { after: TIME });
        }
        let request = Request::post_json(self.url.clone(), body).secret_header(ACCESS_TOKEN, self.token)?;
        let response = self.call.http.send_within(request, self.time).await?;
        self.time = self.time.saturating_sub(response.took);
        // Shopify answers a version that is gone with the oldest one it still has.
        if let Some(version) = response.header("x-shopify-api-version").filter(|version| *version != VERSION) {
            tracing::warn!(version, wanted = VERSION, "Shopify answers with another version of its API");
        }
        Ok(response)
    }

    /// Notes what may not be read.
    pub(crate) fn withhold(&mut self, denied: &[Denied]) {
        for withheld in denied.iter().filter_map(Denied::withheld) {
            if !self.notes.withheld.contains(&withheld) {
                self.notes.withheld.push(withheld);
            }
        }
    }
}

/// Up to a quarter of a second, so that calls which were throttled together do not come back together.
fn jitter() -> Duration {
    let [byte] = kernel::random::bytes::<1>();
    Duration::from_millis(u64::from(byte))
}
