use axum::http::StatusCode;
use chrono::TimeDelta;
use sandbox::{
    faults::{Fault, Rule},
    shopify::signature::query_hmac,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::{Options, TestApp};

use super::{Meanwhile, People, Who, compare, forget_attempts, is_open, written};

const SHOP: &str = "kis-bolt";
const OTHER: &str = "feine-dinge";

/// A way back: what is sent, by whom, and when.
struct Back {
    params: Vec<(String, String)>,
    secret: String,
    /// Of the raw query, after it was signed.
    tamper: fn(String) -> String,
    path: &'static str,
    who: Who,
    meanwhile: Meanwhile,
    later: TimeDelta,
    /// The same was sent before.
    is_second: bool,
    faults: Vec<Rule>,
    /// What else is at hand to mix up.
    pairing: String,
    grant_state: String,
    other_code: String,
}

impl Back {
    fn set(&mut self, name: &str, value: &str) {
        match self.params.iter_mut().find(|(known, _)| known == name) {
            Some((_, held)) => *held = value.to_owned(),
            None => self.params.push((name.to_owned(), value.to_owned())),
        }
    }

    fn remove(&mut self, name: &str) {
        self.params.retain(|(known, _)| known != name);
    }

    fn get(&self, name: &str) -> String {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn shift(&mut self, seconds: i64) {
        let timestamp: i64 = self.get("timestamp").parse().expect("a time");
        self.set("timestamp", &(timestamp + seconds).to_string());
    }

    fn path(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.params).append_pair("hmac", &query_hmac(&self.secret, &self.params));
        format!("{}?{}", self.path, (self.tamper)(query.finish()))
    }
}

/// Changes the character at this place of the signature.
fn break_signature(query: &str, place: usize) -> String {
    let at = query.rfind("hmac=").expect("a signature") + 5 + place;
    let other = if &query[at..=at] == "0" { "1" } else { "0" };
    format!("{}{other}{}", &query[..at], &query[at + 1..])
}

fn drop_parameter(query: &str, name: &str) -> String {
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with(&format!("{name}="))).collect();
    kept.join("&")
}

fn replace_parameter(query: &str, name: &str, value: &str) -> String {
    format!("{}&{name}={value}", drop_parameter(query, name))
}

fn token_answer(scope: &str) -> Rule {
    let body = json!({ "access_token": "shpat_x", "scope": scope, "expires_in": 3600, "refresh_token": "shprt_x" });
    Rule::from(Fault::answer(StatusCode::OK, "application/json", body.to_string())).on("/admin/oauth/access_token")
}

/// What the case does; the problem; whether the attempt stays open; whether the platform may be asked.
type Case = (&'static str, fn(&mut Back), u16, &'static str, Right, Asked);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    /// Whoever began may still come back.
    Stays,
    IsUsed,
}
use Right::{IsUsed, Stays};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nobody,
    Shopify,
}
use Asked::{Nobody, Shopify};

