//! OAuth 1.0a with one leg (RFC 5849 without a token), as WooCommerce reads it on shops without https.
//! <https://woocommerce.github.io/woocommerce-rest-api-docs/#authentication-over-http>

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use kernel::Time;
use sha1::Sha1;
use url::Url;

use super::hmac_sha256;
use crate::credential::KeyPair;

/// The two algorithms that WooCommerce takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    HmacSha256,
    /// For other servers; WooCommerce takes the stronger one since its first REST API.
    HmacSha1,
}

/// One signature. A request that is sent again needs a new one: the shop takes each nonce once.
pub struct OAuth1<'a> {
    pub keys: &'a KeyPair,
    pub algorithm: Algorithm,
    /// The shop's own address as its settings have it, scheme included: the shop computes the signature over this and the
    /// request's path, whatever host was called (`www`, a proxy that ends TLS).
    pub home: &'a Url,
    /// At most 15 minutes from the shop's clock.
    pub now: Time,
    /// 32 characters from [`kernel::random::base62`].
    pub nonce: &'a str,
}

impl OAuth1<'_> {
    /// The same URL, with the proof in its query. A body of JSON is not part of it.
    ///
    /// Lists must come as `include=1,2`, or else `include[]=1` is sent as `include[0]=1`, which is what PHP makes of it
    /// before it checks. Of a name that comes twice the last value is sent, which is the one that PHP keeps.
    pub fn sign(&self, method: &Method, url: &Url) -> Url {
        let mut pairs = parameters(url);
        let algorithm = match self.algorithm {
            Algorithm::HmacSha256 => "HMAC-SHA256",
            Algorithm::HmacSha1 => "HMAC-SHA1",
        };
        pairs.push(("oauth_consumer_key".to_owned(), self.keys.key.expose().to_owned()));
        pairs.push(("oauth_nonce".to_owned(), self.nonce.to_owned()));
        pairs.push(("oauth_signature_method".to_owned(), algorithm.to_owned()));
        pairs.push(("oauth_timestamp".to_owned(), self.now.timestamp().to_string()));
        // Only the outer names are sorted: `include[2]` stays before `include[10]`.
        pairs.sort_by(|(a, _), (b, _)| outer(a).cmp(outer(b)));

        let signature = self.signature(&self.base_string(method, url, &pairs));
        pairs.push(("oauth_signature".to_owned(), signature));
        let mut signed = url.clone();
        signed.set_query(Some(&encode_pairs(&pairs)));
        signed
    }

    fn base_string(&self, method: &Method, url: &Url, pairs: &[(String, String)]) -> String {
        let (origin, query) = (self.home.origin().ascii_serialization(), encode_pairs(pairs));
        let mut base = String::with_capacity(origin.len() + url.path().len() + 2 * query.len());
        base.push_str(method.as_str());
        base.push('&');
        encode_to(&mut base, &origin);
        encode_to(&mut base, url.path());
        base.push('&');
        encode_to(&mut base, &query);
        base
    }

    fn signature(&self, base_string: &str) -> String {
        // The empty text after the ampersand is the secret of the token that one-legged requests do not have.
        let key = kernel::Secret::new(format!("{}&", encode(self.keys.secret.expose())));
        match self.algorithm {
            Algorithm::HmacSha256 => STANDARD.encode(hmac_sha256(&key, base_string.as_bytes()).finalize().into_bytes()),
            Algorithm::HmacSha1 => {
                let mut mac =
                    Hmac::<Sha1>::new_from_slice(key.expose().as_bytes()).expect("HMAC takes keys of any length");
                mac.update(base_string.as_bytes());
                STANDARD.encode(mac.finalize().into_bytes())
            }
        }
    }
}

/// The query as PHP understands it.
fn parameters(url: &Url) -> Vec<(String, String)> {
    let mut pairs = Vec::<(String, String)>::new();
    for (name, value) in url.query_pairs() {
        let name = match name.strip_suffix("[]") {
            Some(list) => {
                let count = pairs.iter().filter(|(known, _)| outer(known) == list).count();
                format!("{list}[{count}]")
            }
            None => name.into_owned(),
        };
        pairs.retain(|(known, _)| *known != name);
        pairs.push((name, value.into_owned()));
    }
    pairs
}

fn outer(name: &str) -> &str {
    name.split('[').next().unwrap_or(name)
}

fn encode_pairs(pairs: &[(String, String)]) -> String {
    let mut out = String::with_capacity(pairs.iter().map(|(name, value)| name.len() + value.len() + 16).sum());
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        encode_to(&mut out, name);
        out.push('=');
        encode_to(&mut out, value);
    }
    out
}

/// RFC 3986, section 2.3: everything but letters, digits and `-._~` as `%XX` of its UTF-8 bytes.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 2);
    encode_to(&mut out, text);
    out
}

fn encode_to(out: &mut String, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !is_kept(byte)) {
        out.push_str(&rest[..at]);
        let character = rest[at..].chars().next().map_or(1, char::len_utf8);
        for byte in rest[at..at + character].bytes() {
            out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]].map(char::from));
        }
        rest = &rest[at + character..];
    }
    out.push_str(rest);
}
