//! Shards in a database of their own: moved there and back, asked by several nodes, away, and refused where it is not apart.

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use db::cluster::{Cluster, ClusterOptions, Target};
use http::StatusCode;
use kernel::{Clock, DataKeyId};
use kit::vault::{DatabaseKeyStore, DirectoryKeyStore, KeyStore as _, Keyring, OpenError};
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use testkit::{Options, Process, TestApp, cluster::cluster};

use super::{Many, logins, master};
use crate::process::{done, entrepot, refused, scratch};

const DATABASE: &str = "entrepot_keys";
const PEOPLE: &str = "/api/team-members";

/// A server of its own, as `docs/keys.md` shows it.
struct KeyServer {
    cluster: Cluster,
    folder: tempfile::TempDir,
}

fn url(socket_dir: &Path, role: &str, database: &str) -> String {
    let dir = socket_dir.to_str().unwrap().replace('/', "%2F");
    format!("postgres://{role}:x@localhost:5432/{database}?host={dir}&sslmode=disable")
}

impl KeyServer {
    async fn start() -> Self {
        let server = Self::without_tables().await;
        server.migrate();
        server
    }

    async fn without_tables() -> Self {
        let folder = scratch();
        let cluster = Cluster::start(ClusterOptions::new(folder.path().join("postgres"))).await.unwrap();
        let mut admin = PgConnection::connect_with(&cluster.superuser_url(cluster.database())).await.unwrap();
        admin
            .execute(
                "create role entrepot_keys nologin;
                 create role entrepot_keys_owner login password 'x';
                 create role entrepot_keys_serving login password 'x' in role entrepot_keys",
            )
            .await
            .unwrap();
        let sql = "create database entrepot_keys owner entrepot_keys_owner template template0 encoding 'UTF8' locale 'C.UTF-8'";
        admin.execute(sql).await.unwrap();
        admin
            .execute(
                "revoke all on database entrepot_keys from public;
                 grant connect on database entrepot_keys to entrepot_keys_owner, entrepot_keys_serving",
            )
            .await
            .unwrap();
        admin.close().await.unwrap();
        Self { cluster, folder }
    }

    fn migrate(&self) {
        let said = done(&["keys", "migrate"], &[("KEY_DATABASE_OWNER_URL", &self.url("entrepot_keys_owner"))]);
        assert!(said.contains("up to date"), "{said}");
    }

    fn url(&self, role: &str) -> String {
        url(self.cluster.socket_dir(), role, DATABASE)
    }

    fn serving(&self) -> String {
        self.url("entrepot_keys_serving")
    }

    fn target(&self) -> Target {
        Target::parse(&self.serving()).unwrap()
    }

    async fn superuser(&self) -> PgConnection {
        PgConnection::connect_with(&self.cluster.superuser_url(DATABASE)).await.unwrap()
    }

    async fn stop(self) -> tempfile::TempDir {
        self.cluster.stop().await.unwrap();
        self.folder
    }
}

impl Many {
    fn shift(&self, to: &str, server: &KeyServer) -> Command {
        let mut command = self.command(&["move", "--to", to], (&self.new, None));
        command.env("KEY_DATABASE_URL", server.serving());
        command
    }

    async fn keyring_of(&self, server: &KeyServer, current: &str) -> Keyring {
        let store = DatabaseKeyStore::existing(&server.target()).await.unwrap();
        Keyring::new(master(current), Arc::new(store), Clock::system())
    }
}

/// Kills a move at so many moments, then lets it end. Never is more than one of the two a store to serve from.
async fn move_with_kills(many: &Many, server: &KeyServer, to: &str) -> usize {
    let mut kills = 0;
    for after in (200..900).step_by(50) {
        let mut killed = many.shift(to, server).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(after)).await;
        if killed.try_wait().unwrap().is_some() {
            break;
        }
        killed.kill().unwrap();
        killed.wait().unwrap();
        kills += 1;
        let directory = DirectoryKeyStore::existing(many.store()).await.is_ok();
        let database = DatabaseKeyStore::existing(&server.target()).await.is_ok();
        assert!(!(directory && database), "after {after} ms both could be served from");
    }
    let (is_done, said) = Many::run(many.shift(to, server));
    assert!(is_done || (kills < 14 && said.contains("no key store")), "{said}");
    kills
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_are_moved_to_a_key_database_and_back_and_a_kill_loses_none() {
    let server = KeyServer::start().await;
    let many = Many::keys(2, 1_500).await;
    let kills = move_with_kills(&many, &server, "database").await;
    assert!(!many.store().exists(), "what was destroyed later must not be there still");
    assert_eq!(many.opened(&many.keyring_of(&server, &many.old).await).await, many.rows);
    // The master key is replaced there as anywhere.
    let mut rotate = many.rotate();
    rotate.env("KEY_DATABASE_URL", server.serving());
    let (is_done, said) = Many::run(rotate);
    assert!(is_done, "{said}");
    assert_eq!(many.opened(&many.keyring_of(&server, &many.new).await).await, many.rows);

    let back = move_with_kills(&many, &server, "directory").await;
    println!("{kills} kills while shards moved to the database, {back} on the way back");
    assert!(kills + back >= 4);
    let left: i64 = sqlx::query_scalar("select (select count(*) from shards) + (select count(*) from key_store)")
        .fetch_one(&mut server.superuser().await)
        .await
        .unwrap();
    assert_eq!(left, 0);
    assert_eq!(many.opened(&many.keyring(&many.new, None).await).await, many.rows);
    server.stop().await;
}

