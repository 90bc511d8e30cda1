//! A certificate and its private key, as the operator gives them: two PEM files.

use std::{
    fs::OpenOptions,
    io::Read,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use chrono::{DateTime, TimeDelta};
use kernel::Time;
use rustix::fs::OFlags;
use rustls::{
    InconsistentKeys,
    client::verify_server_name,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};

/// From here on somebody is told that the certificate is about to end: authorities that renew by themselves do so with 30
/// days to go.
pub(crate) const ENDS_SOON: TimeDelta = TimeDelta::days(14);

/// No chain and no key is longer.
const FILE_LENGTH_MAX: u64 = 256 * 1024;

/// Where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The server's certificate and, behind it, those that lead to a known authority.
    pub certificate: PathBuf,
    /// PKCS #8, PKCS #1 or SEC 1. Nobody but its owner and its group may read it.
    pub key: PathBuf,
}

/// What is in the files.
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Contents {
    /// # Errors
    /// With which file it is and what is wrong with it.
    pub(super) fn read(files: &Files) -> anyhow::Result<Self> {
        Ok(Self { certificate: read(&files.certificate, false)?, key: read(&files.key, true)? })
    }

    /// Which contents these are.
    pub(super) fn digest(&self) -> [u8; 32] {
        let hash = |bytes: &[u8]| -> [u8; 32] { Sha256::digest(bytes).into() };
        Sha256::digest([hash(&self.certificate), hash(&self.key)].concat()).into()
    }
}

fn read(path: &Path, is_private: bool) -> anyhow::Result<Vec<u8>> {
    let failed = || format!("{} cannot be read", path.display());
    // Without NONBLOCK a pipe in the file's place would hang the start. What is checked is what was opened.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .with_context(failed)?;
    let metadata = file.metadata().with_context(failed)?;
    if !metadata.is_file() {
        bail!("{} is not a file", path.display());
    }
    let mode = metadata.mode() & 0o7777;
    if is_private && mode & 0o037 != 0 {
        bail!(
            "{} has mode {mode:04o}: others can read or change the private key. Give it to the user of the program with \
             chmod 600, or to a group that may only read it with chmod 640",
            path.display()
        );
    }
    let mut bytes = vec![];
    file.take(FILE_LENGTH_MAX).read_to_end(&mut bytes).with_context(failed)?;
    Ok(bytes)
}

/// A certificate that can be served.
#[derive(Debug)]
pub struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) digest: [u8; 32],
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// With which file it is and what is wrong with it.
    pub(crate) fn open(files: &Files) -> anyhow::Result<Self> {
        Self::of(files, &Contents::read(files)?)
    }

    pub(super) fn of(files: &Files, contents: &Contents) -> anyhow::Result<Self> {
        let (chain_path, key_path) = (files.certificate.display(), files.key.display());
        let chain = CertificateDer::pem_slice_iter(&contents.certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| anyhow::anyhow!("{chain_path} is not of certificates in PEM"))?;
        let Some(first) = chain.first() else { bail!("{chain_path} holds no certificate in PEM") };
        let (not_before, not_after) =
            validity(first).with_context(|| format!("the first certificate in {chain_path} cannot be read"))?;
        // The parser's own message could quote the file.
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|_| anyhow::anyhow!("{key_path} holds no private key in PEM"))?;
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                anyhow::anyhow!("the key in {key_path} is not that of the first certificate in {chain_path}")
            }
            _ => anyhow::anyhow!("the key in {key_path} is of a kind that cannot be used: RSA, ECDSA or Ed25519"),
        })?;
        Ok(Self { key: Arc::new(key), digest: contents.digest(), not_before, not_after })
    }

    /// Whether a browser takes it for this host: the name or address in a URL.
    pub(crate) fn is_for(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let Ok(name) = ServerName::try_from(bare) else { return false };
        let Some(first) = self.key.cert.first() else { return false };
        ParsedCertificate::try_from(first).is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
    }
}

/// RFC 5280, section 4.1.2.5.
fn validity(certificate: &CertificateDer<'_>) -> anyhow::Result<(Time, Time)> {
    let (_, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|_| anyhow::anyhow!("it is not one of X.509"))?;
    let moment = |seconds| DateTime::from_timestamp(seconds, 0).context("its times are out of range");
    let validity = parsed.validity();
    Ok((moment(validity.not_before.timestamp())?, moment(validity.not_after.timestamp())?))
}
