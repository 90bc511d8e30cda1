use axum::{Json as Body, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use kernel::OrganizationId;
use kit::{
    App, Authorized, Problem, Reproved, Router,
    input::{Json, Path},
    route,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{RequiredOf, store};
use crate::{
    plans,
    words::{SecondFactorRequirement, SubscriptionPlan, SubscriptionStatus},
};

kernel::permissions! {
    ReadOrganization = (Organization, Read);
    ApproveOrganization = (Organization, Approve);
    DeleteOrganization = (Organization, Delete, WHILE_READ_ONLY);
}

pub fn routes() -> Router {
    Router::new().routes(route!(find)).routes(route!(require_second_factor)).routes(route!(delete))
}

#[derive(Serialize, ToSchema)]
struct OrganizationView {
    id: Uuid,
    name: String,
    slug: String,
    #[schema(value_type = SubscriptionStatus)]
    subscription_status: &'static str,
    #[schema(value_type = SubscriptionPlan)]
    subscription_plan: &'static str,
    trial_ends_at: Option<DateTime<Utc>>,
    /// Who is let in with a second factor only.
    #[schema(value_type = SecondFactorRequirement)]
    second_factor_required_of: &'static str,
    created_at: DateTime<Utc>,
}

/// One of your organizations
#[utoipa::path(get, path = "/api/organizations/{id}", tag = "organizations", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The organization", body = OrganizationView)))]
async fn find(
    caller: Authorized<ReadOrganization>,
    State(app): State<App>,
    Path(id): Path<OrganizationId>,
) -> Result<Body<OrganizationView>, Problem> {
    super::own(&caller.scope, id)?;
    let mut tx = app.db.tenant(&caller.scope).await?;
    let row = store::find(&mut tx).await?.ok_or_else(Problem::not_found)?;
    let subscription = plans::subscription(&mut tx, app.clock.now()).await?;
    tx.commit().await?;
    Ok(Body(OrganizationView {
        id: id.uuid(),
        name: row.name,
        slug: row.slug,
        subscription_status: subscription.status.as_str(),
        subscription_plan: subscription.plan.as_str(),
        trial_ends_at: row.trial_ends_at,
        second_factor_required_of: RequiredOf::stored(row.second_factor_required_of.as_deref()).as_str(),
        created_at: row.created_at,
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RequireSecondFactor {
    #[schema(value_type = SecondFactorRequirement)]
    required_of: String,
}

/// Ask owners, or everybody, for a second factor. Who has none is let in once they have set one up; API keys go on
#[utoipa::path(put, path = "/api/organizations/{id}/second-factor", tag = "organizations", params(("id" = Uuid, Path)),
    request_body = RequireSecondFactor, responses(
    (status = 204, description = "So it is, for the next request of each of them"),
    (status = 403, description = "You have no second factor yourself, or are to prove who you are first"),
))]
async fn require_second_factor(
    caller: Reproved<Authorized<ApproveOrganization>>,
    State(app): State<App>,
    Path(id): Path<OrganizationId>,
    Json(form): Json<RequireSecondFactor>,
) -> Result<StatusCode, Problem> {
    super::own(&caller.scope, id)?;
    let of = RequiredOf::given(&form.required_of)?;
    super::require_second_factor(&app, &caller.scope, of).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    /// The organization's name, exactly: what is deleted cannot be brought back.
    #[schema(max_length = 200)]
    name: String,
}

/// Delete an organization, with every secret it has here, for good
#[utoipa::path(delete, path = "/api/organizations/{id}", tag = "organizations", params(("id" = Uuid, Path)),
    request_body = Confirmation, responses(
    (status = 204, description = "Deleted; its credentials open nowhere, not even from a backup"),
    (status = 422, description = "The name is not the organization's"),
))]
async fn delete(
    caller: Reproved<Authorized<DeleteOrganization>>,
    State(app): State<App>,
    Path(id): Path<OrganizationId>,
    Json(form): Json<Confirmation>,
) -> Result<StatusCode, Problem> {
    super::own(&caller.scope, id)?;
    super::delete(&app, &caller.scope, &form.name).await?;
    Ok(StatusCode::NO_CONTENT)
}
