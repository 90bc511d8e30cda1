//! Whether a master key can be one. Each rule refuses a random key less than once in a hundred million, and [`MasterKey::generate`]
//! draws again; what they catch are keys that a person typed, copied or left in place.
//!
//! [`MasterKey::generate`]: super::MasterKey::generate

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use super::{master_key::EXAMPLE_MASTER_KEY, primitives::KeyBytes};

/// Why a master key is refused, in the words of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    #[error("it is a published example that anyone can try")]
    Known,
    #[error("it is text and not random bytes")]
    Text,
    #[error("its bytes repeat or count up")]
    Pattern,
}

/// Of 32 random bytes about 30 differ; 16 or fewer happen less than once in 2^44.
const DISTINCT_MIN: usize = 17;

/// Eight letters or more: shorter ones occur in random base64 too often.
const WORDS: &[&str] =
    &["changeme", "change_me", "change-me", "password", "entrepot", "masterkey", "insecure", "topsecret"];

/// What people hash to get "a key", and the empty input.
const HASHED: &[&str] =
    &["", "changeme", "password", "secret", "admin", "test", "key", "master", "entrepot", "default"];

/// The AES-256 key of NIST SP 800-38A, appendix F, which circulates as an example, and the key of our own documentation.
const KNOWN: &[&str] = &["YD3rEBXKcb4rc67whX13gR81LAc7YQjXLZgQowkU3/Q=", EXAMPLE_MASTER_KEY];

/// `text` is the key as it was given, where it was given in base64: words survive there that the bytes no longer show.
pub(super) fn find(text: Option<&str>, key: &KeyBytes) -> Option<Weakness> {
    if is_known(key) {
        Some(Weakness::Known)
    } else if has_pattern(key) {
        Some(Weakness::Pattern)
    } else if key.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') || text.is_some_and(is_words) {
        Some(Weakness::Text)
    } else {
        None
    }
}

fn is_known(key: &KeyBytes) -> bool {
    HASHED.iter().any(|word| Sha256::digest(word).as_slice() == key.as_slice())
        || KNOWN.iter().any(|known| STANDARD.decode(known).is_ok_and(|bytes| bytes == key.as_slice()))
}

fn has_pattern(key: &KeyBytes) -> bool {
    let mut seen = [false; 256];
    key.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    let distinct = seen.iter().filter(|seen| **seen).count();
    let step = key[1].wrapping_sub(key[0]);
    distinct < DISTINCT_MIN || key.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step)
}

fn is_words(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
        || !text.contains(|c: char| c.is_ascii_uppercase())
        || !text.contains(|c: char| c.is_ascii_lowercase())
}
