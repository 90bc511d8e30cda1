//! What differs between customers, orders and products.

use connector::{Account, Coverage, Filters, ProviderError, Selection, model};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    Operation,
    search::{self, Search},
};
use crate::shopify::convert::{self, wire};

/// A kind of record that is listed, read one by one, and has children in pages of their own.
pub(crate) trait Resource {
    type Wire: DeserializeOwned + Send;
    type Child: DeserializeOwned + Send;
    type Model;

    /// As in global ids.
    const KIND: &'static str;
    const LIST: Operation;
    const POSITION: Operation;
    const ONE: Operation;
    /// The children of several records, from the first on.
    const CHILDREN_OF_MANY: Operation;
    /// The children of one record, from a cursor on.
    const CHILDREN_OF_ONE: Operation;
    /// The variable that says how many children come with their record, and how many do in a list.
    const CHILDREN_FIRST: (&'static str, u32);
    /// How many come with a record that is read alone.
    const CHILDREN_FIRST_ONE: u32;

    /// # Errors
    /// [`ProviderError::Rejected`] for a filter's value outside the unified vocabulary.
    fn search(filters: &Filters) -> Result<Search, ProviderError>;

    /// The variables that say what is left out.
    fn switches(selection: &Selection, is_one: bool) -> Map<String, Value>;

    /// Points that one record and one child of it cost at most, counting every object.
    /// <https://shopify.dev/docs/api/usage/limits#graphql-admin-api-rate-limits>
    fn points(switches: &Map<String, Value>) -> Points;

    fn gid(wire: &Self::Wire) -> &wire::Gid;

    /// None when they were not asked for.
    fn children(wire: &mut Self::Wire) -> Option<&mut wire::Connection<Self::Child>>;

    /// Whether there is more of the record than what is followed.
    fn is_abridged(_wire: &Self::Wire) -> bool {
        false
    }

    fn coverage(_account: &Account) -> Vec<Coverage> {
        vec![]
    }

    fn convert(wire: Self::Wire, currency: Option<&str>, platform: bool) -> Self::Model;
}

pub(crate) struct Points {
    pub(crate) record: u32,
    pub(crate) child: u32,
}

/// Whether a switch is on.
pub(super) fn is_on(switches: &Map<String, Value>, name: &str) -> bool {
    switches.get(name) == Some(&Value::Bool(true))
}

fn points(switches: &Map<String, Value>, prices: &[(&str, u32)]) -> u32 {
    prices.iter().filter(|(name, _)| is_on(switches, name)).map(|(_, points)| points).sum()
}

fn map<const N: usize>(switches: [(&str, bool); N]) -> Map<String, Value> {
    switches.into_iter().map(|(name, is_on)| (name.to_owned(), Value::Bool(is_on))).collect()
}

pub(crate) struct Orders;

const ORDER_FIELDS: &[(&str, &str)] = &[
    ("customer", "customer"),
    ("email", "email"),
    ("phone", "phone"),
    ("billingAddress", "billing_address"),
    ("shippingAddress", "shipping_address"),
    ("note", "note"),
    ("lineItems", "line_items"),
    ("children", "line_items"),
    ("totalPriceSet", "total"),
    ("subtotalPriceSet", "subtotal"),
    ("totalDiscountsSet", "discount_total"),
    ("totalShippingPriceSet", "shipping_total"),
    ("totalTaxSet", "tax_total"),
    ("totalRefundedSet", "refunded_total"),
];

impl Resource for Orders {
    type Wire = wire::Order;
    type Child = wire::LineItem;
    type Model = model::Order;

