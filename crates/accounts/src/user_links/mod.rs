//! Links that prove that somebody reads an address: to confirm it, and to choose a new password. Each works once, for a
//! while; the database keeps its hash, the mail has its token.

pub mod api;
mod store;

use std::time::Duration as StdDuration;

use chrono::Duration;
use db::{DbError, SystemTask, SystemTx};
use kernel::{Actor, Clock, Id, OrganizationId, Secret, Time, UserId, random};
use kit::{App, Code, Problem, mail, request_id, retention::BATCH};
use tokio::time::{Instant, sleep_until};

use crate::{
    factors::{
        self,
        notice::{self, Notice},
    },
    identities, letters,
    sessions::{self, Visitor, model::hash, throttle},
};

/// What people see in front of a token, so that secret scanners know it.
const TOKEN_PREFIX: &str = "entrepot_link_";
const VERIFICATION_LIVES: Duration = Duration::hours(24);
const RESET_LIVES: Duration = Duration::hours(1);
/// How long in between, and how many a day, are sent to confirm an address.
const BETWEEN_VERIFICATIONS: Duration = Duration::minutes(1);
const VERIFICATIONS_A_DAY: i64 = 5;
/// When whoever asks for a new password is answered, whether or not there is an account: longer than the work takes.
const RESET_ANSWERED_AFTER: StdDuration = StdDuration::from_millis(400);

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Verify,
    Reset,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
        }
    }

    const fn lives(self) -> Duration {
        match self {
            Self::Verify => VERIFICATION_LIVES,
            Self::Reset => RESET_LIVES,
        }
    }
}

enum LinkKind {}
type LinkId = Id<LinkKind>;

/// A new link of its purpose; those before end.
async fn new_link(tx: &mut SystemTx, clock: &Clock, user: UserId, purpose: Purpose) -> Result<Secret, DbError> {
    let now = clock.now();
    let token = Secret::new(format!("{TOKEN_PREFIX}{}", random::base62(43)));
    store::end_all(tx, user, purpose.as_str(), now).await?;
    let id = LinkId::new(clock).uuid();
    store::insert(tx, id, user, purpose.as_str(), &hash(token.expose()), now + purpose.lives(), now).await?;
    Ok(token)
}

/// Mails a link that confirms an address.
pub(crate) async fn send_verification(
    tx: &mut SystemTx,
    app: &App,
    user: UserId,
    name: &str,
    email: &str,
    organization: OrganizationId,
) -> Result<(), Problem> {
    let token = new_link(tx, &app.clock, user, Purpose::Verify).await?;
    let letter = letters::verification(app, name, &token);
    Ok(mail::write_as_system(tx, app, organization, email, &letter, VERIFICATION_LIVES).await?)
}

/// Mails the link again.
///
/// # Errors
/// [`Code::Conflict`] when the address is confirmed; [`Code::RateLimited`] within a minute, or after the fifth of a day.
pub async fn resend_verification(app: &App, user: UserId) -> Result<(), Problem> {
    let now = app.clock.now();
    let mut tx = app.db.system(SystemTask::UserLink).await?;
    // Two at once would each find that there was none.
    store::lock_user(&mut tx, user).await?;
    let profile = sessions::store::profile(&mut tx, user).await?;
    if profile.is_verified {
        return Err(Problem::new(Code::Conflict, "Your e-mail is confirmed already."));
    }
    let sent = store::sent_since(&mut tx, user, Purpose::Verify.as_str(), now - Duration::days(1)).await?;
    let next = match (sent.newest, sent.oldest) {
        (_, Some(oldest)) if sent.count >= VERIFICATIONS_A_DAY => Some(oldest + Duration::days(1)),
        (Some(newest), _) => Some(newest + BETWEEN_VERIFICATIONS),
        _ => None,
    };
    if let Some(wait) = next.filter(|next| *next > now).and_then(|next| (next - now).to_std().ok()) {
        return Err(Problem::new(
            Code::RateLimited,
            "It was sent a short while ago. Look into your spam folder as well.",
        )
        .with_retry_after(wait));
    }
    let home = profile
        .home
        .map(OrganizationId::from)
        .ok_or_else(|| Problem::internal(&"a person without any organization"))?;
    send_verification(&mut tx, app, user, &profile.name, &profile.email, home).await?;
    Ok(tx.commit().await?)
}

/// Confirms the address that a link was mailed to.
///
/// # Errors
/// [`Code::LinkInvalid`].
pub async fn verify(app: &App, token: &Secret) -> Result<(), Problem> {
    let now = app.clock.now();
    let mut tx = app.db.system(SystemTask::UserLink).await?;
    let user = store::use_up(&mut tx, Purpose::Verify.as_str(), &hash(token.expose()), now).await?;
    let user = user.ok_or_else(sessions::link_invalid)?;
    sessions::store::mark_verified(&mut tx, user, now).await?;
    Ok(tx.commit().await?)
}