const SIGNATURE: &str = "oauth_signature_invalid";
const STALE: &str = "oauth_request_stale";
const INVALID: &str = "oauth_request_invalid";
const STATE: &str = "oauth_state_invalid";
const SESSION: &str = "oauth_session_mismatch";
const ACCOUNT: &str = "oauth_account_mismatch";

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("no signature", |b| b.tamper = |q| drop_parameter(&q, "hmac"), 400, INVALID, Stays, Nobody),
    ("an empty signature", |b| b.tamper = |q| replace_parameter(&q, "hmac", ""), 400, SIGNATURE, Stays, Nobody),
    ("half a signature", |b| b.tamper = |q| q[..q.len() - 32].to_owned(), 400, SIGNATURE, Stays, Nobody),
    ("a signature with more behind", |b| b.tamper = |q| format!("{q}00"), 400, SIGNATURE, Stays, Nobody),
    ("a signature that is no hexadecimal", |b| b.tamper = |q| replace_parameter(&q, "hmac", "zz"), 400, SIGNATURE, Stays, Nobody),
    ("the first byte broken", |b| b.tamper = |q| break_signature(&q, 0), 400, SIGNATURE, Stays, Nobody),
    ("a middle byte broken", |b| b.tamper = |q| break_signature(&q, 31), 400, SIGNATURE, Stays, Nobody),
    ("the last byte broken", |b| b.tamper = |q| break_signature(&q, 63), 400, SIGNATURE, Stays, Nobody),
    ("another secret", |b| b.secret.push('x'), 400, SIGNATURE, Stays, Nobody),
    ("no secret", |b| b.secret.clear(), 400, SIGNATURE, Stays, Nobody),
    ("the signature twice", |b| b.tamper = |q| format!("{q}&{}", q.rsplit('&').next().unwrap_or_default()), 400, INVALID, Stays, Nobody),
    ("a parameter added", |b| b.tamper = |q| format!("{q}&extra=1"), 400, SIGNATURE, Stays, Nobody),
    ("a parameter removed", |b| b.tamper = |q| drop_parameter(&q, "host"), 400, SIGNATURE, Stays, Nobody),
    ("the shop changed after signing", |b| b.tamper = |q| replace_parameter(&q, "shop", "feine-dinge.myshopify.com"), 400, SIGNATURE, Stays, Nobody),
    ("the code changed after signing", |b| b.tamper = |q| replace_parameter(&q, "code", "x"), 400, SIGNATURE, Stays, Nobody),
    ("the state changed after signing", |b| b.tamper = |q| replace_parameter(&q, "state", "x"), 400, SIGNATURE, Stays, Nobody),
    ("the time changed after signing", |b| b.tamper = |q| replace_parameter(&q, "timestamp", "1"), 400, SIGNATURE, Stays, Nobody),
    ("the shop twice", |b| b.tamper = |q| format!("{q}&shop=feine-dinge.myshopify.com"), 400, INVALID, Stays, Nobody),
    ("the time twice", |b| b.tamper = |q| format!("{q}&timestamp=1"), 400, INVALID, Stays, Nobody),
    ("the code twice", |b| b.tamper = |q| format!("{q}&code=x"), 400, SIGNATURE, Stays, Nobody),
    ("the state twice", |b| b.tamper = |q| format!("{q}&state=x"), 400, SIGNATURE, Stays, Nobody),
    ("an old time", |b| b.shift(-91), 400, STALE, Stays, Nobody),
    ("a time to come", |b| b.shift(92), 400, STALE, Stays, Nobody),
    ("a time of another age", |b| b.set("timestamp", "99999999999999999"), 400, STALE, Stays, Nobody),
    ("no time", |b| b.remove("timestamp"), 400, INVALID, Stays, Nobody),
    ("a time that is none", |b| b.set("timestamp", "now"), 400, INVALID, Stays, Nobody),
    ("no shop", |b| b.remove("shop"), 400, INVALID, Stays, Nobody),
    ("an empty shop", |b| b.set("shop", ""), 400, INVALID, Stays, Nobody),
    ("a shop elsewhere", |b| b.set("shop", "evil.example"), 400, INVALID, Stays, Nobody),
    ("a shop below somebody's host", |b| b.set("shop", "kis-bolt.myshopify.com.evil.example"), 400, INVALID, Stays, Nobody),
    ("a shop at a host that ends alike", |b| b.set("shop", "evilmyshopify.com"), 400, INVALID, Stays, Nobody),
    ("a shop with a port", |b| b.set("shop", "kis-bolt.myshopify.com:8443"), 400, INVALID, Stays, Nobody),
    ("a shop with a user", |b| b.set("shop", "evil.example@kis-bolt.myshopify.com"), 400, INVALID, Stays, Nobody),
    ("a shop with a path", |b| b.set("shop", "evil.example/kis-bolt.myshopify.com"), 400, INVALID, Stays, Nobody),
    ("a shop with a path behind", |b| b.set("shop", "kis-bolt.myshopify.com/admin"), 400, INVALID, Stays, Nobody),
    ("a shop with a scheme", |b| b.set("shop", "https://kis-bolt.myshopify.com"), 400, INVALID, Stays, Nobody),
    ("a shop with a dot behind", |b| b.set("shop", "kis-bolt.myshopify.com."), 400, INVALID, Stays, Nobody),
    ("a shop with a letter alike", |b| b.set("shop", "k\u{456}s-bolt.myshopify.com"), 400, INVALID, Stays, Nobody),
    ("a shop of two labels", |b| b.set("shop", "a.kis-bolt.myshopify.com"), 400, INVALID, Stays, Nobody),
    ("a shop without a name", |b| b.set("shop", ".myshopify.com"), 400, INVALID, Stays, Nobody),
    ("a shop with a line end", |b| b.set("shop", "kis-bolt.myshopify.com\n"), 400, INVALID, Stays, Nobody),
    ("another shop, signed", |b| b.set("shop", "feine-dinge.myshopify.com"), 400, ACCOUNT, IsUsed, Nobody),
    ("no state", |b| b.remove("state"), 400, INVALID, Stays, Nobody),
    ("an empty state", |b| b.set("state", ""), 400, INVALID, Stays, Nobody),
    ("an unknown state", |b| b.set("state", "x"), 400, STATE, Stays, Nobody),
    ("the pairing for a state", |b| { let pairing = b.pairing.clone(); b.set("state", &pairing) }, 400, STATE, Stays, Nobody),
    ("the state of another provider", |b| { let state = b.grant_state.clone(); b.set("state", &state) }, 400, STATE, Stays, Nobody),
    ("a state that was used", |b| b.is_second = true, 400, STATE, IsUsed, Nobody),
    ("a state that is over", |b| b.later = TimeDelta::minutes(16), 400, STATE, IsUsed, Nobody),
    ("another session of theirs", |b| b.who = Who::OtherSession, 400, SESSION, IsUsed, Nobody),
    ("a colleague", |b| b.who = Who::Colleague, 400, SESSION, IsUsed, Nobody),
    ("somebody of another organization", |b| b.who = Who::OtherOrganization, 400, SESSION, IsUsed, Nobody),
    ("nobody", |b| b.who = Who::Nobody, 401, "unauthenticated", IsUsed, Nobody),
    ("an API key", |b| b.who = Who::Key, 403, "forbidden", IsUsed, Nobody),
    ("a right that was taken", |b| b.meanwhile = Meanwhile::RightTaken, 403, "forbidden", IsUsed, Nobody),
    ("a seat that was suspended", |b| b.meanwhile = Meanwhile::SeatSuspended, 404, "not_found", IsUsed, Nobody),
    ("a session that was ended", |b| b.meanwhile = Meanwhile::SessionEnded, 401, "unauthenticated", IsUsed, Nobody),
    ("an organization that is gone", |b| b.meanwhile = Meanwhile::OrganizationDeleted, 400, STATE, IsUsed, Nobody),
    ("no code", |b| b.remove("code"), 400, INVALID, Stays, Nobody),
    ("an empty code", |b| b.set("code", ""), 400, INVALID, Stays, Nobody),
    ("a code of nobody", |b| b.set("code", "x"), 502, "store_rejected", IsUsed, Shopify),
    ("a code of another shop", |b| { let code = b.other_code.clone(); b.set("code", &code) }, 502, "store_rejected", IsUsed, Shopify),
    ("a code that is over", |b| b.later = TimeDelta::seconds(61), 502, "store_rejected", IsUsed, Shopify),
    ("an owner who does not consent", |b| { b.remove("code"); b.set("error", "access_denied") }, 400, "oauth_denied", Stays, Nobody),
    ("fewer scopes", |b| b.faults = vec![token_answer("read_products")], 424, "store_scope_missing", IsUsed, Shopify),
    ("no scopes", |b| b.faults = vec![token_answer("")], 424, "store_scope_missing", IsUsed, Shopify),
    ("a token that does not work", |b| b.faults = vec![token_answer("read_customers,read_orders,read_products")], 424, "store_reauthorization_required", IsUsed, Shopify),
    ("a token of another shop", |b| b.faults = vec![other_shop()], 400, ACCOUNT, IsUsed, Shopify),
    ("another provider's address", |b| b.path = "/api/oauth/woocommerce/callback", 400, "not_supported_by_platform", Stays, Nobody),
    ("an unknown provider's address", |b| b.path = "/api/oauth/nobody/callback", 404, "not_found", Stays, Nobody),
    ("the address for keys", |b| b.path = "/api/oauth/shopify/return", 400, "not_supported_by_platform", Stays, Nobody),
];

