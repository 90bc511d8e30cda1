//! `entrepot sandbox`: the simulated shops alone, for tests of those who build on a hub, or one of their own.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use sandbox::{HostRoute, Sandbox, shopify, woocommerce::Permissions, world};
use serde::Serialize;
use url::Url;

use crate::{
    cli::{log_to_stderr, say, stop_signal},
    demo::write_private,
    simulated::Simulated,
};

/// What the sandbox prints, for programs; there while it runs, mode 0600.
const FACTS: &str = "sandbox.json";
const CLIENT_ID: &str = "entrepot-sandbox";

/// What `entrepot sandbox` takes.
#[derive(clap::Args)]
pub struct Options {
    /// Decides all data, and the keys of WooCommerce shops: the same seed gives the same on every machine
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// How much data each shop has
    #[arg(long, value_enum, default_value_t = Size::Small)]
    size: Size,
    /// Port on loopback for http; any free one when absent
    #[arg(long)]
    http_port: Option<u16>,
    /// Port on loopback for https; any free one when absent
    #[arg(long)]
    tls_port: Option<u16>,
    /// Port on loopback for mail; any free one when absent
    #[arg(long)]
    smtp_port: Option<u16>,
    /// Where the certificate of the simulated hosts and what is printed are kept
    #[arg(long, default_value = ".sandbox")]
    data_dir: PathBuf,
    /// Where the app is that shops of the simulated Shopify connect to
    #[arg(long, default_value = "http://localhost:8080/")]
    app_url: Url,
}

#[derive(Clone, Copy, ValueEnum)]
enum Size {
    /// 150 orders: quick to make, with every peculiarity
    Small,
    /// 6,000 orders: a shop of some years
    Large,
}

/// What programs need to know of a sandbox.
#[derive(Serialize)]
struct Facts {
    seed: u64,
    /// Which hosts to look for where; what `entrepot serve --sandbox` reads of this file.
    #[serde(flatten)]
    simulated: Simulated,
    /// PEM: who vouches for the hosts' certificates.
    ca_certificate: PathBuf,
    faults: String,
    mail: String,
    smtp: String,
    woocommerce: Vec<Woocommerce>,
    shopify: Shopify,
}

#[derive(Serialize)]
struct Woocommerce {
    shop_url: String,
    consumer_key: String,
    consumer_secret: String,
}

#[derive(Serialize)]
struct Shopify {
    client_id: &'static str,
    client_secret: String,
    install_url: String,
    callback_url: String,
    shops: Vec<ShopifyShop>,
}

#[derive(Serialize)]
struct ShopifyShop {
    domain: String,
    name: String,
    /// For the Admin API; it does not expire.
    access_token: Option<String>,
}

/// Serves the simulators until Ctrl-C.
///
/// # Errors
/// With what failed and what to do about it.
pub async fn run(options: Options) -> anyhow::Result<()> {
    log_to_stderr("warn");
    std::fs::create_dir_all(&options.data_dir)
        .with_context(|| format!("cannot make {}: choose another place with --data-dir", options.data_dir.display()))?;
    let data_dir = options.data_dir.canonicalize()?;
    // From the seed, as all that the sandbox gives out: nothing in it is worth keeping.
    let client_secret = format!("shpss_{}", world::Rng::new(options.seed).token(32));
    let install_url = String::from(options.app_url.join("api/oauth/shopify/install")?);
    let callback_url = String::from(options.app_url.join("api/oauth/shopify/callback")?);
    let scopes = "read_customers,read_orders,read_products,read_all_orders";
    let app = shopify::App::new(CLIENT_ID, &client_secret, &install_url, &callback_url, scopes);
    let sandbox = Sandbox::start(sandbox::Options {
        seed: options.seed,
        tls_port: options.tls_port,
        http_port: options.http_port,
        smtp_port: options.smtp_port,
        data_dir: Some(data_dir.clone()),
        size: match options.size {
            Size::Small => world::Size::small(),
            Size::Large => world::Size::large(),
        },
        shopify: shopify::ShopifyOptions { apps: vec![app], ..shopify::ShopifyOptions::default() },
        ..sandbox::Options::default()
    })
    .await?;
    let facts = facts(
        &sandbox,
        options.seed,
        Shopify { client_id: CLIENT_ID, client_secret, install_url, callback_url, shops: vec![] },
        data_dir.join("ca.pem"),
    );
    let path = data_dir.join(FACTS);
    write_private(&path, &serde_json::to_string_pretty(&facts)?)?;
    say(&greeting(&facts, &sandbox.routes(), &path));
    stop_signal().await?;
    sandbox.shutdown().await;
    Ok(std::fs::remove_file(path)?)
}

