use std::time::Duration;

use axum::http::StatusCode;
use chrono::TimeDelta;
use sandbox::faults::{Fault, Rule};
use serde_json::{Value, json};
use testkit::{Answer, Member, TestApp};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{connection, events, view};

const SHOP: &str = "kavebolt.example";
const TOKENS: &str = "/admin/oauth/access_token";

#[tokio::test(flavor = "multi_thread")]
async fn a_pasted_key_is_known_again_by_its_end_and_never_shown() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let form = kata.woocommerce_form(SHOP);
    let created = kata.post("/api/integrations/connections/", form.clone()).await.expect(StatusCode::CREATED);
    let store: Uuid = created.at("/id").as_str().and_then(|id| id.parse().ok()).expect("an id");
    let secret = |form: &Value, name: &str| form["credential"][name].as_str().expect("a secret").to_owned();
    let end = |key: &str| format!("…{}", &key[key.len() - 4..]);
    let credential = created.at("/credential");
    assert_eq!(credential["kind"], "keys");
    assert_eq!(credential["hint"], end(&secret(&form, "consumer_key")));
    assert_eq!((&credential["expires_at"], &credential["set_by"]), (&Value::Null, &json!(kata.user)));
    assert!(credential["set_at"].is_string() && credential["scopes"].is_array(), "{credential}");

    let other = kata.woocommerce_form(SHOP);
    app.advance(TimeDelta::minutes(1)).await;
    let manager = kata.member(kernel::Role::ShopManager).await;
    let body = json!({ "credential": other["credential"] });
    let replaced = manager.post(&format!("{}credential/", connection(store)), body).await.expect(StatusCode::OK);
    assert_eq!(replaced.at("/credential/hint"), end(&secret(&other, "consumer_key")));
    assert_eq!(replaced.at("/credential/set_by"), json!(manager.user));
    assert!(replaced.at("/credential/set_at").as_str() > credential["set_at"].as_str(), "{}", replaced.text());
    for answer in [&created, &replaced, &view(&kata, store).await] {
        for form in [&form, &other] {
            for name in ["consumer_key", "consumer_secret"] {
                assert!(!answer.text().contains(&secret(form, name)), "{name}");
            }
        }
    }
    let line: Vec<(Uuid, Option<Uuid>, bool)> =
        sqlx::query_as("select id, rotated_from, revoked_at is null from credentials order by created_at")
            .fetch_all(&mut app.superuser().await)
            .await
            .expect("credentials");
    assert_eq!((line[0].1, line[0].2), (None, false));
    assert_eq!((line[1].1, line[1].2), (Some(line[0].0), true), "the new one knows the one before");

    let revoked = kata.post(&format!("{}revoke/", connection(store)), json!({})).await.expect(StatusCode::OK);
    assert_eq!(revoked.at("/credential"), Value::Null);
    let listed = kata.get("/api/integrations/connections/").await.expect(StatusCode::OK);
    assert_eq!(listed.at("/data/0"), revoked.json(), "lists show the same");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_token_its_end_of_life_and_scopes_are_told() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    let credential = view(&kata, store).await.at("/credential");
    assert_eq!((&credential["kind"], &credential["hint"]), (&json!("token"), &Value::Null));
    assert!(credential["expires_at"].is_string(), "{credential}");
    assert!(
        credential["scopes"].as_array().is_some_and(|scopes| scopes.contains(&json!("read_orders"))),
        "{credential}"
    );
    app.finish().await;
}

