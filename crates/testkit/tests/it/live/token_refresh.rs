use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use chrono::TimeDelta;
use futures::future::join_all;
use sandbox::{
    faults::{Fault, Rule},
    shopify::Rate,
};
use testkit::{Client, Key, Options, TestApp};
use tokio::sync::Barrier;

use super::{list, upstream_calls};

/// Five hundred different reads at one moment: what is the same is shared before it could ask for a token.
async fn five_hundred_calls(callers: &[Client], store: uuid::Uuid) -> Vec<testkit::Answer> {
    let start = Arc::new(Barrier::new(500));
    let calls = (0..500).map(|number| {
        let (caller, start) = (callers[number % callers.len()].clone(), start.clone());
        let resource = ["orders", "customers", "products"][number % 3];
        let path = format!("{}&limit={}", list(resource, store), 1 + number % 20);
        tokio::spawn(async move {
            start.wait().await;
            caller.get(&path).await
        })
    });
    join_all(calls).await.into_iter().map(|call| call.expect("no call panics")).collect()
}

async fn ten_warm_keys(app: &TestApp, owner: &testkit::Member, store: uuid::Uuid) -> Vec<Key> {
    let mut keys = vec![];
    for number in 0..10 {
        let key = owner.create_key(&format!("key {number}")).await;
        key.get(&list("products", store)).await.expect(StatusCode::OK);
        keys.push(key);
    }
    app.sandbox().shopify().set_rate("kis-bolt", Rate::per_second(2_000.0));
    // Long enough for everybody to come while the token is on its way.
    let slow = Rule::from(Fault::Delay(Duration::from_millis(400))).on("/admin/oauth/access_token");
    app.sandbox().shopify().shop("kis-bolt").expect("a shop").faults().inject(slow);
    keys
}

fn refreshes(app: &TestApp) -> u64 {
    app.sandbox().shopify().shop("kis-bolt").expect("a shop").counts().refreshes
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_calls_as_the_token_expires_make_one_refresh_and_none_fails() {
    let app = TestApp::with(Options { live_requests_per_minute: 100_000, ..Options::default() }).await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    let keys = ten_warm_keys(&app, &kata, store).await;
    let callers: Vec<Client> = keys.iter().map(|key| (**key).clone()).collect();

    app.advance(sandbox::shopify::ACCESS_LIFE + TimeDelta::seconds(1)).await;
    let answers = five_hundred_calls(&callers, store).await;

    let failed: Vec<_> =
        answers.iter().filter(|answer| answer.status != StatusCode::OK).map(|answer| answer.short()).collect();
    assert!(failed.is_empty(), "{} of 500 failed, such as {}", failed.len(), failed[0]);
    assert_eq!(refreshes(&app), 1);
    assert_eq!(app.sandbox().shopify().shop("kis-bolt").expect("a shop").counts().unauthorized, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_make_one_refresh_between_them() {
    let a = TestApp::with(Options { live_requests_per_minute: 100_000, ..Options::default() }).await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    let keys = ten_warm_keys(&a, &kata, store).await;
    let mut callers: Vec<Client> = keys.iter().map(|key| (**key).clone()).collect();
    for key in &keys {
        let there = key.on(&b);
        there.get(&list("products", store)).await.expect(StatusCode::OK);
        callers.push(there);
    }

    a.advance(sandbox::shopify::ACCESS_LIFE + TimeDelta::seconds(1)).await;
    let answers = five_hundred_calls(&callers, store).await;

    let failed: Vec<_> =
        answers.iter().filter(|answer| answer.status != StatusCode::OK).map(|answer| answer.short()).collect();
    assert!(failed.is_empty(), "{} of 500 failed, such as {}", failed.len(), failed[0]);
    assert_eq!(refreshes(&a), 1);
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_refresh_token_asks_for_consent_again_and_calls_fail_without_asking_the_shop() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    app.sandbox().shopify().expire_refresh_tokens("kis-bolt");
    app.advance(sandbox::shopify::ACCESS_LIFE + TimeDelta::seconds(1)).await;

    kata.get(&list("orders", store)).await.expect_problem(424, "store_reauthorization_required");
    let connection = format!("/api/integrations/connections/{store}/");
    app.within_a_second("the connection says so", || async {
        kata.get(&connection).await.at("/status") == "needs_reauth"
    })
    .await;

    assert_eq!(refreshes(&app), 1, "what is refused for good is not tried again");
    let before = upstream_calls(&app);
    for _ in 0..5 {
        kata.get(&list("orders", store)).await.expect_problem(424, "store_reauthorization_required");
    }
    assert_eq!(upstream_calls(&app), before, "the shop is left alone");

    assert_eq!(kata.connect_shopify("kis-bolt").await, store, "consent revives the same connection");
    kata.get(&list("orders", store)).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_shop_refuses_early_is_renewed_and_the_call_succeeds() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    app.sandbox().shopify().expire_tokens("kis-bolt");
    kata.get(&list("orders", store)).await.expect(StatusCode::OK);
    assert_eq!(refreshes(&app), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_while_it_renews_holds_up_the_others_for_its_turn_only() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    app.advance(sandbox::shopify::ACCESS_LIFE + TimeDelta::seconds(1)).await;
    let mut superuser = app.superuser().await;
    let turn = app.clock().now() + TimeDelta::seconds(3);
    let leased =
        sqlx::query("update credentials set refresh_leased_until = $1").bind(turn).execute(&mut superuser).await;
    assert_eq!(leased.expect("a turn of a node that is gone").rows_affected(), 1);

    kata.get(&list("orders", store)).await.expect(StatusCode::OK);
    assert!(app.clock().now() >= turn, "the turn was waited for");
    assert_eq!(refreshes(&app), 1);
    let left: i64 = sqlx::query_scalar("select count(*) from credentials where refresh_leased_until is not null")
        .fetch_one(&mut superuser)
        .await
        .expect("a count");
    assert_eq!(left, 0, "turns are given back");
    app.finish().await;
}
