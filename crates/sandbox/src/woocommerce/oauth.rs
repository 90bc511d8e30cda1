//! OAuth 1.0a signatures as WooCommerce computes them.

use super::query::{Query, Value, rawurlencode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

/// The base string: method, address, and all parameters but the signature, sorted by their raw names.
pub(super) fn base_string(method: &str, url: &str, params: &Query) -> String {
    let mut sorted: Vec<&(String, Value)> = params.0.iter().filter(|(name, _)| name != "oauth_signature").collect();
    sorted.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
    let mut pairs = vec![];
    for (name, value) in sorted {
        join(&mut pairs, &rawurlencode(name), value);
    }
    format!("{}&{}&{}", method.to_ascii_uppercase(), rawurlencode(url), pairs.join("%26"))
}

/// Names of nested parameters get their brackets already encoded; everything is encoded once more.
fn join(pairs: &mut Vec<String>, name: &str, value: &Value) {
    match value {
        Value::Text(text) => pairs.push(rawurlencode(&format!("{name}={}", rawurlencode(text)))),
        Value::Map(entries) => {
            for (key, value) in entries {
                join(pairs, &format!("{name}%5B{key}%5D"), value);
            }
        }
    }
}

/// The signature in base64, or `None` for a method that is not known.
pub(super) fn sign(signature_method: &str, consumer_secret: &str, base_string: &str) -> Option<String> {
    let key = format!("{consumer_secret}&");
    let mac = match signature_method {
        "HMAC-SHA256" => hmac::<Hmac<Sha256>>(key.as_bytes(), base_string.as_bytes()),
        "HMAC-SHA1" => hmac::<Hmac<Sha1>>(key.as_bytes(), base_string.as_bytes()),
        _ => return None,
    };
    mac.map(|mac| STANDARD.encode(mac))
}

fn hmac<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    mac.update(data);
    Some(mac.finalize().into_bytes().to_vec())
}
