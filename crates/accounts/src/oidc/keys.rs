//! An issuer's keys (RFC 7517), each pinned to one algorithm: what a token says of itself never chooses how it is checked.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Keys of one set that are looked at; issuers have two or three.
const KEYS_MAX: usize = 100;
/// The longest `kid` that is compared, in bytes.
pub(super) const KID_BYTES_MAX: usize = 255;

/// The algorithms that are taken: signatures with a key that everybody may know (RFC 7518, section 3.1; RFC 8037).
const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("EdDSA", Algorithm::EdDSA),
];

/// The algorithm of this name, in exactly this spelling.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
}

/// A key of an issuer.
pub(super) struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

/// The keys that an issuer has published.
pub(super) struct KeySet(Vec<Key>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// The members that matter here. Others, such as certificates, are not looked at.
#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl KeySet {
    /// Reads a key set. Keys that are for something else, of another kind or too weak are left out, as RFC 7517, section 5, asks.
    /// None for what is no key set.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(body).ok()?;
        if document.keys.len() > KEYS_MAX {
            return None;
        }
        let written = document.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Some(Self(written.filter_map(usable).collect()))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether any key has this name; of tokens without one, whether there is any key.
    pub(super) fn knows(&self, kid: Option<&str>) -> bool {
        match kid {
            Some(kid) => self.0.iter().any(|key| key.kid.as_deref() == Some(kid)),
            None => !self.0.is_empty(),
        }
    }

    /// The one key of this name and algorithm. A token without a name is checked only where there is nothing to choose.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let mut fitting = self
            .0
            .iter()
            .filter(|key| key.algorithm == algorithm && kid.is_none_or(|kid| key.kid.as_deref() == Some(kid)));
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    }
}

fn usable(written: Written) -> Option<Key> {
    let is_for_signatures = written.usage.as_deref().is_none_or(|usage| usage == "sig")
        && written.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    let is_named = written.kid.as_ref().is_none_or(|kid| kid.len() <= KID_BYTES_MAX);
    if !is_for_signatures || !is_named {
        return None;
    }
    let (algorithm, decoding) = match (written.kty.as_str(), written.crv.as_deref()) {
        ("EC", Some("P-256")) => (Algorithm::ES256, elliptic(&written, 32)?),
        ("EC", Some("P-384")) => (Algorithm::ES384, elliptic(&written, 48)?),
        ("OKP", Some("Ed25519")) => {
            let x = written.x.as_deref()?;
            (Algorithm::EdDSA, of_length(x, 32..=32).and_then(|_| DecodingKey::from_ed_components(x).ok())?)
        }
        ("RSA", _) => {
            // A set need not say it (Microsoft's does not); RS256 is what every issuer has to support.
            let algorithm = match written.alg.as_deref() {
                Some(name) => algorithm(name).filter(|algorithm| is_rsa(*algorithm))?,
                None => Algorithm::RS256,
            };
            (algorithm, rsa(&written)?)
        }
        _ => return None,
    };
    let declared = written.alg.as_deref();
    let is_as_declared = declared.is_none_or(|name| self::algorithm(name) == Some(algorithm) || name == "Ed25519");
    is_as_declared.then_some(Key { kid: written.kid, algorithm, decoding })
}

fn is_rsa(algorithm: Algorithm) -> bool {
    use Algorithm::{PS256, PS384, PS512, RS256, RS384, RS512};
    matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512)
}

fn elliptic(written: &Written, bytes: usize) -> Option<DecodingKey> {
    let (x, y) = (written.x.as_deref()?, written.y.as_deref()?);
    of_length(x, bytes..=bytes)?;
    of_length(y, bytes..=bytes)?;
    DecodingKey::from_ec_components(x, y).ok()
}

/// 2048 to 8192 bits.
fn rsa(written: &Written) -> Option<DecodingKey> {
    let strip = |bytes: Vec<u8>| bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
    let modulus = strip(of_length(written.n.as_deref()?, 1..=1025)?);
    let exponent = strip(of_length(written.e.as_deref()?, 1..=8)?);
    let is_strong = (256..=1024).contains(&modulus.len()) && (modulus.len() > 256 || modulus[0] >= 0x80);
    (is_strong && !exponent.is_empty()).then(|| DecodingKey::from_rsa_raw_components(&modulus, &exponent))
}

fn of_length(text: &str, bytes: std::ops::RangeInclusive<usize>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok().filter(|decoded| bytes.contains(&decoded.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(keys: Value) -> KeySet {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    fn ec(kid: &str) -> Value {
        let coordinate = URL_SAFE_NO_PAD.encode([7; 32]);
        json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": coordinate, "y": coordinate })
    }

    fn rsa_of(bytes: usize) -> Value {
        json!({ "kty": "RSA", "kid": "r", "n": URL_SAFE_NO_PAD.encode(vec![0xc1; bytes]), "e": "AQAB" })
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    #[test]
    fn a_key_is_pinned_to_one_algorithm() {
        let keys = set(json!([ec("a"), rsa_of(256)]));
        assert_eq!(keys.len(), 2);
        assert!(keys.find(Some("a"), Algorithm::ES256).is_some());
        assert!(keys.find(Some("r"), Algorithm::RS256).is_some());
        for wrong in [Algorithm::RS256, Algorithm::HS256, Algorithm::ES384, Algorithm::EdDSA] {
            assert!(keys.find(Some("a"), wrong).is_none());
        }
        for wrong in [Algorithm::PS256, Algorithm::RS512, Algorithm::HS256, Algorithm::ES256] {
            assert!(keys.find(Some("r"), wrong).is_none());
        }
    }

    #[test]
    fn keys_that_are_for_something_else_or_too_weak_are_left_out() {
        for key in [
            json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "a" }),
            json!({ "kty": "EC", "crv": "secp256k1", "kid": "a", "x": "AA", "y": "AA" }),
            json!({ "kty": "EC", "crv": "P-256", "kid": "a", "x": "AA", "y": "AA" }),
            json!({ "kty": "EC", "crv": "P-256", "kid": "a" }),
            json!("a text"),
            with(ec("a"), "use", json!("enc")),
            with(ec("a"), "key_ops", json!(["sign"])),
            with(ec("a"), "alg", json!("HS256")),
            with(ec("a"), "alg", json!("RS256")),
            with(ec(&"a".repeat(256)), "use", json!("sig")),
            with(rsa_of(256), "alg", json!("HS256")),
            with(rsa_of(256), "alg", json!("none")),
            rsa_of(128),
            rsa_of(2048),
        ] {
            assert_eq!(set(json!([key])).len(), 0, "{key}");
        }
        assert_eq!(set(json!([with(ec("a"), "alg", json!("ES256")), with(ec("b"), "use", json!("sig"))])).len(), 2);
    }

    #[test]
    fn a_token_without_a_name_is_checked_only_where_there_is_one_key() {
        assert!(set(json!([ec("a"), rsa_of(256)])).find(None, Algorithm::ES256).is_some());
        assert!(set(json!([ec("a"), ec("b")])).find(None, Algorithm::ES256).is_none());
        // Nor is one of two with the same name chosen.
        assert!(set(json!([ec("a"), ec("a")])).find(Some("a"), Algorithm::ES256).is_none());
    }

    #[test]
    fn what_is_no_key_set_is_none() {
        for body in ["", "[]", "{}", r#"{"keys": {}}"#, "<html>"] {
            assert!(KeySet::parse(body.as_bytes()).is_none(), "{body}");
        }
        let many = json!({ "keys": vec![ec("a"); 101] }).to_string();
        assert!(KeySet::parse(many.as_bytes()).is_none());
    }
}
