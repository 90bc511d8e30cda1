//! Two versions of the program on one database, as processes. The later version is the same program with further migrations, which
//! a debug build takes from the folder that `DEBUG_LATER_MIGRATIONS` names.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use db::Db;
use serde_json::json;
use sqlx::{ConnectOptions, Connection, PgConnection};
use testkit::cluster::Database;

use crate::process::{Serving, call, entrepot, new_key, scratch};

const LATER: &str = "DEBUG_LATER_MIGRATIONS";
/// Of a version in some years.
const NUMBER: i64 = 20_990_101_000_001;

fn urls(database: &Database) -> Vec<(&'static str, String)> {
    let logins = database.logins();
    let urls = [
        ("DATABASE_OWNER_URL", logins.owner),
        ("DATABASE_URL", logins.app),
        ("DATABASE_SYSTEM_URL", logins.system),
        ("DATABASE_INGEST_URL", logins.ingest),
    ];
    urls.into_iter().map(|(name, options)| (name, options.to_url_lossy().to_string())).collect()
}

fn later(folder: &Path, name: &str, sql: &str) -> PathBuf {
    let migrations = folder.join(name);
    fs::create_dir(&migrations).unwrap();
    fs::write(migrations.join(format!("{NUMBER}_{name}.sql")), sql).unwrap();
    migrations
}

fn migrate(environment: &[(&str, &str)], log: &tempfile::NamedTempFile) -> Child {
    let mut command: Command = entrepot(&["migrate"], environment);
    command.stdout(Stdio::null()).stderr(log.reopen().unwrap()).spawn().unwrap()
}

fn said(log: &tempfile::NamedTempFile) -> String {
    fs::read_to_string(log.path()).unwrap()
}

async fn has_run(superuser: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from _sqlx_migrations where version = $1 and success")
        .bind(NUMBER)
        .fetch_one(superuser)
        .await
        .unwrap()
}

/// What a balancer does: it sends requests to the nodes that are in, and one that is taken out gets no more.
#[derive(Clone, Default)]
struct Balancer(Arc<RwLock<Vec<String>>>);

impl Balancer {
    fn put_in(&self, serving: &Serving) {
        self.0.write().unwrap().push(serving.address.clone());
    }

    fn take_out(&self, serving: &Serving) {
        self.0.write().unwrap().retain(|address| *address != serving.address);
    }
}

/// Callers that never stop, and take nothing but success for an answer.
struct Load {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    threads: Vec<thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn on(balancer: &Balancer, token: &str, member: &str) -> Self {
        let (stop, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let threads = (0..6).map(|number| {
            let (stop, served, balancer) = (stop.clone(), served.clone(), balancer.clone());
            let (token, member) = (token.to_owned(), format!("/api/team-members/{member}"));
            thread::spawn(move || {
                let mut failed = vec![];
                for turn in number.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let nodes = balancer.0.read().unwrap();
                    let node = &nodes[turn % nodes.len()];
                    let answer = match turn % 3 {
                        0 => call(node, "PATCH", &member, &token, &json!({ "full_name": format!("Name {turn}") })),
                        1 => call(node, "GET", "/api/integrations/events/", &token, &json!(null)),
                        _ => call(node, "GET", "/api/me", &token, &json!(null)),
                    };
                    drop(nodes);
                    served.fetch_add(1, Ordering::Relaxed);
                    if answer.status != 200 {
                        failed.push(format!("{} {}", answer.status, answer.body));
                    }
                    thread::sleep(Duration::from_millis(10));
                }
                failed
            })
        });
        Self { threads: threads.collect(), stop, served }
    }

