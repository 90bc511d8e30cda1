//! Persons whom an issuer of OpenID Connect vouches for, and whom of ours they are
//! (`docs/adr/0037-tokens-of-issuers.md`, `docs/oidc.md`).
//!
//! A person is found by (issuer, subject) and nothing else. The link is made by a proof of both sides: somebody who has just proved
//! here who they are presents the token; or, where the operator says so, an e-mail that the issuer and we have verified. All tokens of a person
//! are one session: it is listed with the others and ended like them, and with it all tokens that were issued until then.

pub mod api;
pub(crate) mod model;
mod store;

use db::{DbError, SystemTask, SystemTx};
use kernel::{Actor, Id, OrganizationId, Secret, SessionId, Time, UserId, random};
use kit::{App, Code, Problem, app::Identity, mail};

use crate::{
    authentication, factors, letters,
    oidc::{Checked, Issuers, UnknownPersons},
    sessions::{self, SEEN_EVERY, model::Session, password},
};
use model::{LinkedBy, TokenState};
use store::IdentityRow;

/// A marker for ids of links.
pub(crate) enum LinkKind {}
pub(crate) type LinkId = Id<LinkKind>;

/// More issuers than a person has accounts at.
const LINKS_MAX: usize = 20;

/// Who presents this token.
///
/// # Errors
/// [`Code::Unauthenticated`] for a token that is not taken, or was issued before its person signed out;
/// [`Code::IdentityUnknown`]; [`Code::IssuerUnavailable`].
pub(crate) async fn identify(app: &App, issuers: &Issuers, text: &str) -> Result<Identity, Problem> {
    let checked = issuers.check(text).await.map_err(crate::oidc::NotChecked::at_the_door)?;
    let mut first = true;
    loop {
        let mut tx = app.db.system(SystemTask::Identity).await?;
        let known = find(&mut tx, &checked).await?;
        let row = match known {
            Some(row) => row,
            None => match welcome(tx, app, &checked).await {
                Ok(Some(identity)) => return Ok(identity),
                // Another request with the same token was faster.
                Ok(None) if first => {
                    first = false;
                    continue;
                }
                Ok(None) => return Err(unknown()),
                Err(problem) => return Err(problem),
            },
        };
        if row.unlinked_at.is_some() {
            return Err(unknown());
        }
        return enter(tx, app, &checked, &row).await;
    }
}

async fn find(tx: &mut SystemTx, checked: &Checked) -> Result<Option<IdentityRow>, DbError> {
    store::find(tx, &checked.issuer.settings().issuer, &checked.proved.subject).await
}

/// The session of somebody whom we know.
async fn enter(mut tx: SystemTx, app: &App, checked: &Checked, row: &IdentityRow) -> Result<Identity, Problem> {
    let (now, proved) = (app.clock.now(), &checked.proved);
    let state = store::token_state(&mut tx, row.id, now).await?;
    if !state.takes(proved.issued_at) {
        return Err(Problem::new(
            Code::Unauthenticated,
            "You signed out after this token was issued. Sign in at its issuer again.",
        ));
    }
    let session = match state.open {
        Some(open) if open.is_noted(proved.issued_at, now) => {
            tx.rollback().await?;
            open.id
        }
        _ => {
            let session = open(&mut tx, app, row, checked).await?.ok_or_else(unknown)?;
            tx.commit().await?;
            session
        }
    };
    Ok(identity(row.user_id, session))
}

/// Opens the session that all tokens of this person stand for, or notes that it was used.
async fn open(
    tx: &mut SystemTx,
    app: &App,
    row: &IdentityRow,
    checked: &Checked,
) -> Result<Option<SessionId>, DbError> {
    let now = app.clock.now();
    let device = format!("A token of {}", checked.issuer.settings().label);
    let session = Session { id: SessionId::new(&app.clock), user: row.user_id, expires_at: now + sessions::LIFETIME };
    // The column is unique and must have something: a hash of nothing that anybody could present.
    let nobody = random::bytes::<32>();
    store::open_session(tx, &session, &nobody, &device, row.id, checked.proved.issued_at, now).await
}

fn identity(user: UserId, session: SessionId) -> Identity {
    Identity { actor: Actor::Person { user, session }, user, organization: None }
}

