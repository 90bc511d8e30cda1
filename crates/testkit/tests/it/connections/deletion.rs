//! Deleting a connection, and bringing it back.

use axum::http::{Method, StatusCode};
use chrono::TimeDelta;
use kernel::Role;
use serde_json::{Value, json};
use testkit::{Answer, Client, Member, TestApp};
use uuid::Uuid;

use super::{audited, connection, events, products, view};

const SHOP: &str = "kavebolt.example";
const LIST: &str = "/api/integrations/connections/";

async fn delete(by: &Client, store: Uuid) -> Answer {
    by.send(Method::DELETE, &connection(store), None).await
}

async fn restore(by: &Client, store: Uuid) -> Answer {
    by.send(Method::POST, &format!("{}restore/", connection(store)), None).await
}

async fn ids(by: &Client, list: &str) -> Vec<Value> {
    let rows = by.get(list).await.expect(StatusCode::OK).at("/data");
    rows.as_array().expect("rows").iter().map(|row| row["id"].clone()).collect()
}

/// Credentials and data keys that open something, and accounts that are held.
async fn left(app: &TestApp) -> (i64, i64, i64) {
    sqlx::query_as(
        "select (select count(*) from credentials where length(sealed) > 0),
                (select count(*) from data_keys where wrapped is not null and scope = 'connection'),
                (select count(*) from exclusive_accounts)",
    )
    .fetch_one(&mut app.superuser().await)
    .await
    .expect("counts")
}

