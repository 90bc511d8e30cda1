use std::{process::Command, time::Duration};

use http::StatusCode;
use kernel::Role;
use serde_json::json;
use testkit::{Client, Member, Options, Process, TestApp};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{BINARY, TURN, list};

/// What becomes of the connection on which the other process hears of changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ear {
    Hears,
    /// Cut whenever it is there.
    Cut,
    /// There, and silent, as behind a firewall that forgot it.
    Silent,
}

/// The backends on which nodes listen.
async fn ears(app: &TestApp) -> Vec<i32> {
    sqlx::query_scalar(
        "select pid from pg_stat_activity where application_name = 'entrepot_listener' and datname = current_database()",
    )
    .fetch_all(&mut app.superuser().await)
    .await
    .unwrap()
}

/// Backends that stand still, and go on when this is dropped.
struct Stopped(Vec<i32>);

impl Stopped {
    /// Those that listen, besides these.
    async fn all_but(app: &TestApp, others: &[i32]) -> Self {
        let pids: Vec<i32> = sqlx::query_scalar(
            "select pid from pg_stat_activity
             where application_name = 'entrepot_listener' and datname = current_database() and pid <> all ($1)
               and query ilike 'listen%'",
        )
        .bind(others)
        .fetch_all(&mut app.superuser().await)
        .await
        .unwrap();
        assert_eq!(pids.len(), 1, "one connection of the process listens");
        signal("-STOP", &pids);
        Self(pids)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal("-CONT", &self.0);
    }
}

fn signal(signal: &str, pids: &[i32]) {
    let pids = pids.iter().map(i32::to_string);
    assert!(Command::new("kill").arg(signal).args(pids).status().unwrap().success());
}

/// Ends what listens, besides these, as soon as it is back.
async fn cut_all_but(app: &TestApp, others: Vec<i32>) -> JoinHandle<()> {
    let mut superuser = app.superuser().await;
    tokio::spawn(async move {
        loop {
            sqlx::query(
                "select pg_terminate_backend(pid) from pg_stat_activity
                 where application_name = 'entrepot_listener' and datname = current_database() and pid <> all ($1)",
            )
            .bind(&others)
            .execute(&mut superuser)
            .await
            .unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
}

/// A member with a key, which works at the other process.
struct Programmer {
    seat: String,
    key: Client,
}

async fn programmer(owner: &Member, there: &Process, store: Uuid) -> Programmer {
    let member = owner.member(Role::Administrator).await;
    let key = member.create_key("of a member").await.at_process(there);
    key.get(&list("customers", store)).await.expect(StatusCode::OK);
    let seats = owner.get("/api/members?limit=100").await.expect(StatusCode::OK).at("/data");
    let seat = seats.as_array().unwrap().iter().find(|seat| seat["email"] == json!(member.email)).unwrap();
    Programmer { seat: format!("/api/members/{}", seat["id"].as_str().unwrap()), key }
}

async fn what_is_taken_away_at_one_process_is_gone_at_the_other(ear: Ear) {
    let _turn = TURN.lock().await;
    let options = Options { in_real_time: true, live_requests_per_minute: 100_000, ..Options::default() };
    let app = TestApp::with(options).await;
    let kata = app.sign_up("Kata").await;
    let host = "kavebolt.example";
    let store = kata.connect_woocommerce(host).await;
    let a = Process::start(BINARY, &app.installation).await;
    let others = ears(&app).await;
    let b = Process::start(BINARY, &app.installation).await;
    let here = kata.at_process(&a);
    let (key, sound) = (kata.create_key("revoked").await, kata.create_key("sound").await.at_process(&b));
    let there = key.at_process(&b);
    let (lowered, removed) = (programmer(&kata, &b, store).await, programmer(&kata, &b, store).await);
    let customers = list("customers", store);
    let cut = if ear == Ear::Cut { Some(cut_all_but(&app, others.clone()).await) } else { None };
    let silent = if ear == Ear::Silent { Some(Stopped::all_but(&app, &others).await) } else { None };
    for caller in [&there, &sound, &lowered.key, &removed.key] {
        caller.get(&customers).await.expect(StatusCode::OK);
    }
    let answers = async |caller: &Client, status: StatusCode| caller.get(&customers).await.status == status;

    here.post("/api-key-management/revoke", json!({ "key_id": key.id })).await.expect(StatusCode::OK);
    app.within_a_second("a revoked key", || answers(&there, StatusCode::UNAUTHORIZED)).await;

    here.patch(&lowered.seat, json!({ "role": "employee" })).await.expect(StatusCode::OK);
    app.within_a_second("a lower role", || answers(&lowered.key, StatusCode::FORBIDDEN)).await;

    here.delete(&removed.seat, json!({})).await.expect(StatusCode::NO_CONTENT);
    app.within_a_second("a seat taken away", || answers(&removed.key, StatusCode::UNAUTHORIZED)).await;

    let permissions =
        json!({ "allow_customer_access": false, "allow_order_access": true, "allow_product_access": true });
    let form = json!({ "data_access_permissions": permissions, "reason": "the owner says so" });
    here.put(&format!("/api/stores/{store}/permissions"), form).await.expect(StatusCode::OK);
    app.within_a_second("customers switched off", || answers(&sound, StatusCode::FORBIDDEN)).await;
    let asked = app.sandbox().woocommerce().shop(host).unwrap().calls().count();
    sound.get(&customers).await.expect_problem(403, "data_access_disabled");
    assert_eq!(app.sandbox().woocommerce().shop(host).unwrap().calls().count(), asked, "the shop is left alone");
    sound.get(&list("products", store)).await.expect(StatusCode::OK);

    drop(silent);
    if let Some(cut) = cut {
        cut.abort();
        assert!(b.log().contains("not hearing changes"), "the process was deaf: {}", b.log());
    }
    tokio::join!(a.stop(), b.stop());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_away_at_one_process_is_gone_at_the_other_within_a_second() {
    what_is_taken_away_at_one_process_is_gone_at_the_other(Ear::Hears).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_away_is_gone_within_a_second_at_a_process_whose_notifications_are_cut_off() {
    what_is_taken_away_at_one_process_is_gone_at_the_other(Ear::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_away_is_gone_within_a_second_at_a_process_whose_notifications_have_fallen_silent() {
    what_is_taken_away_at_one_process_is_gone_at_the_other(Ear::Silent).await;
}
