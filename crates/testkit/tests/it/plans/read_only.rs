use axum::http::StatusCode;
use kernel::{Plan, SubscriptionStatus};
use serde_json::json;
use testkit::TestApp;

use super::{plan, products, set, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_organization_is_read_and_not_written_on_every_node_within_a_second() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let key = kata.create_key("reads").await;
    let at_b = kata.at(&b);
    products(&key.on(&b), store).await.expect(StatusCode::OK);
    set(&a, &kata, status(SubscriptionStatus::Cancelled)).await;
    let invitation = json!({ "email": "somebody@people.example", "role": "viewer" });
    for caller in [&*kata, &*at_b] {
        let refused = caller.post("/api/invitations", invitation.clone()).await;
        let refused = refused.expect_problem(402, "organization_read_only");
        assert_eq!(refused.at("/status_of_subscription"), "cancelled");
        // Who could not do it anyway is told so, and not to pay.
        key.on(&b).post("/api/invitations", invitation.clone()).await.expect_problem(403, "forbidden");
    }
    for caller in [(*key).clone(), key.on(&b)] {
        products(&caller, store).await.expect(StatusCode::OK);
    }
    kata.get("/api/integrations/events/export.csv").await.expect(StatusCode::OK);
    let me = at_b.get("/api/me").await.expect(StatusCode::OK);
    assert_eq!(me.at("/organizations/0/is_read_only"), true);
    assert_eq!(me.at("/organizations/0/subscription_status"), "cancelled");
    set(&a, &kata, plan(Plan::Starter)).await;
    at_b.post("/api/invitations", invitation).await.expect(StatusCode::CREATED);
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_joins_an_organization_that_is_read_only() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let email = format!("{}@people.example", kernel::random::token());
    kata.post("/api/invitations", json!({ "email": email, "role": "viewer" })).await.expect(StatusCode::CREATED);
    let mail = app.mail(&email, 1).await;
    let link = mail.link().expect("a link").split_once("invitation=").expect("a token").1.to_owned();
    set(&app, &kata, status(SubscriptionStatus::Inactive)).await;
    let form = json!({ "token": link, "name": "New", "password": "a new pass phrase" });
    let refused = app.nobody().post("/api/invitations/accept-as-new", form.clone()).await;
    refused.expect_problem(402, "organization_read_only");
    set(&app, &kata, status(SubscriptionStatus::Active)).await;
    app.nobody().post("/api/invitations/accept-as-new", form).await.expect(StatusCode::CREATED);
    app.finish().await;
}
