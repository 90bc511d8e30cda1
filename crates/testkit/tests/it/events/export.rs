//! The log as CSV: whole or visibly broken, harmless in a spreadsheet, and never more than a page in memory.

use axum::{
    body::{Body, Bytes},
    http::{Request, StatusCode, header},
};
use futures::StreamExt;
use kernel::{EventId, Role};
use testkit::{Client, Member, TestApp, follower::plain_client};

use super::{fill, scene};

const PATH: &str = "/api/integrations/events/export.csv";

/// The lines of a CSV, as a reader that keeps to RFC 4180 takes them.
fn parse(text: &str) -> Vec<Vec<String>> {
    let (mut lines, mut cells, mut cell, mut is_quoted) = (vec![], vec![], String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match (is_quoted, char) {
            (true, '"') if chars.peek() == Some(&'"') => cell.extend(chars.next()),
            (_, '"') => is_quoted = !is_quoted,
            (true, char) => cell.push(char),
            (false, ',') => cells.push(std::mem::take(&mut cell)),
            (false, '\r') => {
                assert_eq!(chars.next(), Some('\n'), "lines end with CR LF");
                cells.push(std::mem::take(&mut cell));
                lines.push(std::mem::take(&mut cells));
            }
            (false, char) => cell.push(char),
        }
    }
    assert!(!is_quoted && cells.is_empty() && cell.is_empty(), "the last line is whole");
    lines
}

/// The answer with its body unread.
async fn open(app: &TestApp, caller: &Client, path: &str) -> axum::response::Response {
    let bearer = format!("Bearer {}", caller.bearer.as_deref().expect("a session"));
    let request = Request::get(path).header(header::AUTHORIZATION, bearer).body(Body::empty()).expect("a request");
    app.serve(request).await
}

