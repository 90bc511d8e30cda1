//! Nodes that serve while the master key is replaced, and one that lacks the new one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use serde_json::json;
use testkit::{Options, Process, TestApp};

use super::{logins, name};
use crate::process::{entrepot, new_key, refused};

const BINARY: &str = env!("CARGO_BIN_EXE_entrepot");
const PEOPLE: &str = "/api/team-members";

fn keys(current: &str, previous: Option<&str>) -> Vec<(&'static str, String)> {
    let previous = previous.map(|key| ("ENTREPOT_MASTER_KEY_PREVIOUS", key.to_owned()));
    [Some(("ENTREPOT_MASTER_KEY", current.to_owned())), previous].into_iter().flatten().collect()
}

async fn node(app: &TestApp, current: &str, previous: Option<&str>) -> Process {
    let environment = keys(current, previous);
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut process = Process::launch_with(BINARY, &app.installation, &environment);
    process.ready().await;
    process
}

fn rotate(app: &TestApp, current: &str, previous: &str) -> String {
    let output = entrepot(&["keys", "rotate"], &[])
        .envs(logins(&app.installation.database))
        .env("ENTREPOT_DATA_DIR", app.installation.data_dir.path())
        .envs(keys(current, Some(previous)))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|part| String::from_utf8(part).unwrap()).concat();
    assert!(output.status.success(), "{said}");
    said
}

