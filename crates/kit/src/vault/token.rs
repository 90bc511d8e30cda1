//! Small texts that others carry for us: page cursors, the state of an OAuth pairing.
//!
//! `base64url(format 1, nonce, ciphertext of (expiry in milliseconds, payload), tag)`. Who carries it can neither read nor
//! change it, nor use it elsewhere: the purpose and what it is bound to are associated data.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Duration;
use kernel::Time;
use zeroize::Zeroizing;

use super::{
    Keyring,
    primitives::{KeyBytes, NONCE_LENGTH, TAG_LENGTH, decrypt, encrypt, frame},
};

const FORMAT: u8 = 1;
const EXPIRY_LENGTH: usize = 8;
const TEXT_LENGTH_MAX: usize =
    (1 + NONCE_LENGTH + EXPIRY_LENGTH + TokenSealer::PAYLOAD_LENGTH_MAX + TAG_LENGTH) * 4 / 3 + 1;

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was made here and for this, too long ago.
    #[error("the token has expired")]
    Expired,
    /// It was made elsewhere, for something else, or was changed.
    #[error("the token was not issued for this")]
    Foreign,
}

/// The payload does not fit: more than [`TokenSealer::PAYLOAD_LENGTH_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token carries at most {} bytes", TokenSealer::PAYLOAD_LENGTH_MAX)]
pub struct TooLong;

/// Seals and opens the tokens of one purpose.
pub struct TokenSealer {
    key: KeyBytes,
    lifetime: Duration,
}

impl TokenSealer {
    /// For page cursors.
    pub const DAY: Duration = Duration::hours(24);
    /// Bytes of payload: a token still fits a query string.
    pub const PAYLOAD_LENGTH_MAX: usize = 2048;

    pub fn new(keyring: &Keyring, purpose: &'static str, lifetime: Duration) -> Self {
        Self { key: keyring.derive(purpose), lifetime }
    }

    /// A token that [`TokenSealer::open`] takes with the same `bound_to` until its lifetime is over. `bound_to` are names and
    /// values, in a fixed order: the organization, the store, the filters, the sort.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn seal(&self, bound_to: &[(&str, &[u8])], payload: &[u8], now: Time) -> Result<String, TooLong> {
        if payload.len() > Self::PAYLOAD_LENGTH_MAX {
            return Err(TooLong);
        }
        Ok(URL_SAFE_NO_PAD.encode(self.seal_stored(payload, bound_to, now)))
    }

    /// The same for what stays with us: bytes, of any length.
    pub fn seal_stored(&self, payload: &[u8], bound_to: &[(&str, &[u8])], now: Time) -> Vec<u8> {
        let mut plaintext = Zeroizing::new(Vec::with_capacity(EXPIRY_LENGTH + payload.len()));
        plaintext.extend_from_slice(&(now + self.lifetime).timestamp_millis().to_be_bytes());
        plaintext.extend_from_slice(payload);
        encrypt(&self.key, &[FORMAT], &associated_data(bound_to), &plaintext)
    }

    /// The payload.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn open(&self, token: &str, bound_to: &[(&str, &[u8])], now: Time) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        if token.len() > TEXT_LENGTH_MAX {
            return Err(TokenError::Foreign);
        }
        self.open_stored(&URL_SAFE_NO_PAD.decode(token).map_err(|_| TokenError::Foreign)?, bound_to, now)
    }

    /// What [`TokenSealer::seal_stored`] sealed.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn open_stored(
        &self,
        stored: &[u8],
        bound_to: &[(&str, &[u8])],
        now: Time,
    ) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        let sealed = stored.strip_prefix(&[FORMAT]).ok_or(TokenError::Foreign)?;
        let opened = decrypt(&self.key, &associated_data(bound_to), sealed).ok_or(TokenError::Foreign)?;
        let (expiry, payload) = opened.split_first_chunk::<EXPIRY_LENGTH>().ok_or(TokenError::Foreign)?;
        if now.timestamp_millis() >= i64::from_be_bytes(*expiry) {
            return Err(TokenError::Expired);
        }
        Ok(Zeroizing::new(payload.to_vec()))
    }
}

fn associated_data(bound_to: &[(&str, &[u8])]) -> Vec<u8> {
    let mut fields: Vec<&[u8]> = vec![b"entrepot sealed token", &[FORMAT]];
    for (name, value) in bound_to {
        fields.extend([name.as_bytes(), value]);
    }
    frame(&fields)
}
