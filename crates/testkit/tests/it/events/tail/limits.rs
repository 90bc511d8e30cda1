use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use futures::StreamExt;
use kernel::Role;
use testkit::{Client, TestApp};

use super::{LONG, id_of, say};
use crate::events::scene;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_six_streams_and_gets_their_places_back() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let node = app.listen().await;
    let mut followers = vec![];
    for _ in 0..6 {
        followers.push(kata.follow_at(&node, "event_type=test.*", "").await);
    }
    let refused = kata.follow("", "").await.err().expect("a seventh is refused").expect_problem(429, "too_many_open");
    assert!(refused.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
    let detail = refused.at("/detail");
    assert!(detail.as_str().is_some_and(|detail| detail.contains('6') && detail.contains("Close")), "{detail}");
    // Others have theirs.
    let viewer = kata.member(Role::Viewer).await;
    drop(viewer.follow("", "").await.expect("another's"));
    // Whoever goes away, and says nothing, is noticed.
    followers.pop();
    app.eventually("a place is free", || async { kata.follow("", "").await.is_ok() }).await;
    let id = say(&app, &kata, "test.heard", "Heard.").await;
    for follower in &mut followers {
        assert_eq!(id_of(&follower.line(LONG).await), id);
    }
    drop(followers);
    node.stop().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_that_wait_hold_no_connection_of_the_database() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let mut followers = vec![];
    for _ in 0..4 {
        let viewer = kata.member(Role::Viewer).await;
        for _ in 0..6 {
            followers.push(viewer.follow("event_type=test.*", "").await.expect("a stream"));
        }
    }
    // More than the pool has, each having begun to wait.
    let waiting = followers.into_iter().map(|mut follower| {
        tokio::spawn(async move {
            let line = follower.line(LONG).await;
            (id_of(&line), follower)
        })
    });
    let waiting: Vec<_> = waiting.collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let in_transactions: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity
         where datname = current_database() and usename = 'entrepot_app' and state like 'idle in transaction%'",
    )
    .fetch_one(&mut app.superuser().await)
    .await
    .expect("a count");
    assert_eq!(in_transactions, 0);
    let id = say(&app, &kata, "test.heard", "Heard.").await;
    for follower in waiting {
        assert_eq!(follower.await.expect("a follower").0, id);
    }
    app.finish().await;
}

/// The file, its body unread.
async fn export(caller: &Client) -> axum::response::Response {
    let bearer = format!("Bearer {}", caller.bearer.as_deref().expect("a session"));
    let request = Request::get("/api/integrations/events/export.csv").header(header::AUTHORIZATION, bearer);
    caller.open(request.body(Body::empty()).expect("a request")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_two_exports_under_way() {
    let (app, ours, _) = scene(2_000).await;
    let [first, second] = [export(&ours).await, export(&ours).await];
    assert_eq!((first.status(), second.status()), (StatusCode::OK, StatusCode::OK));
    ours.get("/api/integrations/events/export.csv").await.expect_problem(429, "too_many_open");
    let viewer = ours.member(Role::Viewer).await;
    assert_eq!(export(&viewer).await.status(), StatusCode::OK, "others have theirs");
    // One that is given up frees its place, and so does one that is read to its end.
    drop(first);
    let chunks: Vec<_> = second.into_body().into_data_stream().collect().await;
    assert!(chunks.into_iter().all(|chunk| chunk.is_ok()));
    let [third, fourth] = [export(&ours).await, export(&ours).await];
    assert_eq!((third.status(), fourth.status()), (StatusCode::OK, StatusCode::OK));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_asked_for_little_of_much_gets_it_and_holds_nobody_up() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let first = say(&app, &kata, "test.first", "Here it begins.").await;
    // Where a follower of the little stood before the much came.
    let stood_at = kata.follow("event_type=test.little", "").await.expect("a stream").last_id;
    sqlx::query(
        "insert into events (organization_id, id, level, event_type, message, actor, created_at)
         select $1, (substr($2::text, 1, 14) || '7' || substr(md5(n::text), 1, 3) || '-8' || substr(md5(n::text), 4, 3) || '-' || substr(md5(n::text), 7, 12))::uuid,
            'info', 'test.much', 'A line.', 'system:test', $3
         from generate_series(1, 30000) n",
    )
    .bind(kata.organization)
    .bind(first)
    .bind(app.clock().now())
    .execute(&mut app.superuser().await)
    .await
    .expect("lines");
    let little = say(&app, &kata, "test.little", "The one.").await;
    // As many as read at the same moment, and one more who asks for what comes now.
    let mut behind = vec![];
    for _ in 0..5 {
        behind.push(kata.follow("event_type=test.little", &stood_at).await.expect("a stream"));
    }
    let mut ahead = kata.follow("event_type=test.now", "").await.expect("a stream");
    let mut readers = tokio::task::JoinSet::new();
    for mut follower in behind {
        readers.spawn(async move { id_of(&follower.line(LONG).await) });
    }
    let now = say(&app, &kata, "test.now", "Now.").await;
    assert_eq!(id_of(&ahead.line(LONG).await), now);
    assert_eq!(readers.join_all().await, [little; 5]);
    app.finish().await;
}
