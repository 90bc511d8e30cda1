//! What callers present, of any kind (`script/soak fuzz`).

use axum::http::{HeaderMap, HeaderValue, Uri, header};
use kernel::{OrganizationId, Secret};
use kit::ApiKeyPrefix;
use proptest::prelude::*;
use uuid::Uuid;

use crate::{api_keys, authentication, factors::webauthn, invitations, members, sessions};

fn headers(name: header::HeaderName, values: &[Vec<u8>]) -> HeaderMap {
    let values = values.iter().filter_map(|bytes| HeaderValue::from_bytes(bytes).ok());
    values.map(|value| (name.clone(), value)).collect()
}

#[test]
fn an_origin_has_a_host_and_nothing_behind_it() {
    for refused in
        ["https://:", "https://:#", "https://shop.example#top", "https://shop.example/", "https://u@shop.example"]
    {
        assert!(api_keys::api::origins(vec![refused.to_owned()]).is_err(), "{refused}");
    }
    for taken in ["https://shop.example", "HTTPS://Shop.example:8443", "http://localhost:3000"] {
        assert_eq!(api_keys::api::origins(vec![taken.to_owned()]).ok(), Some(vec![taken.to_ascii_lowercase()]));
    }
}

proptest! {
    #[test]
    fn answers_of_authenticators(client_data: String, object: Vec<u8>, at: usize, bit in 0u8..8) {
        prop_assert!(webauthn::tests::read_as_registration(client_data, &object).is_err());
        let (client_data, good) = webauthn::tests::a_good_registration();
        prop_assert_eq!(webauthn::tests::read_as_registration(client_data.clone(), &good), Ok(()));
        // Cut anywhere it is none.
        prop_assert!(webauthn::tests::read_as_registration(client_data.clone(), &good[..at % good.len()]).is_err());
        // The relying party's hash stands behind `authData`, and each of its bits counts.
        let hash_at = good.windows(8).position(|part| part == b"authData").unwrap() + 8 + 3;
        let mut changed = good;
        changed[hash_at + at % 32] ^= 1 << bit;
        prop_assert_eq!(webauthn::tests::read_as_registration(client_data, &changed), Err(webauthn::Refusal::RelyingParty));
    }

    #[test]
    fn api_keys_as_sent(text in prop_oneof![any::<String>(), "api_shopcall_[0-9A-Za-z]{0,60}", "api_shopcall_.{38}"]) {
        // A checksum of 36 bits: nothing that was made up passes.
        prop_assert_eq!(api_keys::model::parse(&ApiKeyPrefix::default(), &text), None);
    }

    #[test]
    fn credentials(values in prop::collection::vec(prop_oneof![any::<Vec<u8>>(), "(?i)(bearer|basic|token)?[ \t]{0,2}[!-~]{0,40}".prop_map(String::into_bytes)], 0..2)) {
        let headers = headers(header::AUTHORIZATION, &values);
        match authentication::bearer(&headers) {
            Ok(None) => prop_assert!(headers.is_empty(), "a header that is there is not ignored"),
            Ok(Some(token)) => {
                let sent = headers[header::AUTHORIZATION].to_str().unwrap();
                prop_assert!(sent.to_ascii_lowercase().starts_with("bearer ") && sent.ends_with(token.trim_end()));
                prop_assert_eq!(token.trim(), token);
            }
            Err(problem) => prop_assert_eq!(problem.code(), kit::Code::Unauthenticated),
        }
    }

    #[test]
    fn binary_objects(bytes in prop_oneof![any::<Vec<u8>>(), prop::collection::vec(prop_oneof![0x00u8..0x18, 0x40u8..0x58, 0x80u8..0xb8], 0..40)]) {
        if let Some(left) = webauthn::tests::cbor_left(&bytes) {
            prop_assert!(left < bytes.len());
            // What was read is read the same without what is behind it.
            prop_assert_eq!(webauthn::tests::cbor_left(&bytes[..bytes.len() - left]), Some(0));
        }
    }

    #[test]
    fn cookies(values in prop::collection::vec(prop_oneof![any::<Vec<u8>>(), "((entrepot_session|other|__Host-entrepot_session)=?[!-~]{0,12}; ?){0,4}".prop_map(String::into_bytes)], 0..3)) {
        let headers = headers(header::COOKIE, &values);
        if let Some(value) = authentication::cookie(&headers, "entrepot_session") {
            prop_assert!(!value.contains(';'));
            let all: Vec<&str> = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).collect();
            let pair = format!("entrepot_session={value}");
            prop_assert!(all.iter().any(|line| line.split(';').any(|part| part.trim() == pair.trim())), "{:?}", all);
        }
    }

    #[test]
    fn links_of_invitations(text in prop_oneof![any::<String>(), "[a-z_]{0,12}[0-9a-f]{32}[0-9A-Za-z]{43}", "[a-zé]{0,40}"], organization: u128) {
        if let Some((organization, _)) = invitations::model::read_token(&Secret::new(text.clone())) {
            prop_assert!(text.contains(&organization.uuid().simple().to_string()) || text.to_lowercase().contains(&organization.uuid().simple().to_string()));
        }
        let organization = OrganizationId::from(Uuid::from_u128(organization));
        let (token, hash) = invitations::model::new_token(organization);
        prop_assert_eq!(invitations::model::read_token(&token), Some((organization, hash)));
        let shorter = Secret::new(token.expose()[..token.expose().len() - 1].to_owned());
        prop_assert_eq!(invitations::model::read_token(&shorter), None);
    }

    #[test]
    fn mail_addresses(text in prop_oneof![any::<String>(), "[a-z@. é\0]{0,20}", "[a-z]{1,300}@[a-z]{1,9}\\.[a-z]{2}"]) {
        if sessions::model::is_address(&text) {
            let (user, host) = text.split_once('@').unwrap();
            prop_assert!(!user.is_empty() && host.contains('.') && text.matches('@').count() == 1);
            // Nothing that would begin another line, or another recipient, in a mail.
            prop_assert!(text.len() <= 254 && !text.chars().any(|c| c.is_control() || c.is_whitespace()));
        }
    }

    #[test]
    fn origins(text in prop_oneof![any::<String>(), "(https?|ftp|HTTPS)?(://)?[a-zA-Z0-9.@:é-]{0,20}(:[0-9]{0,6})?[/?#a-z]{0,4}"]) {
        match api_keys::api::origins(vec![text.clone()]) {
            Ok(kept) => {
                let [origin] = kept.as_slice() else { panic!("one") };
                let uri: Uri = origin.parse().unwrap();
                prop_assert_eq!(origin, &text.to_ascii_lowercase());
                // As a browser sends it: scheme and authority, nothing after.
                let sent = format!("{}://{}", uri.scheme_str().unwrap(), uri.authority().unwrap());
                prop_assert_eq!(origin, &sent);
            }
            Err(problem) => prop_assert_eq!(problem.code(), kit::Code::InvalidRequest),
        }
    }

    #[test]
    fn roles(text in prop_oneof![any::<String>(), "[a-z_]{0,14}"]) {
        match members::api::parse_role(&text) {
            Ok(role) => prop_assert_eq!(role.as_str(), text),
            Err(problem) => prop_assert_eq!(problem.code(), kit::Code::InvalidRequest),
        }
    }
}