    const KIND: &'static str = "Order";
    const LIST: Operation =
        Operation { name: "Orders", document: include_str!("../graphql/orders.graphql"), fields: ORDER_FIELDS };
    const POSITION: Operation = Operation {
        name: "OrdersPosition",
        document: include_str!("../graphql/orders_position.graphql"),
        fields: ORDER_FIELDS,
    };
    const ONE: Operation =
        Operation { name: "Order", document: include_str!("../graphql/order.graphql"), fields: ORDER_FIELDS };
    const CHILDREN_OF_MANY: Operation = Operation {
        name: "OrdersLineItems",
        document: include_str!("../graphql/orders_line_items.graphql"),
        fields: ORDER_FIELDS,
    };
    const CHILDREN_OF_ONE: Operation = Operation {
        name: "OrderLineItems",
        document: include_str!("../graphql/order_line_items.graphql"),
        fields: ORDER_FIELDS,
    };
    /// 25 orders with three lines each are 978 points of the 1000 that a query may ask for.
    const CHILDREN_FIRST: (&'static str, u32) = ("lines", 3);
    const CHILDREN_FIRST_ONE: u32 = 25;

    fn search(filters: &Filters) -> Result<Search, ProviderError> {
        search::orders(filters)
    }

    fn switches(selection: &Selection, is_one: bool) -> Map<String, Value> {
        let person = |field| selection.persons && selection.wants(field);
        let breakdown = ["subtotal", "discount_total", "shipping_total", "tax_total", "refunded_total"];
        map([
            ("persons", selection.persons),
            ("customer", person("customer")),
            ("billingAddress", person("billing_address")),
            ("shippingAddress", person("shipping_address")),
            ("note", person("note")),
            ("total", selection.wants("total")),
            ("breakdown", breakdown.into_iter().any(|field| selection.wants(field))),
            ("lineItems", selection.wants("line_items")),
            // Fifteen points for each line: too dear for lists.
            ("lineTaxes", is_one),
            ("platformSpecific", selection.wants("platform_specific")),
        ])
    }

    fn points(switches: &Map<String, Value>) -> Points {
        let platform = is_on(switches, "platformSpecific");
        let record = 1 + points(switches, &[("customer", 1), ("billingAddress", 1), ("shippingAddress", 1)]);
        let amounts = points(switches, &[("total", 1), ("breakdown", 5)]);
        let each = if platform { 3 } else { 2 };
        let record = record + amounts * each + points(switches, &[("lineItems", 2), ("platformSpecific", 12)]);
        Points { record, child: 7 + points(switches, &[("lineTaxes", 15), ("platformSpecific", 1)]) }
    }

    fn gid(wire: &wire::Order) -> &wire::Gid {
        &wire.id
    }

    fn children(wire: &mut wire::Order) -> Option<&mut wire::Connection<wire::LineItem>> {
        wire.line_items.as_mut()
    }

    fn coverage(account: &Account) -> Vec<Coverage> {
        let sees_all = account.scopes.iter().any(|scope| scope == "read_all_orders");
        if sees_all { vec![] } else { vec![Coverage::Last60Days] }
    }

    fn convert(wire: wire::Order, _currency: Option<&str>, platform: bool) -> model::Order {
        convert::order(wire, platform)
    }
}

pub(crate) struct Customers;

const CUSTOMER_FIELDS: &[(&str, &str)] = &[
    ("firstName", "first_name"),
    ("lastName", "last_name"),
    ("defaultEmailAddress", "email"),
    ("defaultPhoneNumber", "phone"),
    ("defaultAddress", "default_address"),
    ("addressesV2", "addresses"),
    ("children", "addresses"),
    ("numberOfOrders", "orders_count"),
    ("amountSpent", "total_spent"),
];

impl Resource for Customers {
    type Wire = wire::Customer;
    type Child = wire::MailingAddress;
    type Model = model::Customer;

