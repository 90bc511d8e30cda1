//! The master key: where it comes from, and what is refused (promise VLT-2).

use std::{
    ffi::OsString,
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode::Indifferent, GeneralPurpose, GeneralPurposeConfig},
};
use kernel::random;
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::{
    Weakness,
    primitives::{KEY_LENGTH, KeyBytes, derive, extract, frame},
    weakness,
};

/// The variable that holds the key itself.
pub const MASTER_KEY: &str = "ENTREPOT_MASTER_KEY";
/// The variable that names a file with the key. Better than [`MASTER_KEY`]: an environment is inherited by children and
/// shown by process tools.
pub const MASTER_KEY_FILE: &str = "ENTREPOT_MASTER_KEY_FILE";
/// The same for the key before it, while data keys are wrapped anew.
pub const MASTER_KEY_PREVIOUS: &str = "ENTREPOT_MASTER_KEY_PREVIOUS";
pub const MASTER_KEY_PREVIOUS_FILE: &str = "ENTREPOT_MASTER_KEY_PREVIOUS_FILE";

/// What the documentation shows where a key has to stand. It is refused.
pub const EXAMPLE_MASTER_KEY: &str = "DBJMuJHQ+j2T9ScGZQ3Kleq/nGuPS7gGjwpvJk6aNwc=";

/// A key file is one line; more is some other file.
const FILE_LENGTH_MAX: u64 = 1024;

const MAKE_ONE: &str = "make one with `openssl rand -base64 32`";

