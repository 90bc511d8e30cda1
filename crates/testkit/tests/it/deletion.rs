//! Deleting an organization leaves no way back, whatever is under way while it happens.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::TimeDelta;
use kernel::{Action, ConnectionId, Resource, TenantScope, scope::InternalTask};
use kit::{app::Parts, data_keys, vault::Scope};
use sandbox::faults::{Fault, Rule};
use serde_json::json;
use testkit::{Answer, Member, TestApp};
use tokio::task::JoinHandle;
use uuid::Uuid;

const SHOP: &str = "kavebolt.example";

async fn delete(owner: &Member) -> Answer {
    let name = json!({ "name": owner.organization_name });
    owner.delete(&format!("/api/organizations/{}", owner.organization), name).await
}

/// How many data keys could still be opened with a shard.
async fn live_keys(app: &TestApp, organization: Uuid) -> i64 {
    sqlx::query_scalar("select count(*) from data_keys where organization_id = $1 and wrapped is not null")
        .bind(organization)
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a count")
}

/// The files of the key store that are shards.
fn shards(app: &TestApp) -> Vec<std::path::PathBuf> {
    let folders = std::fs::read_dir(app.installation.data_dir.path().join("keys")).expect("a key store");
    let folders = folders.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).expect("a folder"));
    let files = files.map(|entry| entry.expect("an entry").path());
    files.filter(|path| path.file_name().is_some_and(|name| Uuid::try_parse(&name.to_string_lossy()).is_ok())).collect()
}

/// Waits for what was under way when the organization was deleted.
async fn late<T>(app: &TestApp, owner: &Member, under_way: JoinHandle<T>) -> T {
    // The request has reached the shop by now, which takes its time.
    tokio::time::sleep(Duration::from_millis(700)).await;
    delete(owner).await.expect(StatusCode::NO_CONTENT);
    assert!(!under_way.is_finished(), "it was under way when the organization was deleted");
    let outcome = under_way.await.expect("no request panics");
    assert_eq!(live_keys(app, owner.organization).await, 0, "data keys that could be opened");
    assert_eq!(shards(app), Vec::<std::path::PathBuf>::new(), "shards");
    outcome
}

