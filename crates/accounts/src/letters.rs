//! The words of every mail about accounts.

use kernel::{Role, Secret, Time};
use kit::{
    App,
    mail::{Letter, Link},
};

use crate::plans::jobs::TellOfLimit;

/// The page that links lead to. What they prove stands behind `#`, which browsers send to nobody: not to us with the
/// address, and not to others as where somebody came from.
fn link(app: &App, label: &'static str, what: &str, token: &Secret) -> Option<Link> {
    let mut url = app.config.public_url.clone();
    url.set_path("/link");
    url.set_fragment(Some(&format!("{what}={}", token.expose())));
    Some(Link { label, url: Secret::new(url) })
}

pub(crate) fn verification(app: &App, name: &str, token: &Secret) -> Letter {
    Letter {
        kind: "email_verification",
        subject: "Confirm your e-mail for Entrepot".to_owned(),
        paragraphs: vec![
            format!("Hello {name},"),
            "confirm that this is your e-mail, so that you can invite others and get back in should you lose your password."
                .to_owned(),
        ],
        link: link(app, "Confirm this e-mail", "verify", token),
        closing: "The link works once, for 24 hours. If you did not sign up for Entrepot, you need not do anything."
            .to_owned(),
    }
}

pub(crate) fn password_reset(app: &App, name: &str, token: &Secret) -> Letter {
    Letter {
        kind: "password_reset",
        subject: "Choose a new password for Entrepot".to_owned(),
        paragraphs: vec![
            format!("Hello {name},"),
            "somebody asked for a new password for your account. If it was you, choose one.".to_owned(),
        ],
        link: link(app, "Choose a new password", "reset", token),
        closing:
            "The link works once, for an hour. If it was not you, you need not do anything: your password stays as it \
                  is."
            .to_owned(),
    }
}

pub(crate) fn signed_up_again(app: &App, name: &str) -> Letter {
    Letter {
        kind: "signed_up_again",
        subject: "You have an account at Entrepot already".to_owned(),
        paragraphs: vec![
            format!("Hello {name},"),
            "somebody signed up with this e-mail, which has an account: yours. Nothing was made and nothing was changed.".to_owned(),
            "If it was you, sign in, or ask for a new password where you sign in.".to_owned(),
        ],
        link: Some(Link { label: "Open Entrepot", url: Secret::new(app.config.public_url.clone()) }),
        closing: "If it was not you, you need not do anything.".to_owned(),
    }
}

pub(crate) fn password_changed(name: &str) -> Letter {
    Letter {
        kind: "password_changed",
        subject: "Your password for Entrepot was changed".to_owned(),
        paragraphs: vec![
            format!("Hello {name},"),
            "your password was changed with a link from a mail to this address. You were signed out everywhere; sign in with \
             the new password. API keys go on as before."
                .to_owned(),
        ],
        link: None,
        closing: "If it was not you, somebody else reads your mail: secure your mailbox first, then ask for a new password."
            .to_owned(),
    }
}

pub(crate) fn factor_changed(app: &App, name: &str, subject: &str, what: String) -> Letter {
    let mut account = app.config.public_url.clone();
    account.set_path("/account");
    Letter {
        kind: "factor_changed",
        subject: subject.to_owned(),
        paragraphs: vec![format!("Hello {name},"), what],
        link: Some(Link { label: "Open your account", url: Secret::new(account) }),
        closing:
            "If it was not you, choose a new password first, then look through your factors and sessions on that page."
                .to_owned(),
    }
}

pub(crate) fn invitation(app: &App, organization: &str, inviter: &str, role: Role, token: &Secret) -> Letter {
    let role = role.as_str().replace('_', " ");
    Letter {
        kind: "invitation",
        subject: format!("{inviter} invites you to {organization} on Entrepot"),
        paragraphs: vec!["Hello,".to_owned(), format!("{inviter} invites you to work in {organization} as {role}.")],
        link: link(app, "Look at the invitation", "invitation", token),
        closing: "The link works once, for seven days. If you do not know them, you need not do anything.".to_owned(),
    }
}

