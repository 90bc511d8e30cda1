//! Whose turn it is to renew a token, among all nodes. It stands in the database before the provider is asked, and is
//! lengthened while the call is under way, so that one that is not belongs to a node that is gone.

use std::{convert::Infallible, time::Duration};

use kernel::{CredentialId, TenantScope, Time};
use kit::{App, Code, Problem};

use super::{Version, store};

/// How long a node is waited for that says nothing more. A provider may take longer: the turn is lengthened meanwhile.
const LEASE: Duration = Duration::from_secs(5);
/// How often a provider is asked one after the other before it is given a rest.
const TRIES: i16 = 3;
/// The rest.
const REST: Duration = Duration::from_secs(30);

/// The turn to renew a token. One that is not given back ends by itself.
pub(super) struct Turn {
    credential: CredentialId,
    number: i64,
    tries: i16,
}

pub(super) enum Asked {
    Taken(Turn),
    /// Another node is renewing the token, or has done so.
    Busy,
    /// It failed a moment ago, here or on another node.
    TooEarly(Time, Problem),
}

impl Turn {
    /// The turn to renew this very token; when it has been renewed since it was read, whoever asks is [`Asked::Busy`] and
    /// reads again.
    ///
    /// # Errors
    /// When the database is gone.
    pub(super) async fn take(app: &App, scope: &TenantScope, token: Version) -> Result<Asked, Problem> {
        let (credential, now) = (token.id, app.clock.now());
        let mut tx = app.db.tenant(scope).await?;
        let taken = store::take_refresh_turn(&mut tx, token, now, now + LEASE).await?;
        let failed = if taken.is_some() { None } else { store::failed_refresh(&mut tx, credential, now).await? };
        tx.commit().await?;
        Ok(match (taken, failed) {
            (Some(taken), _) => {
                if taken.is_taken_over {
                    metrics::counter!("entrepot_token_refreshes_taken_over_total").increment(1);
                    tracing::warn!(
                        %credential,
                        "a node went away while it renewed this token: the provider is asked again with what is stored"
                    );
                }
                Asked::Taken(Self { credential, number: taken.number, tries: taken.tries })
            }
            (None, Some(failed)) => Asked::TooEarly(failed.retry_at, remembered(&failed.failure)),
            (None, None) => Asked::Busy,
        })
    }

    pub(super) fn credential(&self) -> CredentialId {
        self.credential
    }

    /// Lengthens the turn three times in its length, for ever. To be dropped when the provider has answered.
    pub(super) async fn keep(&self, app: &App, scope: &TenantScope) -> Infallible {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            match self.lengthen(app, scope, self.tries).await {
                Ok(true) => {}
                Ok(false) => {
                    // The call goes on: what comes of it is saved if nobody was quicker.
                    tracing::warn!(credential = %self.credential, "the turn to renew this token went to another node");
                    return std::future::pending().await;
                }
                Err(problem) => {
                    tracing::warn!(
                        credential = %self.credential, code = problem.code().as_str(),
                        "the turn to renew this token could not be lengthened"
                    );
                }
            }
        }
    }

    /// Counts another try of the same turn, to be asked for before each; false when there were enough of them, or the turn is
    /// another's.
    ///
    /// # Errors
    /// When the database is gone.
    pub(super) async fn try_again(&mut self, app: &App, scope: &TenantScope) -> Result<bool, Problem> {
        if self.tries >= TRIES || !self.lengthen(app, scope, self.tries + 1).await? {
            return Ok(false);
        }
        self.tries += 1;
        Ok(true)
    }

    async fn lengthen(&self, app: &App, scope: &TenantScope, tries: i16) -> Result<bool, Problem> {
        let until = app.clock.now() + LEASE;
        let mut tx = app.db.tenant(scope).await?;
        let kept = store::keep_refresh_turn(&mut tx, self.credential, self.number, tries, until).await?;
        tx.commit().await?;
        Ok(kept)
    }

    /// How long nobody is to ask after a failure for which the usual wait is this long.
    pub(super) fn rest(&self, usual: Duration) -> Duration {
        if self.tries >= TRIES { usual.max(REST) } else { usual }
    }

    /// Ends the turn: after a failure nobody has the next before that time, and is told this code meanwhile.
    ///
    /// # Errors
    /// When the database is gone.
    pub(super) async fn give_back(
        &self,
        app: &App,
        scope: &TenantScope,
        failed: Option<(Time, Code)>,
    ) -> Result<(), Problem> {
        let failed = failed.map(|(retry_at, code)| (retry_at, code.as_str()));
        let mut tx = app.db.tenant(scope).await?;
        store::release_refresh_turn(&mut tx, self.credential, self.number, failed).await?;
        Ok(tx.commit().await?)
    }
}

/// The problem that another node had.
fn remembered(failure: &str) -> Problem {
    let code = Code::ALL.iter().copied().find(|code| code.as_str() == failure).unwrap_or(Code::StoreUnavailable);
    Problem::new(
        code,
        "The shop's platform did not renew our access a moment ago. Come back after the time in Retry-After.",
    )
}
