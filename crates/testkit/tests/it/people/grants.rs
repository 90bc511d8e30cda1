//! What is allowed and denied to a member beside their role.

use axum::http::StatusCode;
use chrono::TimeDelta;
use kernel::Role;
use serde_json::{Value, json};
use testkit::{Answer, Client, Member, TestApp};
use uuid::Uuid;

use super::seat_path;

async fn grant(by: &Client, seat: &str, form: Value) -> Answer {
    by.post(&format!("{seat}/grants"), form).await
}

/// Gives it, and says where it can be taken back.
async fn granted(by: &Client, seat: &str, form: Value) -> String {
    let answer = grant(by, seat, form).await.expect(StatusCode::CREATED);
    format!("{seat}/grants/{}", answer.at("/id").as_str().expect("an id"))
}

fn allow(resource: &str, action: &str) -> Value {
    json!({ "effect": "allow", "resource": resource, "action": action })
}

fn deny(resource: &str, action: &str) -> Value {
    json!({ "effect": "deny", "resource": resource, "action": action })
}

fn at(mut form: Value, connection: Uuid) -> Value {
    form["resource_id"] = json!(connection);
    form
}

fn until(mut form: Value, app: &TestApp, hours: i64) -> Value {
    form["ends_at"] = json!(app.clock().now() + TimeDelta::hours(hours));
    form
}

async fn permissions(of: &Member) -> Vec<String> {
    let me = of.get("/api/me").await.expect(StatusCode::OK);
    serde_json::from_value(me.at("/organizations/0/permissions")).expect("permissions")
}

async fn may(of: &Member, permission: &str) -> bool {
    permissions(of).await.iter().any(|held| held == permission)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_beats_a_grant_on_every_node_within_a_second_for_people_and_their_keys() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let (orders, customers) =
        (format!("/webshop-data-api/orders?store_id={store}"), format!("/webshop-data-api/customers?store_id={store}"));
    let member = kata.member(Role::Manager).await;
    let seat = seat_path(&kata, &member.email).await;
    granted(&kata, &seat, allow("api_keys", "create")).await;
    let here = member.create_key("of a manager").await;
    let key = here.on(&b);
    for path in [&orders, &customers] {
        key.get(path).await.expect(StatusCode::OK);
        here.get(path).await.expect(StatusCode::OK);
    }
    granted(&kata, &seat, allow("orders", "read")).await;
    let denied = granted(&kata, &seat, deny("orders", "read")).await;
    // On the node on which it was denied, with the next call.
    here.get(&orders).await.expect_problem(403, "forbidden");
    member.at(&b).get(&orders).await.expect_problem(403, "forbidden");
    a.within_a_second("the key has lost it too", || async { key.get(&orders).await.status == StatusCode::FORBIDDEN })
        .await;
    key.get(&customers).await.expect(StatusCode::OK);
    assert!(!may(&member, "orders:read").await && may(&member, "customers:read").await);
    kata.delete(&denied, json!({})).await.expect(StatusCode::NO_CONTENT);
    member.at(&b).get(&orders).await.expect(StatusCode::OK);
    a.within_a_second("both have it again", || async { key.get(&orders).await.status == StatusCode::OK }).await;
    kata.delete(&denied, json!({})).await.expect_problem(404, "not_found");
    b.finish().await;
    a.finish().await;
}

