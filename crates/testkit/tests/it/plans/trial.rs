use axum::http::StatusCode;
use chrono::TimeDelta;
use kernel::{Plan, Role};
use serde_json::{Value, json};
use testkit::TestApp;

use super::{connect, mails, plan, products, set, told};

async fn paused(of: &testkit::Member) -> Vec<(String, bool)> {
    let all = of.get("/api/integrations/connections/?limit=100").await.expect(StatusCode::OK).at("/data");
    let is_paused = |row: &Value| (row["id"].as_str().unwrap_or_default().to_owned(), !row["plan_paused_at"].is_null());
    all.as_array().expect("connections").iter().map(is_paused).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_are_told_three_days_before_the_end_of_a_trial_and_at_its_end() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let viewer = kata.member(Role::Viewer).await;
    let path = format!("/api/organizations/{}", kata.organization);
    let organization = async || {
        let shown = kata.get(&path).await.expect(StatusCode::OK);
        (shown.at("/subscription_plan"), shown.at("/subscription_status"))
    };
    assert_eq!(organization().await, ("professional".into(), "trial".into()));
    app.advance(TimeDelta::days(10)).await;
    assert_eq!(told(&kata, "trial_ending").await.len(), 0);
    app.advance(TimeDelta::days(1) + TimeDelta::hours(1)).await;
    app.eventually("the end is near", || async { told(&kata, "trial_ending").await.len() == 1 }).await;
    app.eventually("by mail too", || async { mails(&app, &kata.email, "ends soon") == 1 }).await;
    // The day after says nothing new.
    app.advance(TimeDelta::days(1)).await;
    app.advance(TimeDelta::days(2)).await;
    // It is over at that moment, whether or not it was written down.
    assert_eq!(organization().await, ("free".into(), "active".into()));
    app.eventually("the end is written down", || async { told(&kata, "trial_ended").await.len() == 1 }).await;
    app.eventually("by mail too", || async { mails(&app, &kata.email, "has ended") == 1 }).await;
    assert_eq!((told(&kata, "trial_ending").await.len(), mails(&app, &kata.email, "ends soon")), (1, 1));
    let audit = kata.get("/api/audit?limit=5").await.expect(StatusCode::OK).at("/data");
    let ended = audit.as_array().and_then(|all| all.iter().find(|line| line["action"] == "plan.end")).cloned();
    let ended = ended.expect("a line");
    assert_eq!((&ended["actor"], &ended["before"]["plan"]), (&json!("system:apply_plan"), &json!("professional")));
    assert_eq!(ended["after"]["plan"], "free");
    // Only owners are told.
    assert_eq!(told(&viewer, "trial_ended").await.len(), 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exceeds_the_plan_is_paused_newest_first_and_goes_on_by_itself() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let first = kata.connect_woocommerce("kavebolt.example").await;
    let second = kata.connect_woocommerce("tea.example").await;
    let shopify = kata.connect_shopify("feine-dinge").await;
    let pause = format!("/api/integrations/connections/{first}/pause/");
    kata.post(&pause, json!({})).await.expect(StatusCode::OK);
    let mut people = vec![];
    for _ in 0..4 {
        people.push(kata.member(Role::Administrator).await);
    }
    app.advance(TimeDelta::days(14) + TimeDelta::hours(1)).await;
    app.eventually("the newest is paused", || async {
        paused(&kata).await.iter().any(|(id, is_paused)| *is_paused && *id == second.to_string())
    })
    .await;
    let is_paused = paused(&kata).await;
    for (id, expected) in [(first, false), (second, true), (shopify, false)] {
        assert!(is_paused.contains(&(id.to_string(), expected)), "{id}: {is_paused:?}");
    }
    let shown = kata.get(&format!("/api/integrations/connections/{second}/")).await.expect(StatusCode::OK);
    assert_eq!((shown.at("/status"), shown.at("/next_step/action")), ("connected".into(), "lift_plan".into()));
    // A person's pause is theirs, and is neither made nor ended by a plan.
    let shown = kata.get(&format!("/api/integrations/connections/{first}/")).await.expect(StatusCode::OK);
    assert_eq!((shown.at("/status"), shown.at("/next_step/action")), ("paused".into(), "resume".into()));
    products(&kata, second).await.expect(StatusCode::OK);
    assert_eq!(told(&kata, "connection_paused_by_plan").await.len(), 1);

    // Three seats: Kata's, and those of the two who came first. Nobody has lost theirs.
    let writes = async |member: &testkit::Member| {
        member.post("/api/team-members", json!({ "full_name": "Somebody", "member_type": "sales" })).await
    };
    for (number, member) in people.iter().enumerate() {
        member.get("/api/members").await.expect(StatusCode::OK);
        let answer = writes(member).await;
        if number < 2 {
            answer.expect(StatusCode::CREATED);
        } else {
            let refused = answer.expect_problem(402, "plan_limit_reached");
            assert_eq!(refused.at("/limit"), "members");
            let me = member.get("/api/me").await.expect(StatusCode::OK);
            assert_eq!(me.at("/organizations/0/is_read_only"), true);
        }
    }
    // One who goes makes room for the next, and so does a connection that ends.
    let members = kata.get("/api/members?limit=100").await.expect(StatusCode::OK).at("/data");
    let seat = members.as_array().and_then(|all| all.iter().find(|seat| seat["user_id"] == people[0].user.to_string()));
    let seat = seat.expect("a seat")["id"].as_str().expect("an id").to_owned();
    kata.delete(&format!("/api/members/{seat}"), json!({})).await.expect(StatusCode::NO_CONTENT);
    app.eventually("the next may write", || async { writes(&people[2]).await.status == StatusCode::CREATED }).await;
    writes(&people[3]).await.expect_problem(402, "plan_limit_reached");
    let end = format!("/api/integrations/connections/{first}/disconnect/");
    kata.post(&end, json!({})).await.expect(StatusCode::OK);
    app.eventually("the next goes on", || async { paused(&kata).await.iter().all(|(_, is_paused)| !is_paused) }).await;
    connect(&kata, "kavebolt.example").await.expect_problem(402, "plan_limit_reached");

    // A larger plan lifts all of it by itself.
    set(&app, &kata, plan(Plan::Starter)).await;
    app.eventually("all may write", || async { writes(&people[3]).await.status == StatusCode::CREATED }).await;
    connect(&kata, "kavebolt.example").await.expect(StatusCode::CREATED);
    set(&app, &kata, plan(Plan::Free)).await;
    // The account that came back is older than the other.
    app.eventually("the newest is paused again", || async {
        paused(&kata).await.iter().any(|(id, is_paused)| *is_paused && *id == second.to_string())
    })
    .await;
    set(&app, &kata, plan(Plan::Professional)).await;
    app.eventually("it goes on again", || async { paused(&kata).await.iter().all(|(_, is_paused)| !is_paused) }).await;
    let events = kata.get("/api/integrations/events/?event_type=connection.*&limit=100").await.expect(StatusCode::OK);
    let count = |kind: &str| events.text().matches(kind).count();
    assert_eq!((count("connection.paused_by_plan"), count("connection.resumed_by_plan")), (2, 2));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_never_paused_and_a_paused_member_who_becomes_one_goes_on() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let member = kata.member(Role::Administrator).await;
    let second_owner = kata.member(Role::Owner).await;
    set(&app, &kata, super::agreed(kernel::Limit::Members, 1)).await;
    let writes = async |member: &testkit::Member| {
        member.post("/api/team-members", json!({ "full_name": "Somebody", "member_type": "sales" })).await
    };
    app.eventually("the member is paused", || async { writes(&member).await.status == StatusCode::PAYMENT_REQUIRED })
        .await;
    writes(&second_owner).await.expect(StatusCode::CREATED);
    let members = kata.get("/api/members?limit=100").await.expect(StatusCode::OK).at("/data");
    let seat = members.as_array().and_then(|all| all.iter().find(|seat| seat["user_id"] == member.user.to_string()));
    let path = format!("/api/members/{}", seat.expect("a seat")["id"].as_str().expect("an id"));
    kata.patch(&path, json!({ "role": "owner" })).await.expect(StatusCode::OK);
    writes(&member).await.expect(StatusCode::CREATED);
    app.finish().await;
}
