//! People signing up, in and out. A session is a random token in a cookie or sent as Bearer; the database keeps its hash.

pub mod api;
pub mod model;
mod password;
pub(crate) mod store;

use db::{DbError, SystemTask, SystemTx};
use kernel::{Actor, Clock, Id, MemberId, OrganizationId, Role, Secret, SessionId, Time, UserId};
use kit::{
    App, Code, Problem,
    trail::{self, Change, Event},
};
use serde_json::json;

use model::{NewUser, Session, SignedUp};

/// How long a session lives, used or not.
const LIFETIME: chrono::Duration = chrono::Duration::days(30);
/// How long a session that has ended can still be looked at.
const KEPT: chrono::Duration = chrono::Duration::days(30);
/// How long a new organization may try the professional plan.
const TRIAL: chrono::Duration = chrono::Duration::days(14);

/// Makes a user with an organization of their own, and signs them in.
///
/// # Errors
/// [`Code::Conflict`] when the e-mail has an account already.
pub async fn sign_up(app: &App, user: NewUser) -> Result<SignedUp, Problem> {
    let hash = password::hash(&user.password).await?;
    let now = app.clock.now();
    let (user_id, organization, member) =
        (UserId::new(&app.clock), OrganizationId::new(&app.clock), MemberId::new(&app.clock));
    let mut tx = app.db.system(SystemTask::SignUp).await?;
    store::insert_user(&mut tx, user_id, &user, &hash, now).await.map_err(|error| match error {
        db::DbError::Constraint { constraint } if constraint == "users_by_email" => {
            Problem::new(Code::Conflict, "This e-mail already has an account. Sign in, or use another e-mail.")
        }
        other => other.into(),
    })?;
    let slug = model::slug(&user.organization_name);
    store::insert_organization(&mut tx, organization, &user.organization_name, &slug, now + TRIAL, now).await?;
    store::insert_member(&mut tx, organization, member, user_id, Role::Owner, now).await?;
    let (session, token) = open_session(&mut tx, &app.clock, user_id).await?;
    let actor = Actor::Person { user: user_id, session: session.id };
    let change = Change {
        action: "organization.create",
        resource: "organization",
        resource_id: Some(organization.uuid()),
        before: None,
        after: Some(json!({ "name": user.organization_name, "slug": slug })),
    };
    let event = Event::info(
        "organization.created",
        "The organization was created; the trial of the professional plan runs for 14 days.",
    );
    trail::signed_up(&mut tx, &app.clock, organization, actor, change, event).await?;
    tx.commit().await?;
    Ok(SignedUp { user: user_id, organization, session, token })
}

/// Signs in with e-mail, in lower case, and password.
///
/// # Errors
/// [`Code::InvalidCredentials`], the same for an unknown e-mail and a wrong password, after the same work.
pub async fn log_in(app: &App, email: &str, given: &Secret) -> Result<(Session, Secret), Problem> {
    let mut tx = app.db.system(SystemTask::Authenticate).await?;
    let user = store::user_by_email(&mut tx, email).await?;
    tx.rollback().await?;
    let matches = password::verify(given, user.as_ref().map(|user| user.password_hash.as_str())).await?;
    let Some(user) = user.filter(|_| matches) else {
        return Err(Problem::new(Code::InvalidCredentials, "Check both and try again."));
    };
    let mut tx = app.db.system(SystemTask::Authenticate).await?;
    let opened = open_session(&mut tx, &app.clock, user.id.into()).await?;
    tx.commit().await?;
    Ok(opened)
}

async fn open_session(tx: &mut db::SystemTx, clock: &Clock, user: UserId) -> Result<(Session, Secret), Problem> {
    let (token, hash) = model::new_token();
    let now = clock.now();
    let session = Session { id: SessionId::new(clock), user, expires_at: now + LIFETIME };
    store::insert_session(tx, &session, &hash, now).await?;
    Ok((session, token))
}

/// Ends a session, on every node within a second.
///
/// # Errors
/// When the database is gone.
pub async fn log_out(app: &App, session: Id<kernel::id::Session>) -> Result<(), Problem> {
    let mut tx = app.db.system(SystemTask::Authenticate).await?;
    store::revoke_session(&mut tx, session, app.clock.now()).await?;
    Ok(tx.commit().await?)
}

/// Removes sessions that ended long ago. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut SystemTx, now: Time) -> Result<u64, DbError> {
    store::purge(tx, now - KEPT).await
}
