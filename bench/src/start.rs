//! `start`: `entrepot serve` on a cluster that is there already, until `/readyz` says so, and its memory when idle.
//! PostgreSQL's own processes are told apart, and how long PostgreSQL alone takes to start.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use clap::Args;
use db::cluster::{Cluster, ClusterOptions};
use kit::vault::MasterKey;
use serde_json::json;

use crate::{
    Common, cpu,
    figures::{Better, Figure, median, rounded, say},
    program,
};

/// Seconds, and the seconds to measure against: there is no floor but what a person waits without noticing.
const GOAL: f64 = 0.3;
const FLOOR: f64 = 1.0;
const MEMORY_GOAL_MB: f64 = 40.0;
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    /// The program; without it the `entrepot` beside this one, or else this one
    #[arg(long)]
    program: Option<PathBuf>,
    /// Seconds without work before memory is read
    #[arg(long, default_value_t = 3.0)]
    idle: f64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(options.common.rounds > 0, "at least one round is needed");
    let program = match &options.program {
        Some(program) => program.clone(),
        None => {
            let this = std::env::current_exe()?;
            let beside = this.with_file_name("entrepot");
            if beside.exists() { beside } else { this }
        }
    };
    let scratch = program::scratch(&options.common.scratch)?;
    let master_key = scratch.path().join("master.key");
    MasterKey::generate_file(&master_key)?;
    // The first start makes the cluster, which is not what is measured.
    Server::start(&program, scratch.path(), &master_key)?.stop()?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut alone, mut ours, mut resident, mut postgres) = (vec![], vec![], vec![], vec![]);
    for _ in 0..options.common.rounds {
        let started = Instant::now();
        let cluster = runtime.block_on(Cluster::start(ClusterOptions::new(scratch.path().join("postgres"))))?;
        alone.push(started.elapsed().as_secs_f64());
        runtime.block_on(cluster.stop())?;

        let server = Server::start(&program, scratch.path(), &master_key)?;
        ours.push(server.ready_after.as_secs_f64());
        std::thread::sleep(Duration::from_secs_f64(options.idle));
        let pid = server.process.id();
        resident.push(megabytes(cpu::memory_bytes(pid, "status", "VmRSS").context("no resident memory is told")?));
        // Shared memory is counted once: each process with its share of it.
        let parts = cpu::tree(pid).into_iter().skip(1).filter_map(|pid| cpu::memory_bytes(pid, "smaps_rollup", "Pss"));
        postgres.push(megabytes(parts.sum()));
        server.stop()?;
    }
    let (alone, ours, resident, postgres) = (median(alone), median(ours), median(resident), median(postgres));
    say(&format!("{} on an existing cluster, {} rounds", program.display(), options.common.rounds));
    say(&format!("until /readyz is 200              {:>7.0} ms   must 1000, goal 300", ours * 1e3));
    say(&format!("  of which PostgreSQL and logins  {:>7.0} ms", alone * 1e3));
    say(&format!("resident when idle                {resident:>7.1} MB   must 80, goal 40"));
    say(&format!("  PostgreSQL's processes besides  {postgres:>7.1} MB"));
    let also = serde_json::Map::from_iter([
        ("unit".to_owned(), json!("s")),
        ("resident_mb".to_owned(), json!(rounded(resident))),
        ("resident_mb_goal".to_owned(), json!(MEMORY_GOAL_MB)),
        ("postgres_mb".to_owned(), json!(rounded(postgres))),
        ("postgres_s".to_owned(), json!(rounded(alone))),
    ]);
    Figure { name: "start", floor: FLOOR, ours, ratio: ours / FLOOR, goal: GOAL, better: Better::Lower, also }
        .tell(&options.common.results)
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A running `entrepot serve`.
struct Server {
    process: Child,
    ready_after: Duration,
}

impl Server {
    fn start(program: &Path, folder: &Path, master_key: &Path) -> anyhow::Result<Self> {
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let started = Instant::now();
        let log = std::fs::File::create(folder.join("serve.log"))?;
        let process = Command::new(program)
            .arg("serve")
            .args(["--listen", &address.to_string()])
            .arg("--data-dir")
            .arg(folder)
            .env("ENTREPOT_MASTER_KEY_FILE", master_key)
            .env_remove("ENTREPOT_MASTER_KEY")
            .env_remove("DATABASE_URL")
            .env_remove("ENTREPOT_PUBLIC_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let mut server = Self { process, ready_after: Duration::ZERO };
        while !is_ready(address) {
            if let Some(status) = server.process.try_wait()? {
                let log = std::fs::read_to_string(folder.join("serve.log")).unwrap_or_default();
                bail!("{} ended with {status}: {log}", program.display());
            }
            if started.elapsed() > PATIENCE {
                server.stop()?;
                bail!("{} is not ready after {} s", program.display(), PATIENCE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        server.ready_after = started.elapsed();
        Ok(server)
    }

    /// Asks it to end, as a service manager does.
    fn stop(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill").arg(self.process.id().to_string()).status()?;
        let status = self.process.wait()?;
        ensure!(asked.success() && status.success(), "the program ended with {status}");
        Ok(())
    }
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}
