use std::{env, fs, path::PathBuf};

use chrono::{TimeZone, Utc};
use http::Method;
use kernel::Secret;
use url::Url;

use super::{
    oauth1::{Algorithm, OAuth1, encode},
    query, sign_base64, sign_hex, verify_base64, verify_hex,
};
use crate::{credential::KeyPair, provider::Unverified};

fn hush() -> Secret {
    Secret::new("hush")
}

#[test]
fn bodies_are_signed_as_webhooks_are() {
    for (body, signature) in [
        (r#"{"id":820982911946154508,"email":"jon@example.com"}"#, "D0UMXmhjwBRi4y66TmhJrDlhQABD7zI2fm3p6/QLMo8="),
        ("{}", "UFwgrGBPZilFtmKh8TqcovA78LGYb1BdWu9I4Q2oyRg="),
        (r#"{"name":"Kovács Ödön"}"#, "rhEOd5zIlOQzm2N1VAQBZL95UK5Vsr1Ev2Uf/HoRx7I="),
    ] {
        assert_eq!(sign_base64(&hush(), body.as_bytes()), signature);
        assert!(verify_base64(&hush(), body.as_bytes(), signature));
    }
}

#[test]
fn a_signature_of_something_else_or_of_somebody_else_is_refused() {
    let good = sign_hex(&hush(), b"message");
    assert!(verify_hex(&hush(), b"message", &good));
    assert!(!verify_hex(&hush(), b"messagE", &good));
    assert!(!verify_hex(&Secret::new("hush!"), b"message", &good));
    assert!(!verify_hex(&hush(), b"message", &sign_base64(&hush(), b"message")));
    for bad in ["", "00", "zz", &good[..62], &format!("{good}00"), &good.replace(&good[..1], "g")] {
        assert!(!verify_hex(&hush(), b"message", bad), "{bad}");
    }
    let good = sign_base64(&hush(), b"message");
    for bad in ["", "AA==", good.trim_end_matches('='), &format!(" {good}"), &good.to_lowercase()] {
        assert!(!verify_base64(&hush(), b"message", bad), "{bad}");
    }
}

/// A callback as Shopify sends it, in an order of its own.
const CALLBACK: &str = "hmac=700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf&timestamp=1337178173\
                        &shop=some-shop.myshopify.com&code=0907a61c0c8d55e99db179b68161bc00&state=0.6784241404160823";

#[test]
fn a_callback_is_verified_and_read() {
    let verified = query::verify(CALLBACK, &[&hush()]).ok().unwrap();
    assert_eq!(verified.one("shop"), Ok("some-shop.myshopify.com"));
    assert_eq!(verified.one("timestamp"), Ok("1337178173"));
    assert_eq!(verified.optional("host"), Ok(None));
    assert_eq!(verified.one("host"), Err(Unverified::Parameter));
}

#[test]
fn documented_callbacks_verify() {
    for (parameters, hmac) in [
        (
            "code=0907a61c0c8d55e99db179b68161bc00&shop=some-shop.myshopify.com&timestamp=1337178173",
            "4712bf92ffc2917d15a2f5a273e39f0116667419aa4b6ac0b3baaf26fa3c4d20",
        ),
        (
            "code=abc&host=YWRtaW4uc2hvcGlmeS5jb20vc3RvcmUvc29tZS1zaG9w&shop=some-shop.myshopify.com&state=n1&timestamp=1700000000",
            "0af9daaaeeb4b84914e4ae9c686e6dd54e9d2d540fb8ec8a9b336599e3850ace",
        ),
    ] {
        assert!(query::verify(&format!("{parameters}&hmac={hmac}"), &[&hush()]).is_ok(), "{parameters}");
        // The signature of old times is no part of the message.
        assert!(query::verify(&format!("signature=x&{parameters}&hmac={hmac}"), &[&hush()]).is_ok(), "{parameters}");
    }
}

#[test]
fn both_secrets_count_while_one_is_rotated() {
    let new = Secret::new("new");
    assert!(query::verify(CALLBACK, &[&new, &hush()]).is_ok());
    assert_eq!(query::verify(CALLBACK, &[&new]).err(), Some(Unverified::Signature));
    assert_eq!(query::verify(CALLBACK, &[]).err(), Some(Unverified::Signature));
}

#[test]
fn whatever_is_changed_added_or_left_out_breaks_the_signature() {
    for changed in [
        CALLBACK.replace("some-shop", "some-shoq"),
        CALLBACK.replace("&code=0907a61c0c8d55e99db179b68161bc00", ""),
        CALLBACK.replace("1337178173", "1337178174"),
        format!("{CALLBACK}&extra="),
        format!("{CALLBACK}&state=2"),
        CALLBACK.replace("hmac=7", "hmac=8"),
        CALLBACK.replace("hmac=700e", "hmac="),
        // The same bytes between other ampersands.
        CALLBACK.replace("&shop=", "%26shop="),
    ] {
        assert_eq!(query::verify(&changed, &[&hush()]).err(), Some(Unverified::Signature), "{changed}");
    }
}

#[test]
fn parameters_that_decide_come_once() {
    for name in ["hmac", "shop", "timestamp", "signature"] {
        let repeated = format!("{CALLBACK}&{name}=x&{name}=y");
        assert_eq!(query::verify(&repeated, &[&hush()]).err(), Some(Unverified::Parameter), "{name}");
    }
    assert_eq!(query::verify("shop=a.myshopify.com", &[&hush()]).err(), Some(Unverified::Parameter));
    assert_eq!(query::verify("", &[&hush()]).err(), Some(Unverified::Parameter));
}

#[test]
fn lists_blanks_and_signs_are_signed_in_one_form() {
    for (sent, message) in [
        ("ids[]=2&ids[]=1&a=x", "a=x&ids%5B%5D=2&ids%5B%5D=1"),
        ("ids%5B%5D=2&a=x&ids%5b%5d=1", "a=x&ids%5B%5D=2&ids%5B%5D=1"),
        ("b=1&a=x&b=2", "a=x&b=1%2C2"),
        ("a=x+y%20z%2Bw", "a=x%20y%20z%2Bw"),
        ("a=%26b%3D1&c=%25", "a=%26b%3D1&c=%25"),
        ("name=%C3%96d%C3%B6n*-._~", "name=%C3%96d%C3%B6n*-._%7E"),
        ("B=1&a=2", "B=1&a=2"),
        ("empty=&flag", "empty=&flag="),
    ] {
        let raw = format!("{sent}&hmac={}", sign_hex(&hush(), message.as_bytes()));
        assert!(query::verify(&raw, &[&hush()]).is_ok(), "{sent}");
    }
}

fn keys(key: &str, secret: &str) -> KeyPair {
    KeyPair { key: Secret::new(key), secret: Secret::new(secret) }
}

fn sign(algorithm: Algorithm, home: &str, url: &str) -> Url {
    let home = Url::parse(home).unwrap();
    let signer = OAuth1 {
        keys: &keys("ck_0f1e2d", "cs_c3b4a5"),
        algorithm,
        home: &home,
        now: Utc.timestamp_opt(1_760_000_000, 0).unwrap(),
        nonce: "0123456789abcdefghijABCDEFGHIJ01",
    };
    signer.sign(&Method::GET, &Url::parse(url).unwrap())
}

fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
}

/// Signatures of this test's own making, computed by another implementation of RFC 5849.
#[test]
fn oauth_signs_as_others_do() {
    let url = "http://shop.example/wp-json/wc/v3/orders?page=2&search=%C3%96d%C3%B6n+%26+fia%2B1+~*&after=2026-01-02T03:04:05Z";
    for (algorithm, signature) in [
        (Algorithm::HmacSha256, "4GtABCZ+hLNgVe9B29HPKKcLiizJ7E29yr4u5k0Rwag="),
        (Algorithm::HmacSha1, "nKJ71PuEkSvb9lG+r3AKjKUdrY0="),
    ] {
        let signed = sign(algorithm, "http://shop.example/", url);
        assert_eq!(parameter(&signed, "oauth_signature"), signature);
        assert_eq!(parameter(&signed, "search"), "Ödön & fia+1 ~*");
        assert!(signed.as_str().contains("search=%C3%96d%C3%B6n%20%26%20fia%2B1%20~%2A"), "{signed}");
    }
}

/// Called by https on a bare host; the shop calls itself otherwise, and its path begins with a folder.
#[test]
fn oauth_signs_for_the_shops_own_address_and_in_the_order_of_php() {
    let list: String = (0..12).map(|n| format!("include[]={}&", n * 3)).collect();
    let url = format!("https://shop.example/sub/wp-json/wc/v3/products?{list}includeZ=1");
    let signed = sign(Algorithm::HmacSha256, "https://www.shop.example:8443/sub", &url);
    assert_eq!(signed.host_str(), Some("shop.example"));
    assert_eq!(parameter(&signed, "include[11]"), "33");
    assert_eq!(parameter(&signed, "oauth_signature"), "isO5FAN9xxXd3p8LKFk0T3dl1tp+r0sFpQhtcmwELwk=");
}

#[test]
fn of_a_repeated_name_the_last_value_is_sent() {
    let signed = sign(Algorithm::HmacSha256, "http://shop.example", "http://shop.example/x?page=1&page=2");
    let once = sign(Algorithm::HmacSha256, "http://shop.example", "http://shop.example/x?page=2");
    assert_eq!(signed, once);
    assert!(!signed.as_str().contains("oauth_version"));
}

#[test]
fn only_unreserved_characters_stay() {
    assert_eq!(encode("AZaz09-._~"), "AZaz09-._~");
    assert_eq!(encode(" +*'()!/?&=%\u{151}\u{1f600}"), "%20%2B%2A%27%28%29%21%2F%3F%26%3D%25%C5%91%F0%9F%98%80");
}

/// The collected vectors, where they are at hand.
#[test]
fn the_collected_vectors_of_woocommerce_hold() {
    let shared = env::var_os("ENTREPOT_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let file = shared.join("providers/samples/woocommerce/test_vectors.json");
    let Ok(text) = fs::read_to_string(&file) else {
        println!("skipped: no {}", file.display());
        return;
    };
    let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
    let all = vectors["oauth1"].as_array().unwrap();
    assert!(!all.is_empty());
    for vector in all {
        let parameters = vector["params_decoded"].as_object().unwrap();
        let given = |name: &str| parameters[name].as_str().unwrap();
        let mut url = Url::parse(vector["url"].as_str().unwrap()).unwrap();
        let own = parameters.iter().filter(|(name, _)| !name.starts_with("oauth_"));
        url.query_pairs_mut().extend_pairs(own.map(|(name, value)| (name, value.as_str().unwrap())));
        let algorithm = match given("oauth_signature_method") {
            "HMAC-SHA256" => Algorithm::HmacSha256,
            "HMAC-SHA1" => Algorithm::HmacSha1,
            other => panic!("{other}"),
        };
        let home = url.join("/").unwrap();
        let signer = OAuth1 {
            keys: &keys(given("oauth_consumer_key"), vector["consumer_secret"].as_str().unwrap()),
            algorithm,
            home: &home,
            now: Utc.timestamp_opt(given("oauth_timestamp").parse().unwrap(), 0).unwrap(),
            nonce: given("oauth_nonce"),
        };
        let method: Method = vector["method"].as_str().unwrap().parse().unwrap();
        assert_eq!(parameter(&signer.sign(&method, &url), "oauth_signature"), vector["oauth_signature"], "{vector}");
    }
    for vector in vectors["webhook"].as_array().unwrap() {
        let text = |name: &str| vector[name].as_str().unwrap();
        assert!(
            verify_base64(&Secret::new(text("secret")), text("raw_body").as_bytes(), text("signature")),
            "{vector}"
        );
    }
}
