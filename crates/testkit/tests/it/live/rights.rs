//! What somebody loses while a shop takes its time.

use std::time::Duration;

use axum::http::StatusCode;
use kernel::Role;
use sandbox::faults::Fault;
use serde_json::{Value, json};
use testkit::{Answer, Client, Member, TestApp};
use uuid::Uuid;

use super::{list, upstream_calls};
use crate::people::seat_path;

const SHOP: &str = "kavebolt.example";
/// As long as a shop takes here: long enough to take something away meanwhile.
const SLOW: Duration = Duration::from_millis(1_500);

/// What two reads, a list and one record, are answered when something is taken away while the shop is asked.
async fn during(app: &TestApp, caller: &Client, store: Uuid, take: impl AsyncFnOnce()) -> [Answer; 2] {
    let page = caller.get(&list("orders", store)).await.expect(StatusCode::OK);
    let id = page.at("/data/0/id").as_str().expect("an order").to_owned();
    let faults = app.sandbox().woocommerce().shop(SHOP).expect("a shop");
    faults.faults().inject(Fault::Delay(SLOW));
    let before = upstream_calls(app);
    let (many, one) = (list("orders", store), format!("/webshop-data-api/orders/{id}?store_id={store}"));
    let (caller_1, caller_2) = (caller.clone(), caller.clone());
    let reads =
        [tokio::spawn(async move { caller_1.get(&many).await }), tokio::spawn(async move { caller_2.get(&one).await })];
    // Both were let in, and wait for the shop.
    app.eventually("the shop is asked", || async { upstream_calls(app) >= before + 2 }).await;
    take().await;
    let [first, second] = reads;
    let answers = [first.await.expect("an answer"), second.await.expect("an answer")];
    faults.faults().clear();
    answers
}

fn refuse_data(answers: &[Answer; 2], expected: (u16, &str)) {
    for answer in answers {
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), expected, "{}", answer.short());
        assert_eq!(answer.at("/data"), Value::Null);
    }
}

async fn deny(owner: &Member, seat: &str, resource: &str, store: Uuid) {
    let form = json!({ "effect": "deny", "resource": resource, "action": "read", "resource_id": store });
    owner.post(&format!("{seat}/grants"), form).await.expect(StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_while_the_shop_is_asked_gets_nothing() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce(SHOP).await;
    let key = kata.create_key("reader").await;
    let revoke = async || {
        kata.post("/api-key-management/revoke", json!({ "key_id": key.id })).await.expect(StatusCode::OK);
    };
    refuse_data(&during(&app, &key, store, revoke).await, (401, "unauthenticated"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_while_the_shop_is_asked_is_gone_for_the_answer_too() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce(SHOP).await;
    let manager = kata.member(Role::ShopManager).await;
    let key = manager.create_key("of the manager").await;
    let seat = seat_path(&kata, &manager.email).await;
    // What is about persons goes first, and the rest is shown.
    let answers = during(&app, &key, store, async || deny(&kata, &seat, "customers", store).await).await;
    for answer in &answers {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.short());
        let order = if answer.at("/data").is_array() { answer.at("/data/0") } else { answer.at("/data") };
        assert!(
            order["id"].is_string() && order["customer"].is_null() && order["billing_address"].is_null(),
            "{order}"
        );
    }
    let sessions = during(&app, &manager, store, async || deny(&kata, &seat, "orders", store).await).await;
    refuse_data(&sessions, (403, "forbidden"));

    let other = kata.member(Role::ShopManager).await;
    let path = seat_path(&kata, &other.email).await;
    let suspend = async || {
        kata.patch(&path, json!({ "status": "suspended" })).await.expect(StatusCode::OK);
    };
    refuse_data(&during(&app, &other, store, suspend).await, (404, "not_found"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_and_a_store_that_is_deleted_while_the_shop_is_asked_show_nothing() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce(SHOP).await;
    let viewer = kata.member(Role::ShopManager).await;
    let end = async || {
        viewer.post("/api/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    };
    refuse_data(&during(&app, &viewer, store, end).await, (401, "unauthenticated"));
    let key = kata.create_key("reader").await;
    let delete = async || {
        let path = format!("/api/integrations/connections/{store}/");
        kata.send(http::Method::DELETE, &path, None).await.expect(StatusCode::NO_CONTENT);
    };
    refuse_data(&during(&app, &key, store, delete).await, (404, "not_found"));
    app.finish().await;
}