/// Somebody whom we do not know yet. None when another was faster.
async fn welcome(mut tx: SystemTx, app: &App, checked: &Checked) -> Result<Option<Identity>, Problem> {
    let settings = checked.issuer.settings();
    let Some(email) = &checked.proved.verified_email else { return Err(unknown()) };
    let account = sessions::store::user_by_email(&mut tx, email).await?;
    match account {
        Some(account) if settings.links_by_email => {
            let user = UserId::from(account.id);
            let profile = sessions::store::profile(&mut tx, user).await?;
            // Or whoever signed up with somebody else's address would be given what is theirs; and an e-mail would stand for the second
            // factor that its person asks of themself.
            if !profile.is_verified || factors::has_second_factor(&mut tx, user).await? {
                return Err(unknown());
            }
            let Some(row) = insert(&mut tx, app, checked, user, LinkedBy::Email).await? else { return Ok(None) };
            tell(&mut tx, app, checked, &profile).await?;
            let session = open(&mut tx, app, &row, checked).await?.ok_or_else(unknown)?;
            tx.commit().await?;
            tracing::info!(user = %user, issuer = settings.issuer, "a person was linked by a verified e-mail");
            Ok(Some(identity(user, session)))
        }
        None if settings.unknown_persons == UnknownPersons::SignUp => {
            tx.rollback().await?;
            sign_up(app, checked, email).await
        }
        _ => Err(unknown()),
    }
}

/// Makes an account with an organization of its own, as signing up does. It has a password that nobody knows; a link by mail sets
/// another.
async fn sign_up(app: &App, checked: &Checked, email: &str) -> Result<Option<Identity>, Problem> {
    let hash = password::hash(&Secret::new(random::base62(43))).await?;
    let local = email.split('@').next().unwrap_or_default();
    let name: String = checked.proved.name.as_deref().unwrap_or(local).chars().take(180).collect();
    let founder = sessions::Founder {
        user: UserId::new(&app.clock),
        organization_name: name.clone(),
        name,
        email: email.to_owned(),
        hash,
    };
    let mut tx = app.db.system(SystemTask::SignUp).await?;
    let founded = match sessions::found(&mut tx, app, &founder).await {
        Ok(founded) => founded,
        Err(problem) if problem.code() == Code::Conflict => return Ok(None),
        Err(problem) => return Err(problem),
    };
    sessions::store::mark_verified(&mut tx, founder.user, app.clock.now()).await?;
    let Some(row) = insert(&mut tx, app, checked, founder.user, LinkedBy::SignUp).await? else { return Ok(None) };
    let session = open(&mut tx, app, &row, checked).await?.ok_or_else(unknown)?;
    let found = identity(founder.user, session);
    sessions::tell_founded(&mut tx, app, &founder, &founded, found.actor).await?;
    tx.commit().await?;
    Ok(Some(found))
}

/// None when the person is linked already.
async fn insert(
    tx: &mut SystemTx,
    app: &App,
    checked: &Checked,
    user: UserId,
    linked_by: LinkedBy,
) -> Result<Option<IdentityRow>, DbError> {
    let (issuer, subject) = (&checked.issuer.settings().issuer, &checked.proved.subject);
    let id = LinkId::new(&app.clock);
    store::insert(tx, id, user, issuer, subject, linked_by.as_str(), app.clock.now()).await
}

async fn tell(
    tx: &mut SystemTx,
    app: &App,
    checked: &Checked,
    profile: &sessions::store::ProfileRow,
) -> Result<(), Problem> {
    if let Some(home) = profile.home.map(OrganizationId::from) {
        let letter = letters::identity_linked(app, &profile.name, &checked.issuer.settings().label);
        mail::write_as_system(tx, app, home, &profile.email, &letter, mail::NOTICE_LIVES).await?;
    }
    Ok(())
}

fn unknown() -> Problem {
    Problem::new(
        Code::IdentityUnknown,
        "The token is genuine, and its person has no account here. Sign in to Entrepot with your password and link it: POST \
         /api/identities with the token.",
    )
}

