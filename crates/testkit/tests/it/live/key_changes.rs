use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::json;
use testkit::{Client, TestApp};
use uuid::Uuid;

use super::list;

async fn is_refused(caller: &Client, store: Uuid) -> bool {
    let answer = caller.get(&list("products", store)).await;
    answer.status == StatusCode::UNAUTHORIZED
}

async fn warm(here: &Client, there: &Client, store: Uuid) {
    for caller in [here, there] {
        caller.get(&list("products", store)).await.expect(StatusCode::OK);
    }
}

async fn ended_keys_are_refused_everywhere(deaf: bool) {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let [revoked, rotated, expiring] = [
        kata.create_key("revoked").await,
        kata.create_key("rotated").await,
        kata.create_key_with(json!({ "name": "expiring", "expires_in_days": 1 })).await,
    ];
    let sound = kata.create_key("sound").await;
    for key in [&revoked, &rotated, &expiring, &sound] {
        warm(key, &key.on(&b), store).await;
    }
    let cut = if deaf { Some(a.deafen(&[&a]).await) } else { None };

    kata.post("/api-key-management/revoke", json!({ "key_id": revoked.id })).await.expect(StatusCode::OK);
    for caller in [&*revoked, &revoked.on(&b)] {
        a.within_a_second("a revoked key", || is_refused(caller, store)).await;
    }

    let form = json!({ "key_id": rotated.id, "overlap_hours": 0 });
    let answer = kata.post("/api-key-management/rotate", form).await.expect(StatusCode::CREATED);
    let new = kata.key_of(&answer);
    for caller in [&*rotated, &rotated.on(&b)] {
        a.within_a_second("a rotated key without overlap", || is_refused(caller, store)).await;
    }
    warm(&new, &new.on(&b), store).await;

    a.advance(TimeDelta::hours(25)).await;
    assert!(is_refused(&expiring, store).await && is_refused(&expiring.on(&b), store).await, "an expired key");

    // Refusal is of those keys: the others go on.
    warm(&sound, &sound.on(&b), store).await;
    if let Some(cut) = cut {
        assert!(!b.app().freshness.holds(), "the node was deaf all the time");
        cut.abort();
        b.eventually("hears again", || async { b.app().freshness.holds() }).await;
        warm(&sound, &sound.on(&b), store).await;
    }
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_keys_are_refused_on_the_other_node_within_a_second() {
    ended_keys_are_refused_everywhere(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_keys_are_refused_within_a_second_by_nodes_that_hear_nothing() {
    ended_keys_are_refused_everywhere(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_goes_on_for_its_overlap_and_no_longer() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let old = kata.create_key("old").await;
    let form = json!({ "key_id": old.id, "overlap_hours": 2 });
    let answer = kata.post("/api-key-management/rotate", form).await.expect(StatusCode::CREATED);
    let new = kata.key_of(&answer);
    for key in [&old, &new] {
        key.get(&list("products", store)).await.expect(StatusCode::OK);
    }
    kata.post("/api-key-management/rotate", json!({ "key_id": old.id })).await.expect_problem(409, "conflict");
    app.advance(TimeDelta::minutes(119)).await;
    old.get(&list("products", store)).await.expect(StatusCode::OK);
    app.advance(TimeDelta::minutes(2)).await;
    old.get(&list("products", store)).await.expect_problem(401, "unauthenticated");
    new.get(&list("products", store)).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_loses_what_its_creator_loses() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let manager = kata.member(kernel::Role::ShopManager).await;
    let key = manager.create_key("of a member").await;
    let there = key.on(&b);
    warm(&key, &there, store).await;
    let mut superuser = a.superuser().await;
    sqlx::query("update organization_members set status = 'suspended' where user_id = $1")
        .bind(manager.user)
        .execute(&mut superuser)
        .await
        .expect("suspended");
    for caller in [&*key, &there] {
        a.within_a_second("a suspended creator", || async {
            !caller.get(&list("products", store)).await.status.is_success()
        })
        .await;
    }
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eleventh_key_is_refused_until_one_is_revoked() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let mut keys = vec![];
    for number in 0..10 {
        keys.push(kata.create_key(&format!("key {number}")).await);
    }
    let eleventh = json!({ "name": "eleventh" });
    kata.post("/api-key-management/create", eleventh.clone()).await.expect_problem(402, "plan_limit_reached");
    // The limit is a person's, not the organization's.
    kata.member(kernel::Role::Administrator).await.create_key("another's").await;
    kata.post("/api-key-management/revoke", json!({ "key_id": keys[0].id })).await.expect(StatusCode::OK);
    kata.post("/api-key-management/create", eleventh).await.expect(StatusCode::CREATED);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_starts_with_many_calls_at_once_is_let_in() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let key = kata.create_key("cold").await;
    let answers = futures::future::join_all((0..50).map(|_| key.get("/api/stores"))).await;
    for answer in answers {
        answer.expect(StatusCode::OK);
    }
    app.finish().await;
}
