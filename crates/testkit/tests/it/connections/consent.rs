use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{Member, TestApp};
use uuid::Uuid;

use super::{audited, events, view};

fn switches(customers: bool, orders: bool, products: bool) -> Value {
    json!({ "allow_customer_access": customers, "allow_order_access": orders, "allow_product_access": products })
}

async fn connect(owner: &Member, form: Value) -> Uuid {
    let answer = owner.consent_to("kis-bolt", form).await.answer;
    let answer = answer.expect(StatusCode::SEE_OTHER);
    let (_, id) = answer.header("location").split_once("connected=").expect("connected");
    id.parse().expect("a store's id")
}

#[tokio::test(flavor = "multi_thread")]
async fn connecting_again_changes_what_may_be_read_only_where_that_was_chosen() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let chosen = switches(false, true, true);
    let store = connect(&kata, json!({ "data_access_permissions": chosen })).await;
    assert_eq!(view(&kata, store).await.at("/data_access_permissions"), chosen);

    assert_eq!(connect(&kata, json!({})).await, store);
    assert_eq!(view(&kata, store).await.at("/data_access_permissions"), chosen, "nothing was chosen, nothing widens");
    let history = format!("/api/stores/{store}/permissions/history");
    assert_eq!(kata.get(&history).await.at("/data"), json!([]));

    let anew = switches(false, false, true);
    assert_eq!(connect(&kata, json!({ "data_access_permissions": anew })).await, store);
    assert_eq!(view(&kata, store).await.at("/data_access_permissions"), anew);
    let told = kata.get(&history).await.expect(StatusCode::OK);
    assert_eq!((told.at("/data/0/before"), told.at("/data/0/after")), (chosen, anew));
    assert_eq!(told.at("/data/0/actor"), format!("user:{}", kata.user));
    assert_eq!(audited(&app, "store_permissions.update").await, 1);
    assert_eq!(events(&app, "store_permissions.changed").await, 1);
    kata.get(&format!("/webshop-data-api/orders?store_id={store}")).await.expect_problem(403, "data_access_disabled");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_can_be_begun_without_a_body() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let started = kata.send(Method::POST, "/api/oauth/shopify/start", None).await.expect(StatusCode::OK);
    assert!(started.at("/url").is_string());
    let refused = kata.post("/api/oauth/shopify/start", json!({ "shop": "kis-bolt" })).await;
    refused.expect_problem(400, "invalid_request");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_back_without_a_session_gets_a_page_in_a_browser_and_a_problem_elsewhere() {
    let app = TestApp::start().await;
    let path = "/api/oauth/shopify/callback?code=1";
    let page = app.nobody().with_header("accept", "text/html,*/*;q=0.8").get(path).await;
    let page = page.expect(StatusCode::UNAUTHORIZED);
    assert!(page.header("content-type").starts_with("text/html"), "{}", page.header("content-type"));
    assert!(page.text().contains("Your session has ended"), "{}", page.text());
    // Exactly the style of the page is allowed, and no attribute that the policy would block is there.
    let style = page
        .text()
        .split_once("<style>")
        .and_then(|(_, rest)| rest.split_once("</style>"))
        .expect("a style")
        .0
        .to_owned();
    let digest = <sha2::Sha256 as sha2::Digest>::digest(style);
    let hash = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains(&format!("style-src 'sha256-{hash}'")) && policy.contains("default-src 'none'"),
        "{policy}"
    );
    assert!(!page.text().contains("style="), "{}", page.text());
    app.nobody().get(path).await.expect_problem(401, "unauthenticated");
    app.finish().await;
}
