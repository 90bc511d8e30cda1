//! Customers and addresses.

use super::connection::{nested, search};
use super::money::Money;
use super::order::{ORDERS, OrderView, visible};
use super::{At, Resolved, View, gid, id_of, leaf, maybe, maybe_time, number, texts, time};
use crate::shopify::graphql::access::Refusal;
use crate::shopify::graphql::countries;
use crate::shopify::store::model::{Address, Customer, EmailAddress, Order, PhoneNumber};
use apollo_compiler::resolvers::ResolvedValue;

pub(super) const CUSTOMERS: (&str, &str) = ("CustomerConnection", "CustomerEdge");

#[derive(Clone, Copy)]
pub(super) struct CustomerView<'a>(pub(super) &'a Customer);

impl View for CustomerView<'_> {
    fn type_name(&self) -> &'static str {
        "Customer"
    }

    fn scopes(&self) -> &'static [&'static str] {
        &["read_customers"]
    }

    fn protected(&self) -> bool {
        true
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let customer = self.0;
        match at.name() {
            "id" => gid("Customer", customer.id),
            "legacyResourceId" => number(customer.id),
            "firstName" => at.maybe_personal(customer.first_name.as_deref()),
            "lastName" => at.maybe_personal(customer.last_name.as_deref()),
            "displayName" => at.personal(customer.display_name()),
            "email" => at.maybe_personal(customer.email.as_ref().map(|email| email.address.as_str())),
            "phone" => at.maybe_personal(customer.phone.as_ref().map(|phone| phone.number.as_str())),
            "locale" => leaf(customer.locale.as_str()),
            "state" => leaf(customer.state.as_str()),
            "note" => maybe(customer.note.as_deref()),
            "tags" => texts(&customer.tags),
            "taxExempt" => leaf(customer.tax_exempt),
            "verifiedEmail" => leaf(customer.verified_email),
            "validEmailAddress" => leaf(customer.email.is_some()),
            "dataSaleOptOut" => leaf(false),
            "canDelete" => leaf(at.store().orders_of(customer.id).is_empty()),
            "createdAt" => time(customer.created_at),
            "updatedAt" => time(customer.updated_at),
            "lifetimeDuration" => leaf(format!("{} days", (at.context.now - customer.created_at).num_days().max(0))),
            "numberOfOrders" => number(at.store().orders_of(customer.id).len() as u64),
            "amountSpent" => at.node(Money {
                amount: at.store().amount_spent(customer.id),
                currency: at.store().profile.market.currency.code,
            }),
            "defaultEmailAddress" => at.maybe(customer.email.as_ref().map(Email)),
            "defaultPhoneNumber" => at.maybe(customer.phone.as_ref().map(Phone)),
            "defaultAddress" => at.maybe(customer.addresses.first().map(AddressView)),
            "addressesV2" => {
                let addresses = customer.addresses.iter().map(AddressView);
                nested(at, ("MailingAddressConnection", "MailingAddressEdge"), addresses)
            }
            "lastOrder" => {
                let orders = at.store().orders_of(customer.id);
                let last = orders.into_iter().filter(|order| visible(at, order)).max_by_key(|order| order.processed_at);
                at.maybe(last.map(OrderView))
            }
            "orders" => orders(at, customer),
            _ => at.unknown(self),
        }
    }
}

/// A customer's own orders are few: they are picked out of the shop's list, whose order they keep.
fn orders<'b>(at: At<'b>, customer: &Customer) -> Resolved<'b> {
    at.context.viewer.require(&["read_orders"], at.name())?;
    let theirs = |order: &Order| order.customer_id == Some(customer.id) && visible(at, order);
    search(at, &at.store().orders, "PROCESSED_AT", ORDERS, theirs, OrderView)
}

