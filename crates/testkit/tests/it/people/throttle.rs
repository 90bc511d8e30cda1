use std::time::{Duration, Instant};

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::json;
use testkit::{Answer, Client, TestApp};

use super::{fresh_address, log_in, token};

fn wait_of(answer: &Answer) -> u64 {
    answer.header("retry-after").parse().expect("Retry-After")
}

/// The cookie by which a browser is known, as it sends it back.
fn device(answer: &Answer) -> String {
    let mut cookies = answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    let device = cookies.find(|cookie| cookie.starts_with("__Host-entrepot_device=")).expect("a device");
    device.split(';').next().unwrap_or_default().to_owned()
}

async fn guess(at: &Client, email: &str) -> Answer {
    log_in(at, email, "a wrong password").await
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_wait_longer_and_longer_on_all_nodes_together_for_accounts_that_are_there_and_that_are_not() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    // Kata's address last: what she waits for afterwards is still to come.
    for email in [fresh_address(), kata.email.clone()] {
        for node in [&a, &b, &a, &b, &a, &b] {
            guess(&node.nobody(), &email).await.expect_problem(401, "invalid_credentials");
        }
        let mut waits = vec![];
        for node in [&a, &b, &a, &b] {
            let refused = guess(&node.nobody(), &email).await.expect_problem(429, "login_throttled");
            waits.push(wait_of(&refused));
            a.advance(TimeDelta::seconds(i64::try_from(wait_of(&refused)).expect("seconds"))).await;
            guess(&node.nobody(), &email).await.expect_problem(401, "invalid_credentials");
        }
        assert_eq!(waits, [1, 2, 4, 8], "{email}");
        // Too early is not counted: the wait does not grow with the hammering.
        for _ in 0..5 {
            let refused = guess(&a.nobody(), &email).await.expect_problem(429, "login_throttled");
            assert!(wait_of(&refused) <= 16);
        }
    }
    // The right password has to wait as well, and then begins anew.
    log_in(&b.nobody(), &kata.email, &kata.password).await.expect_problem(429, "login_throttled");
    a.advance(TimeDelta::seconds(17)).await;
    log_in(&b.nobody(), &kata.email, &kata.password).await.expect(StatusCode::OK);
    for _ in 0..5 {
        guess(&a.nobody(), &kata.email).await.expect_problem(401, "invalid_credentials");
    }
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_guesses_at_once_are_as_many_guesses() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let nobody = app.nobody();
    let guesses = (0..20).map(|_| guess(&nobody, &kata.email));
    let answers = futures::future::join_all(guesses).await;
    let looked_at = answers.iter().filter(|answer| answer.status == StatusCode::UNAUTHORIZED).count();
    assert!((5..=7).contains(&looked_at), "{looked_at} passwords were looked at");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_is_known_passes_while_others_guess() {
    let app = TestApp::start().await;
    let (kata, bela) = (app.sign_up("Kata").await, app.sign_up("Béla").await);
    let known = device(&log_in(&app.nobody(), &kata.email, &kata.password).await.expect(StatusCode::OK));
    let others = device(&log_in(&app.nobody(), &bela.email, &bela.password).await.expect(StatusCode::OK));
    for _ in 0..6 {
        guess(&app.nobody(), &kata.email).await.expect_problem(401, "invalid_credentials");
    }
    for cookie in [others.as_str(), "__Host-entrepot_device=made-up"] {
        let stranger = app.nobody().with_header("cookie", cookie);
        log_in(&stranger, &kata.email, &kata.password).await.expect_problem(429, "login_throttled");
    }
    let browser = app.nobody().with_header("cookie", &known);
    log_in(&browser, &kata.email, &kata.password).await.expect(StatusCode::OK);
    // A browser that was stolen is slowed down by itself.
    for _ in 0..11 {
        guess(&browser, &kata.email).await.expect_problem(401, "invalid_credentials");
    }
    guess(&browser, &kata.email).await.expect_problem(429, "login_throttled");
    // Whoever reads the mail gets in: a new password ends the wait.
    let form = json!({ "email": kata.email });
    app.nobody().post("/api/password-reset", form).await.expect(StatusCode::ACCEPTED);
    let link = token(&app, &kata.email, "reset", 1).await;
    let form = json!({ "token": link, "password": "another pass phrase" });
    app.nobody().post("/api/password-reset/confirm", form).await.expect(StatusCode::NO_CONTENT);
    log_in(&app.nobody(), &kata.email, "another pass phrase").await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_address_takes_as_long_as_a_wrong_password() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    // The shortest of several: whatever else the machine does makes a guess longer, and none shorter.
    let mut shortest = [Duration::MAX; 2];
    // Once beforehand: what an unknown address is checked against is made then.
    guess(&app.nobody(), &fresh_address()).await;
    for _ in 0..5 {
        for (which, email) in [kata.email.clone(), fresh_address()].into_iter().enumerate() {
            let began = Instant::now();
            guess(&app.nobody(), &email).await.expect_problem(401, "invalid_credentials");
            shortest[which] = shortest[which].min(began.elapsed());
        }
    }
    let [known, unknown] = shortest;
    assert!(known.max(unknown) < known.min(unknown) * 2, "{known:?} and {unknown:?}");
    app.finish().await;
}

async fn sign_up(at: &Client, email: &str) -> Answer {
    let form = json!({ "name": "Somebody", "email": email, "password": "a pass phrase of theirs", "organization_name": "Some" });
    at.post("/api/sign-up", form).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signs_up_with_what_has_an_account_waits_and_its_owner_is_told() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let told = || {
        let mails = app.sandbox().mailbox().to(&kata.email);
        mails.iter().filter(|mail| mail.subject == "You have an account at Entrepot already").count()
    };
    for _ in 0..4 {
        sign_up(&app.nobody(), &kata.email).await.expect_problem(409, "conflict");
    }
    let refused = sign_up(&app.nobody(), &kata.email).await.expect_problem(429, "login_throttled");
    assert_eq!(wait_of(&refused), 1);
    app.eventually("the owner is told", || async { told() == 4 }).await;
    // Signing in is something else, and a new address is nobody's guess.
    log_in(&app.nobody(), &kata.email, &kata.password).await.expect(StatusCode::OK);
    sign_up(&app.nobody(), &fresh_address()).await.expect(StatusCode::CREATED);

    // Who asks for many addresses from one network waits for the next, whatever it is; who makes accounts does not.
    let network = app.nobody().with_header("x-forwarded-for", "203.0.113.7");
    for _ in 0..25 {
        sign_up(&network, &fresh_address()).await.expect(StatusCode::CREATED);
    }
    let mut known = vec![];
    for number in 0..21 {
        known.push(app.sign_up(&format!("Known{number}")).await.email);
    }
    for email in &known {
        sign_up(&network, email).await.expect_problem(409, "conflict");
    }
    for email in [known[0].clone(), fresh_address()] {
        sign_up(&network, &email).await.expect_problem(429, "login_throttled");
    }
    sign_up(&app.nobody().with_header("x-forwarded-for", "198.51.100.7"), &fresh_address())
        .await
        .expect(StatusCode::CREATED);
    app.finish().await;
}
