//! Real servers in temporary folders. Run as root they drop to `postgres`, and the last test runs the others again as an
//! ordinary user; run as an ordinary user they stay that user.

use std::{
    env,
    fs::{self, Permissions},
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, getpid, kill_process};
use sqlx::Row;

use super::*;

/// A folder that the server's user can get to, which the temporary directories of tests otherwise are not.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    async fn start(&self) -> Cluster {
        Cluster::start(self.options()).await.unwrap()
    }

    fn options(&self) -> ClusterOptions {
        let settings = [("shared_buffers", "16MB"), ("max_wal_size", "256MB"), ("min_wal_size", "32MB")];
        let extra_settings = settings.map(|(name, value)| (name.into(), value.into())).into();
        ClusterOptions { extra_settings, ..ClusterOptions::new(self.data()) }
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

async fn connect(cluster: &Cluster, login: Login) -> PgConnection {
    PgConnection::connect_with(&cluster.url(login, DATABASE)).await.unwrap()
}

async fn text(connection: &mut PgConnection, sql: &'static str) -> String {
    sqlx::query(sql).fetch_one(connection).await.unwrap().get::<String, _>(0)
}

async fn count(connection: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query(sql).fetch_one(connection).await.unwrap().get(0)
}

fn kill(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

/// Whether it still does something: a zombie, whose parent does not look after it, does not.
fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !stat.rsplit(") ").next().unwrap().starts_with('Z')
}

fn wait_until(what: &str, at_most: Duration, is_so: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < at_most, "not within {at_most:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
    began.elapsed()
}

/// This test again, in a process of its own that supervises a cluster in `data` until it is killed. In that process
/// [`supervise_if_asked`] does not return.
struct Supervisor {
    process: Child,
    postgres: u32,
}

const SUPERVISE: &str = "ENTREPOT_TEST_SUPERVISE";

impl Supervisor {
    fn start(test: &str, data: &Path) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args([&format!("cluster::tests::{test}"), "--exact", "--nocapture"])
            .env(SUPERVISE, data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        // The test harness writes the beginning of the line.
        let postgres = lines.find_map(|line| line.unwrap().split_once("postgres=")?.1.parse().ok()).unwrap();
        Self { process, postgres }
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

async fn supervise_if_asked() {
    let Some(data) = env::var_os(SUPERVISE) else { return };
    let cluster = Cluster::start(ClusterOptions::new(data)).await.unwrap();
    let mut owner = connect(&cluster, Login::Owner).await;
    sqlx::raw_sql("create table if not exists kept (n int8); insert into kept select generate_series(1, 1000)")
        .execute(&mut owner)
        .await
        .unwrap();
    println!("postgres={}", cluster.pid().unwrap());
    std::future::pending::<()>().await;
}

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
async fn a_killed_server_is_started_again_with_what_was_committed() {
    let folder = Folder::new();
    let cluster = folder.start().await;
    let mut owner = connect(&cluster, Login::Owner).await;
    sqlx::raw_sql("create table kept as select generate_series(1, 1000) n").execute(&mut owner).await.unwrap();
    let mut last = cluster.pid().unwrap();
    for death in 1..=2 {
        let began = Instant::now();
        kill(last, Signal::KILL);
        let how = cluster.died().await;
        assert!(how.contains("SIGKILL"), "{how}");
        assert!(cluster.running().await);
        println!("back after {:?}", began.elapsed());
        assert_eq!(cluster.deaths(), death);
        assert_ne!(cluster.pid().unwrap(), last);
        last = cluster.pid().unwrap();
        let mut owner = connect(&cluster, Login::Owner).await;
        assert_eq!(count(&mut owner, "select count(*) from kept").await, 1000);
    }
    cluster.stop().await.unwrap();
    assert!(!is_alive(last));
}

#[tokio::test]
async fn a_backend_that_computes_on_does_not_keep_a_killed_server_down() {
    let folder = Folder::new();
    let cluster = folder.start().await;
    let mut owner = connect(&cluster, Login::Owner).await;
    let backend = count(&mut owner, "select pg_backend_pid()::int8").await;
    let endless = tokio::spawn(async move {
        // Never looks up: no I/O, no waiting.
        sqlx::raw_sql("select count(*) from generate_series(1, 4000000000) g").execute(&mut owner).await.map(|_| ())
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    kill(cluster.pid().unwrap(), Signal::KILL);
    cluster.died().await;
    assert!(timeout(Duration::from_secs(20), cluster.running()).await.unwrap());
    assert!(!is_alive(backend.try_into().unwrap()));
    assert!(endless.await.unwrap().is_err());
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_supervisor_takes_its_server_with_it_and_nothing_that_was_committed() {
    supervise_if_asked().await;
    let folder = Folder::new();
    for run in 1..=2 {
        let test = "a_killed_supervisor_takes_its_server_with_it_and_nothing_that_was_committed";
        let supervisor = Supervisor::start(test, &folder.data());
        let postgres = supervisor.postgres;
        supervisor.kill();
        if run == 1 {
            let gone = wait_until("postgres is gone", Duration::from_secs(5), || !is_alive(postgres));
            println!("postgres gone {gone:?} after its supervisor");
        }
        // The second time without waiting: the next start meets the old server still shutting down.
        let cluster = folder.start().await;
        assert!(!is_alive(postgres));
        let mut owner = connect(&cluster, Login::Owner).await;
        assert_eq!(count(&mut owner, "select count(*) from kept").await, 1000 * run);
        cluster.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_outlived_its_supervisor_is_stopped_and_replaced() {
    let folder = Folder::new();
    let cluster = folder.start().await;
    let first = cluster.pid().unwrap();
    // The same server again, as if its supervisor's death had not reached it.
    let server = Arc::clone(&cluster.server);
    cluster.stop().await.unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let orphanage = thread::spawn(move || {
        let (mut child, launch) = server.spawn().unwrap();
        wait_until("the orphan is ready", Duration::from_secs(10), || server.is_ready(&launch));
        tell.send(launch.pid).unwrap();
        child.wait().unwrap()
    });
    let orphan = told.recv().unwrap();
    assert_ne!(first, orphan);
    let cluster = folder.start().await;
    assert_ne!(cluster.pid().unwrap(), orphan);
    assert!(orphanage.join().unwrap().success());
    connect(&cluster, Login::App).await;
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_somebody_else_started_is_left_alone() {
    let folder = Folder::new();
    let cluster = folder.start().await;
    let server = Arc::clone(&cluster.server);
    cluster.stop().await.unwrap();
    let mut command = server.account.command(&server.binaries.program("postgres"));
    command.arg("-D").arg(&server.area.pgdata).args(["-c", "listen_addresses=", "-c"]);
    command.arg(format!("unix_socket_directories={}", server.socket_dir.display())).stderr(Stdio::null());
    let mut foreign = command.spawn().unwrap();
    let ready = || {
        let file = server::PidFile::read(&server.area.pgdata);
        file.is_some_and(|file| file.pid == i64::from(foreign.id()) && file.status == "ready")
    };
    wait_until("the foreign server is ready", Duration::from_secs(10), ready);
    let refused = Cluster::start(folder.options()).await;
    assert!(matches!(refused, Err(ClusterError::ForeignServer { .. })), "{refused:?}");
    assert!(foreign.try_wait().unwrap().is_none(), "it still runs");
    kill(foreign.id(), Signal::INT);
    foreign.wait().unwrap();
    folder.start().await.stop().await.unwrap();
}

#[tokio::test]
async fn a_lock_file_whose_number_another_process_got_does_not_stop_the_start() {
    let folder = Folder::new();
    let cluster = folder.start().await;
    let server = Arc::clone(&cluster.server);
    cluster.stop().await.unwrap();
    // Of the server's user: only then does PostgreSQL take it for a server.
    let mut sleeper = server.account.command(Path::new("/bin/sleep")).arg("60").spawn().unwrap();
    let pgdata = &server.area.pgdata;
    fs::write(pgdata.join("postmaster.pid"), format!("{}\n{}\n", sleeper.id(), pgdata.display())).unwrap();
    let cluster = folder.start().await;
    assert!(sleeper.try_wait().unwrap().is_none(), "a stranger is not signalled");
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn the_second_supervisor_of_a_cluster_is_told_who_is_the_first() {
    let folder = Folder::new();
    let cluster = folder.start().await;
    let refused = Cluster::start(folder.options()).await.unwrap_err();
    let message = refused.to_string();
    assert!(message.contains(&format!("already run by process {}", getpid().as_raw_pid())), "{message}");
    connect(&cluster, Login::App).await;
    assert_eq!(cluster.deaths(), 0);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn loosened_modes_are_tightened_at_the_next_start() {
    let folder = Folder::new();
    folder.start().await.stop().await.unwrap();
    let of = |name: &str| folder.data().join(name);
    for (name, mode) in [("pgdata", 0o755), ("run", 0o777), ("pgpass", 0o644)] {
        fs::set_permissions(of(name), Permissions::from_mode(mode)).unwrap();
    }
    let cluster = folder.start().await;
    for (name, mode) in [("pgdata", 0o700), ("run", 0o700), ("pgpass", 0o600)] {
        assert_eq!(fs::metadata(of(name)).unwrap().mode() & 0o777, mode, "{name}");
    }
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_long_path_and_an_odd_one_put_the_socket_elsewhere() {
    for name in ["long".repeat(40), "odd, \"odd\" ünd spaced".into()] {
        let folder = Folder::new();
        let data_dir = folder.0.path().join(name);
        let options = ClusterOptions { data_dir: data_dir.clone(), ..folder.options() };
        let cluster = Cluster::start(options).await.unwrap();
        let socket_dir = cluster.socket_dir().to_owned();
        assert!(!socket_dir.starts_with(folder.0.path()), "{}", socket_dir.display());
        assert_eq!(fs::metadata(&socket_dir).unwrap().mode() & 0o777, 0o700);
        assert!(socket_dir.join(".s.PGSQL.5432").as_os_str().len() <= 107);
        connect(&cluster, Login::App).await;
        cluster.stop().await.unwrap();
        assert!(!socket_dir.exists(), "nothing is left in {}", socket_dir.display());
    }
}

#[tokio::test]
async fn wrong_programs_versions_and_settings_are_refused_before_anything_is_made() {
    let folder = Folder::new();
    let empty = tempfile::tempdir().unwrap();
    let options = ClusterOptions { bin_dir: Some(empty.path().into()), ..folder.options() };
    assert!(matches!(Cluster::start(options).await, Err(ClusterError::NotABinDir { .. })));
    for name in ["fsync", "listen_addresses", "log_statement"] {
        let options = ClusterOptions { extra_settings: vec![(name.into(), "off".into())], ..folder.options() };
        let refused = Cluster::start(options).await;
        assert!(matches!(&refused, Err(ClusterError::Setting(refused)) if refused == name), "{refused:?}");
    }
    assert!(!folder.data().join("pgdata").exists());

    folder.start().await.stop().await.unwrap();
    let version = folder.data().join("pgdata/PG_VERSION");
    fs::write(&version, "99\n").unwrap();
    let refused = Cluster::start(folder.options()).await.unwrap_err().to_string();
    assert!(refused.contains("is of PostgreSQL 99"), "{refused}");
    fs::remove_file(&version).unwrap();
    assert!(matches!(Cluster::start(folder.options()).await, Err(ClusterError::NotACluster { .. })));
}

#[tokio::test]
async fn a_folder_that_the_servers_user_cannot_enter_is_named() {
    let folder = Folder::new();
    let closed = folder.0.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    let options = ClusterOptions { data_dir: closed.join("data"), ..folder.options() };
    let started = Cluster::start(options).await;
    if is_root() {
        let message = started.unwrap_err().to_string();
        assert!(message.contains(&closed.display().to_string()) && message.contains("may not enter"), "{message}");
    } else {
        // Nobody else is involved.
        started.unwrap().stop().await.unwrap();
    }
}

#[tokio::test]
async fn lost_passwords_are_replaced() {
    let folder = Folder::new();
    let cluster = folder.start().await;
    let mut owner = connect(&cluster, Login::Owner).await;
    sqlx::raw_sql("create table kept as select 5::int8 n").execute(&mut owner).await.unwrap();
    cluster.stop().await.unwrap();
    let file = folder.data().join("pgpass");
    let old = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let cluster = folder.start().await;
    assert_eq!(count(&mut connect(&cluster, Login::Owner).await, "select n from kept").await, 5);
    cluster.stop().await.unwrap();

    fs::write(&file, old).unwrap();
    let refused = Cluster::start(folder.options()).await;
    assert!(matches!(refused, Err(ClusterError::SuperuserRefused { .. })), "{refused:?}");
    // The server that was started to find out is gone.
    fs::remove_file(&file).unwrap();
    folder.start().await.stop().await.unwrap();
}

#[tokio::test]
async fn what_an_interrupted_initdb_left_is_cleared_away() {
    let folder = Folder::new();
    let data = folder.data();
    fs::create_dir_all(data.join("pgdata.unfinished/base")).unwrap();
    fs::set_permissions(&data, Permissions::from_mode(0o711)).unwrap();
    fs::write(data.join("pgdata.unfinished/PG_VERSION"), "15\n").unwrap();
    fs::write(data.join("initdb.password"), "old").unwrap();
    folder.start().await.stop().await.unwrap();
    let mut left = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    left.sort();
    assert_eq!(left, ["lock", "pgdata", "pgpass", "run"]);
}

#[tokio::test]
async fn a_start_that_is_given_up_and_a_cluster_that_is_dropped_leave_no_server() {
    let folder = Folder::new();
    for after in [20, 300, 900] {
        // Given up while initdb runs, at its end, or later; on a slow machine always while it runs.
        let _ = timeout(Duration::from_millis(after), Cluster::start(folder.options())).await;
    }
    let began = Instant::now();
    let cluster = loop {
        match Cluster::start(folder.options()).await {
            Ok(cluster) => break cluster,
            Err(ClusterError::AlreadyRunning { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
        assert!(began.elapsed() < Duration::from_secs(30), "the folder is not given back");
    };
    let pid = cluster.pid().unwrap();
    drop(cluster);
    wait_until("postgres is gone", Duration::from_secs(10), || !is_alive(pid));
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

#[test]
fn all_of_this_holds_for_an_ordinary_user_too() {
    if !is_root() {
        println!("this run is an ordinary user's");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(65_534), Some(65_534)).unwrap();
    let run = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(env::current_exe().unwrap())
        .args(["cluster::", "--test-threads=2"])
        .env("TMPDIR", folder.path())
        .env_remove("XDG_RUNTIME_DIR")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{output}{}", String::from_utf8_lossy(&run.stderr));
    assert!(output.contains("lost_passwords_are_replaced ... ok"), "{output}");
}
