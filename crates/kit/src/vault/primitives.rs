//! The only place that names a cipher or a hash: framing, derivation, authenticated encryption.

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{AeadInOut, KeyInit, Tag},
};
use hkdf::Hkdf;
use kernel::random;
use sha2::Sha256;
use zeroize::Zeroizing;

pub(super) const KEY_LENGTH: usize = 32;
pub(super) const NONCE_LENGTH: usize = 24;
pub(super) const TAG_LENGTH: usize = 16;

/// Key bytes in memory; wiped on drop.
pub(super) type KeyBytes = Zeroizing<[u8; KEY_LENGTH]>;

/// Fields one after another, each behind its length in 32 bits, big-endian. Two different lists never encode alike,
/// which plain concatenation does not give (`ab`, `c` and `a`, `bc`).
pub(super) fn frame(fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(fields.iter().map(|field| 4 + field.len()).sum());
    for field in fields {
        let length = u32::try_from(field.len()).expect("a field of a context is far below 4 GiB");
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(field);
    }
    out
}

/// HKDF-SHA-256 (RFC 5869), one block.
pub(super) fn derive(key: &KeyBytes, salt: Option<&[u8]>, info: &[u8]) -> KeyBytes {
    let mut out = Zeroizing::new([0; KEY_LENGTH]);
    Hkdf::<Sha256>::new(salt, key.as_slice())
        .expand(info, out.as_mut_slice())
        .expect("32 bytes are one block of HKDF-SHA-256");
    out
}

/// The first half of [`derive`] without a salt: `expand(&extract(key), info)` is `derive(key, None, info)`.
pub(super) fn extract(key: &KeyBytes) -> KeyBytes {
    let (extracted, _) = Hkdf::<Sha256>::extract(None, key.as_slice());
    Zeroizing::new(extracted.into())
}

/// The second half.
pub(super) fn expand(extracted: &KeyBytes, info: &[u8]) -> KeyBytes {
    let mut out = Zeroizing::new([0; KEY_LENGTH]);
    Hkdf::<Sha256>::from_prk(extracted.as_slice())
        .expect("32 bytes are what HKDF-SHA-256 extracts")
        .expand(info, out.as_mut_slice())
        .expect("32 bytes are one block of HKDF-SHA-256");
    out
}

/// `header`, a fresh nonce, the ciphertext and its tag, in one allocation that never holds the plaintext when it returns.
pub(super) fn encrypt(key: &KeyBytes, header: &[u8], associated_data: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE_LENGTH] = random::bytes();
    let start = header.len() + NONCE_LENGTH;
    // All of it at once: a buffer that grows leaves copies of the plaintext behind.
    let mut out = Vec::with_capacity(start + plaintext.len() + TAG_LENGTH);
    out.extend_from_slice(header);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(plaintext);
    let tag = XChaCha20Poly1305::new((&**key).into())
        .encrypt_inout_detached(&XNonce::from(nonce), associated_data, (&mut out[start..]).into())
        .expect("the cipher takes messages up to 256 GiB");
    out.extend_from_slice(&tag);
    out
}

/// What [`encrypt`] made, without its header. None: it is not authentic under this key and associated data.
pub(super) fn decrypt(key: &KeyBytes, associated_data: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_LENGTH>()?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_LENGTH>()?;
    let mut out = Zeroizing::new(ciphertext.to_vec());
    XChaCha20Poly1305::new((&**key).into())
        .decrypt_inout_detached(
            &XNonce::from(*nonce),
            associated_data,
            out.as_mut_slice().into(),
            &Tag::<XChaCha20Poly1305>::from(*tag),
        )
        .ok()?;
    Some(out)
}