    const KIND: &'static str = "Customer";
    const LIST: Operation = Operation {
        name: "Customers",
        document: include_str!("../graphql/customers.graphql"),
        fields: CUSTOMER_FIELDS,
    };
    const POSITION: Operation = Operation {
        name: "CustomersPosition",
        document: include_str!("../graphql/customers_position.graphql"),
        fields: CUSTOMER_FIELDS,
    };
    const ONE: Operation =
        Operation { name: "Customer", document: include_str!("../graphql/customer.graphql"), fields: CUSTOMER_FIELDS };
    const CHILDREN_OF_MANY: Operation = Operation {
        name: "CustomersAddresses",
        document: include_str!("../graphql/customers_addresses.graphql"),
        fields: CUSTOMER_FIELDS,
    };
    const CHILDREN_OF_ONE: Operation = Operation {
        name: "CustomerAddresses",
        document: include_str!("../graphql/customer_addresses.graphql"),
        fields: CUSTOMER_FIELDS,
    };
    const CHILDREN_FIRST: (&'static str, u32) = ("addressesFirst", 5);
    const CHILDREN_FIRST_ONE: u32 = 100;

    fn search(filters: &Filters) -> Result<Search, ProviderError> {
        Ok(search::customers(filters))
    }

    fn switches(selection: &Selection, _is_one: bool) -> Map<String, Value> {
        let person = |fields: &[&str]| selection.persons && fields.iter().any(|field| selection.wants(field));
        map([
            ("persons", selection.persons),
            ("name", person(&["first_name", "last_name"])),
            ("email", person(&["email", "marketing"])),
            ("phone", person(&["phone", "marketing"])),
            ("defaultAddress", person(&["default_address", "company"])),
            ("addresses", person(&["addresses"])),
            ("platformSpecific", selection.wants("platform_specific")),
        ])
    }

    fn points(switches: &Map<String, Value>) -> Points {
        let optional = [("email", 1), ("phone", 2), ("defaultAddress", 1), ("addresses", 2), ("platformSpecific", 1)];
        Points { record: 2 + points(switches, &optional), child: 1 }
    }

    fn gid(wire: &wire::Customer) -> &wire::Gid {
        &wire.id
    }

    fn children(wire: &mut wire::Customer) -> Option<&mut wire::Connection<wire::MailingAddress>> {
        wire.addresses.as_mut()
    }

    fn convert(wire: wire::Customer, _currency: Option<&str>, platform: bool) -> model::Customer {
        convert::customer(wire, platform)
    }
}

pub(crate) struct Products;

const PRODUCT_FIELDS: &[(&str, &str)] = &[
    ("media", "images"),
    ("options", "options"),
    ("variants", "variants"),
    ("children", "variants"),
    ("currencyCode", "currency"),
];

/// Pictures that come with a product in a list, and alone.
const MEDIA_FIRST: (u32, u32) = (2, 100);

impl Resource for Products {
    type Wire = wire::Product;
    type Child = wire::Variant;
    type Model = model::Product;

    const KIND: &'static str = "Product";
    const LIST: Operation =
        Operation { name: "Products", document: include_str!("../graphql/products.graphql"), fields: PRODUCT_FIELDS };
    const POSITION: Operation = Operation {
        name: "ProductsPosition",
        document: include_str!("../graphql/products_position.graphql"),
        fields: PRODUCT_FIELDS,
    };
    const ONE: Operation =
        Operation { name: "Product", document: include_str!("../graphql/product.graphql"), fields: PRODUCT_FIELDS };
    const CHILDREN_OF_MANY: Operation = Operation {
        name: "ProductsVariants",
        document: include_str!("../graphql/products_variants.graphql"),
        fields: PRODUCT_FIELDS,
    };
    const CHILDREN_OF_ONE: Operation = Operation {
        name: "ProductVariants",
        document: include_str!("../graphql/product_variants.graphql"),
        fields: PRODUCT_FIELDS,
    };
    /// 25 products with three variants and two pictures each are 954 points.
    const CHILDREN_FIRST: (&'static str, u32) = ("variantsFirst", 3);
    const CHILDREN_FIRST_ONE: u32 = 90;

    fn search(filters: &Filters) -> Result<Search, ProviderError> {
        search::products(filters)
    }

    fn switches(selection: &Selection, is_one: bool) -> Map<String, Value> {
        let mut switches = map([
            ("description", selection.wants("description_html")),
            ("images", selection.wants("images")),
            ("options", selection.wants("options")),
            ("variants", selection.wants("variants")),
            ("platformSpecific", selection.wants("platform_specific")),
        ]);
        let media = if is_one { MEDIA_FIRST.1 } else { MEDIA_FIRST.0 };
        switches.insert("mediaFirst".to_owned(), media.into());
        switches
    }

    fn points(switches: &Map<String, Value>) -> Points {
        let media =
            if switches.get("mediaFirst") == Some(&MEDIA_FIRST.1.into()) { MEDIA_FIRST.1 } else { MEDIA_FIRST.0 };
        let optional = [("images", 2 + 3 * media), ("options", 6), ("variants", 2), ("platformSpecific", 3)];
        Points { record: 1 + points(switches, &optional), child: 7 }
    }

    fn gid(wire: &wire::Product) -> &wire::Gid {
        &wire.id
    }

    fn children(wire: &mut wire::Product) -> Option<&mut wire::Connection<wire::Variant>> {
        wire.variants.as_mut()
    }

    fn is_abridged(wire: &wire::Product) -> bool {
        wire.media.as_ref().is_some_and(|media| media.page_info.has_next_page)
    }

    fn convert(wire: wire::Product, currency: Option<&str>, platform: bool) -> model::Product {
        convert::product(wire, currency, platform)
    }
}
