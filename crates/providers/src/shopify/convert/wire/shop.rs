use serde::Deserialize;

use super::Gid;

/// The answer to `shop.graphql`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShopData {
    pub(crate) shop: Shop,
    pub(crate) current_app_installation: Option<Installation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shop {
    pub(crate) id: Gid,
    pub(crate) name: String,
    pub(crate) myshopify_domain: String,
    pub(crate) currency_code: String,
    pub(crate) iana_timezone: Option<String>,
    pub(crate) taxes_included: Option<bool>,
    pub(crate) weight_unit: Option<String>,
    pub(crate) primary_domain: Option<Domain>,
    pub(crate) plan: Option<Plan>,
}

#[derive(Deserialize)]
pub(crate) struct Domain {
    pub(crate) host: String,
    pub(crate) url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    pub(crate) public_display_name: String,
    pub(crate) partner_development: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Installation {
    pub(crate) access_scopes: Vec<AccessScope>,
}

#[derive(Deserialize)]
pub(crate) struct AccessScope {
    pub(crate) handle: String,
}
