//! An address that never had an account leaves nothing behind, whatever was done with it.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::json;
use sqlx::Connection;
use testkit::{
    TestApp,
    cluster::cluster,
    logs::Logs,
    scan::{Needle, Scanner},
};

use super::{fresh_address, invited, log_in, token};

#[tokio::test(flavor = "multi_thread")]
async fn no_address_and_no_link_is_left_in_the_database_or_the_logs() {
    let logs = Logs::collect();
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (guest, guessed, asked) = (fresh_address(), fresh_address(), fresh_address());
    let (first, id) = invited(&app, &kata, &guest, "viewer").await;
    app.advance(TimeDelta::minutes(2)).await;
    kata.post(&format!("/api/invitations/{id}/resend"), json!({})).await.expect(StatusCode::OK);
    let second = token(&app, &guest, "invitation", 2).await;
    assert_eq!(kata.get("/api/invitations").await.at("/data/0/email"), guest.as_str());
    kata.get("/api/audit").await.expect(StatusCode::OK);
    app.nobody().post("/api/invitations/look", json!({ "token": second })).await.expect(StatusCode::OK);
    kata.post(&format!("/api/invitations/{id}/revoke"), json!({})).await.expect(StatusCode::OK);
    for _ in 0..7 {
        log_in(&app.nobody(), &guessed, "a wrong password").await;
    }
    app.nobody().post("/api/password-reset", json!({ "email": asked })).await.expect(StatusCode::ACCEPTED);
    app.nobody().post("/api/password-reset", json!({ "email": kata.email })).await.expect(StatusCode::ACCEPTED);
    let reset = token(&app, &kata.email, "reset", 1).await;

    let needle = |name: &str, value: &str| Needle { name: name.to_owned(), value: value.to_owned() };
    let needles = [
        needle("guest", &guest),
        needle("guessed", &guessed),
        needle("asked", &asked),
        needle("first link", &first),
        needle("second link", &second),
        needle("reset link", &reset),
        needle("password", &kata.password),
    ];
    let control = [needle("account", &kata.email)];
    let mut admin = sqlx::PgConnection::connect_with(&cluster().superuser_url("postgres")).await.expect("connects");
    sqlx::query("checkpoint").execute(&mut admin).await.expect("a checkpoint");
    let log = format!("{}\n{}", logs.text(), cluster().recent_log().join("\n"));
    let everything: Vec<Needle> = needles.into_iter().chain(control).collect();
    let scanner = Scanner::new(&everything);
    // Nothing was vacuumed, so the tables still hold every row that ever was; the log of changes is the canary's.
    let oid: i64 = sqlx::query_scalar("select oid::bigint from pg_database where datname = current_database()")
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("an oid");
    let folder = cluster().pgdata().join("base").join(oid.to_string());
    let (in_files, bytes) = scanner.scan_folder(&folder).expect("files are read");
    assert!(bytes > 1 << 20, "only {bytes} bytes of the database were read");
    assert!(in_files.iter().all(|hit| hit.name == "account"), "{in_files:#?}");
    assert!(!in_files.is_empty(), "the address of an account is found, so the search works");
    assert_eq!(scanner.scan("log", log.as_bytes()), []);
    app.finish().await;
}
