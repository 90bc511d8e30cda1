use axum::http::StatusCode;
use serde_json::{Value, json};
use testkit::{Client, Member, TestApp};
use uuid::Uuid;

use super::{list, upstream_calls};

async fn switch_customers(owner: &Member, store: Uuid, on: bool) {
    let permissions = json!({ "allow_customer_access": on, "allow_order_access": true, "allow_product_access": true });
    let form = json!({ "data_access_permissions": permissions, "reason": "the owner says so" });
    owner.put(&format!("/api/stores/{store}/permissions"), form).await.expect(StatusCode::OK);
}

async fn is_switched_off(caller: &Client, store: Uuid) -> bool {
    let answer = caller.get(&list("customers", store)).await;
    answer.status == StatusCode::FORBIDDEN && answer.problem() == "data_access_disabled"
}

/// No value of the persons of a page of orders.
fn refuse_persons(page: &Value) {
    for order in page["data"].as_array().expect("orders") {
        for field in ["customer", "billing_address", "shipping_address", "note", "platform_specific"] {
            assert!(order[field].is_null(), "{field}: {}", order[field]);
        }
    }
}

async fn customers_off_means_now(connect: impl AsyncFn(&Member) -> Uuid) {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let store = connect(&kata).await;
    let here = kata.create_key("here").await;
    let there = here.on(&b);
    for caller in [&*here, &there] {
        let page = caller.get(&list("customers", store)).await.expect(StatusCode::OK);
        assert!(!page.at("/data/0/email").is_null(), "warm, with persons: {}", page.short());
    }

    switch_customers(&kata, store, false).await;
    assert!(is_switched_off(&here, store).await, "at once where it was switched");
    a.within_a_second("the other node refuses", || is_switched_off(&there, store)).await;

    let before = upstream_calls(&a);
    for caller in [&*here, &there] {
        let one = format!("/webshop-data-api/customers/1?store_id={store}");
        caller.get(&list("customers", store)).await.expect_problem(403, "data_access_disabled");
        caller.get(&one).await.expect_problem(403, "data_access_disabled");
        let search = json!({ "store_id": store, "email": "somebody@example.com" });
        caller.post("/webshop-data-api/customers/search", search).await.expect_problem(403, "data_access_disabled");
    }
    assert_eq!(upstream_calls(&a), before, "the shop is not asked");

    for caller in [&*here, &there] {
        for fields in ["", "&fields=number,customer,billing_address,platform_specific"] {
            let page = caller.get(&format!("{}{fields}", list("orders", store))).await.expect(StatusCode::OK);
            refuse_persons(&page.json());
            let withheld = page.at("/meta/withheld");
            let is_told = |field: &str| {
                withheld.as_array().is_some_and(|all| all.contains(&json!({"field": field, "reason": "switch"})))
            };
            assert!(is_told("customer") && is_told("billing_address"), "{withheld}");
        }
    }

    switch_customers(&kata, store, true).await;
    for caller in [&*here, &there] {
        a.within_a_second("on again", || async {
            caller.get(&list("customers", store)).await.status == StatusCode::OK
        })
        .await;
    }
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_off_means_now_for_woocommerce() {
    customers_off_means_now(async |owner: &Member| owner.connect_woocommerce("kavebolt.example").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_off_means_now_for_shopify() {
    customers_off_means_now(async |owner: &Member| owner.connect_shopify("kis-bolt").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shopify_is_not_even_asked_for_withheld_persons() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    // An app that Shopify has not approved for persons would be refused the page if it asked for one.
    let mut unapproved = sandbox::shopify::App::new(
        testkit::app::SHOPIFY_CLIENT_ID,
        &app.installation.shopify_secret,
        "https://entrepot.example/api/oauth/shopify/install",
        "https://entrepot.example/api/oauth/shopify/callback",
        "read_customers,read_orders,read_products",
    );
    unapproved.data_access = sandbox::shopify::DataAccess::WithoutIdentity;
    app.sandbox().shopify().register(unapproved);
    switch_customers(&kata, store, false).await;
    let page = kata.get(&list("orders", store)).await.expect(StatusCode::OK);
    refuse_persons(&page.json());
    let reasons = page.at("/meta/withheld");
    assert!(!reasons.to_string().contains("provider_approval"), "nobody was asked for persons: {reasons}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switches_of_a_store_are_looked_at_before_its_credential() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    kata.post(&format!("/api/integrations/connections/{store}/revoke/"), json!({})).await.expect(StatusCode::OK);
    kata.get(&list("customers", store)).await.expect_problem(424, "store_reauthorization_required");
    switch_customers(&kata, store, false).await;
    kata.get(&list("customers", store)).await.expect_problem(403, "data_access_disabled");
    kata.get(&list("orders", store)).await.expect_problem(424, "store_reauthorization_required");
    kata.post(&format!("/api/integrations/connections/{store}/test/"), json!({})).await.expect(StatusCode::OK);
    let view = kata.get(&format!("/api/integrations/connections/{store}/")).await;
    assert_eq!((view.at("/status"), view.at("/health")), (json!("needs_reauth"), json!("failing")));

    let logged = kata.get("/api/access-log?limit=100").await.expect(StatusCode::OK).at("/data");
    let lines = logged.as_array().expect("lines");
    assert_eq!(lines.len(), 6, "{logged}");
    for line in lines {
        assert_eq!(line["store_id"], json!(store), "each line names the store: {line}");
    }
    app.finish().await;
}
