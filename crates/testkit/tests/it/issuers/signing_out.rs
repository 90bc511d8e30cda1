//! Tokens end with the session that they stand for, whatever they say of themselves.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};
use testkit::Client;

use super::{link, linked, me, token, with_issuer};

async fn sessions(of: &Client) -> Vec<Value> {
    of.get("/api/sessions").await.expect(StatusCode::OK).at("/data").as_array().cloned().expect("sessions")
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_tokens_until_then_on_every_node_and_a_fresh_one_begins_anew() {
    let a = with_issuer("").await;
    let b = a.second_node().await;
    let kata = linked(&a, "kata").await;
    for way in ["the token's own logout", "its session", "all others", "a new password"] {
        a.advance(TimeDelta::seconds(2)).await;
        let (mine, unused) = (token(&a, "kata"), token(&a, "kata"));
        let by_token = kata.presenting(&mine);
        by_token.get("/api/me").await.expect(StatusCode::OK);
        by_token.on(&b).get("/api/me").await.expect(StatusCode::OK);
        let open = sessions(&kata).await;
        let of_token: Vec<_> = open.iter().filter(|one| one["device"] == "A token of Posta").collect();
        assert_eq!(of_token.len(), 1, "{way}: all tokens are one session: {open:?}");
        match way {
            "the token's own logout" => by_token.post("/api/logout", json!({})).await.expect(StatusCode::NO_CONTENT),
            "its session" => {
                let path = format!("/api/sessions/{}", of_token[0]["id"].as_str().expect("an id"));
                kata.delete(&path, json!({})).await.expect(StatusCode::NO_CONTENT)
            }
            "all others" => kata.post("/api/sessions/end-others", json!({})).await.expect(StatusCode::OK),
            _ => {
                a.nobody()
                    .post("/api/password-reset", json!({ "email": kata.email }))
                    .await
                    .expect(StatusCode::ACCEPTED);
                let link = async || {
                    let mails = a.sandbox().mailbox().to(&kata.email);
                    mails.iter().find_map(|mail| mail.link()?.split_once("#reset=").map(|(_, token)| token.to_owned()))
                };
                a.eventually("the link arrives", || async { link().await.is_some() }).await;
                let form = json!({ "token": link().await, "password": "a new pass phrase" });
                a.nobody().post("/api/password-reset/confirm", form).await.expect(StatusCode::NO_CONTENT)
            }
        };
        for ended in [&mine, &unused] {
            for node in [&a, &b] {
                let answer = me(node, ended).await.expect_problem(401, "unauthenticated");
                assert!(answer.at("/detail").as_str().is_some_and(|detail| detail.contains("signed out")), "{way}");
            }
        }
        a.advance(TimeDelta::seconds(2)).await;
        me(&b, &token(&a, "kata")).await.expect(StatusCode::OK);
        me(&b, &mine).await.expect_problem(401, "unauthenticated");
    }
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_were_never_used_here_end_as_well() {
    let a = with_issuer("").await;
    let b = a.second_node().await;
    let kata = linked(&a, "kata").await;
    let unused = token(&a, "kata");
    kata.post("/api/sessions/end-others", json!({})).await.expect(StatusCode::OK);
    for node in [&a, &b] {
        let answer = me(node, &unused).await.expect_problem(401, "unauthenticated");
        assert!(answer.at("/detail").as_str().is_some_and(|detail| detail.contains("signed out")));
    }
    a.advance(TimeDelta::seconds(2)).await;
    // Whoever came by a token stays, with all that stand for the same session.
    let (mine, other) = (token(&a, "kata"), token(&a, "kata"));
    kata.presenting(&mine).post("/api/sessions/end-others", json!({})).await.expect(StatusCode::OK);
    kata.get("/api/me").await.expect_problem(401, "unauthenticated");
    me(&a, &mine).await.expect(StatusCode::OK);
    me(&b, &other).await.expect(StatusCode::OK);

    // What was linked, and never used, is not linked again by a token from before.
    let bela = a.sign_up("Béla").await;
    let before = token(&a, "bela");
    let linked = link(&bela, &before).await.expect(StatusCode::OK);
    let path = format!("/api/identities/{}", linked.at("/id").as_str().expect("an id"));
    bela.delete(&path, json!({})).await.expect(StatusCode::NO_CONTENT);
    link(&bela, &before).await.expect_problem(400, "invalid_request");
    a.advance(TimeDelta::seconds(2)).await;
    link(&bela, &token(&a, "bela")).await.expect(StatusCode::OK);
    me(&b, &before).await.expect_problem(401, "unauthenticated");
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuers_clock_may_be_ahead_when_somebody_signs_out() {
    let app = with_issuer("").await;
    let kata = linked(&app, "kata").await;
    let ahead = app.sandbox().issuer().claims(json!({}))["iat"].as_i64().expect("a time") + 45;
    let early = app.sandbox().issuer().token(json!({ "sub": "kata", "iat": ahead }));
    kata.presenting(&early).get("/api/me").await.expect(StatusCode::OK);
    kata.presenting(&early).post("/api/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    me(&app, &early).await.expect_problem(401, "unauthenticated");
    // Also when a later one has begun a session.
    app.advance(TimeDelta::seconds(50)).await;
    me(&app, &token(&app, "kata")).await.expect(StatusCode::OK);
    me(&app, &early).await.expect_problem(401, "unauthenticated");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_when_it_ends_and_what_goes_on_for_long_ends_with_it() {
    let app = with_issuer("").await;
    let kata = linked(&app, "kata").await;
    let token = token(&app, "kata");
    let by_token = kata.presenting(&token);
    let request = axum::http::Request::get("/api/integrations/events/stream")
        .header("authorization", format!("Bearer {token}"))
        .body(axum::body::Body::empty())
        .expect("a request");
    let stream = by_token.open(request).await;
    assert_eq!(stream.status(), StatusCode::OK);
    by_token.post("/api/logout", json!({})).await.expect(StatusCode::NO_CONTENT);
    let body =
        tokio::time::timeout(std::time::Duration::from_secs(8), axum::body::to_bytes(stream.into_body(), 1 << 20));
    let body = body.await.expect("the stream ends").expect("its text");
    assert!(String::from_utf8_lossy(&body).contains("closed"), "{body:?}");

    app.advance(TimeDelta::seconds(2)).await;
    let token = super::token(&app, "kata");
    me(&app, &token).await.expect(StatusCode::OK);
    app.advance(TimeDelta::minutes(60)).await;
    me(&app, &token).await.expect(StatusCode::OK);
    app.advance(TimeDelta::minutes(1)).await;
    me(&app, &token).await.expect_problem(401, "unauthenticated");
    app.finish().await;
}
