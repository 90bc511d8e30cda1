//! How many connections of a provider the plan allows. They are counted whoever asks: also those that they were denied.

use accounts::{
    notifications::{self, About, Kind, Notice},
    plans::{self, PauseBeyondPlan},
};
use async_trait::async_trait;
use db::TenantTx;
use kernel::{ConnectionId, Limit, Subscription, TenantScope};
use kit::{
    App, Problem,
    trail::{self, Event},
};
use serde_json::json;

use super::{model::Status, status_of, store};

/// Takes a place for a connection that the transaction makes, or brings back. The places are held from here to its end.
///
/// # Errors
/// [`kit::Code::PlanLimitReached`] when there is none.
pub(super) async fn take(
    app: &App,
    tx: &mut TenantTx,
    subscription: &Subscription,
    provider_key: &str,
) -> Result<(), Problem> {
    tx.look_at_all_connections().await?;
    let used = store::count_of_provider(tx, provider_key).await?;
    tx.look_as_before().await?;
    let used = u64::try_from(used).unwrap_or(0);
    plans::take_place(subscription, Limit::ConnectionsPerProvider, Some(provider_key), used, app.clock.now())
}

/// Refuses early what [`take`] would refuse later: before anything is taken from anybody. `known` is the connection that there
/// is of the account.
///
/// # Errors
/// As [`take`].
pub(crate) async fn refuse(
    app: &App,
    scope: &TenantScope,
    provider_key: &str,
    known: Option<ConnectionId>,
) -> Result<(), Problem> {
    let mut tx = app.db.tenant(scope).await?;
    let subscription = plans::hold(&mut tx, app.clock.now()).await?;
    let row = match known {
        Some(id) => store::find(&mut tx, id).await?,
        None => None,
    };
    let has_place = match row {
        Some(row) => status_of(&row)? != Status::Disconnected,
        None => false,
    };
    if !has_place {
        take(app, &mut tx, &subscription, provider_key).await?;
    }
    Ok(tx.commit().await?)
}

/// Connections beyond the plan: no work in the background until it allows them again. Live reads go on.
pub struct Connections;

#[async_trait]
impl PauseBeyondPlan for Connections {
    async fn apply(&self, app: &App, tx: &mut TenantTx, subscription: &Subscription) -> Result<(), Problem> {
        let allowed = i64::try_from(subscription.limit(Limit::ConnectionsPerProvider)).unwrap_or(i64::MAX);
        let changed = store::pause_beyond(tx, allowed, app.clock.now()).await?;
        let organization = tx.organization();
        let told = notifications::ids(&notifications::owners(tx.conn(), organization).await?);
        for connection in changed {
            let name = &connection.display_name;
            let event = match connection.is_paused {
                true => Event::warning(
                    "connection.paused_by_plan",
                    format!(
                        "{name} is beyond what the plan allows and was paused: no work in the background. Live reads go on."
                    ),
                ),
                false => {
                    Event::info("connection.resumed_by_plan", format!("The plan allows {name} again, which goes on."))
                }
            };
            trail::event(tx, &app.clock, event.of(connection.id).with(json!({ "allowed": allowed }))).await?;
            if connection.is_paused {
                let notice = Notice::of(Kind::ConnectionPausedByPlan)
                    .about(About::Connection(connection.id))
                    .with(json!({ "store": name }));
                notifications::tell(tx, &app.clock, &told, &notice).await?;
            }
        }
        Ok(())
    }
}
