//! Stores as live reads see them: account, switches and opened credential, from memory while that may be believed.

use std::{sync::Arc, time::Duration};

use accounts::notifications::Kind;
use connector::{Account, Provider, ProviderError, http::Http};
use db::{
    DbError, TenantTx,
    listener::{Change, Listener},
};
use kernel::{ConnectionId, OrganizationId, TenantScope, Time};
use kit::{
    App, Problem,
    decision_cache::DecisionCache,
    trail::{self, Event},
};
use serde_json::json;

use super::{
    credential::{self, KeepCredentials, Opened, Refreshes},
    letters,
    model::{Action, Health, Status},
    store,
};
use crate::data_access::model::DataAccess;

const REMEMBERED: u64 = 20_000;
/// How long an opened credential lies in memory, used or not.
const LIFETIME: Duration = Duration::from_mins(5);
/// A shop that has just recovered is not called degraded again so soon: one that answers some of its resources only would
/// have its row written with every second read.
const RECOVERED: chrono::Duration = chrono::Duration::seconds(10);

/// A store, with everything that a live read needs.
pub struct Store {
    pub id: ConnectionId,
    pub organization: OrganizationId,
    pub display_name: String,
    pub provider: &'static dyn Provider,
    pub account: Account,
    pub status: Status,
    pub health: Health,
    /// When it last changed.
    pub health_since: Option<Time>,
    pub enabled_capabilities: Vec<String>,
    pub data_access: DataAccess,
    /// None: there is none, or what sealed it is destroyed. What may be read of the store is known all the same.
    pub credential: Option<Opened>,
}

impl Store {
    /// The client to ask the shop with.
    pub(crate) fn http(&self, app: &App) -> Http {
        app.http.for_connection(self.provider.manifest().key, self.id)
    }

    /// The credential to ask the shop with.
    ///
    /// # Errors
    /// [`kit::Code::StoreReauthorizationRequired`] when there is none, [`kit::Code::StoreNotConnected`] when that is not what
    /// keeps the shop from being asked.
    pub fn opened(&self) -> Result<&Opened, Problem> {
        match &self.credential {
            Some(opened) => Ok(opened),
            None => Err(self.status.allow_live_reads().err().unwrap_or_else(Status::needs_credential)),
        }
    }
}

/// The stores that this node knows. Cheap to clone.
#[derive(Clone)]
pub struct Stores {
    known: DecisionCache<ConnectionId, Arc<Store>>,
    pub(super) refreshes: Refreshes,
}

impl Stores {
    pub fn new(listener: &Listener) -> Self {
        let known = DecisionCache::with_lifetime(listener.freshness(), REMEMBERED, LIFETIME);
        let stores = Self { known, refreshes: Refreshes::default() };
        let known = stores.known.clone();
        listener.subscribe(Box::new(move |change| match Meant::by(change) {
            Meant::None => {}
            Meant::Store(organization, id) => known.forget(&(organization, id)),
            Meant::Organization(meant) => known.forget_organization(meant),
            Meant::All => known.forget_all(),
        }));
        stores
    }

    /// A store of the organization; None when there is no such store.
    ///
    /// # Errors
    /// When the database is gone, or the credential is not one that this installation sealed.
    pub async fn get(&self, app: &App, scope: &TenantScope, id: ConnectionId) -> Result<Option<Arc<Store>>, Problem> {
        self.known.get_or_load(&(scope.organization(), id), self.read(app, scope, id)).await
    }

    /// The same, asked of the database.
    pub(super) async fn read(
        &self,
        app: &App,
        scope: &TenantScope,
        id: ConnectionId,
    ) -> Result<Option<Arc<Store>>, Problem> {
        let mut tx = app.db.tenant(scope).await?;
        let Some(row) = store::find(&mut tx, id).await? else { return Ok(None) };
        let opened = credential::load(app, &mut tx, id).await?;
        tx.commit().await?;
        let status = super::status_of(&row)?;
        let health =
            Health::parse(&row.health).ok_or_else(|| Problem::internal(&"a connection has an unknown health"))?;
        let provider = app
            .providers
            .get(&row.provider_key)
            .ok_or_else(|| Problem::internal(&"a connection is of a provider that this build does not have"))?;
        Ok(Some(Arc::new(Store {
            id,
            organization: scope.organization(),
            display_name: row.display_name,
            provider,
            account: Account {
                external_account: row.external_account.unwrap_or_default(),
                config: row.config,
                scopes: row.scopes,
            },
            status,
            health,
            health_since: row.health_since,
            enabled_capabilities: row.enabled_capabilities,
            data_access: row.data_access_permissions.0,
            credential: opened,
        })))
    }

    /// Wipes the credentials that were forgotten or have lain here long enough. To be called every minute or so.
    pub fn sweep(&self) {
        self.known.sweep();
    }

    /// Waits until no token is being renewed, so that none is lost with the program; false when that took longer.
    pub async fn settled(&self, within: Duration) -> bool {
        self.refreshes.ended(within).await
    }

    /// Forgets a store at once on this node, for whoever has just changed it; the others hear of it.
    pub(crate) fn forget(&self, organization: OrganizationId, id: ConnectionId) {
        self.known.forget(&(organization, id));
    }

