use axum::{Json as Body, extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use kernel::{Actor, InvitationId, Secret, TenantScope};
use kit::{
    App, Authorized, Problem, Public, Router, SignedIn, SteppedUp,
    idempotency::{Created, IdempotencyKey, Once},
    input::{self, Json, Path, Query},
    page::{Page, PageQuery},
    route,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    model::{self, NewInvitation},
    store::{self, InvitationRow},
};
use crate::{
    members::api::{ReadMembers, RemoveMembers, parse_role},
    sessions::{
        self,
        api::{OpenedSession, Visit},
    },
    words::{InvitationStatus, MemberRole},
};

kernel::permissions! {
    CreateMembers = (Members, Create);
}

pub fn routes() -> Router {
    Router::new()
        .routes(route!(invite))
        .routes(route!(list))
        .routes(route!(resend))
        .routes(route!(revoke))
        .routes(route!(look))
        .routes(route!(accept))
        .routes(route!(accept_as_new))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Invite {
    #[schema(format = "email", max_length = 254)]
    email: String,
    /// One that may do nothing that you may not.
    #[schema(value_type = MemberRole)]
    role: String,
}

/// A seat that is offered to an address.
#[derive(Serialize, ToSchema)]
struct InvitationView {
    id: Uuid,
    /// Null once the invitation is over.
    email: Option<String>,
    #[schema(value_type = MemberRole)]
    role: String,
    #[schema(value_type = InvitationStatus)]
    status: &'static str,
    /// Who sent it last.
    invited_by: Uuid,
    /// How often it was sent.
    sends: i32,
    sent_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    accepted_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl Created for InvitationView {
    fn again(self) -> Self {
        self
    }
}

/// Invite somebody by mail
#[utoipa::path(post, path = "/api/invitations", tag = "invitations", params(IdempotencyKey), request_body = Invite, responses(
    (status = 201, description = "The invitation; its link works once, for seven days", body = InvitationView),
    (status = 409, description = "They are a member or invited already"),
))]
async fn invite(
    caller: SteppedUp<Authorized<CreateMembers>>,
    State(app): State<App>,
    body: Once<Invite>,
) -> Result<Response, Problem> {
    body.answer(app, caller.into_inner().scope, invite_once).await
}

async fn invite_once(app: App, scope: TenantScope, form: Invite) -> Result<InvitationView, Problem> {
    let email = sessions::address("/email", &form.email)?;
    let role = parse_role(&form.role)?;
    let row = super::invite(&app, &scope, &NewInvitation { email, role }).await?;
    Ok(view(&app, &scope, row))
}

/// The organization's invitations, newest first
#[utoipa::path(get, path = "/api/invitations", tag = "invitations", params(PageQuery),
    responses((status = 200, description = "A page of invitations", body = Page<InvitationView>)))]
async fn list(
    caller: Authorized<ReadMembers>,
    State(app): State<App>,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<InvitationView>>, Problem> {
    let window = query.window(&app, &caller.scope, "invitations", ())?;
    let mut tx = app.db.tenant(&caller.scope).await?;
    let rows = store::newest(&mut tx, window).await?;
    tx.commit().await?;
    Ok(Body(window.page(&app, rows, |row| row.id.uuid(), |row| view(&app, &caller.scope, row))))
}

/// Send an invitation again, with a new link
#[utoipa::path(post, path = "/api/invitations/{id}/resend", tag = "invitations", params(("id" = Uuid, Path)), responses(
    (status = 200, description = "The invitation; the link before works no longer", body = InvitationView),
    (status = 409, description = "The invitation is over"),
))]
async fn resend(
    caller: SteppedUp<Authorized<CreateMembers>>,
    State(app): State<App>,
    Path(id): Path<InvitationId>,
) -> Result<Body<InvitationView>, Problem> {
    let row = super::resend(&app, &caller.scope, id).await?;
    Ok(Body(view(&app, &caller.scope, row)))
}

