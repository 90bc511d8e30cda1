//! Whom of ours a person of an issuer is.

use axum::http::StatusCode;
use kernel::Role;
use serde_json::json;
use testkit::TestApp;

use super::{identities, link, linked, me, token, with_email, with_issuer};
use crate::people::factors::enrol;

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_person_does_with_a_token_what_they_do_with_a_session() {
    let app = with_issuer("").await;
    let kata = linked(&app, "kata").await;
    let by_token = kata.presenting(&token(&app, "kata"));
    let answer = by_token.get("/api/me").await.expect(StatusCode::OK);
    assert_eq!(answer.at("/user/id"), json!(kata.user));
    let key =
        by_token.post("/api-key-management/create", json!({ "name": "by token" })).await.expect(StatusCode::CREATED);
    // Audit and activity name the person.
    let audit = by_token.get("/api/audit").await.expect(StatusCode::OK).text();
    assert!(audit.contains(&format!("user:{}", kata.user)) && audit.contains("api_key.create"), "{audit}");
    let events = kata.get("/api/integrations/events/").await.expect(StatusCode::OK).text();
    assert!(events.contains(&format!("user:{}", kata.user)), "{events}");
    assert!(key.at("/key_id").is_string());

    // Of several organizations one is named, and a foreign one is as unknown as none.
    let bela = app.sign_up("Béla").await;
    by_token.naming(bela.organization).get("/api/members").await.expect_problem(404, "not_found");
    sqlx::query("insert into organization_members (organization_id, id, user_id, role, status, created_at) values ($1, $2, $3, 'viewer', 'active', $4)")
        .bind(bela.organization)
        .bind(uuid::Uuid::new_v4())
        .bind(kata.user)
        .bind(app.clock().now())
        .execute(&mut app.superuser().await)
        .await
        .expect("a seat");
    by_token.get("/api/members").await.expect_problem(400, "organization_required");
    by_token.naming(bela.organization).get("/api/members").await.expect(StatusCode::OK);
    let refused = by_token.naming(bela.organization).post("/api-key-management/create", json!({ "name": "no" })).await;
    refused.expect_problem(403, "forbidden");
    by_token.naming(kata.organization).get("/api/audit").await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_hold_for_tokens_as_for_sessions() {
    let app = with_issuer("").await;
    let kata = app.sign_up("Kata").await;
    for role in [Role::Viewer, Role::Employee, Role::ShopManager, Role::Administrator] {
        let member = kata.member(role).await;
        let subject = format!("{role}");
        link(&member, &token(&app, &subject)).await.expect(StatusCode::OK);
        let by_token = member.presenting(&token(&app, &subject));
        for path in
            ["/api/members", "/api/audit", "/api/integrations/events/", "/api-key-management/list", "/api/access-log"]
        {
            assert_eq!(by_token.get(path).await.status, member.get(path).await.status, "{role} {path}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_linked_to_nobody_is_told_so_and_nothing_else() {
    let app = with_issuer("").await;
    let kata = app.sign_up("Kata").await;
    let answers = [
        me(&app, &token(&app, "stranger")).await,
        me(&app, &with_email(&app, "stranger", &kata.email)).await,
        me(&app, &with_email(&app, "stranger", "nobody@people.example")).await,
    ];
    let mut details = vec![];
    for answer in answers {
        let answer = answer.expect_problem(403, "identity_unknown");
        details.push(answer.at("/detail"));
    }
    assert!(details.iter().all(|detail| *detail == details[0]), "whether an address has an account is told to nobody");
    let count: i64 = sqlx::query_scalar("select count(*) from user_identities")
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a count");
    assert_eq!(count, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_takes_a_session_and_a_token_and_is_one_persons() {
    let app = with_issuer("").await;
    let (kata, bela) = (app.sign_up("Kata").await, app.sign_up("Béla").await);
    let first = link(&kata, &token(&app, "kata")).await.expect(StatusCode::OK);
    assert_eq!((first.at("/label"), first.at("/linked_by")), (json!("Posta"), json!("session")));
    assert_eq!(link(&kata, &token(&app, "kata")).await.expect(StatusCode::OK).json(), first.json(), "the same again");
    assert_eq!(identities(&kata).await.len(), 1);
    app.mail(&kata.email, 2).await;
    // Somebody else's.
    link(&bela, &token(&app, "kata")).await.expect_problem(409, "conflict");
    // Of one who came with a token, which proves nothing here.
    let by_token = kata.presenting(&token(&app, "kata"));
    link(&by_token, &token(&app, "another")).await.expect_problem(403, "step_up_required");
    // Of a key, of nobody, of a token that does not hold.
    let key = kata.create_key("a key").await;
    link(&key, &token(&app, "another")).await.expect_problem(403, "forbidden");
    link(&app.nobody(), &token(&app, "another")).await.expect_problem(401, "unauthenticated");
    let refused = link(&bela, &app.sandbox().issuer().token(json!({ "sub": "bela", "aud": "others" }))).await;
    assert_eq!(refused.expect_problem(400, "invalid_request").at("/errors/0/pointer"), "/token");
    assert!(identities(&bela).await.is_empty());

    // Another's link is as unknown as none; one's own is taken back, on every node, and no e-mail brings it back.
    let path = format!("/api/identities/{}", first.at("/id").as_str().expect("an id"));
    bela.delete(&path, json!({})).await.expect_problem(404, "not_found");
    let b = app.second_node().await;
    me(&b, &token(&app, "kata")).await.expect(StatusCode::OK);
    kata.delete(&path, json!({})).await.expect(StatusCode::NO_CONTENT);
    me(&b, &token(&app, "kata")).await.expect_problem(403, "identity_unknown");
    kata.delete(&path, json!({})).await.expect_problem(404, "not_found");
    assert!(identities(&kata).await.is_empty());
    // With what was issued before, it is not made again; with a fresh token, whoever proves it may.
    link(&bela, &token(&app, "kata")).await.expect_problem(400, "invalid_request");
    app.advance(chrono::TimeDelta::seconds(2)).await;
    link(&bela, &token(&app, "kata")).await.expect(StatusCode::OK);
    assert_eq!(me(&app, &token(&app, "kata")).await.expect(StatusCode::OK).at("/user/id"), json!(bela.user));
    b.finish().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_links_only_where_it_is_verified_on_both_sides_and_the_operator_says_so() {
    let app = with_issuer(r#", "links_by_email": true"#).await;
    let (kata, taken) = (app.sign_up("Kata").await, app.sign_up_unconfirmed("Taken").await);
    let issuer = app.sandbox().issuer();
    // Not verified at the issuer, or by the person themselves.
    for claims in [
        json!({ "sub": "thief", "email": kata.email }),
        json!({ "sub": "thief", "email": kata.email, "email_verified": false }),
        json!({ "sub": "thief", "email": kata.email, "user_metadata": { "email_verified": true } }),
        json!({ "sub": "thief", "user_metadata": { "email": kata.email, "email_verified": true } }),
    ] {
        me(&app, &issuer.token(claims)).await.expect_problem(403, "identity_unknown");
    }
    // Not confirmed here: whoever signed up with that address need not be whose it is.
    me(&app, &with_email(&app, "owner", &taken.email)).await.expect_problem(403, "identity_unknown");
    // Both.
    let answer = me(&app, &with_email(&app, "kata", &kata.email.to_uppercase())).await.expect(StatusCode::OK);
    assert_eq!(answer.at("/user/id"), json!(kata.user));
    let listed = identities(&kata).await;
    assert_eq!((listed.len(), &listed[0]["linked_by"]), (1, &json!("email")));
    let mail = app.mail(&kata.email, 2).await;
    assert!(mail.subject.contains("Posta"), "{}", mail.subject);
    // From then on the subject counts, whatever the e-mail.
    let moved = me(&app, &with_email(&app, "kata", &taken.email)).await.expect(StatusCode::OK);
    assert_eq!(moved.at("/user/id"), json!(kata.user));
    // Taken back, it is not made again by the e-mail.
    let path = format!("/api/identities/{}", listed[0]["id"].as_str().expect("an id"));
    kata.delete(&path, json!({})).await.expect(StatusCode::NO_CONTENT);
    app.advance(chrono::TimeDelta::seconds(2)).await;
    me(&app, &with_email(&app, "kata", &kata.email)).await.expect_problem(403, "identity_unknown");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_does_not_stand_for_the_second_factor_of_whom_it_would_link() {
    let app = with_issuer(r#", "links_by_email": true"#).await;
    let kata = app.sign_up("Kata").await;
    enrol(&app, &kata).await;
    me(&app, &with_email(&app, "kata", &kata.email)).await.expect_problem(403, "identity_unknown");
    assert!(identities(&kata).await.is_empty());
    // Who has shown the factor links the person themself.
    link(&kata, &with_email(&app, "kata", &kata.email)).await.expect(StatusCode::OK);
    me(&app, &with_email(&app, "kata", &kata.email)).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_persons_sign_up_where_the_operator_says_so() {
    let app = with_issuer(r#", "unknown_persons": "sign_up""#).await;
    let kata = app.sign_up("Kata").await;
    me(&app, &token(&app, "no-email")).await.expect_problem(403, "identity_unknown");
    // The address has an account, and links by e-mail are off.
    me(&app, &with_email(&app, "kata", &kata.email)).await.expect_problem(403, "identity_unknown");

    let email = format!("{}@people.example", kernel::random::token());
    let token = with_email(&app, "new", &email);
    // Many at once make one account.
    let answers = futures::future::join_all((0..8).map(|_| me(&app, &token))).await;
    let users: Vec<_> = answers.into_iter().map(|answer| answer.expect(StatusCode::OK).at("/user/id")).collect();
    assert!(users.iter().all(|user| *user == users[0]), "{users:?}");
    let answer = me(&app, &token).await.expect(StatusCode::OK);
    assert_eq!(answer.at("/user/email"), json!(email));
    assert_eq!((answer.at("/user/name"), answer.at("/user/email_verified")), (json!("Kata at Posta"), json!(true)));
    assert_eq!(answer.at("/organizations/0/role"), "owner");
    let audit = app.nobody().presenting(&token).get("/api/audit").await.expect(StatusCode::OK).text();
    assert!(audit.contains("organization.create"), "{audit}");
    // No password opens it, until a link by mail sets one.
    app.nobody()
        .post("/api/login", json!({ "email": email, "password": "" }))
        .await
        .expect_problem(401, "invalid_credentials");
    app.nobody().post("/api/password-reset", json!({ "email": email })).await.expect(StatusCode::ACCEPTED);
    app.mail(&email, 1).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_without_a_seat_reaches_nothing_from_the_next_moment() {
    let a = with_issuer("").await;
    let b: TestApp = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let viewer = kata.member(Role::Viewer).await;
    link(&viewer, &token(&a, "viewer")).await.expect(StatusCode::OK);
    let by_token = viewer.presenting(&token(&a, "viewer")).on(&b);
    by_token.get("/api/members").await.expect(StatusCode::OK);
    let seats = kata.get("/api/members?limit=100").await.expect(StatusCode::OK).at("/data");
    let seat = seats.as_array().and_then(|all| all.iter().find(|seat| seat["email"] == viewer.email.as_str())).cloned();
    let path = format!("/api/members/{}", seat.expect("a seat")["id"].as_str().expect("an id"));
    kata.patch(&path, json!({ "status": "suspended" })).await.expect(StatusCode::OK);
    by_token.get("/api/members").await.expect_problem(404, "not_found");
    kata.patch(&path, json!({ "status": "active" })).await.expect(StatusCode::OK);
    by_token.get("/api/members").await.expect(StatusCode::OK);
    kata.delete(&path, json!({})).await.expect(StatusCode::NO_CONTENT);
    by_token.get("/api/members").await.expect_problem(404, "not_found");
    b.finish().await;
    a.finish().await;
}
