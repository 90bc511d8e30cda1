//! Somebody proves who they are: at the second step of signing in, with a passkey alone, or again in their session.

use db::{SystemTask, SystemTx};
use kernel::{Actor, Secret, SessionId, Time, UserId};
use kit::{App, Code, Problem};
use serde_json::Value;

use super::{
    Method,
    challenge::{self, Challenge, Pending, Purpose},
    notice::{self, Notice},
    recovery,
    step_up::PROOF_LASTS,
    store::{self, PasskeyRow},
    webauthn::{AssertionResponse, Known, Refusal, RelyingParty, decoded},
};
use crate::sessions::{
    self, Opened, Visitor, password,
    throttle::{Attempt, Place},
};

/// What somebody proves themself by.
pub(crate) enum Presented {
    Password(Secret),
    Totp(Secret),
    RecoveryCode(Secret),
    Passkey(Box<Assertion>),
}

impl Presented {
    /// Whether enough tries find it. What has 80 bits and more is found by nobody.
    fn is_guessable(&self) -> bool {
        matches!(self, Self::Password(_) | Self::Totp(_))
    }
}

/// What an authenticator answered, and what it was asked.
pub(crate) struct Assertion {
    /// Where it was not asked at the second step of signing in.
    pub(crate) challenge: Option<Secret>,
    /// base64url.
    pub(crate) credential_id: String,
    pub(crate) response: AssertionResponse,
}

/// A login whose password was right, and which needs a second factor.
pub(crate) struct PendingLogin {
    pub(crate) token: Secret,
    pub(crate) expires_at: Time,
    pub(crate) methods: Vec<Method>,
    /// For the browser, where there is a passkey.
    pub(crate) passkey_options: Option<Value>,
}

/// What a browser is to ask an authenticator.
pub(crate) struct Question {
    pub(crate) challenge: Secret,
    pub(crate) options: Value,
}

/// A proof in a session.
pub(crate) struct Proof {
    pub(crate) method: Method,
    pub(crate) proved_at: Time,
    pub(crate) lasts_until: Time,
}

fn refused(detail: &'static str) -> Problem {
    Problem::new(Code::FactorRefused, detail)
}

fn wrong() -> Problem {
    refused("It is wrong, has been used, or is not yours. Check it and try again.")
}

fn relying_party(app: &App) -> Result<RelyingParty, Problem> {
    RelyingParty::of(app).ok_or_else(super::passkeys_unavailable)
}

/// What a person whose password was right has to show besides; None for who has no second factor.
///
/// # Errors
/// When the database is gone.
pub(crate) async fn second_step(
    tx: &mut SystemTx,
    app: &App,
    user: UserId,
    password_hash: &str,
) -> Result<Option<PendingLogin>, Problem> {
    let Some(standing) = store::standing(tx, user, None).await?.filter(store::StandingRow::has_second_factor) else {
        return Ok(None);
    };
    let pending = Pending::new(user, password_hash);
    let passkey_options = match RelyingParty::of(app) {
        Some(party) if standing.passkeys > 0 => Some(options(tx, &party, user, &pending.challenge).await?),
        _ => None,
    };
    Ok(Some(PendingLogin {
        token: pending.seal(app)?,
        expires_at: app.clock.now() + challenge::LIVES,
        methods: standing.methods(),
        passkey_options,
    }))
}

/// What to ask for the passkeys of a person.
async fn options(
    tx: &mut SystemTx,
    party: &RelyingParty,
    user: UserId,
    challenge: &Challenge,
) -> Result<Value, Problem> {
    let passkeys = store::passkeys(tx, user, super::PASSKEYS_MAX).await?;
    let allowed: Vec<_> = passkeys.into_iter().map(|passkey| (passkey.credential_id, passkey.transports)).collect();
    Ok(party.request_options(challenge, &allowed))
}

/// The second step of signing in.
///
/// # Errors
/// [`Code::ChallengeInvalid`] for a login that has run out, was finished, or is of a password that was replaced;
/// [`Code::FactorRefused`]; [`Code::LoginThrottled`].
pub(crate) async fn finish_login(
    app: &App,
    token: &Secret,
    presented: Presented,
    visitor: &Visitor,
) -> Result<Opened, Problem> {
    let pending = Pending::open(app, token)?;
    let user = pending.user;
    let mut tx = app.db.system(SystemTask::Factors).await?;
    pending.still_of(sessions::store::password_hash(&mut tx, user).await?.as_deref())?;
    challenge::refuse_spent(&mut tx, &pending.challenge).await?;
    tx.rollback().await?;
    let attempt = Attempt::at_factor(app, user, Place::Login(&pending.challenge), presented.is_guessable());
    attempt.begin(app).await?;
    let mut tx = app.db.system(SystemTask::Factors).await?;
    pending.still_of(sessions::store::hold_password(&mut tx, user).await?.as_deref())?;
    // First, so that of two at once the second waits, and finds it spent. A refusal undoes it.
    challenge::spend(&mut tx, &pending.challenge, app.clock.now()).await?;
    let (mut tx, method) = accept(app, tx, user, presented, &pending.challenge).await?;
    attempt.succeeded(&mut tx, app.clock.now()).await?;
    let opened = open(&mut tx, app, user, visitor, method).await?;
    tx.commit().await?;
    Ok(opened)
}

