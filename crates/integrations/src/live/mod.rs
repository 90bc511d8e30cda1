//! Customers, orders and products, read live from the shop that owns them. Nothing personal is kept.
//!
//! A read walks: the caller's minute → the store (from memory) → its switches → the filters → the shop, with no
//! transaction open and shared with identical reads that are under way → the answer checked again on our side → one line
//! in the access log, durable → the answer.

pub mod api;
pub mod model;
pub(crate) mod probe;
mod resource;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use connector::{Answer, Call, Page, ProviderError, Query, Read, Selection};
use kernel::{Action, ConnectionId, OrganizationId, Permission, Resource, TenantScope};
use kit::{AcrossConnections, App, Code, Problem, single_flight::SingleFlight, vault::Keyring};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::{
    connections::{Store, Stores, credential},
    data_access::{access_log::Access, model::DataAccess},
    problem,
};

pub(crate) use resource::LiveResource;

/// The longest that a shop may take for one read, with all its pages and waits.
const UPSTREAM: Duration = Duration::from_secs(30);

/// What a read found, with how long the shop took.
pub struct Found<T> {
    pub value: T,
    pub took: Duration,
}

/// The outcome of an upstream read, shared by those who asked for the same.
pub(crate) type Shared<T> = Arc<Result<Found<T>, Failure>>;

/// Why a read failed, so that each of those who share it gets a problem of their own.
pub enum Failure {
    Provider(ProviderError),
    Ours(Problem),
}

impl Failure {
    fn problem(&self) -> Problem {
        match self {
            Self::Provider(error) => problem::of_provider(error),
            Self::Ours(problem) => problem.clone(),
        }
    }
}

/// Which upstream reads are the same: the store with its credential, and a digest of everything asked for.
pub(crate) type FlightKey = (ConnectionId, kernel::CredentialId, [u8; 32]);

/// Reads under way. Cheap to clone.
pub struct Flights<T> {
    pages: SingleFlight<FlightKey, Shared<Page<T>>>,
    ones: SingleFlight<FlightKey, Shared<Answer<T>>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { pages: SingleFlight::default(), ones: SingleFlight::default() }
    }
}

/// How many reads may be under way at once: one shop that hangs, or one organization that asks too much, leaves room for
/// the others, and memory is bounded by what that many answers can hold.
struct Gates {
    all: Arc<Semaphore>,
    organizations: moka::sync::Cache<OrganizationId, Arc<Semaphore>>,
    stores: moka::sync::Cache<ConnectionId, Arc<Semaphore>>,
}

const AT_ONCE: usize = 128;
const AT_ONCE_PER_ORGANIZATION: usize = 32;
const AT_ONCE_PER_STORE: usize = 16;
/// How long a read waits for its turn.
const TURN: Duration = Duration::from_secs(10);

impl Default for Gates {
    fn default() -> Self {
        let idle = Duration::from_secs(600);
        Self {
            all: Arc::new(Semaphore::new(AT_ONCE)),
            organizations: moka::sync::Cache::builder().time_to_idle(idle).build(),
            stores: moka::sync::Cache::builder().time_to_idle(idle).build(),
        }
    }
}

impl Gates {
    /// Waits for a turn at the store, in its organization, and in the program: the narrowest first, so that who waits for
    /// a slow shop holds nobody else's place.
    async fn enter(&self, store: &Store) -> Result<[OwnedSemaphorePermit; 3], Problem> {
        let at_store = self.stores.get_with(store.id, || Arc::new(Semaphore::new(AT_ONCE_PER_STORE)));
        let in_organization =
            self.organizations.get_with(store.organization, || Arc::new(Semaphore::new(AT_ONCE_PER_ORGANIZATION)));
        let turns = async {
            Ok::<_, AcquireError>([
                at_store.acquire_owned().await?,
                in_organization.acquire_owned().await?,
                self.all.clone().acquire_owned().await?,
            ])
        };
        match tokio::time::timeout(TURN, turns).await {
            Ok(Ok(places)) => Ok(places),
            Ok(Err(_)) | Err(_) => {
                metrics::counter!("entrepot_live_reads_turned_away_total").increment(1);
                Err(Problem::new(
                    Code::Overloaded,
                    "Too many reads of this store are waiting for its shop. Try again in a moment.",
                )
                .with_retry_after(Duration::from_secs(2)))
            }
        }
    }
}

/// The state of this slice.
#[derive(Clone)]
pub struct Live(Arc<State>);

