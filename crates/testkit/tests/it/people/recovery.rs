use std::time::{Duration, Instant};

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::json;
use testkit::{Answer, Client, TestApp};

use super::{PASSWORD, fresh_address, log_in, token};

async fn ask(at: &Client, email: &str) -> Answer {
    at.post("/api/password-reset", json!({ "email": email })).await
}

async fn reset(at: &Client, token: &str) -> Answer {
    at.post("/api/password-reset/confirm", json!({ "token": token, "password": PASSWORD })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_password_is_replaced_once_and_ends_every_session() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up_unconfirmed("Kata").await;
    // The first mail asks to confirm the address.
    token(&a, &kata.email, "verify", 1).await;
    ask(&b.nobody(), &format!(" {} ", kata.email.to_uppercase())).await.expect(StatusCode::ACCEPTED);
    let first = token(&a, &kata.email, "reset", 1).await;
    ask(&a.nobody(), &kata.email).await.expect(StatusCode::ACCEPTED);
    let second = token(&a, &kata.email, "reset", 2).await;
    reset(&a.nobody(), &first).await.expect_problem(410, "link_invalid");
    let weak = json!({ "token": second, "password": "short" });
    a.nobody().post("/api/password-reset/confirm", weak).await.expect_problem(400, "invalid_request");
    let (at_a, at_b) = (a.nobody(), b.nobody());
    let (one, other) = tokio::join!(reset(&at_a, &second), reset(&at_b, &second));
    let mut answers = [one.status.as_u16(), other.status.as_u16()];
    answers.sort_unstable();
    assert_eq!(answers, [204, 410]);
    kata.at(&b).get("/api/me").await.expect_problem(401, "unauthenticated");
    log_in(&a.nobody(), &kata.email, &kata.password).await.expect_problem(401, "invalid_credentials");
    let back = log_in(&b.nobody(), &kata.email, PASSWORD).await.expect(StatusCode::OK);
    let kata = kata.presenting(back.at("/session_token").as_str().expect("a session"));
    assert_eq!(kata.get("/api/me").await.at("/user/email_verified"), true);
    let told = a.mail(&back_email(&kata).await, 4).await;
    assert!(told.subject.contains("was changed") && told.link().is_none(), "{}", told.text);
    b.finish().await;
    a.finish().await;
}

async fn back_email(client: &Client) -> String {
    client.get("/api/me").await.at("/user/email").as_str().expect("an address").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_who_has_an_account_by_asking_for_a_new_password() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let mut took: [Vec<Duration>; 2] = [vec![], vec![]];
    for round in 0..5 {
        for (which, email) in [kata.email.clone(), fresh_address()].into_iter().enumerate() {
            let began = Instant::now();
            let answer = ask(&app.nobody(), &email).await.expect(StatusCode::ACCEPTED);
            took[which].push(began.elapsed());
            assert!(answer.body.is_empty(), "round {round}: {}", answer.short());
        }
    }
    for times in &mut took {
        times.sort_unstable();
    }
    let [known, unknown] = took.map(|times| times[2]);
    let apart = known.abs_diff(unknown);
    assert!(known >= Duration::from_millis(390) && apart < Duration::from_millis(60), "{known:?} and {unknown:?}");
    // And nobody floods a mailbox: three at once are enough.
    app.eventually("the mails have left", || async {
        app.sandbox().mailbox().to(&kata.email).iter().filter(|mail| mail.subject.contains("new password")).count() >= 3
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mails = app.sandbox().mailbox().to(&kata.email);
    let resets = mails.iter().filter(|mail| mail.subject.contains("new password")).count();
    assert!((3..=4).contains(&resets), "{resets}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_a_new_password_works_for_an_hour_and_for_nothing_else() {
    let app = TestApp::start().await;
    let kata = app.sign_up_unconfirmed("Kata").await;
    let verify = token(&app, &kata.email, "verify", 1).await;
    reset(&app.nobody(), &verify).await.expect_problem(410, "link_invalid");
    ask(&app.nobody(), &kata.email).await.expect(StatusCode::ACCEPTED);
    let link = token(&app, &kata.email, "reset", 1).await;
    let confirm = json!({ "token": link });
    app.nobody().post("/api/email-verification/confirm", confirm).await.expect_problem(410, "link_invalid");
    app.advance(TimeDelta::minutes(61)).await;
    reset(&app.nobody(), &link).await.expect_problem(410, "link_invalid");
    reset(&app.nobody(), "entrepot_link_none").await.expect_problem(410, "link_invalid");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_confirmed_once_within_a_day_and_mails_are_sent_with_measure() {
    let app = TestApp::start().await;
    let kata = app.sign_up_unconfirmed("Kata").await;
    assert_eq!(kata.get("/api/me").await.at("/user/email_verified"), false);
    let first = token(&app, &kata.email, "verify", 1).await;
    kata.post("/api/email-verification", json!({})).await.expect_problem(429, "rate_limited");
    app.advance(TimeDelta::minutes(2)).await;
    kata.post("/api/email-verification", json!({})).await.expect(StatusCode::ACCEPTED);
    let second = token(&app, &kata.email, "verify", 2).await;
    let confirm =
        async |token: &str| app.nobody().post("/api/email-verification/confirm", json!({ "token": token })).await;
    confirm(&first).await.expect_problem(410, "link_invalid");
    app.advance(TimeDelta::hours(25)).await;
    confirm(&second).await.expect_problem(410, "link_invalid");
    for number in 3..8 {
        kata.post("/api/email-verification", json!({})).await.expect(StatusCode::ACCEPTED);
        token(&app, &kata.email, "verify", number).await;
        app.advance(TimeDelta::minutes(2)).await;
    }
    let enough = kata.post("/api/email-verification", json!({})).await.expect_problem(429, "rate_limited");
    assert!(enough.header("retry-after").parse::<u64>().is_ok_and(|wait| wait > 3_600), "not today");
    let last = token(&app, &kata.email, "verify", 7).await;
    confirm(&last).await.expect(StatusCode::NO_CONTENT);
    confirm(&last).await.expect_problem(410, "link_invalid");
    assert_eq!(kata.get("/api/me").await.at("/user/email_verified"), true);
    kata.post("/api/email-verification", json!({})).await.expect_problem(409, "conflict");
    app.finish().await;
}
