use axum::http::{Method, StatusCode};
use chrono::TimeDelta;
use sandbox::{
    faults::Fault,
    woocommerce::{ApiKey, Permissions},
    world::Role,
};
use serde_json::{Value, json};
use testkit::{Options, TestApp};

use super::{Meanwhile, People, Who, compare, forget_attempts, is_open, written};

const SHOP: &str = "kavebolt.example";

const INVALID: &str = "oauth_request_invalid";
const STATE: &str = "oauth_state_invalid";
const SESSION: &str = "oauth_session_mismatch";
const KEYS: &str = "connect_refused";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Stays,
    IsUsed,
}
use Right::{IsUsed, Stays};

/// What a shop's server sends.
struct Sent {
    body: Value,
    /// In place of the body.
    raw: Option<Vec<u8>>,
    path: &'static str,
    later: TimeDelta,
    is_second: bool,
    fault: Option<Fault>,
    other_state: String,
    other_shop: ApiKey,
    writing: ApiKey,
    customer: ApiKey,
}

impl Sent {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.body[name] = value.into();
    }

    fn remove(&mut self, name: &str) {
        self.body.as_object_mut().expect("an object").remove(name);
    }

    fn key(&mut self, key: &ApiKey) {
        self.put("consumer_key", key.consumer_key.as_str());
        self.put("consumer_secret", key.consumer_secret.as_str());
    }
}