pub(crate) struct State {
    gates: Gates,
    pub(crate) customers: Flights<connector::Customer>,
    pub(crate) orders: Flights<connector::Order>,
    pub(crate) products: Flights<connector::Product>,
    pub(crate) cursors: kit::vault::TokenSealer,
    /// For digests of what was asked for, which may name persons.
    pub(crate) digest_key: zeroize::Zeroizing<[u8; 32]>,
}

impl Live {
    pub fn new(keyring: &Keyring) -> Self {
        Self(Arc::new(State {
            gates: Gates::default(),
            customers: Flights::default(),
            orders: Flights::default(),
            products: Flights::default(),
            cursors: kit::vault::TokenSealer::new(keyring, "live cursor", kit::vault::TokenSealer::DAY),
            digest_key: keyring.derive("live digest"),
        }))
    }

    pub(crate) fn state(&self) -> &State {
        &self.0
    }
}

/// The store that a caller means, if the shop may be asked for this kind of data. Fills in the access-log line as it goes.
pub(crate) async fn open_store<R: LiveResource>(
    app: &App,
    scope: &TenantScope,
    id: ConnectionId,
    access: &mut Access,
) -> Result<(Arc<Store>, &'static dyn Read<R::Model>), Problem> {
    let stores = app.slice::<Stores>();
    let store = stores.get(app, scope, id).await?.ok_or_else(Problem::not_found)?;
    access.connection_id = Some(id);
    if !R::allowed(store.data_access) {
        return Err(switched_off(R::NAME));
    }
    if !store.enabled_capabilities.iter().any(|capability| capability == R::CAPABILITY) {
        return Err(Problem::new(
            Code::DataAccessDisabled,
            format!("The capability {} is switched off for this store. The shop was not asked.", R::CAPABILITY),
        ));
    }
    store.status.allow_live_reads()?;
    let reader = R::reader(store.provider).ok_or_else(|| {
        let platform = store.provider.manifest().label;
        Problem::new(Code::NotSupportedByPlatform, format!("{platform} gives no access to {}.", R::NAME))
    })?;
    Ok((credential::fresh(app, stores, store).await?, reader))
}

fn switched_off(resource: &str) -> Problem {
    Problem::new(Code::DataAccessDisabled, format!("The store's owner has switched {resource} off for this store."))
}

/// Whether what is about customers may be shown: the store's owner shares it, and the caller may read customers there. An order
/// is full of it.
pub(crate) fn shows_persons(scope: &TenantScope, store: &Store) -> bool {
    store.data_access.allow_customer_access && scope.rights().at(store.id).contains(Resource::Customers, Action::Read)
}

/// Asks again before anything is shown: a slow shop leaves time to switch access off, and to take the caller's rights away. Whether
/// persons may still be shown. What was found for several who asked for the same is asked for each of them.
pub(crate) async fn still_allowed<R: LiveResource, P: Permission>(
    app: &App,
    caller: &AcrossConnections<P>,
    id: ConnectionId,
    persons: bool,
) -> Result<bool, Problem> {
    let scope = caller.still_at(app, id).await?;
    let store = app.slice::<Stores>().get(app, &scope, id).await?.ok_or_else(Problem::not_found)?;
    if !R::allowed(store.data_access) {
        return Err(switched_off(R::NAME));
    }
    store.opened()?;
    Ok(persons && shows_persons(&scope, &store))
}

/// Reads a page, or shares the read of somebody who asks for the same.
pub(crate) async fn page<R: LiveResource>(
    app: &App,
    store: Arc<Store>,
    reader: &'static dyn Read<R::Model>,
    key: [u8; 32],
    query: Query,
) -> Shared<Page<R::Model>> {
    let flights = &R::flights(app.slice::<Live>().state()).pages;
    let request = PageRequest { reader, query, allowed: R::allowed, resource: R::NAME };
    share(app, flights, store, key, request).await
}

/// Reads one record, or shares the read of somebody who asks for the same.
pub(crate) async fn one<R: LiveResource>(
    app: &App,
    store: Arc<Store>,
    reader: &'static dyn Read<R::Model>,
    key: [u8; 32],
    record: String,
    selection: Selection,
) -> Shared<Answer<R::Model>> {
    let flights = &R::flights(app.slice::<Live>().state()).ones;
    let request = OneRequest { reader, record, selection, allowed: R::allowed, resource: R::NAME };
    share(app, flights, store, key, request).await
}

