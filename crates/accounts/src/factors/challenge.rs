//! What somebody is asked to answer, sealed and carried by them: nothing is written for a question that nobody answers, and any
//! node takes the answer. Each is answered once; which were is kept until they would have run out.

use chrono::Duration;
use db::SystemTx;
use kernel::{Secret, SessionId, Time, UserId, random};
use kit::{App, Code, Problem, vault::TokenSealer};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{store, webauthn::CHALLENGE_LENGTH};

/// How long there is to answer.
pub(crate) const LIVES: Duration = Duration::minutes(5);

pub(super) type Challenge = [u8; CHALLENGE_LENGTH];

/// What a challenge is for. An answer to one of another purpose, or of another session, is none.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    LogIn,
    Registration(SessionId),
    Proof(SessionId),
}

impl Purpose {
    fn seal(self, app: &App, challenge: &Challenge, now: Time) -> Result<Secret, Problem> {
        let (name, session) = self.parts();
        let token = sealer(app).seal(&[("purpose", name), ("session", &session)], challenge, now);
        token.map(Secret::new).map_err(|error| Problem::internal(&error))
    }

    fn parts(self) -> (&'static [u8], Vec<u8>) {
        match self {
            Self::LogIn => (b"login", vec![]),
            Self::Registration(session) => (b"registration", session.uuid().as_bytes().to_vec()),
            Self::Proof(session) => (b"proof", session.uuid().as_bytes().to_vec()),
        }
    }
}

fn sealer(app: &App) -> TokenSealer {
    TokenSealer::new(&app.keyring, "login challenges", LIVES)
}

fn pending_sealer(app: &App) -> TokenSealer {
    TokenSealer::new(&app.keyring, "pending logins", LIVES)
}

/// The same for one that was answered, has run out, is for something else, or never was.
fn invalid() -> Problem {
    Problem::new(
        Code::ChallengeInvalid,
        "It was used, has taken longer than five minutes, or belongs elsewhere. Begin again.",
    )
}

/// A new challenge, and what its bearer carries.
pub(super) fn ask(app: &App, purpose: Purpose) -> Result<(Secret, Challenge), Problem> {
    let challenge = random::bytes();
    Ok((purpose.seal(app, &challenge, app.clock.now())?, challenge))
}

/// What was asked.
///
/// # Errors
/// [`Code::ChallengeInvalid`].
pub(super) fn asked(app: &App, purpose: Purpose, token: &Secret) -> Result<Challenge, Problem> {
    let (name, session) = purpose.parts();
    let opened = sealer(app).open(token.expose(), &[("purpose", name), ("session", &session)], app.clock.now());
    opened.ok().and_then(|bytes| bytes.as_slice().try_into().ok()).ok_or_else(invalid)
}

/// # Errors
/// [`Code::ChallengeInvalid`] for one that was used.
pub(super) async fn refuse_spent(tx: &mut SystemTx, challenge: &Challenge) -> Result<(), Problem> {
    if store::is_spent(tx, &Sha256::digest(challenge)).await? { Err(invalid()) } else { Ok(()) }
}

/// Uses a challenge up.
///
/// # Errors
/// [`Code::ChallengeInvalid`] when it was used before.
pub(super) async fn spend(tx: &mut SystemTx, challenge: &Challenge, now: Time) -> Result<(), Problem> {
    if store::spend(tx, &Sha256::digest(challenge), now + LIVES).await? { Ok(()) } else { Err(invalid()) }
}

/// Somebody whose password was right, and who has a second factor to show. It is no session: nothing but the second step
/// takes it.
pub(super) struct Pending {
    pub(super) user: UserId,
    pub(super) challenge: Challenge,
    /// Of the hash of the password that was right: a new password ends what the old one began.
    password: [u8; 32],
}

impl Pending {
    const LENGTH: usize = 16 + CHALLENGE_LENGTH + 32;

    pub(super) fn new(user: UserId, password_hash: &str) -> Self {
        Self { user, challenge: random::bytes(), password: Sha256::digest(password_hash).into() }
    }

    pub(super) fn seal(&self, app: &App) -> Result<Secret, Problem> {
        let mut payload = Vec::with_capacity(Self::LENGTH);
        payload.extend(self.user.uuid().as_bytes());
        payload.extend(self.challenge);
        payload.extend(self.password);
        let token = pending_sealer(app).seal(&[], &payload, app.clock.now());
        token.map(Secret::new).map_err(|error| Problem::internal(&error))
    }

    /// # Errors
    /// [`Code::ChallengeInvalid`].
    pub(super) fn open(app: &App, token: &Secret) -> Result<Self, Problem> {
        let opened = pending_sealer(app).open(token.expose(), &[], app.clock.now()).map_err(|_| invalid())?;
        let read = || {
            let (user, rest) = opened.split_first_chunk::<16>()?;
            let (challenge, rest) = rest.split_first_chunk::<CHALLENGE_LENGTH>()?;
            let password = rest.try_into().ok()?;
            Some(Self { user: Uuid::from_bytes(*user).into(), challenge: *challenge, password })
        };
        read().ok_or_else(invalid)
    }

    /// # Errors
    /// [`Code::ChallengeInvalid`] when the password is another by now, or the person is gone.
    pub(super) fn still_of(&self, password_hash: Option<&str>) -> Result<(), Problem> {
        match password_hash {
            Some(hash) if self.password == <[u8; 32]>::from(Sha256::digest(hash)) => Ok(()),
            _ => Err(invalid()),
        }
    }
}
