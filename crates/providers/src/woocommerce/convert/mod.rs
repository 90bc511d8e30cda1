//! From WooCommerce's objects to the canonical models: pure functions.
//!
//! `platform_specific` holds what no unified field carries, in the shape in which the shop sent it. Entries of lists keep
//! their place and their `id`. Local dates stay there too: the unified fields carry their UTC twins.

mod customer;
mod entities;
mod order;
mod product;
mod sent;

pub(super) use customer::{IMPERSONAL as CUSTOMER_IMPERSONAL, customer};
pub(super) use entities::decode as decode_entities;
pub(super) use order::{IMPERSONAL as ORDER_IMPERSONAL, order, order_status_slug};
pub(super) use product::{VariationsOf, product, variations_of};
#[cfg(test)]
pub(super) use sent::{decimal, parse_time};

use chrono::Duration;
use connector::Address;
use kernel::{Personal, Time};
use sent::Sent;

/// The shop's address block of a person: `billing` or `shipping`. E-mail is no part of an address and is left.
fn address(sent: &mut Sent<'_>) -> Address {
    Address {
        first_name: sent.text("first_name"),
        last_name: sent.text("last_name"),
        company: sent.text("company"),
        address1: sent.text("address_1"),
        address2: sent.text("address_2"),
        city: sent.text("city"),
        postcode: sent.text("postcode"),
        province: sent.text("state"),
        country_code: sent.text("country"),
        phone: sent.text("phone"),
    }
}

/// Shops send the block with every part empty where there is no address.
fn known(address: Address) -> Option<Personal<Address>> {
    (!address.is_empty()).then(|| Personal::new(address))
}

/// The lower bound to ask for when records from `time` on are wanted: the shop compares whole seconds and leaves the bound
/// itself out (W7).
pub(super) fn after(time: Time, slack: Duration) -> String {
    filter_time(time.timestamp() - 1 - slack.num_seconds())
}

/// The upper bound to ask for when records up to `time` are wanted, by the same reasoning.
pub(super) fn before(time: Time, slack: Duration) -> String {
    filter_time(time.timestamp() + 1 + slack.num_seconds())
}

/// A time in the one form that every WooCommerce reads rightly: whole seconds with `Z`. Fractions make shops with HPOS drop
/// the zone. Years outside of 1970 to 9999 are not sent; no record is from there.
fn filter_time(seconds: i64) -> String {
    let time = chrono::DateTime::from_timestamp(seconds.clamp(0, 253_402_300_799), 0).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
