//! One id per request, in every log line, problem and trail that the request leaves.

use axum::{
    extract::{MatchedPath, Request},
    http::HeaderValue,
    response::Response,
};
use tracing::Instrument;

pub const HEADER: &str = "x-request-id";

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task works for.
pub fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Runs work of this request in a task of its own, which goes on when the caller has gone away.
///
/// # Errors
/// When the work panicked.
pub async fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    let span = tracing::Span::current();
    match current() {
        Some(id) => tokio::spawn(CURRENT.scope(id, work).instrument(span)).await,
        None => tokio::spawn(work.instrument(span)).await,
    }
}

/// Makes an id and gives it back in the answer. One that a caller sends is not taken: it would be kept for years in the
/// audit log, and could say anything.
pub async fn scope<F: Future<Output = Response>>(request: Request, work: impl FnOnce(Request) -> F) -> Response {
    let id = kernel::random::token();
    // The route and not the path: what stands in place of an id may be anything, also a person's e-mail.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let span = tracing::info_span!("request", id = %id, method = %request.method(), route);
    let header = HeaderValue::from_str(&id);
    let mut response = CURRENT.scope(id, work(request).instrument(span)).await;
    if let Ok(header) = header {
        response.headers_mut().insert(HEADER, header);
    }
    response
}
