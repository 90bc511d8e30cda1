use axum::http::StatusCode;
use kernel::{Limit, Plan, Role};
use serde_json::json;
use testkit::TestApp;

use super::{agreed, connect, plan, set, usage};

async fn invite(by: &testkit::Member) -> testkit::Answer {
    let email = format!("{}@people.example", kernel::random::token());
    by.post("/api/invitations", json!({ "email": email, "role": "viewer" })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_nodes_that_make_the_last_connection_at_once_one_does() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    set(&a, &kata, plan(Plan::Free)).await;
    let at_b = kata.at(&b);
    let hosts = ["kavebolt.example", "tea.example"];
    // The first round makes connections, the others bring back what was disconnected.
    for round in 0..4 {
        let (one, other) = tokio::join!(connect(&kata, hosts[0]), connect(&at_b, hosts[1]));
        let mut statuses = [one.status.as_u16(), other.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 402], "round {round}: {} {}", one.short(), other.short());
        let (made, refused) = if one.status == StatusCode::CREATED { (one, other) } else { (other, one) };
        let refused = refused.expect_problem(402, "plan_limit_reached");
        assert_eq!(refused.at("/limit"), "connections_per_provider");
        assert_eq!((refused.at("/of"), refused.at("/plan")), ("woocommerce".into(), "free".into()));
        assert_eq!((refused.at("/allowed"), refused.at("/used")), (1.into(), 1.into()));
        assert_eq!(refused.at("/lifted_by"), json!({ "plan": "starter", "allowed": 3 }));
        assert_eq!(refused.at("/resets_at"), serde_json::Value::Null);
        assert_eq!(usage(&kata, "connections_per_provider", Some("woocommerce")).await["used"], 1);
        let id = made.at("/id").as_str().expect("an id").to_owned();
        let end = format!("/api/integrations/connections/{id}/disconnect/");
        kata.post(&end, json!({})).await.expect(StatusCode::OK);
    }
    // Another provider is counted apart.
    kata.connect_woocommerce(hosts[0]).await;
    kata.connect_shopify("feine-dinge").await;
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_somebody_was_denied_takes_its_place_all_the_same() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let manager = kata.member(Role::ShopManager).await;
    let hidden = kata.connect_woocommerce("kavebolt.example").await;
    set(&app, &kata, plan(Plan::Free)).await;
    let members = kata.get("/api/members?limit=100").await.expect(StatusCode::OK).at("/data");
    let seat = members.as_array().and_then(|all| all.iter().find(|seat| seat["user_id"] == manager.user.to_string()));
    let seat = seat.expect("a seat")["id"].as_str().expect("an id").to_owned();
    let denial = json!({ "effect": "deny", "resource": "connections", "action": "read", "resource_id": hidden });
    kata.post(&format!("/api/members/{seat}/grants"), denial).await.expect(StatusCode::CREATED);
    manager.get(&format!("/api/stores/{hidden}")).await.expect_problem(404, "not_found");
    connect(&manager, "tea.example").await.expect_problem(402, "plan_limit_reached");
    // What was looked at to count it is not shown.
    let listed = manager.get("/api/integrations/connections/").await.expect(StatusCode::OK);
    assert_eq!(listed.at("/data"), json!([]));
    assert_eq!(usage(&manager, "connections_per_provider", Some("woocommerce")).await["used"], 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seats_of_a_plan_are_those_that_are_taken_and_those_that_are_offered() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    // Two people: what one does is done one after the other anyway.
    let at_b = kata.member(Role::Owner).await.at(&b);
    set(&a, &kata, agreed(Limit::Members, 3)).await;
    // Two are taken by the owners; one is left for six who are invited at once.
    let answers =
        tokio::join!(invite(&kata), invite(&at_b), invite(&kata), invite(&at_b), invite(&kata), invite(&at_b));
    let answers = [answers.0, answers.1, answers.2, answers.3, answers.4, answers.5];
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).collect();
    assert_eq!(made.len(), 1, "{:?}", answers.iter().map(testkit::Answer::short).collect::<Vec<_>>());
    for refused in answers.iter().filter(|answer| answer.status != StatusCode::CREATED) {
        assert_eq!((refused.problem().as_str(), refused.at("/used")), ("plan_limit_reached", 3.into()));
    }
    assert_eq!(usage(&kata, "members", None).await["used"], 3);
    // An offer that is taken back makes room.
    let id = made[0].at("/id").as_str().expect("an id").to_owned();
    kata.post(&format!("/api/invitations/{id}/revoke"), json!({})).await.expect(StatusCode::OK);
    invite(&kata).await.expect(StatusCode::CREATED);
    invite(&kata).await.expect_problem(402, "plan_limit_reached");
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_is_taken_only_where_the_plan_still_has_a_place() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let email = format!("{}@people.example", kernel::random::token());
    let form = json!({ "email": email, "role": "viewer" });
    kata.post("/api/invitations", form).await.expect(StatusCode::CREATED);
    let mail = app.mail(&email, 1).await;
    let link = mail.link().expect("a link").split_once("invitation=").expect("a token").1.to_owned();
    let accept = async || {
        let form = json!({ "token": link, "name": "New", "password": "a new pass phrase" });
        app.nobody().post("/api/invitations/accept-as-new", form).await
    };
    set(&app, &kata, agreed(Limit::Members, 1)).await;
    accept().await.expect_problem(402, "plan_limit_reached");
    // Nothing of the refusal is left: the link works once there is room.
    set(&app, &kata, agreed(Limit::Members, 2)).await;
    accept().await.expect(StatusCode::CREATED);
    let told = super::told(&kata, "member_joined").await;
    assert_eq!((told.len(), &told[0]["params"]["role"]), (1, &json!("viewer")));

    // Whoever is suspended has no place, and needs one to come back.
    let suspended = kata.member_with_status(Role::Viewer, "suspended").await;
    let members = kata.get("/api/members?limit=100").await.expect(StatusCode::OK).at("/data");
    let seat = members.as_array().and_then(|all| all.iter().find(|seat| seat["user_id"] == suspended.user.to_string()));
    let path = format!("/api/members/{}", seat.expect("a seat")["id"].as_str().expect("an id"));
    kata.patch(&path, json!({ "status": "active" })).await.expect_problem(402, "plan_limit_reached");
    set(&app, &kata, agreed(Limit::Members, 3)).await;
    kata.patch(&path, json!({ "status": "active" })).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_makes_as_many_keys_as_the_plan_allows() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    set(&app, &kata, agreed(Limit::ApiKeysPerUser, 2)).await;
    kata.create_key("first").await;
    kata.create_key("second").await;
    let refused = kata.post("/api-key-management/create", json!({ "name": "third" })).await;
    let refused = refused.expect_problem(402, "plan_limit_reached");
    assert_eq!((refused.at("/limit"), refused.at("/allowed")), ("api_keys_per_user".into(), 2.into()));
    assert_eq!(usage(&kata, "api_keys_per_user", None).await["used"], 2);
    // Another person has their own.
    kata.member(Role::Administrator).await.create_key("another's").await;
    app.finish().await;
}