/// Mails a link to a new password, if the address has an account. Nobody is told whether it has: not by the answer, and not
/// by how long it takes.
///
/// # Errors
/// When the database is gone.
pub async fn request_reset(app: &App, email: &str, visitor: &Visitor) -> Result<(), Problem> {
    let answered_at = Instant::now() + RESET_ANSWERED_AFTER;
    let attempt = throttle::Attempt::at_mail(app, email, visitor);
    let (app, email) = (app.clone(), email.to_owned());
    // In a task of its own, so that hanging up early tells nothing either.
    let work = request_id::spawn(async move {
        match attempt.begin(&app).await {
            Ok(()) => send_reset(&app, &email).await,
            // Enough mails are on their way to this address already.
            Err(problem) if problem.code() == Code::LoginThrottled => Ok(()),
            Err(problem) => Err(problem),
        }
    });
    let (done, ()) = tokio::join!(work, sleep_until(answered_at));
    done.map_err(|error| Problem::internal(&error))?
}

async fn send_reset(app: &App, email: &str) -> Result<(), Problem> {
    let mut tx = app.db.system(SystemTask::UserLink).await?;
    let Some(user) = sessions::store::user_by_email(&mut tx, email).await? else {
        return Ok(tx.rollback().await?);
    };
    let user = UserId::from(user.id);
    let profile = sessions::store::profile(&mut tx, user).await?;
    let home = profile
        .home
        .map(OrganizationId::from)
        .ok_or_else(|| Problem::internal(&"a person without any organization"))?;
    let token = new_link(&mut tx, &app.clock, user, Purpose::Reset).await?;
    let letter = letters::password_reset(app, &profile.name, &token);
    mail::write_as_system(&mut tx, app, home, &profile.email, &letter, RESET_LIVES).await?;
    Ok(tx.commit().await?)
}

/// Sets a new password by a link, ends all sessions, and says so by mail. Second factors stay, unless this is the first proof that
/// somebody reads the account's mail. What the browser is known by from then on.
///
/// # Errors
/// [`Code::LinkInvalid`]; [`Code::InvalidRequest`] for a password that is too short, too long or the address.
pub async fn reset(app: &App, token: &Secret, password: &Secret) -> Result<Secret, Problem> {
    let digest = hash(token.expose());
    // Asked before the hash, which is dear, and again when it is used up.
    let mut tx = app.db.system(SystemTask::UserLink).await?;
    let user = store::find(&mut tx, Purpose::Reset.as_str(), &digest, app.clock.now()).await?;
    let user = user.ok_or_else(sessions::link_invalid)?;
    let profile = sessions::store::profile(&mut tx, user).await?;
    tx.rollback().await?;
    sessions::refuse_weak(password, &profile.email)?;
    let hash = sessions::password::hash(password).await?;

    let now = app.clock.now();
    let mut tx = app.db.system(SystemTask::UserLink).await?;
    let user = store::use_up(&mut tx, Purpose::Reset.as_str(), &digest, now).await?;
    let user = user.ok_or_else(sessions::link_invalid)?;
    sessions::store::set_password(&mut tx, user, &hash).await?;
    // The link was in a mail to this address.
    let is_first_proof = sessions::store::mark_verified(&mut tx, user, now).await?;
    if is_first_proof {
        give_over(&mut tx, app, user, now).await?;
    }
    sessions::end_all(&mut tx, user, None, now).await?;
    throttle::forgive(&mut tx, app, &profile.email).await?;
    if let Some(home) = profile.home.map(OrganizationId::from) {
        let letter = letters::password_changed(&profile.name);
        mail::write_as_system(&mut tx, app, home, &profile.email, &letter, mail::NOTICE_LIVES).await?;
    }
    tx.commit().await?;
    throttle::new_device(app, &profile.email)
}

/// Leaves whoever reads the mail of an account alone with it. Until now nobody had shown that they do, so what opens it beside the
/// password may be somebody's who signed up with an address that is not theirs.
async fn give_over(tx: &mut SystemTx, app: &App, user: UserId, now: Time) -> Result<(), Problem> {
    let had_factors = factors::remove_all(tx, user).await?;
    let had_links = identities::unlink_all(tx, user, now).await? > 0;
    if had_factors || had_links {
        let actor = Actor::System { task: "password_reset" };
        notice::tell(tx, app, user, actor, &Notice::GivenOver { had_factors, had_links }).await?;
    }
    Ok(())
}

/// Removes links that ran out before then, a batch of them. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut SystemTx, before: Time) -> Result<u64, DbError> {
    store::purge(tx, before, BATCH).await
}
