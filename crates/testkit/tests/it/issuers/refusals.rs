//! Tokens that must not be taken. Each is the token of a person who is linked, but for one thing.

use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sandbox::oidc::{Algorithm, ISSUER, Simulator};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{linked, me, token, with_issuer};

const WHO: &str = "kata-at-posta";

/// A header and claims that nobody signed.
fn unsigned(header: &Value, claims: &Value) -> String {
    [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".")
}

/// Signed with a key that everybody knows, as if it were a shared secret.
fn with_shared_secret(issuer: &Simulator, key: &[u8]) -> String {
    let mut header = issuer.header();
    header["alg"] = json!("HS256");
    let message = unsigned(&header, &issuer.claims(json!({ "sub": WHO })));
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("any length");
    mac.update(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// The parts of a good token.
fn parts(issuer: &Simulator) -> [String; 3] {
    let token = issuer.token(json!({ "sub": WHO }));
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().expect("three parts")
}

/// What is not a token of the form that is signed at all, or is not signed by whom it says.
fn forged(issuer: &Simulator, other: &Simulator) -> Vec<(&'static str, String)> {
    let claims = issuer.claims(json!({ "sub": WHO }));
    let [header, body, signature] = parts(issuer);
    let key = issuer.key_set()["keys"][0].clone();
    let [x, y] =
        ["x", "y"].map(|name| URL_SAFE_NO_PAD.decode(key[name].as_str().expect("a coordinate")).expect("base64"));
    let none = |alg: &str| unsigned(&json!({ "alg": alg, "typ": "JWT" }), &claims);
    let mut flipped = URL_SAFE_NO_PAD.decode(&signature).expect("base64");
    flipped[40] ^= 1;
    let changed = URL_SAFE_NO_PAD.encode(issuer.claims(json!({ "sub": "somebody-else" })).to_string());
    let attackers = other.key_set()["keys"][0].clone();
    vec![
        ("alg none, unsigned", format!("{}.", none("none"))),
        ("alg none, with a signature", format!("{}.{signature}", none("none"))),
        ("alg None", format!("{}.AA", none("None"))),
        ("alg NONE with kid", format!("{}.AA", unsigned(&json!({ "alg": "NONE", "kid": key["kid"] }), &claims))),
        ("the public key as a shared secret, as published", with_shared_secret(issuer, key.to_string().as_bytes())),
        ("the public key as a shared secret, as a point", with_shared_secret(issuer, &[&[4], &x[..], &y[..]].concat())),
        ("the public key as a shared secret, one coordinate", with_shared_secret(issuer, &x)),
        ("an empty shared secret", with_shared_secret(issuer, b"")),
        ("another's key under the issuer's name", other.sign(json!({ "kid": key["kid"] }), &claims)),
        ("another's key under its own name", other.sign(json!({}), &claims)),
        ("another's key within the token", other.sign(json!({ "jwk": attackers.clone() }), &claims)),
        (
            "another's key within the token, and our name",
            other.sign(json!({ "jwk": attackers, "kid": key["kid"] }), &claims),
        ),
        (
            "another's key at an address in the token",
            other.sign(json!({ "jku": "https://evil.example/jwks.json", "x5u": "https://evil.example/x5" }), &claims),
        ),
        ("a signature with one bit changed", format!("{header}.{body}.{}", URL_SAFE_NO_PAD.encode(&flipped))),
        ("a signature that is cut", format!("{header}.{body}.{}", &signature[..80])),
        ("a signature of zeros", format!("{header}.{body}.{}", URL_SAFE_NO_PAD.encode([0; 64]))),
        ("no signature", format!("{header}.{body}.")),
        ("other claims under the signature", format!("{header}.{changed}.{signature}")),
        ("two parts", format!("{header}.{body}")),
        ("four parts", format!("{header}.{body}.{signature}.{signature}")),
        ("padding", format!("{header}.{body}.{signature}==")),
        ("bits that are left over", format!("{header}.{body}.{}_", &signature[..signature.len() - 1])),
        ("a space within", format!("{header}.{body} .{signature}")),
        ("an encrypted form of five parts", format!("{header}.{body}.{signature}.AA.AA")),
        ("a long one", issuer.token(json!({ "sub": WHO, "groups": "x".repeat(20_000) }))),
    ]
}

/// Signed by the issuer, with a header that must not be taken.
fn headers(issuer: &Simulator) -> Vec<(&'static str, String)> {
    let claims = issuer.claims(json!({ "sub": WHO }));
    let with = |header: Value| issuer.sign(header, &claims);
    let twice = issuer.header().to_string().replace("\"typ\"", "\"alg\":\"ES256\",\"typ\"");
    vec![
        ("no alg", with(json!({ "alg": null }))),
        ("alg of another kind", with(json!({ "alg": 7 }))),
        ("alg of another key", with(json!({ "alg": "RS256" }))),
        ("alg with another hash", with(json!({ "alg": "ES384" }))),
        ("alg that is not configured", with(json!({ "alg": "EdDSA" }))),
        ("alg in small letters", with(json!({ "alg": "es256" }))),
        ("alg twice", issuer.sign_text(&twice, &claims.to_string())),
        ("kid that is unknown", with(json!({ "kid": "unknown" }))),
        ("kid that is empty", with(json!({ "kid": "" }))),
        ("kid that is a path", with(json!({ "kid": "../../../../dev/null" }))),
        ("kid that is SQL", with(json!({ "kid": "' or '1'='1" }))),
        ("kid that is an address", with(json!({ "kid": "https://evil.example/key" }))),
        ("kid that is a number", with(json!({ "kid": 0 }))),
        ("kid that is long", with(json!({ "kid": "k".repeat(256) }))),
        ("crit that is not understood", with(json!({ "crit": ["exp"] }))),
        ("crit that is empty", with(json!({ "crit": [] }))),
        ("b64", with(json!({ "b64": false, "crit": ["b64"] }))),
        ("b64 alone", with(json!({ "b64": false }))),
        ("zip", with(json!({ "zip": "DEF" }))),
        ("enc", with(json!({ "enc": "A128GCM" }))),
        ("a logout token", with(json!({ "typ": "logout+jwt" }))),
        ("a proof of possession", with(json!({ "typ": "dpop+jwt" }))),
        ("a security event", with(json!({ "typ": "application/secevent+jwt" }))),
        ("typ of another kind", with(json!({ "typ": ["JWT"] }))),
        ("a header that is a list", issuer.sign_text("[]", &claims.to_string())),
        ("a header that is no JSON", issuer.sign_text("{alg: ES256}", &claims.to_string())),
    ]
}

/// Signed by the issuer, with claims that must not be taken.
fn claims(issuer: &Simulator) -> Vec<(&'static str, String)> {
    let now = issuer.claims(json!({}))["iat"].as_i64().expect("a time");
    let with = |more: Value| {
        let mut claims = issuer.claims(json!({ "sub": WHO }));
        for (name, value) in more.as_object().expect("claims") {
            claims[name] = value.clone();
        }
        issuer.sign(json!({}), &claims)
    };
    let without = |name: &str| issuer.token(json!({ "sub": WHO, name: null }));
    let good = issuer.claims(json!({ "sub": WHO })).to_string();
    let twice = good.replacen('{', "{\"sub\":\"somebody-else\",", 1);
    vec![
        ("expired", with(json!({ "exp": now - 61 }))),
        ("exp as a text", with(json!({ "exp": (now + 600).to_string() }))),
        ("exp beyond all times", with(json!({ "exp": 1e300 }))),
        ("no exp", without("exp")),
        ("issued in the future", with(json!({ "iat": now + 90 }))),
        ("issued more than a day ago", with(json!({ "iat": now - 86_401, "exp": now + 86_400 }))),
        ("no iat", without("iat")),
        ("not valid yet", with(json!({ "nbf": now + 90 }))),
        ("nbf as a text", with(json!({ "nbf": "now" }))),
        ("no aud", without("aud")),
        ("for another audience", with(json!({ "aud": "others" }))),
        ("for other audiences", with(json!({ "aud": ["others", "more"] }))),
        ("for nobody", with(json!({ "aud": [] }))),
        ("aud as a number", with(json!({ "aud": 1 }))),
        ("aud with other letters", with(json!({ "aud": "Authenticated" }))),
        ("no iss", without("iss")),
        ("another iss", with(json!({ "iss": "https://evil.example/auth/v1" }))),
        ("iss with a slash more", with(json!({ "iss": format!("{ISSUER}/") }))),
        ("iss with other letters", with(json!({ "iss": ISSUER.to_uppercase() }))),
        ("iss as a list", with(json!({ "iss": [ISSUER] }))),
        ("no sub", without("sub")),
        ("an empty sub", with(json!({ "sub": "" }))),
        ("sub as a number", with(json!({ "sub": 7 }))),
        ("sub with a control character", with(json!({ "sub": format!("{WHO}\u{0}") }))),
        ("a long sub", with(json!({ "sub": "s".repeat(256) }))),
        ("sub twice", issuer.sign_text(&issuer.header().to_string(), &twice)),
        ("an anonymous visitor", with(json!({ "is_anonymous": true }))),
        ("claims that are a list", issuer.sign_text(&issuer.header().to_string(), "[]")),
        ("claims that are no JSON", issuer.sign_text(&issuer.header().to_string(), &good[..good.len() - 1])),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_exactly_right_is_refused_whatever_is_wrong_with_it() {
    let app = with_issuer("").await;
    let issuer = app.sandbox().issuer();
    linked(&app, WHO).await;
    // Another issuer of the same kind, whose keys nobody here knows.
    let other = sandbox::Sandbox::start(sandbox::Options {
        clock: app.sandbox().clock().clone(),
        ..sandbox::Options::default()
    });
    let other = other.await.expect("another issuer");
    let mut wrong = forged(issuer, other.issuer());
    wrong.extend(headers(issuer));
    wrong.extend(claims(issuer));
    assert!(wrong.len() >= 75, "{}", wrong.len());
    for (what, token) in &wrong {
        let answer = me(&app, token).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::UNAUTHORIZED, "unauthenticated"),
            "{what}: {}",
            answer.short()
        );
        assert!(!answer.text().contains(token.as_str()), "{what}: the answer repeats the token");
    }
    // What they differ from is taken, before and after, and nobody made us ask for keys but once more.
    me(&app, &token(&app, WHO)).await.expect(StatusCode::OK);
    assert!(issuer.calls().count_of("jwks.json") <= 2, "{}", issuer.calls().count_of("jwks.json"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_each_kind_are_taken_and_each_for_its_own_algorithm_only() {
    let app = with_issuer(r#", "algorithms": ["ES256", "RS256", "EdDSA"]"#).await;
    let issuer = app.sandbox().issuer();
    linked(&app, WHO).await;
    for algorithm in [Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Es256] {
        issuer.rotate(algorithm);
        // Nothing but the algorithm's name is wrong; and nobody has to wait for the next look at the keys.
        app.advance(chrono::TimeDelta::seconds(31)).await;
        me(&app, &token(&app, WHO)).await.expect(StatusCode::OK);
        for named in ["ES256", "RS256", "EdDSA", "RS512", "PS256", "ES384"] {
            let token = issuer.sign(json!({ "alg": named }), &issuer.claims(json!({ "sub": WHO })));
            let expected = if named == algorithm.as_str() { 200 } else { 401 };
            assert_eq!(me(&app, &token).await.status.as_u16(), expected, "{algorithm:?} named {named}");
        }
        // A token that names no key, while there are several.
        let nameless = issuer.sign(json!({ "kid": null }), &issuer.claims(json!({ "sub": WHO })));
        let expected = if algorithm == Algorithm::Es256 { 401 } else { 200 };
        assert_eq!(me(&app, &nameless).await.status.as_u16(), expected, "{algorithm:?} without a name");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_taken_from_its_header_only() {
    let app = with_issuer("").await;
    linked(&app, WHO).await;
    let token = token(&app, WHO);
    let nobody = app.nobody();
    for path in [format!("/api/me?access_token={token}"), format!("/api/me?token={token}")] {
        nobody.get(&path).await.expect_problem(401, "unauthenticated");
    }
    for name in ["entrepot_session", "__Host-entrepot_session", "access_token", "sb-access-token"] {
        let cookie = format!("{name}={token}");
        nobody.with_header("cookie", &cookie).get("/api/me").await.expect_problem(401, "unauthenticated");
    }
    nobody
        .with_header("authorization", &format!("Basic {token}"))
        .get("/api/me")
        .await
        .expect_problem(401, "unauthenticated");
    nobody.with_header("authorization", &token).get("/api/me").await.expect_problem(401, "unauthenticated");
    me(&app, &token).await.expect(StatusCode::OK);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_issuer_no_token_is_looked_at() {
    let app = testkit::TestApp::start().await;
    me(&app, &token(&app, WHO)).await.expect_problem(401, "unauthenticated");
    let kata = app.sign_up("Kata").await;
    super::link(&kata, &token(&app, WHO)).await.expect_problem(400, "invalid_request");
    assert_eq!(app.sandbox().issuer().calls().count(), 0);
    app.finish().await;
}
