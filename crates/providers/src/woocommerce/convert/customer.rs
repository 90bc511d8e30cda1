//! Customers: `GET /customers`: WordPress users, so guests are not among them.

use std::fmt;

use connector::{Customer, ProviderError, Selection, json::Json, model::Marketing};
use kernel::Personal;

use super::{super::Connection, Sent, address, known};

/// What may be told of a customer when nothing may be told of the person.
pub(in super::super) const IMPERSONAL: &[&str] =
    &["id", "date_created", "date_created_gmt", "date_modified", "date_modified_gmt", "role", "is_paying_customer"];

/// `orders_count` and `total_spent` are not in `wc/v3`; so there is no currency either.
pub(in super::super) fn customer(
    value: Json<'_>,
    connection: &Connection,
    selection: &Selection,
    path: fmt::Arguments<'_>,
) -> Result<Customer, ProviderError> {
    let mut sent = Sent::object(value, path)?;
    if !selection.persons {
        sent.keep_only(IMPERSONAL);
    }
    let id = sent.id("id").ok_or_else(|| ProviderError::Malformed { path: format!("{path}.id") })?;
    let email = sent.text("email");
    let billing = sent.within("billing", |billing| {
        // An address for invoices that differs from the account's stays in `platform_specific`.
        if billing.get("email").and_then(Json::as_str) == email.as_deref() {
            billing.forget("email");
        }
        address(billing)
    });
    let shipping = sent.within("shipping", address);
    let phone = billing.as_ref().and_then(|address| address.phone.clone());
    let company = billing.as_ref().and_then(|address| address.company.clone());
    let addresses: Vec<_> = [billing, shipping].into_iter().flatten().filter_map(known).collect();
    let offset = connection.fixed_offset();
    let customer = Customer {
        id,
        email: email.map(Personal::new),
        first_name: sent.personal("first_name"),
        last_name: sent.personal("last_name"),
        phone: phone.map(Personal::new),
        company: company.map(Personal::new),
        default_address: addresses.first().cloned(),
        addresses,
        orders_count: None,
        total_spent: None,
        currency: None,
        tags: vec![],
        marketing: Marketing::default(),
        locale: None,
        created_at: sent.time("date_created_gmt", offset),
        updated_at: sent.time("date_modified_gmt", offset),
        platform_specific: None,
    };
    let wanted = selection.wants("platform_specific");
    Ok(Customer { platform_specific: wanted.then(|| Personal::new(sent.into_value())), ..customer })
}
