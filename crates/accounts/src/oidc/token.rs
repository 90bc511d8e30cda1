//! A signed token (RFC 7519, RFC 7515, OpenID Connect Core 1.0): its form before anything of it is believed, its claims after
//! the signature held. What is to be looked out for is RFC 8725's list.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration};
use jsonwebtoken::{Algorithm, Validation};
use kernel::Time;
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::{Map, Value};

use super::{
    keys::{self, KID_BYTES_MAX, Key},
    settings::{EmailVerified, IssuerSettings, NO_SHARED_SECRETS},
};
use crate::sessions::model::is_address;

/// Tokens are shorter, also those with many groups in them.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
const SUBJECT_BYTES_MAX: usize = 255;
/// How far an issuer's clock may be off.
const LEEWAY: Duration = Duration::seconds(60);
/// How long a token is taken after it was issued, whatever it says itself: by then it has to be a fresh one, and signing out is
/// remembered for longer (`kit::retention`).
const AGE_MAX: Duration = Duration::hours(24);

/// Why a token is not taken. The words are for whoever sent it; they quote nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it is not a signed token of three parts")]
    Form,
    #[error("it needs something that is not understood here (crit, zip, enc or b64 in its header)")]
    Critical,
    #[error("its typ says that it is for something else than to sign in")]
    Type,
    #[error("it is not signed with an algorithm that its issuer is configured for")]
    Algorithm,
    #[error("{NO_SHARED_SECRETS}")]
    SharedSecret,
    #[error("its issuer is none that is configured here")]
    Issuer,
    #[error("its issuer has published no such key")]
    Key,
    #[error("its signature does not hold")]
    Signature,
    #[error("it lacks a claim that is needed (iss, sub, aud, exp, iat), or one has another form")]
    Claims,
    #[error("it was made for another audience")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet, or was issued in the future: compare the clocks")]
    TooEarly,
    #[error("it was issued more than a day ago")]
    TooOld,
    #[error("it is of an anonymous visitor, who is nobody here")]
    Anonymous,
}

impl Refused {
    /// For the metric.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Critical => "critical",
            Self::Type => "type",
            Self::Algorithm => "algorithm",
            Self::SharedSecret => "shared_secret",
            Self::Issuer => "issuer",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::TooEarly => "too_early",
            Self::TooOld => "too_old",
            Self::Anonymous => "anonymous",
        }
    }
}

/// What a header says. Keys in it, or addresses of keys (`jwk`, `jku`, `x5c`, `x5u`), are not read: they are the sender's.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
    #[serde(default, deserialize_with = "is_there")]
    b64: bool,
    #[serde(default, deserialize_with = "is_there")]
    zip: bool,
    #[serde(default, deserialize_with = "is_there")]
    enc: bool,
}

/// Also where it is null.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|IgnoredAny| true)
}

/// A token of which only the form is known.
pub(super) struct Unproved<'t> {
    text: &'t str,
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    /// To choose by whose keys it is checked; proved again with the signature.
    pub(super) issuer: String,
}

/// Whether a text claims to be such a token: three parts, of which the first begins as an object of JSON does in base64.
pub(super) fn is_claimed(text: &str) -> bool {
    text.starts_with("ey") && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Reads a token's form.
///
/// # Errors
/// [`Refused`] with the first thing that is wrong.
pub(super) fn parse(text: &str) -> Result<Unproved<'_>, Refused> {
    #[derive(Deserialize)]
    struct Claimed {
        iss: String,
    }
    if text.len() > TOKEN_BYTES_MAX {
        return Err(Refused::Form);
    }
    let parts: Vec<&str> = text.split('.').collect();
    let [header, claims, signature] = parts[..] else { return Err(Refused::Form) };
    // Strict: no padding, no other alphabet, no bits left over, so that one token has one spelling.
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Form);
    let header: Header = serde_json::from_slice(&decoded(header)?).map_err(|_| Refused::Form)?;
    if header.crit || header.b64 || header.zip || header.enc {
        return Err(Refused::Critical);
    }
    if header.alg.starts_with("HS") {
        return Err(Refused::SharedSecret);
    }
    let algorithm = keys::algorithm(&header.alg).ok_or(Refused::Algorithm)?;
    if decoded(signature)?.is_empty() {
        return Err(Refused::Form);
    }
    if !header.typ.as_deref().is_none_or(is_for_access) {
        return Err(Refused::Type);
    }
    if header.kid.as_ref().is_some_and(|kid| kid.len() > KID_BYTES_MAX) {
        return Err(Refused::Key);
    }
    let Claimed { iss } = serde_json::from_slice(&decoded(claims)?).map_err(|_| Refused::Claims)?;
    Ok(Unproved { text, algorithm, kid: header.kid, issuer: iss })
}

