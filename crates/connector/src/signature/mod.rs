//! Proofs: what we sign for providers and what they sign for us.

pub mod oauth1;
pub mod query;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use kernel::Secret;
use sha2::Sha256;

/// HMAC-SHA256 (RFC 2104) with the bytes of `secret` as they are.
fn hmac_sha256(secret: &Secret, message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(message);
    mac
}

/// HMAC-SHA256 in lower-case hexadecimal.
pub fn sign_hex(secret: &Secret, message: &[u8]) -> String {
    hex::encode(hmac_sha256(secret, message).finalize().into_bytes())
}

/// HMAC-SHA256 in standard base64 with padding, as webhooks of Shopify and WooCommerce carry it.
pub fn sign_base64(secret: &Secret, message: &[u8]) -> String {
    STANDARD.encode(hmac_sha256(secret, message).finalize().into_bytes())
}

/// Whether `given` is [`sign_hex`] of the message, in time that does not tell how much of it fits. A part of a signature
/// is none.
#[must_use]
pub fn verify_hex(secret: &Secret, message: &[u8], given: &str) -> bool {
    hex::decode(given).is_ok_and(|tag| hmac_sha256(secret, message).verify_slice(&tag).is_ok())
}

/// Whether `given` is [`sign_base64`] of the message; as [`verify_hex`].
#[must_use]
pub fn verify_base64(secret: &Secret, message: &[u8], given: &str) -> bool {
    STANDARD.decode(given).is_ok_and(|tag| hmac_sha256(secret, message).verify_slice(&tag).is_ok())
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
