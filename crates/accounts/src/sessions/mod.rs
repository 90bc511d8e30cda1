//! People signing up, in and out. A session is a random token in a cookie or sent as Bearer; the database keeps its hash.

pub mod api;
pub mod model;
pub(crate) mod password;
pub(crate) mod store;
pub(crate) mod throttle;

use db::{DbError, SystemTask, SystemTx};
use kernel::{Actor, Id, MemberId, OrganizationId, Role, Secret, SessionId, Time, UserId};
use kit::{
    App, Code, Problem, mail,
    network::Network,
    retention::BATCH,
    trail::{self, Change, Event},
};
use serde_json::json;

use crate::{
    factors::{
        Method,
        notice::{self, Notice},
        proof::{self, PendingLogin},
    },
    identities, letters, user_links,
};
use model::{NewUser, Session, SignedUp};
use throttle::Attempt;

/// How long a session lives, used or not.
pub(crate) const LIFETIME: chrono::Duration = chrono::Duration::days(30);
/// How long a new organization may try the professional plan.
const TRIAL: chrono::Duration = chrono::Duration::days(14);
/// How exact it is when a session was last used; more would be a write for each request.
pub(crate) const SEEN_EVERY: chrono::Duration = chrono::Duration::minutes(10);

/// Who stands at the door: what is known of them before they say who they are.
pub struct Visitor {
    /// The browser and its system, in our own words.
    pub device: Option<String>,
    /// What this browser keeps of an earlier visit.
    pub known_as: Option<Secret>,
    /// Where they come from, unless it is this machine.
    pub network: Option<Network>,
}

/// A session that was just opened.
pub struct Opened {
    pub session: Session,
    pub token: Secret,
    /// For the browser to keep, by which it is known the next time.
    pub device: Secret,
}

/// What came of an e-mail and its password.
pub(crate) enum LoggedIn {
    Opened(Opened),
    /// The person has a second factor, which they have to show.
    SecondStep(PendingLogin),
}

/// An e-mail in lower case.
///
/// # Errors
/// [`Code::InvalidRequest`] at `pointer`.
pub(crate) fn address(pointer: &str, given: &str) -> Result<String, Problem> {
    let email = given.trim().to_lowercase();
    if model::is_address(&email) { Ok(email) } else { Err(Problem::invalid(pointer, "is not an e-mail address")) }
}

/// # Errors
/// [`Code::InvalidRequest`] for a password that is too short or too long, or is the address.
pub(crate) fn refuse_weak(password: &Secret, email: &str) -> Result<(), Problem> {
    let length = password.expose().chars().count();
    if (10..=200).contains(&length) && password.expose().to_lowercase() != email {
        return Ok(());
    }
    Err(Problem::invalid("/password", "must have 10 to 200 characters and not be the e-mail"))
}

/// The same for a link that was used, has run out, was replaced, or never was.
pub(crate) fn link_invalid() -> Problem {
    Problem::new(Code::LinkInvalid, "The link was used, has run out or was replaced. Ask for a new one.")
}

/// Makes a user with an organization of their own, and signs them in. A mail asks them to confirm the address.
///
/// # Errors
/// [`Code::Conflict`] when the e-mail has an account already, whose owner is told by mail; [`Code::LoginThrottled`] for whoever has met
/// many that have.
pub async fn sign_up(app: &App, user: NewUser, visitor: &Visitor) -> Result<SignedUp, Problem> {
    let email = user.email.clone();
    let attempt = Attempt::at_sign_up(app, &email, visitor);
    attempt.begin(app).await?;
    let made = make(app, user, visitor).await;
    match &made {
        Err(problem) if problem.code() == Code::Conflict => tell_owner(app, &email).await?,
        Ok(_) | Err(_) => attempt.take_back(app).await?,
    }
    made
}

/// Whoever has an account with an address hears that somebody signed up with it: they may have forgotten, or it was not they.
async fn tell_owner(app: &App, email: &str) -> Result<(), Problem> {
    let mut tx = app.db.system(SystemTask::SignUp).await?;
    let Some(user) = store::user_by_email(&mut tx, email).await? else {
        return Ok(tx.rollback().await?);
    };
    let profile = store::profile(&mut tx, user.id.into()).await?;
    if let Some(home) = profile.home.map(OrganizationId::from) {
        let letter = letters::signed_up_again(app, &profile.name);
        mail::write_as_system(&mut tx, app, home, &profile.email, &letter, mail::NOTICE_LIVES).await?;
    }
    Ok(tx.commit().await?)
}

