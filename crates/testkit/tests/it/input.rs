//! Whatever text people send: it is kept or it is refused, and never our fault.

use axum::http::{Method, StatusCode};
use proptest::{
    prelude::{Just, Strategy, prop_oneof},
    strategy::ValueTree,
    test_runner::TestRunner,
};
use serde_json::{Value, json};
use testkit::{Client, TestApp};

/// Text with what databases, terminals and parsers stumble over.
fn texts(count: usize) -> Vec<String> {
    let strategy = prop_oneof![
        "[\\x00-\\x1f\\x7f-\\x9f a-zé'\"@.\u{feff}\u{ffff}\u{10ffff}\u{202e}]{0,40}",
        "[a-z]{1,8}[\\x00\\n\u{85}]@[a-z]{1,8}\\.[a-z]{2}",
        "(?s).{0,60}",
        "(?s).{90,260}",
        Just("\0".to_owned()),
    ];
    let mut runner = TestRunner::default();
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("a text").current()).collect()
}

async fn sends(caller: &Client, method: Method, path: &str, body: Value) -> StatusCode {
    let answer = caller.send(method, path, Some(body.clone())).await;
    let status = answer.status;
    let is_known = status.is_success() || matches!(status.as_u16(), 400 | 401 | 409 | 422);
    assert!(is_known, "{path} with {body}: {}", answer.short());
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn any_text_in_any_field_of_an_account_is_kept_or_refused() {
    let app = TestApp::start().await;
    let (kata, nobody) = (app.sign_up("Kata").await, app.nobody());
    let organization = format!("/api/organizations/{}", kata.organization);
    let (mut kept, mut refused) = (0, 0);
    for (number, text) in texts(40).into_iter().enumerate() {
        let email = format!("person-{number}@people.example");
        let sign_up =
            json!({ "name": "A", "email": email, "password": "a password of some length", "organization_name": "B" });
        let mut requests = vec![
            (Method::POST, "/api/login", json!({ "email": text, "password": "a password" })),
            (Method::POST, "/api/login", json!({ "email": kata.email, "password": text })),
            (Method::POST, "/api-key-management/create", json!({ "name": text })),
            (Method::POST, "/api-key-management/create", json!({ "name": "origin", "allowed_origins": [text] })),
            (Method::DELETE, organization.as_str(), json!({ "name": text })),
        ];
        for field in ["name", "email", "password", "organization_name"] {
            let mut form = sign_up.clone();
            form[field] = json!(text);
            requests.push((Method::POST, "/api/sign-up", form));
        }
        for (method, path, body) in requests {
            // A key's limit would hide its name's rules behind a 409.
            let status = sends(&kata, method, path, body).await;
            if status == StatusCode::CREATED { kept += 1 } else { refused += 1 }
        }
        if number % 4 == 0 {
            // As a wait would hide what a password may be.
            sqlx::query("delete from login_attempts").execute(&mut app.superuser().await).await.expect("forgotten");
            sqlx::query("update user_api_keys set state = 'revoked'")
                .execute(&mut app.superuser().await)
                .await
                .expect("revoked");
        }
    }
    assert!(kept > 20 && refused > 20, "{kept} kept, {refused} refused");
    for text in ["\0", "kata\0@people.example"] {
        let login = json!({ "email": text, "password": "a password" });
        nobody.post("/api/login", login).await.expect_problem(401, "invalid_credentials");
        let key = kata.post("/api-key-management/create", json!({ "name": text })).await;
        assert_eq!(key.expect_problem(400, "invalid_request").at("/errors/0/pointer"), "/name");
    }
    app.finish().await;
}