/// What the case does; the problem; whether the attempt stays open; whether the shop may be asked.
type Case = (&'static str, fn(&mut Sent), u16, &'static str, Right, bool);

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("no state", |s| s.remove("user_id"), 400, INVALID, Stays, false),
    ("an empty state", |s| s.put("user_id", ""), 400, INVALID, Stays, false),
    ("a state that is null", |s| s.put("user_id", Value::Null), 400, INVALID, Stays, false),
    ("a state that is a list", |s| s.put("user_id", json!(["x"])), 400, INVALID, Stays, false),
    ("an unknown state", |s| s.put("user_id", "x"), 400, STATE, Stays, false),
    ("a number for a state", |s| s.put("user_id", 1), 400, STATE, Stays, false),
    ("the state of another provider", |s| { let state = s.other_state.clone(); s.put("user_id", state) }, 400, STATE, Stays, false),
    ("a state with more behind", |s| { let state = format!("{}x", s.body["user_id"].as_str().unwrap_or_default()); s.put("user_id", state) }, 400, STATE, Stays, false),
    ("a state that was used", |s| s.is_second = true, 400, STATE, IsUsed, false),
    ("a state that is over", |s| s.later = TimeDelta::minutes(16), 400, STATE, IsUsed, false),
    ("nothing", |s| s.raw = Some(vec![]), 400, INVALID, Stays, false),
    ("no JSON", |s| s.raw = Some(b"user_id=1".to_vec()), 400, INVALID, Stays, false),
    ("a list", |s| s.raw = Some(b"[]".to_vec()), 400, INVALID, Stays, false),
    ("a field twice", |s| s.raw = Some(br#"{"user_id":"a","user_id":"b"}"#.to_vec()), 400, INVALID, Stays, false),
    ("more than keys are", |s| s.raw = Some(vec![b' '; 9_000]), 413, "payload_too_large", Stays, false),
    ("no key", |s| s.remove("consumer_key"), 400, INVALID, Stays, false),
    ("an empty key", |s| s.put("consumer_key", ""), 400, INVALID, Stays, false),
    ("no secret", |s| s.remove("consumer_secret"), 400, INVALID, Stays, false),
    ("an empty secret", |s| s.put("consumer_secret", ""), 400, INVALID, Stays, false),
    ("a key that is a number", |s| s.put("consumer_key", 1), 400, INVALID, Stays, false),
    ("no permissions", |s| s.remove("key_permissions"), 400, INVALID, Stays, false),
    ("fewer permissions", |s| s.put("key_permissions", "write"), 424, "store_scope_missing", IsUsed, false),
    ("permissions that there are not", |s| s.put("key_permissions", "all"), 424, "store_scope_missing", IsUsed, false),
    ("what is no key", |s| s.put("consumer_key", "key"), 422, KEYS, IsUsed, false),
    ("what is no secret", |s| s.put("consumer_secret", "secret"), 422, KEYS, IsUsed, false),
    ("a key that nobody made", |s| s.put("consumer_key", "ck_0000000000000000000000000000000000000000"), 422, KEYS, IsUsed, true),
    ("another secret", |s| s.put("consumer_secret", "cs_0000000000000000000000000000000000000000"), 422, KEYS, IsUsed, true),
    ("a key of another shop", |s| { let key = s.other_shop.clone(); s.key(&key) }, 422, KEYS, IsUsed, true),
    ("a key that only writes and says that it reads", |s| { let key = s.writing.clone(); s.key(&key) }, 422, KEYS, IsUsed, true),
    ("a key of somebody who may read nothing", |s| { let key = s.customer.clone(); s.key(&key) }, 422, KEYS, IsUsed, true),
    ("a shop that is down", |s| s.fault = Some(Fault::html(StatusCode::BAD_GATEWAY, "down")), 502, "store_unavailable", IsUsed, true),
    ("a shop that answers with a page", |s| s.fault = Some(Fault::html(StatusCode::OK, "Hello")), 422, KEYS, IsUsed, true),
    ("another provider's address", |s| s.path = "/api/oauth/shopify/callback", 400, "not_supported_by_platform", Stays, false),
    ("an unknown provider's address", |s| s.path = "/api/oauth/nobody/callback", 404, "not_found", Stays, false),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_handing_over_that_does_not_add_up_is_refused_and_writes_nothing() {
    assert!(CASES.len() >= 30, "{}", CASES.len());
    let app = TestApp::with(Options { live_requests_per_minute: 100_000, ..Options::default() }).await;
    let (shop, other) =
        [SHOP, "tea.example"].map(|host| app.sandbox().woocommerce().shop(host).expect("a shop").clone()).into();
    let key = |permissions, role| shop.key(permissions, role).expect("a key");
    let mut failures = vec![];
    let people = People::meet(&app).await;
    for (name, change, status, problem, right, may_ask) in CASES {
        forget_attempts(&app).await;
        let grant = people.began.ask_for_keys(people.began.shop_address(SHOP)).await;
        let shopify = people.began.consent_without_coming_back("kis-bolt", json!({})).await;
        let good = key(Permissions::Read, Role::Administrator);
        let mut sent = Sent {
            body: json!({
                "key_id": 1, "user_id": grant.state, "consumer_key": good.consumer_key,
                "consumer_secret": good.consumer_secret, "key_permissions": "read",
            }),
            raw: None,
            path: "/api/oauth/woocommerce/callback",
            later: TimeDelta::zero(),
            is_second: false,
            fault: None,
            other_state: shopify.secrets[1].clone(),
            other_shop: other.key(Permissions::Read, Role::Administrator).expect("a key"),
            writing: key(Permissions::Write, Role::Administrator),
            customer: key(Permissions::ReadWrite, Role::Customer),
        };
        change(&mut sent);
        app.advance(sent.later).await;
        if sent.is_second {
            let mut first = sent.body.clone();
            first["key_permissions"] = json!("write");
            app.nobody().post(sent.path, first).await.expect_problem(424, "store_scope_missing");
        }
        if let Some(fault) = sent.fault.take() {
            shop.faults().inject(fault);
        }
        let (before, calls) = (written(&app).await, shop.calls().count());
        let bytes = sent.raw.unwrap_or_else(|| serde_json::to_vec(&sent.body).expect("JSON"));
        let answer = app.nobody().send_bytes(Method::POST, sent.path, Some(bytes)).await;
        shop.faults().clear();
        compare(
            &mut failures,
            name,
            "the answer",
            (answer.status.as_u16(), answer.problem().as_str()),
            (*status, *problem),
        );
        compare(&mut failures, name, "what is written", written(&app).await, before);
        compare(
            &mut failures,
            name,
            "the attempt",
            if is_open(&app, &grant.state).await { Stays } else { IsUsed },
            *right,
        );
        compare(&mut failures, name, "whether the shop is asked", shop.calls().count() > calls, *may_ask);
        app.nobody().get(&format!("/api/oauth/woocommerce/return?success=1&user_id={}", grant.state)).await;
    }
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), CASES.len(), failures.join("\n"));
    app.finish().await;
}

/// A browser's way back, after the shop handed over keys that work.
struct Back {
    query: String,
    path: &'static str,
    who: Who,
    meanwhile: Meanwhile,
    later: TimeDelta,
    is_second: bool,
    is_key_revoked: bool,
    state: String,
}

type Return = (&'static str, fn(&mut Back), u16, &'static str, Right, bool);

