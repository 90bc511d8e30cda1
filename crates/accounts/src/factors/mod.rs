//! What people prove who they are by beside their password: an authenticator app, passkeys, and recovery codes for whoever
//! has lost them. Whoever has one of the first two signs in in two steps, and proves themself again for what a stolen session
//! must not do (`kit::SteppedUp`, `kit::Reproved`).

pub mod api;
pub(crate) mod challenge;
pub(crate) mod notice;
pub(crate) mod proof;
mod qr;
mod recovery;
pub(crate) mod step_up;
pub(crate) mod store;
mod totp;
pub(crate) mod webauthn;

use chrono::Duration;
use db::{DbError, SystemTask, SystemTx};
use kernel::{Actor, Id, Secret, SessionId, Time, UserId};
use kit::{App, Code, Problem, retention::BATCH, vault::TokenSealer};
use uuid::Uuid;

use crate::{
    authentication,
    sessions::{
        self,
        throttle::{Attempt, Place},
    },
};
use challenge::Purpose;
use notice::{Notice, tell};
use proof::Question;
use qr::Drawing;
use store::{NewPasskey, PasskeyRow};
use totp::TotpSecret;
use webauthn::{AttestationResponse, Person, RelyingParty};

pub use step_up::PROOF_LASTS;

/// How long an authenticator app may wait for its first code.
const PENDING_LIVES: Duration = Duration::minutes(15);
/// A sealed secret lives as long as its row: so long is never.
const SEALED_FOR: Duration = Duration::days(36_500);
/// More than a person has devices.
const PASSKEYS_MAX: i64 = 20;

enum TotpKind {}
type TotpId = Id<TotpKind>;
/// The row of a passkey; its authenticator calls it something else.
pub enum PasskeyKind {}
pub type PasskeyId = Id<PasskeyKind>;

/// What somebody proved who they are by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Password,
    Totp,
    RecoveryCode,
    Passkey,
}

impl Method {
    pub const ALL: &'static [Self] = &[Self::Password, Self::Totp, Self::RecoveryCode, Self::Passkey];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery_code",
            Self::Passkey => "passkey",
        }
    }

    /// Whether it is something that a person has. A recovery code stands for what they had.
    pub const fn is_second_factor(self) -> bool {
        !matches!(self, Self::Password)
    }
}

/// A person with a session.
#[derive(Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
}

impl Caller {
    fn actor(self) -> Actor {
        Actor::Person { user: self.user, session: self.session }
    }
}

/// What somebody has.
pub(crate) struct Factors {
    pub(crate) totp_since: Option<Time>,
    pub(crate) passkeys: Vec<PasskeyRow>,
    pub(crate) recovery_codes_left: i64,
}

/// An app that waits for its first code.
pub(crate) struct Enrolment {
    pub(crate) secret: Secret,
    pub(crate) address: Secret,
    pub(crate) drawing: Drawing,
    pub(crate) expires_at: Time,
}

pub(crate) fn passkeys_unavailable() -> Problem {
    Problem::new(
        Code::PasskeysUnavailable,
        "Browsers bind passkeys to the name of a site, over https or on this machine as localhost. This installation is reached \
         by an IP address or without https: set ENTREPOT_PUBLIC_URL to a name, or use an authenticator app.",
    )
}

fn sealer(app: &App) -> TokenSealer {
    TokenSealer::new(&app.keyring, "authenticator apps", SEALED_FOR)
}

fn open_secret(app: &App, user: UserId, id: Uuid, sealed: &[u8]) -> Result<TotpSecret, Problem> {
    let (sealer, now) = (sealer(app), app.clock.now());
    let opened =
        sealer.open_stored(sealed, &[("user", &user.uuid().as_bytes()[..]), ("totp", &id.as_bytes()[..])], now);
    let opened = opened.map_err(|error| Problem::internal(&error))?;
    TotpSecret::from_bytes(&opened)
        .ok_or_else(|| Problem::internal(&"a secret of an authenticator app has another length"))
}

/// Makes others wait who change something about the factors of this person.
///
/// # Errors
/// [`Code::Unauthenticated`] when the session has ended since the request began: whoever ended all sessions to have the account for
/// themself means this request too.
async fn hold(tx: &mut SystemTx, by: Caller, now: Time) -> Result<(), Problem> {
    store::lock_user(tx, by.user).await?;
    if sessions::store::goes_on(tx, by.session, now).await? { Ok(()) } else { Err(authentication::ended()) }
}

