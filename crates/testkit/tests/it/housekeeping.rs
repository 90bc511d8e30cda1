//! What a node removes when its time is over, and what it leaves.

use axum::http::StatusCode;
use chrono::TimeDelta;
use entrepot::housekeeping::{Purged, purge};
use kit::{retention::Kind, vault::Scope};
use serde_json::json;
use testkit::TestApp;

fn counts(purged: &Purged) -> (u64, u64, u64, usize) {
    let of = |kind| purged.of(kind);
    (of(Kind::OauthStates), of(Kind::Sessions), of(Kind::RateWindows), purged.shards.orphans)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_run_out_is_removed_and_what_lives_is_kept() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let products = format!("/webshop-data-api/products?store_id={store}");
    let key = kata.create_key("reader").await;
    key.get(&products).await.expect(StatusCode::OK);
    kata.post("/api/oauth/shopify/start", json!({})).await.expect(StatusCode::OK);
    let left = app.sign_up("Left").await;
    left.post("/api/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    // A key whose row was never committed.
    let organization = kata.organization.into();
    let scope = Scope::Connection(kernel::ConnectionId::new(app.clock()));
    let keyring = &app.app().keyring;
    keyring.create(keyring.masters().current(), organization, scope, 1).await.expect("a shard without a row");
    let count = async |table: &'static str| -> i64 {
        let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        sqlx::query_scalar(sql).fetch_one(&mut app.superuser().await).await.expect("a count")
    };

    let nothing = purge(app.app()).await.expect("a purge");
    assert!(nothing.rows.is_empty(), "nothing has run out yet: {nothing:?}");
    assert_eq!(nothing.shards.orphans, 0, "a key that is being made is no orphan");

    app.advance(TimeDelta::days(8)).await;
    let week = purge(app.app()).await.expect("a purge");
    // Minutes of a key and of the person who began to connect.
    assert_eq!(counts(&week), (1, 0, 2, 1));
    assert_eq!(count("sessions").await, 2, "an ended session can be looked at for a month");

    app.advance(TimeDelta::days(24)).await;
    let month = purge(app.app()).await.expect("a purge");
    assert_eq!(counts(&month), (0, 1, 0, 0));
    assert_eq!(count("sessions").await, 1, "the other expired the day before yesterday");
    app.advance(TimeDelta::days(30)).await;
    assert_eq!(purge(app.app()).await.expect("a purge").of(Kind::Sessions), 1);

    key.get(&products).await.expect(StatusCode::OK);
    app.finish().await;
}
