//! What is sent as a token, and what an issuer sends as keys (`script/soak fuzz`).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use proptest::prelude::*;

use super::{keys::KeySet, settings::IssuerSettings, token};

/// Bytes that are nearly an object of JSON with the members that matter.
fn nearly(names: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<f64>().prop_map(|number| format!("{number:e}")),
        "[a-zA-Z0-9 +./:=_-]{0,12}".prop_map(|text| format!("\"{text}\"")),
        prop::sample::select(vec![
            "\"ES256\"",
            "\"RS256\"",
            "\"none\"",
            "\"JWT\"",
            "[\"exp\"]",
            "\"EC\"",
            "\"P-256\"",
            "{}"
        ])
        .prop_map(str::to_owned),
    ];
    let members = prop::collection::vec((prop::sample::select(names), value), 0..6);
    members.prop_map(|members| {
        let written: Vec<String> = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", written.join(",")).into_bytes()
    })
}

proptest! {
    #[test]
    fn tokens(
        header in prop_oneof![any::<Vec<u8>>(), nearly(&["alg", "kid", "typ", "crit", "b64", "jwk"])],
        claims in prop_oneof![any::<Vec<u8>>(), nearly(&["iss", "sub", "aud", "exp", "iat"])],
        signature in any::<Vec<u8>>(),
        text in prop_oneof![any::<String>(), "ey[A-Za-z0-9_=-]{0,12}\\.[A-Za-z0-9_-]{0,12}\\.[A-Za-z0-9_-]{0,12}"],
    ) {
        let built = [header, claims, signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        for text in [built.as_str(), text.as_str()] {
            if let Ok(read) = token::parse(text) {
                prop_assert!(text.split('.').count() == 3 && !text.contains('='));
                let is_shared = matches!(read.algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512);
                prop_assert!(!is_shared, "a shared secret");
            }
        }
    }

    #[test]
    fn key_sets(
        bytes in prop_oneof![any::<Vec<u8>>(), nearly(&["keys"])],
        key in nearly(&["kty", "crv", "alg", "use", "kid", "x", "y", "n", "e"]),
    ) {
        KeySet::parse(&bytes);
        let one = [&b"{\"keys\":["[..], &key, b"]}"].concat();
        if let Some(keys) = KeySet::parse(&one) {
            prop_assert!(keys.len() <= 1);
            prop_assert!(keys.find(None, Algorithm::HS256).is_none());
        }
    }

    #[test]
    fn files_of_issuers(text in prop_oneof![any::<String>(), "\\{\"issuers\":\\[\\{\"issuer\":\"[a-z:/.]{0,20}\",\"audiences\":\\[\"[a-z ]{0,3}\"\\]\\}\\]\\}"]) {
        if let Ok(all) = IssuerSettings::read(&text) {
            for one in all {
                prop_assert!(one.issuer.starts_with("https://") && !one.audiences.is_empty());
            }
        }
    }
}
