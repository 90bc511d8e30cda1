//! Mail: written into the outbox in the transaction of the change that it tells of, and sent by a job.
//!
//! The recipient, the texts and the links in them are sealed in the row from the first moment, and the row is emptied when
//! the mail is sent or given up. Nothing of them is logged: what is told of a mail is its id, its kind, and a cause in our
//! own words.

pub mod jobs;
mod letter;
mod smtp;
mod store;

use chrono::Duration;
use db::{DbError, SystemTx, TenantTx};
use kernel::{Id, OrganizationId, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    App,
    retention::BATCH,
    vault::{Keyring, TokenSealer},
};

pub use letter::{Letter, Link};
pub use smtp::{Mailer, NotMailSettings, SmtpSettings};

/// How long a mail about nothing that runs out may wait for its mail server.
pub const NOTICE_LIVES: Duration = Duration::hours(48);

/// What the row holds, sealed.
#[derive(Serialize, Deserialize)]
struct Sealed {
    to: String,
    subject: String,
    text: String,
    html: String,
}

enum MailKind {}
type MailId = Id<MailKind>;

/// Writes a mail of the transaction's organization, to be sent once it commits. `lives` is how long it is worth sending.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn write(tx: &mut TenantTx, app: &App, to: &str, letter: &Letter, lives: Duration) -> Result<(), DbError> {
    let (id, now) = (MailId::new(&app.clock).uuid(), app.clock.now());
    let organization = tx.organization();
    let sealed = seal(&app.keyring, organization, id, to, letter, lives, now)?;
    store::insert(tx.conn(), organization, id, letter.kind, &sealed, now).await?;
    ::jobs::enqueue(tx, &app.clock, &jobs::SendMail { mail: id }).await?;
    Ok(())
}

/// The same where no organization acts: at sign-up, or for a person alone. The organization is the one whose queue carries it.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn write_as_system(
    tx: &mut SystemTx,
    app: &App,
    organization: OrganizationId,
    to: &str,
    letter: &Letter,
    lives: Duration,
) -> Result<(), DbError> {
    let (id, now) = (MailId::new(&app.clock).uuid(), app.clock.now());
    let sealed = seal(&app.keyring, organization, id, to, letter, lives, now)?;
    store::insert(tx.conn(), organization, id, letter.kind, &sealed, now).await?;
    ::jobs::enqueue_as_system(tx, &app.clock, organization, &jobs::SendMail { mail: id }).await
}

/// Removes what is kept about mails that were written before then, a batch of them. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut SystemTx, before: Time) -> Result<u64, DbError> {
    store::purge(tx, before, BATCH).await
}

/// Under a key of the installation and not of an organization: a mail may be to a person who is in none any more. It is
/// empty again within moments, and what was sealed opens only until it runs out.
fn sealer(keyring: &Keyring, lives: Duration) -> TokenSealer {
    TokenSealer::new(keyring, "mail outbox", lives)
}

fn seal(
    keyring: &Keyring,
    organization: OrganizationId,
    id: Uuid,
    to: &str,
    letter: &Letter,
    lives: Duration,
    now: Time,
) -> Result<Vec<u8>, DbError> {
    let (text, html) = letter.render();
    let plain = Sealed { to: to.to_owned(), subject: letter.subject.clone(), text, html };
    let plain = serde_json::to_vec(&plain).map(zeroize::Zeroizing::new);
    let plain = plain.map_err(|_| DbError::Other { code: "a mail that is no text".to_owned() })?;
    Ok(sealer(keyring, lives).seal_stored(
        &plain,
        &[("organization", organization.uuid().as_bytes()), ("mail", id.as_bytes())],
        now,
    ))
}

/// `Message-ID` (RFC 5322, section 3.6.4).
fn message_id(id: Uuid, domain: &str) -> String {
    format!("<{}@{domain}>", id.simple())
}