async fn open(
    tx: &mut SystemTx,
    app: &App,
    user: UserId,
    visitor: &Visitor,
    method: Method,
) -> Result<Opened, Problem> {
    let profile = sessions::store::profile(tx, user).await?;
    let opened = sessions::open(tx, app, user, &profile.email, visitor, method).await?;
    tell_of_recovery(tx, app, user, opened.session.id, method).await?;
    Ok(opened)
}

/// Signs in with a passkey alone: it tells who they are.
///
/// # Errors
/// [`Code::PasskeysUnavailable`].
pub(crate) fn begin_passkey_login(app: &App) -> Result<Question, Problem> {
    let party = relying_party(app)?;
    let (token, challenge) = challenge::ask(app, Purpose::LogIn)?;
    Ok(Question { options: party.request_options(&challenge, &[]), challenge: token })
}

/// # Errors
/// [`Code::ChallengeInvalid`]; [`Code::FactorRefused`], the same for a passkey that nobody has and for one that signed wrong.
pub(crate) async fn log_in_with_passkey(app: &App, assertion: Assertion, visitor: &Visitor) -> Result<Opened, Problem> {
    let token = assertion.challenge.as_ref().ok_or_else(|| Problem::invalid("/challenge", "is missing"))?;
    let challenge = challenge::asked(app, Purpose::LogIn, token)?;
    // Nothing was asked for by name, so the passkey has to say whose it is.
    let handle = assertion.response.user_handle.as_deref().and_then(|handle| decoded(handle).ok());
    let handle = handle.and_then(|handle| uuid::Uuid::from_slice(&handle).ok()).ok_or_else(wrong)?;
    let user = UserId::from(handle);
    let mut tx = app.db.system(SystemTask::Factors).await?;
    challenge::spend(&mut tx, &challenge, app.clock.now()).await?;
    let (mut tx, method) = accept(app, tx, user, Presented::Passkey(Box::new(assertion)), &challenge).await?;
    let opened = open(&mut tx, app, user, visitor, method).await?;
    tx.commit().await?;
    Ok(opened)
}

/// What to ask for a proof by passkey.
///
/// # Errors
/// [`Code::PasskeysUnavailable`]; [`Code::Conflict`] for who has no passkey.
pub(crate) async fn begin_passkey_proof(app: &App, user: UserId, session: SessionId) -> Result<Question, Problem> {
    let party = relying_party(app)?;
    let (token, challenge) = challenge::ask(app, Purpose::Proof(session))?;
    let mut tx = app.db.system(SystemTask::Factors).await?;
    let has_one = store::standing(&mut tx, user, None).await?.is_some_and(|standing| standing.passkeys > 0);
    let options = options(&mut tx, &party, user, &challenge).await?;
    tx.rollback().await?;
    match has_one {
        true => Ok(Question { challenge: token, options }),
        false => Err(Problem::new(Code::Conflict, "You have no passkey. Prove yourself by something else.")),
    }
}

/// Proves in a session that it is still its person.
///
/// # Errors
/// [`Code::FactorRefused`], also for the password of somebody who has a second factor; [`Code::ChallengeInvalid`];
/// [`Code::LoginThrottled`].
pub(crate) async fn prove(app: &App, user: UserId, session: SessionId, presented: Presented) -> Result<Proof, Problem> {
    let challenge = match &presented {
        Presented::Passkey(assertion) => {
            let token = assertion.challenge.as_ref();
            let token = token.ok_or_else(|| Problem::invalid("/passkey/challenge", "is missing"))?;
            Some(challenge::asked(app, Purpose::Proof(session), token)?)
        }
        _ => None,
    };
    let attempt = Attempt::at_factor(app, user, Place::Session(session), presented.is_guessable());
    attempt.begin(app).await?;
    let mut tx = app.db.system(SystemTask::Factors).await?;
    let standing = store::standing(&mut tx, user, Some(session)).await?.ok_or_else(Problem::not_found)?;
    if let Some(challenge) = &challenge {
        challenge::spend(&mut tx, challenge, app.clock.now()).await?;
    }
    let (mut tx, method) = match presented {
        Presented::Password(given) => {
            if standing.has_second_factor() {
                return Err(refused("You have a second factor: prove yourself by it."));
            }
            let hash = sessions::store::password_hash(&mut tx, user).await?;
            tx.rollback().await?;
            // No transaction is open while it is hashed, which is slow on purpose.
            match password::verify(&given, hash.as_deref()).await {
                Ok(true) => {
                    let mut tx = app.db.system(SystemTask::Factors).await?;
                    if sessions::store::hold_password(&mut tx, user).await? != hash {
                        return Err(wrong());
                    }
                    (tx, Method::Password)
                }
                Ok(false) => return Err(wrong()),
                Err(problem) => {
                    attempt.take_back(app).await?;
                    return Err(problem);
                }
            }
        }
        presented => accept(app, tx, user, presented, &challenge.unwrap_or_default()).await?,
    };
    let now = app.clock.now();
    attempt.succeeded(&mut tx, now).await?;
    store::note_proof(&mut tx, session, method, now).await?;
    tell_of_recovery(&mut tx, app, user, session, method).await?;
    tx.commit().await?;
    Ok(Proof { method, proved_at: now, lasts_until: now + PROOF_LASTS })
}