/// Nobody notifies anybody that a grant has ended: every memory knows when it will.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_ends_by_itself_also_for_a_key_that_is_remembered() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let orders = format!("/webshop-data-api/orders?store_id={store}&limit=1");
    let member = kata.member(Role::ShopManager).await;
    let seat = seat_path(&kata, &member.email).await;
    let key = member.create_key("remembered").await;
    granted(&kata, &seat, until(deny("orders", "read"), &app, 2)).await;
    granted(&kata, &seat, until(allow("audit", "read"), &app, 1)).await;
    granted(&kata, &seat, until(at(deny("connections", "read"), store), &app, 3)).await;
    app.within_a_second("the store is hidden", || async { key.get(&orders).await.status == StatusCode::FORBIDDEN })
        .await;
    member.get("/api/audit").await.expect(StatusCode::OK);

    app.advance(TimeDelta::minutes(61)).await;
    member.get("/api/audit").await.expect_problem(403, "forbidden");
    key.get(&orders).await.expect_problem(403, "forbidden");
    // Orders may be read again, of the stores that they know.
    app.advance(TimeDelta::hours(1)).await;
    member.get(&orders).await.expect_problem(404, "not_found");
    key.get(&orders).await.expect_problem(404, "not_found");
    app.advance(TimeDelta::hours(1)).await;
    member.get(&orders).await.expect(StatusCode::OK);
    key.get(&orders).await.expect(StatusCode::OK);
    let list = kata.get(&format!("{seat}/grants")).await.expect(StatusCode::OK).at("/data");
    let ended: Vec<bool> = list.as_array().expect("grants").iter().map(|row| row["has_ended"] == true).collect();
    assert_eq!(ended, [true, true, true]);
    // What has ended does not stand in the way of the same anew.
    granted(&kata, &seat, deny("orders", "read")).await;
    grant(&kata, &seat, deny("orders", "read")).await.expect_problem(409, "conflict");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_grants_what_they_lack_nor_for_longer_than_they_have_it() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (store, other) = (kata.connect_woocommerce("kavebolt.example").await, kata.connect_shopify("kis-bolt").await);
    let (admin, viewer) = (kata.member(Role::Administrator).await, kata.member(Role::Viewer).await);
    let (admins, viewers) = (seat_path(&kata, &admin.email).await, seat_path(&kata, &viewer.email).await);
    let update = || allow("connections", "update");
    for form in [update(), at(update(), store), allow("organization", "delete")] {
        grant(&admin, &viewers, form.clone()).await.expect_problem(403, "forbidden");
        grant(&admin, &admins, form).await.expect_problem(403, "forbidden");
    }
    grant(&admin, &viewers, allow("api_keys", "create")).await.expect(StatusCode::CREATED);

    // For one store they have it, until then: that far they may give it.
    granted(&kata, &admins, until(at(update(), store), &app, 10)).await;
    for form in [update(), at(update(), other), at(update(), store), until(at(update(), store), &app, 11)] {
        grant(&admin, &viewers, form).await.expect_problem(403, "forbidden");
    }
    granted(&admin, &viewers, until(at(update(), store), &app, 9)).await;
    app.advance(TimeDelta::hours(10)).await;
    grant(&admin, &viewers, until(at(update(), store), &app, 1)).await.expect_problem(403, "forbidden");

    // Whoever lacks something at one store gives it in general as little, nor a role that has it there.
    let denial = granted(&kata, &admins, at(deny("orders", "read"), store)).await;
    grant(&admin, &viewers, allow("orders", "read")).await.expect_problem(403, "forbidden");
    grant(&admin, &viewers, at(allow("orders", "read"), other)).await.expect(StatusCode::CREATED);
    admin.patch(&viewers, json!({ "role": "manager" })).await.expect_problem(403, "forbidden");
    let form = json!({ "email": super::fresh_address(), "role": "administrator" });
    admin.post("/api/invitations", form).await.expect_problem(403, "forbidden");
    // To take a denial back is to give.
    admin.delete(&denial, json!({})).await.expect_problem(403, "forbidden");
    let of_viewer = granted(&kata, &viewers, at(deny("orders", "read"), store)).await;
    admin.delete(&of_viewer, json!({})).await.expect_problem(403, "forbidden");
    kata.delete(&denial, json!({})).await.expect(StatusCode::NO_CONTENT);
    admin.delete(&of_viewer, json!({})).await.expect(StatusCode::NO_CONTENT);

    // Who was suspended comes back with what was allowed to them: so whoever lets them back must have it.
    granted(&kata, &viewers, allow("connections", "delete")).await;
    admin.patch(&viewers, json!({ "status": "suspended" })).await.expect(StatusCode::OK);
    admin.patch(&viewers, json!({ "status": "active" })).await.expect_problem(403, "forbidden");
    kata.patch(&viewers, json!({ "status": "active" })).await.expect(StatusCode::OK);
    // A viewer may see grants and make none.
    viewer.get(&format!("{viewers}/grants")).await.expect(StatusCode::OK);
    grant(&viewer, &viewers, allow("events", "read")).await.expect_problem(403, "forbidden");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_not_given_by_who_has_its_rights_for_a_while() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let missing = Role::Administrator.permissions().difference(Role::Manager.permissions());
    for (is_for_good, expected) in [(false, StatusCode::FORBIDDEN), (true, StatusCode::OK)] {
        let stand_in = kata.member(Role::Manager).await;
        let seat = seat_path(&kata, &stand_in.email).await;
        for (resource, action) in missing.iter() {
            let form = allow(resource.as_str(), action.as_str());
            granted(&kata, &seat, if is_for_good { form } else { until(form, &app, 24) }).await;
        }
        let friend = kata.member(Role::Viewer).await;
        for wanted in [&seat, &seat_path(&kata, &friend.email).await] {
            let answer = stand_in.patch(wanted, json!({ "role": "administrator" })).await;
            assert_eq!(answer.status, expected, "for good: {is_for_good}: {}", answer.short());
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_customers_sees_none_in_orders() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (store, other) = (kata.connect_woocommerce("kavebolt.example").await, kata.connect_shopify("kis-bolt").await);
    let member = kata.member(Role::Manager).await;
    let seat = seat_path(&kata, &member.email).await;
    granted(&kata, &seat, allow("api_keys", "create")).await;
    let key = member.create_key("of a manager").await;
    let orders = |store: Uuid| format!("/webshop-data-api/orders?store_id={store}&limit=1");
    let full = key.get(&orders(store)).await.expect(StatusCode::OK);
    assert!(full.at("/data/0/billing_address").is_object(), "{}", full.short());
    let one = format!("/webshop-data-api/orders/{}?store_id={store}", full.at("/data/0/id").as_str().expect("an id"));

    granted(&kata, &seat, at(deny("customers", "read"), store)).await;
    for caller in [&*member, &*key] {
        for (answer, data) in [(caller.get(&orders(store)).await, "/data/0"), (caller.get(&one).await, "/data")] {
            let answer = answer.expect(StatusCode::OK);
            for field in ["customer", "billing_address", "shipping_address", "note", "platform_specific"] {
                assert!(answer.at(&format!("{data}/{field}")).is_null(), "{field}: {}", answer.short());
            }
            assert!(!answer.at("/meta/withheld").as_array().expect("a list").is_empty());
        }
        let answer = caller.get(&format!("{}&email=a@b.example", orders(store))).await;
        assert!(answer.status.is_client_error(), "{}", answer.short());
        let elsewhere = caller.get(&orders(other)).await.expect(StatusCode::OK);
        assert!(elsewhere.at("/meta/withheld").as_array().expect("a list").is_empty(), "{}", elsewhere.short());
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_worth_what_its_sender_may_still_give() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let admin = kata.member(Role::Administrator).await;
    let seat = seat_path(&kata, &admin.email).await;
    let email = super::fresh_address();
    let (link, _) = super::invited(&app, &admin, &email, "administrator").await;
    let denial = granted(&kata, &seat, deny("audit", "read")).await;
    super::accept_as_new(&app.nobody(), &link).await.expect_problem(410, "link_invalid");
    kata.delete(&denial, json!({})).await.expect(StatusCode::NO_CONTENT);
    super::accept_as_new(&app.nobody(), &link).await.expect(StatusCode::CREATED);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_denied_to_owners_and_their_seats_are_the_owners_business() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (admin, manager) = (kata.member(Role::Administrator).await, kata.member(Role::Manager).await);
    let (owners, managers) = (seat_path(&kata, &kata.email).await, seat_path(&kata, &manager.email).await);
    grant(&kata, &owners, deny("organization", "read")).await.expect_problem(409, "conflict");
    grant(&admin, &owners, deny("organization", "read")).await.expect_problem(403, "forbidden");
    grant(&admin, &owners, allow("organization", "read")).await.expect_problem(403, "forbidden");
    let denial = granted(&kata, &managers, until(deny("events", "read"), &app, 1)).await;
    kata.patch(&managers, json!({ "role": "owner" })).await.expect_problem(409, "conflict");
    app.advance(TimeDelta::hours(1)).await;
    kata.patch(&managers, json!({ "role": "owner" })).await.expect(StatusCode::OK);
    admin.delete(&denial, json!({})).await.expect_problem(403, "forbidden");
    assert!(may(&manager, "events:read").await && may(&manager, "organization:delete").await);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_permission_cannot_be_granted() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let viewer = kata.member(Role::Viewer).await;
    let seat = seat_path(&kata, &viewer.email).await;
    let cases = [
        (allow("orders", "delete"), "/action"),
        (deny("orders", "approve"), "/action"),
        (at(allow("members", "read"), store), "/resource_id"),
        (at(allow("connections", "create"), store), "/resource_id"),
        (at(allow("orders", "read"), Uuid::nil()), "/resource_id"),
        (until(allow("orders", "read"), &app, 0), "/ends_at"),
        (json!({ "effect": "allow", "resource": "kings", "action": "read" }), "/resource"),
        (json!({ "effect": "maybe", "resource": "orders", "action": "read" }), "/effect"),
        (json!({ "effect": "deny", "resource": "orders", "action": "read", "reason": " " }), "/reason"),
    ];
    for (form, pointer) in cases {
        let answer = grant(&kata, &seat, form.clone()).await.expect_problem(400, "invalid_request");
        assert_eq!(answer.at("/errors/0/pointer"), pointer, "{form}");
    }
    for owner_of_none in [Uuid::nil().to_string(), "x".into()] {
        let path = format!("/api/members/{owner_of_none}");
        grant(&kata, &path, allow("orders", "read")).await.expect_problem(404, "not_found");
    }
    // The same body for another member is another request, whatever key it is sent with.
    let other = seat_path(&kata, &kata.member(Role::Viewer).await.email).await;
    let once = kata.with_header("idempotency-key", "once");
    let first = grant(&once, &seat, allow("orders", "read")).await.expect(StatusCode::CREATED);
    let again = grant(&once, &seat, allow("orders", "read")).await.expect(StatusCode::CREATED);
    assert_eq!(again.at("/id"), first.at("/id"));
    grant(&once, &other, allow("orders", "read")).await.expect_problem(422, "idempotency_key_reused");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_allowed_works_for_that_store_only() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (store, other) = (kata.connect_woocommerce("kavebolt.example").await, kata.connect_shopify("kis-bolt").await);
    let member = kata.member(Role::BotTrainer).await;
    let seat = seat_path(&kata, &member.email).await;
    let read = |resource: &str, store: Uuid| format!("/webshop-data-api/{resource}?store_id={store}&limit=1");
    for form in [allow("orders", "read"), allow("connections", "read"), allow("connections", "update")] {
        granted(&kata, &seat, at(form, store)).await;
    }
    member.get(&read("orders", store)).await.expect(StatusCode::OK);
    member.post("/webshop-data-api/orders/search", json!({ "store_id": store })).await.expect(StatusCode::OK);
    for elsewhere in [other, Uuid::nil()] {
        member.get(&read("orders", elsewhere)).await.expect_problem(403, "forbidden");
    }
    member.get(&read("customers", store)).await.expect_problem(403, "forbidden");
    member.get(&read("products", other)).await.expect(StatusCode::OK);
    for list in ["/api/stores", "/api/integrations/connections/"] {
        let rows = member.get(list).await.expect(StatusCode::OK).at("/data");
        let ids: Vec<_> = rows.as_array().expect("rows").iter().map(|row| row["id"].clone()).collect();
        assert_eq!(ids, [json!(store)], "{list}");
    }
    let path = |store: Uuid| format!("/api/integrations/connections/{store}/");
    member.patch(&path(store), json!({ "display_name": "Ours" })).await.expect(StatusCode::OK);
    let keys = json!({ "credential": kata.woocommerce_form("kavebolt.example")["credential"] });
    member.post(&format!("{}credential/", path(store)), keys).await.expect(StatusCode::OK);
    member.get(&path(other)).await.expect_problem(403, "forbidden");
    member.patch(&path(other), json!({ "display_name": "Ours" })).await.expect_problem(403, "forbidden");
    let me = member.get("/api/me").await.expect(StatusCode::OK);
    assert_eq!(me.at("/organizations/0/permissions"), json!(["products:read"]));
    let expected = json!([{
        "connection_id": store,
        "permissions": ["orders:read", "products:read", "connections:read", "connections:update"],
    }]);
    assert_eq!(me.at("/organizations/0/at_connections"), expected);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_know_a_store_is_not_told_of_it_by_grants_or_keys() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let admin = kata.member(Role::Administrator).await;
    let seat = seat_path(&kata, &admin.email).await;
    kata.create_key_with(json!({ "name": "limited", "stores": [store] })).await;
    let denial = granted(&kata, &seat, at(deny("connections", "read"), store)).await;
    granted(&kata, &seat, deny("events", "read")).await;
    for list in [format!("{seat}/grants"), "/api-key-management/list".into(), "/api/me".into()] {
        let shown = admin.get(&list).await.expect(StatusCode::OK);
        assert!(!shown.text().contains(&store.to_string()), "{list}: {}", shown.short());
    }
    let seen = admin.get(&format!("{seat}/grants")).await.at("/data");
    assert_eq!(seen.as_array().map(Vec::len), Some(1), "the other denial");
    assert_eq!(kata.get(&format!("{seat}/grants")).await.at("/data").as_array().map(Vec::len), Some(2));
    admin.delete(&denial, json!({})).await.expect_problem(404, "not_found");
    grant(&admin, &seat, at(allow("products", "read"), store)).await.expect_problem(400, "invalid_request");
    app.finish().await;
}

/// The shop's own consent does not stand above what was denied here.
#[tokio::test(flavor = "multi_thread")]
async fn consent_changes_no_connection_that_the_person_may_not_change() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    let member = kata.member(Role::ShopManager).await;
    let seat = seat_path(&kata, &member.email).await;
    granted(&kata, &seat, at(deny("connections", "update"), store)).await;
    let before = kata.get(&format!("/api/integrations/connections/{store}/")).await.at("/credential/set_at");
    member.consent_to("kis-bolt", json!({})).await.answer.expect_problem(403, "forbidden");
    let after = kata.get(&format!("/api/integrations/connections/{store}/")).await.at("/credential/set_at");
    assert_eq!(before, after);

    // Nor do its keys, when it was disconnected and would come back with them.
    let pasted = kata.connect_woocommerce("kavebolt.example").await;
    granted(&kata, &seat, at(deny("connections", "update"), pasted)).await;
    let path = format!("/api/integrations/connections/{pasted}/");
    kata.post(&format!("{path}disconnect/"), json!({})).await.expect(StatusCode::OK);
    let form = kata.woocommerce_form("kavebolt.example");
    member.post("/api/integrations/connections/", form.clone()).await.expect_problem(403, "forbidden");
    assert_eq!(kata.get(&path).await.at("/status"), "disconnected");
    kata.post("/api/integrations/connections/", form).await.expect(StatusCode::CREATED);
    assert_eq!(kata.get(&path).await.at("/status"), "connected");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_grant_is_written_down_and_kept_until_its_retention_is_over() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let viewer = kata.member(Role::Viewer).await;
    let seat = seat_path(&kata, &viewer.email).await;
    let mut form = allow("audit", "read");
    form["reason"] = json!("for the yearly audit");
    let path = granted(&kata, &seat, form).await;
    kata.delete(&path, json!({})).await.expect(StatusCode::NO_CONTENT);
    let audit = kata.get("/api/audit?limit=2").await.expect(StatusCode::OK);
    assert_eq!(
        (audit.at("/data/0/action"), audit.at("/data/1/action")),
        ("permission_grant.delete".into(), "permission_grant.create".into())
    );
    assert_eq!(audit.at("/data/1/after/resource"), "audit");
    assert!(!audit.text().contains("yearly"), "what somebody wrote may be about a person");
    let events = kata.get("/api/integrations/events/?event_type=permission.*").await.expect(StatusCode::OK);
    assert_eq!(events.at("/data").as_array().map(Vec::len), Some(2));
    let count = async || -> i64 {
        let count = sqlx::query_scalar("select count(*) from permission_grants where deleted_at is not null");
        count.fetch_one(&mut app.superuser().await).await.expect("a count")
    };
    app.advance(TimeDelta::days(89)).await;
    assert_eq!(count().await, 1);
    app.advance(TimeDelta::days(2)).await;
    app.eventually("the grant is removed", || async { count().await == 0 }).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_of_roles_is_shown_as_the_program_has_it() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let employee = kata.member(Role::Employee).await;
    let matrix = employee.get("/api/roles").await.expect(StatusCode::OK);
    let roles = matrix.at("/roles");
    for (role, shown) in Role::ALL.iter().zip(roles.as_array().expect("roles")) {
        let held: Vec<String> =
            role.permissions().iter().map(|(resource, action)| format!("{resource}:{action}")).collect();
        assert_eq!((&shown["role"], &shown["permissions"]), (&json!(role), &json!(held)));
        assert!(!shown["label"].as_str().expect("a label").contains('_'));
    }
    assert_eq!(roles.as_array().map(Vec::len), Some(Role::ALL.len()));
    let orders = matrix.at("/resources/1");
    assert_eq!((&orders["resource"], &orders["actions"]), (&json!("orders"), &json!(["read"])));
    assert_eq!(orders["actions_at_connections"], json!(["read"]));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_of_a_grant_is_sealed_also_one_that_was_written_before_it_was() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let seat = seat_path(&kata, &kata.member(Role::Viewer).await.email).await;
    let mut form = allow("audit", "read");
    form["reason"] = json!("Réka is away until May");
    let given = grant(&kata, &seat, form).await.expect(StatusCode::CREATED);
    assert_eq!(given.at("/reason"), "Réka is away until May");
    granted(&kata, &seat, deny("events", "read")).await;
    let mut superuser = app.superuser().await;
    // As a program before this one has left it.
    sqlx::query("update permission_grants set reason = 'Béla is new', sealed_reason = null, data_key_id = null where resource = 'events'")
        .execute(&mut superuser)
        .await
        .expect("a reason in clear");
    let shown = async || {
        let list = kata.get(&format!("{seat}/grants")).await.expect(StatusCode::OK);
        [list.at("/data/0/reason"), list.at("/data/1/reason")]
    };
    assert_eq!(shown().await, ["Béla is new", "Réka is away until May"]);
    // Somebody who may change members and cannot add any seals as well.
    let helper = kata.member(Role::Viewer).await;
    let helpers = seat_path(&kata, &helper.email).await;
    granted(&kata, &helpers, allow("members", "update")).await;
    let mut form = deny("connections", "read");
    form["reason"] = json!("Said by a helper");
    grant(&helper, &seat, form).await.expect(StatusCode::CREATED);

    app.advance(TimeDelta::days(1)).await;
    app.eventually("reasons in clear are sealed", || async {
        let clear: i64 = sqlx::query_scalar("select count(*) from permission_grants where reason is not null")
            .fetch_one(&mut app.superuser().await)
            .await
            .expect("a count");
        clear == 0
    })
    .await;
    let [_, events, audit] = {
        let list = kata.get(&format!("{seat}/grants")).await.expect(StatusCode::OK);
        [list.at("/data/0/reason"), list.at("/data/1/reason"), list.at("/data/2/reason")]
    };
    assert_eq!((events, audit), ("Béla is new".into(), "Réka is away until May".into()));
    let stored: Vec<String> =
        sqlx::query_scalar("select coalesce(encode(sealed_reason, 'escape'), '') || g::text from permission_grants g")
            .fetch_all(&mut superuser)
            .await
            .expect("rows");
    for word in ["Réka", "away", "Béla", "helper"] {
        assert!(stored.iter().all(|row| !row.contains(word)), "{word}");
    }
    app.finish().await;
}
