//! Real servers in temporary folders. Run as root they drop to `postgres`, and the last test runs the others again as an
//! ordinary user; run as an ordinary user they stay that user.

mod crash;
mod place;
mod serve;
mod tls;

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