/// The shop says that it is another one.
fn other_shop() -> Rule {
    let scopes = ["read_customers", "read_orders", "read_products"].map(|handle| json!({ "handle": handle }));
    let body = json!({ "data": {
        "shop": {
            "id": "gid://shopify/Shop/1", "name": "Feine Dinge", "myshopifyDomain": "feine-dinge.myshopify.com",
            "currencyCode": "EUR", "ianaTimezone": "Europe/Berlin", "taxesIncluded": true, "weightUnit": "KILOGRAMS",
            "primaryDomain": Value::Null, "plan": Value::Null,
        },
        "currentAppInstallation": { "accessScopes": scopes },
    } });
    Rule::from(Fault::answer(StatusCode::OK, "application/json", body.to_string())).on("/graphql.json")
}

/// One attempt, up to the platform's answer.
async fn walk(app: &TestApp, people: &People) -> Back {
    let consent = people.began.consent_without_coming_back(SHOP, json!({})).await;
    let url = url::Url::parse(&consent.back).expect("an address");
    let params = url.query_pairs().into_owned().filter(|(name, _)| name != "hmac").collect();
    let other = people.began.consent_without_coming_back(OTHER, json!({})).await;
    let grant = people.began.ask_for_keys(people.began.shop_address("tea.example")).await;
    Back {
        params,
        secret: app.installation.shopify_secret.clone(),
        tamper: |query| query,
        path: "/api/oauth/shopify/callback",
        who: Who::Began,
        meanwhile: Meanwhile::Nothing,
        later: TimeDelta::zero(),
        is_second: false,
        faults: vec![],
        pairing: consent.secrets[0].clone(),
        grant_state: grant.state,
        other_code: other.secrets[2].clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_back_that_does_not_add_up_is_refused_and_writes_nothing() {
    assert!(CASES.len() >= 60, "{}", CASES.len());
    let app = TestApp::with(Options { live_requests_per_minute: 100_000, ..Options::default() }).await;
    let shop = app.sandbox().shopify().shop(SHOP).expect("a shop");
    let mut failures = vec![];
    let mut people = People::meet(&app).await;
    for (name, change, status, problem, right, asked) in CASES {
        forget_attempts(&app).await;
        let mut back = walk(&app, &people).await;
        let state = back.get("state");
        change(&mut back);
        if !back.later.is_zero() {
            app.advance(back.later).await;
            back.shift(back.later.num_seconds());
        }
        if back.is_second {
            // Refused at the platform, so that nothing is connected; the attempt is used up all the same.
            let code = back.get("code");
            back.set("code", "x");
            people.get(&app, Who::Began, &back.path()).await.expect_problem(502, "store_rejected");
            back.set("code", &code);
        }
        people.let_happen(&app, back.meanwhile).await;
        for rule in std::mem::take(&mut back.faults) {
            shop.faults().inject(rule);
        }
        let (before, counts) = (written(&app).await, shop.counts());
        let answer = people.get(&app, back.who, &back.path()).await;
        shop.faults().clear();
        compare(
            &mut failures,
            name,
            "the answer",
            (answer.status.as_u16(), answer.problem().as_str()),
            (*status, *problem),
        );
        compare(&mut failures, name, "what is written", written(&app).await, before);
        let left = if is_open(&app, &state).await { Stays } else { IsUsed };
        compare(&mut failures, name, "the attempt", left, *right);
        let exchanged = if shop.counts().exchanges == counts.exchanges { Nobody } else { Shopify };
        // What a fault answers reaches no shop.
        if asked == &Nobody {
            compare(&mut failures, name, "who was asked", exchanged, Nobody);
            compare(&mut failures, name, "calls", shop.counts(), counts);
        }
        if back.meanwhile != Meanwhile::Nothing {
            people = People::meet(&app).await;
        }
    }
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), CASES.len(), failures.join("\n"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_parameters_and_the_case_of_a_host_are_no_part_of_the_contract() {
    let app = TestApp::with(Options { live_requests_per_minute: 100_000, ..Options::default() }).await;
    let people = People::meet(&app).await;
    let mut back = walk(&app, &people).await;
    back.params.reverse();
    back.set("shop", "Kis-Bolt.myshopify.com");
    people.began.connected(people.get(&app, Who::Began, &back.path()).await);
    app.finish().await;
}

/// Versions up to migration 20261120000015 made states without a proof, and may serve beside this one.
#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_the_version_before_began_is_finished_while_its_state_lives_and_once() {
    let app = TestApp::with(Options { live_requests_per_minute: 100_000, ..Options::default() }).await;
    let people = People::meet(&app).await;
    let as_before = async || {
        forget_attempts(&app).await;
        let mut back = walk(&app, &people).await;
        let (ours, theirs) = (back.get("state"), hex::encode(kernel::random::bytes::<16>()));
        let hash = |state: &str| Sha256::digest(state.as_bytes()).to_vec();
        sqlx::query("update oauth_states set state_hash = $2 where state_hash = $1")
            .bind(hash(&ours))
            .bind(hash(&theirs))
            .execute(&mut app.superuser().await)
            .await
            .expect("a state");
        back.set("state", &theirs);
        (back, ours)
    };
    let (mut late, _) = as_before().await;
    app.advance(TimeDelta::minutes(16)).await;
    late.shift(16 * 60);
    people.get(&app, Who::Began, &late.path()).await.expect_problem(400, "oauth_state_invalid");

    let (mut back, ours) = as_before().await;
    let theirs = back.get("state");
    // What is made up has the form, and nobody knows it; of ours the random part alone is no state.
    for other in ["0".repeat(32), ours[..32].to_owned(), format!("{theirs}0"), theirs.to_uppercase()] {
        back.set("state", &other);
        people.get(&app, Who::Began, &back.path()).await.expect_problem(400, "oauth_state_invalid");
    }
    back.set("state", &theirs);
    people.began.connected(people.get(&app, Who::Began, &back.path()).await);
    people.get(&app, Who::Began, &back.path()).await.expect_problem(400, "oauth_state_invalid");
    app.finish().await;
}
