//! The one client that may open sockets outward.
//!
//! Every address is checked before it is called ([`guard`]), every name's addresses before they are connected to, every
//! answer is bounded in bytes and time ([`Class`]), and nothing that goes wrong quotes a URL's query or a body.
//! `HTTP_PROXY` and its like are not read: a proxy would connect to addresses that nobody vetted.

mod failure;
pub mod guard;
mod hosts;
mod limits;
mod read;
mod redirect;
mod request;
mod resolve;
mod response;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, header::ACCEPT_ENCODING};
use kernel::ConnectionId;
use tokio::time::Instant;
use tracing::{Instrument, Span, field::Empty};
use url::Url;

pub use self::{
    guard::{Refusal, parse_url},
    hosts::{Hosts, InvalidHosts, Link, Route},
    limits::{Class, Limits},
    request::Request,
    response::Response,
};
use self::{
    limits::HEADER_BYTES_MAX,
    resolve::{Guarded, LOOKUPS_AT_ONCE_MAX, Lookup, Scheme, Simulated, System},
};
use crate::error::ProviderError;

/// The guarded client. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Http {
    inner: Arc<Inner>,
    /// Whom calls are for, in traces.
    connection: Option<(&'static str, ConnectionId)>,
}

struct Inner {
    hosts: Hosts,
    ports: Vec<u16>,
    connect_timeout: Duration,
    reaches_inside: bool,
    world: Clients,
    simulated: Option<Clients>,
}

/// One client per scheme, so that each resolver knows which of a simulated host's two ports is meant.
struct Clients {
    https: reqwest::Client,
    http: reqwest::Client,
}

/// What an operator may change.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// How we name ourselves to shops. Their owners put it on the lists of firewalls, so it holds no version that moves.
    pub product: String,
    /// Where a shop's owner reads who we are.
    pub product_url: Option<Url>,
    /// The ports that may be called; simulated hosts are called on the usual ones only.
    pub ports: Vec<u16>,
    /// Lookup, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Whether internal addresses, and any port, may be called: for what the operator configured alone, never for an address that a
    /// person or a shop gave.
    pub reaches_inside: bool,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            product: "Entrepot/1".to_owned(),
            product_url: None,
            ports: guard::PORTS.to_vec(),
            connect_timeout: Duration::from_secs(5),
            reaches_inside: false,
        }
    }
}

/// The client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the product's name or URL cannot stand in a User-Agent header")]
    Product,
    #[error("the sandbox's certificate is not one")]
    Certificate,
    #[error("TLS could not be set up; without the system's certificate authorities (ca-certificates) it cannot: {0}")]
    Tls(reqwest::Error),
}

impl Http {
    /// # Errors
    /// [`SetupError`] when the machine has no certificate authorities, or the options cannot be used.
    pub fn new(hosts: Hosts, options: HttpOptions) -> Result<Self, SetupError> {
        Self::with_lookup(hosts, options, Arc::new(System::new(LOOKUPS_AT_ONCE_MAX)))
    }

    fn with_lookup(hosts: Hosts, options: HttpOptions, lookup: Arc<dyn Lookup>) -> Result<Self, SetupError> {
        let guarded = Arc::new(Guarded { lookup, reaches_inside: options.reaches_inside });
        // A sandbox works on machines without certificate authorities too; it then trusts nobody in the world.
        let world = match builder(&options)?.dns_resolver(Arc::clone(&guarded)).https_only(true).build() {
            Err(_) if hosts.is_sandbox() => {
                tracing::warn!(
                    "this machine has no certificate authorities: only simulated hosts can be called by https"
                );
                builder(&options)?.dns_resolver(Arc::clone(&guarded)).tls_certs_only([]).build()
            }
            built => built,
        };
        let world = Clients {
            https: world.map_err(SetupError::Tls)?,
            http: builder(&options)?.dns_resolver(guarded).tls_certs_only([]).build().map_err(SetupError::Tls)?,
        };
        let simulated = if hosts.is_sandbox() { Some(simulated(&hosts, &options)?) } else { None };
        let HttpOptions { ports, connect_timeout, reaches_inside, .. } = options;
        let inner = Inner { hosts, ports, connect_timeout, reaches_inside, world, simulated };
        Ok(Self { inner: Arc::new(inner), connection: None })
    }

    /// The same client, for a connection of a provider, which traces name.
    pub fn for_connection(&self, provider: &'static str, connection: ConnectionId) -> Self {
        Self { inner: self.inner.clone(), connection: Some((provider, connection)) }
    }

    /// Where hosts are, for [`Hosts::public`].
    pub fn hosts(&self) -> &Hosts {
        &self.inner.hosts
    }

    /// Whether this URL may be called at all. Names still have to pass the resolver when they are.
    ///
    /// # Errors
    /// [`Refusal`], in words for the person who typed it.
    pub fn check(&self, url: &Url) -> Result<(), Refusal> {
        self.client(url).map(|_| ())
    }

    /// Sends within the limits of the request's class. A status of 400 or more is a [`Response`], and so is a redirect
    /// where the class follows none or no more.
    ///
    /// # Errors
    /// As a [`ProviderError`] when nothing usable came back.
    pub async fn send(&self, request: Request) -> Result<Response, ProviderError> {
        let limit = request.class.limits().time;
        self.send_within(request, limit).await
    }

