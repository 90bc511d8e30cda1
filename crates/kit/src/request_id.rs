//! One id per request, in every log line, problem and trail that the request leaves.

use std::sync::{Arc, OnceLock};

use axum::{
    extract::{MatchedPath, Request},
    http::HeaderValue,
    response::Response,
};
use kernel::OrganizationId;
use tracing::Instrument;

pub const HEADER: &str = "x-request-id";

tokio::task_local! {
    static CURRENT: Arc<Current>;
}

struct Current {
    id: String,
    /// Known once it is known who calls.
    organization: OnceLock<OrganizationId>,
}

/// The id of the request that this task works for.
pub fn current() -> Option<String> {
    CURRENT.try_with(|current| current.id.clone()).ok()
}

/// The organization that this task works for, once it is known.
pub fn organization() -> Option<OrganizationId> {
    CURRENT.try_with(|current| current.organization.get().copied()).ok().flatten()
}

/// The request is made in this organization, by somebody who belongs to it.
pub(crate) fn is_of(organization: OrganizationId) {
    // Outside a request, as in a test of a part, there is nobody to tell; the first to be known stays.
    let _told = CURRENT.try_with(|current| current.organization.set(organization));
}

/// Runs work of this request in a task of its own, which goes on when the caller has gone away.
///
/// # Errors
/// When the work panicked.
pub async fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    let span = tracing::Span::current();
    match CURRENT.try_with(Arc::clone).ok() {
        Some(request) => tokio::spawn(CURRENT.scope(request, work).instrument(span)).await,
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
    let current = Arc::new(Current { id, organization: OnceLock::new() });
    let mut response = CURRENT.scope(current, work(request).instrument(span)).await;
    if let Ok(header) = header {
        response.headers_mut().insert(HEADER, header);
    }
    response
}