async fn tell_of_recovery(
    tx: &mut SystemTx,
    app: &App,
    user: UserId,
    session: SessionId,
    method: Method,
) -> Result<(), Problem> {
    if method != Method::RecoveryCode {
        return Ok(());
    }
    let left = store::standing(tx, user, None).await?.map_or(0, |standing| standing.recovery_codes);
    notice::tell(tx, app, user, Actor::Person { user, session }, &Notice::RecoveryCodeUsed { left }).await
}

/// Uses a second factor of a person up; by what they proved themself. The transaction comes back, unless it ended with a refusal.
async fn accept(
    app: &App,
    mut tx: SystemTx,
    user: UserId,
    presented: Presented,
    challenge: &Challenge,
) -> Result<(SystemTx, Method), Problem> {
    let now = app.clock.now();
    match presented {
        Presented::Password(_) => Err(refused("A password is no second factor.")),
        Presented::Totp(code) => {
            let row = store::confirmed_totp(&mut tx, user).await?.ok_or_else(wrong)?;
            let secret = super::open_secret(app, user, row.id, &row.sealed_secret)?;
            let step = secret.step_of(code.expose(), now, row.last_step).ok_or_else(wrong)?;
            store::note_step(&mut tx, row.id, step).await?;
            Ok((tx, Method::Totp))
        }
        Presented::RecoveryCode(code) => {
            // Without a factor there is nothing to recover.
            let standing = store::standing(&mut tx, user, None).await?;
            let may_recover = standing.is_some_and(|standing| standing.has_second_factor());
            if may_recover && store::use_recovery_code(&mut tx, user, &recovery::hash(user, &code), now).await? {
                return Ok((tx, Method::RecoveryCode));
            }
            Err(wrong())
        }
        Presented::Passkey(assertion) => {
            let party = relying_party(app)?;
            let id = decoded(&assertion.credential_id).map_err(|_| wrong())?;
            let row = store::passkey_by_credential(&mut tx, &id).await?;
            let row = row.filter(|row| row.user_id == user).ok_or_else(wrong)?;
            if assertion.response.user_handle.as_deref().is_some_and(|handle| !is_of(handle, user)) {
                return Err(wrong());
            }
            match party.used(challenge, &known(&row)?, &assertion.response) {
                Ok(used) => {
                    let count = i64::from(used.sign_count);
                    store::note_passkey_used(&mut tx, row.id, count, used.is_backed_up, now).await?;
                    Ok((tx, Method::Passkey))
                }
                Err(Refusal::Counter) => {
                    metrics::counter!("entrepot_passkeys_copied_total").increment(1);
                    let actor = Actor::System { task: "passkey_check" };
                    notice::tell(&mut tx, app, user, actor, &Notice::PasskeyCopied(row.id)).await?;
                    // The refusal is written down, so it commits.
                    tx.commit().await?;
                    Err(refused(
                        "This passkey has counted fewer signatures than before, as a copy would. Use another factor, and \
                         replace the passkey.",
                    ))
                }
                Err(refusal) => {
                    tracing::info!(%refusal, passkey = %row.id, "a passkey was refused");
                    Err(wrong())
                }
            }
        }
    }
}

fn known(row: &PasskeyRow) -> Result<Known<'_>, Problem> {
    let sign_count = u32::try_from(row.sign_count).map_err(|error| Problem::internal(&error))?;
    Ok(Known { public_key: &row.public_key, sign_count })
}

fn is_of(handle: &str, user: UserId) -> bool {
    decoded(handle).is_ok_and(|handle| handle == user.uuid().as_bytes())
}
