//! The shapes of Shopify's answers to the documents in `graphql/`.
//!
//! Written by hand: what describes a person must be [`Personal`] from the first moment, and what no field here names must
//! still be kept (`rest`). Every field that a switch of ours, a missing scope or missing approval can leave out is optional.

use connector::Address;
use kernel::{Personal, Time};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

/// What the shop sent and no other field of the struct names.
type Rest = Map<String, Value>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Connection<T> {
    pub(crate) nodes: Vec<T>,
    pub(crate) page_info: PageInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageInfo {
    pub(crate) has_next_page: bool,
    pub(crate) end_cursor: Option<String>,
}

impl PageInfo {
    /// Where to go on, if there is more.
    pub(crate) fn next(&self) -> Option<&str> {
        self.end_cursor.as_deref().filter(|_| self.has_next_page)
    }
}

/// `count` is exact only when `precision` says so; counting stops at 10,000.
#[derive(Deserialize)]
pub(crate) struct Count {
    count: u64,
    precision: String,
}

impl Count {
    pub(crate) fn exact(&self) -> Option<u64> {
        (self.precision == "EXACT").then_some(self.count)
    }
}

/// `gid://shopify/{Type}/{n}`; some carry a query string after the number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gid(String);

impl Gid {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        number_of(text).is_some().then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The number in it, which is the id that people and the older interfaces use.
    pub(crate) fn number(&self) -> &str {
        number_of(&self.0).unwrap_or_default()
    }
}

fn number_of(gid: &str) -> Option<&str> {
    let (kind, rest) = gid.strip_prefix("gid://shopify/")?.split_once('/')?;
    let number = rest.split('?').next()?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !kind.is_empty()).then_some(number)
}

impl<'de> Deserialize<'de> for Gid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a global id"))
    }
}

/// An `UnsignedInt64`: a text, since its numbers exceed 2^53; a JSON integer is read as exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Whole(pub(crate) u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Number(u64),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(number) => Ok(Self(number)),
            Form::Text(text) => text.parse().map(Self).map_err(|_| D::Error::custom("not a whole number")),
        }
    }
}

/// A `Decimal` or `Money`: a text; a JSON number is read by its digits. More than 28 digits are refused, never rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exact(pub(crate) Decimal);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Number(serde_json::Number),
        }
        let text = match Form::deserialize(deserializer)? {
            Form::Text(text) => text,
            Form::Number(number) => number.to_string(),
        };
        let parsed =
            if text.contains(['e', 'E']) { Decimal::from_scientific(&text) } else { Decimal::from_str_exact(&text) };
        parsed.map(Self).map_err(|_| D::Error::custom("not a decimal number"))
    }
}

#[derive(Deserialize)]
pub(crate) struct ShopMoney {
    pub(crate) amount: Exact,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MoneyBag {
    pub(crate) shop_money: ShopMoney,
    pub(crate) presentment_money: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MoneyV2 {
    pub(crate) amount: Exact,
    pub(crate) currency_code: String,
}

/// An object of which only the number is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reference {
    pub(crate) legacy_resource_id: Whole,
}

/// A `MailingAddress`, with those parts apart that other fields of the unified object are filled from.
pub(crate) struct MailingAddress {
    pub(crate) address: Personal<Address>,
    pub(crate) company: Option<Personal<String>>,
    pub(crate) first_name: Option<Personal<String>>,
    pub(crate) last_name: Option<Personal<String>>,
}

impl MailingAddress {
    /// The address, or none when the shop sent one without content.
    pub(crate) fn into_address(self) -> Option<Personal<Address>> {
        (!self.address.satisfies(Address::is_empty)).then_some(self.address)
    }
}

impl<'de> Deserialize<'de> for MailingAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Fields {
            first_name: Option<String>,
            last_name: Option<String>,
            company: Option<String>,
            address1: Option<String>,
            address2: Option<String>,
            city: Option<String>,
            zip: Option<String>,
            province: Option<String>,
            country_code_v2: Option<String>,
            phone: Option<String>,
        }
        let fields = Fields::deserialize(deserializer)?;
        let some = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let address = Address {
            first_name: some(fields.first_name),
            last_name: some(fields.last_name),
            company: some(fields.company),
            address1: some(fields.address1),
            address2: some(fields.address2),
            city: some(fields.city),
            postcode: some(fields.zip),
            province: some(fields.province),
            // `ZZ` is Shopify's word for a country that it does not know.
            country_code: some(fields.country_code_v2).filter(|code| code != "ZZ"),
            phone: some(fields.phone),
        };
        Ok(Self {
            company: address.company.clone().map(Personal::new),
            first_name: address.first_name.clone().map(Personal::new),
            last_name: address.last_name.clone().map(Personal::new),
            address: Personal::new(address),
        })
    }
}

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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Customer {
    pub(crate) id: Gid,
    pub(crate) legacy_resource_id: Whole,
    pub(crate) first_name: Option<Personal<String>>,
    pub(crate) last_name: Option<Personal<String>>,
    pub(crate) locale: Option<String>,
    #[serde(default)]
    pub(crate) tags: Vec<Personal<String>>,
    pub(crate) created_at: Option<Time>,
    pub(crate) updated_at: Option<Time>,
    pub(crate) number_of_orders: Option<Whole>,
    pub(crate) amount_spent: Option<MoneyV2>,
    pub(crate) default_email_address: Option<EmailAddress>,
    pub(crate) default_phone_number: Option<PhoneNumber>,
    pub(crate) default_address: Option<MailingAddress>,
    #[serde(rename = "addressesV2")]
    pub(crate) addresses: Option<Connection<MailingAddress>>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EmailAddress {
    pub(crate) email_address: Option<Personal<String>>,
    pub(crate) marketing_state: Option<String>,
    pub(crate) marketing_updated_at: Option<Time>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PhoneNumber {
    pub(crate) phone_number: Option<Personal<String>>,
    pub(crate) sms_marketing_consent: Option<Consent>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Consent {
    pub(crate) state: Option<String>,
    pub(crate) updated_at: Option<Time>,
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

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
pub(crate) struct ProductOption {
    pub(crate) name: String,
    pub(crate) values: Vec<String>,
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
