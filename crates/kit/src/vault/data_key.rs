//! Data keys: what they belong to, and how they lie in the table `data_keys`.

use kernel::id::{ConnectionId, DataKeyId, OrganizationId};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    Fingerprint, MasterKey, OpenError, Shard,
    primitives::{KEY_LENGTH, KeyBytes, decrypt, encrypt, frame},
};

/// One switched-on import of a connection (orders, customers or contacts): its key is destroyed when it is switched off.
pub enum Import {}
pub type ImportId = kernel::Id<Import>;

/// What one data key seals, and what becomes unreadable together when it is destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// What belongs to the organization and to none of its connections.
    Organization,
    /// Credentials, receipts, actions and dead letters of one connection.
    Connection(ConnectionId),
    Import(ImportId),
}

/// A `scope` that no data key has.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a scope of data keys")]
pub struct UnknownScope;

impl Scope {
    /// Column `scope`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Connection(_) => "connection",
            Self::Import(_) => "import",
        }
    }

    /// Column `scope_id`.
    pub fn id(self, organization: OrganizationId) -> Uuid {
        match self {
            Self::Organization => organization.uuid(),
            Self::Connection(id) => id.uuid(),
            Self::Import(id) => id.uuid(),
        }
    }

    /// From the columns.
    ///
    /// # Errors
    /// [`UnknownScope`] for another name, or when an organization's key names another organization.
    pub fn from_columns(organization: OrganizationId, name: &str, id: Uuid) -> Result<Self, UnknownScope> {
        match name {
            "organization" if id == organization.uuid() => Ok(Self::Organization),
            "connection" => Ok(Self::Connection(id.into())),
            "import" => Ok(Self::Import(id.into())),
            _ => Err(UnknownScope),
        }
    }
}

/// Which data key: bound into its wrapping, so that a row moved to another organization or scope does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyIdentity {
    pub id: DataKeyId,
    pub organization: OrganizationId,
    pub scope: Scope,
    /// Counts up when the scope gets a new key; values name the one that sealed them.
    pub version: u32,
}

impl KeyIdentity {
    fn info(&self) -> Vec<u8> {
        frame(&[
            b"entrepot data key v1",
            self.organization.uuid().as_bytes(),
            self.scope.name().as_bytes(),
            self.scope.id(self.organization).as_bytes(),
            &self.version.to_be_bytes(),
            self.id.uuid().as_bytes(),
        ])
    }
}

/// A data key in memory. No `Debug`, no `Clone`; wiped on drop. Hold it for one operation: [`super::Keyring`] notices
/// within a second that a key was destroyed, a copy of it does not.
pub struct DataKey {
    identity: KeyIdentity,
    bytes: KeyBytes,
}

impl DataKey {
    pub(super) fn new(identity: KeyIdentity, bytes: KeyBytes) -> Self {
        Self { identity, bytes }
    }

    pub fn identity(&self) -> &KeyIdentity {
        &self.identity
    }

    pub(super) fn bytes(&self) -> &KeyBytes {
        &self.bytes
    }
}

/// A row of `data_keys`: useless without the master key, and without the shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    pub identity: KeyIdentity,
    /// The master key it is wrapped under.
    pub master: Fingerprint,
    /// Format byte, 24-byte nonce, 32 bytes of ciphertext, 16-byte tag.
    pub wrapped: Vec<u8>,
}

const FORMAT: u8 = 1;

impl WrappedKey {
    pub(super) fn wrap(master: &MasterKey, shard: &Shard, key: &DataKey) -> Self {
        let info = key.identity.info();
        let wrapping = master.wrapping_key(shard.bytes(), &info);
        Self {
            identity: key.identity,
            master: master.fingerprint(),
            wrapped: encrypt(&wrapping, &[FORMAT], &info, key.bytes.as_slice()),
        }
    }

    pub(super) fn unwrap(&self, master: &MasterKey, shard: &Shard) -> Result<DataKey, OpenError> {
        let sealed = self.wrapped.strip_prefix(&[FORMAT]).ok_or(OpenError::UnknownFormat)?;
        let info = self.identity.info();
        let opened = decrypt(&master.wrapping_key(shard.bytes(), &info), &info, sealed).ok_or(OpenError::Tampered)?;
        let bytes: &[u8; KEY_LENGTH] = opened.as_slice().try_into().map_err(|_| OpenError::UnknownFormat)?;
        Ok(DataKey::new(self.identity, Zeroizing::new(*bytes)))
    }
}
