//! The HTTP server: what stands around the slices.

#[cfg(test)]
mod fuzz;
mod strangers;
#[cfg(test)]
mod tests;
pub mod tls;
mod trace;

use std::{
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json,
    body::Body,
    extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use db::{Db, DbError, SystemTask};
use futures::FutureExt;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use integrations::events::Tails;
use kit::{App, Code, Problem, cross_origin, data_keys, error_reports::ErrorReports, rate_limit, request_id};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tokio_io_timeout::TimeoutStream;
use tower::Service;
use tracing::Instrument;

use self::{strangers::Strangers, tls::Tls};
use crate::{assembly, keys::keep::HasMasterKey, pages};

/// Bodies that people and programs send us. Webhooks will have a class of their own.
const BODY_LIMIT: usize = 1024 * 1024;
/// Longer than the longest upstream read, so that its own problem is told.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A caller that takes nothing of its answer for so long has gone away, or holds memory on purpose.
const STALLED: Duration = Duration::from_secs(30);
/// Open connections at once; each costs a file descriptor and some memory.
const CONNECTIONS: usize = 10_000;
/// How long open requests may go on once the program is asked to stop.
const DRAIN: Duration = Duration::from_secs(35);

/// Everything that answers, as one service.
#[derive(Clone)]
pub struct Endpoint {
    inner: axum::Router,
    paths: Arc<Paths>,
    /// Ends the answers that would otherwise go on for as long as somebody reads them.
    end_streams: Arc<dyn Fn() + Send + Sync>,
}

/// The service of an app, with or without a metrics recorder.
pub fn service(app: &App, metrics: Option<PrometheusHandle>) -> Endpoint {
    let (slices, document) = assembly::routes();
    let paths = Arc::new(Paths::of(&document));
    let document = Arc::new(document);
    let stopping = Stopping::default();
    let is_stopping = stopping.clone();
    let prepared = axum::body::Bytes::from(serde_json::to_vec(document.as_ref()).unwrap_or_default());
    let router = slices
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(move |State(app): State<App>| ready(app, is_stopping)))
        .route("/openapi.json", get(move || async move { ([(header::CONTENT_TYPE, "application/json")], prepared) }))
        .merge(pages::routes(document))
        .fallback(|| async {
            Problem::new(Code::NotFound, "There is nothing at this address. The API is described at /docs.")
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(Code::MethodNotAllowed, "See /docs for the methods that this address takes.")
        })
        .with_state(app.clone());
    let router = match metrics {
        Some(handle) => router.route("/metrics", get(move |info, request| show_metrics(handle.clone(), info, request))),
        None => router,
    };
    let inner = router
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state((app.clone(), Strangers::default()), around));
    let tails = app.slice::<Tails>().clone();
    let end_streams = Arc::new(move || {
        stopping.store(true, Ordering::Release);
        tails.stop();
    });
    Endpoint { inner, paths, end_streams }
}

impl Service<Request<Body>> for Endpoint {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = <axum::Router as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        Service::<Request<Body>>::poll_ready(&mut self.inner, context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        self.paths.canonicalize(request.uri_mut());
        self.inner.call(request)
    }
}

/// The documented paths that end with a slash (they are the seed documents'), so that every path is taken with and
/// without one, and the alias `/functions/v1` of the edge functions that came before.
pub struct Paths {
    with_slash: Vec<Vec<Option<String>>>,
}

impl Paths {
    fn of(document: &utoipa::openapi::OpenApi) -> Self {
        let segments = |path: &String| {
            let path = path.strip_suffix('/')?;
            Some(path.split('/').map(|segment| (!segment.starts_with('{')).then(|| segment.to_owned())).collect())
        };
        Self { with_slash: document.paths.paths.keys().filter(|path| path.len() > 1).filter_map(segments).collect() }
    }

