//! Another installation out of a backup, and what it must not bring back.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use axum::http::StatusCode;
use chrono::TimeDelta;
use db::Login;
use entrepot::{
    backup::{self, Made},
    doctor::{self, Finding, Severity},
    restore::{self, Restored},
    verify,
};
use kit::vault::{MASTER_KEY, MasterKey};
use serde_json::json;
use testkit::{
    TestApp,
    cluster::{Database, cluster},
    scan::{Needle, Scanner},
};

const SHOP: &str = "kavebolt.example";

/// Two places for backups.
struct Places(tempfile::TempDir);

impl Places {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    async fn back_up(&self, app: &TestApp) -> Made {
        let options = backup::Options {
            to: self.path("dumps"),
            shards_to: self.path("shards"),
            keep: 14,
            data_dir: app.installation.data_dir.path().to_owned(),
            external: Some(cluster().backup_target(app.installation.database.name())),
            key_database: None,
        };
        backup::run(&options, app.clock()).await.expect("a backup")
    }

    async fn restore(&self, app: &TestApp, dump: &Path, accept_lost_keys: bool) -> anyhow::Result<(TestApp, Restored)> {
        let (database, data_dir) = (Database::empty().await, tempfile::tempdir().expect("a folder"));
        let external = restore::External {
            owner: cluster().target(Login::Owner, database.name()),
            backup: Some(cluster().backup_target(database.name())),
        };
        let options = restore::Options {
            from: dump.to_owned(),
            shards_from: self.path("shards"),
            data_dir: data_dir.path().to_owned(),
            external: Some(external),
            key_database: None,
            master_keys: master_key(app).into(),
            accept_lost_keys,
        };
        let restored = restore::run(options).await?;
        Ok((app.restored(database, data_dir).await, restored))
    }
}

fn master_key(app: &TestApp) -> MasterKey {
    let text = &app.installation.master_key;
    MasterKey::from_lookup(|name| (name == MASTER_KEY).then(|| text.into())).expect("a master key")
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_restored_installation_sessions_keys_shops_and_seals_are_what_they_were() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let (store, shopify) = (kata.connect_woocommerce(SHOP).await, kata.connect_shopify("kis-bolt").await);
    let key = kata.create_key("bot").await;
    let orders = |store| format!("/webshop-data-api/orders?store_id={store}");
    let before = key.get(&orders(store)).await.expect(StatusCode::OK).at("/data");
    app.advance(TimeDelta::minutes(20)).await;
    let places = Places::new();
    let made = places.back_up(&app).await;
    assert_eq!((made.without_shard, made.shard_count > 1), (0, true), "{made:?}");

    let (restored, summary) = places.restore(&app, &made.database, false).await.expect("it is restored");
    assert!(summary.was_looked_at && summary.lost == 0 && summary.shards == made.facts.data_keys, "{summary:?}");
    let (kata, key) = (kata.at(&restored), key.on(&restored));
    kata.get("/api/me").await.expect(StatusCode::OK);
    assert_eq!(key.get(&orders(store)).await.expect(StatusCode::OK).at("/data"), before);
    key.get(&orders(shopify)).await.expect(StatusCode::OK);
    let events = kata.get("/api/integrations/events/").await.expect(StatusCode::OK);
    assert!(events.text().contains("connection"), "{}", events.short());
    // What is written goes on where the dump ended.
    kata.create_key("another").await;
    let faults = verify::verify(&restored.app().db, None, |_| ()).await.expect("logs are compared");
    assert!(faults.is_empty());
    let form = json!({ "email": kata.email, "password": kata.password });
    restored.nobody().post("/api/login", form).await.expect(StatusCode::OK);
    restored.finish().await;
    app.finish().await;
}

