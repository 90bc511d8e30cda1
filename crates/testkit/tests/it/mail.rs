//! Mail on its way: sealed while it waits, gone when it has left, and a dead end that people see.

use axum::http::StatusCode;
use chrono::TimeDelta;
use kernel::{Action, Resource, Secret, TenantScope, scope::InternalTask};
use kit::mail::{self, Letter, Link, NOTICE_LIVES};
use sandbox::mailbox::Behavior;
use testkit::{Member, Options, TestApp};

struct Writing;
impl InternalTask for Writing {
    const NAME: &'static str = "writing";
    const PERMISSIONS: &'static [(Resource, Action)] = &[];
}

const TO: &str = "reader@people.example";

async fn write(app: &TestApp, member: &Member) {
    let letter = Letter {
        kind: "test",
        subject: "Kávé & <Bolt>".to_owned(),
        paragraphs: vec!["A line.\r\n.\r\nAnd one more: é".to_owned()],
        link: Some(Link { label: "Press", url: Secret::new("https://entrepot.example/link#token") }),
        closing: "That is all.".to_owned(),
    };
    let scope = TenantScope::internal::<Writing>(member.organization.into());
    let mut tx = app.app().db.tenant(&scope).await.expect("a transaction");
    mail::write(&mut tx, app.app(), TO, &letter, NOTICE_LIVES).await.expect("a mail");
    tx.commit().await.expect("a commit");
}

/// State, cause and whether anything is left in it, of the mails of this test.
async fn rows(app: &TestApp) -> Vec<(String, Option<String>, bool)> {
    sqlx::query_as("select state, cause, sealed is not null from mail_outbox where kind = 'test' order by id")
        .fetch_all(&mut app.superuser().await)
        .await
        .expect("rows")
}

async fn settles(app: &TestApp, state: &str, cause: Option<&str>) {
    let expected = vec![(state.to_owned(), cause.map(str::to_owned), false)];
    app.eventually("the mail is settled", || async { rows(app).await == expected }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_arrives_in_both_forms_and_leaves_nothing_behind() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    write(&app, &kata).await;
    let arrived = app.mail(TO, 1).await;
    assert_eq!(arrived.subject, "Kávé & <Bolt>");
    assert_eq!((arrived.from.as_str(), arrived.to.clone()), ("no-reply@entrepot.example", vec![TO.to_owned()]));
    assert_eq!(arrived.header("from").as_deref(), Some("Entrepot <no-reply@entrepot.example>"));
    assert_eq!(arrived.header("auto-submitted").as_deref(), Some("auto-generated"));
    assert!(arrived.text.starts_with("A line.\r\n.\r\nAnd one more: é"), "{}", arrived.text);
    assert_eq!(arrived.link(), Some("https://entrepot.example/link#token"));
    assert!(arrived.html.contains("href=\"https://entrepot.example/link#token\""), "{}", arrived.html);
    settles(&app, "sent", None).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_rolled_back_never_was() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let letter =
        Letter { kind: "test", subject: "Never".to_owned(), paragraphs: vec![], link: None, closing: String::new() };
    let scope = TenantScope::internal::<Writing>(kata.organization.into());
    let mut tx = app.app().db.tenant(&scope).await.expect("a transaction");
    mail::write(&mut tx, app.app(), TO, &letter, NOTICE_LIVES).await.expect("a mail");
    tx.rollback().await.expect("a rollback");
    write(&app, &kata).await;
    assert_eq!(app.mail(TO, 1).await.subject, "Kávé & <Bolt>");
    settles(&app, "sent", None).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_is_busy_or_away_gets_it_later() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    for behavior in [Behavior::IsBusy, Behavior::HangsUp] {
        app.sandbox().mailbox().behave(behavior);
        let refused = app.sandbox().mailbox().refused();
        write(&app, &kata).await;
        app.eventually("it was refused", || async { app.sandbox().mailbox().refused() > refused }).await;
        app.sandbox().mailbox().behave(Behavior::Accepts);
    }
    assert!(app.sandbox().mailbox().to(TO).is_empty());
    app.eventually("both wait for their next attempt", || async {
        let retrying = "select count(*) from jobs where name = 'send_mail' and state = 'retrying'";
        let count: i64 = sqlx::query_scalar(retrying).fetch_one(&mut app.superuser().await).await.expect("a count");
        count == 2
    })
    .await;
    app.advance(TimeDelta::seconds(10)).await;
    app.mail(TO, 2).await;
    app.eventually("both are sent", || async { rows(&app).await.iter().all(|(state, ..)| state == "sent") }).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_nobody_takes_is_given_up_where_people_see_it() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    app.sandbox().mailbox().behave(Behavior::RefusesRecipients);
    write(&app, &kata).await;
    settles(&app, "failed", Some("the mail server refuses the recipient or the mail")).await;
    let events = kata.get("/api/integrations/events/").await.expect(StatusCode::OK);
    let events = events.at("/data").as_array().cloned().expect("events");
    let failed = events.iter().find(|event| event["event_type"] == "mail.failed" && event["meta"]["kind"] == "test");
    let failed = failed.expect("an event");
    assert_eq!(failed["level"], "warning");
    assert!(!failed.to_string().contains(TO), "{failed}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mail_server_mails_wait_until_they_are_out_of_date_and_readyz_says_so() {
    let app = TestApp::with(Options { has_mail_server: false, ..Options::default() }).await;
    let kata = app.sign_up("Kata").await;
    write(&app, &kata).await;
    app.eventually("it waits", || async {
        let state = "select state from jobs where name = 'send_mail' order by id desc limit 1";
        let state: Option<String> =
            sqlx::query_scalar(state).fetch_optional(&mut app.superuser().await).await.expect("a state");
        state.as_deref() == Some("throttled")
    })
    .await;
    assert_eq!(rows(&app).await, [("waiting".to_owned(), None, true)]);
    let ready = app.nobody().get("/readyz").await.expect(StatusCode::OK);
    assert_eq!((ready.at("/ready"), ready.at("/mail")), (true.into(), "not_configured".into()));
    app.advance(NOTICE_LIVES + TimeDelta::minutes(1)).await;
    settles(&app, "failed", Some("it waited until it was out of date")).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_mail_opens_in_its_own_row_only() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    app.sandbox().mailbox().behave(Behavior::HangsUp);
    write(&app, &kata).await;
    app.eventually("it was refused", || async { app.sandbox().mailbox().refused() > 0 }).await;
    let copied =
        "update mail_outbox set sealed = set_byte(sealed, length(sealed) - 1, get_byte(sealed, length(sealed) - 1) # 1)
                  where kind = 'test'";
    sqlx::query(copied).execute(&mut app.superuser().await).await.expect("an update");
    app.sandbox().mailbox().behave(Behavior::Accepts);
    app.advance(TimeDelta::seconds(10)).await;
    settles(&app, "failed", Some("it does not open under the key of this installation")).await;
    assert!(app.sandbox().mailbox().to(TO).is_empty());
    app.finish().await;
}
