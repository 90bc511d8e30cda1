//! What follows from a record's fields.

use super::Store;
use super::model::{Address, Customer, Id, LineItem, Order, Product, Totals, Variant};
use super::values::{EmailMarketing, FinancialStatus};
use rust_decimal::Decimal;

impl Product {
    /// Pieces available of all variants that are counted.
    pub fn total_inventory(&self) -> i32 {
        self.variants.iter().filter(|variant| variant.tracked).map(Variant::available).sum()
    }

    /// Whether there is nothing to choose.
    pub fn has_only_default_variant(&self) -> bool {
        self.options.len() == 1 && self.options[0].name == "Title" && self.variants.len() == 1
    }
}

impl Variant {
    /// The option values joined: `Black / M`, or `Default Title`.
    pub fn title(&self) -> String {
        self.option_values.join(" / ")
    }

    /// Pieces available at all locations.
    pub fn available(&self) -> i32 {
        self.levels.iter().map(|level| level.available).sum()
    }

    /// Counted from 1.
    pub fn position_in(&self, product: &Product) -> usize {
        product.variants.iter().position(|variant| variant.id == self.id).map_or(1, |at| at + 1)
    }

    /// Whether it can be bought now.
    pub fn for_sale(&self) -> bool {
        self.oversell || !self.tracked || self.available() > 0
    }
}

impl Customer {
    /// The name; the email or phone number where there is none.
    pub fn display_name(&self) -> String {
        let names: Vec<&str> = [&self.first_name, &self.last_name].into_iter().flatten().map(String::as_str).collect();
        let email = || self.email.as_ref().map(|email| email.address.clone());
        let phone = || self.phone.as_ref().map(|phone| phone.number.clone());
        if names.is_empty() { email().or_else(phone).unwrap_or_default() } else { names.join(" ") }
    }

    /// Whether the newsletter may be sent.
    pub fn accepts_marketing(&self) -> bool {
        self.email.as_ref().is_some_and(|email| email.marketing == EmailMarketing::Subscribed)
    }
}

impl Address {
    /// Given and family name.
    pub fn name(&self) -> Option<String> {
        let names: Vec<&str> = [&self.first_name, &self.last_name].into_iter().flatten().map(String::as_str).collect();
        (!names.is_empty()).then(|| names.join(" "))
    }
}

impl Order {
    /// For people: `#1001`.
    pub fn name(&self) -> String {
        format!("#{}", self.number)
    }

    /// `OrderReturnStatus`.
    pub fn return_status(&self) -> &'static str {
        let returned = self.refunds.iter().flat_map(|refund| &refund.lines).any(|line| line.restock == "RETURN");
        if returned { "RETURNED" } else { "NO_RETURN" }
    }

    /// What is still to be paid. Nothing for cancelled and voided orders.
    pub fn outstanding(&self) -> Decimal {
        let settled = self.cancelled.is_some()
            || matches!(self.financial, Some(FinancialStatus::Voided | FinancialStatus::Expired));
        if settled { Decimal::ZERO } else { (self.totals.total - self.totals.received).max(Decimal::ZERO) }
    }

    /// Whether nothing remains to be paid.
    pub fn fully_paid(&self) -> bool {
        self.totals.received >= self.totals.total
    }

    /// The line with this id.
    pub fn line(&self, id: Id) -> Option<&LineItem> {
        self.lines.iter().find(|line| line.id == id)
    }
}

impl Totals {
    /// The total less what was given back.
    pub fn current_total(&self) -> Decimal {
        self.total - self.refunded
    }
}

impl LineItem {
    /// For all, before discounts.
    pub fn original_total(&self) -> Decimal {
        self.unit_price * Decimal::from(self.quantity)
    }
}

impl Store {
    /// What a customer paid, less refunds.
    pub fn amount_spent(&self, customer: Id) -> Decimal {
        self.orders_of(customer).iter().map(|order| order.totals.received - order.totals.refunded).sum()
    }
}