async fn insert(member: &Member, app: &TestApp, message: &str) {
    sqlx::query(
        "insert into events (organization_id, id, level, event_type, message, actor, created_at)
         values ($1, $2, 'info', 'test.written', $3, 'system:test', $4)",
    )
    .bind(member.organization)
    .bind(EventId::new(app.clock()).uuid())
    .bind(message)
    .bind(app.clock().now())
    .execute(&mut app.superuser().await)
    .await
    .expect("a line");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_the_list() {
    let (app, ours, _) = scene(1_234).await;
    let answer = ours.get(PATH).await.expect(StatusCode::OK);
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"events.csv\"");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("entrepot-row-estimate"), "1235");
    let text = answer.text();
    let lines = parse(text.strip_prefix('\u{feff}').expect("a byte order mark"));
    assert_eq!(lines[0], ["created_at", "level", "event_type", "connection", "actor", "message", "meta"]);
    assert_eq!(lines.len(), 1 + 1_235, "all lines, and the sign-up");
    let by_number: Vec<&Vec<String>> = lines.iter().filter(|line| line[6] == "{\"n\":1000}").collect();
    let [line] = by_number[..] else { panic!("one line has the number") };
    assert_eq!((line[1].as_str(), line[5].as_str()), ("error", "Line 1000 of many."));
    assert!(lines[1][0] >= lines[2][0] && lines[2][0] >= lines[1_235][0], "newest first");

    let narrowed = ours.get(&format!("{PATH}?level=warning&event_type=sync.*")).await.expect(StatusCode::OK).text();
    assert_eq!(parse(&narrowed).len(), 1 + 11, "every hundredth but the thousandth");
    let named = format!("{PATH}?organization={}&search=line%20999%20", ours.organization);
    assert_eq!(parse(&ours.get(&named).await.expect(StatusCode::OK).text()).len(), 2);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_organization_is_not_exported_by_naming_it() {
    let (app, ours, theirs) = scene(3).await;
    let foreign = format!("{PATH}?organization={}", theirs.organization);
    ours.get(&foreign).await.expect_problem(404, "not_found");
    ours.get(&format!("{PATH}?organization=noise")).await.expect_problem(400, "invalid_request");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_spreadsheet_would_run_is_defused() {
    let (app, ours, _) = scene(0).await;
    let formulas =
        ["=cmd|' /C calc'!A0", "+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "a \"quoted\", text\r\n=of two lines"];
    for formula in formulas {
        insert(&ours, &app, formula).await;
    }
    let text = ours.get(&format!("{PATH}?event_type=test.*")).await.expect(StatusCode::OK).text();
    let lines = parse(text.trim_start_matches('\u{feff}'));
    let mut messages: Vec<String> = lines[1..].iter().map(|line| line[5].clone()).collect();
    let mut expected: Vec<String> = formulas[..6].iter().map(|text| format!("'{text}")).collect();
    expected.push(formulas[6].to_owned());
    messages.sort();
    expected.sort();
    assert_eq!(messages, expected);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_goes_back_ninety_days_and_no_further() {
    let (app, ours, _) = scene(2).await;
    let long = format!("{PATH}?created_after=2025-01-01T00:00:00Z");
    let answer = ours.get(&long).await.expect_problem(400, "invalid_request");
    assert_eq!(answer.at("/errors/0/pointer"), "created_after");
    app.advance(chrono::TimeDelta::days(100)).await;
    let late = app.sign_up("Late").await;
    assert_eq!(parse(&late.get(PATH).await.expect(StatusCode::OK).text()).len(), 2);
    app.finish().await;
}

/// Whatever is read of the database before somebody asks for it would have to be kept somewhere.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_read_than_is_asked_for() {
    let (app, ours, _) = scene(5_000).await;
    let response = open(&app, &ours, PATH).await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body().into_data_stream();
    let head = body.next().await.expect("a head").expect("bytes");
    assert!(head.ends_with(b"meta\r\n"));
    let first = body.next().await.expect("a page").expect("bytes");
    let lines = |bytes: &Bytes| bytes.windows(2).filter(|two| two == b"\r\n").count();
    assert_eq!(lines(&first), 500);
    // Time enough for whoever reads ahead.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    sqlx::query("delete from events").execute(&mut app.superuser().await).await.expect("deleted");
    let rest: Vec<Bytes> = body.map(|chunk| chunk.expect("bytes")).collect().await;
    assert_eq!(rest.iter().map(lines).sum::<usize>(), 0, "what was deleted had not been read");
    app.finish().await;
}

/// Memory is measured where it counts: each piece that is handed on, of a log that is many times as long.
#[tokio::test(flavor = "multi_thread")]
async fn no_piece_of_a_long_file_is_large() {
    let (app, ours, _) = scene(0).await;
    fill(&mut app.superuser().await, ours.organization, 60_000, app.clock().now()).await;
    let mut body = open(&app, &ours, PATH).await.into_body().into_data_stream();
    let (mut whole, mut largest) = (0, 0);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.expect("bytes");
        whole += chunk.len();
        largest = largest.max(chunk.len());
    }
    assert!(whole > 8_000_000 && largest < 100_000, "{whole} bytes in pieces of {largest} at most");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_no_longer_read_the_log_gets_a_file_that_is_cut_off() {
    let (app, ours, _) = scene(5_000).await;
    let viewer = ours.member(Role::Viewer).await;
    let mut body = open(&app, &viewer, PATH).await.into_body().into_data_stream();
    for _ in 0..2 {
        body.next().await.expect("a page").expect("bytes");
    }
    sqlx::query("update organization_members set role = 'sales' where user_id = $1")
        .bind(viewer.user)
        .execute(&mut app.superuser().await)
        .await
        .expect("another role");
    let broken = body.next().await.expect("an end that is told");
    assert!(broken.is_err(), "a file that merely ends would pass for a whole one");
    app.finish().await;
}

/// Over a socket, where a reader sees nothing but whether the last chunk came.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_in_the_middle_leaves_a_file_that_is_cut_off() {
    const LINES: i64 = 60_000;
    let (app, ours, _) = scene(0).await;
    fill(&mut app.superuser().await, ours.organization, LINES, app.clock().now()).await;
    let node = app.listen().await;
    let request = plain_client().get(format!("http://{}{PATH}", node.address));
    let mut response = request.bearer_auth(ours.bearer.as_deref().expect("a session")).send().await.expect("a head");
    assert_eq!(response.status(), StatusCode::OK);
    let (mut holder, mut superuser) = (app.superuser().await, app.superuser().await);
    // The next page waits here, and then its connection is gone.
    sqlx::raw_sql("begin; lock table events in access exclusive mode").execute(&mut holder).await.expect("locked");
    let gone = async {
        loop {
            let ended: i64 = sqlx::query_scalar(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity
                 where datname = current_database() and usename = 'entrepot_app' and wait_event_type = 'Lock'",
            )
            .fetch_one(&mut superuser)
            .await
            .expect("backends end");
            if ended > 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let read = async {
        let mut lines = 0;
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    lines += i64::try_from(chunk.iter().filter(|byte| **byte == b'\n').count()).expect("few")
                }
                Ok(None) => panic!("it ends like a whole file, after {lines} lines"),
                Err(_) => return lines,
            }
        }
    };
    let ((), lines) = tokio::join!(gone, read);
    assert!((1..LINES).contains(&lines), "{lines}");
    sqlx::raw_sql("rollback").execute(&mut holder).await.expect("let go");
    // The place of what was cut off is free again, and the next file is whole.
    let whole = ours.get(PATH).await.expect(StatusCode::OK);
    assert_eq!(parse(whole.text().trim_start_matches('\u{feff}')).len(), 1 + 60_001);
    node.stop().await;
    app.finish().await;
}
