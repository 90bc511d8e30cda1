//! The PostgreSQL of this test binary, and its databases.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::atomic::{AtomicU32, Ordering},
};

use db::{
    Db, Logins, PoolSizes,
    cluster::{Cluster, ClusterOptions, Login},
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::sync::OnceCell;

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);
const TEMPLATE: &str = "test_template";
/// A tenant table like any other, where jobs count what they did.
const EFFECTS: &str = "
    create table effects (organization_id uuid, subject uuid, used integer not null, primary key (organization_id, subject));
    alter table effects enable row level security;
    alter table effects force row level security;
    grant select, insert, update on effects to entrepot_app;
    create policy app on effects to entrepot_app
        using (organization_id = (select current_setting('app.organization_id')::uuid))
        with check (organization_id = (select current_setting('app.organization_id')::uuid))";

/// Kept from run to run, so that only the first one has to make it. Not below the build's folder, which the server's user
/// may not be able to reach.
async fn start() -> Cluster {
    let mut checkout = DefaultHasher::new();
    env!("CARGO_MANIFEST_DIR").hash(&mut checkout);
    let folder = std::env::temp_dir().join(format!("entrepot-jobs-tests-{:016x}", checkout.finish()));
    let settings = [("shared_buffers", "64MB"), ("max_connections", "300"), ("max_wal_size", "256MB")];
    let extra_settings = settings.map(|(name, value)| (name.into(), value.into())).into();
    let cluster = Cluster::start(ClusterOptions { extra_settings, ..ClusterOptions::new(folder) })
        .await
        .expect("PostgreSQL starts");
    let mut admin = connect(&cluster.superuser_url("postgres")).await;
    let left: Vec<String> = sqlx::query_scalar("select datname from pg_database where datname like 'test%'")
        .fetch_all(&mut admin)
        .await
        .expect("the databases are listed");
    for name in left {
        cluster.drop_database(&name).await.expect("an old database goes");
    }
    cluster.create_database(TEMPLATE, "template1").await.expect("a database is made");
    let owner = cluster.url(Login::Owner, TEMPLATE);
    Db::migrate(&owner).await.expect("the migrations run");
    sqlx::raw_sql(EFFECTS).execute(&mut connect(&owner).await).await.expect("the table of effects is made");
    cluster
}

/// A migrated database of its own, and how to look into it past all policies.
pub(crate) async fn database() -> (Db, PgConnectOptions) {
    let cluster = CLUSTER.get_or_init(start).await;
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    cluster.create_database(&name, TEMPLATE).await.expect("a database is copied");
    let logins = Logins {
        owner: cluster.url(Login::Owner, &name),
        app: cluster.url(Login::App, &name),
        system: cluster.url(Login::System, &name),
        ingest: cluster.url(Login::Ingest, &name),
    };
    let sizes = PoolSizes { app: 16, system: 16, ..PoolSizes::default() };
    let db = Db::connect(&logins, &sizes).await.expect("the logins connect");
    (db, cluster.superuser_url(&name))
}

pub(crate) async fn connect(options: &PgConnectOptions) -> PgConnection {
    PgConnection::connect_with(options).await.expect("the superuser connects")
}