async fn sign_in_again(app: &TestApp, kata: &Member) -> Client {
    let form = json!({ "email": kata.email, "password": kata.password });
    let session = app.nobody().post("/api/login", form).await.expect(StatusCode::OK);
    kata.presenting(session.at("/session_token").as_str().expect("a session"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_connection_is_disconnected_leaves_every_list_and_keeps_its_log() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    let key = kata.create_key("reader").await;
    key.get(&products(store)).await.expect(StatusCode::OK);
    let shop = app.sandbox().shopify().shop("kis-bolt").expect("a shop");
    let before = shop.counts().operations.get("Uninstall").copied().unwrap_or_default();
    delete(&kata, store).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(shop.counts().operations.get("Uninstall").copied().unwrap_or_default(), before + 1, "ended at Shopify");
    assert_eq!(left(&app).await, (0, 0, 0), "neither credential nor key nor account is left");
    for path in [connection(store), format!("/api/stores/{store}"), products(store)] {
        kata.get(&path).await.expect_problem(404, "not_found");
    }
    key.get(&products(store)).await.expect_problem(404, "not_found");
    delete(&kata, store).await.expect_problem(404, "not_found");
    for action in ["enable", "disconnect", "revoke"] {
        kata.post(&format!("{}{action}/", connection(store)), json!({})).await.expect_problem(404, "not_found");
    }
    for list in [LIST, "/api/stores"] {
        assert!(ids(&kata, list).await.is_empty(), "{list}");
    }
    let deleted = kata.get(&format!("{LIST}?deleted=true")).await.expect(StatusCode::OK);
    assert_eq!((deleted.at("/data/0/id"), deleted.at("/data/0/status")), (json!(store), json!("disconnected")));
    assert!(deleted.at("/data/0/deleted_at").is_string() && deleted.at("/data/0/credential").is_null());
    // What happened to it can still be read.
    let log = kata.get(&format!("/api/integrations/events/?connection_id={store}")).await.expect(StatusCode::OK);
    let types: Vec<Value> =
        log.at("/data").as_array().expect("lines").iter().map(|line| line["event_type"].clone()).collect();
    assert_eq!(types[..2], [json!("connection.deleted"), json!("connection.disconnected")]);
    assert!(types.contains(&json!("connection.connected")));
    let reads = kata.get(&format!("/api/access-log?store_id={store}")).await.expect(StatusCode::OK);
    assert!(!reads.at("/data").as_array().expect("lines").is_empty());
    assert_eq!((audited(&app, "connection.disconnect").await, audited(&app, "connection.delete").await), (1, 1));
    let who: (Option<Uuid>, bool) = sqlx::query_as("select deleted_by, deleted_at is not null from connections")
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a row");
    assert_eq!(who, (Some(kata.user), true));

    // Its account is free, here and elsewhere.
    let bela = app.sign_up("Bela").await;
    let theirs = bela.connect_shopify("kis-bolt").await;
    delete(&bela, theirs).await.expect(StatusCode::NO_CONTENT);
    assert_ne!(kata.connect_shopify("kis-bolt").await, store, "another connection");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_connection_has_its_id_and_settings_and_waits_for_a_credential() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce(SHOP).await;
    let switches = json!({ "allow_customer_access": false, "allow_order_access": true, "allow_product_access": true });
    let form = json!({ "data_access_permissions": switches });
    kata.put(&format!("/api/stores/{store}/permissions"), form).await.expect(StatusCode::OK);
    kata.patch(&connection(store), json!({ "display_name": "Ours" })).await.expect(StatusCode::OK);
    restore(&kata, store).await.expect(StatusCode::OK);
    assert_eq!(audited(&app, "connection.restore").await, 0, "one that is there stays as it is");
    delete(&kata, store).await.expect(StatusCode::NO_CONTENT);

    let back = restore(&kata, store).await.expect(StatusCode::OK);
    assert_eq!((back.at("/id"), back.at("/display_name")), (json!(store), json!("Ours")));
    assert_eq!((back.at("/status"), back.at("/next_step/action")), (json!("needs_reauth"), json!("reauthorize")));
    assert_eq!((back.at("/data_access_permissions"), back.at("/deleted_at")), (switches, Value::Null));
    assert!(back.at("/health_cause").as_str().is_some_and(|cause| cause.contains("restored")), "{}", back.text());
    kata.get(&products(store)).await.expect_problem(424, "store_reauthorization_required");
    let form = json!({ "credential": kata.woocommerce_form(SHOP)["credential"] });
    kata.post(&format!("{}credential/", connection(store)), form).await.expect(StatusCode::OK);
    kata.get(&products(store)).await.expect(StatusCode::OK);
    assert_eq!((events(&app, "connection.restored").await, audited(&app, "connection.restore").await), (1, 1));

    // Connected anew meanwhile, the account is that connection's.
    delete(&kata, store).await.expect(StatusCode::NO_CONTENT);
    let second = kata.connect_woocommerce(SHOP).await;
    assert_ne!(second, store);
    restore(&kata, store).await.expect_problem(409, "conflict");
    delete(&kata, second).await.expect(StatusCode::NO_CONTENT);
    restore(&kata, store).await.expect(StatusCode::OK);
    assert_eq!(ids(&kata, LIST).await, [json!(store)]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_delete_a_connection_neither_deletes_nor_restores_it() {
    let app = TestApp::start().await;
    let (kata, other) = (app.sign_up("Kata").await, app.sign_up("Other").await);
    let store = kata.connect_woocommerce(SHOP).await;
    for role in [Role::Administrator, Role::Viewer, Role::Manager] {
        let member = kata.member(role).await;
        delete(&member, store).await.expect_problem(403, "forbidden");
        restore(&member, store).await.expect_problem(403, "forbidden");
    }
    delete(&other, store).await.expect_problem(404, "not_found");
    // To delete is to disconnect, which changes it.
    let manager = kata.member(Role::Manager).await;
    let seat = crate::people::seat_path(&kata, &manager.email).await;
    let form = json!({ "effect": "allow", "resource": "connections", "action": "delete", "resource_id": store });
    kata.post(&format!("{seat}/grants"), form).await.expect(StatusCode::CREATED);
    delete(&manager, store).await.expect_problem(403, "forbidden");
    assert_eq!(view(&kata, store).await.at("/status"), "connected");
    delete(&kata, store).await.expect(StatusCode::NO_CONTENT);
    restore(&other, store).await.expect_problem(404, "not_found");
    assert_eq!(ids(&other, &format!("{LIST}?deleted=true")).await, Vec::<Value>::new());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_its_time_a_deleted_connection_is_gone_and_what_was_written_of_it_is_not() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce(SHOP).await;
    let form = json!({ "data_access_permissions": { "allow_customer_access": false, "allow_order_access": true, "allow_product_access": true } });
    kata.put(&format!("/api/stores/{store}/permissions"), form).await.expect(StatusCode::OK);
    let seat = crate::people::seat_path(&kata, &kata.member(Role::Viewer).await.email).await;
    let grant = json!({ "effect": "deny", "resource": "connections", "action": "read", "resource_id": store });
    kata.post(&format!("{seat}/grants"), grant).await.expect(StatusCode::CREATED);
    delete(&kata, store).await.expect(StatusCode::NO_CONTENT);
    app.advance(TimeDelta::days(30) - TimeDelta::minutes(1)).await;
    let kata_then = sign_in_again(&app, &kata).await;
    assert_eq!(ids(&kata_then, &format!("{LIST}?deleted=true")).await, [json!(store)]);
    app.advance(TimeDelta::minutes(2)).await;
    // Whether or not a job has come by.
    assert!(ids(&kata_then, &format!("{LIST}?deleted=true")).await.is_empty());
    restore(&kata_then, store).await.expect_problem(404, "not_found");
    app.advance(TimeDelta::days(1)).await;
    app.eventually("the row is removed", || async { audited(&app, "connection.purge").await == 1 }).await;
    let rows: (i64, i64, i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from connections), (select count(*) from credentials), (select count(*) from permission_grants),
            (select count(*) from store_permission_audit), (select count(*) from events where connection_id is not null)",
    )
    .fetch_one(&mut app.superuser().await)
    .await
    .expect("counts");
    assert_eq!((rows.0, rows.1, rows.2, rows.3), (0, 0, 0, 1), "what belongs to it goes, who changed it stays");
    assert!(rows.4 >= 3, "and so does what happened");
    app.finish().await;
}
