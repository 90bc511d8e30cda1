//! `entrepot plan` and `entrepot organizations`, on the database of a program that serves.

use axum::http::StatusCode;
use testkit::{Options, TestApp, process};

/// What the command says, and whether it succeeded.
async fn run(app: &TestApp, arguments: &[&str]) -> (bool, String) {
    let mut command = process::command(env!("CARGO_BIN_EXE_entrepot"), &app.installation);
    command.args(arguments);
    let output =
        tokio::task::spawn_blocking(move || command.output().expect("the program runs")).await.expect("output");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(!said.contains("panicked"), "{said}");
    (output.status.success(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_shows_and_sets_plans_while_the_program_serves() {
    let app = TestApp::with(Options { in_real_time: true, ..Options::default() }).await;
    let kata = app.sign_up("Kata").await;
    let organization = kata.get(&format!("/api/organizations/{}", kata.organization)).await.expect(StatusCode::OK);
    let slug = organization.at("/slug").as_str().expect("a slug").to_owned();
    let id = kata.organization.to_string();

    let (is_done, said) = run(&app, &["plan", "show", &slug]).await;
    assert!(is_done && said.starts_with("professional, trial, until "), "{said}");
    let arguments = [
        "plan",
        "set",
        &slug,
        "--plan",
        "starter",
        "--limit",
        "members=4",
        "--limit",
        "bots=9",
        "--until",
        "2099-01-01",
    ];
    let (is_done, said) = run(&app, &arguments).await;
    assert!(is_done && said.starts_with("starter, active, until 2099-01-01T00:00:00Z\n"), "{said}");
    let line =
        |name: &str| said.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("members").ends_with("4  (agreed)"), "{said}");
    assert!(line("workflows").ends_with("20"), "{said}");
    let usage = format!("/api/organizations/{}/usage", kata.organization);
    let shown = kata.get(&usage).await.expect(StatusCode::OK);
    assert_eq!((shown.at("/plan"), shown.at("/limits/0/allowed")), ("starter".into(), 4.into()));
    let audit = kata.get("/api/audit?limit=1").await.expect(StatusCode::OK);
    assert_eq!((audit.at("/data/0/actor"), audit.at("/data/0/action")), ("system:operator".into(), "plan.set".into()));
    assert_eq!(audit.at("/data/0/after/limits/members"), 4);

    // One number is taken back; the other, and the end, stay.
    let (is_done, said) = run(&app, &["plan", "set", &id, "--limit", "members=", "--status", "inactive"]).await;
    assert!(is_done && said.starts_with("starter, inactive, until 2099"), "{said}");
    let shown = kata.get(&usage).await.expect(StatusCode::OK);
    assert_eq!((shown.at("/limits/0/allowed"), shown.at("/is_read_only")), (10.into(), true.into()));

    let (is_done, said) = run(&app, &["organizations"]).await;
    let line = said.lines().find(|line| line.starts_with(&id)).unwrap_or_default();
    assert!(is_done && line.contains("starter") && line.contains("inactive") && line.ends_with(&slug), "{said}");

    for (arguments, cause) in [
        (vec!["plan", "show", "nobody"], "no such organization"),
        (vec!["plan", "set", &slug, "--limit", "member=3"], "connections_per_provider"),
        (vec!["plan", "set", &slug, "--plan", "gold"], "gold"),
        (vec!["plan", "set", &slug, "--status", "trial", "--until", "never"], "--until"),
        (vec!["plan", "set", &slug, "--until", "2001-01-01"], "over already"),
    ] {
        let (is_done, said) = run(&app, &arguments).await;
        assert!(!is_done && said.contains(cause), "{arguments:?}: {said}");
    }
    app.finish().await;
}