    fn canonicalize(&self, uri: &mut Uri) {
        let path = uri.path();
        let bare = path.strip_prefix("/functions/v1").filter(|rest| rest.starts_with('/')).unwrap_or(path);
        let bare = if bare.len() > 1 { bare.strip_suffix('/').unwrap_or(bare) } else { bare };
        let has_slash = bare.len() > 1
            && self.with_slash.iter().any(|pattern| {
                pattern.len() == bare.split('/').count()
                    && pattern.iter().zip(bare.split('/')).all(|(known, given)| match known {
                        Some(known) => known == given,
                        None => !given.is_empty(),
                    })
            });
        if !has_slash && bare == path {
            return;
        }
        let mut wanted = bare.to_owned();
        if has_slash {
            wanted.push('/');
        }
        if let Some(query) = uri.query() {
            wanted.push('?');
            wanted.push_str(query);
        }
        if let Ok(wanted) = wanted.parse() {
            *uri = wanted;
        }
    }
}

/// Whether the server was asked to stop.
type Stopping = Arc<AtomicBool>;

/// Ready means that the database answers with a schema that this program knows, that this node hears what others change, that the
/// key store has what opens secrets, and that nobody asked it to stop. A mail server that is missing is told and changes
/// nothing: mails wait.
async fn ready(app: App, stopping: Stopping) -> Response {
    let schema = async {
        let mut tx = app.db.system(SystemTask::Readiness).await?;
        let version = tx.schema_version().await?;
        tx.rollback().await?;
        Ok::<_, DbError>(version >= Db::newest_migration())
    };
    let schema = tokio::time::timeout(READY, schema).await.ok().and_then(Result::ok);
    let database = schema.is_some();
    // Without a database nobody can say, and it is not what keeps this node from being ready.
    let vault = match database {
        true => tokio::time::timeout(READY, secrets_can_be_opened(&app)).await.ok().and_then(Result::ok),
        false => None,
    };
    let (listening, stopping) = (app.freshness.holds(), stopping.load(Ordering::Acquire));
    let master_key = app.slice::<HasMasterKey>().holds();
    let ready = database && schema == Some(true) && vault == Some(true) && master_key && listening && !stopping;
    let mail = if app.slice::<kit::mail::Mailer>().is_configured() { "configured" } else { "not_configured" };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "ready": ready,
        "database": database,
        "schema": schema,
        "vault": vault,
        "master_key": master_key,
        "listening": listening,
        "stopping": stopping,
        "mail": mail,
    });
    (status, Json(body)).into_response()
}

/// Whether the key store has the shard of a data key that is there; true where there is none yet.
async fn secrets_can_be_opened(app: &App) -> Result<bool, DbError> {
    // One that is destroyed in between is not there the second time.
    for _ in 0..2 {
        let mut tx = app.db.system(SystemTask::Readiness).await?;
        let any = data_keys::any(&mut tx).await?;
        tx.rollback().await?;
        let Some(id) = any else { return Ok(true) };
        match app.keyring.has_shard(id).await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "the key store does not answer");
                return Ok(false);
            }
        }
    }
    Ok(false)
}

/// How long the database, or the key store, may take to say that it is there.
const READY: Duration = Duration::from_millis(900);

/// What proxies add to requests.
const FORWARDING: [&str; 6] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

/// Metrics are for the machine itself: they are shown on loopback, and not through a proxy.
async fn show_metrics(
    handle: PrometheusHandle,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let is_proxied = |name| request.headers().contains_key(name);
    if !peer.ip().is_loopback() || FORWARDING.into_iter().any(is_proxied) {
        return Problem::not_found().into_response();
    }
    handle.render().into_response()
}

/// What stands around every request. One layer, since each costs every request copies of all that it holds.
async fn around(State((app, strangers)): State<(App, Strangers)>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let (method, route) = (request.method().clone(), request.extensions().get::<MatchedPath>().cloned());
    let (span, request) = trace::begin(&app, request);
    let traced = span.clone();
    strangers.look(&app, &request);
    let scope = request_id::scope(request, |mut request| async move {
        let (readable, counted) =
            (cross_origin::Readable::expected_of(&mut request), rate_limit::Counted::expected_of(&mut request));
        let mut response = match cross_origin::preflight(&request) {
            Some(answer) => answer,
            None => bounded(&app.db, next.run(request)).await,
        };
        counted.tell(&mut response);
        readable.tell(&mut response);
        measure(&response, started.elapsed());
        app.slice::<ErrorReports>().answered(&method, route.as_ref(), &response);
        trace::end(&traced, &response);
        secure_headers(app.config.is_https(), &mut response);
        response
    });
    scope.instrument(span).await
}

