//! Values sealed under a data key and bound to their place (promise VLT-1).
//!
//! ```text
//! byte 0       format, 1
//! bytes 1–4    version of the data key, big-endian
//! bytes 5–28   nonce, random
//! then         ciphertext of the plaintext's length, 16-byte tag
//! ```
//!
//! The associated data is the format and version together with the whole [`Context`].

use kernel::{
    Personal, Secret,
    id::OrganizationId,
    personal::{Door, Exit, Wipe},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    DataKey, Fingerprint, KeyStoreError, Scope,
    primitives::{NONCE_LENGTH, TAG_LENGTH, decrypt, encrypt, frame},
};

const FORMAT: u8 = 1;
const HEADER_LENGTH: usize = 5;

/// What a sealed value is. A slice names its kinds beside its tables, in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind(&'static str);

impl Kind {
    pub const CREDENTIAL: Self = Self::new("credential");
    pub const WEBHOOK_SECRET: Self = Self::new("webhook_secret");

    /// # Panics
    /// On an empty name; in a `const`, that is a compile error.
    pub const fn new(name: &'static str) -> Self {
        assert!(!name.is_empty(), "a kind has a name");
        Self(name)
    }

    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// Where a sealed value belongs: say it from the row's own columns and the caller's scope, never from the sealed value. It
/// opens there and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Context {
    pub organization: OrganizationId,
    pub scope: Scope,
    pub kind: Kind,
    /// The id of the row that holds it.
    pub record: Uuid,
}

impl Context {
    fn associated_data(&self, version: u32) -> Vec<u8> {
        frame(&[
            b"entrepot sealed value",
            &[FORMAT],
            self.organization.uuid().as_bytes(),
            self.scope.name().as_bytes(),
            self.scope.id(self.organization).as_bytes(),
            self.kind.name().as_bytes(),
            self.record.as_bytes(),
            &version.to_be_bytes(),
        ])
    }

    fn fits(&self, key: &DataKey) -> bool {
        let identity = key.identity();
        (self.organization, self.scope) == (identity.organization, identity.scope)
    }
}

/// The key belongs to another organization or scope than the context: a mistake of the caller.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the data key belongs to another organization or scope than the value")]
pub struct ForeignKey;

/// Why a sealed value, or a data key, does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Changed, or moved from another place. Which of the two cannot be told.
    #[error("the sealed value was changed, or does not belong here")]
    Tampered,
    /// Not of a format that this version writes or reads.
    #[error("the sealed value is in no known format")]
    UnknownFormat,
    /// For good: the shard is gone.
    #[error("the key of this value was destroyed")]
    KeyDestroyed,
    #[error(
        "sealed under master key {sealed_under}, but this process runs with master key {present}: start it with the former"
    )]
    WrongMasterKey { sealed_under: Fingerprint, present: Fingerprint },
    /// Try again: nothing is known about the value.
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
}

/// Seals `plaintext` for its place.
///
/// # Errors
/// [`ForeignKey`].
pub fn seal(key: &DataKey, context: &Context, plaintext: &[u8]) -> Result<Vec<u8>, ForeignKey> {
    if !context.fits(key) {
        return Err(ForeignKey);
    }
    let version = key.identity().version;
    let mut header = [FORMAT; HEADER_LENGTH];
    header[1..].copy_from_slice(&version.to_be_bytes());
    Ok(encrypt(key.bytes(), &header, &context.associated_data(version), plaintext))
}

/// Which version of the scope's data key opens this.
///
/// # Errors
/// [`OpenError::UnknownFormat`].
pub fn key_version(sealed: &[u8]) -> Result<u32, OpenError> {
    match sealed {
        [FORMAT, a, b, c, d, rest @ ..] if rest.len() >= NONCE_LENGTH + TAG_LENGTH => {
            Ok(u32::from_be_bytes([*a, *b, *c, *d]))
        }
        _ => Err(OpenError::UnknownFormat),
    }
}

/// Opens what [`seal`] made for the same place.
///
/// # Errors
/// [`OpenError::UnknownFormat`], [`OpenError::Tampered`].
pub fn open(key: &DataKey, context: &Context, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let version = key_version(sealed)?;
    if !context.fits(key) || version != key.identity().version {
        return Err(OpenError::Tampered);
    }
    decrypt(key.bytes(), &context.associated_data(version), &sealed[HEADER_LENGTH..]).ok_or(OpenError::Tampered)
}

/// [`seal`] for secret texts.
///
/// # Errors
/// As [`seal`].
pub fn seal_secret(key: &DataKey, context: &Context, secret: &Secret) -> Result<Vec<u8>, ForeignKey> {
    seal(key, context, secret.expose().as_bytes())
}

/// [`open`] for what [`seal_secret`] made.
///
/// # Errors
/// As [`open`]; [`OpenError::UnknownFormat`] also for what is not text.
pub fn open_secret(key: &DataKey, context: &Context, sealed: &[u8]) -> Result<Secret, OpenError> {
    let opened = open(key, context, sealed)?;
    str::from_utf8(&opened).map(Secret::new).map_err(|_| OpenError::UnknownFormat)
}

/// [`seal`] for personal data: the vault's exit. Values of other types become text or bytes first, with
/// [`Personal::map`].
///
/// # Errors
/// As [`seal`].
pub fn seal_personal<T: Wipe + AsRef<[u8]>>(
    key: &DataKey,
    context: &Context,
    value: &Personal<T>,
) -> Result<Vec<u8>, ForeignKey> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the vault's door: what passes it is ciphertext on the next line"
    )]
    let exit = Exit::open(Door::Vault);
    seal(key, context, value.reveal(&exit).as_ref())
}

/// [`open`] for what [`seal_personal`] made.
///
/// # Errors
/// As [`open`].
pub fn open_personal(key: &DataKey, context: &Context, sealed: &[u8]) -> Result<Personal<Vec<u8>>, OpenError> {
    open(key, context, sealed).map(|mut opened| Personal::new(std::mem::take(&mut *opened)))
}
