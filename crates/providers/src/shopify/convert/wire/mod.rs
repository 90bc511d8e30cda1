//! The shapes of Shopify's answers to the documents in `graphql/`.
//!
//! Written by hand: what describes a person must be [`Personal`] from the first moment, and what no field here names must
//! still be kept (`rest`). Every field that a switch of ours, a missing scope or missing approval can leave out is optional.

mod customer;
mod order;
mod product;
mod shop;

pub(crate) use customer::Customer;
pub(crate) use order::{LineItem, Order};
pub(crate) use product::{Media, Product, ProductOption, SelectedOption, Variant};
pub(crate) use shop::ShopData;

use connector::Address;
use kernel::Personal;
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

/// A `Decimal` or `Money`: a text, of which more than 28 digits are refused, never rounded. A bare JSON number, which Shopify
/// does not send, is read as far as a double carries it: 15 digits.
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