/// The handler's answer, or the one that tells of its panic, of the end of its time, or of a database that fell silent.
async fn bounded(db: &Db, handler: impl Future<Output = Response>) -> Response {
    let handler = tokio::time::timeout(REQUEST_TIMEOUT, AssertUnwindSafe(handler).catch_unwind());
    let ended = tokio::select! {
        biased;
        ended = handler => ended,
        () = db.falls_silent() => {
            return Problem::new(
                Code::DatabaseUnavailable,
                "The database stopped answering meanwhile, so it may have been done or not. Look before you try again.",
            )
            .with_retry_after(Duration::from_secs(2))
            .into_response();
        }
    };
    match ended {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            metrics::counter!("entrepot_panics_total").increment(1);
            Problem::internal(&"a handler panicked").into_response()
        }
        Err(_) => Problem::new(Code::Overloaded, "The request took longer than a minute and was given up.")
            .with_retry_after(Duration::from_secs(5))
            .into_response(),
    }
}

fn measure(response: &Response, took: Duration) {
    let code = response.extensions().get::<Code>().map_or("ok", |code| code.as_str());
    metrics::counter!("entrepot_requests_total", "status" => response.status().as_str().to_owned(), "result" => code)
        .increment(1);
    metrics::histogram!("entrepot_request_seconds").record(took.as_secs_f64());
}

fn secure_headers(is_https: bool, response: &mut Response) {
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 3] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if is_https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000"));
    }
}

/// Serves until `stop` changes, then ends streams and lets other open requests end. With `tls` by https, else by plain http.
pub async fn serve(listener: TcpListener, tls: Option<Tls>, service: Endpoint, stop: watch::Receiver<bool>) {
    serve_within(STALLED, listener, tls, service, stop).await;
}

async fn serve_within(
    stalled: Duration,
    listener: TcpListener,
    tls: Option<Tls>,
    service: Endpoint,
    mut stop: watch::Receiver<bool>,
) {
    // HTTP/1.1 only: a proxy in front speaks HTTP/2 with browsers, and this way the time limit for headers runs from the
    // first moment of a connection.
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(64 * 1024);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, usually; the next accept would fail at once.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = stop.changed() => break,
        };
        if let Err(error) = stream.set_nodelay(true).and_then(|()| let_go_of_the_dead(&stream)) {
            tracing::debug!(%error, "a connection closed as it opened");
        }
        let service = WithPeer { inner: service.clone(), peer };
        let Ok(place) = places.clone().try_acquire_owned() else {
            // Closing it at once costs the least; a balancer tries another node.
            metrics::counter!("entrepot_connections_refused_total").increment(1);
            continue;
        };
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(stalled));
        let stream = Box::pin(stream);
        let (builder, service, watcher) = (builder.clone(), TowerToHyperService::new(service), graceful.watcher());
        let (tls, mut stopping) = (tls.clone(), stop.clone());
        tokio::spawn(async move {
            let _place = place;
            let ended = match tls {
                None => watcher.watch(builder.serve_connection(TokioIo::new(stream), service)).await,
                Some(tls) => {
                    // Nothing was asked yet: there is nothing to wait for when the program stops.
                    let agreed = tokio::select! {
                        agreed = tls.accept(stream) => agreed,
                        _ = stopping.changed() => None,
                    };
                    let Some(stream) = agreed else { return };
                    watcher.watch(builder.serve_connection(TokioIo::new(stream), service)).await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    (service.end_streams)();
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still open when the program stopped");
    }
}

/// A caller whose network is gone takes nothing either, but what is sent now and then fits into the socket's buffer for as long
/// as TCP tries, a quarter of an hour.
fn let_go_of_the_dead(stream: &TcpStream) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(STALLED))?;
    Ok(())
}

/// Gives handlers the address of the peer, and bodies the type that axum expects.
#[derive(Clone)]
struct WithPeer {
    inner: Endpoint,
    peer: SocketAddr,
}

impl<B> Service<Request<B>> for WithPeer
where
    B: http_body::Body<Data = axum::body::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = <Endpoint as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(self.peer));
        self.inner.call(request)
    }
}
