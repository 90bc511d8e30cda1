//! The three resources: what differs between them, in one place each.

use connector::{Customer, Filter, Filters, Order, Product, Provider, Read};
use kernel::Exit;
use serde::Serialize;

use super::{
    Flights, State,
    model::{check, unified},
};
use crate::data_access::model::DataAccess;

/// One kind of data that shops are asked for.
pub(crate) trait LiveResource: Send + Sync + 'static {
    type Model: Send + Sync + 'static;
    type View<'a>: Serialize;

    /// As in the path.
    const NAME: &'static str;
    /// The capability that a connection must have switched on.
    const CAPABILITY: &'static str;
    /// The filters that this resource has; which of them a shop can apply, its connector says.
    const FILTERS: &'static [Filter];
    /// The fields of the unified object, as `fields=` names them.
    const FIELDS: &'static [&'static str];
    /// What is left out when the store's owner has switched customers off.
    const PERSONS: &'static [&'static str];
    /// Filters that ask about a person: refused then, since which records match is an answer too.
    const ABOUT_PERSONS: &'static [Filter];

    fn allowed(access: DataAccess) -> bool;
    fn reader(provider: &'static dyn Provider) -> Option<&'static dyn Read<Self::Model>>;
    fn flights(state: &State) -> &Flights<Self::Model>;
    /// The field that tells whether a record matches a filter; None where the shop's word must do.
    fn checked_by(filter: Filter) -> Option<&'static str>;
    /// Whether a record is one that was asked for: shops ignore filters that they do not know. `abridged` records carry
    /// only the first of their parts.
    fn matches(model: &Self::Model, filters: &Filters, abridged: bool) -> bool;
    /// The unified object; without persons if those are withheld.
    fn view<'a>(model: &'a Self::Model, persons: bool, exit: &'a Exit) -> Self::View<'a>;
}

pub(crate) enum Customers {}
impl LiveResource for Customers {
    type Model = Customer;
    type View<'a> = unified::UnifiedCustomer<'a>;
    const NAME: &'static str = "customers";
    const CAPABILITY: &'static str = "read_customers";
    const FILTERS: &'static [Filter] = &[
        Filter::Ids,
        Filter::Email,
        Filter::Phone,
        Filter::Search,
        Filter::CreatedAfter,
        Filter::CreatedBefore,
        Filter::UpdatedAfter,
        Filter::UpdatedBefore,
    ];
    const FIELDS: &'static [&'static str] = unified::CUSTOMER_FIELDS;
    const PERSONS: &'static [&'static str] = &[];
    const ABOUT_PERSONS: &'static [Filter] = &[];

    fn allowed(access: DataAccess) -> bool {
        access.allow_customer_access
    }
    fn reader(provider: &'static dyn Provider) -> Option<&'static dyn Read<Customer>> {
        provider.customers()
    }
    fn flights(state: &State) -> &Flights<Customer> {
        &state.customers
    }
    fn checked_by(filter: Filter) -> Option<&'static str> {
        match filter {
            Filter::Email => Some("email"),
            Filter::Phone => Some("phone"),
            Filter::CreatedAfter | Filter::CreatedBefore => Some("created_at"),
            Filter::UpdatedAfter | Filter::UpdatedBefore => Some("updated_at"),
            _ => None,
        }
    }
    fn matches(model: &Customer, filters: &Filters, _abridged: bool) -> bool {
        check::customer(model, filters)
    }
    fn view<'a>(model: &'a Customer, _persons: bool, exit: &'a Exit) -> Self::View<'a> {
        unified::customer(model, exit)
    }
}

pub(crate) enum Orders {}
impl LiveResource for Orders {
    type Model = Order;
    type View<'a> = unified::UnifiedOrder<'a>;
    const NAME: &'static str = "orders";
    const CAPABILITY: &'static str = "read_orders";
    const FILTERS: &'static [Filter] = &[
        Filter::Ids,
        Filter::Email,
        Filter::Phone,
        Filter::Search,
        Filter::Status,
        Filter::PaymentStatus,
        Filter::CustomerId,
        Filter::Number,
        Filter::CreatedAfter,
        Filter::CreatedBefore,
        Filter::UpdatedAfter,
        Filter::UpdatedBefore,
    ];
    const FIELDS: &'static [&'static str] = unified::ORDER_FIELDS;
    const PERSONS: &'static [&'static str] =
        &["customer", "billing_address", "shipping_address", "note", "tags", "platform_specific"];
    const ABOUT_PERSONS: &'static [Filter] = &[Filter::Email, Filter::Phone, Filter::CustomerId, Filter::Search];

    fn allowed(access: DataAccess) -> bool {
        access.allow_order_access
    }
    fn reader(provider: &'static dyn Provider) -> Option<&'static dyn Read<Order>> {
        provider.orders()
    }
    fn flights(state: &State) -> &Flights<Order> {
        &state.orders
    }
    fn checked_by(filter: Filter) -> Option<&'static str> {
        match filter {
            Filter::Email | Filter::Phone | Filter::CustomerId => Some("customer"),
            Filter::Status => Some("status"),
            Filter::PaymentStatus => Some("payment_status"),
            Filter::Number => Some("number"),
            Filter::CreatedAfter | Filter::CreatedBefore => Some("placed_at"),
            Filter::UpdatedAfter | Filter::UpdatedBefore => Some("updated_at"),
            _ => None,
        }
    }
    fn matches(model: &Order, filters: &Filters, _abridged: bool) -> bool {
        check::order(model, filters)
    }
    fn view<'a>(model: &'a Order, persons: bool, exit: &'a Exit) -> Self::View<'a> {
        unified::order(model, persons, exit)
    }
}

pub(crate) enum Products {}
impl LiveResource for Products {
    type Model = Product;
    type View<'a> = unified::UnifiedProduct<'a>;
    const NAME: &'static str = "products";
    const CAPABILITY: &'static str = "read_products";
    const FILTERS: &'static [Filter] = &[
        Filter::Ids,
        Filter::Sku,
        Filter::Search,
        Filter::Status,
        Filter::CreatedAfter,
        Filter::CreatedBefore,
        Filter::UpdatedAfter,
        Filter::UpdatedBefore,
    ];
    const FIELDS: &'static [&'static str] = unified::PRODUCT_FIELDS;
    const PERSONS: &'static [&'static str] = &[];
    const ABOUT_PERSONS: &'static [Filter] = &[];

    fn allowed(access: DataAccess) -> bool {
        access.allow_product_access
    }
    fn reader(provider: &'static dyn Provider) -> Option<&'static dyn Read<Product>> {
        provider.products()
    }
    fn flights(state: &State) -> &Flights<Product> {
        &state.products
    }
    fn checked_by(filter: Filter) -> Option<&'static str> {
        match filter {
            Filter::Sku => Some("variants"),
            Filter::Status => Some("status"),
            Filter::CreatedAfter | Filter::CreatedBefore => Some("created_at"),
            Filter::UpdatedAfter | Filter::UpdatedBefore => Some("updated_at"),
            _ => None,
        }
    }
    fn matches(model: &Product, filters: &Filters, abridged: bool) -> bool {
        check::product(model, filters, abridged)
    }
    fn view<'a>(model: &'a Product, _persons: bool, _exit: &'a Exit) -> Self::View<'a> {
        unified::product(model)
    }
}
