use axum::{Json as Body, extract::State};
use chrono::{DateTime, Utc};
use kernel::{Limit, OrganizationId};
use kit::{App, Authorized, Problem, Router, input::Path, route};
use serde::Serialize;
use utoipa::ToSchema;

use super::{DailyUsage, model, store};
use crate::{
    api_keys,
    organizations::{self, api::ReadOrganization},
    words::{PlanLimit, SubscriptionPlan, SubscriptionStatus},
};

pub fn routes() -> Router {
    Router::new().routes(route!(usage))
}

/// What an organization may use, and what it uses.
#[derive(Serialize, ToSchema)]
struct Usage {
    #[schema(value_type = SubscriptionPlan)]
    plan: &'static str,
    #[schema(value_type = SubscriptionStatus)]
    status: &'static str,
    /// When the trial or the plan ends; null: it goes on.
    ends_at: Option<DateTime<Utc>>,
    /// Nothing can be changed until the plan is active again; reading goes on.
    is_read_only: bool,
    limits: Vec<LimitUsage>,
}

/// One limit.
#[derive(Serialize, ToSchema)]
struct LimitUsage {
    #[schema(value_type = PlanLimit)]
    limit: &'static str,
    /// What is counted apart: a provider.
    of: Option<String>,
    allowed: u64,
    /// Null: nothing of the kind is there to be counted.
    used: Option<u64>,
    /// When counting began; null of what is not counted by the day.
    since: Option<DateTime<Utc>>,
    resets_at: Option<DateTime<Utc>>,
}

/// What an organization may use by its plan, and what it uses
#[utoipa::path(get, path = "/api/organizations/{id}/usage", tag = "organizations", params(("id" = Uuid, Path)),
    responses((status = 200, description = "Each limit with its use; API keys are your own", body = Usage)))]
async fn usage(
    caller: Authorized<ReadOrganization>,
    State(app): State<App>,
    Path(id): Path<OrganizationId>,
) -> Result<Body<Usage>, Problem> {
    organizations::own(&caller.scope, id)?;
    let now = app.clock.now();
    let today = now.date_naive();
    // Asked before the transaction: whoever holds a lease may wait for a connection of their own.
    let unspent = app.slice::<DailyUsage>().unspent(id, Limit::LiveReadsPerDay, today).await;
    let mut tx = app.db.tenant(&caller.scope).await?;
    let subscription = super::subscription(&mut tx, now).await?;
    let seats = store::count_seats(tx.conn(), id, now).await?;
    tx.look_at_all_connections().await?;
    let providers = store::count_connections(&mut tx).await?;
    tx.look_as_before().await?;
    let keys = match caller.actor().user() {
        Some(user) => Some(api_keys::count_live(&mut tx, user, now).await?),
        None => None,
    };
    let reads = store::used(&mut tx, Limit::LiveReadsPerDay.as_str(), today).await?;
    tx.commit().await?;
    let reads = u64::try_from(reads.saturating_sub(unspent)).unwrap_or(0);
    let mut limits = vec![];
    for limit in Limit::ALL.iter().copied() {
        let mut add = |of: Option<String>, used: Option<u64>| {
            limits.push(LimitUsage {
                limit: limit.as_str(),
                of,
                allowed: subscription.limit(limit),
                used,
                since: limit.is_daily().then(|| today.and_time(chrono::NaiveTime::MIN).and_utc()),
                resets_at: limit.is_daily().then(|| model::next_day(now)),
            });
        };
        match limit {
            Limit::Members => add(None, Some(seats)),
            Limit::ConnectionsPerProvider => {
                for provider in app.providers.iter().map(|provider| provider.manifest().key) {
                    let used = providers.iter().find(|row| row.provider_key == provider).map_or(0, |row| row.count);
                    add(Some(provider.to_owned()), u64::try_from(used).ok());
                }
            }
            Limit::ApiKeysPerUser => add(None, keys),
            Limit::LiveReadsPerDay => add(None, Some(reads)),
            Limit::ReceiptsPerDay
            | Limit::ProductsKept
            | Limit::SyncIntervalMinutes
            | Limit::Workflows
            | Limit::Bots => add(None, None),
        }
    }
    Ok(Body(Usage {
        plan: subscription.plan.as_str(),
        status: subscription.status.as_str(),
        ends_at: subscription.ends_at,
        is_read_only: !subscription.is_writable(),
        limits,
    }))
}
