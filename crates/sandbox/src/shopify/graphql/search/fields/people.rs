//! Customers, orders and abandoned checkouts.

use super::{Searchable, is_id};
use crate::shopify::graphql::countries;
use crate::shopify::graphql::search::term::Term;
use crate::shopify::store::model::{AbandonedCheckout, Customer, Id, Order};
use crate::shopify::store::values::FulfillmentStatus;
use crate::shopify::store::{Key, Listed, Store};
use rust_decimal::Decimal;

impl Searchable for Customer {
    const FIELDS: &'static [&'static str] = &[
        "updated_at",
        "customer_date",
        "email",
        "phone",
        "id",
        "tag",
        "tag_not",
        "state",
        "country",
        "order_date",
        "orders_count",
        "total_spent",
        "accepts_marketing",
        "first_name",
        "last_name",
    ];

    fn matches(&self, term: &Term, store: &Store) -> bool {
        let email = self.email.as_ref().map(|email| email.address.as_str());
        match term.field.as_deref() {
            Some("updated_at") => term.day(self.updated_at),
            Some("customer_date") => term.time(self.created_at),
            Some("email") => term.email(email),
            Some("phone") => self.phone.as_ref().is_some_and(|phone| term.whole(phone.number.as_str())),
            Some("id") => is_id(term, self.id),
            Some("tag") => self.tags.iter().any(|tag| term.whole(tag.as_str())),
            Some("tag_not") => !self.tags.iter().any(|tag| term.whole(tag.as_str())),
            Some("state") => term.keyword(self.state.as_str()),
            Some("country") => {
                let codes = self.addresses.iter().filter_map(|address| address.country_code.as_deref());
                codes.into_iter().any(|code| term.whole(code) || term.whole(countries::name(code)))
            }
            Some("order_date") => store.orders_of(self.id).iter().any(|order| term.time(order.processed_at)),
            Some("orders_count") => term.number(store.orders_of(self.id).len() as u64),
            Some("total_spent") => term.number(store.amount_spent(self.id)),
            Some("accepts_marketing") => term.flag(self.accepts_marketing()),
            Some("first_name") => term.words(self.first_name.as_deref()),
            Some("last_name") => term.words(self.last_name.as_deref()),
            _ => {
                let texts = [self.first_name.as_deref(), self.last_name.as_deref(), email];
                texts.into_iter().flatten().any(|text| term.words(text))
            }
        }
    }
}

impl Listed for Customer {
    const LIST: &'static str = "customers";

    fn id(&self) -> Id {
        self.id
    }

    fn key(&self, sort: &str) -> Key {
        match sort {
            "CREATED_AT" => self.created_at.into(),
            "UPDATED_AT" => self.updated_at.into(),
            "NAME" => {
                format!("{}, {}", self.last_name.as_deref().unwrap_or(""), self.first_name.as_deref().unwrap_or(""))
                    .as_str()
                    .into()
            }
            "LOCATION" => self.addresses.first().and_then(|address| address.country_code.as_deref()).into(),
            _ => Key::Missing,
        }
    }
}

