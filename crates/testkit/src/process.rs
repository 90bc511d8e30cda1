//! The program as it is installed: processes of the operating system, on one database and one key store, with the simulators
//! of the test.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use entrepot::simulated::Simulated;
use kit::vault::MASTER_KEY;
use sqlx::ConnectOptions;

use crate::app::{DATABASE_WAIT, Installation, MAIL_FROM, SHOPIFY_CLIENT_ID};

/// How long a process may take until it serves: debug builds on a machine that does much else.
const START: Duration = Duration::from_secs(60);
/// How long it may take until it has ended: as long as jobs and renewals of tokens may.
const STOP: Duration = Duration::from_secs(50);

/// A running `entrepot serve`. Killed when it is dropped. Its clock is the machine's: see [`crate::Options::in_real_time`].
pub struct Process {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

/// The program at the installation's database and nothing else, for a command that is yet to be named.
pub fn command(binary: &str, installation: &Installation) -> Command {
    let logins = installation.database.logins();
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("DATABASE_OWNER_URL", logins.owner.to_url_lossy().as_str())
        .env("DATABASE_URL", logins.app.to_url_lossy().as_str())
        .env("DATABASE_SYSTEM_URL", logins.system.to_url_lossy().as_str())
        .env("DATABASE_INGEST_URL", logins.ingest.to_url_lossy().as_str())
        .stdin(Stdio::null());
    command
}

impl Process {
    /// Starts the program and waits until it is ready. `binary` is `env!("CARGO_BIN_EXE_entrepot")`, which only tests of the
    /// crate `entrepot` know.
    ///
    /// # Panics
    /// With its log, when it does not come up.
    pub async fn start(binary: &str, installation: &Installation) -> Self {
        let mut process = Self::launch(binary, installation);
        process.ready().await;
        process
    }

    /// The same without waiting: [`Process::ready`] does.
    ///
    /// # Panics
    /// When it cannot be started at all.
    pub fn launch(binary: &str, installation: &Installation) -> Self {
        Self::launch_with(binary, installation, &[])
    }

    /// The same with further variables of the environment, or others.
    ///
    /// # Panics
    /// When it cannot be started at all.
    pub fn launch_with(binary: &str, installation: &Installation, environment: &[(&str, &str)]) -> Self {
        let folder = installation.data_dir.path();
        let sandbox = folder.join("sandbox.json");
        if !sandbox.exists() {
            Simulated::of(&installation.sandbox).write(&sandbox).expect("the sandbox is written down");
        }
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let address = free.expect("a free port");
        let log = folder.join(format!("process-{}.log", address.port()));
        let child = command(binary, installation)
            .args(["serve", "--listen", &address.to_string(), "--sandbox"])
            .arg(&sandbox)
            .arg("--data-dir")
            .arg(folder)
            .env(MASTER_KEY, &installation.master_key)
            .env("ENTREPOT_SHOPIFY_CLIENT_ID", SHOPIFY_CLIENT_ID)
            .env("ENTREPOT_SHOPIFY_CLIENT_SECRET", &installation.shopify_secret)
            .env("ENTREPOT_LIVE_REQUESTS_PER_MINUTE", installation.options.live_requests_per_minute.to_string())
            .env("ENTREPOT_DATABASE_WAIT_SECONDS", DATABASE_WAIT.as_secs().to_string())
            .env("ENTREPOT_SMTP_URL", format!("smtp://{}", installation.sandbox.smtp_addr()))
            .env("ENTREPOT_MAIL_FROM", MAIL_FROM)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("the program is started");
        Self { child, address, log }
    }

    /// Waits until it serves and hears what other nodes change.
    ///
    /// # Panics
    /// With its log, when that does not happen.
    pub async fn ready(&mut self) {
        #[expect(clippy::disallowed_methods, reason = "somebody who asks the program, and no part of it")]
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
        let (url, began) = (format!("http://{}/readyz", self.address), Instant::now());
        loop {
            if client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let ended = self.child.try_wait().expect("a child of ours");
            assert!(ended.is_none() && began.elapsed() < START, "it does not come up ({ended:?}):\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has logged so far.
    ///
    /// # Panics
    /// When its log is gone.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("a log")
    }

    /// `kill -9`, at once.
    ///
    /// # Panics
    /// When it was gone already.
    pub fn kill(mut self) {
        let ended = self.child.try_wait().expect("a child of ours");
        assert!(ended.is_none(), "it had ended by itself ({ended:?}):\n{}", self.log());
        self.end();
    }

    /// Stops it as a service manager does.
    ///
    /// # Panics
    /// With its log, when it does not end cleanly.
    pub async fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().is_ok_and(|status| status.success()), "no signal");
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                assert!(status.success(), "it ended badly ({status}):\n{}", self.log());
                return;
            }
            assert!(began.elapsed() < STOP, "it does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn end(&mut self) {
        // One that has ended already cannot be killed, and that is as good.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