async fn make(app: &App, user: NewUser, visitor: &Visitor) -> Result<SignedUp, Problem> {
    let hash = password::hash(&user.password).await?;
    let NewUser { name, email, organization_name, .. } = user;
    let founder = Founder { user: UserId::new(&app.clock), name, email, hash, organization_name };
    let mut tx = app.db.system(SystemTask::SignUp).await?;
    let founded = found(&mut tx, app, &founder).await?;
    let (user, organization) = (founder.user, founded.organization);
    let opened = open(&mut tx, app, user, &founder.email, visitor, Method::Password).await?;
    user_links::send_verification(&mut tx, app, user, &founder.name, &founder.email, organization).await?;
    let actor = Actor::Person { user, session: opened.session.id };
    tell_founded(&mut tx, app, &founder, &founded, actor).await?;
    tx.commit().await?;
    Ok(SignedUp { organization, opened })
}

/// Somebody who is about to have an organization of their own.
pub(crate) struct Founder {
    pub(crate) user: UserId,
    pub(crate) name: String,
    /// Lower case.
    pub(crate) email: String,
    /// Of their password.
    pub(crate) hash: String,
    pub(crate) organization_name: String,
}

/// Their organization.
pub(crate) struct Founded {
    pub(crate) organization: OrganizationId,
    slug: String,
}

/// Makes a user with an organization of their own. Nothing is written into its logs yet: see [`tell_founded`].
///
/// # Errors
/// [`Code::Conflict`] when the e-mail has an account already.
pub(crate) async fn found(tx: &mut SystemTx, app: &App, founder: &Founder) -> Result<Founded, Problem> {
    let (now, organization) = (app.clock.now(), OrganizationId::new(&app.clock));
    let slug = model::slug(&founder.organization_name);
    let Founder { user, name, email, hash, organization_name } = founder;
    store::insert_organization(tx, organization, organization_name, &slug, now + TRIAL, now).await?;
    insert_user(tx, *user, name, email, hash, organization, now).await?;
    store::insert_member(tx, organization, MemberId::new(&app.clock), *user, Role::Owner, now).await?;
    Ok(Founded { organization, slug })
}

/// Writes into its logs that an organization was founded.
///
/// # Errors
/// When the database refuses or is gone.
pub(crate) async fn tell_founded(
    tx: &mut SystemTx,
    app: &App,
    founder: &Founder,
    founded: &Founded,
    actor: Actor,
) -> Result<(), Problem> {
    let Founded { organization, slug } = founded;
    let change = Change {
        action: "organization.create",
        resource: "organization",
        resource_id: Some(organization.uuid()),
        before: None,
        after: Some(json!({ "name": founder.organization_name, "slug": slug })),
    };
    let event = Event::info(
        "organization.created",
        "The organization was created; the trial of the professional plan runs for 14 days.",
    );
    Ok(trail::joined(tx, &app.clock, *organization, actor, change, event).await?)
}

/// Makes a user, who began in this organization.
///
/// # Errors
/// [`Code::Conflict`] when the e-mail has an account already.
pub(crate) async fn insert_user(
    tx: &mut SystemTx,
    id: UserId,
    name: &str,
    email: &str,
    hash: &str,
    home: OrganizationId,
    now: Time,
) -> Result<(), Problem> {
    store::insert_user(tx, id, name, email, hash, home, now).await.map_err(|error| match error {
        DbError::Constraint { constraint } if constraint == "users_by_email" => {
            Problem::new(Code::Conflict, "This e-mail already has an account. Sign in, or use another e-mail.")
        }
        other => other.into(),
    })
}

