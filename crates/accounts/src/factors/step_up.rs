//! Who has to prove again who they are, and by what.

use chrono::Duration;
use db::{SystemTask, SystemTx};
use kernel::{Actor, Time};
use kit::{
    App, Code, Problem,
    app::{Identity, StepUp},
};
use serde_json::json;

use super::{
    Method,
    store::{self, StandingRow},
};
use crate::sessions;

/// How long a proof lasts for what asks for one.
pub const PROOF_LASTS: Duration = Duration::minutes(10);

impl StandingRow {
    /// Recovery codes are for whoever has lost one, and are none themselves.
    pub(super) fn has_second_factor(&self) -> bool {
        self.has_totp || self.passkeys > 0
    }

    /// What they can prove themselves by, the best first.
    pub(super) fn methods(&self) -> Vec<Method> {
        if !self.has_second_factor() {
            return vec![Method::Password];
        }
        let possible = [
            (self.passkeys > 0, Method::Passkey),
            (self.has_totp, Method::Totp),
            (self.recovery_codes > 0, Method::RecoveryCode),
        ];
        possible.into_iter().filter(|(is_possible, _)| *is_possible).map(|(_, method)| method).collect()
    }

    fn is_fresh(&self, step_up: StepUp, now: Time) -> bool {
        let is_recent = |at: Option<Time>| at.is_some_and(|at| at + PROOF_LASTS > now);
        match (self.has_second_factor(), step_up) {
            (true, _) => is_recent(self.second_factor_at),
            (false, StepUp::Always) => is_recent(self.proved_at),
            (false, StepUp::SecondFactor) => true,
        }
    }

    /// Whether the second factor was proved in this session, for as long as a session lives. The session that an issuer's tokens stand
    /// for goes on for as long as there are tokens; what was once proved in it does not.
    fn is_let_in(&self, now: Time) -> bool {
        self.second_factor_at.is_some_and(|at| at + sessions::LIFETIME > now)
    }

    fn spelled(&self) -> Vec<&'static str> {
        self.methods().into_iter().map(Method::as_str).collect()
    }
}

/// # Errors
/// [`Code::StepUpRequired`], with what is possible; [`Code::Forbidden`] for a key.
pub(crate) async fn has_proved(app: &App, actor: Actor, step_up: StepUp) -> Result<(), Problem> {
    let Actor::Person { user, session } = actor else {
        return Err(Problem::new(Code::Forbidden, "This is for people with a session, not for API keys."));
    };
    let mut tx = app.db.system(SystemTask::Factors).await?;
    let standing = store::standing(&mut tx, user, Some(session)).await?;
    tx.rollback().await?;
    let standing = standing.ok_or_else(crate::authentication::unauthenticated)?;
    if standing.is_fresh(step_up, app.clock.now()) {
        return Ok(());
    }
    let by = if standing.has_second_factor() { "your second factor" } else { "your password" };
    let mut detail =
        format!("Prove by {by} that it is you, with POST /api/sessions/current/proof, and send the request again.");
    if standing.is_of_tokens && !standing.has_second_factor() {
        detail.push_str(
            " The token is no proof of it. If you have no password here, have a link mailed that sets one: POST \
             /api/password-reset.",
        );
    }
    Err(Problem::new(Code::StepUpRequired, detail)
        .with("factors", json!(standing.spelled()))
        .with("proof_lasts_seconds", PROOF_LASTS.num_seconds()))
}

/// Whether an organization asks people of this role for a second factor; `of` is its setting.
pub(crate) fn is_required(of: Option<&str>, role: &str) -> bool {
    match of {
        Some("everybody") => true,
        Some("owners") => role == "owner",
        _ => false,
    }
}

/// Lets people with a second factor, used in this session and not longer ago than a session lives, into an organization that asks for one.
///
/// # Errors
/// [`Code::SecondFactorRequired`], which says what to do.
pub(crate) async fn at_the_door(tx: &mut SystemTx, identity: &Identity, now: Time) -> Result<(), Problem> {
    let Actor::Person { user, session } = identity.actor else { return Ok(()) };
    let standing =
        store::standing(tx, user, Some(session)).await?.ok_or_else(crate::authentication::unauthenticated)?;
    let detail = match (standing.has_second_factor(), standing.is_let_in(now)) {
        (true, true) => return Ok(()),
        (true, false) => {
            "Prove yourself by your second factor in this session: POST /api/sessions/current/proof, or sign in again."
        }
        (false, _) => {
            "The organization asks for a second factor, and you have none. Set up an authenticator app or a passkey on the \
             page /account; then it lets you in."
        }
    };
    let factors = if standing.has_second_factor() { standing.spelled() } else { vec![] };
    Err(Problem::new(Code::SecondFactorRequired, detail).with("factors", json!(factors)))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(seconds: i64) -> Time {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn standing(proved_at: i64, second_factor_at: Option<i64>, has_totp: bool, passkeys: i64) -> StandingRow {
        StandingRow {
            proved_at: Some(at(proved_at)),
            second_factor_at: second_factor_at.map(at),
            has_totp,
            passkeys,
            recovery_codes: 3,
            is_of_tokens: false,
        }
    }

    #[test]
    fn a_proof_lasts_ten_minutes_and_a_password_is_none_for_who_has_more() {
        use StepUp::{Always, SecondFactor};
        for (standing, step_up, now, is_fresh) in [
            (standing(0, None, false, 0), SecondFactor, 1_000_000, true),
            (standing(0, None, false, 0), Always, 599, true),
            (standing(0, None, false, 0), Always, 600, false),
            (standing(0, None, true, 0), SecondFactor, 0, false),
            (standing(0, None, true, 0), Always, 0, false),
            (standing(0, Some(0), true, 0), SecondFactor, 599, true),
            (standing(700, Some(0), true, 0), SecondFactor, 700, false),
            (standing(700, Some(0), false, 1), Always, 700, false),
            (standing(700, Some(700), false, 1), Always, 700, true),
        ] {
            assert_eq!(standing.is_fresh(step_up, at(now)), is_fresh, "{step_up:?} at {now}");
        }
    }

    #[test]
    fn the_door_is_open_for_as_long_as_a_session_lives_after_a_second_factor_and_not_after_a_password() {
        let lives = sessions::LIFETIME.num_seconds();
        assert!(!standing(0, None, true, 0).is_let_in(at(0)));
        assert!(standing(0, Some(0), true, 0).is_let_in(at(lives - 1)));
        assert!(!standing(lives, Some(0), true, 0).is_let_in(at(lives)));
    }

    #[test]
    fn a_recovery_code_proves_nothing_where_nothing_is_to_be_recovered() {
        assert_eq!(standing(0, None, false, 0).methods(), [Method::Password]);
        assert_eq!(standing(0, None, true, 0).methods(), [Method::Totp, Method::RecoveryCode]);
        assert_eq!(standing(0, None, true, 2).methods(), [Method::Passkey, Method::Totp, Method::RecoveryCode]);
    }

    #[test]
    fn the_setting_is_of_owners_or_of_everybody() {
        for (of, owner, viewer) in [
            (None, false, false),
            (Some("nobody"), false, false),
            (Some("owners"), true, false),
            (Some("everybody"), true, true),
        ] {
            assert_eq!((is_required(of, "owner"), is_required(of, "viewer")), (owner, viewer), "{of:?}");
        }
    }
}