/// Others are made for something else, by the same keys: logout tokens, security events, proofs of possession.
fn is_for_access(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// What a token proves of its person.
pub(crate) struct Proved {
    pub(crate) subject: String,
    pub(crate) issued_at: Time,
    /// In lower case; only where it is the person's for sure.
    pub(crate) verified_email: Option<String>,
    pub(crate) name: Option<String>,
}

impl Unproved<'_> {
    /// Checks the signature, then what was signed.
    ///
    /// # Errors
    /// [`Refused`].
    pub(super) fn prove(&self, key: &Key, issuer: &IssuerSettings, now: Time) -> Result<Proved, Refused> {
        // Times and audience are ours to check, by our clock: the library reads the machine's.
        let mut validation = Validation::new(self.algorithm);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let token =
            jsonwebtoken::decode::<Claims>(self.text, &key.decoding, &validation).map_err(|error| {
                match error.kind() {
                    jsonwebtoken::errors::ErrorKind::Json(_) => Refused::Claims,
                    _ => Refused::Signature,
                }
            })?;
        accept(token.claims, issuer, now)
    }
}

fn accept(claims: Claims, issuer: &IssuerSettings, now: Time) -> Result<Proved, Refused> {
    if claims.iss != issuer.issuer {
        return Err(Refused::Issuer);
    }
    let is_ours = |audience: &String| issuer.audiences.contains(audience);
    let is_for_us = match &claims.aud {
        Audience::One(audience) => is_ours(audience),
        Audience::Many(audiences) => audiences.iter().any(is_ours),
    };
    if !is_for_us {
        return Err(Refused::Audience);
    }
    let (expires_at, issued_at) = (time(claims.exp)?, time(claims.iat)?);
    let not_before = claims.nbf.map(time).transpose()?;
    if expires_at + LEEWAY <= now {
        return Err(Refused::Expired);
    }
    if issued_at - LEEWAY > now || not_before.is_some_and(|from| from - LEEWAY > now) {
        return Err(Refused::TooEarly);
    }
    if issued_at + AGE_MAX <= now {
        return Err(Refused::TooOld);
    }
    let is_subject = (1..=SUBJECT_BYTES_MAX).contains(&claims.sub.len()) && !claims.sub.chars().any(char::is_control);
    if !is_subject || claims.sub.trim().is_empty() {
        return Err(Refused::Claims);
    }
    let others = claims.others;
    // Supabase's; whatever is not clearly a no is taken for a yes.
    if others.get("is_anonymous").is_some_and(|value| !matches!(value, Value::Bool(false) | Value::Null)) {
        return Err(Refused::Anonymous);
    }
    Ok(Proved {
        verified_email: verified_email(&others, issuer),
        name: others.get("name").and_then(Value::as_str).and_then(plain_name),
        subject: claims.sub,
        issued_at,
    })
}

/// The e-mail, where the issuer or the operator vouches for it. What a person can write into a token themselves, such as Supabase's
/// `user_metadata`, vouches for nothing.
fn verified_email(claims: &Map<String, Value>, issuer: &IssuerSettings) -> Option<String> {
    let is_verified = match issuer.email_verified {
        EmailVerified::Always => true,
        EmailVerified::Never => false,
        EmailVerified::Claim => match claims.get("email_verified") {
            Some(Value::Bool(is_verified)) => *is_verified,
            // Amazon's Cognito.
            Some(Value::String(text)) => text == "true",
            _ => false,
        },
    };
    let email = claims.get(&issuer.email_claim)?.as_str()?.trim().to_lowercase();
    (is_verified && is_address(&email)).then_some(email)
}

