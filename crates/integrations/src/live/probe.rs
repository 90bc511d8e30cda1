//! Asking a shop for one record of each kind, to see whether it answers. The way is that of every live read; what comes back
//! is looked at by nobody.

use std::time::Instant;

use connector::{Fields, Position, Query, Selection};
use kernel::{AccessReceiptId, ConnectionId, TenantScope};
use kit::{App, Code, Problem};

use super::{
    Failure, Live, LiveResource,
    model::ask,
    resource::{Customers, Orders, Products},
};
use crate::{
    connections::passing,
    data_access::access_log::{Access, AccessLog},
};

/// What asking for one kind of data came to.
pub(crate) struct Probe {
    pub(crate) resource: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) upstream_ms: Option<u32>,
}

pub(crate) enum Outcome {
    Answered,
    /// Its owner does not want it read; the shop was not asked.
    Off,
    /// `passing` is the cause, if it may be well again by itself.
    Failed {
        code: Code,
        detail: String,
        passing: Option<&'static str>,
    },
}

/// All kinds at once.
///
/// # Errors
/// When an access cannot be logged.
pub(crate) async fn all(app: &App, scope: &TenantScope, id: ConnectionId) -> Result<[Probe; 3], Problem> {
    let (customers, orders, products) = futures::join!(
        Box::pin(logged::<Customers>(app, scope, id)),
        Box::pin(logged::<Orders>(app, scope, id)),
        Box::pin(logged::<Products>(app, scope, id))
    );
    Ok([customers?, orders?, products?])
}

async fn logged<R: LiveResource>(app: &App, scope: &TenantScope, id: ConnectionId) -> Result<Probe, Problem> {
    let (started, receipt) = (Instant::now(), AccessReceiptId::new(&app.clock));
    let mut access = Access::new(receipt, scope.organization(), scope.actor(), R::NAME, "test", app.clock.now());
    let outcome = ask_for_one::<R>(app, scope, id, &mut access).await.unwrap_or_else(|failure| match failure {
        Failure::Ours(problem) if problem.code() == Code::DataAccessDisabled => Outcome::Off,
        failure => {
            let problem = failure.problem();
            let passing = match &failure {
                Failure::Provider(error) => passing(error),
                Failure::Ours(..) => None,
            };
            Outcome::Failed { code: problem.code(), detail: problem.detail().to_owned(), passing }
        }
    });
    access.result = match &outcome {
        Outcome::Answered => "ok",
        Outcome::Off => Code::DataAccessDisabled.as_str(),
        Outcome::Failed { code, .. } => code.as_str(),
    };
    access.duration_ms = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
    let upstream_ms = access.upstream_ms;
    app.slice::<AccessLog>().write(access).await?;
    Ok(Probe { resource: R::NAME, outcome, upstream_ms })
}

async fn ask_for_one<R: LiveResource>(
    app: &App,
    scope: &TenantScope,
    id: ConnectionId,
    access: &mut Access,
) -> Result<Outcome, Failure> {
    let (store, reader) = super::open_store::<R>(app, scope, id, access).await.map_err(Failure::Ours)?;
    let persons = store.data_access.allow_customer_access;
    let mut digest = ask::digest(&app.slice::<Live>().state().digest_key);
    ask::feed(&mut digest, R::NAME, "test");
    ask::feed(&mut digest, "persons", if persons { "yes" } else { "no" });
    let key = hmac::Mac::finalize(digest).into_bytes().into();
    let query = Query {
        filters: Default::default(),
        selection: Selection { persons, fields: Fields::Named(["id".to_owned()].into()) },
        limit: 1,
        position: Position::Page(1),
    };
    let shared = super::page::<R>(app, store, reader, key, query).await;
    match &*shared {
        Ok(found) => {
            access.upstream_ms = u32::try_from(found.took.as_millis()).ok();
            Ok(Outcome::Answered)
        }
        Err(Failure::Provider(error)) => Err(Failure::Provider(error.clone())),
        Err(Failure::Ours(problem)) => Err(Failure::Ours(problem.clone())),
    }
}
