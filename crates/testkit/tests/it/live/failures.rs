//! Each way that a shop can fail has a problem of its own, and none takes the caller down with it.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use sandbox::{
    faults::{Fault, Rule},
    shopify::{DataAccess, ShopStatus},
};
use serde_json::{Value, json};
use testkit::{Answer, Member, TestApp};
use uuid::Uuid;

use super::list;

const NOT_JSON: &[u8] = b"<html>maintenance</html>";

async fn status_of(owner: &Member, store: Uuid) -> Value {
    owner.get(&format!("/api/integrations/connections/{store}/")).await.at("/status")
}

/// The access-log line of an answer's request.
async fn logged(owner: &Member, answer: &Answer) -> Value {
    let log = owner.get("/api/access-log?limit=100").await.expect(StatusCode::OK);
    let request = answer.header("x-request-id").to_owned();
    let lines = log.at("/data");
    lines.as_array().and_then(|lines| lines.iter().find(|line| line["request_id"] == request).cloned()).expect("a line")
}

fn answer(status: u16, body: &'static str) -> Fault {
    Fault::answer(StatusCode::from_u16(status).expect("a status"), "application/json", body)
}

fn refused(status: u16, retry_after: Option<&'static str>) -> Fault {
    let mut headers = HeaderMap::new();
    if let Some(value) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(value));
    }
    Fault::Answer { status: StatusCode::from_u16(status).expect("a status"), headers, body: "no".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_woocommerce_shop_is_told_apart_from_a_failing_program() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let shop = app.sandbox().woocommerce().shop("kavebolt.example").expect("a shop");
    let unauthorized = r#"{"code":"woocommerce_rest_cannot_view","message":"no","data":{"status":401}}"#;
    let cases: Vec<(&str, Fault, u16, &str, &str)> = vec![
        ("a page for JSON", Fault::html(StatusCode::OK, "Hello"), 502, "store_answer_unreadable", "connected"),
        ("half of the body", Fault::CutHalfway, 502, "store_unavailable", "connected"),
        ("nothing", Fault::CutBeforeHeaders, 502, "store_unavailable", "connected"),
        ("headers only", Fault::CutAfterHeaders, 502, "store_unavailable", "connected"),
        ("a fatal PHP error", Fault::php_fatal(), 502, "store_unavailable", "connected"),
        ("a PHP notice", Fault::php_notice(), 502, "store_answer_unreadable", "connected"),
        ("500", refused(500, None), 502, "store_unavailable", "connected"),
        ("502", Fault::html(StatusCode::BAD_GATEWAY, "Bad gateway"), 502, "store_unavailable", "connected"),
        ("503", refused(503, None), 502, "store_unavailable", "connected"),
        ("maintenance", refused(503, Some("120")), 429, "store_rate_limited", "connected"),
        ("429", Fault::too_many_requests(Some(Duration::from_secs(7))), 429, "store_rate_limited", "connected"),
        ("a firewall", Fault::html(StatusCode::FORBIDDEN, "Forbidden"), 502, "store_unavailable", "connected"),
        (
            "400",
            answer(400, r#"{"code":"rest_invalid_param","message":"x","data":{"status":400,"params":{"page":"x"}}}"#),
            502,
            "store_rejected",
            "connected",
        ),
        ("other JSON", answer(200, r#"{"a":1}"#), 502, "store_answer_unreadable", "connected"),
        (
            "a record without id",
            answer(200, r#"[{"status":"processing"}]"#),
            502,
            "store_answer_unreadable",
            "connected",
        ),
        ("a giant", Fault::GiantField(20 << 20), 502, "store_answer_unreadable", "connected"),
        ("the API is gone", Fault::html(StatusCode::NOT_FOUND, "Not Found"), 424, "store_suspended", "suspended"),
        ("the key is gone", answer(401, unauthorized), 424, "store_reauthorization_required", "needs_reauth"),
    ];
    for (what, fault, status, problem, connection) in cases {
        shop.faults().inject(fault);
        let answer = kata.get(&list("orders", store)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (status, problem),
            "{what}: {}",
            answer.short()
        );
        assert!(answer.at("/detail").as_str().is_some_and(|detail| detail.len() > 20), "{what}: {}", answer.short());
        assert_eq!(status_of(&kata, store).await, connection, "{what}");
        let line = logged(&kata, &answer).await;
        assert_eq!((&line["result"], &line["store_id"]), (&json!(problem), &json!(store)), "{what}");
        if problem == "store_rate_limited" {
            assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|wait| (7..=121).contains(&wait)), "{what}");
        }
        shop.faults().clear();
    }
    // A shop that refused our keys is not asked again until somebody sets others.
    let before = shop.calls().count();
    kata.get(&list("orders", store)).await.expect_problem(424, "store_reauthorization_required");
    assert_eq!(shop.calls().count(), before);
    let form = json!({ "credential": kata.woocommerce_form("kavebolt.example")["credential"] });
    kata.post(&format!("/api/integrations/connections/{store}/credential/"), form).await.expect(StatusCode::OK);
    kata.get(&list("orders", store)).await.expect(StatusCode::OK);
    // One that was switched off is noticed when it is back.
    shop.faults().inject(Rule::from(Fault::html(StatusCode::NOT_FOUND, "Not Found")).times(2));
    kata.get(&list("orders", store)).await.expect_problem(424, "store_suspended");
    shop.faults().clear();
    kata.get(&list("orders", store)).await.expect(StatusCode::OK);
    assert_eq!(status_of(&kata, store).await, "connected");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_shopify_shop_is_told_apart_from_a_failing_program() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    let shop = app.sandbox().shopify().shop("kis-bolt").expect("a shop").clone();
    for (state, status, problem, connection) in [
        (ShopStatus::Frozen, 424, "store_suspended", "suspended"),
        (ShopStatus::Locked, 424, "store_suspended", "suspended"),
        (ShopStatus::Closed, 424, "store_suspended", "suspended"),
        (ShopStatus::Rejected, 429, "store_rate_limited", "connected"),
        (ShopStatus::Forbidden, 424, "store_scope_missing", "connected"),
    ] {
        shop.set_status(state);
        let answer = kata.get(&list("orders", store)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (status, problem),
            "{state:?}: {}",
            answer.short()
        );
        assert_eq!(status_of(&kata, store).await, connection, "{state:?}");
        shop.set_status(ShopStatus::Open);
        kata.get(&list("orders", store)).await.expect(StatusCode::OK);
        assert_eq!(status_of(&kata, store).await, "connected", "{state:?}");
    }
    let error = |code: &str| {
        let body = json!({ "errors": [{ "message": "no", "extensions": { "code": code } }] }).to_string();
        Fault::answer(StatusCode::OK, "application/json", body)
    };
    let cases: Vec<(&str, Fault, u16, &str)> = vec![
        ("429", Fault::too_many_requests(Some(Duration::from_secs(60))), 429, "store_rate_limited"),
        ("500", refused(500, None), 502, "store_unavailable"),
        ("502", Fault::html(StatusCode::BAD_GATEWAY, "Bad gateway"), 502, "store_unavailable"),
        ("a page", Fault::answer(StatusCode::OK, "text/html", NOT_JSON), 502, "store_answer_unreadable"),
        ("half of the body", Fault::CutHalfway, 502, "store_unavailable"),
        ("INTERNAL_SERVER_ERROR", error("INTERNAL_SERVER_ERROR"), 502, "store_unavailable"),
        ("SHOP_INACTIVE", error("SHOP_INACTIVE"), 424, "store_suspended"),
        ("no data", answer(200, r#"{"data":null}"#), 502, "store_answer_unreadable"),
    ];
    for (what, fault, status, problem) in cases {
        shop.faults().inject(Rule::from(fault).on("graphql"));
        let answer = kata.get(&list("orders", store)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (status, problem),
            "{what}: {}",
            answer.short()
        );
        assert_eq!(logged(&kata, &answer).await["result"], problem, "{what}");
        shop.faults().clear();
        kata.get(&list("orders", store)).await.expect(StatusCode::OK);
    }
    app.sandbox().shopify().revoke("kis-bolt");
    kata.get(&list("orders", store)).await.expect_problem(424, "store_reauthorization_required");
    assert_eq!(status_of(&kata, store).await, "needs_reauth");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_shortage_of_points_is_waited_for_and_a_long_one_told() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    let shop = app.sandbox().shopify().shop("kis-bolt").expect("a shop").clone();
    shop.set_rate(sandbox::shopify::Rate::per_second(2_000.0));
    shop.throttle_next(2);
    kata.get(&list("products", store)).await.expect(StatusCode::OK);
    assert!(shop.counts().throttled >= 1, "{:?}", shop.counts());
    shop.throttle_next(10_000);
    let answer = kata.get(&list("products", store)).await.expect_problem(429, "store_rate_limited");
    assert!(
        answer.header("retry-after").parse::<u64>().is_ok_and(|wait| wait >= 1),
        "{}",
        answer.header("retry-after")
    );
    shop.throttle_next(0);
    kata.get(&list("products", store)).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_platforms_approval_persons_are_withheld_and_orders_still_come() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    let mut app_at_shopify = sandbox::shopify::App::new(
        testkit::app::SHOPIFY_CLIENT_ID,
        &app.installation.shopify_secret,
        "https://entrepot.example/api/oauth/shopify/install",
        "https://entrepot.example/api/oauth/shopify/callback",
        "read_customers,read_orders,read_products",
    );
    app_at_shopify.data_access = DataAccess::WithoutIdentity;
    app.sandbox().shopify().register(app_at_shopify.clone());
    let page = kata.get(&list("orders", store)).await.expect(StatusCode::OK);
    let withheld = page.at("/meta/withheld");
    assert!(
        withheld.as_array().is_some_and(|all| all.iter().any(|one| one["reason"] == "provider_approval")),
        "{withheld}"
    );
    assert!(
        page.at("/data/0/total").is_string() && page.at("/data/0/billing_address/last_name").is_null(),
        "{}",
        page.short()
    );
    app_at_shopify.data_access = DataAccess::None;
    app.sandbox().shopify().register(app_at_shopify);
    kata.get(&list("customers", store)).await.expect_problem(424, "store_scope_missing");
    app.finish().await;
}

/// The one test that waits for the whole of a shop's time.
#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_never_answers_is_given_up_after_its_time_and_the_others_go_on() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let slow = kata.connect_woocommerce("kavebolt.example").await;
    let quick = kata.connect_shopify("kis-bolt").await;
    app.sandbox().woocommerce().shop("kavebolt.example").expect("a shop").faults().inject(Fault::Hang);
    let began = std::time::Instant::now();
    let hang = async {
        kata.get(&list("orders", slow)).await.expect_problem(504, "store_slow");
        began.elapsed()
    };
    let go_on = async {
        for _ in 0..10 {
            kata.get(&format!("{}&limit=1", list("products", quick))).await.expect(StatusCode::OK);
        }
        began.elapsed()
    };
    let (hung, others) = tokio::join!(hang, go_on);
    assert!((29..40).contains(&hung.as_secs()), "{hung:?}");
    assert!(others < hung, "the others waited for it: {others:?}");
    app.finish().await;
}
