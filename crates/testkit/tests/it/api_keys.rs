//! API keys: checking them under load, their limit, their rotation, and what people and programs see of them.

use std::sync::Arc;

use axum::http::StatusCode;
use chrono::{TimeDelta, Timelike};
use kernel::Role;
use serde_json::{Value, json};
use testkit::{Client, Key, Member, Options, TestApp};
use tokio::task::JoinSet;

/// A well-formed key that nobody has.
pub(crate) fn unknown_key() -> String {
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
    let mut calls = JoinSet::new();
    for _ in 0..120 {
        ask(&mut calls, &app.nobody().presenting(&unknown_key()));
    }
    let mut busy = 0;
    // A slow machine has checked some before it has asked about all.
    while busy < 30 {
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
    assert!(calls.len() > 30, "the others still wait: {}", calls.len());
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

#[tokio::test(flavor = "multi_thread")]
async fn of_too_many_new_keys_at_once_the_last_are_told_to_come_back() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let create = async || {
        let mut calls = JoinSet::new();
        for number in 0..40 {
            let (kata, form) = (kata.clone(), json!({ "name": format!("key {number}") }));
            calls.spawn(async move { kata.post("/api-key-management/create", form).await });
        }
        calls.join_all().await
    };
    let (mut made, mut busy) = (0, 0);
    for answer in create().await {
        match answer.status {
            StatusCode::CREATED => made += 1,
            StatusCode::SERVICE_UNAVAILABLE => {
                assert_eq!(answer.problem(), "overloaded");
                assert!(!answer.header("retry-after").is_empty());
                busy += 1;
            }
            _ => drop(answer.expect_problem(402, "plan_limit_reached")),
        }
    }
    assert!(busy > 0 && made <= 10, "{made} made, {busy} told to come back");
    for number in made..10 {
        kata.create_key(&format!("another {number}")).await;
    }
    // Whoever has ten is told so before anything is hashed.
    for answer in create().await {
        answer.expect_problem(402, "plan_limit_reached");
    }
    app.finish().await;
}

/// Moves the time to just after the beginning of a minute, so that what is counted falls into one.
async fn begin_a_minute(app: &TestApp) {
    let left = 60 - i64::from(app.clock().now().second());
    app.advance(TimeDelta::seconds(left)).await;
}

fn remaining(answer: &testkit::Answer) -> u32 {
    let header = answer.header("ratelimit");
    let remaining = header.split(';').find_map(|part| part.strip_prefix("r=")?.parse().ok());
    remaining.unwrap_or_else(|| panic!("no count in {header:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_one_minute_for_all_operations_and_each_request_is_counted_once() {
    let app = TestApp::with(Options { live_requests_per_minute: 10, ..Options::default() }).await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let (key, other) = (kata.create_key("counted").await, kata.create_key("other").await);
    begin_a_minute(&app).await;
    let live = format!("/webshop-data-api/products?store_id={store}");
    let asked: [(&str, u16); 10] = [
        (&live, 200),
        ("/api/stores", 200),
        ("/api-key-management/self", 200),
        // What a key may not do, and what is not there, counts too.
        ("/api/audit", 403),
        ("/api/me", 403),
        ("/api/stores/00000000-0000-7000-8000-000000000000", 404),
        ("/api/stores?limit=1000", 400),
        (&live, 200),
        ("/api/stores", 200),
        ("/api/integrations/connections/", 200),
    ];
    for (before, (path, status)) in asked.into_iter().enumerate() {
        let answer = key.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.short());
        assert_eq!(remaining(&answer), 9 - u32::try_from(before).unwrap(), "{path}");
        assert_eq!(answer.header("ratelimit-policy"), "\"minute\";q=10;w=60", "{path}");
    }
    for path in [&live, "/api/stores", "/api-key-management/self", "/api/audit"] {
        let answer = key.get(path).await.expect_problem(429, "rate_limited");
        let wait: u32 = answer.header("retry-after").parse().expect("seconds");
        assert!((1..=60).contains(&wait), "{path}: {wait}");
        assert_eq!(remaining(&answer), 0, "{path}");
    }
    // Another key has a minute of its own; people are not counted here.
    other.get("/api/stores").await.expect(StatusCode::OK);
    for _ in 0..12 {
        let answer = kata.get("/api/stores").await.expect(StatusCode::OK);
        assert_eq!(answer.header("ratelimit"), "");
    }
    begin_a_minute(&app).await;
    key.get("/api/stores").await.expect(StatusCode::OK);
    app.finish().await;
}

async fn listed(kata: &Member, key: &Key) -> Value {
    let list = kata.get("/api-key-management/list?limit=100").await.expect(StatusCode::OK);
    let rows = list.at("/data").as_array().cloned().unwrap_or_default();
    let id = json!(key.id);
    rows.into_iter().find(|row| row["key_id"] == id).unwrap_or_else(|| panic!("{id} is not listed"))
}

async fn rotate(kata: &Member, key: &Key, overlap_hours: u32) -> Key {
    let form = json!({ "key_id": key.id, "overlap_hours": overlap_hours });
    kata.key_of(&kata.post("/api-key-management/rotate", form).await.expect(StatusCode::CREATED))
}

async fn works(key: &Key) -> bool {
    match key.get("/api-key-management/self").await.status {
        StatusCode::OK => true,
        StatusCode::UNAUTHORIZED => false,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_changes_something_finds_it_changed_by_their_next_call() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    for number in 0..10 {
        let key = kata.create_key("ends").await;
        assert!(works(&key).await);
        match number % 2 {
            0 => {
                drop(kata.post("/api-key-management/revoke", json!({ "key_id": key.id })).await.expect(StatusCode::OK))
            }
            _ => drop(rotate(&kata, &key, 0).await),
        }
        assert!(!works(&key).await, "a key that was ended the moment before, {number}");
        kata.post("/api-key-management/revoke", json!({ "key_id": key.id })).await;
    }
    let bela = kata.member(kernel::Role::ShopManager).await;
    let key = bela.create_key("Béla's").await;
    let list = kata.get("/api/members").await.expect(StatusCode::OK).at("/data");
    let seat = list.as_array().and_then(|rows| rows.iter().find(|row| row["role"] == "shop_manager")).expect("a seat");
    let seat = format!("/api/members/{}", seat["id"].as_str().expect("an id"));
    for number in 0..20 {
        for (status, may) in [("suspended", false), ("active", true)] {
            kata.patch(&seat, json!({ "status": status })).await.expect(StatusCode::OK);
            assert_eq!(key.get("/api/stores").await.status.is_success(), may, "{status}, {number}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_in_pages_newest_first() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    for number in 0..5 {
        kata.create_key(&format!("key {number}")).await;
    }
    let (mut names, mut cursor) = (vec![], String::new());
    loop {
        let page = kata.get(&format!("/api-key-management/list?limit=2{cursor}")).await.expect(StatusCode::OK);
        let rows = page.at("/data").as_array().cloned().unwrap_or_default();
        assert!(rows.len() <= 2);
        names.extend(rows.iter().map(|row| row["name"].as_str().expect("a name").to_owned()));
        match page.at("/next_cursor").as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["key 4", "key 3", "key 2", "key 1", "key 0"]);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_as_it_works_and_not_as_the_daily_job_left_it() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (expiring, old) =
        (kata.create_key_with(json!({ "name": "expiring", "expires_in_days": 1 })).await, kata.create_key("old").await);
    let given = listed(&kata, &old).await["expires_at"].clone();
    let new = rotate(&kata, &old, 2).await;
    let row = listed(&kata, &old).await;
    assert_eq!(row["state"], "active");
    assert!(row["expires_at"].as_str() < given.as_str(), "{row} ends before {given}");
    assert_eq!(listed(&kata, &new).await["rotated_from"], json!(old.id));
    app.advance(TimeDelta::minutes(121)).await;
    let row = listed(&kata, &old).await;
    assert_eq!((&row["state"], &row["state_reason"]), (&json!("expired"), &json!("reached its expiry")));
    assert_eq!(listed(&kata, &expiring).await["state"], "active");
    app.advance(TimeDelta::hours(23)).await;
    assert_eq!(listed(&kata, &expiring).await["state"], "expired");
    assert!(!works(&expiring).await && works(&new).await);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_keys_that_replaced_one_another_two_work_at_most() {
    let app = TestApp::with(Options { live_requests_per_minute: 10_000, ..Options::default() }).await;
    let kata = app.sign_up("Kata").await;
    let mut chain = vec![kata.create_key("chained").await];
    for _ in 0..4 {
        let next = rotate(&kata, chain.last().expect("a key"), 168).await;
        chain.push(next);
        for (place, key) in chain.iter().rev().enumerate() {
            if place < 2 {
                assert!(works(key).await, "the newest and the one before it");
            } else {
                app.within_a_second("an older key ends", || async { !works(key).await }).await;
            }
        }
    }
    let events = kata.get("/api/integrations/events/?limit=100").await.expect(StatusCode::OK);
    let of = |kind: &str| {
        let events = events.at("/data").as_array().cloned().unwrap_or_default();
        events.into_iter().filter(|event| event["event_type"] == kind).collect::<Vec<_>>()
    };
    assert_eq!((of("api_key.created").len(), of("api_key.rotated").len()), (1, 4));
    let newest = &of("api_key.rotated")[0];
    assert_eq!(newest["meta"]["key_id"], json!(chain[4].id));
    assert_eq!(newest["meta"]["old_key_id"], json!(chain[3].id));
    assert_eq!(newest["meta"]["ended_key_id"], json!(chain[2].id));
    let ends = newest["meta"]["old_key_ends_at"].as_str().expect("a time");
    assert!(
        newest["message"].as_str().expect("words").contains(&format!("the old key ends at {}", &ends[..19])),
        "{newest}"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_its_overlap_counts_when_its_replacement_is_gone() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let first = kata.create_key("key 0").await;
    for number in 1..10 {
        kata.create_key(&format!("key {number}")).await;
    }
    let replacement = rotate(&kata, &first, 168).await;
    let eleventh = json!({ "name": "eleventh" });
    kata.post("/api-key-management/create", eleventh.clone()).await.expect_problem(402, "plan_limit_reached");
    kata.post("/api-key-management/revoke", json!({ "key_id": replacement.id })).await.expect(StatusCode::OK);
    assert!(works(&first).await);
    kata.post("/api-key-management/create", eleventh.clone()).await.expect_problem(402, "plan_limit_reached");
    app.advance(TimeDelta::hours(169)).await;
    kata.post("/api-key-management/create", eleventh).await.expect(StatusCode::CREATED);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_begin_as_the_installation_chose() {
    let prefix = "shop24_live_";
    let app = TestApp::with(Options { api_key_prefix: prefix.parse().expect("a prefix"), ..Options::default() }).await;
    let kata = app.sign_up("Kata").await;
    let key = kata.create_key("ours").await;
    assert!(key.text.starts_with(prefix) && key.text.len() == prefix.len() + 32, "the form of a key");
    assert_eq!(listed(&kata, &key).await["prefix"], key.text[..prefix.len() + 8]);
    assert!(works(&key).await);
    let usual = app.nobody().presenting(&key.text.replace(prefix, "api_shopcall_"));
    usual.get("/api/stores").await.expect_problem(401, "unauthenticated");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_can_ask_what_it_is() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce("kavebolt.example").await;
    let manager = kata.member(Role::ShopManager).await;
    let limited = manager.create_key_with(json!({ "name": "limited", "stores": [store] })).await;
    let own = limited.get("/api-key-management/self").await.expect(StatusCode::OK).json();
    assert_eq!(own["key_id"], json!(limited.id));
    assert_eq!(own["name"], "limited");
    assert_eq!(own["organization_id"], json!(kata.organization));
    assert_eq!(own["organization_name"], json!(kata.organization_name));
    assert_eq!(own["permissions"], json!({ "webshop_data": true }));
    assert_eq!(own["scopes"], json!(["customers:read", "orders:read", "products:read", "connections:read"]));
    assert_eq!(own["stores"], json!([store]));
    assert_eq!(own["expires_at"], listed(&kata, &limited).await["expires_at"]);
    assert_eq!(own["limit_per_minute"], 100);

    // What the creator may no longer do, the key may not either.
    sqlx::query("update organization_members set role = 'employee' where user_id = $1")
        .bind(manager.user)
        .execute(&mut app.superuser().await)
        .await
        .expect("a smaller role");
    app.within_a_second("fewer scopes", || async {
        let own = limited.get("/api-key-management/self").await.expect(StatusCode::OK);
        own.at("/scopes") == json!(["products:read", "connections:read"])
    })
    .await;
    let all = kata.create_key_with(json!({ "name": "nothing", "permissions": { "webshop_data": false } })).await;
    let own = all.get("/api-key-management/self").await.expect(StatusCode::OK).json();
    assert_eq!((&own["scopes"], &own["stores"]), (&json!([]), &Value::Null));

    let person = kata.get("/api-key-management/self").await.expect_problem(400, "invalid_request");
    assert!(person.at("/detail").as_str().is_some_and(|detail| detail.contains("/api/me")), "{}", person.short());
    app.nobody().get("/api-key-management/self").await.expect_problem(401, "unauthenticated");
    kata.post("/api-key-management/revoke", json!({ "key_id": limited.id })).await.expect(StatusCode::OK);
    app.within_a_second("a revoked key", || async { !works(&limited).await }).await;
    app.finish().await;
}

/// Touches what decides about the keys of an organization, and nothing else.
async fn touch_members(app: &TestApp, organization: uuid::Uuid) {
    sqlx::query("update organization_members set stations = stations where organization_id = $1")
        .bind(organization)
        .execute(&mut app.superuser().await)
        .await
        .expect("touched");
}

/// Gives a key another name, of which no node is told.
async fn rename(app: &TestApp, key: &Key, name: &str) {
    sqlx::query("update user_api_keys set key_name = $2 where id = $1")
        .bind(key.id)
        .bind(name)
        .execute(&mut app.superuser().await)
        .await
        .expect("renamed");
}

async fn is_called(key: &Key, name: &str) -> bool {
    key.get("/api-key-management/self").await.expect(StatusCode::OK).at("/name") == name
}

/// Two organizations with a key each. What is notified for the second is heard after what was notified for the first.
async fn two_keys(app: &TestApp) -> [(Member, Key); 2] {
    let (kata, other) = (app.sign_up("Kata").await, app.sign_up("Other").await);
    let keys = [kata.create_key("before").await, other.create_key("before").await];
    for key in &keys {
        assert!(is_called(key, "before").await);
    }
    let [first, second] = keys;
    [(kata, first), (other, second)]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_in_one_organization_leaves_the_keys_of_others_warm() {
    let app = TestApp::with(Options { live_requests_per_minute: 10_000, ..Options::default() }).await;
    let [(_, known), (other, witness)] = two_keys(&app).await;
    rename(&app, &known, "after").await;
    rename(&app, &witness, "after").await;
    app.sign_up("Somebody").await;
    touch_members(&app, other.organization).await;
    app.eventually("a change of its organization is heard", || is_called(&witness, "after")).await;
    app.eventually("the other is remembered as it was", || is_called(&known, "before")).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_with_a_key_that_was_forgotten_ask_the_database_once() {
    let app = TestApp::start().await;
    let [(kata, key), (other, witness)] = two_keys(&app).await;
    touch_members(&app, kata.organization).await;
    rename(&app, &witness, "after").await;
    touch_members(&app, other.organization).await;
    app.eventually("both were forgotten", || is_called(&witness, "after")).await;

    let (mut superuser, mut watcher) = (app.superuser().await, app.superuser().await);
    sqlx::query("begin").execute(&mut superuser).await.expect("begins");
    sqlx::query("lock table user_api_keys in access exclusive mode").execute(&mut superuser).await.expect("a lock");
    let mut calls = JoinSet::new();
    for _ in 0..40 {
        ask(&mut calls, &key);
    }
    let mut waiting = async || -> i64 {
        sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock' and query like '%-- key_with_creator%'",
        )
        .fetch_one(&mut watcher)
        .await
        .expect("activity")
    };
    while waiting().await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(waiting().await, 1);
    sqlx::query("rollback").execute(&mut superuser).await.expect("rolls back");
    for answer in calls.join_all().await {
        answer.expect(StatusCode::OK);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_gone_has_neither_keys_nor_sessions_within_a_second() {
    let a = TestApp::start().await;
    let b = a.second_node().await;
    let kata = a.sign_up("Kata").await;
    let manager = kata.member(Role::ShopManager).await;
    let (key, staying) = (manager.create_key("of one who goes").await, kata.create_key("of one who stays").await);
    let nodes = [key.clone().on(&a), key.on(&b)];
    for node in &nodes {
        node.get("/api/stores").await.expect(StatusCode::OK);
    }
    sqlx::query("update users set deleted_at = created_at where id = $1")
        .bind(manager.user)
        .execute(&mut a.superuser().await)
        .await
        .expect("deleted");
    for node in &nodes {
        a.within_a_second("the key ends", || async {
            node.get("/api/stores").await.status == StatusCode::UNAUTHORIZED
        })
        .await;
    }
    for node in [&manager, &manager.at(&b)] {
        node.get("/api/me").await.expect_problem(401, "unauthenticated");
    }
    staying.get("/api/stores").await.expect(StatusCode::OK);
    kata.get("/api/me").await.expect(StatusCode::OK);
    b.finish().await;
    a.finish().await;
}

/// The text of one of the program's queries, by its name.
fn query(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.sqlx");
    let texts = std::fs::read_dir(folder).expect("the queries of the program").map(|file| {
        let text = std::fs::read(file.expect("a file").path()).expect("a query");
        let description: Value = serde_json::from_slice(&text).expect("JSON");
        description["query"].as_str().expect("a text").to_owned()
    });
    let first_line = format!("-- {name}\n");
    texts.into_iter().find(|text| text.contains(&first_line)).unwrap_or_else(|| panic!("no query is called {name}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_found_by_their_organization_and_id_and_not_by_looking_at_all() {
    let mut superuser = testkit::cluster::Database::create().await.superuser().await;
    let mut run = async |sql: String| -> Vec<String> {
        let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_all(&mut superuser).await.expect("it runs");
        rows.iter().map(|row| sqlx::Row::get(row, 0)).collect()
    };
    // Many keys of many organizations, so that looking at all, or at all of one, is the dearer way.
    let (user, at, each) = (uuid::Uuid::from_u128(1), "2026-01-01T00:00:00Z", "generate_series(1, 100) n");
    for sql in [
        format!(
            "insert into users (id, email, name, password_hash, created_at) values ('{user}', 'a@people.example', 'a', 'none', '{at}')"
        ),
        format!(
            "insert into organizations (id, name, slug, subscription_status, subscription_plan, created_at)
             select md5(n::text)::uuid, 'one', 'one-' || n, 'trial', 'free', '{at}' from {each}"
        ),
        format!(
            "insert into organization_members (organization_id, id, user_id, role, status, created_at)
             select md5(n::text)::uuid, '{user}', '{user}', 'owner', 'active', '{at}' from {each}"
        ),
        format!(
            "insert into user_api_keys (organization_id, id, user_id, key_name, lookup, key_hash, expires_at, created_at, updated_at)
             select md5(n::text)::uuid, md5(n || 'key' || k)::uuid, '{user}', 'key', lpad(to_hex(k), 8, '0'), 'hash', '{at}', '{at}', '{at}'
             from {each}, generate_series(1, 100) k"
        ),
        "analyze users, organizations, organization_members, user_api_keys".to_owned(),
        "set plan_cache_mode = force_generic_plan".to_owned(),
    ] {
        run(sql).await;
    }
    for (name, values) in [("key_with_creator", "null, null"), ("update_api_key_last_used", "null, null, null")] {
        run(format!("prepare {name} as {}", query(name))).await;
        let plan = run(format!("explain execute {name}({values})")).await;
        let found = plan.iter().skip_while(|line| !line.contains("user_api_keys_pkey on user_api_keys")).nth(1);
        let condition = found.unwrap_or_else(|| panic!("{plan:#?}"));
        assert!(condition.contains("(organization_id = ") && condition.contains("(id = "), "{plan:#?}");
    }
}
