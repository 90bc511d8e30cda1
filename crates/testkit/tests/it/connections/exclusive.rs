//! Accounts that one organization holds at a time.

use axum::http::StatusCode;
use serde_json::json;
use testkit::{Member, TestApp};
use uuid::Uuid;

use super::{connection, events, products, view};

const SHOP: &str = "kis-bolt";

async fn holders(app: &TestApp) -> Vec<(Uuid, Uuid)> {
    sqlx::query_as("select organization_id, connection_id from exclusive_accounts")
        .fetch_all(&mut app.superuser().await)
        .await
        .expect("rows")
}

async fn exchanges(app: &TestApp) -> u64 {
    app.sandbox().shopify().shop(SHOP).expect("a shop").counts().exchanges
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_organization_is_refused_and_told_nothing_of_the_first() {
    let app = TestApp::start().await;
    let (kata, bela) = (app.sign_up("Kata").await, app.sign_up("Bela").await);
    let store = kata.connect_shopify(SHOP).await;
    let before = exchanges(&app).await;
    let refused = bela.consent_to(SHOP, json!({})).await.answer.expect_problem(409, "account_connected_elsewhere");
    for secret in [kata.organization.to_string(), store.to_string(), kata.organization_name.clone()] {
        assert!(!refused.text().contains(&secret), "{}", refused.text());
    }
    assert_eq!(exchanges(&app).await, before, "the code is not used");
    assert_eq!(bela.get("/api/integrations/connections/").await.at("/data"), json!([]));
    kata.get(&products(store)).await.expect(StatusCode::OK);
    assert_eq!(holders(&app).await, [(kata.organization, store)]);

    // Free again once it is disconnected, or its organization is gone.
    kata.post(&format!("{}disconnect/", connection(store)), json!({})).await.expect(StatusCode::OK);
    let theirs = bela.connect_shopify(SHOP).await;
    kata.consent_to(SHOP, json!({})).await.answer.expect_problem(409, "account_connected_elsewhere");
    let name = json!({ "name": bela.organization_name });
    bela.delete(&format!("/api/organizations/{}", bela.organization), name).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(kata.connect_shopify(SHOP).await, store);
    assert_ne!(theirs, store);
    assert_eq!(holders(&app).await, [(kata.organization, store)]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_consent_takes_the_account_over_and_the_first_organization_is_told() {
    let app = TestApp::start().await;
    let (kata, bela) = (app.sign_up("Kata").await, app.sign_up("Bela").await);
    let first = kata.connect_shopify(SHOP).await;
    let moved = bela.consent_to(SHOP, json!({ "transfer": true })).await.answer;
    let second = bela.connected(moved);
    assert_eq!(holders(&app).await, [(bela.organization, second)]);
    bela.get(&products(second)).await.expect(StatusCode::OK);
    kata.get(&products(first)).await.expect_problem(409, "store_not_connected");
    let ended = view(&kata, first).await;
    assert_eq!((ended.at("/status"), ended.at("/credential")), (json!("disconnected"), json!(null)));
    // The first one was about their address.
    let mail = app.mail(&kata.email, 2).await;
    let text = format!("{} {} {}", mail.subject, ended.text(), kata.get("/api/integrations/events/").await.text());
    assert!(mail.subject.contains("was disconnected"), "{}", mail.subject);
    for secret in [bela.organization.to_string(), bela.organization_name.clone(), bela.email.clone()] {
        assert!(!text.contains(&secret), "{text}");
    }
    assert_eq!(events(&app, "connection.transferred").await, 1);
    let sealed: Vec<Uuid> = sqlx::query_scalar("select organization_id from credentials where length(sealed) > 0")
        .fetch_all(&mut app.superuser().await)
        .await
        .expect("credentials");
    assert_eq!(sealed, [bela.organization], "what the first could open is destroyed");

    // And back, to the same connection.
    let back = kata.consent_to(SHOP, json!({ "transfer": true })).await.answer;
    assert_eq!(kata.connected(back), first);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_is_not_consented_to_moves_nothing() {
    let app = TestApp::start().await;
    let (kata, bela) = (app.sign_up("Kata").await, app.sign_up("Bela").await);
    let store = kata.connect_shopify(SHOP).await;
    // The code is not taken: nobody proved anything.
    let fault =
        sandbox::faults::Fault::answer(StatusCode::BAD_REQUEST, "application/json", r#"{"error":"invalid_request"}"#);
    let faults = app.sandbox().shopify().shop(SHOP).expect("a shop").faults();
    faults.inject(sandbox::faults::Rule::from(fault).on("/admin/oauth/access_token"));
    bela.consent_to(SHOP, json!({ "transfer": true })).await.answer.expect_problem(502, "store_rejected");
    faults.clear();
    kata.get(&products(store)).await.expect(StatusCode::OK);
    assert_eq!(holders(&app).await, [(kata.organization, store)]);
    // Shops that several organizations may connect are not moved.
    let mut form = bela.shop_address("kavebolt.example");
    form["transfer"] = json!(true);
    bela.post("/api/oauth/woocommerce/start", form).await.expect_problem(400, "invalid_request");
    kata.connect_woocommerce("kavebolt.example").await;
    bela.connect_woocommerce("kavebolt.example").await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_organizations_that_consent_at_once_one_gets_the_account() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let mut people: Vec<Member> = vec![];
    for number in 0..4 {
        let person = a.sign_up(&format!("P{number}")).await;
        people.push(if number % 2 == 0 { person } else { person.at(&b) });
    }
    let consents = people.iter().map(|person| person.consent_to(SHOP, json!({})));
    let answers = futures::future::join_all(consents).await;
    let mut connected = 0;
    for consent in answers {
        match consent.answer.status {
            StatusCode::SEE_OTHER => connected += 1,
            _ => drop(consent.answer.expect_problem(409, "account_connected_elsewhere")),
        }
    }
    assert_eq!(connected, 1);
    assert_eq!(holders(&a).await.len(), 1);
    let live: i64 = sqlx::query_scalar("select count(*) from connections where status = 'connected'")
        .fetch_one(&mut a.superuser().await)
        .await
        .expect("a count");
    assert_eq!(live, 1);
    b.finish().await;
    a.finish().await;
}
