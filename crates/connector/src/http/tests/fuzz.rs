//! Addresses, headers and bodies that people and shops send, of any kind (`script/soak fuzz`).

use std::{net::Ipv4Addr, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use proptest::prelude::*;
use serde_json::Value;
use url::{Host, Url};

use super::super::{
    Request, Response,
    guard::{check_url, is_public, parse_url},
    redirect,
};
use crate::json::Json;

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn answer(headers: HeaderMap, body: Vec<u8>) -> Response {
    let url = Url::parse("https://shop.example/wp-json/").unwrap();
    Response { status: StatusCode::OK, headers, body: Bytes::from(body), url, took: Duration::ZERO }
}

/// Addresses as people and attackers write them.
fn addresses() -> impl Strategy<Value = String> {
    let scheme =
        prop_oneof![Just("https"), Just("http"), Just("HTTP"), Just("ftp"), Just("file"), Just("javascript"), Just("")];
    let host = prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).to_string()),
        any::<u32>().prop_map(|number| number.to_string()),
        any::<u32>().prop_map(|number| format!("0x{number:x}")),
        any::<u32>().prop_map(|number| format!("0{number:o}")),
        any::<u128>().prop_map(|bits| format!("[{}]", std::net::Ipv6Addr::from_bits(bits))),
        any::<u32>().prop_map(|bits| format!("[::ffff:{}]", Ipv4Addr::from_bits(bits))),
        "(shop|localhost|a\\.localhost|printer\\.local|db\\.internal|169\\.254\\.169\\.254|127\\.1|shop\\.example\\.?)",
        "[a-z0-9.é。．-]{0,20}",
    ];
    let user = prop_oneof![Just(""), Just("user@"), Just("user:password@"), Just("shop.example@"), Just("%40@")];
    let port = prop_oneof![Just(""), Just(":80"), Just(":443"), Just(":8443"), Just(":22"), Just(":"), Just(":99999")];
    let rest = "[/?#a-z0-9\\\\%@: \t\r\né]{0,20}";
    let built = (scheme, prop_oneof![Just("://"), Just(":"), Just(":\\\\"), Just(":/")], user, host, port, rest)
        .prop_map(|(scheme, slashes, user, host, port, rest)| format!("{scheme}{slashes}{user}{host}{port}{rest}"));
    prop_oneof![4 => built, 1 => any::<String>()]
}

proptest! {
    #[test]
    fn addresses_of_shops(text in addresses()) {
        let Ok(url) = parse_url(&text) else { return Ok(()) };
        prop_assert!(matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none());
        prop_assert!(url.fragment().is_none() && check_url(&url).is_ok());
        let again = parse_url(url.as_str()).ok();
        prop_assert_eq!(again.as_ref(), Some(&url), "what was accepted is accepted again");
        match url.host().unwrap() {
            Host::Ipv4(address) => prop_assert!(is_public(address.into())),
            Host::Ipv6(address) => prop_assert!(is_public(address.into())),
            Host::Domain(name) => {
                prop_assert!(name.contains('.') && !name.ends_with('.') && !name.starts_with('.'), "{}", name);
                let inside = ["localhost", "local", "internal"];
                prop_assert!(!inside.iter().any(|tail| name.rsplit('.').next() == Some(tail)), "{}", name);
            }
        }
    }

    #[test]
    fn targets_of_redirects(location in prop_oneof![addresses(), "[/a-z?=&_%.#]{0,30}"], status in prop::sample::select(vec![301u16, 302, 303, 307, 308, 200, 304])) {
        let from = Url::parse("https://shop.example/a?consumer_key=ck&consumer_secret=cs&page=2").unwrap();
        let mut headers = HeaderMap::new();
        let Ok(value) = HeaderValue::from_str(&location) else { return Ok(()) };
        headers.insert(header::LOCATION, value);
        let request = Request::get(from.clone()).header(header::AUTHORIZATION, HeaderValue::from_static("Basic secret"));
        let Ok(Some(next)) = redirect::next(&request, StatusCode::from_u16(status).unwrap(), &headers) else { return Ok(()) };
        prop_assert!(next.url.fragment().is_none());
        if next.url.origin() != from.origin() {
            prop_assert!(!next.headers.contains_key(header::AUTHORIZATION), "a credential left for {}", next.url);
            prop_assert!(!next.url.query_pairs().any(|(name, _)| name == "consumer_secret"), "{}", next.url);
        }
    }

    #[test]
    fn waits(text in prop_oneof!["-?[0-9]{1,25}(\\.[0-9]{0,9})?(e[0-9]{1,4})?", "(inf|nan|NaN|-inf|infinity|1e999)", "[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT", "[ -~]{0,40}"]) {
        let mut headers = HeaderMap::new();
        let Ok(value) = HeaderValue::from_str(&text) else { return Ok(()) };
        headers.insert(header::RETRY_AFTER, value);
        let wait = answer(headers, vec![]).retry_after(at());
        prop_assert!(wait.is_none_or(|wait| wait <= Duration::from_secs(86_400)), "{:?}", wait);
        // A reference for the plain case.
        if let Ok(seconds) = text.trim().parse::<u32>() {
            prop_assert_eq!(wait, Some(Duration::from_secs(seconds.min(86_400).into())));
        }
    }

    #[test]
    fn bodies(body in prop_oneof![any::<Vec<u8>>(), "[\\[\\]{}:,\"a0-9.eE+ \\\\u-]{0,40}".prop_map(String::into_bytes)], mark: bool) {
        let sent = if mark { [b"\xef\xbb\xbf".as_slice(), &body].concat() } else { body.clone() };
        let answer = answer(HeaderMap::new(), sent.clone());
        let expected = serde_json::from_slice::<Value>(sent.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&sent));
        prop_assert_eq!(answer.json::<Value>().ok(), expected.as_ref().ok().cloned());
        let ours = answer.json::<Json<'_>>();
        // Ours alone repeats what serde_json's value would: the last of a repeated name.
        prop_assert_eq!(ours.map(|json| json.into_owned().into_value()).ok(), expected.as_ref().ok().cloned());
        let entries = answer.json_entries(Ok);
        prop_assert_eq!(entries.is_ok(), expected.is_ok_and(|value| value.is_array()));
        if let Err(error) = answer.json::<Value>() {
            prop_assert!(error.to_string().len() < 400);
        }
        let _ = answer.expect_json_content();
    }
}
