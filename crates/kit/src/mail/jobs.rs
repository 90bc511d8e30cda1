//! Sending what waits in the outbox.

use std::time::Duration;

use ::jobs::{Done, Failure, Job, Retry, Run};
use kernel::{Action, Resource};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{Mailer, Sealed, sealer, smtp::Refusal, store};
use crate::{
    App,
    trail::{self, Event},
    vault::TokenError,
};

/// How soon it is looked again whether there is a mail server.
const LOOK_AGAIN: chrono::Duration = chrono::Duration::minutes(1);

/// Sends one mail. It may arrive twice when a node ends between sending and writing it down; both have the same
/// `Message-ID`.
#[derive(Serialize, Deserialize)]
pub struct SendMail {
    pub mail: Uuid,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Job for SendMail {
    const NAME: &'static str = "send_mail";
    const PERMISSIONS: &'static [(Resource, Action)] = &[];
    // People wait for these. Links run out after an hour, a day, a week.
    const RETRY: Retry = Retry::after(&[
        seconds(5),
        seconds(15),
        seconds(60),
        seconds(180),
        seconds(600),
        seconds(1_800),
        seconds(7_200),
        seconds(21_600),
    ]);
    const TIMEOUT: Duration = Duration::from_mins(2);
    type Context = App;

    async fn run(self, app: App, run: Run) -> Result<Done, Failure> {
        let mut tx = app.db.tenant(&run.scope).await?;
        let row = store::find_waiting(&mut tx, self.mail).await?;
        let Some((kind, sealed)) = row.and_then(|row| Some((row.kind, row.sealed?))) else {
            return run.complete(tx).await;
        };
        // No transaction is open while the mail server is talked to.
        tx.rollback().await?;
        let organization = run.scope.organization().uuid();
        let bound = [("organization", &organization.as_bytes()[..]), ("mail", self.mail.as_bytes())];
        let opened = sealer(&app.keyring, super::NOTICE_LIVES).open_stored(&sealed, &bound, app.clock.now());
        let mail = match opened.map(|opened| serde_json::from_slice::<Sealed>(&opened)) {
            Ok(Ok(mail)) => mail,
            Err(TokenError::Expired) => {
                return self.give_up(&app, run, &kind, "it waited until it was out of date").await;
            }
            Err(TokenError::Foreign) | Ok(Err(_)) => {
                return self.give_up(&app, run, &kind, "it does not open under the key of this installation").await;
            }
        };
        let Some(sent) = app.slice::<Mailer>().send(self.mail, mail, &app.clock).await else {
            let cause = "no mail server is configured: set ENTREPOT_SMTP_URL and ENTREPOT_MAIL_FROM".into();
            return Err(Failure::Throttled { until: app.clock.now() + LOOK_AGAIN, cause });
        };
        match sent {
            Ok(()) => {
                let mut tx = app.db.tenant(&run.scope).await?;
                store::settle(&mut tx, self.mail, "sent", None, app.clock.now()).await?;
                run.complete(tx).await
            }
            Err(Refusal::Later(cause)) if !run.last_attempt => Err(Failure::Transient(cause.into())),
            Err(Refusal::Later(cause) | Refusal::Never(cause)) => self.give_up(&app, run, &kind, cause).await,
        }
    }
}

impl SendMail {
    /// The dead end: people see it in the activity log of the organization, the operator in the program's.
    async fn give_up(&self, app: &App, run: Run, kind: &str, cause: &'static str) -> Result<Done, Failure> {
        tracing::error!(mail = %self.mail, kind, cause, "a mail was not sent and is given up");
        let mut tx = app.db.tenant(&run.scope).await?;
        store::settle(&mut tx, self.mail, "failed", Some(cause), app.clock.now()).await?;
        let event = Event::warning("mail.failed", format!("A mail could not be sent: {cause}."));
        trail::event(&mut tx, &app.clock, event.with(json!({ "mail_id": self.mail, "kind": kind }))).await?;
        run.complete(tx).await
    }
}
