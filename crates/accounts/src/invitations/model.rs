//! The forms of an invitation: its token, its address at rest.

use chrono::Duration;
use hmac::{Hmac, KeyInit, Mac};
use kernel::{InvitationId, OrganizationId, Role, Secret, Time, UserId, random};
use kit::vault::{Keyring, TokenSealer};
use sha2::Sha256;

use crate::sessions::model::hash;

/// What people see in front of a token, so that secret scanners know it.
const TOKEN_PREFIX: &str = "entrepot_invitation_";
/// How long an invitation can be accepted, counted from when it was last sent.
pub(super) const LIVES: Duration = Duration::days(7);
/// The address is sealed for longer than it is needed; it is removed when the invitation is over.
const SEALED_FOR: Duration = Duration::days(60);

/// How it is with an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Pending,
    Accepted,
    Revoked,
    Expired,
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }

    pub fn of(accepted_at: Option<Time>, revoked_at: Option<Time>, expires_at: Time, now: Time) -> Self {
        match (accepted_at, revoked_at) {
            (Some(_), _) => Self::Accepted,
            (None, Some(_)) => Self::Revoked,
            (None, None) if expires_at <= now => Self::Expired,
            (None, None) => Self::Pending,
        }
    }
}

/// Who is invited, and as what.
pub struct NewInvitation {
    /// Lower case.
    pub email: String,
    pub role: Role,
}

/// What is written of a new invitation.
pub(super) struct Draft {
    pub(super) id: InvitationId,
    pub(super) role: Role,
    pub(super) email_digest: [u8; 32],
    pub(super) sealed_email: Vec<u8>,
    pub(super) token_hash: Vec<u8>,
    pub(super) invited_by: UserId,
}

/// A new token and the hash to keep of it. It names its organization, so that it is looked for there and nowhere else.
pub(crate) fn new_token(organization: OrganizationId) -> (Secret, Vec<u8>) {
    let token = Secret::new(format!("{TOKEN_PREFIX}{}{}", organization.uuid().simple(), random::base62(43)));
    let hash = hash(token.expose());
    (token, hash)
}

/// The organization of a token and the hash to look for.
pub(crate) fn read_token(token: &Secret) -> Option<(OrganizationId, Vec<u8>)> {
    let rest = token.expose().strip_prefix(TOKEN_PREFIX)?;
    let organization = rest.get(..32)?.parse().ok()?;
    (rest.len() == 32 + 43).then(|| (organization, hash(token.expose())))
}

/// Keyed, and of one organization, so that an address can be recognised there and guessed nowhere.
pub(super) fn email_digest(keyring: &Keyring, organization: OrganizationId, email: &str) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&*keyring.derive("invited addresses"))
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(organization.uuid().as_bytes());
    mac.update(email.as_bytes());
    mac.finalize().into_bytes().into()
}

fn sealer(keyring: &Keyring) -> TokenSealer {
    TokenSealer::new(keyring, "invited address", SEALED_FOR)
}

pub(super) fn seal(
    keyring: &Keyring,
    organization: OrganizationId,
    id: InvitationId,
    email: &str,
    now: Time,
) -> Vec<u8> {
    let bound = [("organization", organization.uuid()), ("invitation", id.uuid())];
    let bound = [(bound[0].0, &bound[0].1.as_bytes()[..]), (bound[1].0, &bound[1].1.as_bytes()[..])];
    sealer(keyring).seal_stored(email.as_bytes(), &bound, now)
}

/// None when it does not open, or does no longer.
pub(super) fn open(
    keyring: &Keyring,
    organization: OrganizationId,
    id: InvitationId,
    sealed: &[u8],
    now: Time,
) -> Option<String> {
    let bound = [("organization", organization.uuid()), ("invitation", id.uuid())];
    let bound = [(bound[0].0, &bound[0].1.as_bytes()[..]), (bound[1].0, &bound[1].1.as_bytes()[..])];
    let opened = sealer(keyring).open_stored(sealed, &bound, now).ok()?;
    std::str::from_utf8(&opened).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_organization_and_nothing_else_is_one() {
        let organization = OrganizationId::new(&kernel::Clock::system());
        let (token, hash) = new_token(organization);
        assert_eq!(read_token(&token), Some((organization, hash)));
        for other in
            ["", "entrepot_invitation_", "entrepot_invitation_é", &token.expose()[1..], &format!("{}x", token.expose())]
        {
            assert_eq!(read_token(&Secret::new(other)), None, "{other}");
        }
    }
}
