use axum::http::StatusCode;
use kernel::Role;
use sandbox::faults::{Fault, Rule};
use serde_json::{Value, json};
use testkit::{Answer, Client, TestApp};
use uuid::Uuid;

use super::{audited, connection, events, products, view};

const SHOP: &str = "kavebolt.example";

async fn act(caller: &Client, store: Uuid, action: &str) -> Answer {
    caller.post(&format!("{}{action}/", connection(store)), json!({})).await
}

fn calls(app: &TestApp) -> u64 {
    app.sandbox().woocommerce().shop(SHOP).expect("a shop").calls().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_connection_is_not_read_anywhere_until_it_is_enabled() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let store = kata.connect_woocommerce(SHOP).await;
    let there = kata.on(&b);
    for caller in [&*kata, &there] {
        caller.get(&products(store)).await.expect(StatusCode::OK);
    }
    act(&kata, store, "enable").await.expect_problem(409, "connection_status_conflict");

    let disabled = act(&kata, store, "disable").await.expect(StatusCode::OK);
    assert_eq!(disabled.at("/status"), "disabled");
    assert_eq!(disabled.at("/credential/kind"), "keys", "it keeps its credential");
    kata.get(&products(store)).await.expect_problem(409, "store_not_connected");
    a.within_a_second("the other node refuses", || async {
        there.get(&products(store)).await.problem() == "store_not_connected"
    })
    .await;
    let before = calls(&a);
    for caller in [&*kata, &there] {
        caller.get(&products(store)).await.expect_problem(409, "store_not_connected");
    }
    let tested = act(&kata, store, "test").await.expect(StatusCode::OK);
    assert_eq!(results(&tested), ["store_not_connected"; 3].map(str::to_owned));
    assert_eq!(calls(&a), before, "the shop is not asked");
    act(&kata, store, "disable").await.expect_problem(409, "connection_status_conflict");

    assert_eq!(act(&kata, store, "enable").await.expect(StatusCode::OK).at("/status"), "connected");
    kata.get(&products(store)).await.expect(StatusCode::OK);
    for (event, action) in [("connection.disabled", "connection.disable"), ("connection.enabled", "connection.enable")]
    {
        assert_eq!((events(&a, event).await, audited(&a, action).await), (1, 1), "{event}");
    }
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_new_credential_nor_a_revoked_one_switches_on_what_its_owner_has_switched_off() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce(SHOP).await;
    act(&kata, store, "disable").await.expect(StatusCode::OK);
    let revoked = act(&kata, store, "revoke").await.expect(StatusCode::OK);
    assert_eq!((revoked.at("/status"), revoked.at("/credential")), (json!("disabled"), Value::Null));
    act(&kata, store, "enable").await.expect_problem(409, "conflict");
    let form = json!({ "credential": kata.woocommerce_form(SHOP)["credential"] });
    let path = format!("{}credential/", connection(store));
    assert_eq!(kata.post(&path, form).await.expect(StatusCode::OK).at("/status"), "disabled");
    kata.get(&products(store)).await.expect_problem(409, "store_not_connected");
    act(&kata, store, "enable").await.expect(StatusCode::OK);
    kata.get(&products(store)).await.expect(StatusCode::OK);
    app.finish().await;
}

