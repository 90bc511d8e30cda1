use axum::http::StatusCode;
use serde_json::json;
use testkit::TestApp;

use super::{audited, connection, view};

#[tokio::test(flavor = "multi_thread")]
async fn a_change_decided_on_an_older_version_is_refused() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let path = connection(store);
    let seen = view(&kata, store).await.header("etag").to_owned();
    assert!(seen.starts_with('"') && seen.ends_with('"'), "{seen}");
    let named = |name: &str| json!({ "display_name": name });

    let changed = kata.with_header("if-match", &seen).patch(&path, named("First")).await.expect(StatusCode::OK);
    let newer = changed.header("etag").to_owned();
    assert_ne!(newer, seen);
    assert_eq!(view(&kata, store).await.header("etag"), newer);
    for stale in [&seen, "\"0\"", &format!("W/{newer}"), "no tag at all"] {
        let refused = kata.with_header("if-match", stale).patch(&path, named("Second")).await;
        refused.expect_problem(412, "precondition_failed");
    }
    assert_eq!(view(&kata, store).await.at("/display_name"), "First", "nothing was changed");
    for fresh in ["*", &format!("{seen}, {newer}")] {
        let newer = view(&kata, store).await.header("etag").to_owned();
        let fresh = if fresh == "*" { fresh.to_owned() } else { format!("{seen}, {newer}") };
        kata.with_header("if-match", &fresh).patch(&path, named(&fresh)).await.expect(StatusCode::OK);
    }
    kata.patch(&path, named("Without")).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn null_is_refused_where_nothing_can_be_cleared_and_absent_leaves_things_as_they_are() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let path = connection(store);
    let before = view(&kata, store).await;
    for field in ["display_name", "enabled_capabilities"] {
        let refused = kata.patch(&path, json!({ field: null })).await.expect_problem(400, "invalid_request");
        assert_eq!(refused.at("/errors/0/pointer"), format!("/{field}"));
    }
    let untouched = kata.patch(&path, json!({})).await.expect(StatusCode::OK);
    assert_eq!(untouched.json(), before.json());
    assert_eq!(audited(&app, "connection.update").await, 0, "nothing was changed");

    let changed = kata.patch(&path, json!({ "enabled_capabilities": [] })).await.expect(StatusCode::OK);
    assert_eq!(changed.at("/enabled_capabilities"), json!([]), "an empty list is a value");
    assert_eq!(changed.at("/display_name"), before.at("/display_name"));
    app.finish().await;
}
