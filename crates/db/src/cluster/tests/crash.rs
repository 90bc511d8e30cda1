//! Killed servers, killed supervisors, and what they leave behind.

use super::*;

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
            .args([&format!("cluster::tests::crash::{test}"), "--exact", "--nocapture"])
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
async fn a_killed_server_is_started_again_with_what_was_committed() {
    let folder = Folder::new();
    let cluster = folder.start().await;
    let mut owner = connect(&cluster, Login::Owner).await;
    sqlx::raw_sql("create table kept as select generate_series(1, 1000) n").execute(&mut owner).await.unwrap();
    let mut last = cluster.pid().unwrap();
    for death in 1..=2 {
        let began = Instant::now();
        kill(last, Signal::KILL);
        let how = timeout(Duration::from_secs(20), cluster.died(death - 1)).await.unwrap();
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
    // Somebody's shell that happens to be there is no backend.
    let mut sleep = cluster.server.account.command(Path::new("/bin/sleep"));
    let mut bystander = sleep.arg("60").current_dir(cluster.pgdata()).spawn().unwrap();
    kill(cluster.pid().unwrap(), Signal::KILL);
    timeout(Duration::from_secs(20), cluster.died(0)).await.unwrap();
    assert!(timeout(Duration::from_secs(20), cluster.running()).await.unwrap());
    assert!(!is_alive(backend.try_into().unwrap()));
    assert!(endless.await.unwrap().is_err());
    assert!(bystander.try_wait().unwrap().is_none());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
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
    let log = server.log.clone();
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
    assert!(log.recent().iter().any(|line| line.contains("fast shutdown")), "{:?}", log.recent());
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
