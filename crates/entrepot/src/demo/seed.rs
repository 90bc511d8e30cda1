//! What the demo begins with: an owner, an organization, two connected shops and an API key. Kept in a private file, so that
//! a second start prints the same. And what connecting another shop by hand takes.

use std::path::Path;

use accounts::plans::operator::{self, Wanted};
use anyhow::Context;
use http::Method;
use kernel::{Plan, Secret};
use kit::App;
use sandbox::{Sandbox, woocommerce::Permissions, world::Role};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Shown, secret_text, visitor::Visitor, write_private};

/// What the demo remembers, mode 0600.
pub(super) const FILE: &str = "demo.json";
const APP_SECRET: &str = "shopify-app.secret";

const EMAIL: &str = "owner@entrepot.example";
const WOOCOMMERCE: &str = "kavebolt.example";
const SHOPIFY: &str = "feine-dinge";

/// The demo's accounts. These are for a person to see, on a machine where nothing is real.
#[derive(Serialize, Deserialize)]
pub(super) struct Seeded {
    pub(super) email: Shown,
    pub(super) password: Shown,
    pub(super) api_key: Shown,
    pub(super) woocommerce_store: String,
    pub(super) shopify_store: String,
}

/// Simulated shops that nobody has connected yet, and what that takes.
#[derive(Default, Serialize)]
pub(super) struct Unconnected {
    pub(super) woocommerce: Option<Keys>,
    /// The name to choose on the simulated Shopify's page.
    pub(super) shopify: Option<String>,
}

/// What a merchant pastes to connect a WooCommerce shop.
#[derive(Serialize)]
pub(super) struct Keys {
    pub(super) shop_url: String,
    pub(super) consumer_key: Shown,
    pub(super) consumer_secret: Shown,
}

impl Unconnected {
    /// The first shop of each platform that is not among the organization's stores.
    async fn find(visitor: &Visitor, token: &str, sandbox: &Sandbox) -> anyhow::Result<Self> {
        let (_, stores) = visitor.call(Method::GET, "/api/stores?limit=100", Some(token), None).await?;
        let stores = stores["data"].as_array().context("no stores")?;
        let connected: Vec<&str> = stores.iter().filter_map(|store| store["external_account"].as_str()).collect();
        // From the end, where the shops are that connect without a special case.
        let woocommerce = sandbox.woocommerce().shops().iter().rev().find_map(|shop| {
            let home = shop.spec().home();
            let account = home.split_once("://").map_or(home.as_str(), |(_, rest)| rest);
            let key = shop.key(Permissions::Read, Role::Administrator)?;
            (!connected.contains(&account)).then_some(Keys {
                shop_url: home,
                consumer_key: key.consumer_key,
                consumer_secret: key.consumer_secret,
            })
        });
        let shops = sandbox.shopify().shops();
        let shopify = shops.iter().find(|shop| !connected.contains(&shop.domain().as_str()));
        Ok(Self { woocommerce, shopify: shopify.map(|shop| shop.spec().name.clone()) })
    }
}

/// The simulated Shopify's shared secret with us, the same at every start.
pub(super) fn app_secret(data_dir: &Path) -> anyhow::Result<Secret> {
    let path = data_dir.join(APP_SECRET);
    if !path.exists() {
        write_private(&path, secret_text().expose())?;
    }
    Ok(Secret::new(std::fs::read_to_string(path)?))
}

/// Seeds through the API what is not there yet. A new organization gets its plan from `app`, as from an operator: the trial would end
/// while the demo is kept.
pub(super) async fn ensure(
    data_dir: &Path,
    visitor: &Visitor,
    sandbox: &Sandbox,
    app: &App,
) -> anyhow::Result<(Seeded, Unconnected)> {
    let path = data_dir.join(FILE);
    let (seeded, token) = if path.exists() {
        let seeded: Seeded = serde_json::from_str(&std::fs::read_to_string(&path)?)
            .with_context(|| format!("{} cannot be read; `--fresh` starts anew", path.display()))?;
        let login = json!({ "email": seeded.email, "password": seeded.password });
        let token = session(visitor, "/api/login", &login).await?;
        // The simulated Shopify forgets its tokens when it stops, as if the shop had revoked them: consent is given again,
        // and the connection keeps its id.
        visitor.connect_shopify(&token, SHOPIFY).await?;
        (seeded, token)
    } else {
        let (seeded, token) = seed(visitor, sandbox).await?;
        let (_, me) = visitor.call(Method::GET, "/api/me", Some(&token), None).await?;
        let organization = me["organizations"][0]["id"].as_str().context("no organization")?.parse()?;
        let wanted = Wanted { plan: Some(Plan::Professional), ..Wanted::default() };
        let set = operator::set(&app.db, &app.clock, organization, wanted).await;
        set.map_err(|problem| anyhow::anyhow!("{}", problem.detail()))?;
        write_private(&path, &serde_json::to_string_pretty(&seeded)?)?;
        (seeded, token)
    };
    let unconnected = Unconnected::find(visitor, &token, sandbox).await?;
    Ok((seeded, unconnected))
}

/// Signs in or up. The session's token.
async fn session(visitor: &Visitor, path: &str, form: &Value) -> anyhow::Result<Shown> {
    let (_, session) = visitor.call(Method::POST, path, None, Some(form)).await?;
    Ok(session["session_token"].as_str().context("no session")?.to_owned())
}

async fn seed(visitor: &Visitor, sandbox: &Sandbox) -> anyhow::Result<(Seeded, Shown)> {
    let password = kernel::random::base62(16);
    let form = json!({ "name": "Demo Owner", "email": EMAIL, "password": password, "organization_name": "Feine Dinge & Kávébolt" });
    let token = session(visitor, "/api/sign-up", &form).await?;

    let shop = sandbox.woocommerce().shop(WOOCOMMERCE).context("the simulated shop is missing")?;
    let key = shop.key(Permissions::ReadWrite, Role::Administrator).context("the simulated shop has no key")?;
    let form = json!({
        "provider_key": "woocommerce",
        "config": { "shop_url": format!("https://{WOOCOMMERCE}") },
        "credential": { "consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret },
    });
    let (_, connection) =
        visitor.call(Method::POST, "/api/integrations/connections/", Some(&token), Some(&form)).await?;
    let woocommerce_store = connection["id"].as_str().context("no connection")?.to_owned();
    let shopify_store = visitor.connect_shopify(&token, SHOPIFY).await?;

    let form = json!({ "name": "Demo" });
    let (_, key) = visitor.call(Method::POST, "/api-key-management/create", Some(&token), Some(&form)).await?;
    let api_key = key["api_key"].as_str().context("no API key")?.to_owned();
    Ok((Seeded { email: EMAIL.to_owned(), password, api_key, woocommerce_store, shopify_store }, token))
}
