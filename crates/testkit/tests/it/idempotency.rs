//! What a POST creates is created once for each `Idempotency-Key`, however often it is sent.

use axum::http::{Method, StatusCode};
use chrono::TimeDelta;
use kernel::Role;
use kit::retention::Kind;
use serde_json::{Value, json};
use testkit::{Answer, Client, Member, TestApp};
use tokio::task::JoinSet;

const CREATE: &str = "/api-key-management/create";

fn with_key(caller: &Client, key: &str) -> Client {
    caller.with_header("idempotency-key", key)
}

fn is_repeated(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == "true"
}

async fn names(kata: &Member) -> Vec<String> {
    let list = kata.get("/api-key-management/list?limit=100").await.expect(StatusCode::OK);
    let rows = list.at("/data").as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| row["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_asked_for_again_is_the_first_one_without_its_text() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let form = json!({ "name": "once" });
    let first = with_key(&kata, "one").post(CREATE, form.clone()).await.expect(StatusCode::CREATED);
    assert!(!is_repeated(&first) && first.at("/already_shown") == false);
    let text = first.at("/api_key").as_str().expect("a key").to_owned();
    for caller in [(*kata).clone(), kata.on(&b)] {
        let again = with_key(&caller, "one").post(CREATE, form.clone()).await.expect(StatusCode::CREATED);
        assert!(is_repeated(&again), "{}", again.short());
        let mut expected = first.json();
        expected["api_key"] = Value::Null;
        expected["already_shown"] = json!(true);
        assert_eq!(again.json(), expected);
    }
    assert_eq!(names(&kata).await, ["once"]);

    let rotate = json!({ "key_id": first.at("/key_id") });
    let rotated = with_key(&kata, "two").post("/api-key-management/rotate", rotate.clone()).await;
    let rotated = rotated.expect(StatusCode::CREATED);
    let again = with_key(&kata, "two").post("/api-key-management/rotate", rotate).await.expect(StatusCode::CREATED);
    assert!(is_repeated(&again) && again.at("/api_key").is_null());
    assert_eq!(again.at("/key_id"), rotated.at("/key_id"));

    // Neither what was chosen as a key, nor what was sent, nor the answer can be read.
    let chosen = "kata@people.example";
    with_key(&kata, chosen).post(CREATE, json!({ "name": "of somebody" })).await.expect(StatusCode::CREATED);
    let kept: Vec<String> = sqlx::query_scalar(
        "select encode(key_digest || request_digest || sealed_answer, 'escape') || k::text from idempotency_keys k",
    )
    .fetch_all(&mut a.superuser().await)
    .await
    .expect("rows");
    assert_eq!(kept.len(), 3);
    for secret in [text.as_str(), "one", "once", chosen, "of somebody", "key_id"] {
        assert!(kept.iter().all(|row| !row.contains(secret)), "{secret}");
    }
    b.finish().await;
    a.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_connected_again_is_the_first_connection() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (path, form) = ("/api/integrations/connections/", kata.woocommerce_form("kavebolt.example"));
    let first = with_key(&kata, "shop").post(path, form.clone()).await.expect(StatusCode::CREATED);
    let again = with_key(&kata, "shop").post(path, form.clone()).await.expect(StatusCode::CREATED);
    assert!(is_repeated(&again) && again.json() == first.json(), "{}", again.short());
    assert_eq!(again.header("content-type"), "application/json");
    kata.post(path, form).await.expect_problem(409, "conflict");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_one_request_of_one_caller() {
    let app = TestApp::start().await;
    let (kata, other) = (app.sign_up("Kata").await, app.sign_up("Other").await);
    let colleague = kata.member(Role::Administrator).await;
    let form = json!({ "name": "mine" });
    let first = with_key(&kata, "same").post(CREATE, form.clone()).await.expect(StatusCode::CREATED);
    let changed = json!({ "name": "changed" });
    with_key(&kata, "same").post(CREATE, changed).await.expect_problem(422, "idempotency_key_reused");
    let rotate = json!({ "key_id": first.at("/key_id") });
    with_key(&kata, "same")
        .post("/api-key-management/rotate", rotate)
        .await
        .expect_problem(422, "idempotency_key_reused");
    for another in [&colleague, &other] {
        let answer = with_key(another, "same").post(CREATE, form.clone()).await.expect(StatusCode::CREATED);
        assert!(!is_repeated(&answer) && answer.at("/key_id") != first.at("/key_id"));
    }
    // Whoever may no longer make keys is told nothing of those that they made.
    sqlx::query("update organization_members set role = 'viewer' where user_id = $1")
        .bind(colleague.user)
        .execute(&mut app.superuser().await)
        .await
        .expect("a smaller role");
    with_key(&colleague, "same").post(CREATE, form.clone()).await.expect_problem(403, "forbidden");
    assert_eq!(names(&kata).await.len(), 2);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_creates_also_when_its_caller_hangs_up() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (caller, form) = (with_key(&kata, "many"), json!({ "name": "one of many" }));
    let mut calls = JoinSet::new();
    for _ in 0..12 {
        let (caller, form) = (caller.clone(), form.clone());
        calls.spawn(async move { caller.post(CREATE, form).await });
    }
    let mut shown = 0;
    for answer in calls.join_all().await {
        match answer.status {
            StatusCode::CREATED => shown += u32::from(!is_repeated(&answer)),
            _ => assert!(!answer.expect_problem(409, "request_in_progress").header("retry-after").is_empty()),
        }
    }
    assert_eq!(shown, 1);
    assert_eq!(names(&kata).await, ["one of many"]);

    let (caller, form) = (with_key(&kata, "gone"), json!({ "name": "of one who hung up" }));
    let claimed = async || -> i64 {
        let count = sqlx::query_scalar("select count(*) from idempotency_keys");
        count.fetch_one(&mut app.superuser().await).await.expect("a count")
    };
    let call = tokio::spawn({
        let (caller, form) = (caller.clone(), form.clone());
        async move { caller.post(CREATE, form).await }
    });
    app.eventually("the request has begun", || async { claimed().await == 2 }).await;
    call.abort();
    app.eventually("it is answered", || async { is_repeated(&caller.post(CREATE, form.clone()).await) }).await;
    assert_eq!(names(&kata).await.len(), 2);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_leaves_the_key_free_and_an_unknown_outcome_does_not() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (caller, form) = (with_key(&kata, "later"), json!({ "name": "later", "stores": [uuid::Uuid::nil()] }));
    caller.post(CREATE, form.clone()).await.expect_problem(400, "invalid_request");
    let form = json!({ "name": "later" });
    caller.post(CREATE, form.clone()).await.expect(StatusCode::CREATED);

    // As a program leaves it that ended in the middle.
    sqlx::query("update idempotency_keys set sealed_answer = null")
        .execute(&mut app.superuser().await)
        .await
        .expect("so");
    let running = caller.post(CREATE, form.clone()).await.expect_problem(409, "request_in_progress");
    assert_eq!(running.header("retry-after"), "1");
    app.advance(TimeDelta::seconds(121)).await;
    let unknown = caller.post(CREATE, form.clone()).await.expect_problem(409, "request_in_progress");
    assert!(unknown.at("/detail").as_str().is_some_and(|detail| detail.contains("without an answer")));
    assert_eq!(unknown.header("retry-after"), "");
    assert_eq!(names(&kata).await, ["later"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_given_again_for_three_days() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (caller, form) = (with_key(&kata, "kept"), json!({ "name": "kept" }));
    caller.post(CREATE, form.clone()).await.expect(StatusCode::CREATED);
    app.advance(TimeDelta::minutes(72 * 60 - 1)).await;
    assert!(is_repeated(&caller.post(CREATE, form.clone()).await));
    assert_eq!(entrepot::housekeeping::purge(app.app()).await.expect("a purge").of(Kind::IdempotencyKeys), 0);
    app.advance(TimeDelta::minutes(2)).await;
    assert!(!is_repeated(&caller.post(CREATE, form.clone()).await.expect(StatusCode::CREATED)));
    assert_eq!(names(&kata).await.len(), 2);
    app.advance(TimeDelta::hours(73)).await;
    assert_eq!(entrepot::housekeeping::purge(app.app()).await.expect("a purge").of(Kind::IdempotencyKeys), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_post_that_creates_takes_a_key_and_says_so() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let document = serde_json::to_value(entrepot::assembly::openapi()).expect("a document");
    let mut checked = vec![];
    for (path, item) in document["paths"].as_object().expect("paths") {
        // These come before there is an organization to keep an answer in; the e-mail and the link make them happen once.
        let comes_before = ["/api/sign-up", "/api/invitations/accept-as-new"].contains(&path.as_str());
        if item["post"]["responses"]["201"].is_null() || comes_before {
            continue;
        }
        let parameters = item["post"]["parameters"].as_array().cloned().unwrap_or_default();
        let named =
            parameters.iter().find(|parameter| parameter["name"] == "Idempotency-Key" && parameter["in"] == "header");
        assert!(named.is_some_and(|parameter| parameter["required"] == false), "POST {path} does not say so");
        for status in ["409", "422"] {
            assert!(!item["post"]["responses"][status].is_null(), "POST {path}: {status}");
        }
        let place = path.replace("{id}", &uuid::Uuid::nil().to_string());
        for wrong in ["", "  ", &"x".repeat(256)] {
            let answer = with_key(&kata, wrong).send(Method::POST, &place, Some(json!({}))).await;
            let answer = answer.expect_problem(400, "invalid_request");
            assert_eq!(answer.at("/errors/0/pointer"), "Idempotency-Key", "POST {path}: {}", answer.short());
        }
        checked.push(path.as_str());
    }
    let expected = [
        CREATE,
        "/api-key-management/rotate",
        "/api/integrations/connections/",
        "/api/invitations",
        "/api/members/{id}/grants",
        "/api/team-members",
    ];
    assert_eq!(checked, expected);
    app.finish().await;
}
