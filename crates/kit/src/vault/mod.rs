//! Keys, and what is sealed with them: credentials, webhook secrets, and the personal data that an owner chose to keep.
//!
//! ```text
//! master key ──┬─ HKDF-SHA-256 ─► key-encryption key ─► data key ─► sealed values
//! shard ───────┘  one per data key, in the key store, outside PostgreSQL and its backups
//! master key ──── HKDF-SHA-256 ─► key-encryption key ─► installation key ─► a key per purpose: cursors, states, mails
//! ```
//!
//! - [`MasterKey`]: 32 bytes of the operator's, in environment or file and never in the database; the process does not run without
//!   them, or with weak ones. [`MasterKeys`]: the same, and the one before while it is replaced.
//! - [`InstallationKey`]: what is no organization's own is derived from it.
//! - [`KeyStore`]: the shards. Deleting one makes everything under its data key unreadable, in old dumps too.
//!   [`DirectoryKeyStore`] on one machine, [`DatabaseKeyStore`] for several; [`move_shards`] from one to the other.
//! - [`ShardArchive`]: all shards in one piece, for backups.
//! - [`Keyring`]: makes, opens, caches and destroys data keys.
//! - [`seal`], [`open`]: values bound to their place by a [`Context`]; [`seal_personal`] is the vault's exit for
//!   [`kernel::Personal`].
//! - [`TokenSealer`]: small texts that callers hold for us and can neither read nor change (page cursors, states).
//!
//! Everything is XChaCha20-Poly1305 (24-byte random nonces, so no counter has to be kept) and every associated datum is
//! length-prefixed, so no two places encode alike. Nothing in here logs, and no error carries key material or plaintext.
//!
//! The caller's part: write the row of a new data key only after [`Keyring::create`] returned; call [`Keyring::sweep`]
//! daily with the ids of all tenants; compare [`Keyring::fingerprints`] with the stored ones at start.

mod archive;
mod cache;
mod data_key;
mod database;
mod directory;
mod installation_key;
mod key_store;
mod keyring;
mod master_key;
mod moving;
mod primitives;
mod sealed;
mod token;
mod weakness;

#[cfg(test)]
mod tests;

pub use archive::{NotAnArchive, ShardArchive};
pub use data_key::{DataKey, Import, ImportId, KeyIdentity, Scope, UnknownScope, WrappedKey};
pub use database::DatabaseKeyStore;
pub use directory::DirectoryKeyStore;
pub use installation_key::{InstallationKey, WrappedInstallationKey};
pub use key_store::{AllShards, KeyStore, KeyStoreError, Shard};
pub use keyring::{Fingerprints, Keyring, Mismatch, NewDataKey, SweepError, Swept};
pub use master_key::{
    EXAMPLE_MASTER_KEY, Fingerprint, MASTER_KEY, MASTER_KEY_FILE, MASTER_KEY_PREVIOUS, MASTER_KEY_PREVIOUS_FILE,
    MasterKey, MasterKeyError, MasterKeys,
};
pub use moving::{KeyStorePlace, KeyStorePlaceName, MoveError, Moved, move_shards};
pub use sealed::{
    Context, ForeignKey, Kind, OpenError, key_version, open, open_personal, open_secret, seal, seal_personal,
    seal_secret,
};
pub use token::{TokenError, TokenSealer, TooLong};
pub use weakness::Weakness;
