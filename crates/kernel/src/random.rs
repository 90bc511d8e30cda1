//! Unpredictable bytes and texts, from the operating system's generator.

use rand::{TryRng, rngs::SysRng};

/// # Panics
/// When the operating system has no randomness to give: nothing here may go on with predictable secrets.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    SysRng.try_fill_bytes(&mut out).expect("the operating system gives random bytes");
    out
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `length` characters of base62, each equally likely (5.95 bits each).
pub fn base62(length: usize) -> String {
    let mut out = String::with_capacity(length);
    while out.len() < length {
        // 248 is the largest multiple of 62 in a byte: what lies above would favour the first characters.
        for byte in bytes::<32>().into_iter().filter(|byte| *byte < 248).take(length - out.len()) {
            out.push(char::from(BASE62[usize::from(byte) % 62]));
        }
    }
    out
}

/// A 128-bit token in hexadecimal, for states, nonces and paths that must not be guessed.
pub fn token() -> String {
    hex::encode(bytes::<16>())
}
