//! Authenticator apps, recovery codes, and signing in by two steps.

use axum::http::StatusCode;
use chrono::TimeDelta;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use testkit::{Answer, Client, Member, TestApp};

use super::{PASSWORD, log_in, token};

/// An authenticator app of ours, which reads what other apps read.
pub(crate) struct Authenticator {
    secret: Vec<u8>,
    clock: kernel::Clock,
}

impl Authenticator {
    /// The code of the time step so many after this one.
    pub(crate) fn code(&self, steps_ahead: i64) -> String {
        let step = self.clock.now().timestamp().div_euclid(30) + steps_ahead;
        let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(&self.secret).expect("any length");
        mac.update(&step.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        let offset = usize::from(digest[19] & 0x0f);
        let word: [u8; 4] = digest[offset..offset + 4].try_into().expect("four bytes");
        format!("{:06}", (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000)
    }

    /// What its person could have typed.
    pub(crate) fn base32(&self) -> String {
        data_encoding::BASE32_NOPAD.encode(&self.secret)
    }

    /// Waits until the codes that were used are those of an earlier step.
    pub(crate) async fn next_step(&self, app: &TestApp) {
        app.advance(TimeDelta::seconds(60)).await;
    }
}

/// Begins to set up an app.
pub(crate) async fn begin(app: &TestApp, person: &Client) -> Authenticator {
    let enrolment = person.post("/api/factors/totp", Value::Null).await.expect(StatusCode::OK);
    assert_eq!(enrolment.header("cache-control"), "no-store");
    let (secret, address) = (enrolment.at("/secret"), enrolment.at("/otpauth_url"));
    let (secret, address) = (secret.as_str().expect("a secret"), address.as_str().expect("an address"));
    assert!(
        address.starts_with("otpauth://totp/Entrepot:")
            && address.contains(&format!("secret={secret}&issuer=Entrepot"))
    );
    assert!(enrolment.at("/qr_code/path").as_str().is_some_and(|path| path.starts_with('M')));
    let secret = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).expect("base32");
    Authenticator { secret, clock: app.clock().clone() }
}

/// Sets up an app; with its recovery codes.
pub(crate) async fn enrol(app: &TestApp, person: &Client) -> (Authenticator, Vec<String>) {
    let authenticator = begin(app, person).await;
    let confirmed = person.post("/api/factors/totp/confirm", json!({ "code": authenticator.code(0) })).await;
    let confirmed = confirmed.expect(StatusCode::OK).at("/recovery_codes");
    let codes = confirmed.as_array().into_iter().flatten();
    (authenticator, codes.map(|code| code.as_str().expect("a code").to_owned()).collect())
}

/// The first step of signing in, which a second has to follow.
pub(crate) async fn first_step(at: &Client, person: &Member) -> Answer {
    let pending = log_in(at, &person.email, &person.password).await.expect(StatusCode::ACCEPTED);
    assert_eq!(pending.header("set-cookie"), "", "it is no session");
    pending
}

pub(crate) async fn second_step(at: &Client, pending: &Answer, proof: Value) -> Answer {
    let mut form = proof;
    form["pending_login"] = pending.at("/pending_login");
    at.post("/api/login/second-factor", form).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_counts_from_its_first_code_and_its_secret_is_nowhere() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let first = begin(&app, &kata).await;
    log_in(&app.nobody(), &kata.email, &kata.password).await.expect(StatusCode::OK);
    kata.post("/api/factors/totp/confirm", json!({ "code": first.code(3) }))
        .await
        .expect_problem(403, "factor_refused");
    // Only the app that was begun last, in the session that began it, within a quarter of an hour.
    let second = begin(&app, &kata).await;
    kata.post("/api/factors/totp/confirm", json!({ "code": first.code(0) }))
        .await
        .expect_problem(403, "factor_refused");
    let elsewhere = log_in(&app.nobody(), &kata.email, &kata.password).await.at("/session_token");
    let elsewhere = kata.presenting(elsewhere.as_str().expect("a session"));
    let code = json!({ "code": second.code(0) });
    elsewhere.post("/api/factors/totp/confirm", code).await.expect_problem(410, "challenge_invalid");
    app.advance(TimeDelta::minutes(16)).await;
    let code = json!({ "code": second.code(0) });
    kata.post("/api/factors/totp/confirm", code).await.expect_problem(410, "challenge_invalid");
    // The proof of signing up is older than ten minutes by now.
    kata.post("/api/factors/totp", Value::Null).await.expect_problem(403, "step_up_required");
    let proof = json!({ "password": kata.password });
    kata.post("/api/sessions/current/proof", proof).await.expect(StatusCode::OK);
    let (third, codes) = enrol(&app, &kata).await;
    assert_eq!(codes.len(), 10);
    let factors = kata.get("/api/factors").await.expect(StatusCode::OK);
    assert!(factors.at("/totp_since").is_string() && factors.at("/recovery_codes_left") == 10);

    let stored: Vec<u8> = sqlx::query_scalar("select sealed_secret from login_totps where confirmed_at is not null")
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a row");
    assert!(!stored.windows(third.secret.len()).any(|part| part == third.secret), "the secret is sealed");
    let mail = app.sandbox().mailbox();
    app.eventually("a mail tells of it", || async {
        mail.to(&kata.email).iter().any(|mail| mail.subject.contains("authenticator app was set up"))
    })
    .await;
    let audit = kata.get("/api/audit?limit=100").await.expect(StatusCode::OK).text();
    assert!(audit.contains("factor.add") && !audit.contains(&kata.email), "{audit}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_an_app_signs_in_by_two_steps_on_any_node_with_a_code_that_works_once() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let (authenticator, _) = enrol(&a, &kata).await;
    authenticator.next_step(&a).await;
    let pending = first_step(&a.nobody(), &kata).await;
    assert_eq!(pending.at("/factors"), json!(["totp", "recovery_code"]));
    assert!(pending.at("/passkey_options").is_null() && pending.at("/session_token").is_null());
    // It opens nothing.
    let held = pending.at("/pending_login");
    kata.presenting(held.as_str().expect("a login")).get("/api/me").await.expect_problem(401, "unauthenticated");
    for wrong in [authenticator.code(2), authenticator.code(-2), "000000x".to_owned()] {
        let answer = second_step(&a.nobody(), &pending, json!({ "totp_code": wrong })).await;
        answer.expect_problem(403, "factor_refused");
    }
    let code = json!({ "totp_code": authenticator.code(0) });
    let opened = second_step(&b.nobody(), &pending, code.clone()).await.expect(StatusCode::OK);
    let session = kata.presenting(opened.at("/session_token").as_str().expect("a session"));
    session.get("/api/me").await.expect(StatusCode::OK);
    assert_eq!(session.get("/api/sessions").await.at("/data/0/proved_by"), "totp");

    // The same login is over, and the same code is used up, whichever node is asked.
    second_step(&a.nobody(), &pending, code.clone()).await.expect_problem(410, "challenge_invalid");
    let next = json!({ "totp_code": authenticator.code(1) });
    second_step(&a.nobody(), &pending, next.clone()).await.expect_problem(410, "challenge_invalid");
    let again = first_step(&b.nobody(), &kata).await;
    second_step(&a.nobody(), &again, code).await.expect_problem(403, "factor_refused");
    second_step(&a.nobody(), &again, next).await.expect(StatusCode::OK);
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_with_the_same_code_at_once_one_gets_in() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let (authenticator, _) = enrol(&a, &kata).await;
    authenticator.next_step(&a).await;
    let (one, other) = (first_step(&a.nobody(), &kata).await, first_step(&b.nobody(), &kata).await);
    let (at_a, at_b, code) = (a.nobody(), b.nobody(), json!({ "totp_code": authenticator.code(0) }));
    let (one, other) = tokio::join!(second_step(&at_a, &one, code.clone()), second_step(&at_b, &other, code));
    let mut answers = [one.status.as_u16(), other.status.as_u16()];
    answers.sort_unstable();
    assert_eq!(answers, [200, 403]);
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_login_is_one_persons_runs_out_and_ends_with_its_password() {
    let app = TestApp::start().await;
    let (kata, other) = (app.sign_up("Kata").await, app.sign_up("Other").await);
    let (katas, _) = enrol(&app, &kata).await;
    let (others, _) = enrol(&app, &other).await;
    katas.next_step(&app).await;
    let pending = first_step(&app.nobody(), &kata).await;
    let code = json!({ "totp_code": others.code(0) });
    second_step(&app.nobody(), &pending, code).await.expect_problem(403, "factor_refused");
    let password = json!({ "password": kata.password });
    second_step(&app.nobody(), &pending, password).await.expect_problem(400, "invalid_request");
    let mut forged = pending.json();
    forged["pending_login"] = json!(format!("{}A", pending.at("/pending_login").as_str().expect("a login")));
    let forged = Answer { body: forged.to_string().into_bytes(), ..first_step(&app.nobody(), &kata).await };
    let code = || json!({ "totp_code": katas.code(0) });
    second_step(&app.nobody(), &forged, code()).await.expect_problem(410, "challenge_invalid");
    app.advance(TimeDelta::minutes(5)).await;
    second_step(&app.nobody(), &pending, code()).await.expect_problem(410, "challenge_invalid");

    // A new password ends what the old one began, and takes no factor away.
    let pending = first_step(&app.nobody(), &kata).await;
    app.nobody().post("/api/password-reset", json!({ "email": kata.email })).await.expect(StatusCode::ACCEPTED);
    let link = token(&app, &kata.email, "reset", 1).await;
    let form = json!({ "token": link, "password": PASSWORD });
    app.nobody().post("/api/password-reset/confirm", form).await.expect(StatusCode::NO_CONTENT);
    second_step(&app.nobody(), &pending, code()).await.expect_problem(410, "challenge_invalid");
    let pending = log_in(&app.nobody(), &kata.email, PASSWORD).await.expect(StatusCode::ACCEPTED);
    second_step(&app.nobody(), &pending, code()).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_codes_is_slowed_down_and_a_right_one_is_refused_meanwhile() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let (authenticator, codes) = enrol(&a, &kata).await;
    authenticator.next_step(&a).await;
    let pending = first_step(&a.nobody(), &kata).await;
    let mut looked_at = 0;
    let mut wait = 0;
    // Until the wait is longer than this test takes.
    while wait < 60 {
        a.advance(TimeDelta::seconds(wait)).await;
        let at = if looked_at % 2 == 0 { a.nobody() } else { b.nobody() };
        let answer = second_step(&at, &pending, json!({ "totp_code": "abcdef" })).await;
        if answer.status == StatusCode::FORBIDDEN {
            looked_at += 1;
            continue;
        }
        wait = answer.expect_problem(429, "login_throttled").header("retry-after").parse().expect("seconds");
    }
    assert!((6..20).contains(&looked_at), "{looked_at} were looked at");
    for right in [json!({ "totp_code": authenticator.code(0) }), json!({ "recovery_code": codes[0] })] {
        second_step(&b.nobody(), &pending, right).await.expect_problem(429, "login_throttled");
    }
    // After the wait the right code is taken.
    a.advance(TimeDelta::minutes(16)).await;
    let pending = first_step(&a.nobody(), &kata).await;
    let code = json!({ "totp_code": authenticator.code(0) });
    second_step(&a.nobody(), &pending, code).await.expect(StatusCode::OK);
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_code_works_once_is_told_of_and_ends_with_new_ones() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let (kata, other) = (a.sign_up("Kata").await, a.sign_up("Other").await);
    let (_, codes) = enrol(&a, &kata).await;
    let (_, of_other) = enrol(&a, &other).await;
    let stored: Vec<Vec<u8>> = sqlx::query_scalar("select code_hash from login_recovery_codes")
        .fetch_all(&mut a.superuser().await)
        .await
        .expect("rows");
    assert!(stored.len() == 20 && stored.iter().all(|hash| hash.len() == 32));

    let pending = first_step(&a.nobody(), &kata).await;
    let wrong = json!({ "recovery_code": of_other[0] });
    second_step(&a.nobody(), &pending, wrong).await.expect_problem(403, "factor_refused");
    // As people write it down.
    let written = json!({ "recovery_code": codes[0].to_uppercase().replace('-', " ") });
    let opened = second_step(&a.nobody(), &pending, written).await.expect(StatusCode::OK);
    let session = kata.presenting(opened.at("/session_token").as_str().expect("a session"));
    assert_eq!(session.get("/api/factors").await.at("/recovery_codes_left"), 9);
    let pending = first_step(&b.nobody(), &kata).await;
    let used = json!({ "recovery_code": codes[0] });
    second_step(&b.nobody(), &pending, used).await.expect_problem(403, "factor_refused");
    let mail = a.sandbox().mailbox();
    a.eventually("a mail tells of it", || async {
        mail.to(&kata.email)
            .iter()
            .any(|mail| mail.subject.contains("recovery code") && mail.text.contains("9 are left"))
    })
    .await;

    let new =
        session.post("/api/factors/recovery-codes", Value::Null).await.expect(StatusCode::OK).at("/recovery_codes");
    let old = json!({ "recovery_code": codes[1] });
    second_step(&b.nobody(), &pending, old).await.expect_problem(403, "factor_refused");
    second_step(&b.nobody(), &pending, json!({ "recovery_code": new[1] })).await.expect(StatusCode::OK);
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_the_app_needs_its_proof_ends_other_sessions_and_takes_the_codes_along() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let (authenticator, codes) = enrol(&a, &kata).await;
    authenticator.next_step(&a).await;
    let pending = first_step(&a.nobody(), &kata).await;
    let code = json!({ "totp_code": authenticator.code(0) });
    let opened = second_step(&a.nobody(), &pending, code).await.expect(StatusCode::OK);
    let elsewhere = kata.presenting(opened.at("/session_token").as_str().expect("a session")).on(&b);
    elsewhere.get("/api/me").await.expect(StatusCode::OK);

    a.advance(TimeDelta::minutes(11)).await;
    let refused = kata.delete("/api/factors/totp", Value::Null).await.expect_problem(403, "step_up_required");
    assert_eq!(refused.at("/factors"), json!(["totp", "recovery_code"]));
    let password = json!({ "password": kata.password });
    kata.post("/api/sessions/current/proof", password).await.expect_problem(403, "factor_refused");
    kata.delete("/api/factors/totp", Value::Null).await.expect_problem(403, "step_up_required");
    let proof = kata.post("/api/sessions/current/proof", json!({ "recovery_code": codes[0] })).await;
    assert_eq!(proof.expect(StatusCode::OK).at("/proved_by"), "recovery_code");
    kata.delete("/api/factors/totp", Value::Null).await.expect(StatusCode::NO_CONTENT);
    a.within_a_second("other sessions end", || async { elsewhere.get("/api/me").await.status == 401 }).await;
    kata.get("/api/me").await.expect(StatusCode::OK);
    log_in(&a.nobody(), &kata.email, &kata.password).await.expect(StatusCode::OK);
    let factors = kata.get("/api/factors").await.expect(StatusCode::OK);
    assert!(factors.at("/totp_since").is_null() && factors.at("/recovery_codes_left") == 0);
    kata.post("/api/factors/recovery-codes", Value::Null).await.expect_problem(409, "conflict");
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_in_one_login_holds_up_no_other_and_no_session() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let (authenticator, _) = enrol(&a, &kata).await;
    authenticator.next_step(&a).await;
    let (guessed, own) = (first_step(&a.nobody(), &kata).await, first_step(&b.nobody(), &kata).await);
    let mut wait = 0;
    while wait < 60 {
        a.advance(TimeDelta::seconds(wait)).await;
        let answer = second_step(&a.nobody(), &guessed, json!({ "totp_code": "abcdef" })).await;
        if answer.status != StatusCode::FORBIDDEN {
            wait = answer.expect_problem(429, "login_throttled").header("retry-after").parse().expect("seconds");
        }
    }
    let code = json!({ "totp_code": authenticator.code(0) });
    second_step(&b.nobody(), &guessed, code.clone()).await.expect_problem(429, "login_throttled");
    second_step(&b.nobody(), &own, code).await.expect(StatusCode::OK);
    authenticator.next_step(&a).await;
    let code = json!({ "totp_code": authenticator.code(0) });
    kata.post("/api/sessions/current/proof", code).await.expect(StatusCode::OK);
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_logins_are_not_as_many_guesses_and_what_nobody_guesses_still_opens() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let (authenticator, codes) = enrol(&a, &kata).await;
    authenticator.next_step(&a).await;
    let mut looked_at = 0;
    'logins: for login in 0..20 {
        let at = if login % 2 == 0 { a.nobody() } else { b.nobody() };
        let pending = first_step(&at, &kata).await;
        for _ in 0..5 {
            let answer = second_step(&at, &pending, json!({ "totp_code": "abcdef" })).await;
            if answer.status != StatusCode::FORBIDDEN {
                answer.expect_problem(429, "login_throttled");
                break 'logins;
            }
            looked_at += 1;
        }
    }
    assert!((50..60).contains(&looked_at), "{looked_at} were looked at");
    let pending = first_step(&b.nobody(), &kata).await;
    let code = json!({ "totp_code": authenticator.code(0) });
    second_step(&b.nobody(), &pending, code.clone()).await.expect_problem(429, "login_throttled");
    kata.post("/api/sessions/current/proof", code).await.expect(StatusCode::OK);
    second_step(&b.nobody(), &pending, json!({ "recovery_code": codes[0] })).await.expect(StatusCode::OK);
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_over_is_told_so_and_counted_for_nobody() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (authenticator, _) = enrol(&app, &kata).await;
    authenticator.next_step(&app).await;
    let pending = first_step(&app.nobody(), &kata).await;
    let code = json!({ "totp_code": authenticator.code(0) });
    second_step(&app.nobody(), &pending, code).await.expect(StatusCode::OK);
    let counted = async || -> i64 {
        let count = sqlx::query_scalar("select coalesce(sum(failures), 0)::bigint from login_attempts");
        count.fetch_one(&mut app.superuser().await).await.expect("a count")
    };
    let before = counted().await;
    for _ in 0..8 {
        let guess = json!({ "totp_code": "abcdef" });
        second_step(&app.nobody(), &pending, guess).await.expect_problem(410, "challenge_invalid");
    }
    assert_eq!(counted().await, before);
    app.finish().await;
}
