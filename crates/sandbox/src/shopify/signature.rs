//! Signatures that Shopify puts on query strings and webhook bodies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Orders the parameters by name and joins them as `k=v` with `&`: the text that is signed.
///
/// Values are encoded as in a URL, with blanks as `%20`; the brackets of `ids[]` stay.
pub fn message(params: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = params.iter().filter(|(name, _)| name != "hmac" && name != "signature").collect();
    sorted.sort();
    let pairs: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.join("&")
}

/// The `hmac` parameter for a query string: HMAC-SHA256 of [`message`], lower-case hex.
pub fn query_hmac(secret: &str, params: &[(String, String)]) -> String {
    hex::encode(sign(secret, message(params).as_bytes()))
}

/// The `X-Shopify-Hmac-Sha256` header for a webhook body: HMAC-SHA256 of the raw bytes, base64.
pub fn webhook_hmac(secret: &str, body: &[u8]) -> String {
    STANDARD.encode(sign(secret, body))
}

/// Adds `hmac` and writes the whole query string.
pub(crate) fn signed_query(secret: &str, mut params: Vec<(String, String)>) -> String {
    let hmac = query_hmac(secret, &params);
    params.push(("hmac".into(), hmac));
    params.sort();
    let pairs: Vec<String> = params.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.join("&")
}

fn sign(secret: &str, message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn encode(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::{message, query_hmac, webhook_hmac};

    fn params(query: &str) -> Vec<(String, String)> {
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    /// The vectors of Shopify's documentation and of its libraries' tests, key `hush`.
    #[test]
    fn query_strings_are_signed_as_documented() {
        for (query, hmac) in [
            (
                "timestamp=1337178173&code=0907a61c0c8d55e99db179b68161bc00&shop=some-shop.myshopify.com&state=0.6784241404160823&hmac=x",
                "700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf",
            ),
            (
                "code=0907a61c0c8d55e99db179b68161bc00&shop=some-shop.myshopify.com&timestamp=1337178173",
                "4712bf92ffc2917d15a2f5a273e39f0116667419aa4b6ac0b3baaf26fa3c4d20",
            ),
            (
                "code=abc&host=YWRtaW4uc2hvcGlmeS5jb20vc3RvcmUvc29tZS1zaG9w&shop=some-shop.myshopify.com&state=n1&timestamp=1700000000",
                "0af9daaaeeb4b84914e4ae9c686e6dd54e9d2d540fb8ec8a9b336599e3850ace",
            ),
        ] {
            assert_eq!(query_hmac("hush", &params(query)), hmac, "{query}");
        }
    }

    #[test]
    fn blanks_are_percent_encoded_in_the_signed_text() {
        assert_eq!(message(&params("b=x%20y&a=1%2F2")), "a=1%2F2&b=x%20y");
    }

    #[test]
    fn webhook_bodies_are_signed_as_documented() {
        for (body, hmac) in [
            (r#"{"id":820982911946154508,"email":"jon@example.com"}"#, "D0UMXmhjwBRi4y66TmhJrDlhQABD7zI2fm3p6/QLMo8="),
            ("{}", "UFwgrGBPZilFtmKh8TqcovA78LGYb1BdWu9I4Q2oyRg="),
            ("{\"name\":\"Kovács Ödön\"}", "rhEOd5zIlOQzm2N1VAQBZL95UK5Vsr1Ev2Uf/HoRx7I="),
        ] {
            assert_eq!(webhook_hmac("hush", body.as_bytes()), hmac);
        }
    }
}
