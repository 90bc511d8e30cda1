use axum::http::StatusCode;
use kernel::Role;
use serde_json::json;
use testkit::TestApp;

use super::{accept, invited, seat, seat_path};

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_changes_holds_on_every_node_within_a_second_for_people_and_their_keys() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let member = kata.member(Role::Administrator).await;
    let key = member.create_key("key").await.on(&b);
    let customers = format!("/webshop-data-api/customers?store_id={store}");
    key.get(&customers).await.expect(StatusCode::OK);
    member.at(&b).get("/api/audit").await.expect(StatusCode::OK);
    let path = seat_path(&kata, &member.email).await;
    let changed = kata.patch(&path, json!({ "role": "employee" })).await.expect(StatusCode::OK);
    assert_eq!((changed.at("/role"), changed.at("/status")), ("employee".into(), "active".into()));
    member.at(&b).get("/api/audit").await.expect_problem(403, "forbidden");
    a.within_a_second("the key has lost it too", || async {
        key.get(&customers).await.status == StatusCode::FORBIDDEN
    })
    .await;
    kata.patch(&path, json!({ "status": "suspended" })).await.expect(StatusCode::OK);
    member.at(&b).get("/api/stores").await.expect_problem(404, "not_found");
    a.within_a_second("the key ends with the seat", || async {
        key.get("/api/stores").await.status == StatusCode::UNAUTHORIZED
    })
    .await;
    kata.patch(&path, json!({ "status": "active", "role": "administrator" })).await.expect(StatusCode::OK);
    a.within_a_second("both are back", || async { key.get(&customers).await.status == StatusCode::OK }).await;
    // Taken away, the seat takes the keys with it, and they do not come back with the person.
    kata.delete(&path, json!({})).await.expect(StatusCode::NO_CONTENT);
    a.within_a_second("the key is revoked", || async { key.get(&customers).await.status == StatusCode::UNAUTHORIZED })
        .await;
    assert!(seat(&kata, &member.email).await.is_null());
    let (link, _) = invited(&a, &kata, &member.email, "administrator").await;
    accept(&member, &link).await.expect(StatusCode::OK);
    member.get("/api/audit").await.expect(StatusCode::OK);
    key.get(&customers).await.expect_problem(401, "unauthenticated");
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_more_than_they_have_and_owners_are_the_owners_business() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (admin, viewer, shop) =
        (kata.member(Role::Administrator).await, kata.member(Role::Viewer).await, kata.member(Role::ShopManager).await);
    let (owner_seat, viewer_seat, shop_seat) = (
        seat_path(&kata, &kata.email).await,
        seat_path(&kata, &viewer.email).await,
        seat_path(&kata, &shop.email).await,
    );
    for role in ["owner", "shop_manager"] {
        admin.patch(&viewer_seat, json!({ "role": role })).await.expect_problem(403, "forbidden");
    }
    admin.patch(&viewer_seat, json!({ "role": "administrator" })).await.expect(StatusCode::OK);
    for change in [json!({ "role": "viewer" }), json!({ "status": "suspended" })] {
        admin.patch(&owner_seat, change).await.expect_problem(403, "forbidden");
    }
    admin.delete(&owner_seat, json!({})).await.expect_problem(403, "forbidden");
    // Whoever was suspended is let back by somebody who could give them their role.
    admin.patch(&shop_seat, json!({ "status": "suspended" })).await.expect(StatusCode::OK);
    admin.patch(&shop_seat, json!({ "status": "active" })).await.expect_problem(403, "forbidden");
    kata.patch(&shop_seat, json!({ "status": "active" })).await.expect(StatusCode::OK);
    for bad in [json!({ "role": "king" }), json!({ "status": "invited" }), json!({ "name": "x" })] {
        kata.patch(&viewer_seat, bad).await.expect_problem(400, "invalid_request");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_owner_stays_also_when_two_leave_at_once() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let own = seat_path(&kata, &kata.email).await;
    for change in [json!({ "role": "viewer" }), json!({ "status": "suspended" })] {
        kata.patch(&own, change).await.expect_problem(409, "last_owner");
    }
    kata.delete(&own, json!({})).await.expect_problem(409, "last_owner");
    let second = kata.member(Role::Owner).await;
    let others = seat_path(&kata, &second.email).await;
    let (one, other) = tokio::join!(kata.delete(&own, json!({})), second.delete(&others, json!({})));
    let mut answers = [one.status.as_u16(), other.status.as_u16()];
    answers.sort_unstable();
    assert_eq!(answers, [204, 409]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stations_are_tags_of_a_seat() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let employee = kata.member(Role::Employee).await;
    let path = seat_path(&kata, &employee.email).await;
    assert_eq!(seat(&kata, &employee.email).await["stations"], json!([]));
    let given = json!({ "stations": [" Packing ", "Painting", "Packing"] });
    let changed = kata.patch(&path, given).await.expect(StatusCode::OK);
    assert_eq!(changed.at("/stations"), json!(["Packing", "Painting"]));
    // What is left out stays.
    kata.patch(&path, json!({ "role": "manager" })).await.expect(StatusCode::OK);
    let seat = seat(&kata, &employee.email).await;
    assert_eq!((&seat["stations"], &seat["role"]), (&json!(["Packing", "Painting"]), &json!("manager")));
    let audit = kata.get("/api/audit?limit=2").await.expect(StatusCode::OK);
    assert_eq!(audit.at("/data/1/before/stations"), json!([]));
    let many: Vec<String> = (0..21).map(|number| format!("Station {number}")).collect();
    let long = "é".repeat(41);
    for (stations, pointer) in
        [(json!(many), "/stations"), (json!(["a", ""]), "/stations/1"), (json!([long]), "/stations/0")]
    {
        let answer = kata.patch(&path, json!({ "stations": stations })).await.expect_problem(400, "invalid_request");
        assert_eq!(answer.at("/errors/0/pointer"), pointer);
    }
    kata.patch(&path, json!({ "stations": [] })).await.expect(StatusCode::OK);
    employee.patch(&path, json!({ "stations": ["Office"] })).await.expect_problem(403, "forbidden");
    app.finish().await;
}
