//! The calls of `wc/v3`: lists by page, one record, the variations of a product.

mod query;
mod read;
pub(super) mod refusal;

use std::future::Future;

use chrono::Duration;
use connector::{
    Call, Credential, KeyPair, ProviderError,
    http::{Http, Response},
    json::Json,
};
use kernel::Clock;
use serde::Deserialize;
use url::Url;

use super::{
    Connection,
    auth::{self, Way},
};
use refusal::Refusal;

#[cfg(test)]
pub(super) use query::{customers as customer_params, orders as order_params, products as product_params};

/// Apart from the shop's clock, OAuth's only clue to why a signature was refused. The shop forgives 15 minutes.
const CLOCK_DIFFERENCE_MAX: Duration = Duration::minutes(10);

/// A shop and a way to prove ourselves to it.
pub(super) struct Shop<'a> {
    pub(super) http: &'a Http,
    pub(super) clock: &'a Clock,
    pub(super) keys: &'a KeyPair,
    pub(super) home: &'a Url,
    pub(super) rest_root: &'a Url,
    pub(super) way: Way,
    pub(super) clock_offset: Duration,
}

/// An answer and what its headers say of the list that it is a page of. The body is wiped when this is dropped, since it
/// may be about people.
pub(super) struct Reply {
    response: Response,
    /// Records and pages in all. Some proxies drop these headers.
    total: Option<u64>,
    pages: Option<u64>,
    /// The shop's clock minus ours, as the shop accepted it.
    pub(super) clock_offset: Duration,
}

impl Reply {
    /// What the shop sent; [`connector::json::Json`] borrows from it.
    ///
    /// # Errors
    /// [`ProviderError::Malformed`] when it is not JSON, or does not fit.
    pub(super) fn document<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ProviderError> {
        refusal::document(&self.response)
    }

    /// What is made of each entry of the list that the shop sent.
    ///
    /// # Errors
    /// [`ProviderError::Malformed`] when it is no list, and those of `make`.
    fn entries<'a, T>(
        &'a self,
        make: impl FnMut(Json<'a>) -> Result<T, ProviderError>,
    ) -> Result<Vec<T>, ProviderError> {
        refusal::entries(&self.response, make)
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.response.wipe();
    }
}

impl<'a> Shop<'a> {
    fn of(call: &'a Call<'_>, connection: &'a Connection) -> Result<Self, ProviderError> {
        let Credential::Keys(keys) = call.credential else {
            return Err(ProviderError::Unauthorized { detail: "the connection holds no pair of keys" });
        };
        Ok(Self {
            http: call.http,
            clock: call.clock,
            keys,
            home: &connection.home,
            rest_root: &connection.rest_root,
            way: connection.auth,
            clock_offset: Duration::seconds(connection.clock_offset_s),
        })
    }

    async fn get(&self, path: &str, params: &[(&'static str, String)]) -> Result<Reply, ProviderError> {
        self.ask(path, params).await?.map_err(Refusal::into_error)
    }

    /// `path` is below `wc/v3/`. A refused OAuth signature is made once more when the shop's clock explains the refusal.
    ///
    /// # Errors
    /// The inner one when the shop refused, the outer one when there was no answer of the shop's.
    pub(super) async fn ask(
        &self,
        path: &str,
        params: &[(&'static str, String)],
    ) -> Result<Result<Reply, Refusal>, ProviderError> {
        let outcome = self.ask_once(path, params, self.clock_offset).await?;
        let Err(refusal) = &outcome else { return Ok(outcome) };
        if !self.way.is_oauth() || refusal.code.as_deref() != Some(refusal::AUTHENTICATION_ERROR) {
            return Ok(outcome);
        }
        let Some(shop_time) = refusal.shop_time else { return Ok(outcome) };
        let measured = shop_time - self.clock.now();
        if (measured - self.clock_offset).abs() < CLOCK_DIFFERENCE_MAX {
            return Ok(outcome);
        }
        self.ask_once(path, params, Duration::seconds(measured.num_seconds())).await
    }

    async fn ask_once(
        &self,
        path: &str,
        params: &[(&'static str, String)],
        clock_offset: Duration,
    ) -> Result<Result<Reply, Refusal>, ProviderError> {
        let mut url = self
            .rest_root
            .join(&format!("wc/v3/{path}"))
            .map_err(|_| ProviderError::Malformed { path: "config.rest_root".to_owned() })?;
        if !params.is_empty() {
            url.query_pairs_mut().extend_pairs(params);
        }
        let response = self.http.send(auth::sign(self, url, self.clock.now() + clock_offset)?).await?;
        if let Some(refusal) = refusal::refused(&response, self.clock.now())? {
            return Ok(Err(refusal));
        }
        let (total, pages) = (count(&response, "x-wp-total"), count(&response, "x-wp-totalpages"));
        Ok(Ok(Reply { response, total, pages, clock_offset }))
    }
}

fn count(response: &Response, header: &str) -> Option<u64> {
    response.header(header)?.trim().parse().ok()
}

/// Runs two futures at a time: what a shop's small server bears (W13). Results keep the order.
async fn two_at_a_time<T>(tasks: Vec<impl Future<Output = Result<T, ProviderError>>>) -> Result<Vec<T>, ProviderError> {
    use futures::{StreamExt, TryStreamExt, stream};
    stream::iter(tasks).buffered(2).try_collect().await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::two_at_a_time;

    #[tokio::test]
    async fn a_shop_is_asked_two_things_at_a_time_and_order_is_kept() {
        let (running, most) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
        let tasks = (0..9).map(|number| async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..(9 - number) {
                tokio::task::yield_now().await;
            }
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(number)
        });
        let done = two_at_a_time(tasks.collect()).await.unwrap();
        assert_eq!(done, (0..9).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }
}
