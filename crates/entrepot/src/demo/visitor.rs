//! A person with a browser, as far as the demo needs one: calls the API, and walks through a consent page.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;
use url::Url;

/// Talks to the demo's own server and to the simulators' pages, on loopback only.
pub(super) struct Visitor {
    client: reqwest::Client,
    api: Url,
    simulators: SocketAddr,
}

impl Visitor {
    pub(super) fn new(api: &Url, server: SocketAddr, simulators: SocketAddr) -> anyhow::Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the demo calls itself on loopback, which the guarded client refuses"
        )]
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .resolve("localhost", server)
            .build()?;
        Ok(Self { client, api: api.clone(), simulators })
    }

    /// A call of the API. A failed one is an error that tells the problem.
    pub(super) async fn call(
        &self,
        method: http::Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<(HeaderMap, Value)> {
        let (status, headers, text) = self.send(method.clone(), path, token, body).await?;
        if !status.is_success() {
            bail!("{method} {path} answered {status}: {text}");
        }
        Ok((headers, if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? }))
    }

    /// A call of the API, whatever comes of it.
    pub(super) async fn send(
        &self,
        method: http::Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<(StatusCode, HeaderMap, String)> {
        let mut request = self.client.request(method.clone(), self.api.join(path)?);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| format!("{method} {path}"))?;
        Ok((response.status(), response.headers().clone(), response.text().await?))
    }

    /// Connects a Shopify shop as a person does: starts, chooses the shop, consents, comes back. The connection's id.
    pub(super) async fn connect_shopify(&self, token: &str, handle: &str) -> anyhow::Result<String> {
        let (headers, started) = self
            .call(http::Method::POST, "/api/oauth/shopify/start", Some(token), Some(&serde_json::json!({})))
            .await?;
        let pairing = headers
            .get(header::SET_COOKIE)
            .and_then(|cookie| cookie.to_str().ok())
            .and_then(|cookie| cookie.split(';').next())
            .context("no pairing cookie")?
            .to_owned();
        let list = Url::parse(started["url"].as_str().context("no url to start at")?)?;
        let page = self.page(&list).await?;
        let link =
            attribute(&page, &format!("href=\"/store/{handle}/")).context("the shop is not on the install page")?;
        let install = self.follow(&list.join(&format!("/store/{handle}/{link}"))?).await?;
        let consent = self.redirect(self.client.get(install).header(header::COOKIE, pairing)).await?;
        let form = self.page(&consent).await?;
        let mut fields = hidden_fields(&form);
        fields.push(("decision".to_owned(), "approve".to_owned()));
        let (url, host) = self.simulated(&consent.join("/admin/oauth/authorize")?)?;
        let back = self.redirect(self.client.post(url).header(header::HOST, host).form(&fields)).await?;
        let home = self.redirect(self.client.get(back).bearer_auth(token)).await?;
        let connected = home.query_pairs().find(|(name, _)| name == "connected").map(|(_, id)| id.into_owned());
        connected.context("the consent did not lead to a connection")
    }

    async fn page(&self, url: &Url) -> anyhow::Result<String> {
        let (url, host) = self.simulated(url)?;
        let response = self.client.get(url).header(header::HOST, host).send().await?;
        if response.status() != StatusCode::OK {
            bail!("a page of the simulator answered {}", response.status());
        }
        Ok(response.text().await?)
    }

    async fn follow(&self, url: &Url) -> anyhow::Result<Url> {
        let (url, host) = self.simulated(url)?;
        self.redirect(self.client.get(url).header(header::HOST, host)).await
    }

    async fn redirect(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Url> {
        let response = request.send().await?;
        let status = response.status();
        let place = response.headers().get(header::LOCATION).and_then(|place| place.to_str().ok()).map(str::to_owned);
        match place {
            Some(place) if status.is_redirection() => Ok(Url::parse(&place)?),
            _ => bail!("expected to be sent on, got {status}: {}", response.text().await?),
        }
    }

    /// Names below `localhost` lead to loopback in browsers; not every resolver knows.
    fn simulated(&self, url: &Url) -> anyhow::Result<(Url, String)> {
        let host = format!("{}:{}", url.host_str().context("no host")?, self.simulators.port());
        let mut reached = url.clone();
        reached.set_ip_host(self.simulators.ip()).map_err(|()| anyhow::anyhow!("not a web address"))?;
        reached.set_port(Some(self.simulators.port())).map_err(|()| anyhow::anyhow!("not a web address"))?;
        Ok((reached, host))
    }
}

/// What follows `start` up to the next quote.
fn attribute(page: &str, start: &str) -> Option<String> {
    let rest = &page[page.find(start)? + start.len()..];
    Some(unescape(&rest[..rest.find('"')?]))
}

fn hidden_fields(page: &str) -> Vec<(String, String)> {
    page.split("<input type=\"hidden\"")
        .skip(1)
        .filter_map(|input| Some((attribute(input, "name=\"")?, attribute(input, "value=\"")?)))
        .collect()
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}
