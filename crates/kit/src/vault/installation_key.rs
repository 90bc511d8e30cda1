//! The key that everything of the installation which is no organization's own is derived from: cursors, states, cookies, mails on
//! their way. It lies in the database, wrapped under the master key, so that another master key changes nothing of it.

use std::str::FromStr;

use kernel::random;
use zeroize::Zeroizing;

use super::{
    Fingerprint, MasterKeys, OpenError,
    primitives::{KEY_LENGTH, KeyBytes, decrypt, encrypt, expand, frame},
};

const FORMAT: u8 = 1;

/// 32 bytes, as random as a key. No `Debug`, no `Clone`; wiped on drop.
pub struct InstallationKey(KeyBytes);

impl InstallationKey {
    /// A new one.
    pub fn generate() -> Self {
        Self(Zeroizing::new(random::bytes()))
    }

    /// The one of an installation that was made before there was one apart: keys were derived from its master key. None when the
    /// process has not got that.
    pub fn of_master_key(masters: &MasterKeys, key: Fingerprint) -> Option<Self> {
        masters.get(key).map(|master| Self(master.extract()))
    }

    pub(super) fn of_current(masters: &MasterKeys) -> Self {
        Self::of_master_key(masters, masters.current()).expect("the current master key is one of them")
    }

    /// A key for one purpose.
    pub(super) fn derive(&self, purpose: &'static str) -> KeyBytes {
        expand(&self.0, &frame(&[b"entrepot installation key v1", purpose.as_bytes()]))
    }

    /// Wraps it under one of the master keys.
    ///
    /// # Errors
    /// [`OpenError::WrongMasterKey`] when that is none of them.
    pub fn wrap(&self, masters: &MasterKeys, under: Fingerprint) -> Result<WrappedInstallationKey, OpenError> {
        let master = masters
            .get(under)
            .ok_or_else(|| OpenError::WrongMasterKey { sealed_under: under, present: masters.current() })?;
        let info = info(under);
        let wrapped = encrypt(&master.installation_wrapping_key(&info), &[FORMAT], &info, self.0.as_slice());
        Ok(WrappedInstallationKey { master: under, wrapped })
    }
}

/// As it lies in the table `installation`: `<fingerprint of the master key>:<hexadecimal>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedInstallationKey {
    pub master: Fingerprint,
    wrapped: Vec<u8>,
}

impl WrappedInstallationKey {
    /// # Errors
    /// [`OpenError`].
    pub fn unwrap_with(&self, masters: &MasterKeys) -> Result<InstallationKey, OpenError> {
        let wrong = || OpenError::WrongMasterKey { sealed_under: self.master, present: masters.current() };
        let master = masters.get(self.master).ok_or_else(wrong)?;
        let info = info(self.master);
        let sealed = self.wrapped.strip_prefix(&[FORMAT]).ok_or(OpenError::UnknownFormat)?;
        let opened = decrypt(&master.installation_wrapping_key(&info), &info, sealed).ok_or(OpenError::Tampered)?;
        let bytes: &[u8; KEY_LENGTH] = opened.as_slice().try_into().map_err(|_| OpenError::UnknownFormat)?;
        Ok(InstallationKey(Zeroizing::new(*bytes)))
    }

    /// For the table.
    pub fn to_text(&self) -> String {
        format!("{}:{}", self.master, hex::encode(&self.wrapped))
    }
}

impl FromStr for WrappedInstallationKey {
    type Err = OpenError;

    fn from_str(text: &str) -> Result<Self, OpenError> {
        let parsed = text.split_once(':').and_then(|(master, wrapped)| {
            Some(Self { master: master.parse().ok()?, wrapped: hex::decode(wrapped).ok()? })
        });
        parsed.ok_or(OpenError::UnknownFormat)
    }
}

fn info(master: Fingerprint) -> Vec<u8> {
    frame(&[b"entrepot wrapped installation key v1", &master.0])
}