/// Between the last batch of a rotation and its end no data key is under the key before, which whoever starts needs all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_rotation_that_has_not_ended_names_both_keys() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    kata.create_key("bot").await;
    let before = "0123456789abcdef";
    let mut superuser = app.superuser().await;
    let active: String = sqlx::query_scalar("select value from installation where name = 'master_key'")
        .fetch_one(&mut superuser)
        .await
        .expect("a master key");
    let before = &before[..active.len()];
    sqlx::query(
        "insert into key_rotations (id, from_key, to_key, began_at, total) values (gen_random_uuid(), $1, $2, $3, 0)",
    )
    .bind(before)
    .bind(&active)
    .bind(app.clock().now())
    .execute(&mut superuser)
    .await
    .expect("a rotation");
    let places = Places::new();
    let made = places.back_up(&app).await;
    let both: BTreeSet<&str> = made.facts.master_keys.iter().map(String::as_str).collect();
    assert_eq!(both, BTreeSet::from([before, active.as_str()]));
    let refused = places.restore(&app, &made.database, false).await.err().expect("a key is missing");
    let refused = format!("{refused:#}");
    assert!(refused.contains("while the master key was replaced") && refused.contains(before), "{refused}");

    // A schema from before there were rotations is looked at as well.
    sqlx::query("alter table key_rotations rename to elsewhere").execute(&mut superuser).await.expect("renamed");
    let facts = db::backup::facts(&cluster().backup_target(app.installation.database.name())).await.expect("facts");
    assert!(!facts.master_keys.iter().any(|key| key == before), "{facts:?}");
    sqlx::query("alter table elsewhere rename to key_rotations").execute(&mut superuser).await.expect("renamed");
    app.finish().await;
}

/// VLT-5: yesterday's dump, with today's shards, opens nothing of an organization that was deleted in between.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_after_the_dump_cannot_be_opened_after_restoring_it() {
    let app = TestApp::start().await;
    let (kata, ference) = (app.sign_up("Kata").await, app.sign_up("Ference").await);
    let store = kata.connect_woocommerce(SHOP).await;
    let kept = ference.connect_woocommerce("tea.example").await;
    let (lost_key, key) = (kata.create_key("bot").await, ference.create_key("bot").await);
    let places = Places::new();
    let yesterday = places.back_up(&app).await;
    let shard = |id: &str| {
        let archive = std::fs::read(yesterday.shards.join("shards")).expect("an archive");
        archive.windows(16).any(|bytes| bytes == id.parse::<uuid::Uuid>().expect("an id").as_bytes())
    };
    let data_keys: Vec<String> =
        sqlx::query_scalar("select id::text from data_keys where organization_id = $1 and wrapped is not null")
            .bind(kata.organization)
            .fetch_all(&mut app.superuser().await)
            .await
            .expect("data keys");
    assert!(!data_keys.is_empty() && data_keys.iter().all(|id| shard(id)), "they are in yesterday's shards");
    app.advance(TimeDelta::days(1)).await;
    let name = json!({ "name": kata.organization_name });
    kata.prove().await;
    kata.delete(&format!("/api/organizations/{}", kata.organization), name).await.expect(StatusCode::NO_CONTENT);
    let today = places.back_up(&app).await;
    let archive = std::fs::read(today.shards.join("shards")).expect("an archive");
    for id in &data_keys {
        let id = id.parse::<uuid::Uuid>().expect("an id");
        assert!(!archive.windows(16).any(|bytes| bytes == id.as_bytes()), "today's shards have a destroyed one");
    }

    let (restored, summary) = places.restore(&app, &yesterday.database, false).await.expect("it is restored");
    assert_eq!((summary.destroyed_since, summary.lost), (data_keys.len(), 0), "{summary:?}");
    let orders = |store| format!("/webshop-data-api/orders?store_id={store}");
    key.on(&restored).get(&orders(kept)).await.expect(StatusCode::OK);
    // The organization is back, as the dump has it. What was sealed is not.
    let refused = lost_key.on(&restored).get(&orders(store)).await;
    assert!(!refused.status.is_success(), "{}", refused.short());
    assert!(app.sandbox().woocommerce().shop(SHOP).is_some());
    let opened: i64 =
        sqlx::query_scalar("select count(*) from data_keys where organization_id = $1 and wrapped is not null")
            .bind(kata.organization)
            .fetch_one(&mut restored.superuser().await)
            .await
            .expect("a count");
    assert_eq!(opened, i64::try_from(data_keys.len()).expect("a few"), "its rows are there, and open nothing");
    drop(restored);
    app.finish().await;
}

