//! Whoever changes what somebody proves themself by is written down in each of the person's organizations, and the person gets
//! a mail: if it was not them, they learn of it.

use db::SystemTx;
use kernel::{Actor, OrganizationId, UserId};
use kit::{
    App, Problem, mail,
    trail::{self, Change, Event},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{letters, sessions};

pub(crate) enum Notice {
    TotpAdded,
    TotpReplaced,
    TotpRemoved,
    PasskeyAdded(Uuid),
    PasskeyRemoved(Uuid),
    PasskeyCopied(Uuid),
    RecoveryCodesMade,
    RecoveryCodeUsed {
        left: i64,
    },
    PasswordChanged,
    /// What opened the account beside its password is gone, since nobody had shown that it was of whoever reads its mail.
    GivenOver {
        had_factors: bool,
        had_links: bool,
    },
}

impl Notice {
    /// Action of the audit trail, type of the event, sentence of the event, and what is known besides.
    fn written(&self) -> (&'static str, &'static str, &'static str, Value) {
        let (action, event, sentence) = match self {
            Self::TotpAdded => ("factor.add", "member.factor_added", "A member set up an authenticator app."),
            Self::TotpReplaced => {
                ("factor.replace", "member.factor_added", "A member replaced their authenticator app.")
            }
            Self::TotpRemoved => {
                ("factor.remove", "member.factor_removed", "A member removed their authenticator app.")
            }
            Self::PasskeyAdded(_) => ("factor.add", "member.factor_added", "A member added a passkey."),
            Self::PasskeyRemoved(_) => ("factor.remove", "member.factor_removed", "A member removed a passkey."),
            Self::PasskeyCopied(_) => (
                "factor.copied",
                "member.passkey_copied",
                "A member's passkey has counted fewer signatures than before, as a copy does. It was refused.",
            ),
            Self::RecoveryCodesMade => {
                ("factor.recovery_codes", "member.recovery_codes_made", "A member made new recovery codes.")
            }
            Self::RecoveryCodeUsed { .. } => {
                ("factor.recover", "member.recovery_code_used", "A member used a recovery code.")
            }
            Self::PasswordChanged => ("password.change", "member.password_changed", "A member changed their password."),
            Self::GivenOver { .. } => (
                "account.give_over",
                "member.account_given_over",
                "A member's account was given over to whoever reads its mail: its second factors and linked ways in are gone.",
            ),
        };
        let known = match self {
            Self::PasskeyAdded(id) | Self::PasskeyRemoved(id) | Self::PasskeyCopied(id) => {
                json!({ "kind": "passkey", "passkey_id": id })
            }
            Self::TotpAdded | Self::TotpReplaced | Self::TotpRemoved => json!({ "kind": "totp" }),
            Self::RecoveryCodeUsed { left } => json!({ "kind": "recovery_code", "left": left }),
            Self::RecoveryCodesMade => json!({ "kind": "recovery_code" }),
            Self::PasswordChanged => json!({ "kind": "password" }),
            Self::GivenOver { had_factors, had_links } => {
                json!({ "factors_removed": had_factors, "identities_unlinked": had_links })
            }
        };
        (action, event, sentence, known)
    }

    /// Subject of the mail, what happened, and what else to know.
    fn told(&self) -> (&'static str, String) {
        match self {
            Self::TotpAdded => (
                "An authenticator app was set up for Entrepot",
                "an authenticator app was set up for your account. Signing in asks for its code from now on.".to_owned(),
            ),
            Self::TotpReplaced => (
                "Your authenticator app for Entrepot was replaced",
                "your authenticator app was replaced by another. The codes of the one before work no longer, and you were \
                 signed out everywhere else."
                    .to_owned(),
            ),
            Self::TotpRemoved => (
                "Your authenticator app for Entrepot was removed",
                "your authenticator app was removed from your account. You were signed out everywhere else.".to_owned(),
            ),
            Self::PasskeyAdded(_) => (
                "A passkey was added to your account of Entrepot",
                "a passkey was added to your account. Whoever has it can sign in with it.".to_owned(),
            ),
            Self::PasskeyRemoved(_) => (
                "A passkey of your account of Entrepot was removed",
                "a passkey was removed from your account. You were signed out everywhere else.".to_owned(),
            ),
            Self::PasskeyCopied(_) => (
                "A passkey of your account of Entrepot may have been copied",
                "somebody tried to sign in with one of your passkeys, and it had counted fewer signatures than before, as a \
                 copy would. They were refused. Remove the passkey on your account page and make another."
                    .to_owned(),
            ),
            Self::RecoveryCodesMade => (
                "You have new recovery codes for Entrepot",
                "new recovery codes were made for your account. Those from before work no longer.".to_owned(),
            ),
            Self::RecoveryCodeUsed { left } => (
                "A recovery code of your account of Entrepot was used",
                format!(
                    "a recovery code of your account was used. {left} are left; you can make new ones on your account page."
                ),
            ),
            Self::PasswordChanged => (
                "Your password for Entrepot was changed",
                "your password was changed by somebody who was signed in. You were signed out everywhere else.".to_owned(),
            ),
            Self::GivenOver { .. } => (
                "Other ways into your account of Entrepot were removed",
                "you set a new password, and it was the first time that somebody showed that they read the mail of this address. \
                 Whoever used the account before may have been somebody else, so the second factors and the sign-ins of other \
                 issuers that it had were removed. Set up your own on your account page, and look through the members and API keys \
                 of your organization."
                    .to_owned(),
            ),
        }
    }

    fn is_routine(&self) -> bool {
        matches!(self, Self::TotpAdded | Self::PasskeyAdded(_) | Self::RecoveryCodesMade)
    }
}

/// Writes it down where the person has a seat, and mails it to them.
pub(crate) async fn tell(
    tx: &mut SystemTx,
    app: &App,
    user: UserId,
    actor: Actor,
    notice: &Notice,
) -> Result<(), Problem> {
    let (action, event_type, sentence, known) = notice.written();
    for membership in sessions::store::memberships(tx, user).await? {
        let change = Change {
            action,
            resource: "user",
            resource_id: Some(user.uuid()),
            before: None,
            after: Some(known.clone()),
        };
        let event = match notice.is_routine() {
            true => Event::info(event_type, sentence),
            false => Event::warning(event_type, sentence),
        };
        let event = event.with(json!({ "user_id": user }));
        trail::joined(tx, &app.clock, membership.organization_id, actor, change, event).await?;
    }
    let profile = sessions::store::profile(tx, user).await?;
    if let Some(home) = profile.home.map(OrganizationId::from) {
        let (subject, what) = notice.told();
        let letter = letters::factor_changed(app, &profile.name, subject, what);
        mail::write_as_system(tx, app, home, &profile.email, &letter, mail::NOTICE_LIVES).await?;
    }
    Ok(())
}
