use axum::http::StatusCode;
use chrono::TimeDelta;
use kernel::{Plan, Role};
use kit::retention::Kind;
use serde_json::json;
use testkit::TestApp;

use super::{plan, set, told};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_their_own_notifications_and_nobody_elses() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let other = kata.member(Role::Owner).await;
    for wanted in [Plan::Free, Plan::Starter, Plan::Professional] {
        set(&app, &kata, plan(wanted)).await;
    }
    let list = kata.get("/api/notifications?limit=2").await.expect(StatusCode::OK);
    assert_eq!(list.at("/unread"), 3);
    assert_eq!(list.at("/data/0/title"), "The plan is now professional, active.");
    assert_eq!((list.at("/data/0/kind"), list.at("/data/0/severity")), ("plan_changed".into(), "info".into()));
    let cursor = list.at("/next_cursor").as_str().expect("another page").to_owned();
    let rest = kata.get(&format!("/api/notifications?limit=2&cursor={cursor}")).await.expect(StatusCode::OK);
    assert_eq!(rest.at("/data").as_array().map(Vec::len), Some(1));
    // A cursor of one person is of no use to another.
    other.get(&format!("/api/notifications?cursor={cursor}")).await.expect_problem(400, "invalid_cursor");

    let read = format!("/api/notifications/{}/read", list.at("/data/0/id").as_str().expect("an id"));
    other.post(&read, json!({})).await.expect_problem(404, "not_found");
    kata.post(&read, json!({})).await.expect(StatusCode::NO_CONTENT);
    let after = kata.get("/api/notifications").await.expect(StatusCode::OK);
    let read_at = after.at("/data/0/read_at");
    assert!(!read_at.is_null());
    assert_eq!(after.at("/unread"), 2);
    kata.post(&read, json!({})).await.expect(StatusCode::NO_CONTENT);
    let again = kata.get("/api/notifications").await.expect(StatusCode::OK);
    assert_eq!(again.at("/data/0/read_at"), read_at, "the first time counts");
    kata.post("/api/notifications/read-all", json!({})).await.expect(StatusCode::NO_CONTENT);
    let all = kata.get("/api/notifications").await.expect(StatusCode::OK);
    assert_eq!((all.at("/unread"), all.at("/data/0/read_at")), (0.into(), read_at));
    assert_eq!(other.get("/api/notifications").await.expect(StatusCode::OK).at("/unread"), 3);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_their_seat_while_owners_are_told_keeps_nobody_from_being_told() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let leaving = kata.member(Role::Owner).await;
    let mut other = app.superuser().await;
    sqlx::raw_sql("begin").execute(&mut other).await.expect("a transaction");
    sqlx::query("delete from organization_members where user_id = $1")
        .bind(leaving.user)
        .execute(&mut other)
        .await
        .expect("a seat");
    let waits_and_goes_on = async {
        app.eventually("the seat is asked for", || async {
            sqlx::query_scalar::<_, bool>(
                "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
                     and query like '%-- insert_notification%')",
            )
            .fetch_one(&mut app.superuser().await)
            .await
            .expect("an answer")
        })
        .await;
        sqlx::raw_sql("commit").execute(&mut other).await.expect("it is gone");
    };
    tokio::join!(set(&app, &kata, plan(Plan::Enterprise)), waits_and_goes_on);
    assert_eq!(told(&kata, "plan_changed").await.len(), 1);
    let left: i64 = sqlx::query_scalar("select count(*) from notifications where user_id = $1")
        .bind(leaving.user)
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a count");
    assert_eq!(left, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_changed_while_somebody_writes_what_refers_to_the_organization() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let mut other = app.superuser().await;
    // As every row does that is written with a reference.
    sqlx::raw_sql("begin; select 1 from organizations for key share").execute(&mut other).await.expect("a lock");
    set(&app, &kata, plan(Plan::Enterprise)).await;
    sqlx::raw_sql("rollback").execute(&mut other).await.expect("it ends");
    assert_eq!(told(&kata, "plan_changed").await.len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_connection_those_are_told_who_answer_for_it_and_know_it() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let manager = kata.member(Role::ShopManager).await;
    let store = manager.connect_woocommerce("kavebolt.example").await;
    let revoke = format!("/api/integrations/connections/{store}/revoke/");
    kata.post(&revoke, json!({})).await.expect(StatusCode::OK);
    let seen = told(&manager, "connection_needs_reauth").await;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0]["about"], json!({ "resource": "connection", "id": store }));
    assert_eq!(seen[0]["severity"], "error");
    assert_eq!(told(&kata, "connection_needs_reauth").await.len(), 0, "not whoever did it");
    // Denied the connection, they know nothing of it any more.
    let members = kata.get("/api/members?limit=100").await.expect(StatusCode::OK).at("/data");
    let seat = members.as_array().and_then(|all| all.iter().find(|seat| seat["user_id"] == manager.user.to_string()));
    let path = format!("/api/members/{}", seat.expect("a seat")["id"].as_str().expect("an id"));
    let denial = json!({ "effect": "deny", "resource": "connections", "action": "read", "resource_id": store });
    kata.post(&format!("{path}/grants"), denial).await.expect(StatusCode::CREATED);
    let list = manager.get("/api/notifications").await.expect(StatusCode::OK);
    assert_eq!((list.at("/data"), list.at("/unread")), (json!([]), 0.into()));
    // What a member was told leaves with their seat.
    kata.delete(&path, json!({})).await.expect(StatusCode::NO_CONTENT);
    let left: i64 = sqlx::query_scalar("select count(*) from notifications where user_id = $1")
        .bind(manager.user)
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a count");
    assert_eq!(left, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_are_kept_for_ninety_days_and_uses_of_days_as_long() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    set(&app, &kata, plan(Plan::Starter)).await;
    super::products(&kata, store).await.expect(StatusCode::OK);
    app.advance(TimeDelta::days(89)).await;
    let purged = entrepot::housekeeping::purge(app.app()).await.expect("a purge");
    assert_eq!((purged.of(Kind::Notifications), purged.of(Kind::UsageCounters)), (0, 0));
    app.advance(TimeDelta::days(2)).await;
    let purged = entrepot::housekeeping::purge(app.app()).await.expect("a purge");
    assert_eq!((purged.of(Kind::Notifications), purged.of(Kind::UsageCounters)), (1, 1));
    app.finish().await;
}
