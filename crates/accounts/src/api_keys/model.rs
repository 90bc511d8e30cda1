//! The text of a key: the installation's prefix (`api_shopcall_`) + 8 characters to find it by, 18 of secret (107 bits), 6 of checksum.
//!
//! The checksum lets secret scanners, and our own door, tell a key from noise without asking a database.

use kernel::{
    PermissionSet, Secret, Time,
    permission::{Action, Resource},
    random,
};
use kit::{ApiKeyPrefix, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

const LOOKUP: usize = 8;
const SECRET: usize = 18;
const CHECKSUM: usize = 6;

/// bcrypt's cost (seed document 002): 200 ms of one core.
const COST: u32 = 12;

pub struct KeyText {
    pub full: Secret,
    pub lookup: String,
}

/// A new key.
pub(super) fn generate(prefix: &ApiKeyPrefix) -> KeyText {
    let lookup = random::base62(LOOKUP);
    let body = format!("{}{lookup}{}", prefix.as_str(), random::base62(SECRET));
    KeyText { full: Secret::new(format!("{body}{}", checksum(&body))), lookup }
}

/// What is kept of a key. Takes as long as bcrypt takes; for [`crate::hashing`].
pub(super) fn hash(key: &Secret) -> Result<String, Problem> {
    bcrypt::non_truncating_hash(key.expose(), COST).map_err(|error| Problem::internal(&error))
}

/// Takes as long as bcrypt takes; for [`crate::hashing`].
pub(super) fn matches(key: &Secret, hash: &str) -> bool {
    bcrypt::non_truncating_verify(key.expose(), hash).unwrap_or(false)
}

/// The lookup part of a well-formed key. None for anything else, found out without a database.
pub fn parse<'a>(prefix: &ApiKeyPrefix, text: &'a str) -> Option<&'a str> {
    let rest = text.strip_prefix(prefix.as_str())?;
    if rest.len() != LOOKUP + SECRET + CHECKSUM || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let (body, given) = text.split_at(text.len() - CHECKSUM);
    (checksum_bytes(body) == given.as_bytes()).then(|| &rest[..LOOKUP])
}

fn checksum(body: &str) -> String {
    checksum_bytes(body).iter().copied().map(char::from).collect()
}

/// CRC-32 (IEEE) in base62: six digits hold it whole. No secret: it finds typing errors, not forgeries.
fn checksum_bytes(body: &str) -> [u8; CHECKSUM] {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut out = [b'0'; CHECKSUM];
    for digit in out.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    out
}

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyPermissions {
    /// Live customers, orders and products, and the list of stores.
    pub webshop_data: bool,
}

impl Default for KeyPermissions {
    fn default() -> Self {
        Self { webshop_data: true }
    }
}

impl KeyPermissions {
    /// The most that a key with these may do.
    pub const fn scopes(self) -> PermissionSet {
        if !self.webshop_data {
            return PermissionSet::EMPTY;
        }
        PermissionSet::of(&[
            (Resource::Customers, Action::Read),
            (Resource::Orders, Action::Read),
            (Resource::Products, Action::Read),
            (Resource::Connections, Action::Read),
        ])
    }
}

pub struct NewKey {
    pub name: String,
    pub expires_at: Time,
    pub permissions: KeyPermissions,
    pub stores: Option<Vec<Uuid>>,
    pub allowed_origins: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_found_by_its_lookup_and_matches_its_hash() {
        let prefix: ApiKeyPrefix = "shop_live_".parse().unwrap();
        let text = generate(&prefix);
        let hash = hash(&text.full).unwrap();
        assert_eq!(text.full.expose().len(), prefix.as_str().len() + 32);
        assert_eq!(parse(&prefix, text.full.expose()), Some(text.lookup.as_str()));
        assert_eq!(parse(&ApiKeyPrefix::default(), text.full.expose()), None, "a key of another prefix");
        assert!(hash.starts_with("$2b$12$"), "bcrypt, cost 12");
        assert!(matches(&text.full, &hash));
        let other = generate(&prefix);
        assert!(!matches(&other.full, &hash));
    }

    proptest! {
        #[test]
        fn garbage_is_refused_by_the_checksum(text in ".{0,80}") {
            prop_assert_eq!(parse(&ApiKeyPrefix::default(), &text), None);
        }

        #[test]
        fn one_changed_letter_is_refused(at in 0usize..32, letter in "[0-9A-Za-z]") {
            let prefix = ApiKeyPrefix::default();
            let body = format!("{}aB3dE6gHsecretsecretsecret", prefix.as_str());
            let key = format!("{body}{}", checksum(&body));
            prop_assert_eq!(parse(&prefix, &key), Some("aB3dE6gH"));
            let mut changed = key.clone().into_bytes();
            changed[prefix.as_str().len() + at] = letter.as_bytes()[0];
            let changed = String::from_utf8(changed).unwrap();
            prop_assume!(changed != key);
            prop_assert_eq!(parse(&prefix, &changed), None);
        }
    }
}