/// A shard that is gone without having been destroyed is a loss, and said to be one.
#[tokio::test(flavor = "multi_thread")]
async fn shards_that_are_missing_are_named_and_only_left_behind_when_asked_to() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    kata.connect_woocommerce(SHOP).await;
    let places = Places::new();
    places.back_up(&app).await;
    let id: String = sqlx::query_scalar("select max(id::text) from data_keys")
        .fetch_one(&mut app.superuser().await)
        .await
        .expect("a data key");
    let file = app.installation.data_dir.path().join("keys").join(&id[34..]).join(&id);
    let shard = std::fs::read(&file).expect("a shard");
    std::fs::remove_file(&file).expect("it is removed");
    let made = places.back_up(&app).await;
    assert_eq!(made.without_shard, 1);
    let findings = look(&app, &places, master_key(&app)).await;
    assert_eq!((of(&findings, "shards"), of(&findings, "data_keys")), (Severity::Error, Severity::Ok));

    let refused = match places.restore(&app, &made.database, false).await {
        Err(refused) => refused.to_string(),
        Ok(_) => panic!("it was restored"),
    };
    assert!(refused.contains(&id) && refused.contains("of 1 of"), "{refused}");
    let (restored, summary) = places.restore(&app, &made.database, true).await.expect("it is restored");
    assert_eq!(summary.lost, 1);
    drop(restored);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::write(&file, shard).and_then(|()| std::fs::set_permissions(&file, mode)).expect("it is put back");
    let findings = look(&app, &places, master_key(&app)).await;
    assert_eq!((of(&findings, "shards"), of(&findings, "data_keys")), (Severity::Ok, Severity::Ok));
    let findings = look(&app, &places, MasterKey::generate()).await;
    assert_eq!((of(&findings, "master_key"), of(&findings, "data_keys")), (Severity::Error, Severity::Error));
    sqlx::query("update data_keys set wrapped = overlay(wrapped placing '\\x00' from 30)")
        .execute(&mut app.superuser().await)
        .await
        .expect("a row is changed");
    let findings = look(&app, &places, master_key(&app)).await;
    assert_eq!((of(&findings, "master_key"), of(&findings, "data_keys")), (Severity::Ok, Severity::Error));
    app.finish().await;
}

fn of(findings: &[Finding], check: &str) -> Severity {
    let found = findings.iter().filter(|finding| finding.check == check).map(|finding| finding.severity);
    found.max().expect("it is looked at")
}

async fn look(app: &TestApp, places: &Places, master_key: MasterKey) -> Vec<Finding> {
    let database = &app.installation.database;
    let options = doctor::Options {
        data_dir: app.installation.data_dir.path().to_owned(),
        external: Some(doctor::External {
            logins: database.logins(),
            unverified_hosts: vec![],
            backup: Some(cluster().backup_target(database.name())),
        }),
        key_database: None,
        master_keys: Ok(master_key.into()),
        public_url: Some("https://entrepot.example".parse().expect("a URL")),
        tls: None,
        has_mail_server: true,
        issuers: Ok(vec![]),
        backups: Some((places.path("dumps"), places.path("shards"))),
        all: true,
    };
    doctor::run(options, app.clock()).await.expect("it looks")
}

/// VLT-4: a dump holds no secret but sealed, and no half holds the other or the master key.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_a_dump_but_sealed() {
    let app = TestApp::start().await;
    let kata = app.sign_up("Kata").await;
    let form = kata.woocommerce_form(SHOP);
    kata.post("/api/integrations/connections/", form.clone()).await.expect(StatusCode::CREATED);
    let key = kata.create_key("bot").await;
    let made = Places::new();
    let (places, made) = (&made, made.back_up(&app).await);
    let text = places.path("dump.sql");
    let pg_restore = db::cluster::client_program("pg_restore", made.facts.postgresql, None).expect("pg_restore").path;
    let dump = made.database.join("database.dump");
    let done = Command::new(pg_restore).arg("--file").arg(&text).arg(&dump).status().expect("it runs");
    assert!(done.success());
    let text = std::fs::read(&text).expect("the dump as SQL");
    let secrets = form["credential"].as_object().expect("keys of a shop").iter();
    let mut needles: Vec<Needle> = secrets.map(|(name, value)| needle(name, value.as_str().expect("a text"))).collect();
    needles.extend([
        needle("api key", &key.text),
        needle("password", &kata.password),
        needle("session", kata.bearer.as_deref().expect("a session")),
        needle("master key", &app.installation.master_key),
    ]);
    let secrets = Scanner::new(&needles);
    let control = Scanner::new(&[needle("address", &kata.email)]);
    assert!(!control.scan("dump", &text).is_empty(), "what is there is found");
    assert_eq!(secrets.scan("dump", &text), []);
    for backup in [&made.database, &made.shards] {
        for file in std::fs::read_dir(backup).expect("a backup").map(|entry| entry.expect("a file").path()) {
            let hits = secrets.scan(&file.display().to_string(), &std::fs::read(&file).expect("a file"));
            assert_eq!(hits, []);
        }
    }
    app.finish().await;
}

fn needle(name: &str, value: &str) -> Needle {
    Needle { name: name.to_owned(), value: value.to_owned() }
}
