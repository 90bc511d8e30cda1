//! Whom of ours a person of an issuer is, and what is left of their tokens.

use kernel::{SessionId, Time};

use super::LinkId;

/// What proved that a person of an issuer is a person of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkedBy {
    /// Somebody with a session of ours presented the token.
    Session,
    /// The same e-mail, verified on both sides.
    Email,
    /// The account was made for them.
    SignUp,
}

impl LinkedBy {
    pub(crate) const ALL: [Self; 3] = [Self::Session, Self::Email, Self::SignUp];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Email => "email",
            Self::SignUp => "sign_up",
        }
    }
}

/// A link.
pub(crate) struct Linked {
    pub(crate) id: LinkId,
    pub(crate) issuer: String,
    pub(crate) label: String,
    pub(crate) linked_by: String,
    pub(crate) created_at: Time,
}

/// The session that a person's tokens stand for.
pub(crate) struct OpenSession {
    pub(crate) id: SessionId,
    pub(crate) last_seen_at: Time,
    pub(crate) token_issued_at: Option<Time>,
}

/// What a token of a linked person meets.
pub(crate) struct TokenState {
    pub(crate) open: Option<OpenSession>,
    /// When the person last signed out, of this session or of all, or when the youngest token was issued that they had used until
    /// then: an issuer's clock may be ahead of ours.
    pub(crate) signed_out_at: Option<Time>,
}
