use axum::http::StatusCode;
use kernel::Role;
use sandbox::faults::{Fault, Rule};
use serde_json::{Value, json};
use testkit::{Answer, Client, Member, TestApp};
use uuid::Uuid;

use super::{audited, connection, events, products, view};

const SHOP: &str = "kavebolt.example";

async fn act(caller: &Client, store: Uuid, action: &str) -> Answer {
    caller.post(&format!("{}{action}/", connection(store)), json!({})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_connection_is_read_live_and_stays_paused_through_whatever_its_shop_does() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    act(&kata, store, "resume").await.expect_problem(409, "connection_status_conflict");
    let paused = act(&kata, store, "pause").await.expect(StatusCode::OK);
    assert_eq!((paused.at("/status"), paused.at("/next_step/action")), (json!("paused"), json!("resume")));
    kata.get(&products(store)).await.expect(StatusCode::OK);
    let refused = act(&kata, store, "pause").await.expect_problem(409, "connection_status_conflict");
    assert_eq!(refused.at("/allowed"), json!(["disable", "resume", "revoke", "reauthorize", "disconnect"]));

    let faults = app.sandbox().shopify().shop("kis-bolt").expect("a shop").faults();
    faults.inject(Fault::html(StatusCode::PAYMENT_REQUIRED, "Unavailable Shop"));
    for _ in 0..2 {
        kata.get(&products(store)).await.expect_problem(424, "store_suspended");
    }
    let failing = view(&kata, store).await;
    assert_eq!((failing.at("/status"), failing.at("/health")), (json!("paused"), json!("failing")));
    assert_eq!(failing.at("/next_step/action"), "settle_with_platform");
    assert!(failing.at("/next_step/text").is_string() && failing.at("/health_cause").is_string());
    faults.clear();
    kata.get(&products(store)).await.expect(StatusCode::OK);
    let well = view(&kata, store).await;
    assert_eq!((well.at("/status"), well.at("/health")), (json!("paused"), json!("ok")));

    assert_eq!(kata.connect_shopify("kis-bolt").await, store);
    assert_eq!(view(&kata, store).await.at("/status"), "paused", "a new credential does not resume it");
    let resumed = act(&kata, store, "resume").await.expect(StatusCode::OK);
    assert_eq!((resumed.at("/status"), resumed.at("/next_step")), (json!("connected"), Value::Null));
    for (event, action) in [("connection.paused", "connection.pause"), ("connection.resumed", "connection.resume")] {
        assert_eq!((events(&app, event).await, audited(&app, action).await), (1, 1), "{event}");
    }
    app.finish().await;
}

/// What is left of a connection's secrets.
async fn sealed(app: &TestApp) -> (i64, i64) {
    sqlx::query_as(
        "select (select count(*) from credentials where length(sealed) > 0),
                (select count(*) from data_keys where wrapped is not null)",
    )
    .fetch_one(&mut app.superuser().await)
    .await
    .expect("counts")
}

/// How many files of the key store are shards.
fn shards(app: &TestApp) -> usize {
    let folders = std::fs::read_dir(app.installation.data_dir.path().join("keys")).expect("a key store");
    let folders = folders.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).expect("a folder"));
    files.filter(|file| Uuid::try_parse(&file.as_ref().expect("a file").file_name().to_string_lossy()).is_ok()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnected_connection_leaves_nothing_that_opens_and_comes_back_with_its_id_and_settings() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    let switches = json!({ "allow_customer_access": false, "allow_order_access": true, "allow_product_access": true });
    let form = json!({ "data_access_permissions": switches });
    kata.put(&format!("/api/stores/{store}/permissions"), form).await.expect(StatusCode::OK);
    kata.patch(&connection(store), json!({ "display_name": "Ours" })).await.expect(StatusCode::OK);
    assert_eq!((sealed(&app).await, shards(&app)), ((1, 1), 1));

    let token = app.sandbox().shopify().shop("kis-bolt").expect("a shop");
    let before = token.counts().operations.get("Uninstall").copied().unwrap_or_default();
    let ended = act(&kata, store, "disconnect").await.expect(StatusCode::OK);
    assert_eq!((ended.at("/status"), ended.at("/credential")), (json!("disconnected"), Value::Null));
    assert_eq!((ended.at("/next_step/action"), ended.at("/health_cause")), (json!("reauthorize"), Value::Null));
    assert_eq!(token.counts().operations.get("Uninstall").copied().unwrap_or_default(), before + 1, "ended at Shopify");
    assert_eq!((sealed(&app).await, shards(&app)), ((0, 0), 0), "neither the credential nor its key is left");
    kata.get(&products(store)).await.expect_problem(409, "store_not_connected");
    act(&kata, store, "disconnect").await.expect(StatusCode::OK);
    for action in ["pause", "resume", "enable", "disable"] {
        act(&kata, store, action).await.expect_problem(409, "connection_status_conflict");
    }
    assert_eq!((events(&app, "connection.disconnected").await, audited(&app, "connection.disconnect").await), (1, 1));

    assert_eq!(kata.connect_shopify("kis-bolt").await, store, "the same id");
    let back = view(&kata, store).await;
    assert_eq!((back.at("/status"), back.at("/display_name")), (json!("connected"), json!("Ours")));
    assert_eq!(back.at("/data_access_permissions"), switches, "what may be read does not widen");
    kata.get(&products(store)).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_ended_by_a_call_is_said_and_pasted_keys_bring_the_connection_back() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce(SHOP).await;
    let ended = act(&kata, store, "disconnect").await.expect(StatusCode::OK);
    assert!(ended.at("/health_cause").as_str().is_some_and(|left| left.contains("Delete the key")), "{}", ended.text());
    let again = kata.post("/api/integrations/connections/", kata.woocommerce_form(SHOP)).await;
    assert_eq!(again.expect(StatusCode::CREATED).at("/id"), json!(store), "the same connection");

    act(&kata, store, "disconnect").await.expect(StatusCode::OK);
    let form = json!({ "credential": kata.woocommerce_form(SHOP)["credential"] });
    let back = kata.post(&format!("{}credential/", connection(store)), form).await.expect(StatusCode::OK);
    assert_eq!((back.at("/status"), back.at("/health_cause")), (json!("connected"), Value::Null));
    kata.get(&products(store)).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_fails_keeps_nobody_from_disconnecting() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    let shop = app.sandbox().shopify().shop("kis-bolt").expect("a shop");
    shop.faults().inject(Rule::from(Fault::html(StatusCode::BAD_GATEWAY, "down")));
    let ended = act(&kata, store, "disconnect").await.expect(StatusCode::OK);
    assert_eq!(ended.at("/status"), "disconnected");
    assert!(ended.at("/health_cause").as_str().is_some_and(|left| left.contains("Uninstall")), "{}", ended.text());
    assert_eq!((sealed(&app).await, shards(&app)), ((0, 0), 0));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_a_shop_refuses_is_told_to_its_owners_once() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (partner, manager) = (kata.member(Role::Owner).await, kata.member(Role::ShopManager).await);
    let (viewer, other_manager) = (kata.member(Role::Viewer).await, kata.member(Role::ShopManager).await);
    let form = manager.woocommerce_form(SHOP);
    let store = manager.connect_woocommerce(SHOP).await;
    let log = app.sandbox().woocommerce().shop(SHOP).expect("a shop");
    log.revoke_key(form["credential"]["consumer_key"].as_str().expect("a key"));
    for _ in 0..3 {
        kata.get(&products(store)).await.expect_problem(424, "store_reauthorization_required");
    }
    let mailbox = app.sandbox().mailbox();
    let told = |person: &Member| {
        let mails = mailbox.to(&person.email);
        mails.iter().filter(|mail| mail.subject.contains("must be connected again")).count()
    };
    for person in [&kata, &partner, &manager] {
        app.eventually("they are told", || async { told(person) > 0 }).await;
    }
    let asked = log.calls().count();
    for _ in 0..3 {
        kata.get(&products(store)).await.expect_problem(424, "store_reauthorization_required");
    }
    assert_eq!(log.calls().count(), asked, "calls fail fast");
    for person in [&kata, &partner, &manager] {
        assert_eq!(told(person), 1, "{}", person.email);
    }
    for spared in [&viewer, &other_manager] {
        assert!(mailbox.to(&spared.email).is_empty(), "{}", spared.email);
    }
    let seen = view(&kata, store).await;
    assert_eq!((seen.at("/status"), seen.at("/next_step/action")), (json!("needs_reauth"), json!("reauthorize")));
    assert_eq!(events(&app, "connection.status").await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_for_a_connection_is_for_its_own_account() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    app.sandbox().shopify().uninstall("kis-bolt", testkit::app::SHOPIFY_CLIENT_ID);
    kata.get(&products(store)).await.expect_problem(424, "store_reauthorization_required");
    let started = act(&kata, store, "reauthorize").await.expect(StatusCode::OK);
    assert_eq!(view(&kata, store).await.at("/status"), "needs_reauth", "until the consent is given");
    let answer = kata.consent_at(&started).await.answer;
    assert_eq!(kata.connected(answer), store);
    kata.get(&products(store)).await.expect(StatusCode::OK);

    // The state is for this account: another shop's signed way back with it is refused.
    let started = act(&kata, store, "reauthorize").await.expect(StatusCode::OK);
    let other = kata.consent_at_shop(&started, "feine-dinge").await.answer;
    other.expect_problem(400, "oauth_account_mismatch");
    assert_eq!(view(&kata, store).await.at("/status"), "connected");
    let key = kata.create_key("bot").await;
    act(&key, store, "reauthorize").await.expect_problem(403, "forbidden");
    app.finish().await;
}
