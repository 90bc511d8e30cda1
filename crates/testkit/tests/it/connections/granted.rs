//! WooCommerce's own consent page, and the keys that it hands over.

use axum::http::StatusCode;
use serde_json::json;
use testkit::{TestApp, shops::browse};

use super::{connection, products, view};

const SHOP: &str = "kavebolt.example";

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_is_connected_by_consent_with_a_key_that_reads_and_no_more() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let switches = json!({ "allow_customer_access": false, "allow_order_access": true, "allow_product_access": true });
    let mut form = kata.shop_address(SHOP);
    form["data_access_permissions"] = switches.clone();
    let grant = kata.ask_for_keys(form).await;
    let asked = |name: &str| {
        let found = grant.consent.query_pairs().find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    // Whoever consents reads for whom, in words that the organization did not choose.
    let shown = format!("Entrepot, for \"{}\"", kata.organization_name);
    assert_eq!((asked("app_name"), asked("scope")), (shown, "read".to_owned()));
    assert_eq!(asked("callback_url"), "https://entrepot.example/api/oauth/woocommerce/callback");
    assert_eq!(asked("return_url"), "https://entrepot.example/api/oauth/woocommerce/return");
    let back = grant.approve().await.expect(StatusCode::FOUND);
    let connections: i64 = sqlx::query_scalar("select count(*) from connections")
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a count");
    assert_eq!(connections, 0, "what a shop hands over connects nothing by itself");
    let store = kata.connected(kata.redirected(&back, &grant.cookies).await);
    let seen = view(&kata, store).await;
    assert_eq!((seen.at("/status"), seen.at("/external_account")), (json!("connected"), json!(SHOP)));
    assert_eq!((seen.at("/credential/kind"), seen.at("/data_access_permissions")), (json!("keys"), switches));
    kata.get(&products(store)).await.expect(StatusCode::OK);
    assert_eq!(sealed(&app).await, 0, "nothing waits any more");

    // A second consent gives the same connection another key.
    let again = kata.connected(kata.grant(kata.shop_address(SHOP)).await);
    assert_eq!(again, store);
    app.finish().await;
}

async fn sealed(app: &TestApp) -> i64 {
    sqlx::query_scalar("select count(*) from oauth_states")
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shop_that_takes_keys_by_https_hands_them_over() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    for host in ["lampa.example", "nagyker.example", "tea.example"] {
        let store = kata.connected(kata.grant(kata.shop_address(host)).await);
        kata.get(&products(store)).await.expect(StatusCode::OK);
    }
    for (host, hint) in [("csapagy.example", "no https"), ("regi.example", "Permalinks")] {
        let refused = kata.post("/api/oauth/woocommerce/start", kata.shop_address(host)).await;
        let refused = refused.expect_problem(422, "connect_refused");
        assert!(refused.text().contains(hint), "{}", refused.text());
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_denies_leads_back_to_a_page_that_says_so() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let shop = app.sandbox().woocommerce().shop(SHOP).expect("a shop");
    let keys = shop.key_count();
    let grant = kata.ask_for_keys(kata.shop_address(SHOP)).await;
    let (page, approve, deny) = grant.page().await;
    assert!(page.text().contains("Entrepot, for"), "{}", page.text());
    let path = deny.as_str().strip_prefix(testkit::app::PUBLIC_URL).expect("ours").to_owned();
    let browser = app.nobody().with_header("cookie", &grant.cookies);
    browser.get(&path).await.expect_problem(400, "oauth_denied");
    // Who changes their mind starts again: the shop takes the key back that it made for the attempt which is over.
    let late = browse(axum::http::Method::GET, &approve, None).await;
    assert!(late.expect(StatusCode::UNAUTHORIZED).text().contains("unable to send the consumer data"));
    assert_eq!(shop.key_count(), keys);
    assert_eq!(sealed(&app).await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_the_shop_took_back_connect_nothing() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let shop = app.sandbox().woocommerce().shop(SHOP).expect("a shop");
    let keys = shop.key_count();
    // Our answer is lost on its way to the shop, which takes the key back.
    let carrier = app.carrier();
    app.sandbox().woocommerce().carried_by(std::sync::Arc::new(move |delivery| {
        let carried = carrier(delivery);
        Box::pin(async move {
            assert_eq!(carried.await, Some(StatusCode::OK));
            None
        })
    }));
    let grant = kata.ask_for_keys(kata.shop_address(SHOP)).await;
    grant.approve().await.expect(StatusCode::UNAUTHORIZED);
    assert_eq!(shop.key_count(), keys);
    let path = format!("/api/oauth/woocommerce/return?success=1&user_id={}", grant.state);
    let browser = app.nobody().with_header("cookie", &grant.cookies);
    app.advance(chrono::TimeDelta::seconds(5)).await;
    browser.get(&path).await.expect_problem(422, "connect_refused");
    browser.get(&path).await.expect_problem(400, "oauth_state_invalid");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_is_faster_than_the_shop_waits_and_a_shop_that_sends_twice_is_heard_once() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let grant = kata.ask_for_keys(kata.shop_address(SHOP)).await;
    let browser = app.nobody().with_header("cookie", &grant.cookies);
    let path = format!("/api/oauth/woocommerce/return?success=1&user_id={}", grant.state);
    let early = browser.get(&path).await.expect_problem(400, "oauth_refused");
    assert_eq!(early.header("retry-after"), "2");
    let (_, approve, _) = grant.page().await;
    let back = browse(axum::http::Method::GET, &approve, None).await.expect(StatusCode::FOUND);
    browse(axum::http::Method::GET, &approve, None).await.expect(StatusCode::UNAUTHORIZED);
    let store = kata.connected(kata.redirected(&back, &grant.cookies).await);
    kata.get(&products(store)).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_proved_anew_at_its_own_shop() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce(SHOP).await;
    kata.post(&format!("{}revoke/", connection(store)), json!({})).await.expect(StatusCode::OK);
    let started = kata.post(&format!("{}reauthorize/", connection(store)), json!({})).await.expect(StatusCode::OK);
    let grant = kata.grant_of(&started);
    let back = grant.approve().await.expect(StatusCode::FOUND);
    assert_eq!(kata.connected(kata.redirected(&back, &grant.cookies).await), store);
    assert_eq!(view(&kata, store).await.at("/status"), "connected");
    app.finish().await;
}