fn person(number: usize) -> serde_json::Value {
    json!({ "full_name": format!("Person {number}"), "email": format!("p{number}@example.com"), "member_type": "sales" })
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_go_on_serving_while_the_master_key_is_replaced_and_one_without_the_new_key_says_so() {
    let app = TestApp::with(Options { in_real_time: true, ..Options::default() }).await;
    let (old, new) = (app.installation.master_key.clone(), new_key());
    let kata = app.sign_up("Kata").await;
    kata.post(PEOPLE, person(0)).await.expect(StatusCode::CREATED);
    let a = node(&app, &new, Some(&old)).await;
    let b = node(&app, &new, Some(&old)).await;
    // Not restarted by its operator yet.
    let late = node(&app, &old, None).await;
    let ference = app.sign_up("Ference").await;
    // With both keys and before it is replaced, the old one is used.
    ference.at_process(&a).post(PEOPLE, person(1)).await.expect(StatusCode::CREATED);
    ference.at_process(&late).get(PEOPLE).await.expect(StatusCode::OK);

    let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let reading: Vec<_> = [kata.at_process(&a), kata.at_process(&b), ference.at_process(&b)]
        .into_iter()
        .map(|reader| {
            let (stop, reads) = (stop.clone(), reads.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = reader.get(PEOPLE).await.expect(StatusCode::OK);
                    assert!(answer.text().contains("Person"), "{}", answer.short());
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let said = rotate(&app, &new, &old);
    assert!(said.contains("Done") && said.contains(&name(&new)), "{said}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    for reader in reading {
        reader.await.unwrap();
    }
    assert!(reads.load(Ordering::Relaxed) > 10);

    // What the installation derives is what it was: the page's CSRF token, a cursor, the session.
    kata.at_process(&a).get("/api/me").await.expect(StatusCode::OK);
    // A new organization's key is made under the new one, and the late node makes none.
    let third = app.sign_up("Third").await;
    third.at_process(&late).post(PEOPLE, person(2)).await.expect_problem(503, "keys_unavailable");
    third.at_process(&b).post(PEOPLE, person(2)).await.expect(StatusCode::CREATED);
    for reader in [&kata, &ference, &third] {
        reader.at_process(&late).get(PEOPLE).await.expect_problem(503, "keys_unavailable");
        reader.at_process(&a).get(PEOPLE).await.expect(StatusCode::OK);
    }
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while !late.log().contains("lacks the master key") {
        assert!(std::time::Instant::now() < until, "{}", late.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(late.log().contains(&name(&new)) && late.log().contains(&name(&old)), "{}", late.log());
    app.nobody().at_process(&late).get("/readyz").await.expect(StatusCode::SERVICE_UNAVAILABLE);

    // It is restarted with the new key alone: the old one is not needed any more, and not taken any more.
    drop(late);
    let alone = node(&app, &new, None).await;
    for reader in [&kata, &ference, &third] {
        reader.at_process(&alone).get(PEOPLE).await.expect(StatusCode::OK);
    }
    let data_dir = app.installation.data_dir.path().to_str().unwrap();
    let logins = logins(&app.installation.database);
    let mut environment: Vec<(&str, &str)> = logins.iter().map(|(name, value)| (*name, value.as_str())).collect();
    environment.push(("ENTREPOT_MASTER_KEY", &old));
    let said = refused(&["serve", "--data-dir", data_dir, "--listen", "127.0.0.1:0"], &environment);
    assert!(said.contains("was replaced by") && said.contains(&name(&old)) && said.contains(&name(&new)), "{said}");
    for process in [a, b, alone] {
        process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_nobody_finished_is_finished_by_a_node_that_serves() {
    let app = TestApp::with(Options { in_real_time: true, ..Options::default() }).await;
    let (old, new) = (app.installation.master_key.clone(), new_key());
    let kata = app.sign_up("Kata").await;
    kata.post(PEOPLE, person(0)).await.expect(StatusCode::CREATED);
    // The operator's command names the new key, and is killed while it waits for the first data keys.
    let mut superuser = app.superuser().await;
    let mut held = app.superuser().await;
    sqlx::raw_sql("begin; select 1 from data_keys for update").execute(&mut held).await.unwrap();
    let mut killed = entrepot(&["keys", "rotate"], &[])
        .envs(logins(&app.installation.database))
        .env("ENTREPOT_DATA_DIR", app.installation.data_dir.path())
        .envs(keys(&new, Some(&old)))
        .spawn()
        .unwrap();
    let unfinished = async |superuser: &mut sqlx::PgConnection| -> i64 {
        sqlx::query_scalar("select count(*) from key_rotations where finished_at is null")
            .fetch_one(superuser)
            .await
            .unwrap()
    };
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while unfinished(&mut superuser).await == 0 {
        assert!(std::time::Instant::now() < until, "it does not begin");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    sqlx::raw_sql("rollback").execute(&mut held).await.unwrap();
    assert_eq!(unfinished(&mut superuser).await, 1);

    let serving = node(&app, &new, Some(&old)).await;
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while unfinished(&mut superuser).await > 0 {
        assert!(std::time::Instant::now() < until, "{}", serving.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(serving.log().contains("every data key is wrapped under the new master key"), "{}", serving.log());
    kata.at_process(&serving).get(PEOPLE).await.expect(StatusCode::OK);
    serving.stop().await;
}

/// As a node does that knows of no rotations, and was not stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_data_key_that_is_left_under_the_old_key_keeps_it_from_being_called_removable() {
    let app = TestApp::with(Options { in_real_time: true, ..Options::default() }).await;
    let (old, new) = (app.installation.master_key.clone(), new_key());
    let kata = app.sign_up("Kata").await;
    kata.post(PEOPLE, person(0)).await.expect(StatusCode::CREATED);
    let mut superuser = app.superuser().await;
    let row: (uuid::Uuid, Vec<u8>, String) = sqlx::query_as("select id, wrapped, master_fingerprint from data_keys")
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    rotate(&app, &new, &old);
    sqlx::query("update data_keys set wrapped = $2, master_fingerprint = $3 where id = $1")
        .bind(row.0)
        .bind(row.1)
        .bind(row.2)
        .execute(&mut superuser)
        .await
        .unwrap();
    let (left, removable) = ("although it was replaced", "it can be removed");
    let says = async |node: &Process, words: &str| {
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while !node.log().contains(words) {
            assert!(std::time::Instant::now() < until, "{words}: {}", node.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let serving = node(&app, &new, Some(&old)).await;
    says(&serving, left).await;
    assert!(!serving.log().contains(removable), "{}", serving.log());
    kata.at_process(&serving).get(PEOPLE).await.expect(StatusCode::OK);
    serving.stop().await;

    let said = rotate(&app, &new, &old);
    assert!(said.contains("Remove ENTREPOT_MASTER_KEY_PREVIOUS"), "{said}");
    let serving = node(&app, &new, Some(&old)).await;
    says(&serving, removable).await;
    assert!(!serving.log().contains(left), "{}", serving.log());
    serving.stop().await;
}
