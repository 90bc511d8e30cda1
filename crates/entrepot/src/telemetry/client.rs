use std::time::Duration;

use anyhow::Context;
use http::HeaderMap;
use url::Url;

const CONNECT: Duration = Duration::from_secs(5);

/// How a collector answered.
pub(super) enum Outcome {
    Taken,
    /// Not now: it may be sent again, after this time if it said so.
    Later(Option<Duration>),
    /// It will not take this.
    Refused,
}

/// Posts to collectors.
#[derive(Clone)]
pub(super) struct Client(reqwest::Client);

impl Client {
    pub(super) fn new() -> anyhow::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "addresses that the operator set, which may be internal")]
        let builder = reqwest::Client::builder();
        let client = builder
            .user_agent(concat!("Entrepot/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT)
            .build()
            .context("the client for collectors could not be set up; it needs the system's certificate authorities")?;
        Ok(Self(client))
    }

    /// What the answer says besides is not read.
    pub(super) async fn post(&self, url: &Url, headers: &HeaderMap, body: Vec<u8>, within: Duration) -> Outcome {
        let request = self.0.post(url.clone()).headers(headers.clone()).body(body).timeout(within);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                // Its text names the address, which may hold a key.
                tracing::debug!(timed_out = error.is_timeout(), connect = error.is_connect(), "a collector is away");
                return Outcome::Later(None);
            }
        };
        let seconds =
            answer.headers().get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        match answer.status().as_u16() {
            200..=299 => Outcome::Taken,
            // OTLP 1.5, section OTLP/HTTP response: these, and no others, may be sent again.
            429 | 502 | 503 | 504 => Outcome::Later(seconds.map(Duration::from_secs)),
            status => {
                tracing::debug!(status, "a collector refuses");
                Outcome::Refused
            }
        }
    }
}