    /// Writes down what a failed call taught about the connection, once per change of mind.
    ///
    /// # Errors
    /// When the database is gone.
    pub(crate) async fn report(&self, app: &App, store: &Store, error: &ProviderError) -> Result<(), Problem> {
        let (action, cause) = match error {
            ProviderError::Unauthorized { .. } => {
                (Action::Refused, "The shop no longer accepts our access. Connect it again.")
            }
            ProviderError::Suspended { .. } => (
                Action::SwitchedOff,
                "The shop's platform has switched the shop off. Its owner must settle that there.",
            ),
            error => {
                let has_settled = store.health_since.is_none_or(|since| app.clock.now() - since >= RECOVERED);
                return match passing(error) {
                    Some(cause) if store.health == Health::Ok && has_settled => {
                        self.set_health(app, store, Health::Degraded, Some(cause)).await
                    }
                    _ => Ok(()),
                };
            }
        };
        match store.status.after(action) {
            None => Ok(()),
            Some(status) if status != store.status => self.change_status(app, store, status, Some(cause)).await,
            Some(_) if store.health == Health::Failing => Ok(()),
            Some(_) => self.set_health(app, store, Health::Failing, Some(cause)).await,
        }
    }

    /// A store that answers is well: a suspended one is connected again, a degraded one no longer so.
    ///
    /// # Errors
    /// When the database is gone.
    pub(crate) async fn report_success(&self, app: &App, store: &Store) -> Result<(), Problem> {
        if let Some(status) = store.status.after(Action::Answered) {
            self.change_status(app, store, status, None).await
        } else if store.health != Health::Ok {
            self.set_health(app, store, Health::Ok, None).await
        } else {
            Ok(())
        }
    }

    /// What all the reads of a test found, whatever the last of them did: the cause of one that failed in passing.
    ///
    /// # Errors
    /// When the database is gone.
    pub(crate) async fn report_test(
        &self,
        app: &App,
        store: &Store,
        cause: Option<&'static str>,
    ) -> Result<(), Problem> {
        match cause {
            Some(cause) => self.set_health(app, store, Health::Degraded, Some(cause)).await,
            None => self.report_success(app, store).await,
        }
    }

    async fn set_health(
        &self,
        app: &App,
        store: &Store,
        health: Health,
        cause: Option<&'static str>,
    ) -> Result<(), Problem> {
        let mut tx = begin(app, store).await?;
        if store::set_health(&mut tx, store.id, store.status, health, cause, app.clock.now()).await? {
            let event = match cause {
                Some(cause) => Event::warning("connection.health", cause),
                None => Event::info("connection.health", "The shop answers again."),
            };
            trail::event(&mut tx, &app.clock, event.of(store.id).with(json!({ "health": health.as_str() }))).await?;
        }
        tx.commit().await?;
        self.forget(store.organization, store.id);
        Ok(())
    }

    async fn change_status(
        &self,
        app: &App,
        store: &Store,
        status: Status,
        cause: Option<&'static str>,
    ) -> Result<(), Problem> {
        // Without a credential nothing was asked, so nothing was taught.
        let Some(used) = store.credential.as_ref().map(Opened::version) else { return Ok(()) };
        let mut tx = begin(app, store).await?;
        let (before, now) = (store.status, app.clock.now());
        // Only if it still stands where this call found it: another call may have said so already, and what was refused may
        // be a credential that its owner has replaced or another node has renewed meanwhile.
        if store::lock(&mut tx, store.id).await?
            && store::change_status(&mut tx, store.id, used, before, status, cause, now).await?
        {
            let event = match cause {
                Some(cause) => Event::warning("connection.status", cause),
                None => Event::info("connection.status", "The shop answers again."),
            };
            let meta = json!({ "before": before.as_str(), "after": status.as_str() });
            trail::event(&mut tx, &app.clock, event.of(store.id).with(meta)).await?;
            if let (Status::NeedsReauth, Some(cause)) = (status, cause) {
                let notice = letters::notice(Kind::ConnectionNeedsReauth, store.id, &store.display_name);
                let letter = letters::needs_reauth(&store.display_name, cause);
                letters::tell(app, &mut tx, store.id, &notice, letter).await?;
            }
        }
        tx.commit().await?;
        self.forget(store.organization, store.id);
        Ok(())
    }
}

/// The stores that a change is about.
#[derive(Debug, PartialEq, Eq)]
enum Meant {
    None,
    Store(OrganizationId, ConnectionId),
    Organization(OrganizationId),
    All,
}

impl Meant {
    /// A changed credential names its connection (`migrations/`), an organization is named by its own id.
    fn by(change: &Change) -> Self {
        let Change::Row(row) = change else { return Self::All };
        match (row.table.as_str(), row.organization_id, row.id) {
            ("connections" | "credentials", Some(organization), Some(id)) => {
                Self::Store(organization.into(), id.into())
            }
            ("data_keys", Some(organization), _) | ("organizations", None, Some(organization)) => {
                Self::Organization(organization.into())
            }
            ("connections" | "credentials" | "data_keys" | "organizations", ..) => Self::All,
            _ => Self::None,
        }
    }
}

/// Nobody in particular notices how a shop is: whoever reads may not change connections.
async fn begin(app: &App, store: &Store) -> Result<TenantTx, DbError> {
    app.db.tenant(&TenantScope::internal::<KeepCredentials>(store.organization)).await
}

/// The cause, if a shop that fails in this way may be well again without anybody doing anything. Being asked too often says
/// nothing of the shop's health.
pub(crate) fn passing(error: &ProviderError) -> Option<&'static str> {
    match error {
        ProviderError::TimedOut { .. } => Some("The shop does not answer in time."),
        ProviderError::Unavailable { .. } | ProviderError::Cut { .. } => Some("The shop cannot be reached, or fails."),
        ProviderError::Malformed { .. } => Some("The shop's answers cannot be read."),
        ProviderError::Unauthorized { .. }
        | ProviderError::AppRefused { .. }
        | ProviderError::Forbidden { .. }
        | ProviderError::Suspended { .. }
        | ProviderError::RateLimited { .. }
        | ProviderError::FilterUnsupported { .. }
        | ProviderError::Rejected { .. } => None,
    }
}
