use kernel::Time;
use serde::Deserialize;

use super::{Connection, Exact, Gid, Rest, Whole};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Product {
    pub(crate) id: Gid,
    pub(crate) legacy_resource_id: Whole,
    pub(crate) title: String,
    pub(crate) handle: Option<String>,
    pub(crate) description_html: Option<String>,
    pub(crate) status: String,
    pub(crate) vendor: Option<String>,
    pub(crate) product_type: Option<String>,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    pub(crate) online_store_url: Option<String>,
    pub(crate) created_at: Option<Time>,
    pub(crate) updated_at: Option<Time>,
    pub(crate) media: Option<Connection<Media>>,
    pub(crate) options: Option<Vec<ProductOption>>,
    pub(crate) variants: Option<Connection<Variant>>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

/// A picture, film or model; `preview` is a picture of each.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Media {
    pub(crate) id: Gid,
    pub(crate) alt: Option<String>,
    pub(crate) media_content_type: String,
    pub(crate) preview: Option<Preview>,
}

#[derive(Deserialize)]
pub(crate) struct Preview {
    pub(crate) image: Option<Picture>,
}

#[derive(Deserialize)]
pub(crate) struct Picture {
    pub(crate) url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProductOption {
    pub(crate) name: String,
    pub(crate) option_values: Vec<OptionValue>,
}

#[derive(Deserialize)]
pub(crate) struct OptionValue {
    pub(crate) name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Variant {
    pub(crate) id: Gid,
    pub(crate) legacy_resource_id: Whole,
    pub(crate) sku: Option<String>,
    pub(crate) barcode: Option<String>,
    pub(crate) price: Option<Exact>,
    pub(crate) compare_at_price: Option<Exact>,
    pub(crate) inventory_quantity: Option<i64>,
    #[serde(default)]
    pub(crate) selected_options: Vec<SelectedOption>,
    pub(crate) inventory_item: Option<InventoryItem>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

#[derive(Deserialize)]
pub(crate) struct SelectedOption {
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(Deserialize)]
pub(crate) struct InventoryItem {
    pub(crate) tracked: Option<bool>,
    pub(crate) measurement: Option<Measurement>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

#[derive(Deserialize)]
pub(crate) struct Measurement {
    pub(crate) weight: Option<Weight>,
}

#[derive(Deserialize)]
pub(crate) struct Weight {
    pub(crate) value: Exact,
    pub(crate) unit: String,
}
