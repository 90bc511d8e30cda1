//! Invitations: a seat that is offered to an address, by a link in a mail that works once.
//!
//! What is offered counts while whoever offered it could still give it: an invitation of somebody who has left is worth
//! nothing.

pub mod api;
pub mod model;
mod store;

use chrono::Duration;
use db::{DbError, SystemTask, SystemTx};
use kernel::{Actor, InvitationId, MemberId, OrganizationId, Role, Secret, SessionId, TenantScope, Time, UserId};
use kit::{
    App, Code, Problem, mail,
    retention::BATCH,
    trail::{self, Change, Event},
};
use serde_json::json;

use crate::{
    factors::Method,
    grants, letters,
    notifications::{self, About, Kind, Notice},
    plans,
    sessions::{self, Opened, Visitor},
};
use model::{Draft, LIVES, NewInvitation, Status};

pub use store::InvitationRow;

/// Invitations that can be open at once in an organization.
const PENDING_MAX: i64 = 100;
/// How often one is sent, the first included, and how long in between.
const SENDS_MAX: i32 = 10;
const BETWEEN_SENDS: Duration = Duration::minutes(1);

/// Offers a seat to an address.
///
/// # Errors
/// [`Code::Forbidden`] for a role with more rights than the caller's; [`Code::EmailUnverified`]; [`Code::Conflict`] for an
/// address that is a member or invited already; [`Code::PlanLimitReached`].
pub async fn invite(app: &App, scope: &TenantScope, new: &NewInvitation) -> Result<InvitationRow, Problem> {
    let invited_by = person(scope)?;
    let (organization, now) = (scope.organization(), app.clock.now());
    let mut tx = app.db.tenant(scope).await?;
    let subscription = plans::hold(&mut tx, now).await?;
    grants::may_give_role(&mut tx, scope, new.role).await?;
    let names = store::names(&mut tx, invited_by).await?;
    if !names.inviter_is_verified {
        return Err(Problem::new(
            Code::EmailUnverified,
            "Open the link that was mailed to you, or have it sent again.",
        ));
    }
    if store::is_member(&mut tx, &new.email).await? {
        return Err(Problem::new(Code::Conflict, "Somebody with this e-mail is a member already."));
    }
    plans::take_seat(tx.conn(), organization, &subscription, now).await?;
    if store::count_pending(&mut tx, now).await? >= PENDING_MAX {
        return Err(Problem::new(Code::Conflict, "A hundred invitations are open already. Revoke some first."));
    }
    let id = InvitationId::new(&app.clock);
    let email_digest = model::email_digest(&app.keyring, organization, &new.email);
    store::end_expired(&mut tx, &email_digest, now).await?;
    let (token, token_hash) = model::new_token(organization);
    let sealed_email = model::seal(&app.keyring, organization, id, &new.email, now);
    let draft = Draft { id, role: new.role, email_digest, sealed_email, token_hash, invited_by };
    let row = store::insert(&mut tx, &draft, now + LIVES, now).await.map_err(|error| match error {
        DbError::Constraint { constraint } if constraint == "invitations_open" => {
            Problem::new(Code::Conflict, "This e-mail is invited already. Send the invitation again, or revoke it.")
        }
        other => other.into(),
    })?;
    let letter = letters::invitation(app, &names.organization, &names.inviter, new.role, &token);
    mail::write(&mut tx, app, &new.email, &letter, LIVES).await?;
    let change = Change {
        action: "invitation.create",
        resource: "invitation",
        resource_id: Some(id.uuid()),
        before: None,
        after: Some(json!({ "role": new.role })),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event = Event::info("invitation.created", format!("Somebody was invited as {}.", new.role));
    trail::event(&mut tx, &app.clock, event.with(json!({ "invitation_id": id }))).await?;
    tx.commit().await?;
    Ok(row)
}

/// Sends an invitation again, with a new link that works for seven days; the link before ends.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::Forbidden`] for a role with more rights than the caller's; [`Code::Conflict`] for one that is
/// over; [`Code::RateLimited`] within a minute, or after the tenth time.
pub async fn resend(app: &App, scope: &TenantScope, id: InvitationId) -> Result<InvitationRow, Problem> {
    let invited_by = person(scope)?;
    let (organization, now) = (scope.organization(), app.clock.now());
    let mut tx = app.db.tenant(scope).await?;
    let subscription = plans::hold(&mut tx, now).await?;
    let role = store::role(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    let role: Role = role.parse().map_err(|error| Problem::internal(&error))?;
    grants::may_give_role(&mut tx, scope, role).await?;
    let before = store::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    let status = before.status_at(now);
    let sealed = match (status, before.sealed_email) {
        (Status::Pending | Status::Expired, Some(sealed)) => sealed,
        _ => return Err(Problem::new(Code::Conflict, "This invitation is over. Invite them anew.")),
    };
    if before.sends >= SENDS_MAX {
        return Err(Problem::new(Code::RateLimited, "It was sent ten times. Revoke it, and talk to them."));
    }
    if let Ok(wait) =
        (before.sent_at + BETWEEN_SENDS - now).to_std().map(|wait| wait.max(std::time::Duration::from_secs(1)))
        && before.sent_at + BETWEEN_SENDS > now
    {
        return Err(
            Problem::new(Code::RateLimited, "It was sent a moment ago. Give it a minute.").with_retry_after(wait)
        );
    }
    let email = model::open(&app.keyring, organization, id, &sealed, now)
        .ok_or_else(|| Problem::new(Code::Conflict, "This invitation is over. Invite them anew."))?;
    if status == Status::Expired {
        // It gave its place back when it ran out.
        plans::take_seat(tx.conn(), organization, &subscription, now).await?;
    }
    let names = store::names(&mut tx, invited_by).await?;
    let (token, token_hash) = model::new_token(organization);
    let row = store::send_again(&mut tx, id, &token_hash, invited_by, now + LIVES, now).await?;
    let letter = letters::invitation(app, &names.organization, &names.inviter, role, &token);
    mail::write(&mut tx, app, &email, &letter, LIVES).await?;
    let change = Change {
        action: "invitation.resend",
        resource: "invitation",
        resource_id: Some(id.uuid()),
        before: Some(json!({ "sends": before.sends })),
        after: Some(json!({ "sends": row.sends })),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    tx.commit().await?;
    Ok(row)
}

/// Takes an invitation back: its link works no longer. Taking back one that is over changes nothing.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::Forbidden`] for an owner's seat, if the caller is none.
pub async fn revoke(app: &App, scope: &TenantScope, id: InvitationId) -> Result<InvitationRow, Problem> {
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    if store::role(&mut tx, id).await?.ok_or_else(Problem::not_found)? == Role::Owner.as_str() {
        grants::may_give_role(&mut tx, scope, Role::Owner).await?;
    }
    let before = store::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    let status = before.status_at(now);
    if !matches!(status, Status::Pending | Status::Expired) {
        return Ok(before);
    }
    let row = store::revoke(&mut tx, id, now).await?;
    let change = Change {
        action: "invitation.revoke",
        resource: "invitation",
        resource_id: Some(id.uuid()),
        before: Some(json!({ "status": status.as_str(), "role": before.role })),
        after: Some(json!({ "status": "revoked" })),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event = Event::info("invitation.revoked", "An invitation was taken back.");
    trail::event(&mut tx, &app.clock, event.with(json!({ "invitation_id": id }))).await?;
    tx.commit().await?;
    Ok(row)
}

/// What a link offers.
pub struct Offer {
    pub organization: OrganizationId,
    pub organization_name: String,
    pub email: String,
    pub role: Role,
    /// Whether the address has an account, which then has to sign in.
    pub has_account: bool,
    /// Who has an active seat there.
    invited_by: UserId,
    id: InvitationId,
    token_hash: Vec<u8>,
}

/// What stands behind a link, for whoever has it.
///
/// # Errors
/// [`Code::LinkInvalid`] for one that was used, has run out, was replaced or taken back, or never was.
pub async fn look(app: &App, token: &Secret) -> Result<Offer, Problem> {
    let mut tx = app.db.system(SystemTask::Invitation).await?;
    let offer = find(app, &mut tx, token).await?;
    tx.rollback().await?;
    Ok(offer)
}

async fn find(app: &App, tx: &mut SystemTx, token: &Secret) -> Result<Offer, Problem> {
    let now = app.clock.now();
    let (organization, token_hash) = model::read_token(token).ok_or_else(sessions::link_invalid)?;
    let row = store::offer(tx, organization, &token_hash, now).await?.ok_or_else(sessions::link_invalid)?;
    let role: Role = row.role.parse().map_err(|error| Problem::internal(&error))?;
    let could_give = match &row.inviter_role {
        Some(inviter) => {
            let could = |moment| {
                Ok::<_, Problem>(grants::model::rights(inviter, &row.inviter_grants, moment)?.cover(role.permissions()))
            };
            could(now)? && could(kernel::Time::MAX_UTC)?
        }
        None => false,
    };
    let email = row.sealed_email.and_then(|sealed| model::open(&app.keyring, organization, row.id, &sealed, now));
    let Some(email) = email.filter(|_| could_give) else { return Err(sessions::link_invalid()) };
    let has_account = sessions::store::user_by_email(tx, &email).await?.is_some();
    Ok(Offer {
        organization,
        organization_name: row.organization_name,
        email,
        role,
        has_account,
        invited_by: row.invited_by,
        id: row.id,
        token_hash,
    })
}

/// Takes the seat, for a person who is signed in with the address that was invited.
///
/// # Errors
/// [`Code::LinkInvalid`]; [`Code::Forbidden`] for another address; [`Code::Conflict`] when they have a seat there.
pub async fn accept(app: &App, user: UserId, session: SessionId, token: &Secret) -> Result<Offer, Problem> {
    let mut tx = app.db.system(SystemTask::Invitation).await?;
    let offer = find(app, &mut tx, token).await?;
    let profile = sessions::store::profile(&mut tx, user).await?;
    if profile.email != offer.email {
        return Err(Problem::new(
            Code::Forbidden,
            "You are signed in with another e-mail than the one that was invited. Sign in with that one, or ask to be \
             invited with yours.",
        ));
    }
    // The link was in a mail to this address.
    sessions::store::mark_verified(&mut tx, user, app.clock.now()).await?;
    take_seat(app, &mut tx, &offer, user, session).await?;
    tx.commit().await?;
    Ok(offer)
}

/// Makes the account that the address does not have yet, takes the seat, and signs in.
///
/// # Errors
/// [`Code::LinkInvalid`]; [`Code::Conflict`] when the address has an account.
pub async fn accept_as_new(
    app: &App,
    token: &Secret,
    name: &str,
    password: &Secret,
    visitor: &Visitor,
) -> Result<(Offer, Opened), Problem> {
    // Asked before the hash, which is dear, and again when it is used up.
    let offer = look(app, token).await?;
    if offer.has_account {
        return Err(Problem::new(Code::Conflict, "This e-mail has an account. Sign in with it, and accept then."));
    }
    sessions::refuse_weak(password, &offer.email)?;
    let hash = sessions::password::hash(password).await?;
    let now = app.clock.now();
    let user = UserId::new(&app.clock);
    let mut tx = app.db.system(SystemTask::Invitation).await?;
    sessions::insert_user(&mut tx, user, name, &offer.email, &hash, offer.organization, now).await?;
    sessions::store::mark_verified(&mut tx, user, now).await?;
    let opened = sessions::open(&mut tx, app, user, &offer.email, visitor, Method::Password).await?;
    take_seat(app, &mut tx, &offer, user, opened.session.id).await?;
    tx.commit().await?;
    Ok((offer, opened))
}

async fn take_seat(
    app: &App,
    tx: &mut SystemTx,
    offer: &Offer,
    user: UserId,
    session: SessionId,
) -> Result<(), Problem> {
    let now = app.clock.now();
    let subscription = plans::hold_as_system(tx, offer.organization, now).await?;
    if !store::accept(tx, offer.organization, offer.id, &offer.token_hash, user, now).await? {
        return Err(sessions::link_invalid());
    }
    // The place that was offered is free now; the plan may allow less than when it was.
    plans::take_seat(tx.conn(), offer.organization, &subscription, now).await?;
    let member = MemberId::new(&app.clock);
    store::insert_member(tx, offer.organization, member, user, offer.role.as_str(), now).await.map_err(|error| {
        match error {
            DbError::Constraint { constraint } if constraint == "organization_members_organization_id_user_id_key" => {
                Problem::new(Code::Conflict, "You have a seat in this organization already.")
            }
            other => other.into(),
        }
    })?;
    let change = Change {
        action: "invitation.accept",
        resource: "member",
        resource_id: Some(member.uuid()),
        before: None,
        after: Some(json!({ "invitation_id": offer.id, "user_id": user, "role": offer.role })),
    };
    let event = Event::info("member.joined", format!("Somebody who was invited joined as {}.", offer.role))
        .with(json!({ "member_id": member, "invitation_id": offer.id }));
    let actor = Actor::Person { user, session };
    trail::joined(tx, &app.clock, offer.organization, actor, change, event).await?;
    let notice = Notice::of(Kind::MemberJoined).about(About::Member(member)).with(json!({ "role": offer.role }));
    notifications::tell_as_system(tx, &app.clock, offer.organization, &[offer.invited_by], &notice).await?;
    Ok(())
}

/// Whoever invites is told to the invited: programs are nobody that they know.
fn person(scope: &TenantScope) -> Result<UserId, Problem> {
    match scope.actor() {
        Actor::Person { user, .. } => Ok(user),
        Actor::Key { .. } | Actor::System { .. } => {
            Err(Problem::new(Code::Forbidden, "API keys cannot invite. Sign in as a person."))
        }
    }
}

impl InvitationRow {
    pub fn status_at(&self, now: Time) -> Status {
        Status::of(self.accepted_at, self.revoked_at, self.expires_at, now)
    }
}

/// Removes invitations that ran out before then, a batch of them. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut SystemTx, before: Time) -> Result<u64, DbError> {
    store::purge(tx, before, BATCH).await
}
