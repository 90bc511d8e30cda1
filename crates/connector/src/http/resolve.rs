//! Names to vetted addresses. The connection is made to exactly the addresses that were vetted: there is no second lookup
//! whose answer could differ.

use std::{
    io,
    net::{IpAddr, ToSocketAddrs as _},
    sync::Arc,
};

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{
    guard::{Refusal, is_public},
    hosts::Hosts,
};

/// Asks a name service.
pub(super) trait Lookup: Send + Sync + 'static {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver. It blocks a thread, and a name server of an attacker's can make it block for long: so
/// many at once, that others find free threads.
pub(super) struct System(Arc<Semaphore>);

pub(super) const LOOKUPS_AT_ONCE_MAX: usize = 64;

impl System {
    pub(super) fn new(lookups_at_once_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(lookups_at_once_max)))
    }
}

impl Lookup for System {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let permits = Arc::clone(&self.0);
        Box::pin(async move {
            let permit = permits.acquire_owned().await.map_err(io::Error::other)?;
            let asking = spawn_blocking(move || {
                // The thread goes on when nobody waits any more, so the permit is the thread's.
                let _permit = permit;
                Ok((name.as_str(), 0).to_socket_addrs()?.map(|found| found.ip()).collect())
            });
            asking.await.map_err(io::Error::other)?
        })
    }
}

/// For everything but simulated hosts: one internal address among the answers refuses them all, since which one would be
/// used is the attacker's choice.
pub(super) struct Guarded {
    pub(super) lookup: Arc<dyn Lookup>,
    /// As in `HttpOptions`.
    pub(super) reaches_inside: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, reaches_inside) = (self.lookup.lookup(name.as_str().to_owned()), self.reaches_inside);
        Box::pin(async move {
            let found = lookup.await?;
            if found.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            if !reaches_inside && !found.iter().copied().all(is_public) {
                return Err(Refusal::Internal.into());
            }
            // Port 0: the scheme's usual port, or the URL's own.
            let addresses: Addrs = Box::new(found.into_iter().map(|address| (address, 0).into()));
            Ok(addresses)
        })
    }
}

/// For simulated hosts, one per scheme: a resolver is told the name alone, and the two schemes are served on two ports.
pub(super) struct Simulated {
    pub(super) hosts: Hosts,
    pub(super) scheme: Scheme,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Https,
    Http,
}

impl Resolve for Simulated {
    fn resolve(&self, name: Name) -> Resolving {
        let address = self.hosts.route(name.as_str()).map(|route| match self.scheme {
            Scheme::Https => route.https,
            Scheme::Http => route.http,
        });
        Box::pin(async move {
            let address = address.ok_or(Refusal::Internal)?;
            let addresses: Addrs = Box::new(std::iter::once(address));
            Ok(addresses)
        })
    }
}
