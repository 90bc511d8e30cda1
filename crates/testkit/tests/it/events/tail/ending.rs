use std::time::{Duration, Instant};

use axum::http::StatusCode;
use kernel::{EventId, Role};
use serde_json::json;
use testkit::{Follower, Member, Options, TestApp};

use super::{LONG, id_of, say, write};

/// What the product promises: who loses the right hears no more after this.
const PROMISED: Duration = Duration::from_secs(5);

/// Somebody who follows at each of two nodes, and has heard something there.
async fn following(app: &TestApp, other: &TestApp, member: &Member, owner: &Member) -> Vec<Follower> {
    let mut followers = vec![
        member.follow("event_type=test.*", "").await.expect("a stream"),
        member.at(other).follow("event_type=test.*", "").await.expect("a stream"),
    ];
    let id = say(app, owner, "test.heard", "Heard.").await;
    for follower in &mut followers {
        // What was written just before may not be settled when a stream begins, and counts as now.
        while id_of(&follower.line(LONG).await) != id {}
    }
    followers
}

/// All that follow are told to go, within the promised time, and hear nothing that is written from then on.
async fn are_closed(app: &TestApp, owner: &Member, followers: Vec<Follower>, problem: &str) {
    let began = Instant::now();
    let _unheard = say(app, owner, "test.unheard", "Not for everybody.").await;
    for mut follower in followers {
        let left = PROMISED.saturating_sub(began.elapsed());
        assert_eq!(follower.closed(left.max(Duration::from_millis(1))).await, problem);
    }
}