/// Runs a move, and kills it as soon as it has come so far.
async fn kill_once(mut command: Command, mut has_come_so_far: impl AsyncFnMut() -> bool) {
    let mut killed = command.spawn().unwrap();
    let began = Instant::now();
    while !has_come_so_far().await {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not come so far");
        assert!(killed.try_wait().unwrap().is_none(), "it ended before it was killed");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_killed_while_the_old_place_is_emptied_is_finished_although_keys_were_destroyed_since() {
    let server = KeyServer::start().await;
    let many = Many::keys(1, 1_500).await;
    let file = |id: &str| many.store().join(&id[34..]).join(id);
    let mut superuser = server.superuser().await;
    kill_once(many.shift("database", &server), async || {
        let state: Option<String> =
            sqlx::query_scalar("select state from key_store").fetch_optional(&mut superuser).await.unwrap();
        state.as_deref() == Some("in_use")
    })
    .await;
    let rows = many.all().await;
    let left: Vec<_> = rows.iter().filter(|row| file(&row.identity.id.to_string()).exists()).collect();
    let destroyed = left.last().expect("it was killed too late").identity.id;
    // The new place is served from by now.
    many.keyring_of(&server, &many.old).await.destroy(destroyed).await.unwrap();
    assert!(file(&destroyed.to_string()).exists(), "the old place has a copy still");
    let (is_done, said) = Many::run(many.shift("database", &server));
    assert!(is_done && said.contains("1499 shards"), "{said}");
    assert!(!many.store().exists(), "the old place is not empty");
    let opens_all_but = async |keyring: &Keyring, destroyed: &[DataKeyId]| {
        for row in &rows {
            let opened = keyring.data_key(row).await;
            if destroyed.contains(&row.identity.id) {
                assert!(matches!(opened, Err(OpenError::KeyDestroyed)), "a destroyed key is back");
            } else {
                assert!(opened.is_ok(), "{:?}", opened.err());
            }
        }
    };
    opens_all_but(&many.keyring_of(&server, &many.old).await, &[destroyed]).await;

    // And back: whoever empties the database waits for a row, and is killed.
    superuser.execute("begin; select 1 from shards for update").await.unwrap();
    kill_once(many.shift("directory", &server), async || many.store().join("layout").exists()).await;
    superuser.execute("rollback").await.unwrap();
    let second = rows.iter().map(|row| row.identity.id).find(|id| *id != destroyed).unwrap();
    many.keyring(&many.old, None).await.destroy(second).await.unwrap();
    let (is_done, said) = Many::run(many.shift("directory", &server));
    assert!(is_done && said.contains("1498 shards"), "{said}");
    let left: i64 = sqlx::query_scalar("select (select count(*) from shards) + (select count(*) from key_store)")
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    assert_eq!(left, 0, "the old place is not empty");
    opens_all_but(&many.keyring(&many.old, None).await, &[destroyed, second]).await;
    drop(superuser);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_destroyed_by_one_node_is_unreadable_on_every_other_within_a_second() {
    let server = KeyServer::start().await;
    let many = Many::keys(1, 10).await;
    let (is_done, said) = Many::run(many.shift("database", &server));
    assert!(is_done, "{said}");
    let (one, other) = (many.keyring_of(&server, &many.old).await, many.keyring_of(&server, &many.old).await);
    for row in many.all().await {
        other.data_key(&row).await.unwrap();
        one.destroy(row.identity.id).await.unwrap();
        let gone = Instant::now();
        while other.data_key(&row).await.is_ok() {
            assert!(gone.elapsed() < Duration::from_secs(1), "it opens still");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(matches!(other.data_key(&row).await, Err(OpenError::KeyDestroyed)));
        assert!(matches!(one.data_key(&row).await, Err(OpenError::KeyDestroyed)));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_a_key_database_and_answer_at_once_while_it_is_away_or_silent() {
    let server = KeyServer::start().await;
    let app = TestApp::with(Options { in_real_time: true, ..Options::default() }).await;
    let data_dir = app.installation.data_dir.path().to_owned();
    let kata = app.sign_up("Kata").await;
    let person = |number: usize| json!({ "full_name": format!("Person {number}"), "member_type": "sales" });
    kata.post(PEOPLE, person(0)).await.expect(StatusCode::CREATED);
    let installation = app.installation.clone();
    let shift = |database: &str| {
        let mut command = entrepot(&["keys", "move", "--to", "database"], &[("KEY_DATABASE_URL", database)]);
        command.envs(logins(&installation.database)).env("ENTREPOT_DATA_DIR", &data_dir);
        command
    };
    // Somebody serves still.
    let (is_done, said) = Many::run(shift(&server.serving()));
    assert!(!is_done && said.contains("stop all nodes"), "{said}");
    let (email, password) = (kata.email.clone(), kata.password.clone());
    app.finish().await;
    let (is_done, said) = Many::run(shift(&server.serving()));
    assert!(is_done && said.contains("Set KEY_DATABASE_URL"), "{said}");

    let serving = server.serving();
    let environment = [("KEY_DATABASE_URL", serving.as_str())];
    let mut nodes = [0, 1].map(|_| Process::launch_with(env!("CARGO_BIN_EXE_entrepot"), &installation, &environment));
    for node in &mut nodes {
        node.ready().await;
    }
    let [a, b] = &nodes;
    let signed_in = |node: &Process| {
        let form = json!({ "email": email, "password": password });
        let answer = crate::process::call(&node.address().to_string(), "POST", "/api/login", "", &form);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["session_token"].as_str().unwrap().to_owned()
    };
    let token = signed_in(a);
    let get = |node: &Process, path: &str| {
        crate::process::call(&node.address().to_string(), "GET", path, &token, &serde_json::Value::Null)
    };
    let post = |node: &Process, number| {
        crate::process::call(&node.address().to_string(), "POST", PEOPLE, &token, &person(number))
    };
    assert_eq!(post(a, 1).status, 201);
    let seen = get(b, PEOPLE);
    assert!(seen.status == 200 && seen.body.to_string().contains("Person 1"), "{} {}", seen.status, seen.body);

    let unavailable = |node: &Process, how: &str| {
        tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(800)));
        for answer in [get(node, PEOPLE), post(node, 9)] {
            assert_eq!(
                (answer.status, &answer.body["code"]),
                (503, &json!("keys_unavailable")),
                "{how}: {}",
                answer.body
            );
            assert!(answer.took < Duration::from_secs(3), "{how}: it took {:?}", answer.took);
            assert!(answer.head.contains("retry-after"), "{}", answer.head);
        }
        // What needs no key is served.
        let me = get(node, "/api/me");
        assert_eq!(me.status, 200, "{how}: {}", me.body);
    };
    let mut holder = server.superuser().await;
    holder.execute("begin; lock table shards in access exclusive mode").await.unwrap();
    unavailable(a, "silent");
    holder.execute("rollback").await.unwrap();
    assert_eq!(get(a, PEOPLE).status, 200, "it is back");
    drop(holder);

    let folder = server.stop().await;
    unavailable(b, "stopped");
    let back = Cluster::start(ClusterOptions::new(folder.path().join("postgres"))).await.unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while get(b, PEOPLE).status != 200 {
        assert!(Instant::now() < until, "it does not come back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // A backup reads it, and a restore puts its shards into either kind.
    let places = scratch();
    let path = |name: &str| places.path().join(name).to_str().unwrap().to_owned();
    let backup_login = backup_url(installation.database.name());
    let logins = logins(&installation.database);
    let mut environment: Vec<(&str, &str)> = logins.iter().map(|(name, value)| (*name, value.as_str())).collect();
    environment.extend([("KEY_DATABASE_URL", serving.as_str()), ("DATABASE_BACKUP_URL", &backup_login)]);
    let (dumps, shards) = (path("dumps"), path("shards"));
    let data = data_dir.to_str().unwrap();
    let said = done(&["backup", "--to", &dumps, "--shards-to", &shards, "--data-dir", data], &environment);
    assert!(said.contains("1 shards in"), "{said}");
    environment.extend([("ENTREPOT_BACKUP_DIR", dumps.as_str()), ("ENTREPOT_BACKUP_SHARDS_DIR", &shards)]);
    environment.push(("ENTREPOT_MASTER_KEY", &installation.master_key));
    let output = entrepot(&["doctor", "--json", "--all", "--data-dir", data], &environment).output().unwrap();
    let findings: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    for check in ["key_database", "key_store", "shards", "shard_files", "data_keys", "shard_backup"] {
        let found = findings.iter().find(|finding| finding["check"] == check);
        assert_eq!(found.map(|finding| &finding["severity"]), Some(&json!("ok")), "{check}: {findings:?}");
    }
    let key = ("ENTREPOT_MASTER_KEY", installation.master_key.as_str());
    let to = path("elsewhere");
    let arguments = ["restore", "--from", &dumps, "--shards-from", &shards, "--data-dir", &to];
    let said = refused(&arguments, &[key, ("KEY_DATABASE_URL", &serving)]);
    assert!(said.contains("key database to restore into is not empty"), "{said}");
    let said = done(&arguments, &[key]);
    assert!(said.contains("with 1 data keys") && said.contains("was opened"), "{said}");
    let second = KeyServer::start().await;
    let to = path("third");
    let arguments = ["restore", "--from", &dumps, "--shards-from", &shards, "--data-dir", &to];
    let said = done(&arguments, &[key, ("KEY_DATABASE_URL", &second.serving())]);
    assert!(said.contains("with 1 data keys") && said.contains("was opened"), "{said}");
    assert!(!Path::new(&to).join("keys").exists());
    assert_eq!(DatabaseKeyStore::existing(&second.target()).await.unwrap().list().await.unwrap().len(), 1);
    second.stop().await;
    for node in nodes {
        node.stop().await;
    }
    back.stop().await.unwrap();
}

fn backup_url(database: &str) -> String {
    use sqlx::ConnectOptions as _;
    let passwords = std::fs::read_to_string(cluster().data_dir().join("pgpass")).unwrap();
    let password = passwords.lines().find_map(|line| line.strip_prefix("*:*:*:entrepot_backup:")).unwrap();
    let shown = cluster().backup_target(database).options().to_url_lossy();
    assert!(shown.as_str().starts_with("postgres"), "{shown}");
    url(cluster().socket_dir(), "entrepot_backup", database).replace(":x@", &format!(":{password}@"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_database_that_is_not_apart_or_whose_login_may_too_much_is_refused() {
    let server = KeyServer::without_tables().await;
    let many = Many::keys(1, 2).await;
    let logins = logins(&many.database);
    let data_dir = many.folder.path().to_str().unwrap().to_owned();
    let serve = |key_database: &str| {
        let mut environment: Vec<(&str, &str)> = logins.iter().map(|(name, value)| (*name, value.as_str())).collect();
        environment.extend([("ENTREPOT_MASTER_KEY", many.old.as_str()), ("KEY_DATABASE_URL", key_database)]);
        let said = refused(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &data_dir], &environment);
        assert!(!said.contains(":x@"), "a password was printed: {said}");
        said
    };
    let said = serve(&server.serving());
    assert!(said.contains("has no tables") && said.contains("entrepot keys migrate"), "{said}");
    server.migrate();
    let mut superuser = server.superuser().await;
    superuser
        .execute(
            "create role mighty superuser login password 'x'; create role maker login createrole password 'x' in role entrepot_keys;
             create role reader login password 'x' in role entrepot_keys, pg_read_all_data;
             grant connect on database entrepot_keys to mighty, maker, reader",
        )
        .await
        .unwrap();
    for (role, expected) in [
        ("mighty", "is a superuser"),
        ("maker", "may create roles"),
        ("reader", "reads or writes everything"),
        ("entrepot_keys_owner", "owns the tables"),
    ] {
        let said = serve(&server.url(role));
        assert!(said.contains(expected) && said.contains(role), "{role}: {said}");
    }
    let said = serve(&url(Path::new("/nowhere/at/all"), "entrepot_keys_serving", DATABASE));
    assert!(said.contains("does not answer"), "{said}");
    // It is another store than the one that the database was filled with.
    let said = serve(&server.serving());
    assert!(said.contains("filled with key store") && said.contains("KEY_DATABASE_URL"), "{said}");
    superuser.close().await.unwrap();
    server.stop().await;

    // On the server of the database itself, under whatever name.
    let mut admin = PgConnection::connect_with(&cluster().superuser_url(many.database.name())).await.unwrap();
    let sql = "do $$ begin
            if not exists (select 1 from pg_roles where rolname = 'entrepot_keys') then create role entrepot_keys nologin; end if;
        end $$;
        create role beside_owner login password 'x'; create role beside login password 'x' in role entrepot_keys";
    admin.execute(sql).await.unwrap();
    admin.execute("create database beside owner beside_owner template template0").await.unwrap();
    let beside = |role: &str| url(cluster().socket_dir(), role, "beside");
    done(&["keys", "migrate"], &[("KEY_DATABASE_OWNER_URL", &beside("beside_owner"))]);
    let said = serve(&beside("beside"));
    assert!(said.contains("on the same server"), "{said}");
}