/// A store whose token has ended, and a read that waits for the new one.
async fn read_while_renewing(app: &TestApp, owner: &Member) -> (Uuid, JoinHandle<Answer>) {
    let store = owner.connect_shopify("kis-bolt").await;
    app.advance(sandbox::shopify::ACCESS_LIFE + TimeDelta::seconds(1)).await;
    let shop = app.sandbox().shopify().shop("kis-bolt").expect("a shop");
    let slow = Rule::from(Fault::Delay(Duration::from_millis(2_500))).on(TOKENS).times(1);
    shop.faults().inject(slow);
    let (caller, path) = (owner.clone(), format!("/webshop-data-api/orders?store_id={store}"));
    let read = tokio::spawn(async move { caller.get(&path).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    (store, read)
}

async fn sealed(app: &TestApp) -> Vec<u8> {
    sqlx::query_scalar("select sealed from credentials where revoked_at is null")
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("an active credential")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_was_replaced_while_its_token_was_renewed_stays() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (store, read) = read_while_renewing(&app, &kata).await;
    assert_eq!(kata.connect_shopify("kis-bolt").await, store);
    let new = sealed(&app).await;
    assert!(!read.is_finished(), "it is being renewed");
    read.await.expect("no read panics").expect(StatusCode::OK);
    assert_eq!(sealed(&app).await, new, "what its owner has set is not overwritten");
    assert_eq!(events(&app, "credential.refreshed").await, 0);
    assert_eq!(view(&kata, store).await.at("/status"), "connected");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_credential_before_does_not_end_the_one_that_replaced_it() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (store, read) = read_while_renewing(&app, &kata).await;
    // The old refresh token is refused; the new one, of a consent given meanwhile, is not.
    app.sandbox().shopify().expire_refresh_tokens("kis-bolt");
    assert_eq!(kata.connect_shopify("kis-bolt").await, store);
    assert!(!read.is_finished(), "it is being renewed");
    // What was refused is not what is stored by now: the read goes on with that.
    read.await.expect("no read panics").expect(StatusCode::OK);
    assert_eq!(view(&kata, store).await.at("/status"), "connected");
    kata.get(&format!("/webshop-data-api/orders?store_id={store}")).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_was_revoked_while_its_token_was_renewed_stays_revoked() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (store, read) = read_while_renewing(&app, &kata).await;
    kata.post(&format!("{}revoke/", connection(store)), json!({})).await.expect(StatusCode::OK);
    assert!(!read.is_finished(), "it is being renewed");
    read.await.expect("no read panics").expect_problem(424, "store_reauthorization_required");
    let left: Vec<Vec<u8>> =
        sqlx::query_scalar("select sealed from credentials").fetch_all(&mut app.superuser().await).await.expect("rows");
    assert_eq!(left, [Vec::<u8>::new()], "nothing is sealed any more");
    let seen = view(&kata, store).await;
    assert_eq!((seen.at("/status"), seen.at("/credential")), (json!("needs_reauth"), Value::Null));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_that_gave_way_in_a_deadlock_is_saved_all_the_same() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (store, read) = read_while_renewing(&app, &kata).await;
    // Somebody locks the credential and then the connection; whoever saves does it the other way round, and notices first.
    let mut other = app.superuser().await;
    let hold = "set deadlock_timeout = '1min'; begin; select 1 from credentials for update";
    sqlx::raw_sql(hold).execute(&mut other).await.expect("a lock");
    app.eventually("it is being saved", || async {
        sqlx::query_scalar::<_, bool>(
            "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
                 and query like '%-- update_token%')",
        )
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("an answer")
    })
    .await;
    sqlx::raw_sql("select 1 from connections for update").execute(&mut other).await.expect("the other gives way");
    sqlx::raw_sql("commit").execute(&mut other).await.expect("it ends");
    read.await.expect("no read panics").expect(StatusCode::OK);
    assert_eq!(events(&app, "credential.refreshed").await, 1);
    kata.get(&format!("/webshop-data-api/orders?store_id={store}")).await.expect(StatusCode::OK);
    drop(other);
    app.eventually("there was a deadlock", || async {
        sqlx::query_scalar::<_, i64>("select deadlocks from pg_stat_database where datname = current_database()")
            .fetch_one(&mut app.superuser().await)
            .await
            .expect("a count")
            > 0
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_token_tells_what_it_may_do_now() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    let body = json!({
        "access_token": "shpat_of_fewer_rights", "scope": "read_products", "expires_in": 3_600,
        "refresh_token": "shprt_of_fewer_rights", "refresh_token_expires_in": 7_776_000,
    });
    let answer = Fault::answer(StatusCode::OK, "application/json", body.to_string());
    app.sandbox().shopify().shop("kis-bolt").expect("a shop").faults().inject(Rule::from(answer).on(TOKENS));
    app.advance(sandbox::shopify::ACCESS_LIFE + TimeDelta::seconds(1)).await;
    kata.get(&format!("/webshop-data-api/products?store_id={store}")).await;
    let seen = view(&kata, store).await;
    assert_eq!(
        (seen.at("/scopes"), seen.at("/credential/scopes")),
        (json!(["read_products"]), json!(["read_products"]))
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_is_found_switched_off_while_its_token_is_renewed_is_suspended() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    let frozen = Fault::html(StatusCode::PAYMENT_REQUIRED, "Unavailable Shop");
    let faults = app.sandbox().shopify().shop("kis-bolt").expect("a shop").faults();
    faults.inject(Rule::from(frozen).on(TOKENS));
    app.advance(sandbox::shopify::ACCESS_LIFE + TimeDelta::seconds(1)).await;
    let orders = format!("/webshop-data-api/orders?store_id={store}");
    kata.get(&orders).await.expect_problem(424, "store_suspended");
    let seen = view(&kata, store).await;
    assert_eq!((seen.at("/status"), seen.at("/health")), (json!("suspended"), json!("failing")));

    faults.clear();
    kata.get(&orders).await.expect(StatusCode::OK);
    assert_eq!(view(&kata, store).await.at("/status"), "connected", "it is back by itself");
    app.finish().await;
}
