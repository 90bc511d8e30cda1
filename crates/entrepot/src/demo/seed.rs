//! What the demo begins with: an owner, an organization, two connected shops and an API key. Kept in a private file, so that
//! a second start prints the same.

use std::path::Path;

use anyhow::Context;
use http::Method;
use kernel::Secret;
use sandbox::{Sandbox, woocommerce::Permissions, world::Role};
use serde::{Deserialize, Serialize};
use serde_json::json;

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

/// The simulated Shopify's shared secret with us, the same at every start.
pub(super) fn app_secret(data_dir: &Path) -> anyhow::Result<Secret> {
    let path = data_dir.join(APP_SECRET);
    if !path.exists() {
        write_private(&path, secret_text().expose())?;
    }
    Ok(Secret::new(std::fs::read_to_string(path)?))
}

/// Seeds through the API what is not there yet.
pub(super) async fn ensure(data_dir: &Path, visitor: &Visitor, sandbox: &Sandbox) -> anyhow::Result<Seeded> {
    let path = data_dir.join(FILE);
    if !path.exists() {
        let seeded = seed(visitor, sandbox).await?;
        write_private(&path, &serde_json::to_string_pretty(&seeded)?)?;
        return Ok(seeded);
    }
    let seeded: Seeded = serde_json::from_str(&std::fs::read_to_string(&path)?)
        .with_context(|| format!("{} cannot be read; `--fresh` starts anew", path.display()))?;
    let login = json!({ "email": seeded.email, "password": seeded.password });
    let (_, session) = visitor.call(Method::POST, "/api/login", None, Some(&login)).await?;
    let token = session["session_token"].as_str().context("no session")?;
    // The simulated Shopify forgets its tokens when it stops, as if the shop had revoked them: consent is given again, and
    // the connection keeps its id.
    visitor.connect_shopify(token, SHOPIFY).await?;
    Ok(seeded)
}

async fn seed(visitor: &Visitor, sandbox: &Sandbox) -> anyhow::Result<Seeded> {
    let password = kernel::random::base62(16);
    let form = json!({ "name": "Demo Owner", "email": EMAIL, "password": password, "organization_name": "Feine Dinge & Kávébolt" });
    let (_, session) = visitor.call(Method::POST, "/api/sign-up", None, Some(&form)).await?;
    let token = session["session_token"].as_str().context("no session")?;

    let shop = sandbox.woocommerce().shop(WOOCOMMERCE).context("the simulated shop is missing")?;
    let key = shop.key(Permissions::ReadWrite, Role::Administrator).context("the simulated shop has no key")?;
    let form = json!({
        "provider_key": "woocommerce",
        "config": { "shop_url": format!("https://{WOOCOMMERCE}") },
        "credential": { "consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret },
    });
    let (_, connection) =
        visitor.call(Method::POST, "/api/integrations/connections/", Some(token), Some(&form)).await?;
    let woocommerce_store = connection["id"].as_str().context("no connection")?.to_owned();
    let shopify_store = visitor.connect_shopify(token, SHOPIFY).await?;

    let form = json!({ "name": "Demo" });
    let (_, key) = visitor.call(Method::POST, "/api-key-management/create", Some(token), Some(&form)).await?;
    let api_key = key["api_key"].as_str().context("no API key")?.to_owned();
    Ok(Seeded { email: EMAIL.to_owned(), password, api_key, woocommerce_store, shopify_store })
}