async fn whoever_loses_the_right_is_let_go(deaf: bool) {
    let app = TestApp::start().await;
    let other = app.second_node().await;
    let kata = app.sign_up("Kata").await;
    let [demoted, removed, suspended, signed_out, stays] = [
        kata.member(Role::Viewer).await,
        kata.member(Role::Viewer).await,
        kata.member(Role::Manager).await,
        kata.member(Role::Viewer).await,
        kata.member(Role::Viewer).await,
    ];
    let mut staying = following(&app, &other, &stays, &kata).await;
    let cut = if deaf { Some(app.deafen(&[&app, &other]).await) } else { None };
    let seat = async |member: &Member| {
        let id: uuid::Uuid = sqlx::query_scalar("select id from organization_members where user_id = $1")
            .bind(member.user)
            .fetch_one(&mut app.superuser().await)
            .await
            .expect("a seat");
        format!("/api/members/{id}")
    };

    let followers = following(&app, &other, &demoted, &kata).await;
    kata.patch(&seat(&demoted).await, json!({ "role": "sales" })).await.expect(StatusCode::OK);
    are_closed(&app, &kata, followers, "forbidden").await;

    let followers = following(&app, &other, &removed, &kata).await;
    kata.delete(&seat(&removed).await, serde_json::Value::Null).await.expect(StatusCode::NO_CONTENT);
    are_closed(&app, &kata, followers, "not_found").await;

    let followers = following(&app, &other, &suspended, &kata).await;
    kata.patch(&seat(&suspended).await, json!({ "status": "suspended" })).await.expect(StatusCode::OK);
    are_closed(&app, &kata, followers, "not_found").await;

    let followers = following(&app, &other, &signed_out, &kata).await;
    signed_out.post("/api/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    are_closed(&app, &kata, followers, "unauthenticated").await;

    // Whoever may still follow does, and has missed nothing meanwhile.
    let last = say(&app, &kata, "test.last", "Last.").await;
    for follower in &mut staying {
        let mut heard = vec![];
        while heard.last() != Some(&last) {
            heard.push(id_of(&follower.line(LONG).await));
        }
        assert_eq!(heard.len(), 4 + 4 + 1, "four were heard, and four unheard by those who went");
    }
    let path = format!("/api/organizations/{}", kata.organization);
    kata.delete(&path, json!({ "name": kata.organization_name })).await.expect(StatusCode::NO_CONTENT);
    let began = Instant::now();
    for mut follower in staying {
        assert_eq!(follower.closed(PROMISED.saturating_sub(began.elapsed())).await, "not_found");
    }
    if let Some(cut) = cut {
        assert!(!app.app().freshness.holds() && !other.app().freshness.holds(), "the nodes were deaf all the time");
        cut.abort();
    }
    other.finish().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_the_right_is_let_go_within_five_seconds_on_every_node() {
    whoever_loses_the_right_is_let_go(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_the_right_is_let_go_within_five_seconds_by_deaf_nodes_too() {
    whoever_loses_the_right_is_let_go(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_runs_out_ends_its_streams() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let mut follower = kata.follow("", "").await.expect("a stream");
    // Nobody rings for the end of its time.
    sqlx::query("update sessions set expires_at = $2 where user_id = $1")
        .bind(kata.user)
        .bind(app.clock().now())
        .execute(&mut app.superuser().await)
        .await
        .expect("an earlier end");
    assert_eq!(follower.closed(PROMISED).await, "unauthenticated");
    app.finish().await;
}

/// A node may end between a commit and its ring.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_nobody_rang_for_is_found_within_seconds() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let mut follower = kata.follow("event_type=test.*", "").await.expect("a stream");
    // Whatever was rung for before has been heard.
    assert!(follower.is_quiet(Duration::from_secs(3)).await);
    let (id, now) = (EventId::new(app.clock()).uuid(), app.clock().now());
    write(&mut app.superuser().await, kata.organization, id, "test.unrung", "Nobody rang.", now).await;
    assert_eq!(id_of(&follower.line(LONG).await), id);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deaf_node_tells_lines_late_and_not_never() {
    let app = TestApp::start().await;
    let other = app.second_node().await;
    let kata = app.sign_up("Kata").await;
    let mut follower = kata.follow("event_type=test.*", "").await.expect("a stream");
    let cut = app.deafen(&[&app, &other]).await;
    let mut longest = Duration::ZERO;
    for _ in 0..3 {
        let began = Instant::now();
        let id = say(&app, &kata, "test.late", "Late.").await;
        assert_eq!(id_of(&follower.line(LONG).await), id);
        longest = longest.max(began.elapsed());
    }
    assert!(!app.app().freshness.holds(), "the node was deaf all the time");
    assert!(longest < Duration::from_secs(4), "{longest:?}");
    cut.abort();
    app.eventually("the node hears", || async { app.app().freshness.holds() }).await;
    let began = Instant::now();
    let id = say(&app, &kata, "test.soon", "Soon.").await;
    assert_eq!(id_of(&follower.line(LONG).await), id);
    assert!(began.elapsed() < longest.max(Duration::from_secs(2)), "{:?}", began.elapsed());
    other.finish().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_lets_its_followers_go_on_elsewhere() {
    let app = TestApp::start().await;
    let other = app.second_node().await;
    let kata = app.sign_up("Kata").await;
    let (here, there) = (app.listen().await, other.listen().await);
    let mut follower = kata.follow_at(&here, "event_type=test.*", "").await;
    let first = say(&app, &kata, "test.first", "First.").await;
    assert_eq!(id_of(&follower.line(LONG).await), first);
    let began = Instant::now();
    here.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "stopping waited for a stream: {:?}", began.elapsed());
    let second = say(&app, &kata, "test.second", "Second.").await;
    assert_eq!(follower.next(LONG).await, None, "it merely ends, so that browsers come back");
    let late = kata.get("/api/integrations/events/stream").await.expect(StatusCode::OK);
    assert_eq!(late.text(), "", "a node that stops lets them go at once");
    let mut elsewhere = kata.at(&other).follow_at(&there, "event_type=test.*", &follower.last_id).await;
    assert_eq!(id_of(&elsewhere.line(LONG).await), second);
    there.stop().await;
    other.finish().await;
    app.finish().await;
}

/// What a browser would take for a failure for good is borne: it goes on when the database is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_for_a_moment_ends_no_stream() {
    // A mail that is being sent just then would be sent again when its lease has ended, long after this test.
    let app = TestApp::with(Options { has_mail_server: false, ..Options::default() }).await;
    let kata = app.sign_up("Kata").await;
    let mut follower = kata.follow("event_type=test.*", "").await.expect("a stream");
    let mut superuser = app.superuser().await;
    let database = app.installation.database.name().to_owned();
    let connections = |limit: i32| format!("alter database {database} connection limit {limit}");
    let run = async |conn: &mut sqlx::PgConnection, sql: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone()))
            .execute(conn)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    };
    run(&mut superuser, connections(0)).await;
    run(
        &mut superuser,
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename like 'entrepot_%'".to_owned(),
    )
    .await;
    assert!(follower.is_quiet(Duration::from_secs(4)).await, "it waits");
    run(&mut superuser, connections(-1)).await;
    app.eventually("the node knows that it is back", || async { app.app().freshness.holds() }).await;
    let id = say(&app, &kata, "test.back", "Back.").await;
    assert_eq!(id_of(&follower.line(LONG).await), id);
    app.finish().await;
}
