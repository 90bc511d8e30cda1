//! Stores as live reads see them: account, switches and opened credential, from memory while that may be believed.

use std::sync::Arc;

use connector::{Account, Credential, Provider, ProviderError};
use db::listener::{Change, Listener};
use kernel::{ConnectionId, CredentialId, OrganizationId, TenantScope};
use kit::{
    App, Problem,
    decision_cache::DecisionCache,
    single_flight::SingleFlight,
    trail::{self, Event},
};
use serde_json::json;

use super::{
    credential::{self, KeepCredentials},
    model::Status,
    store,
};
use crate::data_access::model::DataAccess;

const REMEMBERED: u64 = 20_000;

/// A store, with everything that a live read needs.
pub struct Store {
    pub id: ConnectionId,
    pub organization: OrganizationId,
    pub display_name: String,
    pub provider: &'static dyn Provider,
    pub account: Account,
    pub status: Status,
    pub enabled_capabilities: Vec<String>,
    pub data_access: DataAccess,
    pub credential_id: CredentialId,
    pub credential: Credential,
}

/// The stores that this node knows. Cheap to clone.
#[derive(Clone)]
pub struct Stores {
    known: DecisionCache<(OrganizationId, ConnectionId), Arc<Store>>,
    pub(super) refreshes: SingleFlight<ConnectionId, Result<Arc<Store>, Arc<Problem>>>,
}

impl Stores {
    pub fn new(listener: &Listener) -> Self {
        let stores =
            Self { known: DecisionCache::new(listener.freshness(), REMEMBERED), refreshes: SingleFlight::default() };
        let known = stores.known.clone();
        listener.subscribe(Box::new(move |change| match change {
            Change::Row(row) => match (row.table.as_str(), row.organization_id, row.id) {
                ("connections", Some(organization), Some(id)) => known.forget(&(organization.into(), id.into())),
                // Named by rows of their own; rare enough to forget all.
                ("connections" | "credentials" | "data_keys" | "organizations", ..) => known.forget_all(),
                _ => {}
            },
            Change::Everything => known.forget_all(),
        }));
        stores
    }

    /// A store of the organization with a live credential; None when there is no such store.
    ///
    /// # Errors
    /// A store without a usable credential: [`kit::Code::StoreReauthorizationRequired`] or
    /// [`kit::Code::StoreNotConnected`].
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
        let status =
            Status::parse(&row.status).ok_or_else(|| Problem::internal(&"a connection has an unknown status"))?;
        let Some(opened) = opened else {
            status.allow_live_reads()?;
            return Status::NeedsReauth.allow_live_reads().map(|()| None);
        };
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
            enabled_capabilities: row.enabled_capabilities,
            data_access: row.data_access_permissions.0,
            credential_id: opened.id,
            credential: opened.credential,
        })))
    }

    /// Forgets a store at once on this node, for whoever has just changed it; the others hear of it.
    pub(crate) fn forget(&self, organization: OrganizationId, id: ConnectionId) {
        self.known.forget(&(organization, id));
    }

    /// Writes down what a call taught about the connection, once per change of mind.
    ///
    /// # Errors
    /// When the database is gone.
    pub(crate) async fn report(&self, app: &App, store: &Store, error: &ProviderError) -> Result<(), Problem> {
        let (status, cause) = match error {
            ProviderError::Unauthorized { .. } => {
                (Status::NeedsReauth, "The shop no longer accepts our access. Connect it again.")
            }
            ProviderError::Suspended { .. } => {
                (Status::Suspended, "The shop's platform has switched the shop off. Its owner must settle that there.")
            }
            _ => return Ok(()),
        };
        if store.status == status {
            return Ok(());
        }
        self.change_status(app, store, status, Some(cause)).await
    }

    /// A suspended store that answers is connected again.
    ///
    /// # Errors
    /// When the database is gone.
    pub(crate) async fn report_success(&self, app: &App, store: &Store) -> Result<(), Problem> {
        if store.status == Status::Suspended {
            self.change_status(app, store, Status::Connected, None).await?;
        }
        Ok(())
    }

    async fn change_status(
        &self,
        app: &App,
        store: &Store,
        status: Status,
        cause: Option<&'static str>,
    ) -> Result<(), Problem> {
        let scope = TenantScope::internal::<KeepCredentials>(store.organization);
        let mut tx = app.db.tenant(&scope).await?;
        // Only if it still stands where this call found it: another call may have said so already.
        if store::change_status(&mut tx, store.id, store.status, status, cause, app.clock.now()).await? {
            let event = match cause {
                Some(cause) => Event::warning("connection.status", cause),
                None => Event::info("connection.status", "The shop answers again."),
            };
            let meta = json!({ "before": store.status.as_str(), "after": status.as_str() });
            trail::event(&mut tx, &app.clock, event.of(store.id).with(meta)).await?;
        }
        tx.commit().await?;
        self.forget(store.organization, store.id);
        Ok(())
    }
}
