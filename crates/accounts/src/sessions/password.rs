//! Passwords: Argon2id (RFC 9106), on the blocking pool, a few at a time.

use std::{sync::LazyLock, time::Duration};

use argon2::{
    Argon2, PasswordHasher, PasswordVerifier,
    password_hash::phc::{PasswordHash, Salt},
};
use kernel::{Secret, random};
use kit::Problem;

use crate::hashing::{Hashing, WaitingRoom};

/// Hashing takes memory (19 MiB each) and a core; more at once would only slow one another down.
static HASHING: LazyLock<Hashing> = LazyLock::new(|| Hashing::new(2));
/// Beyond these the honest answer is to come back.
static WAITING: LazyLock<WaitingRoom> = LazyLock::new(|| {
    WaitingRoom::new(32, Duration::from_secs(2), "Many people are signing in at once. Try again in a few seconds.")
});

/// What an unknown e-mail is checked against, so that it takes as long as a known one.
static NOBODY: LazyLock<String> =
    LazyLock::new(|| hash_now(&Secret::new(random::token())).expect("argon2 hashes any text of 32 characters"));

pub(crate) async fn hash(password: &Secret) -> Result<String, Problem> {
    let password = password.clone();
    HASHING
        .run(&WAITING, move || hash_now(&password))
        .await?
        .ok_or_else(|| Problem::internal(&"argon2 refused to hash"))
}

/// Whether the password is the one of the hash. None never matches, after the same work.
pub(crate) async fn verify(password: &Secret, hash: Option<&str>) -> Result<bool, Problem> {
    let password = password.clone();
    let (hash, known) = (hash.map(str::to_owned), hash.is_some());
    let check = move || {
        let hash = hash.unwrap_or_else(|| NOBODY.clone());
        let matches = PasswordHash::new(&hash)
            .is_ok_and(|hash| Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok());
        matches && known
    };
    HASHING.run(&WAITING, check).await
}

fn hash_now(password: &Secret) -> Option<String> {
    let salt = Salt::try_from(&random::bytes::<16>()[..]).ok()?;
    let hash = Argon2::default().hash_password_with_salt(password.expose().as_bytes(), salt.as_ref()).ok()?;
    Some(hash.to_string())
}
