//! The product in a scratch folder: its own PostgreSQL with durable commits, and what a bench needs in it.

use std::{net::SocketAddr, os::unix::fs::PermissionsExt, path::Path};

use accounts::plans::operator::{self, Wanted};
use anyhow::Context;
use connector::{
    Credential, KeyPair,
    http::{Hosts, Route},
    provider::Established,
};
use db::PoolSizes;
use entrepot::{
    assembly::PROVIDERS,
    startup::{Program, Served, Settings},
};
use integrations::connections::{self, model};
use kernel::{Action, Clock, Limit, OrganizationId, Plan, Resource, Secret, TenantScope, random, scope::InternalTask};
use kit::{Config, Problem, vault::MasterKey};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};
use uuid::Uuid;

/// The name of the product's threads, for [`crate::cpu`].
pub(crate) const THREAD: &str = "product";
/// Stores of one organization, with one key for all of them.
const STORES_PER_KEY: usize = 10;

/// The bench connects stores without a person.
enum Seed {}
impl InternalTask for Seed {
    const NAME: &'static str = "bench_seed";
    const PERMISSIONS: &'static [(Resource, Action)] = &[(Resource::Connections, Action::Create)];
}

/// The running product. Stop it with [`Product::stop`].
pub(crate) struct Product {
    pub(crate) runtime: Runtime,
    pub(crate) served: Served,
}

/// A store, and a key that reaches it.
pub(crate) struct Store {
    pub(crate) id: Uuid,
    pub(crate) key: String,
}

/// A folder that PostgreSQL, which runs as another user under root, can get to.
pub(crate) fn scratch(parent: &Path) -> anyhow::Result<TempDir> {
    tempfile::Builder::new()
        .prefix("entrepot-bench-")
        .permissions(std::fs::Permissions::from_mode(0o711))
        .tempdir_in(parent)
        .with_context(|| format!("no folder can be made in {}", parent.display()))
}