/// Why the process must not start. Each message says what to do; none holds any part of a key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error(
        "no master key: set {MASTER_KEY_FILE} to a file, or {MASTER_KEY} to a text, with 32 random bytes in base64 or \
         hexadecimal ({}), and keep a copy elsewhere: without it no stored credential can be opened",
        MAKE_ONE
    )]
    Missing,
    #[error("both {text} and {file} are set: remove one, so that it is clear which key counts")]
    Ambiguous { text: &'static str, file: &'static str },
    #[error(
        "{MASTER_KEY} and {MASTER_KEY_PREVIOUS} (or their files) are the same key: the former is the new one, the latter the one \
         that it replaces; set the latter only while there are two"
    )]
    SameTwice,
    #[error("{origin} is neither base64 nor hexadecimal: {}", MAKE_ONE)]
    Encoding { origin: &'static str },
    #[error("{origin} holds {length} bytes, a master key has 32: {}", MAKE_ONE)]
    Length { origin: &'static str, length: usize },
    #[error("{origin} is not a key to trust: {weakness}; {}", MAKE_ONE)]
    Weak { origin: &'static str, weakness: Weakness },
    #[error("the master key file {} is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    #[error(
        "the master key file {} is open to other users (mode {mode:04o}): run `chmod 600` on it, and replace the key if \
         others use this machine", path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the master key file {} exists already: it is never overwritten", path.display())]
    Exists { path: PathBuf },
    #[error("the master key file {} cannot be used: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The installation's root key. No `Debug`, no `Clone`; wiped on drop.
pub struct MasterKey(KeyBytes);

impl MasterKey {
    /// From one of two variables; None when neither is set. Empty counts as not set, as compose files and shells leave it.
    fn from_either(
        variable: &impl Fn(&str) -> Option<OsString>,
        text: &'static str,
        file: &'static str,
    ) -> Result<Option<Self>, MasterKeyError> {
        let set = |name| variable(name).filter(|value| !value.as_encoded_bytes().trim_ascii().is_empty());
        match (set(text), set(file)) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(MasterKeyError::Ambiguous { text, file }),
            (Some(key), None) => Self::parse(text, &Zeroizing::new(key.into_encoded_bytes())).map(Some),
            (None, Some(path)) => Self::from_file(file, Path::new(&path)).map(Some),
        }
    }

    /// From any environment, without the key before it.
    ///
    /// # Errors
    /// [`MasterKeyError`], for the operator to read: the process must end with it.
    pub fn from_lookup(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, MasterKeyError> {
        Self::from_either(&variable, MASTER_KEY, MASTER_KEY_FILE)?.ok_or(MasterKeyError::Missing)
    }

    fn from_file(origin: &'static str, path: &Path) -> Result<Self, MasterKeyError> {
        let failed = |source| MasterKeyError::Io { path: path.into(), source };
        // Without NONBLOCK a pipe in the file's place would hang the start. What is checked is what was opened, so it cannot
        // be exchanged in between; links are followed, as secrets are mounted behind them.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(path)
            .map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(MasterKeyError::NotAFile { path: path.into() });
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(MasterKeyError::Exposed { path: path.into(), mode });
        }
        let mut text = Zeroizing::new(Vec::with_capacity(2048));
        file.take(FILE_LENGTH_MAX).read_to_end(&mut text).map_err(failed)?;
        Self::parse(origin, &text)
    }

    pub(super) fn parse(origin: &'static str, text: &[u8]) -> Result<Self, MasterKeyError> {
        let text = str::from_utf8(text).map_err(|_| MasterKeyError::Encoding { origin })?.trim();
        let is_hex = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bytes = if is_hex { hex::decode(text).ok() } else { from_base64(text) };
        let bytes = Zeroizing::new(bytes.ok_or(MasterKeyError::Encoding { origin })?);
        let key: &[u8; KEY_LENGTH] =
            bytes.as_slice().try_into().map_err(|_| MasterKeyError::Length { origin, length: bytes.len() })?;
        let key = Zeroizing::new(*key);
        match weakness::find(Some(text).filter(|_| !is_hex), &key) {
            Some(weakness) => Err(MasterKeyError::Weak { origin, weakness }),
            None => Ok(Self(key)),
        }
    }

    /// A new key, in memory only: for tests and [`MasterKey::generate_file`].
    pub fn generate() -> Self {
        loop {
            let key = Zeroizing::new(random::bytes());
            if weakness::find(None, &key).is_none() {
                return Self(key);
            }
        }
    }

    /// A new key in a new file that only its owner can read, on disk when this returns.
    ///
    /// # Errors
    /// [`MasterKeyError::Exists`] when there is anything at `path`, [`MasterKeyError::Io`].
    pub fn generate_file(path: &Path) -> Result<Self, MasterKeyError> {
        let key = Self::generate();
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|source| {
            if source.kind() == io::ErrorKind::AlreadyExists {
                MasterKeyError::Exists { path: path.into() }
            } else {
                MasterKeyError::Io { path: path.into(), source }
            }
        })?;
        let mut text = Zeroizing::new([0; 2 * KEY_LENGTH + 1]);
        hex::encode_to_slice(key.0.as_slice(), &mut text[..2 * KEY_LENGTH]).expect("two digits for each byte");
        text[2 * KEY_LENGTH] = b'\n';
        let written = file.write_all(text.as_slice()).and_then(|()| file.sync_all()).and_then(|()| {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        });
        written.map_err(|source| MasterKeyError::Io { path: path.into(), source })?;
        Ok(key)
    }

    /// Which key this is, without saying anything about it.
    pub fn fingerprint(&self) -> Fingerprint {
        let derived = derive(&self.0, None, &frame(&[b"entrepot master key fingerprint v1"]));
        Fingerprint([derived[0], derived[1], derived[2], derived[3]])
    }

    /// What HKDF extracts of it: the installation key of installations that were made before there was one apart.
    pub(super) fn extract(&self) -> KeyBytes {
        extract(&self.0)
    }

    /// The key that wraps the installation key. Of another salt than [`MasterKey::extract`], so that it wraps nothing that it can be
    /// computed from.
    pub(super) fn installation_wrapping_key(&self, info: &[u8]) -> KeyBytes {
        derive(&self.0, Some(b"entrepot installation key"), info)
    }

    /// The key that wraps a data key: `info` says which one, and without its shard there is none.
    pub(super) fn wrapping_key(&self, shard: &KeyBytes, info: &[u8]) -> KeyBytes {
        derive(&self.0, Some(shard.as_slice()), info)
    }

    #[cfg(test)]
    pub(super) fn from_bytes(bytes: [u8; KEY_LENGTH]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// The master key, and beside it the one that it replaces while data keys are wrapped anew. Either opens what it wrapped.
pub struct MasterKeys {
    current: (Fingerprint, MasterKey),
    previous: Option<(Fingerprint, MasterKey)>,
}

impl MasterKeys {
    /// # Errors
    /// [`MasterKeyError::SameTwice`].
    pub fn new(current: MasterKey, previous: Option<MasterKey>) -> Result<Self, MasterKeyError> {
        let (current, previous) =
            ((current.fingerprint(), current), previous.map(|previous| (previous.fingerprint(), previous)));
        if previous.as_ref().is_some_and(|previous| previous.0 == current.0) {
            return Err(MasterKeyError::SameTwice);
        }
        Ok(Self { current, previous })
    }

    /// From the process's environment.
    ///
    /// # Errors
    /// [`MasterKeyError`], for the operator to read: the process must end with it.
    pub fn from_env() -> Result<Self, MasterKeyError> {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    /// From any environment.
    ///
    /// # Errors
    /// As [`MasterKeys::from_env`].
    pub fn from_lookup(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, MasterKeyError> {
        let current = MasterKey::from_lookup(&variable)?;
        let previous = MasterKey::from_either(&variable, MASTER_KEY_PREVIOUS, MASTER_KEY_PREVIOUS_FILE)?;
        Self::new(current, previous)
    }

    pub fn current(&self) -> Fingerprint {
        self.current.0
    }

    pub fn previous(&self) -> Option<Fingerprint> {
        self.previous.as_ref().map(|previous| previous.0)
    }

    /// Whether one of them is this one.
    pub fn holds(&self, key: Fingerprint) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn get(&self, key: Fingerprint) -> Option<&MasterKey> {
        let mut both = [Some(&self.current), self.previous.as_ref()].into_iter().flatten();
        both.find(|(fingerprint, _)| *fingerprint == key).map(|(_, master)| master)
    }
}

impl From<MasterKey> for MasterKeys {
    fn from(current: MasterKey) -> Self {
        Self { current: (current.fingerprint(), current), previous: None }
    }
}

/// Either alphabet, with or without padding: what the common tools print.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(Indifferent);
    GeneralPurpose::new(alphabet, config).decode(text).ok()
}

/// Eight hexadecimal digits that tell two keys, or two key stores, apart. Not secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub(super) [u8; 4]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = hex::FromHexError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 4];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}
