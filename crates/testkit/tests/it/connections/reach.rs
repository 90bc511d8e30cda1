//! What is allowed, hidden and deleted meanwhile holds for consents, disconnections and repeated answers.

use std::time::Duration;

use axum::http::StatusCode;
use kernel::Role;
use sandbox::faults::{Fault, Rule};
use serde_json::{Value, json};
use testkit::{Member, TestApp};
use uuid::Uuid;

use super::{connection, products, view};

const SHOP: &str = "kis-bolt";

async fn grant(by: &Member, to: &Member, form: Value) {
    let seats = by.get("/api/members?limit=100").await.expect(StatusCode::OK).at("/data");
    let seat = seats.as_array().and_then(|all| all.iter().find(|seat| seat["email"] == to.email.as_str())).cloned();
    let path = format!("/api/members/{}/grants", seat.expect("a seat")["id"].as_str().expect("an id"));
    by.post(&path, form).await.expect(StatusCode::CREATED);
}

fn at(effect: &str, action: &str, store: Uuid) -> Value {
    json!({ "effect": effect, "resource": "connections", "action": action, "resource_id": store })
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_change_one_connection_comes_back_from_its_consent() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify(SHOP).await;
    let keeper = kata.member(Role::Manager).await;
    grant(&kata, &keeper, at("allow", "update", store)).await;
    let started = keeper.post(&format!("{}reauthorize/", connection(store)), json!({})).await.expect(StatusCode::OK);
    let back = keeper.consent_at(&started).await.answer;
    assert_eq!(keeper.connected(back), store);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_to_a_connection_that_is_hidden_takes_the_account_from_nobody() {
    let app = TestApp::start().await;
    let (kata, bela) = (app.sign_up("Kata").await, app.sign_up("Bela").await);
    let own = bela.connect_shopify(SHOP).await;
    let theirs = kata.connected(kata.consent_to(SHOP, json!({ "transfer": true })).await.answer);
    let partner = bela.member(Role::ShopManager).await;
    grant(&bela, &partner, at("deny", "read", own)).await;
    partner.get(&connection(own)).await.expect_problem(404, "not_found");
    let refused = partner.consent_to(SHOP, json!({ "transfer": true })).await.answer;
    refused.expect_problem(409, "conflict");
    assert_eq!(view(&kata, theirs).await.at("/status"), "connected");
    kata.get(&products(theirs)).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_a_connection_that_its_provider_refuses_says_that_nothing_was_ended_there() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify(SHOP).await;
    app.sandbox().shopify().uninstall(SHOP, testkit::app::SHOPIFY_CLIENT_ID);
    kata.get(&products(store)).await.expect_problem(424, "store_reauthorization_required");
    kata.post(&format!("{}disconnect/", connection(store)), json!({})).await.expect(StatusCode::OK);
    let events = kata.get("/api/integrations/events/").await.expect(StatusCode::OK).text();
    assert!(events.contains("\"is_revoked_at_provider\":false"), "{events}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_not_repeated_once_its_connection_is_hidden() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let manager = kata.member(Role::ShopManager).await;
    let (path, form) = ("/api/integrations/connections/", manager.woocommerce_form("kavebolt.example"));
    let once = manager.with_header("idempotency-key", "once");
    let first = once.post(path, form.clone()).await.expect(StatusCode::CREATED);
    let store: Uuid = first.at("/id").as_str().and_then(|id| id.parse().ok()).expect("an id");
    let key_form = json!({ "name": "of one store", "stores": [store] });
    let keyed = manager.with_header("idempotency-key", "a key");
    keyed.post("/api-key-management/create", key_form.clone()).await.expect(StatusCode::CREATED);
    assert_eq!(once.post(path, form.clone()).await.json(), first.json());
    grant(&kata, &manager, at("deny", "read", store)).await;
    let hidden = once.post(path, form).await.expect_problem(404, "not_found");
    assert!(!hidden.text().contains(&store.to_string()));
    keyed.post("/api-key-management/create", key_form).await.expect_problem(404, "not_found");
    app.finish().await;
}

/// How many transactions of the program wait for a row.
async fn waiting(app: &TestApp) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
    )
    .fetch_one(&mut app.superuser().await)
    .await
    .expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_is_deleted_while_one_of_its_connections_is_ended() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let first = kata.connect_woocommerce("kavebolt.example").await;
    let second = kata.connect_shopify(SHOP).await;
    // Held: the key that a deletion comes to first.
    let mut superuser = app.superuser().await;
    sqlx::query("begin").execute(&mut superuser).await.expect("a transaction");
    sqlx::query("select id from data_keys where scope_id = $1 for update")
        .bind(first)
        .execute(&mut superuser)
        .await
        .expect("a row");
    let deleting = tokio::spawn({
        let (kata, name) = (kata.clone(), json!({ "name": kata.organization_name }));
        async move { kata.delete(&format!("/api/organizations/{}", kata.organization), name).await }
    });
    app.eventually("the deletion waits", || async { waiting(&app).await == 1 }).await;
    let ending = tokio::spawn({
        let kata = kata.clone();
        async move { kata.post(&format!("{}disconnect/", connection(second)), json!({})).await }
    });
    app.eventually("so does the end of the connection", || async { waiting(&app).await == 2 }).await;
    sqlx::query("rollback").execute(&mut superuser).await.expect("the end");
    deleting.await.expect("an answer").expect(StatusCode::NO_CONTENT);
    ending.await.expect("an answer").expect_problem(404, "not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_is_deleted_meanwhile_claims_no_account() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify(SHOP).await;
    let started = kata.post(&format!("{}reauthorize/", connection(store)), json!({})).await.expect(StatusCode::OK);
    let slow = Fault::LateAnswer(Duration::from_secs(2));
    let shop = app.sandbox().shopify().shop(SHOP).expect("a shop");
    shop.faults().inject(Rule::from(slow).on("/admin/oauth/access_token"));
    let consenting = tokio::spawn({
        let kata = kata.clone();
        async move { kata.consent_at(&started).await.answer }
    });
    let mut superuser = app.superuser().await;
    let states = async || -> i64 {
        let count = sqlx::query_scalar("select count(*) from oauth_states");
        count.fetch_one(&mut app.superuser().await).await.expect("a count")
    };
    app.eventually("the way back is taken", || async { states().await == 0 }).await;
    sqlx::query("update organizations set deleted_at = created_at where id = $1")
        .bind(kata.organization)
        .execute(&mut superuser)
        .await
        .expect("a deletion");
    consenting.await.expect("an answer").expect_problem(404, "not_found");
    let claims: i64 =
        sqlx::query_scalar("select count(*) from exclusive_accounts").fetch_one(&mut superuser).await.expect("a count");
    assert_eq!(claims, 0, "a deleted organization holds nothing");
    app.finish().await;
}