#[rustfmt::skip]
const RETURNS: &[Return] = &[
    ("nothing", |b| b.query.clear(), 400, INVALID, Stays, false),
    ("no state", |b| b.query = "success=1".to_owned(), 400, INVALID, Stays, false),
    ("no outcome", |b| b.query = format!("user_id={}", b.state), 400, INVALID, Stays, false),
    ("an outcome that there is not", |b| b.query = format!("success=2&user_id={}", b.state), 400, INVALID, Stays, false),
    ("the outcome twice", |b| b.query.push_str("&success=0"), 400, INVALID, Stays, false),
    ("the state twice", |b| b.query.push_str("&user_id=x"), 400, INVALID, Stays, false),
    ("an unknown state", |b| b.query = "success=1&user_id=x".to_owned(), 400, STATE, Stays, false),
    ("a denial of what was granted", |b| b.query = format!("success=0&user_id={}", b.state), 400, STATE, Stays, false),
    ("a state that was used", |b| b.is_second = true, 400, STATE, IsUsed, false),
    ("a state that is over", |b| b.later = TimeDelta::minutes(16), 400, STATE, IsUsed, false),
    ("another session of theirs", |b| b.who = Who::OtherSession, 400, SESSION, IsUsed, false),
    ("a colleague", |b| b.who = Who::Colleague, 400, SESSION, IsUsed, false),
    ("somebody of another organization", |b| b.who = Who::OtherOrganization, 400, SESSION, IsUsed, false),
    ("nobody", |b| b.who = Who::Nobody, 401, "unauthenticated", IsUsed, false),
    ("an API key", |b| b.who = Who::Key, 403, "forbidden", IsUsed, false),
    ("a right that was taken", |b| b.meanwhile = Meanwhile::RightTaken, 403, "forbidden", IsUsed, false),
    ("a seat that was suspended", |b| b.meanwhile = Meanwhile::SeatSuspended, 404, "not_found", IsUsed, false),
    ("a session that was ended", |b| b.meanwhile = Meanwhile::SessionEnded, 401, "unauthenticated", IsUsed, false),
    ("an organization that is gone", |b| b.meanwhile = Meanwhile::OrganizationDeleted, 400, STATE, IsUsed, false),
    ("a key that was taken back", |b| b.is_key_revoked = true, 422, KEYS, IsUsed, true),
    ("the address for codes", |b| b.path = "/api/oauth/woocommerce/callback", 400, "not_supported_by_platform", Stays, false),
    ("another provider's address", |b| b.path = "/api/oauth/shopify/return", 400, "not_supported_by_platform", Stays, false),
    ("an unknown provider's address", |b| b.path = "/api/oauth/nobody/return", 404, "not_found", Stays, false),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_return_that_does_not_add_up_is_refused_and_connects_nothing() {
    let app = TestApp::with(Options { live_requests_per_minute: 100_000, ..Options::default() }).await;
    let shop = app.sandbox().woocommerce().shop(SHOP).expect("a shop");
    let good = shop.key(Permissions::Read, Role::Administrator).expect("a key");
    let mut failures = vec![];
    let mut people = People::meet(&app).await;
    for (name, change, status, problem, right, may_ask) in RETURNS {
        forget_attempts(&app).await;
        let grant = people.began.ask_for_keys(people.began.shop_address(SHOP)).await;
        let keys = json!({
            "key_id": 1, "user_id": grant.state, "consumer_key": good.consumer_key,
            "consumer_secret": good.consumer_secret, "key_permissions": "read",
        });
        app.nobody().post("/api/oauth/woocommerce/callback", keys).await.expect(StatusCode::OK);
        // Keys wait a moment for a browser that they are not for.
        app.advance(TimeDelta::seconds(5)).await;
        let mut back = Back {
            query: format!("success=1&user_id={}", grant.state),
            path: "/api/oauth/woocommerce/return",
            who: Who::Began,
            meanwhile: Meanwhile::Nothing,
            later: TimeDelta::zero(),
            is_second: false,
            is_key_revoked: false,
            state: grant.state.clone(),
        };
        change(&mut back);
        let path = format!("{}?{}", back.path, back.query);
        app.advance(back.later).await;
        if back.is_second {
            people.get(&app, Who::Colleague, &path).await.expect_problem(400, SESSION);
        }
        people.let_happen(&app, back.meanwhile).await;
        if back.is_key_revoked {
            shop.revoke_key(&good.consumer_key);
        }
        let (before, calls) = (written(&app).await, shop.calls().count());
        let answer = people.get(&app, back.who, &path).await;
        if back.is_key_revoked {
            shop.add_key(good.clone());
        }
        compare(
            &mut failures,
            name,
            "the answer",
            (answer.status.as_u16(), answer.problem().as_str()),
            (*status, *problem),
        );
        let after = written(&app).await;
        compare(&mut failures, name, "what is written", (after.0, after.1, after.2), (before.0, before.1, before.2));
        compare(
            &mut failures,
            name,
            "the attempt",
            if is_open(&app, &grant.state).await { Stays } else { IsUsed },
            *right,
        );
        compare(&mut failures, name, "whether the shop is asked", shop.calls().count() > calls, *may_ask);
        if back.meanwhile != Meanwhile::Nothing {
            people = People::meet(&app).await;
        }
    }
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), RETURNS.len(), failures.join("\n"));
    app.finish().await;
}
