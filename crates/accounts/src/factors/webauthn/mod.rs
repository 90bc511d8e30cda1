//! Passkeys: what a relying party checks of them, by Web Authentication Level 3 (<https://www.w3.org/TR/webauthn-3/>), sections
//! 7.1 and 7.2. What an authenticator attests of its make is not asked for and not looked at.
//!
//! A user must have been verified, by a PIN, a finger or a face: every passkey here may be all that somebody signs in with.

mod cbor;
mod key;
#[cfg(test)]
pub(crate) mod tests;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use kit::App;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub(super) use key::ALGORITHMS;
use key::Key;

pub(super) const CHALLENGE_LENGTH: usize = 32;
/// Section 4, credential ID.
pub(super) const CREDENTIAL_ID_MAX: usize = 1023;
/// How long a browser waits for the person.
const TIMEOUT_MILLISECONDS: u32 = 300_000;

/// Whom passkeys are made for, and where they may be used.
pub(crate) struct RelyingParty {
    /// The host, to which browsers bind passkeys.
    id: String,
    origin: String,
}

/// Why an answer of an authenticator is not accepted. Told to logs; people are told that it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it is not what authenticators write")]
    Unreadable,
    #[error("it is for something else than was asked")]
    Purpose,
    #[error("it answers another challenge")]
    Challenge,
    #[error("it comes from another origin, or from a frame of one")]
    Origin,
    #[error("it is for another relying party")]
    RelyingParty,
    #[error("nobody was there, or was not verified")]
    NotVerified,
    #[error("its key is of a kind that was not asked for")]
    Key,
    #[error("its signature is not the passkey's")]
    Signature,
    #[error("it has counted fewer signatures than before: the passkey may have been copied")]
    Counter,
}

/// A passkey that an authenticator made.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) credential_id: Vec<u8>,
    /// A COSE key.
    pub(super) public_key: Vec<u8>,
    pub(super) sign_count: u32,
    pub(super) is_backed_up: bool,
}

/// What is known of a passkey when it is used.
pub(super) struct Known<'a> {
    pub(super) public_key: &'a [u8],
    pub(super) sign_count: u32,
}

/// What is new about a passkey that was used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) sign_count: u32,
    pub(super) is_backed_up: bool,
}

impl RelyingParty {
    /// None where browsers have no passkeys: at an IP address, and without https but on this machine (section 5.1.3).
    pub(crate) fn of(app: &App) -> Option<Self> {
        Self::at(&app.config.public_url)
    }

    fn at(public_url: &url::Url) -> Option<Self> {
        let url::Host::Domain(host) = public_url.host()? else { return None };
        let is_local = host == "localhost" || host.ends_with(".localhost");
        let is_secure = public_url.scheme() == "https" || is_local;
        let origin = public_url.origin().ascii_serialization();
        is_secure.then(|| Self { id: host.to_owned(), origin })
    }

    /// What `navigator.credentials.create` is asked for: PublicKeyCredentialCreationOptionsJSON.
    pub(super) fn creation_options(&self, person: &Person<'_>, challenge: &[u8], taken: &[Vec<u8>]) -> Json {
        json!({
            "rp": { "id": self.id, "name": "Entrepot" },
            "user": { "id": encode(person.handle), "name": person.email, "displayName": person.name },
            "challenge": encode(challenge),
            "pubKeyCredParams": ALGORITHMS.map(|algorithm| json!({ "type": "public-key", "alg": algorithm })),
            "timeout": TIMEOUT_MILLISECONDS,
            "excludeCredentials": taken.iter().map(|id| descriptor(id, &[])).collect::<Vec<_>>(),
            "authenticatorSelection": {
                "residentKey": "required", "requireResidentKey": true, "userVerification": "required",
            },
            "attestation": "none",
        })
    }

    /// What `navigator.credentials.get` is asked for: PublicKeyCredentialRequestOptionsJSON. With no passkeys named, a person
    /// chooses among theirs, and with it who they are.
    pub(super) fn request_options(&self, challenge: &[u8], allowed: &[(Vec<u8>, Vec<String>)]) -> Json {
        json!({
            "rpId": self.id,
            "challenge": encode(challenge),
            "timeout": TIMEOUT_MILLISECONDS,
            "allowCredentials": allowed.iter().map(|(id, transports)| descriptor(id, transports)).collect::<Vec<_>>(),
            "userVerification": "required",
        })
    }