/// Take an invitation back
#[utoipa::path(post, path = "/api/invitations/{id}/revoke", tag = "invitations", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The invitation, whose link works no longer", body = InvitationView)))]
async fn revoke(
    caller: Authorized<RemoveMembers>,
    State(app): State<App>,
    Path(id): Path<InvitationId>,
) -> Result<Body<InvitationView>, Problem> {
    let row = super::revoke(&app, &caller.scope, id).await?;
    Ok(Body(view(&app, &caller.scope, row)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InvitationToken {
    /// What stands behind `#invitation=` in the link.
    #[schema(value_type = String, max_length = 200)]
    token: Secret,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AcceptAsNew {
    /// What stands behind `#invitation=` in the link.
    #[schema(value_type = String, max_length = 200)]
    token: Secret,
    /// Your name.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// At least ten characters.
    #[schema(value_type = String, min_length = 10, max_length = 200, format = "password")]
    password: Secret,
}

/// What the link of an invitation offers.
#[derive(Serialize, ToSchema)]
struct OfferView {
    organization_id: Uuid,
    organization_name: String,
    /// The address that was invited.
    email: String,
    #[schema(value_type = MemberRole)]
    role: &'static str,
    /// Whether to sign in or to make an account.
    has_account: bool,
}

/// What an invitation offers, before it is accepted
#[utoipa::path(post, path = "/api/invitations/look", tag = "invitations", request_body = InvitationToken, responses(
    (status = 200, description = "What is offered", body = OfferView),
    (status = 410, description = "The link no longer works"),
))]
async fn look(
    _: Public,
    State(app): State<App>,
    Json(form): Json<InvitationToken>,
) -> Result<Body<OfferView>, Problem> {
    super::look(&app, &form.token).await.map(offer_view).map(Body)
}

/// Accept an invitation, signed in with the address that was invited
#[utoipa::path(post, path = "/api/invitations/accept", tag = "invitations", request_body = InvitationToken, responses(
    (status = 200, description = "You are a member now", body = OfferView),
    (status = 402, description = "The plan of the organization allows no more members, or it is read-only"),
    (status = 403, description = "You are signed in with another address"),
    (status = 410, description = "The link no longer works"),
))]
async fn accept(
    caller: SignedIn,
    State(app): State<App>,
    Json(form): Json<InvitationToken>,
) -> Result<Body<OfferView>, Problem> {
    let Actor::Person { user, session } = caller.identity.actor else { return Err(Problem::not_found()) };
    super::accept(&app, user, session, &form.token).await.map(offer_view).map(Body)
}

/// Accept an invitation with a new account
#[utoipa::path(post, path = "/api/invitations/accept-as-new", tag = "invitations", request_body = AcceptAsNew, responses(
    (status = 201, description = "You have an account, are a member, and signed in", body = OpenedSession),
    (status = 402, description = "The plan of the organization allows no more members, or it is read-only"),
    (status = 409, description = "The e-mail has an account: sign in"),
    (status = 410, description = "The link no longer works"),
))]
async fn accept_as_new(
    _: Public,
    State(app): State<App>,
    Visit(visitor): Visit,
    Json(form): Json<AcceptAsNew>,
) -> Result<Response, Problem> {
    let name = input::text("/name", &form.name, 200)?;
    let (offer, opened) = super::accept_as_new(&app, &form.token, &name, &form.password, &visitor).await?;
    sessions::api::opened(&app, StatusCode::CREATED, &opened, Some(offer.organization.uuid()))
}

fn offer_view(offer: super::Offer) -> OfferView {
    OfferView {
        organization_id: offer.organization.uuid(),
        organization_name: offer.organization_name,
        email: offer.email,
        role: offer.role.as_str(),
        has_account: offer.has_account,
    }
}

fn view(app: &App, scope: &TenantScope, row: InvitationRow) -> InvitationView {
    let now = app.clock.now();
    let sealed = row.sealed_email.as_deref();
    InvitationView {
        id: row.id.uuid(),
        email: sealed.and_then(|sealed| model::open(&app.keyring, scope.organization(), row.id, sealed, now)),
        status: row.status_at(now).as_str(),
        role: row.role,
        invited_by: row.invited_by.uuid(),
        sends: row.sends,
        sent_at: row.sent_at,
        expires_at: row.expires_at,
        accepted_at: row.accepted_at,
        created_at: row.created_at,
    }
}