/// Links the person of a token to whoever has just proved that they are this person of ours. The same again changes nothing.
///
/// # Errors
/// [`Code::Unauthenticated`] when their session ended meanwhile; [`Code::Conflict`] when the person is linked to somebody else, or there
/// are too many; [`Code::InvalidRequest`] for a token that is not taken.
pub(crate) async fn link(
    app: &App,
    issuers: &Issuers,
    by: factors::Caller,
    token: &Secret,
) -> Result<model::Linked, Problem> {
    let checked = issuers.check(token.expose()).await.map_err(|refused| refused.in_field("/token"))?;
    let (user, now) = (by.user, app.clock.now());
    let mut tx = app.db.system(SystemTask::Identity).await?;
    // Several at once would each find room.
    store::lock_user(&mut tx, user).await?;
    // Whoever ended all sessions, and unlinked everything, means this request too.
    if !sessions::store::goes_on(&mut tx, by.session, now).await? {
        return Err(authentication::ended());
    }
    let row = match find(&mut tx, &checked).await? {
        Some(row) if row.unlinked_at.is_none() && row.user_id == user => {
            tx.rollback().await?;
            return Ok(linked(&checked, row));
        }
        Some(row) if row.unlinked_at.is_none() => {
            return Err(Problem::new(Code::Conflict, "The person of this token is linked to another account."));
        }
        found => {
            if store::of_user(&mut tx, user).await?.len() >= LINKS_MAX {
                return Err(Problem::new(
                    Code::Conflict,
                    format!("You have {LINKS_MAX} linked already. Unlink one first."),
                ));
            }
            match found {
                Some(row) if !store::token_state(&mut tx, row.id, now).await?.takes(checked.proved.issued_at) => {
                    return Err(Problem::invalid("/token", "was issued before it was unlinked: get another one"));
                }
                Some(row) => Some(store::revive(&mut tx, row.id, user, LinkedBy::Session.as_str(), now).await?),
                None => insert(&mut tx, app, &checked, user, LinkedBy::Session).await?,
            }
        }
    };
    let row = row.ok_or_else(|| Problem::new(Code::Conflict, "The person of this token was linked just now."))?;
    let profile = sessions::store::profile(&mut tx, user).await?;
    tell(&mut tx, app, &checked, &profile).await?;
    tx.commit().await?;
    tracing::info!(user = %user, issuer = checked.issuer.settings().issuer, "a person was linked");
    Ok(linked(&checked, row))
}

fn linked(checked: &Checked, row: IdentityRow) -> model::Linked {
    let settings = checked.issuer.settings();
    model::Linked {
        id: row.id,
        issuer: settings.issuer.clone(),
        label: settings.label.clone(),
        linked_by: row.linked_by,
        created_at: row.created_at,
    }
}

/// Whom a person is at issuers.
///
/// # Errors
/// When the database is gone.
pub(crate) async fn list(app: &App, issuers: &Issuers, user: UserId) -> Result<Vec<model::Linked>, Problem> {
    let mut tx = app.db.system(SystemTask::Identity).await?;
    let rows = store::of_user(&mut tx, user).await?;
    tx.rollback().await?;
    let linked = rows.into_iter().map(|row| model::Linked {
        id: row.id,
        label: issuers.label(&row.issuer).to_owned(),
        issuer: row.issuer,
        linked_by: row.linked_by,
        created_at: row.created_at,
    });
    Ok(linked.collect())
}

/// Unlinks a person of an issuer: their tokens open nothing from now on, on every node.
///
/// # Errors
/// [`Code::NotFound`] for what is not there or not theirs.
pub(crate) async fn unlink(app: &App, user: UserId, id: LinkId) -> Result<(), Problem> {
    let now = app.clock.now();
    let mut tx = app.db.system(SystemTask::Identity).await?;
    if !store::unlink(&mut tx, user, id, now).await? {
        return Err(Problem::not_found());
    }
    store::end_sessions(&mut tx, id, now).await?;
    Ok(tx.commit().await?)
}

/// Refuses the tokens of a person that were issued until now, but for those that the session stands for that is kept.
///
/// # Errors
/// When the database refuses or is gone.
pub(crate) async fn refuse_tokens(
    tx: &mut SystemTx,
    user: UserId,
    kept: Option<SessionId>,
    now: Time,
) -> Result<(), DbError> {
    store::refuse_tokens(tx, user, kept, now).await
}

/// Takes back all links of a person, whose sessions end besides. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub(crate) async fn unlink_all(tx: &mut SystemTx, user: UserId, now: Time) -> Result<u64, DbError> {
    store::lock_user(tx, user).await?;
    store::unlink_all(tx, user, now).await
}

impl TokenState {
    /// Whether a token that was issued then is taken: not one from before its person signed out.
    fn takes(&self, issued_at: Time) -> bool {
        self.signed_out_at.is_none_or(|at| issued_at > at)
    }
}

impl model::OpenSession {
    /// Whether nothing of a use of this token needs to be written down.
    fn is_noted(&self, issued_at: Time, now: Time) -> bool {
        self.last_seen_at + SEEN_EVERY > now && self.token_issued_at.is_some_and(|at| at >= issued_at)
    }
}