/// What a person has to prove themself by.
///
/// # Errors
/// When the database is gone.
pub(crate) async fn list(app: &App, user: UserId) -> Result<Factors, Problem> {
    let mut tx = app.db.system(SystemTask::Factors).await?;
    let factors = Factors {
        totp_since: store::totp_since(&mut tx, user).await?,
        passkeys: store::passkeys(&mut tx, user, PASSKEYS_MAX).await?,
        recovery_codes_left: store::standing(&mut tx, user, None).await?.map_or(0, |standing| standing.recovery_codes),
    };
    tx.rollback().await?;
    Ok(factors)
}

/// Begins to set up an authenticator app. It counts for nothing before its first code; one that counts goes on until then.
///
/// # Errors
/// When the database is gone.
pub(crate) async fn begin_totp(app: &App, by: Caller) -> Result<Enrolment, Problem> {
    let (secret, id, now) = (TotpSecret::generate(), TotpId::new(&app.clock).uuid(), app.clock.now());
    let user = by.user.uuid();
    let bound = [("user", &user.as_bytes()[..]), ("totp", &id.as_bytes()[..])];
    let sealed = sealer(app).seal_stored(secret.as_bytes(), &bound, now);
    let mut tx = app.db.system(SystemTask::Factors).await?;
    hold(&mut tx, by, now).await?;
    store::delete_pending_totp(&mut tx, by.user).await?;
    store::insert_totp(&mut tx, id, by.user, by.session, &sealed, now).await?;
    let profile = sessions::store::profile(&mut tx, by.user).await?;
    tx.commit().await?;
    let address = secret.address(&profile.email).ok_or_else(|| Problem::internal(&"an address that is none"))?;
    let drawing = qr::draw(address.as_str()).ok_or_else(|| Problem::internal(&"an address that no picture holds"))?;
    Ok(Enrolment {
        secret: Secret::new(secret.base32()),
        address: Secret::new(address),
        drawing,
        expires_at: now + PENDING_LIVES,
    })
}

/// Takes the first code of an app, from which on it counts, in place of another. The recovery codes, if there were none.
///
/// # Errors
/// [`Code::ChallengeInvalid`] when none waits, or it waited for longer than 15 minutes; [`Code::FactorRefused`];
/// [`Code::LoginThrottled`].
pub(crate) async fn confirm_totp(app: &App, by: Caller, code: &Secret) -> Result<Option<Vec<Secret>>, Problem> {
    let attempt = Attempt::at_factor(app, by.user, Place::Session(by.session), false);
    attempt.begin(app).await?;
    let now = app.clock.now();
    let mut tx = app.db.system(SystemTask::Factors).await?;
    hold(&mut tx, by, now).await?;
    let row = store::pending_totp(&mut tx, by.user, by.session, now - PENDING_LIVES).await?.ok_or_else(|| {
        Problem::new(
            Code::ChallengeInvalid,
            "No authenticator app waits for its first code in this session. Begin again.",
        )
    })?;
    let secret = open_secret(app, by.user, row.id, &row.sealed_secret)?;
    let step = secret.step_of(code.expose(), now, None).ok_or_else(|| {
        Problem::new(Code::FactorRefused, "The code is not the app's. Check that the clock of its device is right.")
    })?;
    let is_replaced = store::delete_confirmed_totp(&mut tx, by.user).await?;
    store::confirm_totp(&mut tx, row.id, step, now).await?;
    attempt.succeeded(&mut tx, now).await?;
    if is_replaced {
        sessions::end_all(&mut tx, by.user, Some(by.session), now).await?;
    }
    let notice = if is_replaced { Notice::TotpReplaced } else { Notice::TotpAdded };
    let codes = added(&mut tx, app, by, Method::Totp, &notice).await?;
    tx.commit().await?;
    Ok(codes)
}

/// What follows from a factor that counts from now on.
async fn added(
    tx: &mut SystemTx,
    app: &App,
    by: Caller,
    method: Method,
    notice: &Notice,
) -> Result<Option<Vec<Secret>>, Problem> {
    let now = app.clock.now();
    store::note_proof(tx, by.session, method, now).await?;
    tell(tx, app, by.user, by.actor(), notice).await?;
    let left = store::standing(tx, by.user, None).await?.map_or(0, |standing| standing.recovery_codes);
    if left > 0 { Ok(None) } else { new_recovery_codes(tx, by.user, now).await.map(Some).map_err(Problem::from) }
}

