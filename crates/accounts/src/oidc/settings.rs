//! What the operator says of issuers: a file of JSON, read at the start.

use connector::http::parse_url;
use jsonwebtoken::Algorithm;
use serde::{Deserialize, de::IgnoredAny};
use url::Url;

use super::keys;

/// One issuer whose tokens are taken.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// As it stands in `iss`, character by character.
    pub issuer: String,
    /// What people call it.
    pub label: String,
    /// A token is for us when its `aud` names one of these.
    pub audiences: Vec<String>,
    /// Never one with a shared secret.
    pub(super) algorithms: Vec<Algorithm>,
    /// None: the issuer's discovery document says where its keys are.
    pub(super) jwks_url: Option<Url>,
    /// The claim with the e-mail.
    pub(super) email_claim: String,
    pub(super) email_verified: EmailVerified,
    pub(crate) unknown_persons: UnknownPersons,
    /// Whether a person whom we do not know is whoever has a confirmed account with the same verified e-mail.
    pub(crate) links_by_email: bool,
    /// Whether the issuer may be in a private network, and be asked by http.
    pub private_network: bool,
}

/// When the e-mail of a token is known to be its person's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EmailVerified {
    /// When the token says `email_verified`.
    #[default]
    Claim,
    /// The operator vouches that the issuer gives tokens to nobody whose e-mail it has not verified.
    Always,
    Never,
}

/// What becomes of persons who are linked to nobody here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UnknownPersons {
    #[default]
    Refuse,
    /// They get an account with an organization of their own, if their e-mail is verified.
    SignUp,
}

/// The file cannot be used. The words are for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("it is not JSON of the form that docs/oidc.md shows: {0}")]
    Form(String),
    #[error("{issuer}: {detail}")]
    Issuer { issuer: String, detail: String },
}

/// Why no key is shared with an issuer.
pub(super) const NO_SHARED_SECRETS: &str = "it signs with a shared secret (HS256 and its like). Whoever can check such a token can also \
    make one, so Entrepot would hold the means to be anybody, and no key set publishes it. Have the issuer sign with ES256 or RS256; at \
    Supabase: Project Settings, JWT Keys, and rotate to an asymmetric signing key";

const ISSUERS_MAX: usize = 20;
const LABEL_CHARS_MAX: usize = 40;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    issuers: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    issuer: String,
    audiences: Vec<String>,
    label: Option<String>,
    algorithms: Option<Vec<String>>,
    jwks_url: Option<String>,
    email_claim: Option<String>,
    #[serde(default)]
    email_verified: EmailVerified,
    #[serde(default)]
    unknown_persons: UnknownPersons,
    #[serde(default)]
    links_by_email: bool,
    #[serde(default)]
    private_network: bool,
    /// Known so that it can be refused with the reason.
    jwt_secret: Option<IgnoredAny>,
}

impl IssuerSettings {
    /// Reads the file's text.
    ///
    /// # Errors
    /// [`SettingsError`] with the first thing that is wrong.
    pub fn read(text: &str) -> Result<Vec<Self>, SettingsError> {
        let file: File = serde_json::from_str(text).map_err(|error| SettingsError::Form(error.to_string()))?;
        if file.issuers.len() > ISSUERS_MAX {
            return Err(SettingsError::Form(format!("more than {ISSUERS_MAX} issuers")));
        }
        let mut all: Vec<Self> = vec![];
        for written in file.issuers {
            let issuer = written.issuer.clone();
            let one = Self::of(written).map_err(|detail| SettingsError::Issuer { issuer: issuer.clone(), detail })?;
            if all.iter().any(|other| other.issuer == one.issuer) {
                return Err(SettingsError::Issuer { issuer, detail: "it is there twice".to_owned() });
            }
            all.push(one);
        }
        Ok(all)
    }