/// The results of a test: customers, orders, products.
fn results(answer: &Answer) -> [String; 3] {
    let results = answer.at("/results");
    let result = |place: usize, resource: &str| {
        assert_eq!(results[place]["resource"], resource);
        results[place]["result"].as_str().unwrap_or_default().to_owned()
    };
    [result(0, "customers"), result(1, "orders"), result(2, "products")]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_asks_for_one_record_of_each_kind_and_shows_none() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let stores = [kata.connect_woocommerce(SHOP).await, kata.connect_shopify("kis-bolt").await];
    for store in stores {
        let page = kata.get(&format!("/webshop-data-api/customers?store_id={store}&limit=1")).await;
        let person = page.expect(StatusCode::OK).at("/data/0/email");
        let tested = act(&kata, store, "test").await.expect(StatusCode::OK);
        assert_eq!(results(&tested), ["ok"; 3].map(str::to_owned), "{}", tested.text());
        assert_eq!((tested.at("/status"), tested.at("/health")), (json!("connected"), json!("ok")));
        assert!(tested.at("/results/0/upstream_ms").is_u64(), "the shop was asked: {}", tested.text());
        let person = person.as_str().expect("a customer with an e-mail");
        assert!(!tested.text().contains(person) && !tested.text().contains("data"), "{}", tested.text());
    }
    let asked = app.sandbox().woocommerce().shop(SHOP).expect("a shop").calls().queries("customers");
    assert!(asked.last().is_some_and(|query| query.contains("per_page=1")), "{asked:?}");
    assert_eq!(events(&app, "connection.tested").await, 2);
    let logged = kata.get("/api/access-log?limit=100").await.expect(StatusCode::OK);
    let lines = logged.at("/data");
    let tests = lines.as_array().expect("lines").iter().filter(|line| line["operation"] == "test");
    assert_eq!(tests.filter(|line| line["result"] == "ok").count(), 6, "each access is in the log");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_does_not_ask_for_what_its_owner_has_switched_off() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce(SHOP).await;
    let switches = json!({ "allow_customer_access": false, "allow_order_access": true, "allow_product_access": true });
    let form = json!({ "data_access_permissions": switches });
    kata.put(&format!("/api/stores/{store}/permissions"), form).await.expect(StatusCode::OK);
    let form = json!({ "enabled_capabilities": ["read_customers", "read_orders"] });
    kata.patch(&connection(store), form).await.expect(StatusCode::OK);
    let log = app.sandbox().woocommerce().shop(SHOP).expect("a shop").calls();
    log.clear();
    let tested = act(&kata, store, "test").await.expect(StatusCode::OK);
    assert_eq!(results(&tested), ["disabled", "ok", "disabled"].map(str::to_owned));
    assert_eq!(log.by_endpoint().into_iter().collect::<Vec<_>>(), [("orders".to_owned(), 1)]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_tells_which_kinds_fail_and_what_that_makes_of_the_connection() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce(SHOP).await;
    let faults = app.sandbox().woocommerce().shop(SHOP).expect("a shop").faults();
    let down = Fault::html(StatusCode::SERVICE_UNAVAILABLE, "down");
    faults.inject(Rule::from(down).on("/orders"));
    let tested = act(&kata, store, "test").await.expect(StatusCode::OK);
    assert_eq!(results(&tested), ["ok", "store_unavailable", "ok"].map(str::to_owned));
    assert_eq!((tested.at("/status"), tested.at("/health")), (json!("connected"), json!("degraded")));
    assert!(tested.at("/health_cause").is_string() && tested.at("/results/1/detail").is_string());

    faults.clear();
    let tested = act(&kata, store, "test").await.expect(StatusCode::OK);
    assert_eq!((tested.at("/health"), tested.at("/health_cause")), (json!("ok"), Value::Null));

    let revoked = kata.woocommerce_form(SHOP)["credential"].clone();
    let form = json!({ "credential": revoked });
    kata.post(&format!("{}credential/", connection(store)), form).await.expect(StatusCode::OK);
    let key = revoked["consumer_key"].as_str().expect("a key");
    app.sandbox().woocommerce().shop(SHOP).expect("a shop").revoke_key(key);
    let tested = act(&kata, store, "test").await.expect(StatusCode::OK);
    assert_eq!(results(&tested), ["store_reauthorization_required"; 3].map(str::to_owned));
    assert_eq!((tested.at("/status"), tested.at("/health")), (json!("needs_reauth"), json!("failing")));
    assert_eq!(view(&kata, store).await.at("/status"), "needs_reauth");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_and_testing_are_for_those_who_may_change_connections() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce(SHOP).await;
    let (manager, viewer) = (kata.member(Role::ShopManager).await, kata.member(Role::Viewer).await);
    for action in ["disable", "enable", "test"] {
        act(&viewer, store, action).await.expect_problem(403, "forbidden");
        act(&manager, store, action).await.expect(StatusCode::OK);
    }
    app.finish().await;
}