    /// Section 7.1.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn registered(&self, challenge: &[u8], response: &AttestationResponse) -> Result<Registered, Refusal> {
        self.client_data(&response.client_data_json, "webauthn.create", challenge)?;
        let object = decoded(&response.attestation_object)?;
        let (object, rest) = cbor::take(&object).ok_or(Refusal::Unreadable)?;
        let data = object.at(&cbor::Value::Text("authData")).and_then(cbor::Value::bytes);
        let data = data.filter(|_| rest.is_empty()).ok_or(Refusal::Unreadable)?;
        let data = self.authenticator_data(data)?;
        let Some((credential_id, public_key)) = data.attested else { return Err(Refusal::Unreadable) };
        Ok(Registered {
            credential_id: credential_id.to_vec(),
            public_key: public_key.to_vec(),
            sign_count: data.sign_count,
            is_backed_up: data.is_backed_up,
        })
    }

    /// Section 7.2, for a passkey that was found by its id.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn used(
        &self,
        challenge: &[u8],
        known: &Known<'_>,
        response: &AssertionResponse,
    ) -> Result<Used, Refusal> {
        let client_data = self.client_data(&response.client_data_json, "webauthn.get", challenge)?;
        let authenticator_data = decoded(&response.authenticator_data)?;
        let data = self.authenticator_data(&authenticator_data)?;
        let (cose, _) = cbor::take(known.public_key).ok_or(Refusal::Key)?;
        let signed = [&authenticator_data[..], &Sha256::digest(&client_data)[..]].concat();
        if !Key::of(&cose).ok_or(Refusal::Key)?.signed(&signed, &decoded(&response.signature)?) {
            return Err(Refusal::Signature);
        }
        // Those that do not count say 0 for ever.
        if (data.sign_count > 0 || known.sign_count > 0) && data.sign_count <= known.sign_count {
            return Err(Refusal::Counter);
        }
        Ok(Used { sign_count: data.sign_count, is_backed_up: data.is_backed_up })
    }

    /// Section 5.8.1: what the browser says that it was asked for, and by whom. The bytes, which are signed.
    fn client_data(&self, encoded: &str, purpose: &str, challenge: &[u8]) -> Result<Vec<u8>, Refusal> {
        let bytes = decoded(encoded)?;
        let data: ClientData = serde_json::from_slice(&bytes).map_err(|_| Refusal::Unreadable)?;
        if data.purpose != purpose {
            return Err(Refusal::Purpose);
        }
        if !bool::from(decoded(&data.challenge)?.ct_eq(challenge)) {
            return Err(Refusal::Challenge);
        }
        if data.origin != self.origin || data.cross_origin || data.top_origin.is_some() {
            return Err(Refusal::Origin);
        }
        Ok(bytes)
    }

    /// Section 6.1.
    fn authenticator_data<'a>(&self, bytes: &'a [u8]) -> Result<AuthenticatorData<'a>, Refusal> {
        let data = AuthenticatorData::of(bytes).ok_or(Refusal::Unreadable)?;
        if data.relying_party != &Sha256::digest(self.id.as_bytes())[..] {
            return Err(Refusal::RelyingParty);
        }
        if !data.is_present || !data.is_verified {
            return Err(Refusal::NotVerified);
        }
        if let Some((_, key)) = data.attested {
            let (cose, _) = cbor::take(key).ok_or(Refusal::Key)?;
            Key::of(&cose).ok_or(Refusal::Key)?;
        }
        Ok(data)
    }
}

/// Whose passkey it is to be, as their authenticator shows it to them.
pub(super) struct Person<'a> {
    /// Comes back with each use: who they are, where they have not said it.
    pub(super) handle: &'a [u8],
    pub(super) email: &'a str,
    pub(super) name: &'a str,
}

/// AuthenticatorAttestationResponseJSON, as far as it is read.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttestationResponse {
    #[serde(rename = "clientDataJSON")]
    #[schema(max_length = 10_000)]
    pub(super) client_data_json: String,
    #[schema(max_length = 100_000)]
    pub(super) attestation_object: String,
    /// How the authenticator can be reached: `internal`, `hybrid`, `usb`, …
    #[serde(default)]
    pub(super) transports: Vec<String>,
}

/// AuthenticatorAssertionResponseJSON.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AssertionResponse {
    #[serde(rename = "clientDataJSON")]
    #[schema(max_length = 10_000)]
    pub(super) client_data_json: String,
    #[schema(max_length = 10_000)]
    pub(super) authenticator_data: String,
    #[schema(max_length = 10_000)]
    pub(super) signature: String,
    /// Who the passkey was made for.
    #[serde(default)]
    pub(super) user_handle: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    purpose: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    #[serde(default)]
    top_origin: Option<String>,
}

struct AuthenticatorData<'a> {
    relying_party: &'a [u8],
    is_present: bool,
    is_verified: bool,
    is_backed_up: bool,
    sign_count: u32,
    /// The id and the COSE key of a passkey that was just made.
    attested: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> AuthenticatorData<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let (relying_party, rest) = bytes.split_at_checked(32)?;
        let (&flags, rest) = rest.split_first()?;
        let (sign_count, mut rest) = rest.split_first_chunk::<4>()?;
        let has = |bit: u8| flags & bit != 0;
        let (is_backup_eligible, is_backed_up) = (has(0x08), has(0x10));
        if is_backed_up && !is_backup_eligible {
            return None;
        }
        let mut attested = None;
        if has(0x40) {
            // What make it is: not asked for.
            let (_, after) = rest.split_at_checked(16)?;
            let (length, after) = after.split_first_chunk::<2>()?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (id, after) = after.split_at_checked(length).filter(|_| (1..=CREDENTIAL_ID_MAX).contains(&length))?;
            let (_, behind) = cbor::take(after)?;
            attested = Some((id, &after[..after.len() - behind.len()]));
            rest = behind;
        }
        if has(0x80) {
            (_, rest) = cbor::take(rest)?;
        }
        rest.is_empty().then(|| Self {
            relying_party,
            is_present: has(0x01),
            is_verified: has(0x04),
            is_backed_up,
            sign_count: u32::from_be_bytes(*sign_count),
            attested,
        })
    }
}

fn descriptor(id: &[u8], transports: &[String]) -> Json {
    json!({ "type": "public-key", "id": encode(id), "transports": transports })
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// base64url, as browsers write bytes in JSON.
///
/// # Errors
/// [`Refusal::Unreadable`].
pub(super) fn decoded(text: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| Refusal::Unreadable)
}