async fn share<Q>(
    app: &App,
    flights: &SingleFlight<FlightKey, Shared<Q::Found>>,
    store: Arc<Store>,
    key: [u8; 32],
    request: Q,
) -> Shared<Q::Found>
where
    Q: Request,
{
    let credential = match store.opened() {
        Ok(opened) => opened.id,
        Err(problem) => return Arc::new(Err(Failure::Ours(problem))),
    };
    let key = (store.id, credential, key);
    flights.share(key, || async move { Arc::new(ask(app, store, &request).await) }).await
}

/// One upstream request, which can be sent again with another token.
#[async_trait]
trait Request: Send + Sync + 'static {
    type Found: Send + Sync + 'static;
    /// Whether the store's owner still allows it, by the store as it is read for each try.
    fn check(&self, store: &Store) -> Result<(), Problem>;
    async fn send(&self, call: Call<'_>) -> Result<Self::Found, ProviderError>;
}

struct PageRequest<T: 'static> {
    reader: &'static dyn Read<T>,
    query: Query,
    allowed: fn(DataAccess) -> bool,
    resource: &'static str,
}

#[async_trait]
impl<T: Send + Sync + 'static> Request for PageRequest<T> {
    type Found = Page<T>;
    fn check(&self, store: &Store) -> Result<(), Problem> {
        if (self.allowed)(store.data_access) { Ok(()) } else { Err(switched_off(self.resource)) }
    }
    async fn send(&self, call: Call<'_>) -> Result<Page<T>, ProviderError> {
        self.reader.list(&call, &self.query).await
    }
}

struct OneRequest<T: 'static> {
    reader: &'static dyn Read<T>,
    record: String,
    selection: Selection,
    allowed: fn(DataAccess) -> bool,
    resource: &'static str,
}

#[async_trait]
impl<T: Send + Sync + 'static> Request for OneRequest<T> {
    type Found = Answer<T>;
    fn check(&self, store: &Store) -> Result<(), Problem> {
        if (self.allowed)(store.data_access) { Ok(()) } else { Err(switched_off(self.resource)) }
    }
    async fn send(&self, call: Call<'_>) -> Result<Answer<T>, ProviderError> {
        self.reader.one(&call, &self.record, &self.selection).await
    }
}

/// Asks the shop, once more with a renewed token when it refuses the one we have, and writes down what that taught.
async fn ask<Q: Request>(app: &App, store: Arc<Store>, request: &Q) -> Result<Found<Q::Found>, Failure> {
    let stores = app.slice::<Stores>();
    let started = Instant::now();
    let mut store = store;
    let mut renewed = false;
    let _place = app.slice::<Live>().state().gates.enter(&store).await.map_err(Failure::Ours)?;
    loop {
        request.check(&store).map_err(Failure::Ours)?;
        let credential = &store.opened().map_err(Failure::Ours)?.credential;
        let http = store.http(app);
        let call = Call { http: &http, account: &store.account, credential, clock: &app.clock };
        let outcome = match tokio::time::timeout(UPSTREAM.saturating_sub(started.elapsed()), request.send(call)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ProviderError::TimedOut { after: UPSTREAM }),
        };
        match outcome {
            Ok(value) => {
                stores.report_success(app, &store).await.map_err(Failure::Ours)?;
                return Ok(Found { value, took: started.elapsed() });
            }
            Err(ProviderError::Unauthorized { detail }) if !renewed => {
                renewed = true;
                match credential::after_refusal(app, stores, &store).await {
                    Ok(Some(with_new_token)) => store = with_new_token,
                    Ok(None) => return Err(reported(app, stores, &store, ProviderError::Unauthorized { detail }).await),
                    Err(problem) => return Err(Failure::Ours(problem)),
                }
            }
            Err(error) => return Err(reported(app, stores, &store, error).await),
        }
    }
}

async fn reported(app: &App, stores: &Stores, store: &Store, error: ProviderError) -> Failure {
    metrics::counter!(
        "entrepot_upstream_failures_total",
        "provider" => store.provider.manifest().key,
        "kind" => error.kind()
    )
    .increment(1);
    // The caller is told of the shop's failure; that we could not write it down is for our own log.
    if let Err(problem) = stores.report(app, store, &error).await {
        tracing::error!(connection = %store.id, code = problem.code().as_str(), "the state of a connection was not written");
    }
    Failure::Provider(error)
}
