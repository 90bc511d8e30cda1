use kernel::{Personal, Time};
use serde::Deserialize;

use super::{Connection, Gid, MailingAddress, MoneyBag, Reference, Rest, Whole};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    pub(crate) id: Gid,
    pub(crate) legacy_resource_id: Whole,
    pub(crate) name: Option<String>,
    pub(crate) cancelled_at: Option<Time>,
    pub(crate) display_financial_status: Option<String>,
    pub(crate) display_fulfillment_status: Option<String>,
    pub(crate) currency_code: Option<String>,
    #[serde(default)]
    pub(crate) tags: Vec<Personal<String>>,
    pub(crate) created_at: Option<Time>,
    pub(crate) updated_at: Option<Time>,
    pub(crate) email: Option<Personal<String>>,
    pub(crate) phone: Option<Personal<String>>,
    pub(crate) customer: Option<Buyer>,
    pub(crate) billing_address: Option<MailingAddress>,
    pub(crate) shipping_address: Option<MailingAddress>,
    pub(crate) note: Option<Personal<String>>,
    pub(crate) total_price_set: Option<MoneyBag>,
    pub(crate) subtotal_price_set: Option<MoneyBag>,
    pub(crate) total_discounts_set: Option<MoneyBag>,
    pub(crate) total_shipping_price_set: Option<MoneyBag>,
    pub(crate) total_tax_set: Option<MoneyBag>,
    pub(crate) total_refunded_set: Option<MoneyBag>,
    pub(crate) line_items: Option<Connection<LineItem>>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

/// `Order.customer`; null for a guest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Buyer {
    pub(crate) legacy_resource_id: Whole,
    pub(crate) first_name: Option<Personal<String>>,
    pub(crate) last_name: Option<Personal<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LineItem {
    pub(crate) id: Gid,
    pub(crate) name: String,
    pub(crate) sku: Option<String>,
    pub(crate) quantity: i64,
    pub(crate) product: Option<Reference>,
    pub(crate) variant: Option<Reference>,
    pub(crate) original_unit_price_set: Option<MoneyBag>,
    pub(crate) discounted_total_set: Option<MoneyBag>,
    pub(crate) tax_lines: Option<Vec<TaxLine>>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaxLine {
    pub(crate) price_set: MoneyBag,
}