impl Searchable for Order {
    const FIELDS: &'static [&'static str] = &[
        "updated_at",
        "created_at",
        "processed_at",
        "status",
        "financial_status",
        "fulfillment_status",
        "return_status",
        "id",
        "name",
        "email",
        "customer_id",
        "tag",
        "tag_not",
        "test",
        "source_name",
        "source_identifier",
        "sku",
        "discount_code",
        "checkout_token",
        "cart_token",
        "confirmation_number",
        "po_number",
    ];

    fn matches(&self, term: &Term, _: &Store) -> bool {
        match term.field.as_deref() {
            Some("updated_at") => term.time(self.updated_at),
            Some("created_at") => term.time(self.created_at),
            Some("processed_at") => term.time(self.processed_at),
            Some("status") => {
                let (closed, cancelled) = (self.closed_at.is_some(), self.cancelled.is_some());
                term.keyword("any")
                    || (term.keyword("open") && !closed && !cancelled)
                    || (term.keyword("closed") && closed)
                    || (term.keyword("cancelled") && cancelled)
                    || (term.keyword("not_closed") && !closed)
            }
            Some("financial_status") => {
                term.keyword("any") || self.financial.is_some_and(|status| term.keyword(status.as_str()))
            }
            Some("fulfillment_status") => {
                let also = match self.fulfillment {
                    FulfillmentStatus::Unfulfilled => "unshipped",
                    FulfillmentStatus::Fulfilled => "shipped",
                    FulfillmentStatus::PartiallyFulfilled => "partial",
                    _ => "any",
                };
                term.keyword("any") || term.keyword(also) || term.keyword(self.fulfillment.as_str())
            }
            Some("return_status") => term.keyword(self.return_status()),
            Some("id") => is_id(term, self.id),
            Some("name") => term.whole(self.name().as_str()) || term.whole(self.number.to_string().as_str()),
            Some("email") => term.email(self.email.as_deref()),
            Some("customer_id") => self.customer_id.is_some_and(|id| is_id(term, id)),
            Some("tag") => self.tags.iter().any(|tag| term.whole(tag.as_str())),
            Some("tag_not") => !self.tags.iter().any(|tag| term.whole(tag.as_str())),
            Some("test") => term.flag(self.test),
            Some("source_name") => term.whole(self.source_name.as_str()),
            Some("source_identifier") => term.whole(self.source_identifier.as_deref()),
            Some("sku") => self.lines.iter().any(|line| term.words(line.sku.as_deref())),
            Some("discount_code") => self.discount_codes.iter().any(|code| term.whole(code.as_str())),
            Some("checkout_token") => term.whole(self.checkout_token.as_deref()),
            Some("cart_token") => term.whole(self.cart_token.as_deref()),
            Some("confirmation_number") => term.whole(self.confirmation_number.as_str()),
            Some("po_number") => term.whole(self.po_number.as_deref()),
            _ => {
                let billing = self.billing.as_ref();
                let names =
                    [billing.and_then(|b| b.first_name.as_deref()), billing.and_then(|b| b.last_name.as_deref())];
                let texts = names.into_iter().chain([self.email.as_deref()]).flatten();
                term.whole(self.name().as_str()) || texts.into_iter().any(|text| term.words(text))
            }
        }
    }
}

impl Listed for Order {
    const LIST: &'static str = "orders";

    fn id(&self) -> Id {
        self.id
    }

    fn key(&self, sort: &str) -> Key {
        match sort {
            "PROCESSED_AT" => self.processed_at.into(),
            "CREATED_AT" => self.created_at.into(),
            "UPDATED_AT" => self.updated_at.into(),
            "ORDER_NUMBER" => Decimal::from(self.number).into(),
            "TOTAL_PRICE" => self.totals.total.into(),
            "CURRENT_TOTAL_PRICE" => self.totals.current_total().into(),
            "TOTAL_ITEMS_QUANTITY" => Decimal::from(self.lines.iter().map(|line| line.quantity).sum::<u32>()).into(),
            "FINANCIAL_STATUS" => self.financial.map(|status| status.as_str()).into(),
            "FULFILLMENT_STATUS" => self.fulfillment.as_str().into(),
            "PO_NUMBER" => self.po_number.as_deref().into(),
            "CUSTOMER_NAME" => self.billing.as_ref().and_then(|billing| billing.last_name.as_deref()).into(),
            "DESTINATION" => self.shipping.as_ref().and_then(|shipping| shipping.city.as_deref()).into(),
            _ => Key::Missing,
        }
    }
}

impl Searchable for AbandonedCheckout {
    const FIELDS: &'static [&'static str] = &["updated_at", "created_at", "status", "recovery_state", "id"];

    fn matches(&self, term: &Term, _: &Store) -> bool {
        let completed = self.completed_at.is_some();
        match term.field.as_deref() {
            Some("updated_at") => term.time(self.updated_at),
            Some("created_at") => term.time(self.created_at),
            Some("status") => term.keyword("any") || term.keyword(if completed { "closed" } else { "open" }),
            Some("recovery_state") => term.keyword(if completed { "recovered" } else { "not_recovered" }),
            Some("id") => is_id(term, self.id),
            _ => self.lines.iter().any(|line| term.words(line.title.as_str())),
        }
    }
}

impl Listed for AbandonedCheckout {
    const LIST: &'static str = "abandonedCheckouts";

    fn id(&self) -> Id {
        self.id
    }

    fn key(&self, sort: &str) -> Key {
        match sort {
            "CREATED_AT" => self.created_at.into(),
            "TOTAL_PRICE" => self.total.into(),
            _ => Key::Missing,
        }
    }
}
