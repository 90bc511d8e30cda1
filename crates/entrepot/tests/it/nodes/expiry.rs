use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use sandbox::{
    faults::{Fault, Rule},
    shopify::Rate,
};
use testkit::{Options, Process, TestApp};
use tokio::sync::Barrier;

use super::{TOKENS, TURN, expire_all, key_at, list, two_processes};

const CALLS: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_calls_on_two_processes_as_the_token_expires_make_one_refresh_and_none_fails() {
    let _turn = TURN.lock().await;
    let options = Options { in_real_time: true, live_requests_per_minute: 100_000, ..Options::default() };
    let app = TestApp::with(options).await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    let shop = app.sandbox().shopify().shop("kis-bolt").unwrap();
    shop.set_rate(Rate::per_second(2_000.0));
    let processes = two_processes(&app).await;
    let callers = key_at(&kata, "bot", &processes).await;
    for caller in &callers {
        caller.get(&list("products", store)).await.expect(http::StatusCode::OK);
    }

    expire_all(&app).await;
    shop.reset_counts();
    // Long enough for everybody to come while the token is on its way.
    shop.faults().inject(Rule::from(Fault::LateAnswer(Duration::from_millis(400))).on(TOKENS));
    let start = Arc::new(Barrier::new(CALLS));
    let calls = (0..CALLS).map(|number| {
        let (caller, start) = (callers[number % 2].clone(), start.clone());
        let resource = ["orders", "customers", "products"][number % 3];
        let path = format!("{}&limit={}", list(resource, store), 1 + number % 20);
        tokio::spawn(async move {
            start.wait().await;
            caller.get(&path).await
        })
    });
    let answers = join_all(calls).await;

    let failed: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().unwrap())
        .filter(|answer| answer.status != http::StatusCode::OK)
        .map(|answer| answer.short())
        .collect();
    assert!(failed.is_empty(), "{} of {CALLS} failed, such as {}", failed.len(), failed[0]);
    assert_eq!((shop.counts().refreshes, shop.counts().unauthorized), (1, 0));
    join_all(processes.map(Process::stop)).await;
    app.finish().await;
}
