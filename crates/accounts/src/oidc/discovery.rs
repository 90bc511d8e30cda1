//! Where an issuer's keys are (OpenID Connect Discovery 1.0, section 4), and fetching them.

use connector::{
    ProviderError,
    http::{Class, Http, Request, Response},
};
use http::{HeaderValue, header::ACCEPT};
use serde::Deserialize;
use url::Url;

use super::{keys::KeySet, settings};
use crate::oidc::IssuerSettings;

/// An issuer's keys cannot be had. The words are for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    #[error("{place} cannot be fetched: {detail}")]
    Failed { place: &'static str, detail: String },
    #[error("{place} is not what it should be: {detail}")]
    Unusable { place: &'static str, detail: &'static str },
}

const DOCUMENT: &str = "the discovery document (/.well-known/openid-configuration)";
const KEYS: &str = "the key set";

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

/// Fetches an issuer's keys, for `doctor`. How many of them can be used.
///
/// # Errors
/// [`Unreachable`].
pub async fn reach(settings: &IssuerSettings, http: &Http) -> Result<usize, Unreachable> {
    fetch(settings, http).await.map(|keys| keys.len())
}

pub(super) async fn fetch(settings: &IssuerSettings, http: &Http) -> Result<KeySet, Unreachable> {
    let url = match &settings.jwks_url {
        Some(url) => url.clone(),
        None => discover(settings, http).await?,
    };
    let answer = get(http, url, KEYS).await?;
    let unusable = |detail| Unreachable::Unusable { place: KEYS, detail };
    let keys = KeySet::parse(&answer.body).ok_or(unusable("it is no JSON Web Key Set"))?;
    if keys.len() == 0 {
        return Err(unusable(
            "no key in it can be used. At Supabase that means that the project still signs with its shared secret (HS256): \
             rotate to an asymmetric signing key",
        ));
    }
    Ok(keys)
}

async fn discover(settings: &IssuerSettings, http: &Http) -> Result<Url, Unreachable> {
    let unusable = |detail| Unreachable::Unusable { place: DOCUMENT, detail };
    let address = format!("{}/.well-known/openid-configuration", settings.issuer.trim_end_matches('/'));
    let address = settings::address(&address, settings.private_network)
        .map_err(|detail| Unreachable::Failed { place: DOCUMENT, detail })?;
    let answer = get(http, address, DOCUMENT).await?;
    let document: Document = answer.json().map_err(|_| unusable("it is not JSON with issuer and jwks_uri in it"))?;
    // Section 4.3: or one issuer could speak for another.
    if document.issuer != settings.issuer {
        return Err(unusable(
            "it names another issuer than the settings; they must be the same, character by character",
        ));
    }
    settings::address(&document.jwks_uri, settings.private_network)
        .map_err(|_| unusable("its jwks_uri is not an https address that may be called"))
}

async fn get(http: &Http, url: Url, place: &'static str) -> Result<Response, Unreachable> {
    let request = Request::get(url).class(Class::Keys).header(ACCEPT, HeaderValue::from_static("application/json"));
    let failed = |detail: String| Unreachable::Failed { place, detail };
    let answer = http.send(request).await.map_err(|error| failed(words(error)))?;
    if answer.status.as_u16() != 200 {
        return Err(failed(format!("the answer's status is {}", answer.status.as_u16())));
    }
    Ok(answer)
}

/// Without the words about shops, which the client's errors are usually about.
fn words(error: ProviderError) -> String {
    match error {
        ProviderError::Unavailable { detail } | ProviderError::Cut { detail } => detail.to_owned(),
        ProviderError::TimedOut { after } => format!("no answer within {} s", after.as_secs()),
        ProviderError::Rejected { detail } => detail,
        ProviderError::Malformed { path } => format!("the answer cannot be read (at {path})"),
        other => other.kind().to_owned(),
    }
}
