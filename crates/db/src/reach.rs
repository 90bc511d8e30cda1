//! Whether the database is known to be away, so that nobody waits for it to find out.
//!
//! The listener, which hears from the database eight times a second, says so: it asks once more on a fresh connection before
//! it does, and takes it back when it is heard again. Meanwhile every transaction is refused at once; when the database is
//! back, no queue of them falls upon it.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use sqlx::{ConnectOptions, Connection, PgPool, postgres::PgConnectOptions};
use tokio::sync::watch;

use crate::DbError;

/// How long the last question may take before the database counts as gone.
const PROBE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Or not known to be away, as before the listener was started.
    There,
    /// It refuses connections, or ends them: whoever uses one is told.
    Refusing,
    /// It says nothing: whoever waits for an answer would wait for long.
    Silent,
}

/// The pools, one for each login that serves.
#[derive(Clone)]
pub(crate) struct Pools {
    pub(crate) app: PgPool,
    pub(crate) system: PgPool,
    pub(crate) ingest: PgPool,
}

impl Pools {
    pub(crate) async fn close(&self) {
        tokio::join!(self.app.close(), self.system.close(), self.ingest.close());
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reach(Arc<Inner>);

struct Inner {
    state: watch::Sender<State>,
    pools: RwLock<Pools>,
    make_pools: Box<dyn Fn() -> Pools + Send + Sync>,
}

impl Reach {
    pub(crate) fn new(make_pools: impl Fn() -> Pools + Send + Sync + 'static) -> Self {
        let pools = RwLock::new(make_pools());
        Self(Arc::new(Inner { state: watch::Sender::new(State::There), pools, make_pools: Box::new(make_pools) }))
    }

    pub(crate) fn pools(&self) -> Pools {
        self.0.pools.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does something with the database, unless it is away or goes away meanwhile.
    pub(crate) fn unless_away<T, E: From<DbError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, E>> {
        // Beginning a transaction is a large future, and part of that of every request.
        let mut work = Box::pin(work);
        let mut state = self.0.state.subscribe();
        async move {
            tokio::select! {
                biased;
                () = becomes(&mut state, |state| state != State::There) => Err(DbError::Unavailable.into()),
                done = &mut work => done,
            }
        }
    }

    /// Ends when the database falls silent after this was called.
    pub(crate) async fn falls_silent(&self) {
        let mut state = self.0.state.subscribe();
        if *state.borrow_and_update() == State::Silent {
            becomes(&mut state, |state| state != State::Silent).await;
        }
        becomes(&mut state, |state| state == State::Silent).await;
    }

    pub(crate) fn is_away(&self) -> bool {
        *self.0.state.borrow() != State::There
    }

    /// The listener is heard.
    pub(crate) fn found(&self) {
        let was_away = self.0.state.send_if_modified(|state| std::mem::replace(state, State::There) != State::There);
        if was_away {
            tracing::info!("the database is back");
        }
    }

    /// The listener is not heard: asks once more.
    pub(crate) async fn lost(&self, options: &PgConnectOptions) {
        if self.is_away() {
            return;
        }
        // Under a name of its own: whoever ends the listener's connections has not ended the database.
        let options = options.clone().application_name("entrepot_probe");
        let probe = async {
            let mut connection = options.connect().await?;
            connection.ping().await?;
            connection.close().await
        };
        let state = match tokio::time::timeout(PROBE, probe).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) if is_there(&error) => return,
            Ok(Err(_)) => State::Refusing,
            Err(_) => State::Silent,
        };
        tracing::error!(?state, "the database is away: requests that need it are refused until it is back");
        if state == State::Silent {
            self.leave_pools();
        }
        self.0.state.send_replace(state);
    }

    /// What waits for an answer on a connection may wait for minutes after the network is back (its retransmissions come ever
    /// more seldom), and holds its place in the pool. New pools have all their places.
    fn leave_pools(&self) {
        let fresh = (self.0.make_pools)();
        let old = std::mem::replace(&mut *self.0.pools.write().unwrap_or_else(PoisonError::into_inner), fresh);
        tokio::spawn(async move { old.close().await });
    }
}

/// Whether a refusal is one of a server that is well: it has no place for another connection (class 53), while those that there
/// are go on.
fn is_there(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "53300")
}

async fn becomes(state: &mut watch::Receiver<State>, is_so: impl Fn(State) -> bool) {
    if state.wait_for(|state| is_so(*state)).await.is_err() {
        // The database is being dropped, with everything that could wait for it.
        std::future::pending::<()>().await;
    }
}
