//! What a running cluster offers, and what it refuses.

use super::*;

#[tokio::test]
async fn data_and_passwords_are_kept_from_one_start_to_the_next() {
    let folder = Folder::new();
    let began = Instant::now();
    let cluster = folder.start().await;
    let first_start = began.elapsed();
    let passwords = fs::read_to_string(folder.data().join("pgpass")).unwrap();
    let began = Instant::now();
    let mut owner = connect(&cluster, Login::Owner).await;
    sqlx::raw_sql("create table kept (n int8); insert into kept values (7)").execute(&mut owner).await.unwrap();
    let first_query = began.elapsed();
    let pid = cluster.pid().unwrap();
    assert!(is_alive(pid));
    let began = Instant::now();
    cluster.stop().await.unwrap();
    let stop = began.elapsed();
    assert!(!is_alive(pid));

    let began = Instant::now();
    let cluster = folder.start().await;
    let second_start = began.elapsed();
    assert_eq!(count(&mut connect(&cluster, Login::Owner).await, "select n from kept").await, 7);
    assert_eq!(fs::read_to_string(folder.data().join("pgpass")).unwrap(), passwords);
    let began = Instant::now();
    cluster.stop().await.unwrap();
    println!(
        "new cluster {first_start:?}, first query {first_query:?}, stop {stop:?}, start again {second_start:?}, stop {:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn the_server_is_private_durable_and_says_nothing_of_values() {
    let folder = Folder::new();
    let cluster = folder.start().await;
    let mut owner = connect(&cluster, Login::Owner).await;
    for (sql, expected) in [
        ("show fsync", "on"),
        ("show synchronous_commit", "on"),
        ("show full_page_writes", "on"),
        ("show data_checksums", "on"),
        ("show listen_addresses", ""),
        ("show server_encoding", "UTF8"),
        ("show timezone", "UTC"),
        ("show jit", "off"),
        ("select datcollate::text from pg_database where datname = current_database()", "C.UTF-8"),
        ("show shared_buffers", "16MB"),
    ] {
        assert_eq!(text(&mut owner, sql).await, expected, "{sql}");
    }
    assert_eq!(tcp_listeners(cluster.pid().unwrap()), [""; 0]);
    for (path, mode) in [(cluster.pgdata(), 0o700), (cluster.socket_dir(), 0o700)] {
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, mode, "{}", path.display());
    }

    sqlx::raw_sql(
        "create table people (email text primary key);
         create function tell(what text) returns void language plpgsql as $$ begin raise log '%', what; end $$",
    )
    .execute(&mut owner)
    .await
    .unwrap();
    const VALUE: &str = "jane.sentinel@example.com";
    for sql in [
        "insert into people values ($1)",
        "insert into people values ($1)",
        "select $1::uuid::text",
        "select tell($1)::text",
    ] {
        // Two of them fail, on purpose: what they leave in the log is the question.
        let _ = sqlx::query(sql).bind(VALUE).execute(&mut owner).await;
    }
    let log = || cluster.recent_log().join("\n");
    wait_until("the log arrives", Duration::from_secs(5), || log().contains("LOG 00000 (client backend)"));
    assert!(log().contains("ERROR 23505 (client backend)") && log().contains("ERROR 22P02"), "{}", log());
    assert!(!log().contains("sentinel"), "{}", log());
    cluster.stop().await.unwrap();
}

/// Sockets that this process listens on, as `/proc/<pid>/net/tcp{,6}` names them.
fn tcp_listeners(pid: u32) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let held = links.filter_map(|link| Some(fs::read_link(link.ok()?.path()).ok()?.display().to_string()));
    let held = held.filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()));
    let held = held.collect::<Vec<_>>();
    assert!(!held.is_empty(), "the server has at least its Unix socket");
    let tables = ["tcp", "tcp6"].map(|name| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines().skip(1).map(str::to_owned));
    lines.filter(|line| held.iter().any(|inode| line.split_whitespace().nth(9) == Some(inode))).collect()
}

