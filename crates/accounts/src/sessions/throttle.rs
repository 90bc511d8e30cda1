//! Slowing down whoever guesses passwords, without locking anybody out.
//!
//! An attempt counts before its password is looked at, in the database, so that all nodes and all attempts at once count
//! together. The first ones are free; then each has to wait twice as long as the one before, a quarter of an hour at most.
//! Who comes too early is refused and not counted. A browser that has signed in to the account before is counted by itself:
//! it does not wait for what others try. An address that has no account is counted like any other.

use chrono::Duration;
use db::{SystemTask, SystemTx};
use hmac::{Hmac, KeyInit, Mac};
use kernel::{Secret, SessionId, Time, UserId, random};
use kit::{
    App, Code, Problem,
    network::Network,
    vault::{Keyring, TokenSealer},
};
use sha2::Sha256;

use super::{Visitor, store};

/// How long a browser is known after it last signed in.
pub(super) const DEVICE_KNOWN_FOR: Duration = Duration::days(365);
/// No attempt waits longer.
const DELAY_MAX_SECONDS: f64 = 900.0;
/// After so long without one, attempts begin anew.
const REMEMBERED: Duration = Duration::hours(24);

/// How many codes of a person may be tried that are not theirs, in all pending logins or in all sessions, before each has to wait:
/// of a million, with three that are right at a time.
const FACTORS_FREE: i32 = 50;

/// Where a second factor, or the password, is shown again.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// A pending login, by its challenge: whoever has one knew the password.
    Login(&'a [u8]),
    Session(SessionId),
}

impl Place<'_> {
    /// As what it is counted for all places of this kind, and for this one. Who has the password only, and tries codes, does not hold
    /// up those who are signed in.
    fn counted(self) -> (&'static str, &'static str, Vec<u8>) {
        match self {
            Self::Login(challenge) => ("factors of logins", "factor of a login", challenge.to_vec()),
            Self::Session(session) => {
                ("factors of sessions", "factor of a session", session.uuid().as_bytes().to_vec())
            }
        }
    }
}

/// What is counted, and how much of it is free.
struct Rule {
    subject: [u8; 32],
    free: i32,
}

/// Attempts of one kind from one place. What was counted is taken back when it succeeds.
pub(crate) struct Attempt {
    rules: Vec<Rule>,
}

impl Attempt {
    /// To sign in to the account of this address.
    pub(super) fn at_login(app: &App, email: &str, visitor: &Visitor) -> Self {
        if let Some(device) = known_device(app, email, visitor) {
            return Self { rules: vec![rule(app, "device", &device, 10)] };
        }
        Self::of(app, visitor, ("network", 50), ("account", email, 5))
    }

    /// To have a mail sent to this address.
    pub(crate) fn at_mail(app: &App, email: &str, visitor: &Visitor) -> Self {
        Self::of(app, visitor, ("network of mail", 20), ("account of mail", email, 3))
    }

    /// To prove by a code, a passkey or the password who they are, for somebody who is known by their password or a session.
    ///
    /// It is counted by itself in each place, so that whoever fails in one holds up no other. What can be guessed is counted for all
    /// places of a kind together as well, or many of them would be as many guesses.
    pub(crate) fn at_factor(app: &App, user: UserId, place: Place<'_>, is_guessable: bool) -> Self {
        let (everywhere, here, id) = place.counted();
        let user = *user.uuid().as_bytes();
        let everywhere = is_guessable.then(|| rule(app, everywhere, &user, FACTORS_FREE));
        let here = rule(app, here, &[&user, id.as_slice()].concat(), 5);
        Self { rules: everywhere.into_iter().chain([here]).collect() }
    }

    /// To sign up with this address. Taken back unless it has an account: an address that is told to have one is a guess that was right.
    pub(super) fn at_sign_up(app: &App, email: &str, visitor: &Visitor) -> Self {
        Self::of(app, visitor, ("network of sign-ups", 20), ("account of sign-ups", email, 3))
    }

    fn of(app: &App, visitor: &Visitor, network: (&str, i32), account: (&str, &str, i32)) -> Self {
        // In this order everywhere, so that no two attempts wait for one another.
        let network = visitor.network.map(|from| rule(app, network.0, &from.bytes(), network.1));
        let account = rule(app, account.0, account.1.as_bytes(), account.2);
        Self { rules: network.into_iter().chain([account]).collect() }
    }

    /// Counts it.
    ///
    /// # Errors
    /// [`Code::LoginThrottled`] when it comes too early; nothing is counted then.
    pub(crate) async fn begin(&self, app: &App) -> Result<(), Problem> {
        let now = app.clock.now();
        let mut tx = app.db.system(SystemTask::Authenticate).await?;
        for Rule { subject, free } in &self.rules {
            if !store::count_attempt(&mut tx, subject, *free, DELAY_MAX_SECONDS, now, now - REMEMBERED).await? {
                let until = store::blocked_until(&mut tx, subject).await?;
                tx.rollback().await?;
                return Err(throttled(until, now));
            }
        }
        Ok(tx.commit().await?)
    }

