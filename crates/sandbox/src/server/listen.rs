//! Accepting connections and handing requests to sites.

use super::ca::CertificateByName;
use super::{Abort, Authority, HostPatterns, Origin, Scheme, Site};
use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The two listeners, running.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) tls_addr: SocketAddr,
    pub(crate) http_addr: SocketAddr,
    stop: watch::Sender<()>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Clone)]
struct Dispatch {
    hosts: Arc<HostPatterns>,
    routers: Arc<[Router]>,
}

impl Listeners {
    pub(crate) async fn start(
        sites: &[Arc<dyn Site>],
        authority: Arc<Authority>,
        tls_port: Option<u16>,
        http_port: Option<u16>,
    ) -> anyhow::Result<Listeners> {
        let (mut hosts, mut secure_hosts) = (HostPatterns::default(), HostPatterns::default());
        for (index, site) in sites.iter().enumerate() {
            for pattern in site.hosts() {
                hosts.add(&pattern, index);
                if site.serves_https() {
                    secure_hosts.add(&pattern, index);
                }
            }
        }
        let routers = sites.iter().map(|site| site.router()).collect();
        let dispatch = Dispatch { hosts: Arc::new(hosts), routers };

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let resolver = CertificateByName { authority, hosts: Arc::new(secure_hosts), minted: Default::default() };
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(tls));

        let tls_listener = bind(tls_port).await?;
        let http_listener = bind(http_port).await?;
        let (tls_addr, http_addr) = (tls_listener.local_addr()?, http_listener.local_addr()?);
        let (stop, stopped) = watch::channel(());
        let plain = {
            let dispatch = dispatch.clone();
            accept(http_listener, stopped.clone(), move |stream| serve(stream, Scheme::Http, dispatch.clone()))
        };
        let secure = accept(tls_listener, stopped, move |stream| {
            let (acceptor, dispatch) = (acceptor.clone(), dispatch.clone());
            async move {
                match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => serve(stream, Scheme::Https, dispatch).await,
                    Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                    Err(_) => tracing::debug!("TLS handshake timed out"),
                }
            }
        });
        Ok(Listeners { tls_addr, http_addr, stop, tasks: vec![tokio::spawn(plain), tokio::spawn(secure)] })
    }

    /// Stops listening and closes every connection; returns when both listeners are gone.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(());
        for task in std::mem::take(&mut self.tasks) {
            if let Err(error) = task.await
                && error.is_panic()
            {
                tracing::error!(%error, "a listener had panicked");
            }
        }
    }
}

async fn bind(port: Option<u16>) -> anyhow::Result<TcpListener> {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
    TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr}"))
}

/// Accepts until `stopped` fires or its sender is dropped; connections end with the loop, because the set owns them.
async fn accept<F, Fut>(listener: TcpListener, mut stopped: watch::Receiver<()>, serve: F)
where
    F: Fn(TcpStream) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a simulated connection panicked");
                }
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "cannot set TCP_NODELAY");
                    }
                    connections.spawn(serve(stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
}

async fn serve<S>(stream: S, scheme: Scheme, dispatch: Dispatch)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request| answer(request, scheme, dispatch.clone()));
    let connection = Builder::new(TokioExecutor::new());
    if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "connection ended");
    }
}

async fn answer(request: Request<Incoming>, scheme: Scheme, dispatch: Dispatch) -> Result<Response, std::io::Error> {
    let Some(host) = host_of(&request) else {
        return Ok((StatusCode::BAD_REQUEST, "no Host header").into_response());
    };
    let Some(site) = dispatch.hosts.find(&host) else {
        return Ok((StatusCode::MISDIRECTED_REQUEST, "no simulated shop has this name").into_response());
    };
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(Origin { scheme, host });
    let response: Result<Response, Infallible> = dispatch.routers[site].clone().oneshot(request).await;
    match response {
        Ok(response) if response.extensions().get::<Abort>().is_some() => {
            Err(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "cut on purpose"))
        }
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

fn host_of<B>(request: &Request<B>) -> Option<String> {
    let host = match request.uri().host() {
        Some(host) => host,
        None => {
            let value = request.headers().get(header::HOST)?.to_str().ok()?;
            value
                .rsplit_once(':')
                .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
                .map_or(value, |(h, _)| h)
        }
    };
    Some(host.to_ascii_lowercase())
}
