//! The private certificate authority that vouches for every simulated host.

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A certificate authority that mints a certificate for any of its hosts on demand.
pub(crate) struct Authority {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Reads the authority kept in `dir`, or makes one and keeps it there; without `dir` it lives as long as the process.
    pub(crate) fn open(dir: Option<&Path>) -> anyhow::Result<Authority> {
        let Some(dir) = dir else { return Self::create().map(|(authority, _)| authority) };
        let (key_path, pem_path) = (dir.join("ca.key.pem"), dir.join("ca.pem"));
        if key_path.exists() && pem_path.exists() {
            let key = KeyPair::from_pem(&fs::read_to_string(&key_path)?)
                .with_context(|| format!("{} holds no private key", key_path.display()))?;
            let pem = fs::read_to_string(&pem_path)?;
            let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
                .with_context(|| format!("{} holds no certificate", pem_path.display()))?;
            return Ok(Authority { certificate, pem, issuer: Issuer::new(authority_params(), key) });
        }
        let (authority, key_pem) = Self::create()?;
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&key_path)?;
        file.write_all(key_pem.as_bytes())?;
        fs::write(&pem_path, &authority.pem)?;
        Ok(authority)
    }

    fn create() -> anyhow::Result<(Authority, String)> {
        let key = KeyPair::generate()?;
        let key_pem = key.serialize_pem();
        let params = authority_params();
        let certificate = params.self_signed(&key)?;
        let authority = Authority {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        };
        Ok((authority, key_pem))
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.certificate
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    fn mint(&self, host: &str) -> anyhow::Result<CertifiedKey> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, host);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.not_before, params.not_after) = (date_time_ymd(2024, 1, 1), date_time_ymd(2048, 12, 31));
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(CertifiedKey::new(vec![certificate.der().clone(), self.certificate.clone()], any_supported_type(&key)?))
    }
}

/// The same for every authority, so that a stored key and certificate need no parsing to issue again.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Sandbox private CA (not for real hosts)");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (date_time_ymd(2024, 1, 1), date_time_ymd(2049, 12, 31));
    params
}

/// Answers each TLS handshake with a certificate for the name the client asked for, if a site serves that name.
#[derive(Debug)]
pub(crate) struct CertificateByName {
    pub(crate) authority: Arc<Authority>,
    pub(crate) hosts: Arc<super::HostPatterns>,
    pub(crate) minted: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl ResolvesServerCert for CertificateByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        self.hosts.find(&name)?;
        let mut minted = self.minted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = minted.get(&name) {
            return Some(key.clone());
        }
        match self.authority.mint(&name) {
            Ok(key) => {
                let key = Arc::new(key);
                minted.insert(name, key.clone());
                Some(key)
            }
            Err(error) => {
                tracing::error!(%error, host = name, "no certificate could be minted");
                None
            }
        }
    }
}