    fn of(written: Written) -> Result<Self, String> {
        if written.jwt_secret.is_some() {
            return Err(NO_SHARED_SECRETS.to_owned());
        }
        let private_network = written.private_network;
        let url = address(&written.issuer, private_network).map_err(|error| format!("issuer: {error}"))?;
        if url.query().is_some() || written.issuer.contains('#') || written.issuer.len() > 500 {
            return Err("issuer: it has a query, a fragment or more than 500 characters, as no issuer has".to_owned());
        }
        if written.audiences.is_empty() || written.audiences.iter().any(|audience| audience.trim().is_empty()) {
            return Err("audiences: name at least one, or tokens that were made for others would be taken".to_owned());
        }
        let algorithms = written.algorithms.unwrap_or_else(|| ["ES256", "RS256"].map(str::to_owned).to_vec());
        let algorithms = algorithms.iter().map(|name| algorithm(name)).collect::<Result<Vec<_>, _>>()?;
        if algorithms.is_empty() {
            return Err("algorithms: name at least one, or leave them out for ES256 and RS256".to_owned());
        }
        let jwks_url = written.jwks_url.map(|text| address(&text, private_network)).transpose();
        let email_claim = written.email_claim.unwrap_or_else(|| "email".to_owned());
        if email_claim != "email" && written.email_verified == EmailVerified::Claim {
            return Err(
                "email_verified: the claim of that name speaks of `email` only; with another email_claim say always or never"
                    .to_owned(),
            );
        }
        if written.email_verified == EmailVerified::Never
            && (written.links_by_email || written.unknown_persons == UnknownPersons::SignUp)
        {
            return Err("links_by_email and unknown_persons need an e-mail that is verified".to_owned());
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let label: String = written.label.unwrap_or(host).trim().chars().take(LABEL_CHARS_MAX).collect();
        if label.is_empty() || label.chars().any(char::is_control) {
            return Err("label: it is empty, or not plain text".to_owned());
        }
        Ok(Self {
            issuer: written.issuer,
            label,
            audiences: written.audiences,
            algorithms,
            jwks_url: jwks_url.map_err(|error| format!("jwks_url: {error}"))?,
            email_claim,
            email_verified: written.email_verified,
            unknown_persons: written.unknown_persons,
            links_by_email: written.links_by_email,
            private_network,
        })
    }
}

/// https, but in a private network.
pub(super) fn address(text: &str, private_network: bool) -> Result<Url, String> {
    let url = if private_network {
        Url::parse(text).map_err(|_| "it is not a URL".to_owned())?
    } else {
        parse_url(text).map_err(|refusal| format!("{refusal}; say private_network where that is meant"))?
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if private_network => Ok(url),
        _ => Err("it must begin with https://".to_owned()),
    }
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    if name.starts_with("HS") {
        return Err(NO_SHARED_SECRETS.to_owned());
    }
    keys::algorithm(name).ok_or_else(|| format!("algorithms: {name} is none that is taken; ES256 and RS256 are usual"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(members: &str) -> Result<Vec<IssuerSettings>, SettingsError> {
        IssuerSettings::read(&format!(
            r#"{{"issuers": [{{"issuer": "https://p.supabase.co/auth/v1", "audiences": ["authenticated"]{members}}}]}}"#
        ))
    }

    #[test]
    fn an_issuer_needs_little_and_nothing_is_trusted_unsaid() {
        let [one] = &file("").unwrap()[..] else { panic!("one") };
        assert_eq!(one.label, "p.supabase.co");
        assert_eq!(one.algorithms, [Algorithm::ES256, Algorithm::RS256]);
        assert!(!one.links_by_email && !one.private_network && one.jwks_url.is_none());
        assert_eq!((one.unknown_persons, one.email_verified), (UnknownPersons::Refuse, EmailVerified::Claim));
    }

    #[test]
    fn a_shared_secret_is_refused_with_the_reason() {
        for members in [r#", "algorithms": ["HS256"]"#, r#", "jwt_secret": "super-secret""#] {
            let error = file(members).unwrap_err().to_string();
            assert!(error.contains("shared secret") && error.contains("Supabase"), "{error}");
            assert!(!error.contains("super-secret"));
        }
    }

    #[test]
    fn what_would_weaken_the_check_is_refused_with_the_field() {
        for (members, field) in [
            (r#", "algorithms": ["none"]"#, "algorithms"),
            (r#", "algorithms": []"#, "algorithms"),
            (r#", "jwks_url": "http://p.supabase.co/keys""#, "jwks_url"),
            (r#", "jwks_url": "https://127.0.0.1/keys""#, "jwks_url"),
            (r#", "email_claim": "upn""#, "email_verified"),
            (r#", "email_verified": "never", "links_by_email": true"#, "links_by_email"),
            (r#", "email_verified": "never", "unknown_persons": "sign_up""#, "unknown_persons"),
            (r#", "email_verified": "sometimes""#, "sometimes"),
            (r#", "audience": "authenticated""#, "audience"),
            (r#", "label": " ""#, "label"),
        ] {
            let error = file(members).unwrap_err().to_string();
            assert!(error.contains(field), "{members}: {error}");
        }
        for issuer in ["http://p.example", "https://p.example?a=b", "https://localhost/auth", "ftp://p.example", "p"] {
            let text = format!(r#"{{"issuers": [{{"issuer": "{issuer}", "audiences": ["a"]}}]}}"#);
            assert!(IssuerSettings::read(&text).unwrap_err().to_string().contains("issuer"), "{issuer}");
        }
        let twice = r#"{"issuer": "https://p.example", "audiences": ["a"]}"#;
        let error = IssuerSettings::read(&format!(r#"{{"issuers": [{twice}, {twice}]}}"#)).unwrap_err();
        assert!(error.to_string().contains("twice"));
        let none = r#"{"issuers": [{"issuer": "https://p.example", "audiences": []}]}"#;
        assert!(IssuerSettings::read(none).unwrap_err().to_string().contains("audiences"));
    }

    #[test]
    fn a_private_network_is_reached_only_where_the_operator_says_so() {
        let text = |more: &str| {
            format!(r#"{{"issuers": [{{"issuer": "http://127.0.0.1:54321/auth/v1", "audiences": ["a"]{more}}}]}}"#)
        };
        assert!(IssuerSettings::read(&text("")).is_err());
        assert!(IssuerSettings::read(&text(r#", "private_network": true"#)).is_ok());
    }
}
