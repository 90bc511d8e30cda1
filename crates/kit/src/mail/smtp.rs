//! Handing a mail to the operator's mail server (RFC 5321).

use std::{sync::Arc, time::Duration};

use kernel::{Clock, Secret};
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart, header::HeaderName, header::HeaderValue},
    transport::smtp,
};
use url::{Host, Url};
use uuid::Uuid;

use super::{Sealed, message_id};

/// How long a mail server may take for one step.
const STEP: Duration = Duration::from_secs(20);

/// Which mail server sends, and as whom.
#[derive(Clone)]
pub struct SmtpSettings {
    /// `smtps://user:password@host:465`, or `smtp://user:password@host:587?tls=required` for STARTTLS. Without TLS only on
    /// loopback.
    pub url: Secret,
    /// `Entrepot <no-reply@example.com>`, or the address alone.
    pub from: String,
}

/// The settings cannot be used. Without the values: the address of a mail server holds its password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotMailSettings {
    #[error(
        "ENTREPOT_SMTP_URL is not the address of a mail server: smtps://user:password@host:465, or \
         smtp://user:password@host:587?tls=required"
    )]
    Url,
    #[error(
        "ENTREPOT_SMTP_URL sends without TLS: everybody on the way could read the links in the mails. Use smtps://, or add \
         ?tls=required"
    )]
    Plain,
    #[error("ENTREPOT_MAIL_FROM is not an address such as Entrepot <no-reply@example.com>")]
    From,
}

/// Sends mail, if it was told where to. Cheap to clone.
#[derive(Clone)]
pub struct Mailer(Option<Arc<Server>>);

struct Server {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Why a mail was not taken.
pub(super) enum Refusal {
    /// It may be taken later.
    Later(&'static str),
    /// It will never be taken.
    Never(&'static str),
}

impl Mailer {
    /// # Errors
    /// [`NotMailSettings`].
    pub fn new(settings: Option<&SmtpSettings>) -> Result<Self, NotMailSettings> {
        let Some(settings) = settings else { return Ok(Self(None)) };
        let url = Url::parse(settings.url.expose()).map_err(|_| NotMailSettings::Url)?;
        let is_tls = match url.scheme() {
            "smtps" => true,
            "smtp" => url.query_pairs().any(|(name, value)| name == "tls" && value == "required"),
            _ => return Err(NotMailSettings::Url),
        };
        if !is_tls && !is_loopback(&url) {
            return Err(NotMailSettings::Plain);
        }
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(settings.url.expose())
            .map_err(|_| NotMailSettings::Url)?
            .timeout(Some(STEP))
            .build();
        let from: Mailbox = settings.from.parse().map_err(|_| NotMailSettings::From)?;
        Ok(Self(Some(Arc::new(Server { transport, from }))))
    }

    /// Whether there is a mail server. Without one mails wait in the outbox.
    pub fn is_configured(&self) -> bool {
        self.0.is_some()
    }

    /// None without a mail server.
    pub(super) async fn send(&self, id: Uuid, mail: Sealed, clock: &Clock) -> Option<Result<(), Refusal>> {
        let server = self.0.as_ref()?;
        let message = match server.message(id, mail, clock) {
            Some(message) => message,
            None => return Some(Err(Refusal::Never("the address is not one that mail can be sent to"))),
        };
        Some(server.transport.send(message).await.map(drop).map_err(|error| refusal(&error)))
    }
}

impl Server {
    fn message(&self, id: Uuid, mail: Sealed, clock: &Clock) -> Option<Message> {
        let to: Address = mail.to.parse().ok()?;
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject)
            .date(clock.now().into())
            // The same at each attempt, so that a mail that arrived twice is seen to be one.
            .message_id(Some(message_id(id, self.from.email.domain())))
            // Nobody's absence notice answers (RFC 3834).
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(mail.text, mail.html))
            .ok()
    }
}

fn is_loopback(url: &Url) -> bool {
    // `smtp` is no special scheme to the parser, so an address is a name like any other.
    let host = url.host().map(|host| host.to_string()).unwrap_or_default();
    match Host::parse(&host) {
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.is_loopback(),
        Ok(Host::Domain(name)) => name == "localhost",
        Err(_) => false,
    }
}

/// The server's own words may repeat the recipient: they go nowhere.
fn refusal(error: &smtp::Error) -> Refusal {
    let status = error.status().map(u16::from);
    match status {
        // RFC 4954: what is refused is our login, which an operator can put right.
        Some(454 | 530 | 534 | 535 | 538) => Refusal::Later("the mail server refuses our login"),
        Some(code) if code >= 500 => Refusal::Never("the mail server refuses the recipient or the mail"),
        Some(_) => Refusal::Later("the mail server asks to come back later"),
        // Such as an address in another script, for a server that does not know RFC 6531.
        None if error.is_client() => Refusal::Never("the mail server cannot take this address"),
        None if error.is_timeout() => Refusal::Later("the mail server did not answer in time"),
        None => Refusal::Later("the mail server cannot be reached"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(url: &str, from: &str) -> Result<Mailer, NotMailSettings> {
        Mailer::new(Some(&SmtpSettings { url: Secret::new(url), from: from.to_owned() }))
    }

    #[tokio::test]
    async fn mail_leaves_through_tls_or_stays_on_this_machine() {
        let from = "Entrepot <no-reply@entrepot.example>";
        for good in [
            "smtps://user:pass@mail.example:465",
            "smtp://user:pass@mail.example:587?tls=required",
            "smtp://127.0.0.1:2525",
            "smtp://localhost:2525",
            "smtp://[::1]:2525",
        ] {
            assert!(with(good, from).is_ok_and(|mailer| mailer.is_configured()), "{good}");
        }
        for plain in
            ["smtp://mail.example", "smtp://mail.example:587?tls=opportunistic", "smtp://127.0.0.1.mail.example:25"]
        {
            assert_eq!(with(plain, from).err(), Some(NotMailSettings::Plain), "{plain}");
        }
        for bad in ["", "mail.example", "https://mail.example"] {
            assert_eq!(with(bad, from).err(), Some(NotMailSettings::Url), "{bad}");
        }
        assert_eq!(with("smtps://mail.example", "nobody").err(), Some(NotMailSettings::From));
        assert!(!Mailer::new(None).is_ok_and(|mailer| mailer.is_configured()));
    }
}