async fn new_recovery_codes(tx: &mut SystemTx, user: UserId, now: Time) -> Result<Vec<Secret>, DbError> {
    let codes: Vec<Secret> = std::iter::repeat_with(recovery::generate).take(recovery::CODES).collect();
    let hashes: Vec<Vec<u8>> = codes.iter().map(|code| recovery::hash(user, code)).collect();
    store::delete_recovery_codes(tx, user).await?;
    store::insert_recovery_codes(tx, user, &hashes, now).await?;
    Ok(codes)
}

/// Makes new recovery codes, which end those before.
///
/// # Errors
/// [`Code::Conflict`] for who has no factor to lose.
pub(crate) async fn make_recovery_codes(app: &App, by: Caller) -> Result<Vec<Secret>, Problem> {
    let mut tx = app.db.system(SystemTask::Factors).await?;
    hold(&mut tx, by, app.clock.now()).await?;
    if !has_second_factor(&mut tx, by.user).await? {
        return Err(Problem::new(
            Code::Conflict,
            "Recovery codes are for whoever has lost their second factor, and you have none. Set one up first.",
        ));
    }
    let codes = new_recovery_codes(&mut tx, by.user, app.clock.now()).await?;
    tell(&mut tx, app, by.user, by.actor(), &Notice::RecoveryCodesMade).await?;
    tx.commit().await?;
    Ok(codes)
}

/// Whether a person has something beside their password.
///
/// # Errors
/// When the database refuses or is gone.
pub(crate) async fn has_second_factor(tx: &mut SystemTx, user: UserId) -> Result<bool, DbError> {
    Ok(store::standing(tx, user, None).await?.is_some_and(|standing| standing.has_second_factor()))
}

/// Removes the authenticator app. Other sessions end; without another factor the recovery codes go too.
///
/// # Errors
/// [`Code::NotFound`] when there is none.
pub(crate) async fn remove_totp(app: &App, by: Caller) -> Result<(), Problem> {
    let mut tx = app.db.system(SystemTask::Factors).await?;
    hold(&mut tx, by, app.clock.now()).await?;
    if !store::delete_confirmed_totp(&mut tx, by.user).await? {
        return Err(Problem::not_found());
    }
    removed(tx, app, by, &Notice::TotpRemoved).await
}

/// The same with a passkey of theirs.
///
/// # Errors
/// [`Code::NotFound`] for one that is not there or not theirs.
pub(crate) async fn remove_passkey(app: &App, by: Caller, id: PasskeyId) -> Result<(), Problem> {
    let mut tx = app.db.system(SystemTask::Factors).await?;
    hold(&mut tx, by, app.clock.now()).await?;
    if !store::delete_passkey(&mut tx, by.user, id.uuid()).await? {
        return Err(Problem::not_found());
    }
    removed(tx, app, by, &Notice::PasskeyRemoved(id.uuid())).await
}

async fn removed(mut tx: SystemTx, app: &App, by: Caller, notice: &Notice) -> Result<(), Problem> {
    if !has_second_factor(&mut tx, by.user).await? {
        store::delete_recovery_codes(&mut tx, by.user).await?;
        store::forget_second_factor(&mut tx, by.user).await?;
    }
    sessions::end_all(&mut tx, by.user, Some(by.session), app.clock.now()).await?;
    tell(&mut tx, app, by.user, by.actor(), notice).await?;
    Ok(tx.commit().await?)
}

/// Removes everything that a person has beside their password: for an account whose address nobody had confirmed, whose factors need
/// not be those of whoever reads its mail. Whether there was anything.
///
/// # Errors
/// When the database refuses or is gone.
pub(crate) async fn remove_all(tx: &mut SystemTx, user: UserId) -> Result<bool, DbError> {
    store::lock_user(tx, user).await?;
    store::delete_pending_totp(tx, user).await?;
    let had_totp = store::delete_confirmed_totp(tx, user).await?;
    let had_passkeys = store::delete_passkeys(tx, user).await? > 0;
    store::delete_recovery_codes(tx, user).await?;
    store::forget_second_factor(tx, user).await?;
    Ok(had_totp || had_passkeys)
}

