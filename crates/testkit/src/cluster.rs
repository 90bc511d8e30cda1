//! One embedded PostgreSQL per test process, one database per test.
//!
//! The cluster lies in a folder of the temporary directory that is named by the process; those of processes that are gone
//! are removed when the next one starts. PostgreSQL itself ends with the process.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use db::{
    Db, Logins,
    cluster::{Cluster, ClusterOptions},
};
use sqlx::{Connection, PgConnection};

/// The migrated database that all others are copies of.
const TEMPLATE: &str = "entrepot_template";
const FOLDER: &str = "entrepot-tests-";

/// The cluster of this process, with its template.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        // Tests run on runtimes of their own that end with them; this one is only needed to start.
        thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(start())
        })
        .join()
        .expect("the cluster of the tests starts")
    })
}

async fn start() -> Cluster {
    let folder = scratch();
    // Two nodes a test, and as many tests at once as there are cores.
    let settings = [
        ("shared_buffers", "64MB"),
        ("max_connections", "400"),
        ("max_wal_size", "512MB"),
        ("min_wal_size", "32MB"),
        // What was written is to be found again.
        ("wal_compression", "off"),
    ];
    let extra_settings = settings.map(|(name, value)| (name.into(), value.into())).into();
    let options = ClusterOptions { extra_settings, ..ClusterOptions::new(folder.join("postgres")) };
    let cluster = Cluster::start(options).await.expect("PostgreSQL starts");
    cluster.create_database(TEMPLATE, "template0").await.expect("a template");
    Db::migrate(&Logins::of_cluster(&cluster, TEMPLATE).owner).await.expect("the migrations run");
    cluster
}

/// A folder that PostgreSQL's user can get to.
fn scratch() -> PathBuf {
    let temporary = std::env::temp_dir();
    for entry in fs::read_dir(&temporary).expect("the temporary directory").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(pid) = name.strip_prefix(FOLDER)
            && !PathBuf::from(format!("/proc/{pid}")).exists()
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::warn!(%error, %name, "what an earlier test process left cannot be removed");
        }
    }
    let folder = temporary.join(format!("{FOLDER}{}", std::process::id()));
    fs::create_dir(&folder).expect("a scratch folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("a mode");
    folder
}

/// A database of one test. Dropped with the cluster's folder.
pub struct Database {
    name: String,
}

impl Database {
    /// A copy of the migrated template.
    pub async fn create() -> Self {
        Self::copy_of(TEMPLATE).await
    }

    /// One without any table.
    pub async fn empty() -> Self {
        Self::copy_of("template0").await
    }

    async fn copy_of(template: &str) -> Self {
        static COPYING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let cluster = cluster();
        // PostgreSQL refuses a template that is being copied by another.
        let _turn = COPYING.lock().await;
        cluster.create_database(&name, template).await.expect("a database");
        Self { name }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the program connects.
    pub fn logins(&self) -> Logins {
        Logins::of_cluster(cluster(), &self.name)
    }

    /// A connection for which no row is hidden.
    pub async fn superuser(&self) -> PgConnection {
        PgConnection::connect_with(&cluster().superuser_url(&self.name)).await.expect("the superuser connects")
    }

    /// A connection as one of the four logins.
    pub async fn login(&self, login: db::Login) -> PgConnection {
        PgConnection::connect_with(&cluster().url(login, &self.name)).await.expect("the login connects")
    }
}
