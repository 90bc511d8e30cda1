use axum::http::StatusCode;
use chrono::TimeDelta;
use kernel::{Limit, Plan};
use serde_json::json;
use testkit::TestApp;

use super::{agreed, mails, plan, products, set, told, usage};

#[tokio::test(flavor = "multi_thread")]
async fn the_live_reads_of_a_day_are_counted_by_all_nodes_together() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let key = kata.create_key("reads").await;
    let at_b = key.on(&b);
    set(&a, &kata, agreed(Limit::LiveReadsPerDay, 7)).await;
    let mut reads = tokio::task::JoinSet::new();
    for number in 0..20 {
        let caller = if number % 2 == 0 { (*key).clone() } else { at_b.clone() };
        reads.spawn(async move { products(&caller, store).await });
    }
    let answers = reads.join_all().await;
    let read = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!(read, 7, "{:?}", answers.iter().map(testkit::Answer::short).collect::<Vec<_>>());
    let refused = answers.into_iter().find(|answer| answer.status != StatusCode::OK).expect("a refusal");
    let refused = refused.expect_problem(402, "plan_limit_reached");
    assert_eq!((refused.at("/limit"), refused.at("/used")), ("live_reads_per_day".into(), 7.into()));
    let midnight = usage(&kata, "live_reads_per_day", None).await["resets_at"].clone();
    assert_eq!(refused.at("/resets_at"), midnight);
    // A refusal is written down like any other.
    let log = kata.get("/api/access-log?limit=50").await.expect(StatusCode::OK).at("/data");
    let refusals = log.as_array().expect("lines").iter().filter(|line| line["result"] == "plan_limit_reached").count();
    assert_eq!(refusals, 13);

    // The operator lifts it: on both nodes within a second.
    set(&a, &kata, plan(Plan::Professional)).await;
    for caller in [&*key, &at_b] {
        a.within_a_second("reads go on", || async { products(caller, store).await.status == StatusCode::OK }).await;
    }
    // And lowers it again.
    set(&a, &kata, agreed(Limit::LiveReadsPerDay, 7)).await;
    for caller in [&*key, &at_b] {
        a.within_a_second("reads end", || async {
            products(caller, store).await.status == StatusCode::PAYMENT_REQUIRED
        })
        .await;
    }
    // A new day is counted anew.
    a.advance(TimeDelta::days(1)).await;
    products(&key, store).await.expect(StatusCode::OK);
    assert_eq!(usage(&kata, "live_reads_per_day", None).await["used"], 1);
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_has_leased_and_not_used_it_gives_back_when_it_stops() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let key = kata.create_key("reads").await;
    for _ in 0..3 {
        products(&key, store).await.expect(StatusCode::OK);
    }
    // A read that was refused before the shop could be asked is none, and neither is a test of the connection.
    key.get(&format!("/webshop-data-api/products?store_id={store}&limit=0")).await.expect(StatusCode::BAD_REQUEST);
    kata.post(&format!("/api/integrations/connections/{store}/test/"), json!({})).await.expect(StatusCode::OK);
    assert_eq!(usage(&kata, "live_reads_per_day", None).await["used"], 3, "the node knows what it has left");
    // Another node sees the whole lease: a hundredth of the limit, a thousand at most.
    let at_b = kata.at(&b);
    assert_eq!(usage(&at_b, "live_reads_per_day", None).await["used"], 1_000);
    a.finish().await;
    assert_eq!(usage(&at_b, "live_reads_per_day", None).await["used"], 3);
    products(&key.on(&b), store).await.expect(StatusCode::OK);
    assert_eq!(usage(&at_b, "live_reads_per_day", None).await["used"], 4);
    b.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_are_told_once_a_day_that_a_limit_is_near_and_once_that_it_is_reached() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let key = kata.create_key("reads").await;
    set(&app, &kata, agreed(Limit::LiveReadsPerDay, 10)).await;
    for _ in 0..7 {
        products(&key, store).await.expect(StatusCode::OK);
    }
    assert_eq!(told(&kata, "limit_near").await.len(), 0, "seven of ten are not 80 %");
    products(&key, store).await.expect(StatusCode::OK);
    app.eventually("the limit is near", || async { told(&kata, "limit_near").await.len() == 1 }).await;
    for _ in 0..2 {
        products(&key, store).await.expect(StatusCode::OK);
    }
    for _ in 0..3 {
        products(&key, store).await.expect_problem(402, "plan_limit_reached");
    }
    app.eventually("the limit is reached", || async { told(&kata, "limit_reached").await.len() == 1 }).await;
    app.eventually("both mails are there", || async {
        mails(&app, &kata.email, "80 %") == 1 && mails(&app, &kata.email, "used up") == 1
    })
    .await;
    // A plan that is set anew asks again; nobody is told again on the same day.
    set(&app, &kata, agreed(Limit::LiveReadsPerDay, 9)).await;
    app.within_a_second("asked again", || async { products(&key, store).await.at("/allowed") == 9 }).await;
    app.advance(TimeDelta::days(1)).await;
    for _ in 0..9 {
        products(&key, store).await.expect(StatusCode::OK);
    }
    products(&key, store).await.expect_problem(402, "plan_limit_reached");
    app.eventually("the next day is told of", || async { told(&kata, "limit_reached").await.len() == 2 }).await;
    assert_eq!(told(&kata, "limit_near").await.len(), 2);
    app.finish().await;
}