    /// Goes on until so many more were served.
    fn serve(&self, more: usize) {
        let (until, began) = (self.served.load(Ordering::Relaxed) + more, Instant::now());
        while self.served.load(Ordering::Relaxed) < until {
            assert!(began.elapsed() < Duration::from_secs(60), "nothing is served");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let failed = self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        (self.served.load(Ordering::Relaxed), failed)
    }
}

const EXPAND: &str = "
    alter table sessions add column later_note text;
    alter table connections add column later_rank int not null default 0;
    alter table team_members add column later_flag boolean not null default false;
    create table later_notes (
        organization_id uuid not null references organizations (id),
        id uuid not null,
        primary key (organization_id, id)
    );
    alter table later_notes enable row level security;
    alter table later_notes force row level security;
    create index later_rank on connections (organization_id, later_rank);
    select pg_sleep(0.5);
";

#[tokio::test(flavor = "multi_thread")]
async fn a_later_version_takes_over_under_load_and_gives_back_and_no_request_fails() {
    let (folder, key, database) = (scratch(), new_key(), Database::create().await);
    let later = later(folder.path(), "expand", EXPAND);
    let urls = urls(&database);
    let environment: Vec<(&str, &str)> = urls.iter().map(|(name, url)| (*name, url.as_str())).collect();
    let later_environment = [environment.as_slice(), &[(LATER, later.to_str().unwrap())]].concat();
    let data_dir = folder.path().join("data");

    let old = Serving::with(&data_dir, &key, &environment);
    let token = old.sign_up("kata");
    let made = old.call("POST", "/api/team-members", &token, &json!({ "full_name": "Bela", "member_type": "sales" }));
    assert_eq!(made.status, 201, "{}", made.body);
    let balancer = Balancer::default();
    balancer.put_in(&old);
    let load = Load::on(&balancer, &token, made.body["id"].as_str().unwrap());
    load.serve(30);

    let new = Serving::with(&data_dir, &key, &later_environment);
    assert_eq!(has_run(&mut database.superuser().await).await, 1);
    let ready = old.get("/readyz", "");
    assert_eq!(ready.status, 200, "the old version serves from the new schema: {}", ready.body);
    load.serve(30);
    balancer.put_in(&new);
    load.serve(30);
    balancer.take_out(&old);
    old.stop();
    load.serve(30);

    // Back by one version: the schema stays ahead.
    let old = Serving::with(&data_dir, &key, &environment);
    assert!(old.said().contains("the schema is ahead"), "{}", old.said());
    balancer.put_in(&old);
    load.serve(30);
    balancer.take_out(&new);
    new.stop();
    load.serve(30);
    let (served, failed) = load.end();
    println!("{served} requests while two versions took turns, {} failed", failed.len());
    assert_eq!(failed, [""; 0]);
    assert!(!old.said().contains("panicked"), "{}", old.said());
    old.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_waits_lets_others_pass_says_who_holds_the_lock_and_goes_on_when_it_can() {
    let (folder, database) = (scratch(), Database::create().await);
    let later = later(folder.path(), "note", "alter table connections add column later_note text;");
    let owner = database.logins().owner.to_url_lossy().to_string();
    let mut superuser = database.superuser().await;
    // Somebody reads, and takes their time.
    let mut app = database.login(db::Login::App).await;
    let holder: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut app).await.unwrap();
    let mut reading = app.begin().await.unwrap();
    sqlx::query("lock table connections in access share mode").execute(&mut *reading).await.unwrap();

    let log = tempfile::NamedTempFile::new().unwrap();
    let environment = [("DATABASE_OWNER_URL", owner.as_str()), (LATER, later.to_str().unwrap())];
    let mut migrator = migrate(&environment, &log);
    let began = Instant::now();
    while !said(&log).contains("tries again") {
        assert!(migrator.try_wait().unwrap().is_none(), "{}", said(&log));
        assert!(began.elapsed() < Duration::from_secs(60), "{}", said(&log));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told = said(&log);
    for part in [&format!("process {holder} "), "connections", "entrepot_app", &format!("migration {NUMBER}")] {
        assert!(told.contains(part), "no `{part}`: {told}");
    }
    // Whoever comes waits behind it for as long as it waits, and no longer.
    sqlx::query("set lock_timeout = '3s'").execute(&mut superuser).await.unwrap();
    for _ in 0..3 {
        sqlx::query("select count(*) from connections").execute(&mut superuser).await.expect("readers get through");
    }
    assert_eq!(has_run(&mut superuser).await, 0);
    reading.rollback().await.unwrap();
    assert!(migrator.wait().unwrap().success(), "{}", said(&log));
    assert_eq!(has_run(&mut superuser).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_that_migrate_at_once_one_does_it_and_the_others_wait() {
    let (folder, database) = (scratch(), Database::create().await);
    let sql = "create table later_once (id int); select pg_sleep(3);";
    let later = later(folder.path(), "once", sql);
    let owner = database.logins().owner.to_url_lossy().to_string();
    let environment = [("DATABASE_OWNER_URL", owner.as_str()), (LATER, later.to_str().unwrap())];
    let logs = [(); 3].map(|()| tempfile::NamedTempFile::new().unwrap());
    let migrators = logs.each_ref().map(|log| migrate(&environment, log));
    for (mut migrator, log) in migrators.into_iter().zip(&logs) {
        assert!(migrator.wait().unwrap().success(), "{}", said(log));
    }
    let waited = logs.iter().filter(|log| said(log).contains("another program migrates the database")).count();
    assert_eq!(waited, 2, "two waited for the third");
    assert_eq!(has_run(&mut database.superuser().await).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_stops_programs_that_need_what_it_takes_away_and_no_others() {
    let folder = scratch();
    let newest = Db::newest_migration();
    for (since, is_accepted) in [(newest, true), (newest + 1, false)] {
        let database = Database::create().await;
        let owner = database.logins().owner.to_url_lossy().to_string();
        let owner = ("DATABASE_OWNER_URL", owner.as_str());
        let later =
            later(folder.path(), &format!("contract_since_{since}_drop"), "create table later_contract (id int);");
        let log = tempfile::NamedTempFile::new().unwrap();
        assert!(migrate(&[owner, (LATER, later.to_str().unwrap())], &log).wait().unwrap().success(), "{}", said(&log));
        let of_before = migrate(&[owner], &log).wait().unwrap();
        assert_eq!(of_before.success(), is_accepted, "{}", said(&log));
        let refusal = format!("migration {NUMBER} took away what this version needs");
        assert_eq!(said(&log).contains(&refusal), !is_accepted, "{}", said(&log));
    }
}