fn facts(sandbox: &Sandbox, seed: u64, shopify: Shopify, ca_certificate: PathBuf) -> Facts {
    let port = sandbox.http_addr().port();
    let shops = sandbox.shopify().shops().iter().map(|shop| ShopifyShop {
        domain: shop.domain(),
        name: shop.spec().name.clone(),
        access_token: sandbox
            .shopify()
            .install(&shop.domain(), CLIENT_ID, false)
            .map(|installed| installed.access_token),
    });
    let keys = sandbox.woocommerce().shops().iter().filter_map(|shop| {
        let key = shop.key(Permissions::ReadWrite, world::Role::Administrator)?;
        let sandbox::woocommerce::ApiKey { consumer_key, consumer_secret, .. } = key;
        Some(Woocommerce { shop_url: shop.spec().home(), consumer_key, consumer_secret })
    });
    Facts {
        seed,
        simulated: Simulated::of(sandbox),
        ca_certificate,
        faults: format!("http://localhost:{port}/sandbox/faults"),
        mail: format!("http://localhost:{port}/sandbox/mail"),
        smtp: format!("smtp://{}", sandbox.smtp_addr()),
        woocommerce: keys.collect(),
        shopify: Shopify { shops: shops.collect(), ..shopify },
    }
}

fn greeting(facts: &Facts, routes: &[HostRoute], path: &Path) -> String {
    let mut text = "\nThe sandbox is up. Hosts, and where they are on this machine:\n".to_owned();
    for HostRoute { pattern, https, http } in routes {
        text += &format!("\n  {pattern:<28} https {https}  http {http}");
    }
    text +=
        &format!("\n\nTheir certificates are of {}\n\nKeys of WooCommerce shops:\n", facts.ca_certificate.display());
    for shop in &facts.woocommerce {
        text += &format!("\n  {}\n    {}\n    {}", shop.shop_url, shop.consumer_key, shop.consumer_secret);
    }
    let Shopify { client_id, client_secret, shops, .. } = &facts.shopify;
    text += &format!("\n\nThe app at Shopify: {client_id}, {client_secret}. Its tokens:\n");
    for shop in shops {
        text += &format!("\n  {:<28} {}", shop.domain, shop.access_token.as_deref().unwrap_or_default());
    }
    let first = facts.woocommerce.first().zip(routes.iter().find(|route| !route.pattern.starts_with('*')));
    if let Some((shop, route)) = first {
        let host = shop.shop_url.trim_start_matches("https://");
        text += &format!(
            "\n\nTo try one:\n\n  curl -s --cacert {} --connect-to {host}:443:{} \\\n    -u {}:{} {}/wp-json/wc/v3/orders?per_page=1",
            facts.ca_certificate.display(),
            route.https,
            shop.consumer_key,
            shop.consumer_secret,
            shop.shop_url
        );
    }
    text += &format!(
        "\n\n  Faults  {}\n  Mail    {} ({})\n  JSON    {}\n\nCtrl-C stops it.",
        facts.faults,
        facts.mail,
        facts.smtp,
        path.display()
    );
    text
}