fn plain_name(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|c| !c.is_control()).take(200).collect();
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Seconds since 1970, which may have a fraction (RFC 7519, section 2).
fn time(seconds: f64) -> Result<Time, Refused> {
    // Three thousand years in both directions; PostgreSQL and the sums above hold them.
    let is_a_time = seconds.is_finite() && seconds.abs() < 1e11;
    let moment = is_a_time.then(|| DateTime::from_timestamp_micros((seconds * 1e6) as i64)).flatten();
    moment.ok_or(Refused::Claims)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn issuer(more: &str) -> IssuerSettings {
        let text = format!(r#"{{"issuers": [{{"issuer": "https://id.example", "audiences": ["us", "we"]{more}}}]}}"#);
        IssuerSettings::read(&text).unwrap().remove(0)
    }

    fn now() -> Time {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn claims(change: impl FnOnce(&mut Value)) -> Result<Proved, Refused> {
        claims_of(change, &issuer(""))
    }

    fn claims_of(change: impl FnOnce(&mut Value), issuer: &IssuerSettings) -> Result<Proved, Refused> {
        let mut claims = json!({ "iss": "https://id.example", "sub": "7", "aud": "us", "exp": 1_800_000_600, "iat": 1_800_000_000,
            "email": "Kata@People.example", "email_verified": true });
        change(&mut claims);
        accept(serde_json::from_value(claims).map_err(|_| Refused::Claims)?, issuer, now())
    }

    fn refused(change: impl FnOnce(&mut Value)) -> Refused {
        claims(change).err().expect("refused")
    }

    #[test]
    fn times_have_a_minute_of_leeway_and_no_more() {
        for (claim, seconds, expected) in [
            ("exp", -59, None),
            ("exp", -60, Some(Refused::Expired)),
            ("iat", 60, None),
            ("iat", 61, Some(Refused::TooEarly)),
            ("nbf", 60, None),
            ("nbf", 61, Some(Refused::TooEarly)),
            ("iat", -86_399, None),
            ("iat", -86_400, Some(Refused::TooOld)),
        ] {
            let found = claims(|claims| claims[claim] = json!(1_800_000_000 + seconds)).err();
            assert_eq!(found, expected, "{claim} {seconds}");
        }
        assert!(claims(|claims| claims["exp"] = json!(1_800_000_600.75)).is_ok());
        for (claim, value) in [
            ("exp", json!("1800000600")),
            ("exp", json!(1e300)),
            ("exp", json!(null)),
            ("iat", json!(null)),
            ("iat", json!(-1e12)),
            ("nbf", json!("soon")),
        ] {
            assert_eq!(refused(|claims| claims[claim] = value.clone()), Refused::Claims, "{claim} {value}");
        }
    }

    #[test]
    fn a_token_is_of_one_issuer_for_us_and_about_somebody() {
        assert_eq!(refused(|claims| claims["iss"] = json!("https://id.example/")), Refused::Issuer);
        for audience in [json!("others"), json!([]), json!(["others"]), json!("US")] {
            assert_eq!(refused(|claims| claims["aud"] = audience.clone()), Refused::Audience, "{audience}");
        }
        assert!(claims(|claims| claims["aud"] = json!(["others", "we"])).is_ok());
        for subject in [json!(""), json!(" "), json!("a\u{0}"), json!("x".repeat(256)), json!(7), json!(null)] {
            assert_eq!(refused(|claims| claims["sub"] = subject.clone()), Refused::Claims, "{subject}");
        }
        for anonymous in [json!(true), json!("false"), json!(1)] {
            assert_eq!(refused(|claims| claims["is_anonymous"] = anonymous.clone()), Refused::Anonymous);
        }
        assert!(claims(|claims| claims["is_anonymous"] = json!(false)).is_ok());
    }

    #[test]
    fn an_email_counts_where_somebody_vouches_for_it_who_may() {
        let email = |change: fn(&mut Value), more: &str| claims_of(change, &issuer(more)).unwrap().verified_email;
        assert_eq!(email(|_| (), "").as_deref(), Some("kata@people.example"));
        assert_eq!(
            email(|claims| claims["email_verified"] = json!("true"), "").as_deref(),
            Some("kata@people.example")
        );
        for unverified in [json!(false), json!("yes"), json!(1), json!(null)] {
            let found = claims(|claims| claims["email_verified"] = unverified.clone()).unwrap();
            assert_eq!(found.verified_email, None, "{unverified}");
        }
        // What the person writes themselves.
        let own = |claims: &mut Value| {
            claims["email_verified"].take();
            claims["user_metadata"] = json!({ "email_verified": true });
        };
        assert_eq!(email(own, ""), None);
        assert!(email(own, r#", "email_verified": "always""#).is_some());
        assert_eq!(email(|_| (), r#", "email_verified": "never""#), None);
        assert_eq!(email(|claims| claims["email"] = json!("no address"), ""), None);
        assert_eq!(email(|claims| claims["email"] = json!(["a@b.example"]), ""), None);
    }
}
