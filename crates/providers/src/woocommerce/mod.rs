//! WooCommerce: a WordPress plugin, so each shop is a server of its own, with its own address, limits and firewall
//! (<https://woocommerce.github.io/woocommerce-rest-api-docs/>). REST API `wc/v3`, WooCommerce 3.5 and later.
//!
//! - [`auth`]: what the owner typed becomes a shop's address, and the keys are proved in the way that this shop understands
//! - [`api`]: the calls, pages, filters and refusals
//! - [`convert`]: WooCommerce's objects to the canonical models
//!
//! W1, W2, … in comments are the facts of `docs/providers/woocommerce.md`.

mod api;
mod auth;
mod convert;
#[cfg(test)]
mod tests;

use chrono::FixedOffset;
use connector::{
    Customer, Manifest, Order, PastedKeys, Product, Provider, ProviderError, Read,
    provider::{AuthType, Capability, Category, Field, FieldKind, GrantedKeys},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use auth::Way;

/// The provider `woocommerce`.
pub struct Woocommerce;

static MANIFEST: Manifest = Manifest {
    key: "woocommerce",
    label: "WooCommerce",
    category: Category::Api,
    auth_type: AuthType::ApiKey,
    capabilities: &[
        Capability { key: "read_customers", label: "Read customers", default_enabled: true, scopes: &[] },
        Capability { key: "read_orders", label: "Read orders", default_enabled: true, scopes: &[] },
        Capability { key: "read_products", label: "Read products", default_enabled: true, scopes: &[] },
    ],
    config: &[
        Field {
            name: auth::SHOP_URL,
            label: "Shop address",
            kind: FieldKind::Url,
            required: true,
            help: "The address of the shop's home page, for example https://shop.example or https://example.com/shop.",
        },
        Field {
            name: auth::CONSUMER_KEY,
            label: "Consumer key",
            kind: FieldKind::Secret,
            required: true,
            help: "In the shop's admin: WooCommerce → Settings → Advanced → REST API → Add key. Choose a user who is \
                   administrator or shop manager, and the permission Read or Read/Write. Starts with ck_.",
        },
        Field {
            name: auth::CONSUMER_SECRET,
            label: "Consumer secret",
            kind: FieldKind::Secret,
            required: true,
            help: "Shown once, beside the consumer key. Starts with cs_.",
        },
    ],
    scopes: &[],
    is_exclusive: false,
    revoke_by_hand: "Delete the key in the shop's admin: WooCommerce → Settings → Advanced → REST API.",
    notes: &[
        "Customers are the registered ones. Guests are in their orders only.",
        "Lists show customers with the role Customer. Others who bought are found by e-mail address or id.",
        "WooCommerce cannot filter customers by date or phone, nor orders by e-mail address, number or payment status.",
        "Orders with a status of a plugin's own are shown as processing when paid and as pending when not; a filter by \
         status does not find them.",
        "Permalinks must be anything but Plain, or the shop does not accept keys.",
        "A shop without https can be connected; its data then travels unencrypted.",
    ],
};

impl Provider for Woocommerce {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn pasted_keys(&self) -> Option<&dyn PastedKeys> {
        Some(self)
    }

    fn granted_keys(&self) -> Option<&dyn GrantedKeys> {
        Some(self)
    }

    fn customers(&self) -> Option<&dyn Read<Customer>> {
        Some(self)
    }

    fn orders(&self) -> Option<&dyn Read<Order>> {
        Some(self)
    }

    fn products(&self) -> Option<&dyn Read<Product>> {
        Some(self)
    }
}

/// What connecting found out about a shop: the `config` of its account.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Connection {
    /// As the shop's owner typed it, cleaned.
    shop_url: String,
    /// The canonical home URL that the shop reports; OAuth signatures are made for it.
    #[serde(with = "as_text")]
    home: Url,
    /// Where its REST API is; ends with a slash.
    #[serde(with = "as_text")]
    rest_root: Url,
    /// The way of proving the keys that worked.
    auth: Way,
    /// The shop's clock minus ours, where they were too far apart for OAuth.
    #[serde(default)]
    clock_offset_s: i64,
    #[serde(default)]
    currency: Option<String>,
    /// Of prices; for people, amounts are taken as the shop writes them.
    #[serde(default)]
    price_decimals: Option<u32>,
    /// `kg`, `g`, `lb` or `oz`.
    #[serde(default)]
    weight_unit: Option<String>,
    /// IANA name; empty where the shop is set to a plain offset.
    #[serde(default)]
    timezone: String,
    #[serde(default)]
    gmt_offset_minutes: Option<i32>,
    /// Of WooCommerce.
    #[serde(default)]
    version: Option<String>,
    /// What the owner should know about this shop, in words for people.
    #[serde(default)]
    warnings: Vec<String>,
}

impl Connection {
    fn read(config: &Value) -> Result<Self, ProviderError> {
        serde_path_to_error::deserialize(config)
            .map_err(|error| ProviderError::Malformed { path: format!("config.{}", error.path()) })
    }

    /// Whether the shop knows `modified_after`, `modified_before` and `dates_are_gmt`: since 5.8. A shop that does not say its
    /// version is taken for one of the last years.
    fn filters_in_utc(&self) -> bool {
        let mut numbers =
            self.version.as_deref().unwrap_or("9").split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
        (numbers.next().unwrap_or(9), numbers.next().unwrap_or(0)) >= (5, 8)
    }

    /// The offset of the shop's local times, where it is the same all year round.
    fn fixed_offset(&self) -> Option<FixedOffset> {
        match self.timezone.as_str() {
            "UTC" => FixedOffset::east_opt(0),
            "" => FixedOffset::east_opt(self.gmt_offset_minutes?.checked_mul(60)?),
            _ => None,
        }
    }
}

/// URLs in a connection's config.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use url::Url;

    pub(super) fn serialize<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(url.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
        Url::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
