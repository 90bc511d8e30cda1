use axum::{Json as Body, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use kernel::OrganizationId;
use kit::{
    App, Authorized, Problem, Router,
    input::{Json, Path},
    route,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::store;
use crate::{
    plans,
    words::{SubscriptionPlan, SubscriptionStatus},
};

kernel::permissions! {
    ReadOrganization = (Organization, Read);
    DeleteOrganization = (Organization, Delete, WHILE_READ_ONLY);
}

pub fn routes() -> Router {
    Router::new().routes(route!(find)).routes(route!(delete))
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
        created_at: row.created_at,
    }))
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
    caller: Authorized<DeleteOrganization>,
    State(app): State<App>,
    Path(id): Path<OrganizationId>,
    Json(form): Json<Confirmation>,
) -> Result<StatusCode, Problem> {
    super::own(&caller.scope, id)?;
    super::delete(&app, &caller.scope, &form.name).await?;
    Ok(StatusCode::NO_CONTENT)
}
