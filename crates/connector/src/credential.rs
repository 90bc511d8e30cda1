//! The secret material of a connection, in the forms that providers give it.

use kernel::{Secret, Time};

/// What a connection authenticates with. It is stored only sealed (`kit::vault`).
#[derive(Clone)]
pub enum Credential {
    Keys(KeyPair),
    Token(Token),
}

/// A key and its secret, made by the shop's owner (WooCommerce's `ck_…` and `cs_…`).
#[derive(Clone)]
pub struct KeyPair {
    pub key: Secret,
    pub secret: Secret,
}

/// An OAuth 2 token.
#[derive(Clone)]
pub struct Token {
    pub access: Secret,
    /// None: the token cannot be refreshed.
    pub refresh: Option<Secret>,
    /// None: it does not expire, or the provider did not say; re-validate, never treat as expired.
    pub expires_at: Option<Time>,
    pub refresh_expires_at: Option<Time>,
    pub scopes: Vec<String>,
}

/// Our own identity at a provider: an app's client id and secret, set by the operator.
#[derive(Clone)]
pub struct AppCredentials {
    pub client_id: String,
    pub client_secret: Secret,
    /// Accepted beside the current one while the secret is being rotated.
    pub previous_secret: Option<Secret>,
}