impl Product {
    /// Starts the product as `entrepot serve` does, but that the shops' hosts lead to `shop`.
    /// Logs and counts as it does, too.
    pub(crate) fn start(folder: &Path, shop: Option<SocketAddr>) -> anyhow::Result<Self> {
        entrepot::cli::log_to_stderr("info,sqlx=warn");
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().thread_name(THREAD).enable_all().build()?;
        let served = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let public_url = format!("http://{}", listener.local_addr()?).parse()?;
            let hosts = match shop {
                Some(at) => {
                    let route = Route { pattern: format!("*.{SHOPS}"), https: at, http: at };
                    Hosts::sandbox(None, vec![route], vec![])?
                }
                None => Hosts::production(),
            };
            let settings = Settings {
                data_dir: folder.to_owned(),
                master_keys: MasterKey::generate_file(&folder.join("master.key"))?.into(),
                logins: None,
                key_database: None,
                pools: PoolSizes::default(),
                config: Config {
                    public_url,
                    apps: vec![],
                    live_requests_per_minute: 1_000_000_000,
                    trusted_proxies: kit::network::TrustedProxies::default(),
                    traced_callers: kit::network::TrustedProxies::nobody(),
                    api_key_prefix: kit::ApiKeyPrefix::default(),
                    mail: None,
                    retention: kit::retention::Retention::default(),
                },
                issuers: vec![],
                hosts,
                sentry: None,
                clock: Clock::system(),
            };
            Served::start(Program::start(settings).await?, listener, None, Some(metrics))
        })?;
        Ok(Self { runtime, served })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.served.address
    }

    /// The process of PostgreSQL.
    pub(crate) fn postgres(&self) -> anyhow::Result<u32> {
        self.served.program.cluster().and_then(db::cluster::Cluster::pid).context("PostgreSQL does not run")
    }

    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.runtime.block_on(self.served.stop())
    }

    /// Signs people up and gives each organization a key and up to ten stores. All goes through the product's own doors;
    /// only the shops are not asked, since there is nothing to find out about them.
    pub(crate) fn seed(&self, stores: usize) -> anyhow::Result<Vec<Store>> {
        self.runtime.block_on(async {
            let mut seeded = vec![];
            for first in (0..stores).step_by(STORES_PER_KEY) {
                let (organization, key) = self.organization(first).await?;
                for number in first..stores.min(first + STORES_PER_KEY) {
                    seeded.push(Store { id: self.connect(organization, number).await?, key: key.clone() });
                }
            }
            Ok(seeded)
        })
    }

    /// Keys, each of an organization of its own.
    pub(crate) fn keys(&self, count: usize) -> anyhow::Result<Vec<String>> {
        self.runtime.block_on(async {
            let mut keys = vec![];
            for number in 0..count {
                keys.push(self.organization(number).await?.1);
            }
            Ok(keys)
        })
    }

    /// Somebody's new organization, and their session.
    pub(crate) async fn sign_up(&self, number: usize) -> anyhow::Result<(OrganizationId, String)> {
        let form = json!({
            "name": "Bench", "email": format!("bench{number}@entrepot.example"), "password": random::base62(16),
            "organization_name": format!("Bench {number}"),
        });
        let session = self.post("/api/sign-up", None, &form).await?;
        let organization: Uuid = text(&session, "organization_id")?.parse()?;
        Ok((organization.into(), text(&session, "session_token")?.to_owned()))
    }

    /// A new organization, which may read as much as it can, and a key of it.
    async fn organization(&self, number: usize) -> anyhow::Result<(OrganizationId, String)> {
        let (organization, token) = self.sign_up(number).await?;
        let app = &self.served.program.app;
        let wanted = Wanted {
            plan: Some(Plan::Enterprise),
            limits: vec![(Limit::LiveReadsPerDay, Some(1_000_000_000))],
            ..Wanted::default()
        };
        operator::set(&app.db, &app.clock, organization, wanted).await.map_err(told)?;
        let key = self.post("/api-key-management/create", Some(&token), &json!({ "name": "Bench" })).await?;
        Ok((organization, text(&key, "api_key")?.to_owned()))
    }

    async fn connect(&self, organization: OrganizationId, number: usize) -> anyhow::Result<Uuid> {
        let home = format!("http://shop{number}.{SHOPS}/");
        let woocommerce = PROVIDERS.get("woocommerce").context("WooCommerce is not registered")?;
        let new = model::NewConnection {
            provider_key: woocommerce.manifest().key,
            display_name: None,
            established: Established {
                external_account: format!("shop{number}.{SHOPS}"),
                display_name: format!("Shop {number}"),
                config: json!({
                    "shop_url": home, "home": home, "rest_root": format!("{home}wp-json/"), "auth": "oauth_http",
                    "currency": "EUR", "price_decimals": 2, "weight_unit": "kg", "timezone": "Europe/Berlin",
                    "version": "10.3.5",
                }),
                credential: Credential::Keys(KeyPair {
                    key: Secret::new(format!("ck_{}", random::base62(40))),
                    secret: Secret::new(format!("cs_{}", random::base62(40))),
                }),
                scopes: vec![],
            },
            enabled_capabilities: model::default_capabilities(woocommerce),
            data_access: None,
        };
        let scope = TenantScope::internal::<Seed>(organization);
        let row = connections::insert(&self.served.program.app, &scope, new).await.map_err(told)?;
        Ok(row.id.uuid())
    }

    async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> anyhow::Result<Value> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the bench calls the product on loopback, which the guarded client refuses"
        )]
        let client = reqwest::Client::builder().no_proxy().build()?;
        let mut request = client.post(format!("http://{}{path}", self.address())).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await?;
        let status = response.status();
        let answer = response.bytes().await?;
        anyhow::ensure!(status.is_success(), "{path} answered {status}: {}", String::from_utf8_lossy(&answer));
        Ok(serde_json::from_slice(&answer)?)
    }
}

/// The hosts of the shops are below this name.
const SHOPS: &str = "shops.example";

/// The product's problems are no `Error`s: they are answers.
pub(crate) fn told(problem: Problem) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", problem.code().as_str(), problem.detail())
}

fn text<'v>(value: &'v Value, name: &str) -> anyhow::Result<&'v str> {
    value[name].as_str().with_context(|| format!("the answer has no {name}"))
}