/// Begins to add a passkey.
///
/// # Errors
/// [`Code::PasskeysUnavailable`]; [`Code::Conflict`] for who has twenty.
pub(crate) async fn begin_passkey(app: &App, by: Caller) -> Result<Question, Problem> {
    let party = RelyingParty::of(app).ok_or_else(passkeys_unavailable)?;
    let mut tx = app.db.system(SystemTask::Factors).await?;
    let passkeys = store::passkeys(&mut tx, by.user, PASSKEYS_MAX).await?;
    let profile = sessions::store::profile(&mut tx, by.user).await?;
    tx.rollback().await?;
    refuse_too_many(&passkeys)?;
    let taken: Vec<Vec<u8>> = passkeys.into_iter().map(|passkey| passkey.credential_id).collect();
    let (challenge, asked) = challenge::ask(app, Purpose::Registration(by.session))?;
    let handle = by.user.uuid();
    let person = Person { handle: handle.as_bytes(), email: &profile.email, name: &profile.name };
    Ok(Question { options: party.creation_options(&person, &asked, &taken), challenge })
}

fn refuse_too_many(passkeys: &[PasskeyRow]) -> Result<(), Problem> {
    if i64::try_from(passkeys.len()).is_ok_and(|count| count < PASSKEYS_MAX) {
        return Ok(());
    }
    Err(Problem::new(Code::Conflict, format!("You have {PASSKEYS_MAX} passkeys. Remove one that you no longer use.")))
}

/// Adds the passkey that an authenticator made. The recovery codes, if there were none.
///
/// # Errors
/// [`Code::ChallengeInvalid`]; [`Code::FactorRefused`] for an answer to something else; [`Code::Conflict`] for a passkey that is
/// there already, or one too many.
pub(crate) async fn add_passkey(
    app: &App,
    by: Caller,
    token: &Secret,
    name: &str,
    response: &AttestationResponse,
) -> Result<(PasskeyRow, Option<Vec<Secret>>), Problem> {
    let party = RelyingParty::of(app).ok_or_else(passkeys_unavailable)?;
    let challenge = challenge::asked(app, Purpose::Registration(by.session), token)?;
    let made = party.registered(&challenge, response).map_err(|refusal| {
        tracing::info!(%refusal, "a passkey was not added");
        Problem::new(Code::FactorRefused, format!("The passkey was not added: {refusal}."))
    })?;
    let now = app.clock.now();
    let mut tx = app.db.system(SystemTask::Factors).await?;
    hold(&mut tx, by, now).await?;
    challenge::spend(&mut tx, &challenge, now).await?;
    refuse_too_many(&store::passkeys(&mut tx, by.user, PASSKEYS_MAX).await?)?;
    let id = PasskeyId::new(&app.clock).uuid();
    let known = ["ble", "hybrid", "internal", "nfc", "smart-card", "usb"];
    let transports: Vec<String> = known
        .into_iter()
        .filter(|known| response.transports.iter().any(|given| given == known))
        .map(str::to_owned)
        .collect();
    let new = NewPasskey {
        id,
        credential_id: &made.credential_id,
        public_key: &made.public_key,
        sign_count: i64::from(made.sign_count),
        is_backed_up: made.is_backed_up,
        transports: &transports,
        name,
    };
    store::insert_passkey(&mut tx, by.user, &new, now).await.map_err(|error| match error {
        DbError::Constraint { constraint } if constraint == "login_passkeys_credential_id_key" => {
            Problem::new(Code::Conflict, "This passkey has been added already.")
        }
        other => other.into(),
    })?;
    let codes = added(&mut tx, app, by, Method::Passkey, &Notice::PasskeyAdded(id)).await?;
    tx.commit().await?;
    let row = PasskeyRow {
        id,
        user_id: by.user,
        credential_id: made.credential_id,
        public_key: made.public_key,
        sign_count: i64::from(made.sign_count),
        is_backed_up: made.is_backed_up,
        transports,
        name: name.to_owned(),
        created_at: now,
        last_used_at: None,
    };
    Ok((row, codes))
}

/// Gives a passkey of theirs another name.
///
/// # Errors
/// [`Code::NotFound`] for one that is not there or not theirs.
pub(crate) async fn rename_passkey(app: &App, by: Caller, id: PasskeyId, name: &str) -> Result<PasskeyRow, Problem> {
    let mut tx = app.db.system(SystemTask::Factors).await?;
    let row = store::rename_passkey(&mut tx, by.user, id.uuid(), name).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok(row)
}

/// Removes challenges that have run out, and apps that never gave a code. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut SystemTx, now: Time) -> Result<u64, DbError> {
    Ok(store::purge_spent(tx, now, BATCH).await? + store::purge_pending_totps(tx, now - PENDING_LIVES).await?)
}
