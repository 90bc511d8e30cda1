//! What narrows the log, alone and together, and what it costs.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::Value;

use super::{all_ids, scene};

const STORE: &str = "00000000-0000-7000-8000-000000000001";

/// A filter, and which of the numbered lines it leaves.
type Case = (&'static str, fn(i64) -> bool);

/// One of each kind; the sweep asks for each two of them together as well.
const CASES: &[Case] = &[
    ("connection_id=00000000-0000-7000-8000-000000000001", |n| n % 3 == 1),
    ("level=warning", |n| n % 100 == 0 && n % 1000 != 0),
    ("level=info", |n| n % 100 != 0),
    ("event_type=sync.started", |n| n % 5 == 0),
    ("event_type=sync.*", |n| n % 5 < 2),
    ("actor=system:task_2", |n| n % 4 == 2),
    ("search=line%201", |n| n.to_string().starts_with('1')),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_filter_and_each_two_together_leave_what_they_say() {
    const LINES: i64 = 3_000;
    let (app, ours, _) = scene(LINES).await;
    // The line about the sign-up is none of the numbered.
    let numbered = async |query: &str| -> Vec<i64> {
        let mut numbers = vec![];
        let mut cursor = String::new();
        loop {
            let path = format!("/api/integrations/events/?limit=100&{query}{cursor}");
            let page = ours.get(&path).await.expect(StatusCode::OK);
            let rows = page.at("/data").as_array().cloned().unwrap_or_default();
            numbers.extend(rows.iter().filter_map(|row| row["meta"]["n"].as_i64()));
            match page.at("/next_cursor").as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return numbers,
            }
        }
    };
    let expected = |is_left: &dyn Fn(i64) -> bool| (1..=LINES).rev().filter(|n| is_left(*n)).collect::<Vec<_>>();
    for (index, (query, is_left)) in CASES.iter().enumerate() {
        assert_eq!(numbered(query).await, expected(is_left), "{query}");
        for (other, also) in &CASES[index + 1..] {
            let name = |query: &str| query.split('=').next().map(str::to_owned);
            if name(query) != name(other) {
                let both = format!("{query}&{other}");
                assert_eq!(numbered(&both).await, expected(&|n| is_left(n) && also(n)), "{both}");
            }
        }
    }
    // From the line of one second to before that of another.
    let newest = app.clock().now();
    let page = ours.get("/api/integrations/events/?search=line%202900%20").await.expect(StatusCode::OK);
    let at: Value = page.at("/data/0/created_at");
    let at = chrono::DateTime::parse_from_rfc3339(at.as_str().expect("a time")).expect("a time");
    assert!(at < newest);
    let text = |time: chrono::DateTime<chrono::FixedOffset>| time.to_rfc3339().replace('+', "%2B");
    let range = format!("created_after={}&created_before={}", text(at), text(at + chrono::TimeDelta::seconds(10)));
    assert_eq!(numbered(&range).await, (2_900..2_910).rev().collect::<Vec<_>>());
    let some = format!("{range}&event_type=sync.started");
    assert_eq!(numbered(&some).await, [2_905, 2_900]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_cannot_be_meant_is_refused_by_name() {
    let (app, ours, _) = scene(1).await;
    let refused = [
        ("level", "level=debug"),
        ("event_type", "event_type=*"),
        ("event_type", "event_type=a%25"),
        ("actor", "actor=somebody"),
        ("search", "search="),
        ("created_before", "created_after=2026-01-02T00:00:00Z&created_before=2026-01-02T00:00:00Z"),
        ("created_after", "created_after=yesterday"),
    ];
    for (name, query) in refused {
        for path in ["/api/integrations/events/", "/api/integrations/events/export.csv"] {
            let answer = ours.get(&format!("{path}?{query}")).await.expect_problem(400, "invalid_request");
            assert_eq!(answer.at("/errors/0/pointer"), name, "{query}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_leave_nothing_of_a_neighbor() {
    let (app, ours, theirs) = scene(300).await;
    for (query, _) in CASES {
        let (mine, others) = (all_ids(&ours, query).await, all_ids(&theirs, query).await);
        assert!(!mine.is_empty() && mine.len() == others.len(), "{query}");
        assert!(mine.iter().all(|id| !others.contains(id)), "{query}");
    }
    app.finish().await;
}

/// A page looks at a bounded part of the log: what is rare is found page by page, and none of them takes long. The limit is
/// generous here, where the machine does other things too.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_leaves_next_to_nothing_is_answered_in_bounded_pages() {
    let (app, ours, _) = scene(25_000).await;
    let first = format!("/api/integrations/events/?connection_id={STORE}&search=line%207%20of");
    let (mut found, mut pages, mut cursor) = (vec![], 0, String::new());
    loop {
        let began = Instant::now();
        let page = ours.get(&format!("{first}{cursor}")).await.expect(StatusCode::OK);
        assert!(began.elapsed() < Duration::from_secs(2), "a page took {:?}", began.elapsed());
        pages += 1;
        found.extend(page.at("/data").as_array().cloned().unwrap_or_default());
        match page.at("/next_cursor").as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0]["meta"]["n"].as_i64(), pages),
        (Some(7), 1),
        "its connection has 8,334 lines, which is one page"
    );
    let by_text = all_ids(&ours, "search=line%207%20of").await;
    assert_eq!(by_text.len(), 1);
    let page = ours.get("/api/integrations/events/?search=line%207%20of").await.expect(StatusCode::OK);
    assert_eq!(page.at("/data").as_array().map(Vec::len), Some(0), "not among the newest ten thousand");
    assert!(page.at("/next_cursor").is_string(), "and there is more to look at");
    app.finish().await;
}