    /// [`Self::send`] with less time than its class has.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_within(&self, request: Request, limit: Duration) -> Result<Response, ProviderError> {
        let limit = limit.min(request.class.limits().time);
        let span = tracing::info_span!(
            "outbound",
            host = request.url.host_str(),
            method = request.method.as_str(),
            status = Empty,
            ms = Empty
        );
        // For traces; the semantic conventions for HTTP clients, without anything of the address: a shop's host says whose shop it is.
        let traced = tracing::info_span!(
            target: "otel",
            "provider call",
            otel.kind = "client",
            otel.name = request.method.as_str(),
            otel.status = Empty,
            http.request.method = request.method.as_str(),
            entrepot.provider = self.connection.map(|(provider, _)| provider),
            entrepot.connection_id = self.connection.map(|(_, id)| tracing::field::display(id)),
            http.response.status_code = Empty,
            "error.type" = Empty,
        );
        let started = Instant::now();
        async {
            let outcome = match tokio::time::timeout(limit, self.follow(request, started)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(ProviderError::TimedOut { after: limit }),
            };
            record(&Span::current(), &outcome, started.elapsed());
            trace(&traced, &outcome);
            outcome
        }
        .instrument(span)
        .await
    }

    async fn follow(&self, mut request: Request, started: Instant) -> Result<Response, ProviderError> {
        let limits = request.class.limits();
        request.headers.insert(ACCEPT_ENCODING, read::ACCEPTED);
        request.url.set_fragment(None);
        let mut redirects = 0;
        loop {
            let mut answer = self.once(&request).await?;
            if limits.redirects_max > 0
                && let Some(next) = redirect::next(&request, answer.status(), answer.headers())?
            {
                if redirects == limits.redirects_max {
                    return Err(ProviderError::Rejected { detail: "the address redirects too often".to_owned() });
                }
                redirects += 1;
                request = next;
                continue;
            }
            let mut headers = std::mem::take(answer.headers_mut());
            let body = read::body(&mut answer, &mut headers, limits.body_bytes_max).await?;
            let (status, took) = (answer.status(), started.elapsed());
            return Ok(Response { status, headers, body, url: request.url, took });
        }
    }

    /// One exchange, up to the headers of the answer.
    async fn once(&self, request: &Request) -> Result<reqwest::Response, ProviderError> {
        let client = self.client(&request.url)?;
        let mut outgoing = reqwest::Request::new(request.method.clone(), request.url.clone());
        outgoing.headers_mut().clone_from(&request.headers);
        *outgoing.body_mut() = request.body.clone().map(Into::into);
        let answer = client
            .execute(outgoing)
            .await
            .map_err(|error| failure::before_answer(&error, self.inner.connect_timeout))?;
        read::check_headers(answer.headers())?;
        Ok(answer)
    }

    fn client(&self, url: &Url) -> Result<&reqwest::Client, Refusal> {
        let Inner { hosts, ports, reaches_inside, world, simulated, .. } = &*self.inner;
        let clients = match simulated {
            Some(simulated) if url.host_str().is_some_and(|host| hosts.route(host).is_some()) => {
                guard::check_form(url)?;
                // A port of its own would lead past the simulator to whatever else listens on this machine.
                if url.port().is_some() {
                    return Err(Refusal::Port);
                }
                simulated
            }
            _ if *reaches_inside => {
                guard::check_form(url)?;
                world
            }
            _ => {
                guard::check_url_with_ports(url, ports)?;
                world
            }
        };
        Ok(if url.scheme() == "https" { &clients.https } else { &clients.http })
    }
}

fn builder(options: &HttpOptions) -> Result<reqwest::ClientBuilder, SetupError> {
    let agent = match &options.product_url {
        Some(url) => format!("{} (+{url})", options.product),
        None => options.product.clone(),
    };
    let agent = HeaderValue::from_str(&agent).map_err(|_| SetupError::Product)?;
    #[expect(clippy::disallowed_methods, reason = "this is the one client with the guard against internal addresses")]
    let builder = reqwest::Client::builder();
    Ok(builder
        .user_agent(agent)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .connect_timeout(options.connect_timeout)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_IDLE_PER_HOST_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX as u32)
        // A connection that died without a word would let all that share it wait for their whole time.
        .http2_keep_alive_interval(Duration::from_secs(15))
        .http2_keep_alive_timeout(Duration::from_secs(5)))
}

/// Connections are kept for a burst of calls, not longer: there are many shops, and their servers close after 5 to 75 s.
const POOL_IDLE: Duration = Duration::from_secs(30);
const POOL_IDLE_PER_HOST_MAX: usize = 256;

fn simulated(hosts: &Hosts, options: &HttpOptions) -> Result<Clients, SetupError> {
    let certificate = hosts.certificate().map(reqwest::Certificate::from_der).transpose();
    let certificate = certificate.map_err(|_| SetupError::Certificate)?;
    let client = |scheme| {
        builder(options)?
            .dns_resolver(Arc::new(Simulated { hosts: hosts.clone(), scheme }))
            .tls_certs_only(certificate.clone())
            .build()
            .map_err(|_| SetupError::Certificate)
    };
    Ok(Clients { https: client(Scheme::Https)?, http: client(Scheme::Http)? })
}

fn trace(span: &Span, outcome: &Result<Response, ProviderError>) {
    match outcome {
        Ok(response) => {
            span.record("http.response.status_code", response.status.as_u16());
            if response.status.as_u16() >= 400 {
                span.record("otel.status", "error");
            }
        }
        Err(error) => {
            span.record("error.type", error.kind());
            span.record("otel.status", "error");
        }
    }
}

fn record(span: &Span, outcome: &Result<Response, ProviderError>, took: Duration) {
    match outcome {
        Ok(response) => span.record("status", response.status.as_u16()),
        Err(error) => span.record("status", error.kind()),
    };
    span.record("ms", took.as_millis() as u64);
}
