use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use kernel::{EventId, Role};
use serde_json::{Value, json};
use testkit::{Client, Member, TestApp};

fn at(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Lines of the actions `a.one`, `a.two` and `b.one` in turn, a minute apart, the oldest first; when the first was.
async fn write(app: &TestApp, of: &Member, count: usize) -> DateTime<Utc> {
    let first = app.clock().now() - TimeDelta::days(20);
    let mut superuser = app.superuser().await;
    for number in 0..count {
        let moment = first + TimeDelta::minutes(i64::try_from(number).expect("a number"));
        let millis = u128::try_from(moment.timestamp_millis()).expect("a time");
        let id = uuid::Uuid::from_u128((millis << 80) | (EventId::new(app.clock()).uuid().as_u128() & ((1 << 80) - 1)));
        sqlx::query(
            "insert into audit_log (organization_id, id, actor, action, resource, resource_id, request_id, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(of.organization)
        .bind(id)
        .bind(if number % 2 == 0 { "system:even" } else { "system:odd" })
        .bind(["a.one", "a.two", "b.one"][number % 3])
        .bind(["first", "second"][number % 2])
        .bind(uuid::Uuid::from_u128(number as u128))
        .bind(format!("request-{number}"))
        .bind(moment)
        .execute(&mut superuser)
        .await
        .expect("a line");
    }
    first
}

/// Everything that a list gives, page by page.
async fn all(by: &Client, query: &str) -> Vec<Value> {
    let (mut lines, mut cursor) = (vec![], None::<String>);
    for _ in 0..100 {
        let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = by.get(&format!("/api/audit?{query}{after}")).await.expect(StatusCode::OK);
        lines.extend(page.at("/data").as_array().expect("lines").iter().cloned());
        cursor = page.at("/next_cursor").as_str().map(str::to_owned);
        if cursor.is_none() {
            return lines;
        }
    }
    panic!("{query} does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_narrowed_by_who_what_and_when_and_every_line_comes_once() {
    let app = TestApp::start().await;
    let (kata, other) = (app.sign_up("Kata").await, app.sign_up("Other").await);
    let first = write(&app, &kata, 30).await;
    write(&app, &other, 6).await;
    for (query, expected) in [
        ("action=a.one", 10),
        ("action=a.*", 20),
        ("action=b.*", 10),
        ("action=c.*", 0),
        ("actor=system:odd", 15),
        ("resource=second&action=a.*", 10),
        ("request_id=request-7", 1),
        ("resource_id=00000000-0000-0000-0000-000000000007", 1),
        ("actor=system:even&action=a.one", 5),
        ("", 31),
    ] {
        for limit in ["", "limit=3&"] {
            let lines = all(&kata, &format!("{limit}{query}")).await;
            assert_eq!(lines.len(), expected, "{limit}{query}");
            let ids: std::collections::BTreeSet<&str> = lines.iter().filter_map(|line| line["id"].as_str()).collect();
            assert_eq!(ids.len(), expected, "{limit}{query}: no line twice");
        }
    }
    let (after, before) = (first + TimeDelta::minutes(10), first + TimeDelta::minutes(20));
    let lines = all(&kata, &format!("created_after={}&created_before={}&limit=4", at(after), at(before))).await;
    assert_eq!(lines.len(), 10, "the first moment is in it, the last is not");
    assert_eq!((&lines[0]["request_id"], &lines[9]["request_id"]), (&json!("request-19"), &json!("request-10")));
    for bad in ["action=A", "actor=nobody", "created_after=yesterday", "limit=0", "request_id=", "other=1"] {
        kata.get(&format!("/api/audit?{bad}")).await.expect_problem(400, "invalid_request");
    }
    // A cursor goes on with what it began with.
    let page = kata.get("/api/audit?action=a.*&limit=1").await.expect(StatusCode::OK);
    let cursor = page.at("/next_cursor");
    let cursor = cursor.as_str().expect("a cursor");
    kata.get(&format!("/api/audit?action=b.*&limit=1&cursor={cursor}")).await.expect_problem(400, "invalid_cursor");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_read_the_audit_log_reads_it_with_whatever_filter() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    for role in Role::ALL {
        let may = matches!(role, Role::Owner | Role::Administrator);
        let answer = kata.member(*role).await.get("/api/audit?action=organization.*").await;
        assert_eq!(answer.status.as_u16(), if may { 200 } else { 403 }, "{role}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_leaves_little_of_much_looks_at_a_part_for_each_page_and_finds_all_of_it() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let first = write(&app, &kata, 1).await;
    // A line each millisecond after it: more than are looked at for two pages.
    sqlx::query(
        "insert into audit_log (organization_id, id, actor, action, resource, created_at)
         select $1, (substr(app.uuid_floor(moment)::text, 1, 14) || '7' || substr(md5(n::text), 1, 3) || '-8' || substr(md5(n::text), 4, 3) || '-' || substr(md5(n::text), 7, 12))::uuid,
            'system:crowd', 'crowd.line', 'crowd', moment
         from generate_series(1, 20500) n, lateral (select $2::timestamptz + n * interval '1 millisecond' as moment) m",
    )
    .bind(kata.organization)
    .bind(first)
    .execute(&mut app.superuser().await)
    .await
    .expect("lines");
    let page = kata.get("/api/audit?action=a.one").await.expect(StatusCode::OK);
    assert_eq!(page.at("/data"), json!([]), "the oldest is not among the newest ten thousand");
    assert!(page.at("/next_cursor").is_string());
    let lines = all(&kata, "action=a.one").await;
    assert_eq!(lines.len(), 1);
    app.finish().await;
}
