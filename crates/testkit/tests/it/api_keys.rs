//! API keys: checking them under load, their limit, their rotation, and what people and programs see of them.

use std::sync::Arc;

use axum::http::StatusCode;
use testkit::{Client, TestApp};
use tokio::task::JoinSet;

/// A well-formed key that nobody has.
fn unknown_key() -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let body = format!("api_shopcall_{}", kernel::random::base62(26));
    // CRC-32 (IEEE), bit by bit, in base62.
    let mut crc = !body.bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    });
    let mut checksum = [b'0'; 6];
    for digit in checksum.iter_mut().rev() {
        *digit = DIGITS[(crc % 62) as usize];
        crc /= 62;
    }
    format!("{body}{}", String::from_utf8_lossy(&checksum))
}

fn ask(calls: &mut JoinSet<testkit::Answer>, caller: &Client) {
    let caller = Arc::new(caller.clone());
    calls.spawn(async move { caller.get("/api/stores").await });
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_five_hundred_calls_with_ten_keys_all_succeed() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let mut keys = vec![];
    for number in 0..10 {
        keys.push(kata.create_key(&format!("key {number}")).await);
    }
    let restarted = app.second_node().await;
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        keys.iter().for_each(|key| ask(&mut calls, &key.on(&restarted)));
    }
    let answers = calls.join_all().await;
    assert_eq!(answers.len(), 500);
    for answer in answers {
        answer.expect(StatusCode::OK);
    }
    restarted.finish().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_too_many_unknown_texts_at_once_the_last_are_told_to_come_back() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let known = kata.create_key("known").await;
    known.get("/api/stores").await.expect(StatusCode::OK);
    let texts: Vec<String> = (0..100).map(|_| unknown_key()).collect();
    let mut calls = JoinSet::new();
    for text in &texts {
        // Twice: a text counts once, however often it is presented.
        ask(&mut calls, &app.nobody().presenting(text));
        ask(&mut calls, &app.nobody().presenting(text));
    }
    let mut busy = 0;
    while busy < 2 * (100 - 64) {
        let answer = calls.join_next().await.expect("more answers").expect("an answer");
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(answer.problem(), "overloaded");
            assert!(!answer.header("retry-after").is_empty());
            busy += 1;
        } else {
            answer.expect_problem(401, "unauthenticated");
        }
    }
    // A key that is known is not held up by them.
    let began = std::time::Instant::now();
    known.get("/api/stores").await.expect(StatusCode::OK);
    assert!(began.elapsed() < std::time::Duration::from_secs(1), "{:?}", began.elapsed());
    assert!((64..=128).contains(&calls.len()), "the others still wait: {}", calls.len());
    calls.abort_all();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_text_costs_one_check_however_often_it_is_repeated() {
    let app = TestApp::start().await;
    let wrong = app.nobody().presenting(&unknown_key());
    let began = std::time::Instant::now();
    wrong.get("/api/stores").await.expect_problem(401, "unauthenticated");
    let checked = began.elapsed();
    for _ in 0..100 {
        wrong.get("/api/stores").await.expect_problem(401, "unauthenticated");
    }
    assert!(began.elapsed() < 20 * checked, "{checked:?} for the first, {:?} for all", began.elapsed());
    app.finish().await;
}