/// Signs in with e-mail, in lower case, and password; who has a second factor has to show it as well.
///
/// # Errors
/// [`Code::InvalidCredentials`], the same for an unknown e-mail and a wrong password, after the same work;
/// [`Code::LoginThrottled`], the same for both too.
pub(crate) async fn log_in(app: &App, email: &str, given: &Secret, visitor: &Visitor) -> Result<LoggedIn, Problem> {
    let attempt = Attempt::at_login(app, email, visitor);
    attempt.begin(app).await?;
    let mut tx = app.db.system(SystemTask::Authenticate).await?;
    let user = store::user_by_email(&mut tx, email).await?;
    tx.rollback().await?;
    let matches = match password::verify(given, user.as_ref().map(|user| user.password_hash.as_str())).await {
        Ok(matches) => matches,
        Err(problem) => {
            attempt.take_back(app).await?;
            return Err(problem);
        }
    };
    let wrong = || Problem::new(Code::InvalidCredentials, "Check both and try again.");
    let user = user.filter(|_| matches).ok_or_else(wrong)?;
    let mut tx = app.db.system(SystemTask::Authenticate).await?;
    // It takes a while to check one, and it may have been replaced meanwhile.
    if store::hold_password(&mut tx, user.id.into()).await?.as_ref() != Some(&user.password_hash) {
        return Err(wrong());
    }
    attempt.succeeded(&mut tx, app.clock.now()).await?;
    let logged_in = match proof::second_step(&mut tx, app, user.id.into(), &user.password_hash).await? {
        Some(pending) => LoggedIn::SecondStep(pending),
        None => LoggedIn::Opened(open(&mut tx, app, user.id.into(), email, visitor, Method::Password).await?),
    };
    tx.commit().await?;
    Ok(logged_in)
}

/// Gives a person who is signed in another password, and ends their other sessions.
///
/// # Errors
/// [`Code::InvalidRequest`] for a password that is too short, too long or the address.
pub async fn change_password(app: &App, user: UserId, session: SessionId, password: &Secret) -> Result<(), Problem> {
    let mut tx = app.db.system(SystemTask::Authenticate).await?;
    let profile = store::profile(&mut tx, user).await?;
    tx.rollback().await?;
    refuse_weak(password, &profile.email)?;
    let hash = password::hash(password).await?;
    let now = app.clock.now();
    let mut tx = app.db.system(SystemTask::Factors).await?;
    store::set_password(&mut tx, user, &hash).await?;
    end_all(&mut tx, user, Some(session), now).await?;
    notice::tell(&mut tx, app, user, Actor::Person { user, session }, &Notice::PasswordChanged).await?;
    Ok(tx.commit().await?)
}

/// Opens a session of somebody who proved who they are, and by what.
pub(crate) async fn open(
    tx: &mut SystemTx,
    app: &App,
    user: UserId,
    email: &str,
    visitor: &Visitor,
    proved_by: Method,
) -> Result<Opened, Problem> {
    let (token, hash) = model::new_token();
    let now = app.clock.now();
    let session = Session { id: SessionId::new(&app.clock), user, expires_at: now + LIFETIME };
    store::insert_session(tx, &session, &hash, visitor.device.as_deref(), proved_by, now).await?;
    Ok(Opened { session, token, device: throttle::new_device(app, email)? })
}

/// Ends one of a person's sessions, on every node within a second.
///
/// # Errors
/// [`Code::NotFound`] for one that is not there or not theirs.
pub async fn end(app: &App, user: UserId, session: SessionId) -> Result<(), Problem> {
    let mut tx = app.db.system(SystemTask::Authenticate).await?;
    if !store::end_session_of(&mut tx, user, session, app.clock.now()).await? {
        return Err(Problem::not_found());
    }
    Ok(tx.commit().await?)
}

/// Ends all sessions of a person but this one. How many there were.
///
/// # Errors
/// When the database is gone.
pub async fn end_others(app: &App, user: UserId, kept: SessionId) -> Result<u64, Problem> {
    let mut tx = app.db.system(SystemTask::Authenticate).await?;
    let ended = end_all(&mut tx, user, Some(kept), app.clock.now()).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Ends all of a person's sessions, or all but one, and with them the tokens of issuers that were issued until now, used here or not.
/// How many sessions there were.
///
/// # Errors
/// When the database refuses or is gone.
pub(crate) async fn end_all(
    tx: &mut SystemTx,
    user: UserId,
    kept: Option<SessionId>,
    now: Time,
) -> Result<u64, DbError> {
    // In the order in which a token opens its session, so that neither waits for the other.
    identities::refuse_tokens(tx, user, kept, now).await?;
    store::end_sessions_of(tx, user, kept, now).await
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

/// Removes attempts of before then, a batch of them. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge_attempts(tx: &mut SystemTx, before: Time) -> Result<u64, DbError> {
    store::purge_attempts(tx, before, BATCH).await
}

/// Removes sessions that ended before then, a batch of them. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut SystemTx, before: Time) -> Result<u64, DbError> {
    store::purge(tx, before, BATCH).await
}
