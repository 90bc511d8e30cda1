use axum::http::StatusCode;
use chrono::TimeDelta;
use sandbox::faults::Fault;
use serde_json::{Value, json};
use testkit::TestApp;

use super::{events, products, view};

const SHOP: &str = "kavebolt.example";

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_fails_in_passing_is_degraded_once_and_well_when_it_answers() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce(SHOP).await;
    let seen = view(&kata, store).await.header("etag").to_owned();
    let faults = app.sandbox().woocommerce().shop(SHOP).expect("a shop").faults();
    for (fault, problem) in [
        (Fault::html(StatusCode::BAD_GATEWAY, "down"), "store_unavailable"),
        (Fault::answer(StatusCode::OK, "application/json", "[{]"), "store_answer_unreadable"),
    ] {
        let before = events(&app, "connection.health").await;
        faults.inject(fault);
        for _ in 0..3 {
            assert_eq!(kata.get(&products(store)).await.problem(), problem);
        }
        let degraded = view(&kata, store).await;
        assert_eq!((degraded.at("/status"), degraded.at("/health")), (json!("connected"), json!("degraded")));
        assert!(degraded.at("/health_cause").is_string() && degraded.at("/health_since").is_string());
        assert_eq!(events(&app, "connection.health").await, before + 1, "once, not per request");

        faults.clear();
        for _ in 0..2 {
            kata.get(&products(store)).await.expect(StatusCode::OK);
        }
        let well = view(&kata, store).await;
        assert_eq!((well.at("/health"), well.at("/health_cause")), (json!("ok"), Value::Null));
        assert_eq!(events(&app, "connection.health").await, before + 2);
        assert_eq!(well.header("etag"), seen, "health comes and goes without a new version");
        app.advance(TimeDelta::seconds(11)).await;
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_answers_some_of_its_resources_only_does_not_flap_with_every_read() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce(SHOP).await;
    let faults = app.sandbox().woocommerce().shop(SHOP).expect("a shop").faults();
    let down = Fault::html(StatusCode::BAD_GATEWAY, "down");
    faults.inject(sandbox::faults::Rule::from(down).on("/orders"));
    for _ in 0..5 {
        kata.get(&format!("/webshop-data-api/orders?store_id={store}")).await.expect_problem(502, "store_unavailable");
        kata.get(&products(store)).await.expect(StatusCode::OK);
    }
    assert_eq!(events(&app, "connection.health").await, 2, "degraded and well, once each");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn being_asked_too_often_says_nothing_of_a_shops_health() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce(SHOP).await;
    let faults = app.sandbox().woocommerce().shop(SHOP).expect("a shop").faults();
    faults.inject(Fault::too_many_requests(Some(std::time::Duration::from_secs(7))));
    kata.get(&products(store)).await.expect_problem(429, "store_rate_limited");
    assert_eq!(view(&kata, store).await.at("/health"), "ok");
    app.finish().await;
}