pub(crate) fn key_suspended(app: &App, name: &str, organization: &str, key: &str, what: &str) -> Letter {
    Letter {
        kind: "api_key_suspended",
        subject: format!("An API key of {organization} was suspended"),
        paragraphs: vec![
            format!("Hello {name},"),
            format!("the API key \"{key}\" of {organization} no longer works. {what}"),
            "If that was your program, clear the key under API keys within 24 hours, and it works on. If not, leave it: it is \
             revoked after 24 hours. Whoever has it has read what it could read, which the access log shows."
                .to_owned(),
        ],
        link: Some(Link { label: "Open Entrepot", url: Secret::new(app.config.public_url.clone()) }),
        closing: "You are told because you made the key, or because you own the organization.".to_owned(),
    }
}

pub(crate) fn identity_linked(app: &App, name: &str, issuer: &str) -> Letter {
    Letter {
        kind: "identity_linked",
        subject: format!("{issuer} now opens your Entrepot account"),
        paragraphs: vec![
            format!("Hello {name},"),
            format!("from now on whoever signs in as you at {issuer} can use Entrepot as you, with the tokens that they get there."),
        ],
        link: home(app),
        closing: "If it was not you, unlink it (DELETE /api/identities/{id}), then choose a new password, which ends all sessions."
            .to_owned(),
    }
}

fn home(app: &App) -> Option<Link> {
    Some(Link { label: "Open Entrepot", url: Secret::new(app.config.public_url.clone()) })
}

const AS_OWNER: &str = "You are told because you own the organization.";

const STAYS: &str = "What exceeds the free plan stays readable and is paused, the newest first: connections do no work in the \
                     background, and members can read and not change. Nothing is deleted, and all of it goes on by itself with a \
                     larger plan.";

pub(crate) fn trial_ending(app: &App, name: &str, organization: &str, ends_at: Time) -> Letter {
    Letter {
        kind: "trial_ending",
        subject: format!("The trial of {organization} ends soon"),
        paragraphs: vec![
            format!("Hello {name},"),
            format!(
                "the trial of the professional plan of {organization} ends on {}. The plan is free then.",
                ends_at.format("%-d %B %Y at %H:%M UTC")
            ),
            STAYS.to_owned(),
        ],
        link: home(app),
        closing: AS_OWNER.to_owned(),
    }
}

pub(crate) fn plan_ended(app: &App, name: &str, organization: &str, was_trial: bool) -> Letter {
    let what = if was_trial { "trial" } else { "plan" };
    Letter {
        kind: if was_trial { "trial_ended" } else { "plan_ended" },
        subject: format!("The {what} of {organization} has ended"),
        paragraphs: vec![
            format!("Hello {name},"),
            format!("the {what} of {organization} has ended. The plan is free from now on."),
            STAYS.to_owned(),
        ],
        link: home(app),
        closing: AS_OWNER.to_owned(),
    }
}

pub(crate) fn limit(app: &App, name: &str, organization: &str, told: &TellOfLimit) -> Letter {
    let (limit, allowed) = (told.limit.label(), told.allowed);
    let (subject, what) = match told.is_reached {
        true => (
            format!("{organization} has used up its {limit}"),
            format!(
                "the {allowed} {limit} of {organization} are used up. Further ones are refused until midnight, UTC, or until the \
                 plan allows more."
            ),
        ),
        false => (
            format!("{organization} has used 80 % of its {limit}"),
            format!(
                "80 % of the {allowed} {limit} of {organization} are used. Those beyond the limit are refused until midnight, UTC."
            ),
        ),
    };
    Letter {
        kind: if told.is_reached { "limit_reached" } else { "limit_near" },
        subject,
        paragraphs: vec![format!("Hello {name},"), what],
        link: home(app),
        closing: AS_OWNER.to_owned(),
    }
}