fn slowly() -> Fault {
    Fault::Delay(Duration::from_millis(2_500))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_is_being_connected_leaves_no_key_behind() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    app.sandbox().woocommerce().shop(SHOP).expect("a shop").faults().inject(Rule::from(slowly()).times(1));
    let (owner, form) = (kata.clone(), kata.woocommerce_form(SHOP));
    let connect = tokio::spawn(async move { owner.post("/api/integrations/connections/", form).await });
    late(&app, &kata, connect).await.expect_problem(404, "not_found");
    let connections: i64 = sqlx::query_scalar("select count(*) from connections")
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a count");
    assert_eq!(connections, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_is_being_exchanged_leaves_no_key_behind() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let shop = app.sandbox().shopify().shop("kis-bolt").expect("a shop");
    shop.faults().inject(Rule::from(slowly()).on("/admin/oauth/access_token"));
    let owner = kata.clone();
    let consent = tokio::spawn(async move { owner.consent_to("kis-bolt", json!({})).await.answer });
    late(&app, &kata, consent).await.expect_problem(404, "not_found");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_being_replaced_leave_no_key_behind() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_woocommerce(SHOP).await;
    app.sandbox().woocommerce().shop(SHOP).expect("a shop").faults().inject(Rule::from(slowly()).times(1));
    let (owner, form) = (kata.clone(), json!({ "credential": kata.woocommerce_form(SHOP)["credential"] }));
    let path = format!("/api/integrations/connections/{store}/credential/");
    let replace = tokio::spawn(async move { owner.post(&path, form).await });
    late(&app, &kata, replace).await.expect_problem(404, "not_found");
    let sealed: i64 = sqlx::query_scalar("select count(*) from credentials where rotated_from is not null")
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a count");
    assert_eq!(sealed, 0, "the new credential was not kept");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_being_renewed_is_dropped() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let store = kata.connect_shopify("kis-bolt").await;
    let sealed = "select sealed from credentials";
    let before: Vec<u8> = sqlx::query_scalar(sealed).fetch_one(&mut app.superuser().await).await.expect("a credential");
    app.advance(sandbox::shopify::ACCESS_LIFE + TimeDelta::seconds(1)).await;
    kata.prove().await;
    let shop = app.sandbox().shopify().shop("kis-bolt").expect("a shop");
    shop.faults().inject(Rule::from(slowly()).on("/admin/oauth/access_token"));
    let owner = kata.clone();
    let path = format!("/webshop-data-api/orders?store_id={store}");
    let read = tokio::spawn(async move { owner.get(&path).await });
    let answer = late(&app, &kata, read).await;
    assert_ne!(answer.status, StatusCode::OK, "{}", answer.short());
    let after: Vec<u8> = sqlx::query_scalar(sealed).fetch_one(&mut app.superuser().await).await.expect("a credential");
    assert_eq!(after, before, "nothing was saved");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_store_that_fails_does_not_undo_a_deletion_and_is_tried_again() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    kata.connect_woocommerce(SHOP).await;
    let [shard] = shards(&app).try_into().expect("one shard");
    // What cannot be overwritten cannot be destroyed.
    std::fs::remove_file(&shard).expect("removed");
    std::fs::create_dir(&shard).expect("in its place");

    delete(&kata).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(live_keys(&app, kata.organization).await, 0);
    let state = async || -> Option<String> {
        sqlx::query_scalar("select state from jobs where name = 'destroy_shards'")
            .fetch_optional(&mut app.superuser().await)
            .await
            .expect("a job")
    };
    app.eventually("the job fails for now", || async { state().await.as_deref() == Some("retrying") }).await;

    std::fs::remove_dir(&shard).expect("removed");
    std::fs::write(&shard, [1; 48]).expect("a shard");
    app.advance(TimeDelta::minutes(1)).await;
    app.eventually("the job is done", || async { state().await.is_none() }).await;
    assert_eq!(shards(&app), Vec::<std::path::PathBuf>::new());
    app.finish().await;
}

/// Rows of data keys that were made long ago, whose shards are gone already.
async fn old_keys(app: &TestApp, organization: Uuid, count: i32) {
    sqlx::query(
        "insert into data_keys (organization_id, id, scope, scope_id, key_version, wrapped, master_fingerprint, created_at)
         select $1, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'import', gen_random_uuid(), 1, '\\x00', 'test', $3
         from generate_series(1, $2) n",
    )
    .bind(organization)
    .bind(count)
    .bind(app.clock().now())
    .execute(&mut app.superuser().await)
    .await
    .expect("data keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_data_keys_there_are_all_shards_go() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    kata.connect_woocommerce(SHOP).await;
    // As one list of ids they would not fit into the payload of a job. The real key is the last of all.
    old_keys(&app, kata.organization, 2_000).await;
    let [shard] = shards(&app).try_into().expect("one shard");
    std::fs::remove_file(&shard).expect("removed");
    std::fs::create_dir(&shard).expect("in its place");
    delete(&kata).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(live_keys(&app, kata.organization).await, 0);
    let states = async || -> Vec<String> {
        sqlx::query_scalar("select state from jobs where name = 'destroy_shards'")
            .fetch_all(&mut app.superuser().await)
            .await
            .expect("jobs")
    };
    app.eventually("the last page fails for now", || async { states().await == ["retrying"] }).await;
    let after: String = sqlx::query_scalar("select payload ->> 'after' from jobs where name = 'destroy_shards'")
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a position");
    assert_eq!(after, "00000000-0000-7000-8000-0000000007d0", "the two thousand before it are seen to");

    std::fs::remove_dir(&shard).expect("removed");
    std::fs::write(&shard, [1; 48]).expect("a shard");
    app.advance(TimeDelta::minutes(1)).await;
    app.eventually("the job is done", || async { states().await.is_empty() }).await;
    assert_eq!(shards(&app), Vec::<std::path::PathBuf>::new());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_names_data_keys_as_earlier_versions_did_is_done_all_the_same() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    kata.connect_woocommerce(SHOP).await;
    let [shard] = shards(&app).try_into().expect("one shard");
    delete(&kata).await.expect(StatusCode::NO_CONTENT);
    let left = async || -> i64 {
        sqlx::query_scalar("select count(*) from jobs where name = 'destroy_shards'")
            .fetch_one(&mut app.superuser().await)
            .await
            .expect("a count")
    };
    app.eventually("the deletion's own job is done", || async { left().await == 0 }).await;
    std::fs::write(&shard, [1; 48]).expect("a shard that was left behind");
    let now = app.clock().now();
    sqlx::query(
        "insert into jobs (organization_id, id, name, payload, run_at, due_at, state, created_at)
         values ($1, $2, 'destroy_shards', jsonb_build_object('data_keys', jsonb_build_array($3::text)), $4, $4, 'ready', $4)",
    )
    .bind(kata.organization)
    .bind(kernel::JobId::new(app.clock()).uuid())
    .bind(shard.file_name().expect("a name").to_string_lossy())
    .bind(now)
    .execute(&mut app.superuser().await)
    .await
    .expect("a job");
    app.eventually("the shard is gone", || async { shards(&app).is_empty() }).await;
    app.finish().await;
}

/// May use data keys, as whoever connects a shop may.
enum Sealing {}
impl InternalTask for Sealing {
    const NAME: &'static str = "sealing";
    const PERMISSIONS: &'static [(Resource, Action)] = &[(Resource::Connections, Action::Update)];
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_waits_for_what_is_being_sealed_and_destroys_it() {
    let app = TestApp::start().await;
    for with_a_new_key in [false, true] {
        let kata = app.sign_up("Kata").await;
        kata.connect_woocommerce(SHOP).await;
        let scope = TenantScope::internal::<Sealing>(kata.organization.into());
        let Parts { db, keyring, clock, .. } = &**app.app();
        let mut tx = db.tenant(&scope).await.expect("a transaction");
        if with_a_new_key {
            let connection = Scope::Connection(ConnectionId::new(clock));
            data_keys::create(&mut tx, keyring, clock, connection).await.expect("a key");
        } else {
            let id: Uuid = sqlx::query_scalar("select id from data_keys where organization_id = $1")
                .bind(kata.organization)
                .fetch_one(&mut app.superuser().await)
                .await
                .expect("a key");
            data_keys::open_to_seal(&mut tx, keyring, id.into()).await.expect("opens").expect("a key");
        }
        let owner = kata.clone();
        let deletion = tokio::spawn(async move { delete(&owner).await });
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(!deletion.is_finished(), "it waits");
        tx.commit().await.expect("committed");
        deletion.await.expect("no request panics").expect(StatusCode::NO_CONTENT);
        assert_eq!(live_keys(&app, kata.organization).await, 0);
    }
    assert_eq!(shards(&app), Vec::<std::path::PathBuf>::new());
    app.finish().await;
}
