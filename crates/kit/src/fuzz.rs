//! What people, programs and disks hand us, of any kind (`script/soak fuzz`).

use axum::http::{HeaderMap, HeaderValue};
use chrono::{DateTime, Datelike, Utc};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{ApiKeyPrefix, Code, idempotency, input, network};

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Form {
    name: String,
    hours: Option<u16>,
    #[serde(default)]
    stores: Vec<Uuid>,
    #[serde(default, deserialize_with = "input::optional_object")]
    inner: Option<Inner>,
    #[serde(default, deserialize_with = "input::optional_time")]
    after: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Inner {
    on: bool,
}

/// The same with serde alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    name: String,
    hours: Option<u16>,
    #[serde(default)]
    stores: Vec<Uuid>,
    inner: Option<Inner>,
    after: Option<DateTime<Utc>>,
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(Value::from("2026-11-20T10:00:00Z")),
        Just(Value::from("-262143-01-01T00:00:00Z")),
        any::<u128>().prop_map(|bits| Value::from(Uuid::from_u128(bits).to_string())),
    ];
    let names = prop::sample::select(vec!["name", "hours", "stores", "inner", "after", "on", "other", "a/b~c"]);
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => prop::collection::btree_map(names.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => values().prop_map(|value| value.to_string().into_bytes()),
        1 => any::<Vec<u8>>(),
        1 => "[\\[\\]{}:,\"a-z0-9.eE \\\\u-]{0,40}".prop_map(String::into_bytes),
    ]
}

fn hops() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<u32>().prop_map(|bits| std::net::Ipv4Addr::from(bits).to_string()),
        any::<u128>().prop_map(|bits| std::net::Ipv6Addr::from(bits).to_string()),
        any::<u128>().prop_map(|bits| format!("[{}]:{}", std::net::Ipv6Addr::from(bits), bits % 65_536)),
        Just("127.0.0.1".to_owned()),
        "[0-9a-f:.\\[\\]% ]{0,24}",
        ".{0,12}",
    ]
}

proptest! {
    #[test]
    fn json_bodies(body in bodies()) {
        let read = input::json::<Form>(&body);
        let is_object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        match (&read, serde_json::from_slice::<Plain>(&body)) {
            (Ok(form), Ok(plain)) => {
                prop_assert!(is_object);
                let plain = Form { name: plain.name, hours: plain.hours, stores: plain.stores, inner: plain.inner, after: plain.after };
                prop_assert_eq!(form, &plain);
                prop_assert!(form.after.is_none_or(|time| (0..=9999).contains(&time.year())));
            }
            (Ok(_), Err(error)) => prop_assert!(false, "serde refuses it: {error}"),
            (Err(problem), _) => {
                prop_assert_eq!(problem.code(), Code::InvalidRequest);
                // A value of the body, which may be a secret, is in no refusal: the names of fields are.
                prop_assert!(!problem.detail().is_empty());
            }
        }
    }

    #[test]
    fn query_strings(text in prop_oneof![any::<String>(), "((name|hours|stores|after|other)(=[a-z0-9%:+-]{0,12})?&?){0,5}"]) {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Asked {
            name: Option<String>,
            hours: Option<u16>,
            #[serde(default)]
            stores: Vec<String>,
            #[serde(default, deserialize_with = "input::optional_time")]
            after: Option<DateTime<Utc>>,
        }
        match input::query::<Asked>(&text) {
            Ok(asked) => {
                let pairs: Vec<(String, String)> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
                let last = |name: &str| pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).next_back();
                prop_assert_eq!(asked.stores.len(), pairs.iter().filter(|(key, _)| key == "stores").count());
                prop_assert_eq!(asked.name.unwrap_or_default(), last("name").unwrap_or_default());
                prop_assert!(asked.hours.is_none() || last("hours").is_some());
                prop_assert!(asked.after.is_none() || last("after").is_some());
            }
            Err(problem) => prop_assert_eq!(problem.code(), Code::InvalidRequest),
        }
    }

    #[test]
    fn short_texts(value in any::<String>(), max in 1usize..40) {
        match input::text("/name", &value, max) {
            Ok(kept) => {
                prop_assert_eq!(kept.as_str(), value.trim());
                prop_assert!((1..=max).contains(&kept.chars().count()) && !kept.chars().any(char::is_control));
                prop_assert_eq!(input::text("/name", &kept, max).ok(), Some(kept.clone()), "what was accepted is accepted again");
            }
            Err(problem) => prop_assert_eq!(problem.code(), Code::InvalidRequest),
        }
    }

    #[test]
    fn idempotency_keys(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..3)) {
        let mut headers = HeaderMap::new();
        let mut sent = 0;
        for value in values.iter().filter_map(|bytes| HeaderValue::from_bytes(bytes).ok()) {
            headers.append("idempotency-key", value);
            sent += 1;
        }
        match idempotency::chosen(&headers) {
            Ok(None) => prop_assert_eq!(sent, 0),
            Ok(Some(key)) => {
                prop_assert_eq!(sent, 1);
                prop_assert!((1..=255).contains(&key.len()) && key.trim() == key && key.is_ascii());
            }
            Err(problem) => prop_assert_eq!(problem.code(), Code::InvalidRequest),
        }
    }

    #[test]
    fn prefixes_of_keys(text in prop_oneof![any::<String>(), "[a-z0-9_]{0,26}"]) {
        if let Ok(prefix) = text.parse::<ApiKeyPrefix>() {
            prop_assert_eq!(prefix.as_str(), &text);
            prop_assert!(text.ends_with('_') && text.is_ascii() && (3..=24).contains(&text.len()));
        }
    }

    #[test]
    fn forwarded_hops(lines in prop::collection::vec(prop::collection::vec(hops(), 0..4), 0..4), peer in any::<u32>(), is_near in any::<bool>()) {
        let peer = if is_near { std::net::Ipv4Addr::LOCALHOST } else { std::net::Ipv4Addr::from(peer) };
        let mut request = axum::http::Request::new(());
        let mut sent = vec![];
        for line in &lines {
            if let Ok(value) = HeaderValue::from_bytes(line.join(",").as_bytes()) {
                sent.extend(line.iter().filter_map(|hop| network::hop_address(hop.trim())).map(|address| address.to_canonical()));
                request.headers_mut().append("x-forwarded-for", value);
            }
        }
        let (mut parts, ()) = request.into_parts();
        parts.extensions.insert(axum::extract::ConnectInfo(std::net::SocketAddr::from((peer, 1))));
        let found = network::TrustedProxies::default().address(&parts).expect("a peer");
        // Nobody is made up, and whoever is not trusted is not believed.
        let peer = std::net::IpAddr::from(peer);
        prop_assert!(found == peer || (peer.is_loopback() && sent.contains(&found)), "{found} of {sent:?}");
        if let Some(address) = lines.iter().flatten().find_map(|hop| network::hop_address(hop)) {
            prop_assert_eq!(network::hop_address(&address.to_string()), Some(address));
        }
    }
}