    /// The password was right: what was counted for the account or the device is forgotten, and one attempt of the network.
    pub(crate) async fn succeeded(&self, tx: &mut SystemTx, now: Time) -> Result<(), Problem> {
        if let Some((last, others)) = self.rules.split_last() {
            store::forget_attempts(tx, &last.subject).await?;
            for Rule { subject, .. } in others {
                store::uncount_attempt(tx, subject, now).await?;
            }
        }
        Ok(())
    }

    /// Nobody knows whether the password was right: it was not looked at.
    pub(crate) async fn take_back(&self, app: &App) -> Result<(), Problem> {
        let mut tx = app.db.system(SystemTask::Authenticate).await?;
        for Rule { subject, .. } in &self.rules {
            store::uncount_attempt(&mut tx, subject, app.clock.now()).await?;
        }
        Ok(tx.commit().await?)
    }
}

/// Texts that are no API key, from one network. They are counted once they have proved wrong: calls with good keys, many at
/// once after a start, wait for nothing.
pub(crate) struct KeyGuesses {
    subject: [u8; 32],
}

impl KeyGuesses {
    /// So many of a day are free.
    const FREE: i32 = 20;
    /// No network waits longer for its next guess, which by then is as good as never.
    const DELAY_MAX_SECONDS: f64 = 3_600.0;

    pub(crate) fn of(app: &App, network: Network) -> Self {
        Self { subject: digest(&app.keyring, "network of keys", &network.bytes()) }
    }

    /// # Errors
    /// [`Code::ApiKeyThrottled`] while this network has to wait.
    pub(crate) async fn refuse_early(&self, tx: &mut SystemTx, now: Time) -> Result<(), Problem> {
        match store::blocked_until(tx, &self.subject).await? {
            Some(until) if until > now => {
                metrics::counter!("entrepot_api_key_guesses_refused_total").increment(1);
                let wait = (until - now).to_std().unwrap_or_default().max(std::time::Duration::from_secs(1));
                Err(Problem::new(
                    Code::ApiKeyThrottled,
                    "Many texts that are no API key came from your network. Wait as long as Retry-After says. API keys go on \
                     working.",
                )
                .with_retry_after(wait))
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn count(&self, tx: &mut SystemTx, now: Time) -> Result<(), Problem> {
        let (free, longest) = (Self::FREE, Self::DELAY_MAX_SECONDS);
        store::count_attempt(tx, &self.subject, free, longest, now, now - REMEMBERED).await?;
        metrics::counter!("entrepot_api_key_guesses_total").increment(1);
        Ok(())
    }
}

/// Whoever proved that they read the mail of this address need not wait for what others tried.
pub(crate) async fn forgive(tx: &mut SystemTx, app: &App, email: &str) -> Result<(), Problem> {
    Ok(store::forget_attempts(tx, &digest(&app.keyring, "account", email.as_bytes())).await?)
}

/// What a browser keeps, so that it is known when it comes back to this account.
pub(crate) fn new_device(app: &App, email: &str) -> Result<Secret, Problem> {
    let payload = random::bytes::<16>();
    let token = sealer(&app.keyring).seal(&[("account", email.as_bytes())], &payload, app.clock.now());
    token.map(Secret::new).map_err(|error| Problem::internal(&error))
}

fn known_device(app: &App, email: &str, visitor: &Visitor) -> Option<Vec<u8>> {
    let token = visitor.known_as.as_ref()?;
    let bound = [("account", email.as_bytes())];
    sealer(&app.keyring).open(token.expose(), &bound, app.clock.now()).ok().map(|device| device.to_vec())
}

fn sealer(keyring: &Keyring) -> TokenSealer {
    TokenSealer::new(keyring, "known device", DEVICE_KNOWN_FOR)
}

fn rule(app: &App, kind: &str, value: &[u8], free: i32) -> Rule {
    Rule { subject: digest(&app.keyring, kind, value), free }
}

/// Keyed, so that neither an address nor a network can be read from what is counted.
fn digest(keyring: &Keyring, kind: &str, value: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&*keyring.derive("login attempts"))
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(kind.as_bytes());
    mac.update(&[0]);
    mac.update(value);
    mac.finalize().into_bytes().into()
}

fn throttled(until: Option<Time>, now: Time) -> Problem {
    let wait = until.and_then(|until| (until - now).to_std().ok()).unwrap_or_default();
    Problem::new(
        Code::LoginThrottled,
        "Wait as long as Retry-After says. After wrong passwords a new one, by mail, ends the wait.",
    )
    .with_retry_after(wait.max(std::time::Duration::from_secs(1)))
}
