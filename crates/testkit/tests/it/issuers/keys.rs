//! Keys that change, and an issuer that is away.

use axum::http::StatusCode;
use chrono::TimeDelta;
use sandbox::{
    faults::{Fault, Rule},
    oidc::Algorithm,
};
use serde_json::json;
use testkit::TestApp;

use super::{linked, me, token, with_issuer};

fn fetches(app: &TestApp) -> u64 {
    app.sandbox().issuer().calls().count_of("jwks.json")
}

/// A token with a key that nobody has.
fn of_unknown_key(app: &TestApp) -> String {
    let issuer = app.sandbox().issuer();
    issuer.sign(json!({ "kid": kernel::random::token() }), &issuer.claims(json!({ "sub": "kata" })))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_found_at_once_and_a_withdrawn_one_is_forgotten_within_minutes() {
    let a = with_issuer("").await;
    let b = a.second_node().await;
    linked(&a, "kata").await;
    let issuer = a.sandbox().issuer();
    let old = token(&a, "kata");
    for node in [&a, &b] {
        me(node, &old).await.expect(StatusCode::OK);
    }
    assert_eq!(fetches(&a), 2, "each node asks once");
    issuer.rotate(Algorithm::Rs256);
    a.advance(TimeDelta::seconds(31)).await;
    for node in [&a, &b] {
        me(node, &token(&a, "kata")).await.expect(StatusCode::OK);
        me(node, &old).await.expect(StatusCode::OK);
    }
    assert_eq!(fetches(&a), 4);
    issuer.withdraw_old_keys();
    me(&a, &old).await.expect(StatusCode::OK);
    // The first one who comes after ten minutes has them asked for; those who come then are refused.
    a.advance(TimeDelta::minutes(10)).await;
    me(&a, &old).await.expect(StatusCode::OK);
    a.eventually("the withdrawn key is forgotten", || async { me(&a, &old).await.status == StatusCode::UNAUTHORIZED })
        .await;
    me(&a, &token(&a, "kata")).await.expect(StatusCode::OK);
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_with_unknown_keys_make_nobody_ask_more_than_every_half_minute() {
    let app = with_issuer("").await;
    linked(&app, "kata").await;
    assert_eq!(fetches(&app), 1);
    let tokens: Vec<String> = (0..60).map(|_| of_unknown_key(&app)).collect();
    let flood = async || {
        let answers = futures::future::join_all(tokens.iter().map(|token| me(&app, token))).await;
        assert!(answers.iter().all(|answer| answer.status == StatusCode::UNAUTHORIZED));
    };
    flood().await;
    assert_eq!(fetches(&app), 1, "half a minute has not passed");
    for round in 2..4 {
        app.advance(TimeDelta::seconds(31)).await;
        flood().await;
        assert_eq!(fetches(&app), round, "once for all of them");
    }
    me(&app, &token(&app, "kata")).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn known_keys_go_on_for_a_day_when_the_issuer_is_away() {
    let app = with_issuer("").await;
    linked(&app, "kata").await;
    let issuer = app.sandbox().issuer();
    issuer.faults().inject(Fault::CutBeforeHeaders);
    for hours in [1, 10, 12] {
        app.advance(TimeDelta::hours(hours)).await;
        me(&app, &token(&app, "kata")).await.expect(StatusCode::OK);
    }
    // A key that may be a new one: nobody can say.
    app.advance(TimeDelta::seconds(31)).await;
    let answer = me(&app, &of_unknown_key(&app)).await.expect_problem(503, "issuer_unavailable");
    assert_eq!(answer.header("retry-after"), "5");
    app.advance(TimeDelta::hours(2)).await;
    me(&app, &token(&app, "kata")).await.expect_problem(503, "issuer_unavailable");
    // Sessions and keys need no issuer.
    let bela = app.sign_up("Béla").await;
    bela.get("/api/me").await.expect(StatusCode::OK);
    issuer.faults().clear();
    app.advance(TimeDelta::seconds(6)).await;
    me(&app, &token(&app, "kata")).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_an_issuer_answers_instead_of_its_keys_no_token_is_taken() {
    let app = with_issuer("").await;
    let kata = app.sign_up("Kata").await;
    let json = "application/json";
    let ok = StatusCode::OK;
    let document = |more: serde_json::Value| {
        let mut document = json!({ "issuer": sandbox::oidc::ISSUER, "jwks_uri": format!("{}/.well-known/jwks.json", sandbox::oidc::ISSUER) });
        for (name, value) in more.as_object().expect("members") {
            document[name] = value.clone();
        }
        document.to_string()
    };
    let redirect = |location: &'static str| {
        let headers = [("location", location)]
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        Fault::Answer { status: StatusCode::FOUND, headers: headers.into_iter().collect(), body: bytes::Bytes::new() }
    };
    let wrong: Vec<(&str, &str, Fault)> = vec![
        ("a refusal", "/openid-configuration", Fault::answer(StatusCode::NOT_FOUND, json, "{}")),
        ("a page", "/openid-configuration", Fault::html(ok, "Sign in")),
        ("a redirect", "/openid-configuration", redirect("https://evil.example/")),
        (
            "another issuer",
            "/openid-configuration",
            Fault::answer(ok, json, document(json!({ "issuer": "https://evil.example" }))),
        ),
        ("no issuer", "/openid-configuration", Fault::answer(ok, json, document(json!({ "issuer": null })))),
        (
            "keys by http",
            "/openid-configuration",
            Fault::answer(
                ok,
                json,
                document(json!({ "jwks_uri": "http://login.posta.example/auth/v1/.well-known/jwks.json" })),
            ),
        ),
        (
            "keys on this machine",
            "/openid-configuration",
            Fault::answer(ok, json, document(json!({ "jwks_uri": "https://127.0.0.1/keys" }))),
        ),
        (
            "keys in the cloud's metadata",
            "/openid-configuration",
            Fault::answer(ok, json, document(json!({ "jwks_uri": "https://169.254.169.254/latest" }))),
        ),
        (
            "keys in a file",
            "/openid-configuration",
            Fault::answer(ok, json, document(json!({ "jwks_uri": "file:///etc/passwd" }))),
        ),
        ("too much", "/openid-configuration", Fault::GiantField(300 << 10)),
        ("half of it", "/openid-configuration", Fault::CutHalfway),
        ("a failure", "/jwks.json", Fault::answer(StatusCode::INTERNAL_SERVER_ERROR, json, "{}")),
        ("no keys", "/jwks.json", Fault::answer(ok, json, r#"{"keys": []}"#)),
        (
            "a shared secret",
            "/jwks.json",
            Fault::answer(ok, json, r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"}]}"#),
        ),
        ("no key set", "/jwks.json", Fault::answer(ok, json, "[]")),
        ("no JSON", "/jwks.json", Fault::Truncate),
        ("a redirect of the keys", "/jwks.json", redirect("https://evil.example/keys")),
        ("too many keys", "/jwks.json", Fault::GiantField(300 << 10)),
        ("nothing at all", "/jwks.json", Fault::CutBeforeHeaders),
    ];
    for (what, path, fault) in wrong {
        let faults = app.sandbox().issuer().faults();
        faults.inject(Rule::from(fault).on(path));
        app.advance(TimeDelta::seconds(6)).await;
        let answer = super::link(&kata, &token(&app, "kata")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (503, "issuer_unavailable"),
            "{what}: {}",
            answer.short()
        );
        assert_eq!(me(&app, &token(&app, "kata")).await.status.as_u16(), 503, "{what}");
        faults.clear();
    }
    app.advance(TimeDelta::seconds(6)).await;
    super::link(&kata, &token(&app, "kata")).await.expect(ok);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_never_answers_keeps_nobody_for_long() {
    let app = with_issuer("").await;
    app.sandbox().issuer().faults().inject(Rule::from(Fault::Hang).on("/jwks.json"));
    let token = token(&app, "kata");
    let began = std::time::Instant::now();
    let answers = futures::future::join_all((0..20).map(|_| me(&app, &token))).await;
    assert!(answers.into_iter().all(|answer| answer.problem() == "issuer_unavailable"));
    assert!(began.elapsed() < std::time::Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(fetches(&app), 1, "all wait for the same answer");
    app.finish().await;
}
