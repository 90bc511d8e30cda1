//! Somebody who is no trusted proxy says for whom they ask. It is a proxy that the operator has not named, behind which all callers
//! are one network, or a caller who pretends to be one; who runs it can tell.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::extract::{ConnectInfo, Request};
use kit::{
    App,
    error_reports::{ErrorReports, Kind, Report, UNTRUSTED_PROXY},
};

/// How often the log says so.
const SAID_EVERY: Duration = Duration::from_hours(1);

#[derive(Clone, Default)]
pub(super) struct Strangers(Arc<Mutex<Option<Instant>>>);

impl Strangers {
    pub(super) fn look(&self, app: &App, request: &Request) {
        if !request.headers().contains_key("x-forwarded-for") {
            return;
        }
        let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() else { return };
        if app.config.trusted_proxies.contains(peer.ip().to_canonical()) {
            return;
        }
        metrics::counter!("entrepot_untrusted_forwarding_total").increment(1);
        app.slice::<ErrorReports>().record(Report::new(
            Kind::Setting,
            "ENTREPOT_TRUSTED_PROXIES",
            UNTRUSTED_PROXY,
            "X-Forwarded-For came from an address that is no trusted proxy: if it is a proxy, all its callers are one network",
        ));
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() > SAID_EVERY) {
            *said = Some(Instant::now());
            tracing::warn!(
                proxy = %peer.ip(),
                "X-Forwarded-For came from an address that is no trusted proxy. If it is a proxy of yours, name it in \
                 ENTREPOT_TRUSTED_PROXIES: until then all its callers are one network, and who guesses stops them all"
            );
        }
    }
}
