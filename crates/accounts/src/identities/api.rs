use axum::{Json as Body, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use kernel::Secret;
use kit::{
    App, Problem, Reproved, Router, SignedIn,
    input::{Json, Path},
    route,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    LinkId,
    model::{Linked, LinkedBy},
};
use crate::{factors::api::caller as person, oidc::Issuers};

kit::vocabulary! {
    /// What proved that a person of an issuer is this user: somebody signed in who presented the token, the same e-mail verified on
    /// both sides, or that the account was made for them.
    pub(crate) IdentityProof = LinkedBy::ALL.iter().map(|by| by.as_str());
}

pub fn routes() -> Router {
    Router::new().routes(route!(list)).routes(route!(link)).routes(route!(unlink))
}

/// A person of an issuer who is you: their tokens are taken for you.
#[derive(Serialize, ToSchema)]
struct IdentityView {
    id: Uuid,
    /// As in the tokens' `iss`.
    issuer: String,
    /// What the operator calls the issuer.
    label: String,
    #[schema(value_type = IdentityProof)]
    linked_by: String,
    created_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
struct IdentityList {
    data: Vec<IdentityView>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LinkIdentity {
    /// A token of the issuer, as it would be sent as `Authorization: Bearer`. It is not kept.
    #[schema(value_type = String, max_length = 16384)]
    token: Secret,
}

fn view(linked: Linked) -> IdentityView {
    let Linked { id, issuer, label, linked_by, created_at } = linked;
    IdentityView { id: id.uuid(), issuer, label, linked_by, created_at }
}

/// The persons of issuers whose tokens are taken for you
#[utoipa::path(get, path = "/api/identities", tag = "identities",
    responses((status = 200, description = "The oldest first", body = IdentityList)))]
async fn list(caller: SignedIn, State(app): State<App>) -> Result<Body<IdentityList>, Problem> {
    let linked = super::list(&app, app.slice::<Issuers>(), caller.identity.user).await?;
    Ok(Body(IdentityList { data: linked.into_iter().map(view).collect() }))
}

/// Have the tokens of an issuer taken for you
#[utoipa::path(post, path = "/api/identities", tag = "identities", request_body = LinkIdentity, responses(
    (status = 200, description = "Tokens of this person are taken for you", body = IdentityView),
    (status = 409, description = "The token's person is linked to another account"),
))]
async fn link(
    caller: Reproved<SignedIn>,
    State(app): State<App>,
    Json(form): Json<LinkIdentity>,
) -> Result<Body<IdentityView>, Problem> {
    let linked = super::link(&app, app.slice::<Issuers>(), person(&caller)?, &form.token).await?;
    Ok(Body(view(linked)))
}

/// Have the tokens of an issuer taken for you no longer
#[utoipa::path(delete, path = "/api/identities/{id}", tag = "identities", params(("id" = Uuid, Path)),
    responses((status = 204, description = "Their tokens open nothing, on every node within a second")))]
async fn unlink(caller: SignedIn, State(app): State<App>, Path(id): Path<LinkId>) -> Result<StatusCode, Problem> {
    super::unlink(&app, caller.identity.user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
