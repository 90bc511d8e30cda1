use axum::http::StatusCode;
use chrono::TimeDelta;
use kernel::Role;
use serde_json::json;
use testkit::TestApp;

use super::{accept, accept_as_new, fresh_address, invite, invited, seat, seat_path, token};

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_makes_a_member_of_somebody_new_and_of_somebody_known_and_works_once() {
    let app = TestApp::start().await;
    let (kata, bela) = (app.sign_up("Kata").await, app.sign_up("Béla").await);
    let new = fresh_address();
    let (link, id) = invited(&app, &kata, &new, "manager").await;
    let mail = app.mail(&new, 1).await;
    assert!(mail.subject.contains(&kata.organization_name) && mail.subject.starts_with("Kata"), "{}", mail.subject);
    let looked = app.nobody().post("/api/invitations/look", json!({ "token": link })).await.expect(StatusCode::OK);
    assert_eq!(looked.at("/organization_id"), kata.organization.to_string());
    assert_eq!((looked.at("/email"), looked.at("/role")), (new.as_str().into(), "manager".into()));
    assert_eq!(looked.at("/has_account"), false);
    let joined = accept_as_new(&app.nobody(), &link).await.expect(StatusCode::CREATED);
    let newcomer = app.nobody().presenting(joined.at("/session_token").as_str().expect("a session"));
    let me = newcomer.get("/api/me").await.expect(StatusCode::OK);
    assert_eq!(me.at("/organizations/0/role"), "manager");
    assert_eq!(me.at("/user/email_verified"), true, "the link was in a mail to the address");
    accept_as_new(&app.nobody(), &link).await.expect_problem(410, "link_invalid");
    accept(&newcomer, &link).await.expect_problem(410, "link_invalid");
    let list = kata.get("/api/invitations").await.expect(StatusCode::OK);
    assert_eq!(list.at("/data/0/id"), id);
    assert_eq!(list.at("/data/0/status"), "accepted");
    assert!(list.at("/data/0/email").is_null(), "the address is forgotten with the invitation");

    // Somebody who has an account accepts by hand, and belongs to two organizations then.
    let (link, _) = invited(&app, &kata, &bela.email, "viewer").await.clone();
    accept_as_new(&app.nobody(), &link).await.expect_problem(409, "conflict");
    accept(&app.nobody(), &link).await.expect_problem(401, "unauthenticated");
    accept(&newcomer, &link).await.expect_problem(403, "forbidden");
    accept(&bela, &link).await.expect(StatusCode::OK);
    accept(&bela, &link).await.expect_problem(410, "link_invalid");
    let me = bela.get("/api/me").await.expect(StatusCode::OK);
    assert_eq!(me.at("/organizations").as_array().map(Vec::len), Some(2));
    bela.get("/api/members").await.expect_problem(400, "organization_required");
    bela.naming(kata.organization).get("/api/members").await.expect(StatusCode::OK);
    bela.naming(kata.organization).get("/api/audit").await.expect_problem(403, "forbidden");
    bela.naming(bela.organization).get("/api/audit").await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_invites_with_more_rights_than_they_have() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    for role in Role::ALL {
        let member = kata.member(*role).await;
        for offered in Role::ALL {
            let answer = invite(&member, &fresh_address(), offered.as_str()).await;
            let has_all = role.permissions().intersection(offered.permissions()) == offered.permissions();
            let may = matches!(role, Role::Owner | Role::Administrator) && has_all;
            let expected = if may { StatusCode::CREATED } else { StatusCode::FORBIDDEN };
            assert_eq!(answer.status, expected, "{role} offers {offered}: {}", answer.short());
        }
    }
    let key = kata.create_key("key").await;
    invite(&key, &fresh_address(), "viewer").await.expect_problem(403, "forbidden");
    let unconfirmed = app.sign_up_unconfirmed("Unconfirmed").await;
    invite(&unconfirmed, &fresh_address(), "viewer").await.expect_problem(403, "email_unverified");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_ends_with_time_with_its_successor_and_with_whoever_gave_it() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let nobody = app.nobody();
    let gone = |token: String| {
        let nobody = nobody.clone();
        async move {
            nobody.post("/api/invitations/look", json!({ "token": token })).await.expect_problem(410, "link_invalid");
            accept_as_new(&nobody, &token).await.expect_problem(410, "link_invalid");
        }
    };
    // Taken back.
    let email = fresh_address();
    let (link, id) = invited(&app, &kata, &email, "viewer").await;
    invite(&kata, &email.to_uppercase(), "viewer").await.expect_problem(409, "conflict");
    let revoked = kata.post(&format!("/api/invitations/{id}/revoke"), json!({})).await.expect(StatusCode::OK);
    assert_eq!((revoked.at("/status"), revoked.at("/email")), ("revoked".into(), serde_json::Value::Null));
    gone(link).await;
    kata.post(&format!("/api/invitations/{id}/resend"), json!({})).await.expect_problem(409, "conflict");
    // Sent again: the first link ends.
    let (first, id) = invited(&app, &kata, &fresh_address(), "viewer").await;
    let resend = format!("/api/invitations/{id}/resend");
    let early = kata.post(&resend, json!({})).await.expect_problem(429, "rate_limited");
    assert!(early.header("retry-after").parse::<u64>().is_ok_and(|wait| (1..=60).contains(&wait)));
    app.advance(TimeDelta::minutes(2)).await;
    let again = kata.post(&resend, json!({})).await.expect(StatusCode::OK);
    assert_eq!(again.at("/sends"), 2);
    let address = again.at("/email").as_str().expect("an address").to_owned();
    let second = token(&app, &address, "invitation", 2).await;
    gone(first).await;
    nobody.post("/api/invitations/look", json!({ "token": second })).await.expect(StatusCode::OK);
    // Whoever gave it has left, or may no longer give it.
    let admin = kata.member(Role::Administrator).await;
    let (link, _) = invited(&app, &admin, &fresh_address(), "administrator").await;
    let seat = seat_path(&kata, &admin.email).await;
    kata.patch(&seat, json!({ "role": "viewer" })).await.expect(StatusCode::OK);
    gone(link.clone()).await;
    kata.patch(&seat, json!({ "role": "administrator", "status": "suspended" })).await.expect(StatusCode::OK);
    gone(link.clone()).await;
    kata.patch(&seat, json!({ "status": "active" })).await.expect(StatusCode::OK);
    nobody.post("/api/invitations/look", json!({ "token": link })).await.expect(StatusCode::OK);
    kata.delete(&seat, json!({})).await.expect(StatusCode::NO_CONTENT);
    gone(link).await;
    // Run out; the address can then be invited anew.
    let email = fresh_address();
    let (link, _) = invited(&app, &kata, &email, "viewer").await;
    app.advance(TimeDelta::days(7) - TimeDelta::minutes(1)).await;
    nobody.post("/api/invitations/look", json!({ "token": link })).await.expect(StatusCode::OK);
    app.advance(TimeDelta::minutes(2)).await;
    gone(link).await;
    invite(&kata, &email, "viewer").await.expect(StatusCode::CREATED);
    // Another organization's token, with ours written into it, is no link.
    gone(format!("entrepot_invitation_{}{}", kata.organization.simple(), kernel::random::base62(43))).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_accept_at_once_on_two_nodes_one_gets_the_seat() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let email = fresh_address();
    let (link, _) = invited(&a, &kata, &email, "viewer").await;
    let (at_a, at_b) = (a.nobody(), b.nobody());
    let (one, other) = tokio::join!(accept_as_new(&at_a, &link), accept_as_new(&at_b, &link));
    let mut answers = [one.status.as_u16(), other.status.as_u16()];
    answers.sort_unstable();
    assert!(answers == [201, 409] || answers == [201, 410], "{answers:?}");
    assert_eq!(seat(&kata, &email).await["role"], "viewer");
    b.finish().await;
    a.finish().await;
}