/// `customerByIdentifier`.
pub(super) fn by_identifier(at: At<'_>) -> Resolved<'_> {
    at.context.viewer.require(&["read_customers"], at.name())?;
    let store = at.store();
    let found = match super::identifier(at)? {
        ("id", value) => id_of("Customer", value.as_str()).and_then(|id| store.customer(id)),
        ("emailAddress", value) => {
            let wanted = value.as_str().unwrap_or_default().to_lowercase();
            let has = |customer: &&Customer| customer.email.as_ref().is_some_and(|email| email.address == wanted);
            store.customers.iter().find(has)
        }
        ("phoneNumber", value) => {
            let has = |customer: &&Customer| {
                customer.phone.as_ref().is_some_and(|phone| Some(phone.number.as_str()) == value.as_str())
            };
            store.customers.iter().find(has)
        }
        _ => return Err(Refusal::bad_request("custom ids are not defined in this shop").into()),
    };
    at.maybe(found.map(CustomerView))
}

struct Email<'a>(&'a EmailAddress);

impl View for Email<'_> {
    fn type_name(&self) -> &'static str {
        "CustomerEmailAddress"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let email = self.0;
        match at.name() {
            "emailAddress" => at.personal(email.address.as_str()),
            "marketingState" => leaf(email.marketing.as_str()),
            "marketingOptInLevel" => maybe(email.opt_in.map(|level| level.as_str())),
            "marketingUpdatedAt" => maybe_time(email.consent_at),
            "validFormat" => leaf(email.address.contains('@')),
            _ => at.unknown(self),
        }
    }
}

struct Phone<'a>(&'a PhoneNumber);

impl View for Phone<'_> {
    fn type_name(&self) -> &'static str {
        "CustomerPhoneNumber"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "phoneNumber" => at.personal(self.0.number.as_str()),
            "smsMarketingConsent" => at.node(Sms(self.0)),
            "whatsAppMarketingConsent" => at.node(WhatsApp(self.0)),
            _ => at.unknown(self),
        }
    }
}

struct Sms<'a>(&'a PhoneNumber);

impl View for Sms<'_> {
    fn type_name(&self) -> &'static str {
        "CustomerSmsMarketingConsent"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "state" => leaf(self.0.sms.as_str()),
            "optInLevel" => maybe(self.0.opt_in.map(|level| level.as_str())),
            "updatedAt" => maybe_time(self.0.consent_at),
            "collectedFrom" => maybe(self.0.consent_at.map(|_| "SHOPIFY")),
            _ => at.unknown(self),
        }
    }
}

struct WhatsApp<'a>(&'a PhoneNumber);

impl View for WhatsApp<'_> {
    fn type_name(&self) -> &'static str {
        "CustomerWhatsAppMarketingConsent"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "state" => leaf(self.0.whats_app.as_str()),
            "updatedAt" => Ok(ResolvedValue::null()),
            _ => at.unknown(self),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct AddressView<'a>(pub(super) &'a Address);

impl View for AddressView<'_> {
    fn type_name(&self) -> &'static str {
        "MailingAddress"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let address = self.0;
        let country = address.country_code.as_deref();
        match at.name() {
            "id" => leaf(format!("gid://shopify/MailingAddress/{}?model_name=CustomerAddress", address.id)),
            "name" => at.maybe_personal(address.name().as_deref()),
            "firstName" => at.maybe_personal(address.first_name.as_deref()),
            "lastName" => at.maybe_personal(address.last_name.as_deref()),
            "address1" => at.maybe_personal(address.address1.as_deref()),
            "address2" => at.maybe_personal(address.address2.as_deref()),
            "zip" => at.maybe_personal(address.zip.as_deref()),
            "phone" => at.maybe_personal(address.phone.as_deref()),
            "company" => maybe(address.company.as_deref()),
            "city" => maybe(address.city.as_deref()),
            "province" | "provinceCode" => maybe(address.province_code.as_deref()),
            "country" => maybe(country.map(countries::name)),
            "countryCodeV2" => maybe(country),
            "formatted" => {
                at.context.viewer.may_know_people(at.name())?;
                let name = address.name().filter(|_| at.flag("withName"));
                let lines = [&name, &address.address1, &address.address2, &address.city];
                let lines = lines.into_iter().flatten().map(|line| ResolvedValue::leaf(line.as_str()));
                Ok(ResolvedValue::list(lines.collect::<Vec<_>>()))
            }
            _ => at.unknown(self),
        }
    }
}
