//! The people of an organization, with or without a login.

use axum::http::StatusCode;
use chrono::TimeDelta;
use kernel::Role;
use serde_json::{Value, json};
use testkit::{Answer, Client, TestApp};

use super::seat_path;

const LIST: &str = "/api/team-members";

async fn add(by: &Client, form: Value) -> Answer {
    by.post(LIST, form).await
}

fn person(name: &str) -> Value {
    json!({ "full_name": name, "member_type": "sales" })
}

async fn added(by: &Client, form: Value) -> String {
    let answer = add(by, form).await.expect(StatusCode::CREATED);
    format!("{LIST}/{}", answer.at("/id").as_str().expect("an id"))
}

async fn external_ids(by: &Client, list: &str) -> Vec<String> {
    let rows = by.get(list).await.expect(StatusCode::OK).at("/data");
    rows.as_array().expect("rows").iter().map(|row| row["external_id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_member_is_kept_sealed_and_shown_to_those_who_may_read_members() {
    let app = TestApp::start().await;
    let (kata, other) = (app.sign_up("Kata").await, app.sign_up("Other").await);
    let form = json!({
        "full_name": " Réka Próba-Kiss ", "email": "Reka.Proba@Staff.example", "member_type": "support",
        "commission_rate": "12.5000", "commission_type": "percentage",
    });
    let path = added(&kata, form).await;
    let (viewer, employee) = (kata.member(Role::Viewer).await, kata.member(Role::Employee).await);
    let shown = viewer.get(&path).await.expect(StatusCode::OK);
    for (pointer, value) in [
        ("/full_name", "Réka Próba-Kiss"),
        ("/email", "reka.proba@staff.example"),
        ("/external_id", "TM-0001"),
        ("/member_type", "support"),
        ("/commission_rate", "12.5"),
        ("/commission_type", "percentage"),
    ] {
        assert_eq!(shown.at(pointer), value, "{pointer}");
    }
    assert_eq!(shown.header("cache-control"), "no-store");
    assert_eq!(viewer.get(LIST).await.expect(StatusCode::OK).at("/data/0"), shown.json());
    employee.get(&path).await.expect_problem(403, "forbidden");
    other.get(&path).await.expect_problem(404, "not_found");
    viewer.patch(&path, json!({ "full_name": "x" })).await.expect_problem(403, "forbidden");

    let changed = kata.patch(&path, json!({ "full_name": "Réka Új", "email": null })).await.expect(StatusCode::OK);
    assert_eq!((changed.at("/full_name"), changed.at("/email")), ("Réka Új".into(), Value::Null));
    assert_eq!(changed.at("/commission_rate"), "12.5", "what is left out stays");

    // In no row and no line of a log, the audit trail and the kept answer included.
    let everything: Vec<String> = sqlx::query_scalar(
        "select encode(sealed_name || coalesce(sealed_email, ''), 'escape') || t::text from team_members t
         union all select a::text from audit_log a union all select e::text from events e
         union all select encode(sealed_answer, 'escape') from idempotency_keys",
    )
    .fetch_all(&mut app.superuser().await)
    .await
    .expect("rows");
    for word in ["Réka", "Proba", "proba", "Új"] {
        assert!(everything.iter().all(|row| !row.contains(word)), "{word}");
    }
    let audit = kata.get("/api/audit?limit=2").await.expect(StatusCode::OK);
    assert_eq!(audit.at("/data/0/after/full_name"), "•••");
    assert_eq!(audit.at("/data/0/after/changed"), json!({ "full_name": true, "email": true }));
    assert_eq!((audit.at("/data/0/before/email"), audit.at("/data/0/after/email")), ("•••".into(), Value::Null));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn external_ids_are_given_in_order_and_belong_to_one() {
    let app = TestApp::start().await;
    let (kata, other) = (app.sign_up("Kata").await, app.sign_up("Other").await);
    let (mut one, mut two) = (person("One"), person("Two"));
    one["external_id"] = json!("ghl:user.42");
    two["external_id"] = json!("TM-0041");
    for form in [&one, &two] {
        add(&kata, form.clone()).await.expect(StatusCode::CREATED);
    }
    add(&kata, one.clone()).await.expect_problem(409, "conflict");
    // In another organization it is nobody's.
    add(&other, one).await.expect(StatusCode::CREATED);
    let mut at_once = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let kata = kata.clone();
        at_once
            .spawn(async move { add(&kata, person("At once")).await.expect(StatusCode::CREATED).at("/external_id") });
    }
    let mut given =
        at_once.join_all().await.into_iter().map(|id| id.as_str().expect("an id").to_owned()).collect::<Vec<_>>();
    given.sort();
    assert_eq!(given, ["TM-0042", "TM-0043", "TM-0044", "TM-0045"]);
    let once = kata.with_header("idempotency-key", "once");
    let first = add(&once, person("Once")).await.expect(StatusCode::CREATED);
    assert_eq!(add(&once, person("Once")).await.expect(StatusCode::CREATED).json(), first.json());
    for (field, value) in [
        ("external_id", json!("no spaces")),
        ("full_name", json!("  ")),
        ("email", json!("nobody")),
        ("member_type", json!("king")),
        ("commission_rate", json!("10")),
        ("user_id", json!(other.user)),
    ] {
        let mut form = person("Wrong");
        form[field] = value;
        let answer = add(&kata, form).await.expect_problem(400, "invalid_request");
        let pointer = if field == "commission_rate" { "/commission_type".to_owned() } else { format!("/{field}") };
        assert_eq!(answer.at("/errors/0/pointer"), pointer);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_one_team_members_and_leaves_with_the_seat() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let sales = kata.member(Role::Sales).await;
    let mut form = person("With a login");
    form["user_id"] = json!(sales.user);
    let path = added(&kata, form.clone()).await;
    add(&kata, form.clone()).await.expect_problem(409, "conflict");
    let second = added(&kata, person("Without")).await;
    kata.patch(&second, json!({ "user_id": sales.user })).await.expect_problem(409, "conflict");
    kata.delete(&path, json!({})).await.expect(StatusCode::NO_CONTENT);
    kata.patch(&second, json!({ "user_id": sales.user })).await.expect(StatusCode::OK);
    kata.post(&format!("{path}/restore"), json!({})).await.expect_problem(409, "conflict");
    // Taking the seat away leaves the person.
    kata.delete(&seat_path(&kata, &sales.email).await, json!({})).await.expect(StatusCode::NO_CONTENT);
    let left = kata.get(&second).await.expect(StatusCode::OK);
    assert_eq!((left.at("/user_id"), left.at("/full_name")), (Value::Null, "Without".into()));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_deleted_can_be_restored_for_a_month_and_is_then_gone() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (kept, gone) = (added(&kata, person("Kept")).await, added(&kata, person("Gone")).await);
    for path in [&kept, &gone] {
        kata.delete(path, json!({})).await.expect(StatusCode::NO_CONTENT);
        kata.get(path).await.expect_problem(404, "not_found");
        kata.patch(path, json!({ "full_name": "x" })).await.expect_problem(404, "not_found");
        kata.delete(path, json!({})).await.expect_problem(404, "not_found");
    }
    assert!(external_ids(&kata, LIST).await.is_empty());
    assert_eq!(external_ids(&kata, "/api/team-members?deleted=true").await, ["TM-0002", "TM-0001"]);
    // Past its time it is gone, whether or not a job has come by.
    let late = added(&kata, person("Late")).await;
    kata.delete(&late, json!({})).await.expect(StatusCode::NO_CONTENT);
    sqlx::query("update team_members set deleted_at = $1 where external_id = 'TM-0003'")
        .bind(app.clock().now() - TimeDelta::days(30))
        .execute(&mut app.superuser().await)
        .await
        .expect("deleted a month ago");
    kata.post(&format!("{late}/restore"), json!({})).await.expect_problem(404, "not_found");
    app.advance(TimeDelta::days(29)).await;
    let restored = kata.post(&format!("{kept}/restore"), json!({})).await.expect(StatusCode::OK);
    assert_eq!((restored.at("/full_name"), restored.at("/deleted_at")), ("Kept".into(), Value::Null));
    app.advance(TimeDelta::days(2)).await;
    // Sessions live as long as what is deleted.
    let session = super::log_in(&app.nobody(), &kata.email, &kata.password).await.expect(StatusCode::OK);
    let kata = kata.presenting(session.at("/session_token").as_str().expect("a session"));
    kata.post(&format!("{gone}/restore"), json!({})).await.expect_problem(404, "not_found");
    app.eventually("what was known of them is removed", || async {
        let count: i64 = sqlx::query_scalar("select count(*) from team_members")
            .fetch_one(&mut app.superuser().await)
            .await
            .expect("a count");
        count == 1
    })
    .await;
    assert_eq!(external_ids(&kata, LIST).await, ["TM-0001"]);
    let actions = kata.get("/api/audit?limit=10").await.expect(StatusCode::OK).at("/data");
    let actions: Vec<&str> =
        actions.as_array().expect("lines").iter().filter_map(|line| line["action"].as_str()).collect();
    for action in ["team_member.delete", "team_member.restore", "team_member.purge"] {
        assert!(actions.contains(&action), "{action}: {actions:?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_external_id_that_somebody_chooses_keeps_the_next_person_from_a_number() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let with_id = async |id: &str| {
        let mut form = person("Chosen");
        form["external_id"] = json!(id);
        add(&kata, form).await.expect(StatusCode::CREATED);
    };
    let numbered = async || add(&kata, person("Next")).await.expect(StatusCode::CREATED).at("/external_id");
    // Of others: no number follows from them.
    for id in ["TM-999999999", "TM-1000000000", "TM-9999999", "TM-99999999999999999999999999"] {
        with_id(id).await;
        assert_eq!(numbered().await, format!("TM-{:04}", external_ids(&kata, LIST).await.len() / 2));
    }
    // The last number of ours is taken: those that are free are given.
    with_id("TM-999999").await;
    with_id("TM-0006").await;
    assert_eq!([numbered().await, numbered().await, numbered().await], ["TM-0005", "TM-0007", "TM-0008"]);
    app.finish().await;
}
