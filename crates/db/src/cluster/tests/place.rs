//! Where a cluster may be, whose it is, and with what.

use super::*;

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