#[tokio::test]
async fn the_four_logins_have_no_special_rights_and_nobody_else_gets_in() {
    let folder = Folder::new();
    let cluster = folder.start().await;
    for login in Login::ALL {
        let mut connection = connect(&cluster, login).await;
        let special = "select concat_ws(' ', rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication)
                       from pg_roles where rolname = current_user";
        assert_eq!(text(&mut connection, special).await, "f f f f f", "{login}");
        assert!(PgConnection::connect_with(&cluster.url(login, "postgres")).await.is_err(), "{login}");
        let temporary = sqlx::raw_sql("create temporary table t ()").execute(&mut connection).await;
        assert_eq!(temporary.is_ok(), login == Login::Owner, "{login}");
        let table = sqlx::raw_sql("create table t ()").execute(&mut connection).await;
        assert_eq!(table.is_ok(), login == Login::Owner, "{login}");
    }
    let wrong = cluster.url(Login::App, DATABASE).password("guess");
    assert!(PgConnection::connect_with(&wrong).await.is_err());

    // What somebody gave a login by hand is gone after the next start.
    let mut admin = PgConnection::connect_with(&cluster.superuser_url("postgres")).await.unwrap();
    let spoil = "alter role entrepot_app superuser bypassrls; alter role entrepot_ingest password 'other';
                 grant connect on database entrepot to public; alter system set fsync = off";
    for statement in spoil.split(';') {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut admin).await.unwrap();
    }
    cluster.stop().await.unwrap();
    let cluster = folder.start().await;
    let mut app = connect(&cluster, Login::App).await;
    let rights = "select concat_ws(' ', rolsuper, rolbypassrls) from pg_roles where rolname = current_user";
    assert_eq!(text(&mut app, rights).await, "f f");
    assert_eq!(text(&mut app, "show fsync").await, "on");
    let public = "select coalesce(array_to_string(datacl, ' '), 'default') from pg_database where datname = 'entrepot'";
    let acl = text(&mut app, public).await;
    assert!(!acl.split(' ').any(|entry| entry.starts_with('=')), "{acl}");
    connect(&cluster, Login::Ingest).await;
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn the_login_of_backups_reads_all_rows_writes_none_and_never_serves() {
    let folder = Folder::new();
    let cluster = folder.start().await;
    crate::Db::migrate(&cluster.url(Login::Owner, DATABASE)).await.unwrap();
    let mut owner = connect(&cluster, Login::Owner).await;
    sqlx::raw_sql(
        "create table hidden as select 7::int8 n; alter table hidden enable row level security;
         alter table hidden force row level security",
    )
    .execute(&mut owner)
    .await
    .unwrap();
    assert_eq!(count(&mut owner, "select count(*) from hidden").await, 0, "it is hidden from its owner");
    let target = cluster.backup_target(DATABASE);
    let mut backup = PgConnection::connect_with(target.options()).await.unwrap();
    assert_eq!(count(&mut backup, "select n from hidden").await, 7);
    // Also where it says that it means to write.
    sqlx::raw_sql("set default_transaction_read_only = off").execute(&mut backup).await.unwrap();
    for sql in [
        "insert into hidden values (8)",
        "delete from hidden",
        "create table t ()",
        "create temporary table t ()",
        "set role entrepot_owner",
    ] {
        assert!(sqlx::raw_sql(sql).execute(&mut backup).await.is_err(), "{sql}");
    }
    let mut logins = crate::Logins::of_cluster(&cluster, DATABASE);
    logins.app = target.options().clone();
    let refused = crate::Db::connect(&logins, &crate::PoolSizes::default()).await.err().unwrap().to_string();
    assert!(refused.contains("has BYPASSRLS"), "{refused}");
    backup.close().await.unwrap();
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_cluster_that_is_served_from_is_borrowed_and_none_is_made_to_be() {
    let folder = Folder::new();
    let missing = Borrowed::of(folder.options()).await.err().unwrap();
    assert!(matches!(missing, ClusterError::NothingThere { .. }) && !folder.data().exists(), "{missing}");
    let cluster = folder.start().await;
    let borrowed = Borrowed::of(folder.options()).await.unwrap();
    assert!(borrowed.is_served_from());
    let mut app = PgConnection::connect_with(borrowed.target(Login::App).options()).await.unwrap();
    assert_eq!(text(&mut app, "select current_user::text").await, "entrepot_app");
    borrowed.give_back().await.unwrap();
    assert_eq!(count(&mut app, "select 1::int8").await, 1, "it goes on");
    cluster.stop().await.unwrap();
    let borrowed = Borrowed::of(folder.options()).await.unwrap();
    assert!(!borrowed.is_served_from());
    PgConnection::connect_with(borrowed.backup_target().options()).await.unwrap();
    borrowed.give_back().await.unwrap();
    assert!(!folder.data().join("pgdata/postmaster.pid").exists(), "it is stopped again");
}

#[tokio::test]
async fn databases_are_copied_from_a_template_and_dropped() {
    let folder = Folder::new();
    let cluster = folder.start().await;
    cluster.create_database("template_1", "template0").await.unwrap();
    let mut owner = PgConnection::connect_with(&cluster.url(Login::Owner, "template_1")).await.unwrap();
    sqlx::raw_sql("create table t as select 3::int8 n").execute(&mut owner).await.unwrap();
    owner.close().await.unwrap();
    cluster.create_database("copy_1", "template_1").await.unwrap();
    let mut owner = PgConnection::connect_with(&cluster.url(Login::Owner, "copy_1")).await.unwrap();
    assert_eq!(count(&mut owner, "select n from t").await, 3);
    // While somebody is connected.
    cluster.drop_database("copy_1").await.unwrap();
    cluster.drop_database("copy_1").await.unwrap();
    assert!(PgConnection::connect_with(&cluster.url(Login::Owner, "copy_1")).await.is_err());
    for name in ["", "x; drop database entrepot", "Big", "9", "a-b", &"x".repeat(64)] {
        let refused = cluster.create_database(name, "template0").await;
        assert!(matches!(refused, Err(ClusterError::DatabaseName(_))), "{name}");
    }
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn the_script_for_a_server_of_ones_own_can_be_run_again_and_again() {
    let folder = Folder::new();
    let cluster = folder.start().await;
    let psql = cluster.bin_dir().join("psql");
    if !psql.exists() {
        println!("skipped: no psql beside the server");
        return cluster.stop().await.unwrap();
    }
    cluster.drop_database(DATABASE).await.unwrap();
    let script = folder.0.path().join("roles.sql");
    fs::write(&script, roles_sql(|login| kernel::Secret::new(format!("it's {login}"))).script()).unwrap();
    for _ in 0..2 {
        let run = Command::new(&psql)
            .env("PGPASSFILE", folder.data().join("pgpass"))
            .args(["-X", "-U", "postgres", "-d", "postgres", "-h"])
            .arg(cluster.socket_dir())
            .arg("-f")
            .arg(&script)
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }
    for login in Login::ALL {
        let options = cluster.url(login, DATABASE).password(&format!("it's {login}"));
        PgConnection::connect_with(&options).await.unwrap();
    }
    cluster.stop().await.unwrap();
}
