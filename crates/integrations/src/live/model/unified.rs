//! One format for the customers, orders and products of every shop (`UnifiedCustomer`, `UnifiedOrder`, `UnifiedProduct`).
//!
//! Fields that a shop does not have are null, never absent. Money is a string with its currency on the object. Times are
//! RFC 3339 UTC. Ids are the shop's own, as strings.

use chrono::{DateTime, Utc};
use connector::{Address, Customer, Order, Product, model};
use kernel::{Exit, Personal};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::words::{FulfillmentStatus, OrderStatus, PaymentStatus, ProductStatus};

pub const CUSTOMER_FIELDS: &[&str] = &[
    "id",
    "email",
    "first_name",
    "last_name",
    "phone",
    "company",
    "addresses",
    "default_address",
    "orders_count",
    "total_spent",
    "currency",
    "tags",
    "marketing",
    "locale",
    "created_at",
    "updated_at",
    "platform_specific",
];

pub const ORDER_FIELDS: &[&str] = &[
    "id",
    "number",
    "status",
    "payment_status",
    "fulfillment_status",
    "customer",
    "line_items",
    "subtotal",
    "discount_total",
    "shipping_total",
    "tax_total",
    "total",
    "refunded_total",
    "currency",
    "billing_address",
    "shipping_address",
    "note",
    "tags",
    "placed_at",
    "updated_at",
    "platform_specific",
];

pub const PRODUCT_FIELDS: &[&str] = &[
    "id",
    "title",
    "handle",
    "description_html",
    "status",
    "vendor",
    "type",
    "tags",
    "images",
    "options",
    "variants",
    "currency",
    "url",
    "created_at",
    "updated_at",
    "platform_specific",
];

/// A customer of a shop. All fields are there, unless `fields=` named some: then those, and `id`.
#[derive(Serialize, ToSchema)]
pub struct UnifiedCustomer<'a> {
    pub id: &'a str,
    pub email: Option<&'a str>,
    pub first_name: Option<&'a str>,
    pub last_name: Option<&'a str>,
    pub phone: Option<&'a str>,
    pub company: Option<&'a str>,
    pub addresses: Vec<UnifiedAddress<'a>>,
    pub default_address: Option<UnifiedAddress<'a>>,
    pub orders_count: Option<u64>,
    pub total_spent: Option<Decimal>,
    pub currency: Option<&'a str>,
    pub tags: Vec<&'a str>,
    pub marketing: UnifiedMarketing,
    pub locale: Option<&'a str>,
    pub created_at: Option<DateTime<Utc>>,
    pub updated_at: Option<DateTime<Utc>>,
    /// What the shop sent and no other field carries; null unless asked for with `fields=`.
    #[schema(value_type = Option<Object>)]
    pub platform_specific: Option<&'a Value>,
}

/// Consent to be written to; null where the shop does not know.
#[derive(Serialize, ToSchema)]
pub struct UnifiedMarketing {
    pub email: Option<bool>,
    pub sms: Option<bool>,
    pub at: Option<DateTime<Utc>>,
}

#[derive(Serialize, ToSchema)]
pub struct UnifiedAddress<'a> {
    pub first_name: Option<&'a str>,
    pub last_name: Option<&'a str>,
    pub company: Option<&'a str>,
    pub address1: Option<&'a str>,
    pub address2: Option<&'a str>,
    pub city: Option<&'a str>,
    pub postcode: Option<&'a str>,
    pub province: Option<&'a str>,
    /// ISO 3166-1 alpha-2.
    pub country_code: Option<&'a str>,
    pub phone: Option<&'a str>,
}

/// An order of a shop. All fields are there, unless `fields=` named some: then those, and `id`.
#[derive(Serialize, ToSchema)]
pub struct UnifiedOrder<'a> {
    pub id: &'a str,
    /// What people call it (`#1042`).
    pub number: Option<&'a str>,
    #[schema(value_type = OrderStatus)]
    pub status: &'static str,
    #[schema(value_type = Option<PaymentStatus>)]
    pub payment_status: Option<&'static str>,
    #[schema(value_type = Option<FulfillmentStatus>)]
    pub fulfillment_status: Option<&'static str>,
    /// Null when the order has none, or when `meta.withheld` says so.
    pub customer: Option<UnifiedOrderCustomer<'a>>,
    pub line_items: Vec<UnifiedLineItem<'a>>,
    /// What the lines come to after discounts, before shipping; with or without tax as the shop keeps its prices.
    pub subtotal: Option<Decimal>,
    /// Already taken off.
    pub discount_total: Option<Decimal>,
    pub shipping_total: Option<Decimal>,
    pub tax_total: Option<Decimal>,
    /// As ordered: refunds do not reduce it.
    pub total: Option<Decimal>,
    pub refunded_total: Option<Decimal>,
    pub currency: Option<&'a str>,
    pub billing_address: Option<UnifiedAddress<'a>>,
    pub shipping_address: Option<UnifiedAddress<'a>>,
    pub note: Option<&'a str>,
    pub tags: Vec<&'a str>,
    pub placed_at: Option<DateTime<Utc>>,
    pub updated_at: Option<DateTime<Utc>>,
    #[schema(value_type = Option<Object>)]
    pub platform_specific: Option<&'a Value>,
}

/// The buyer as the order names them; a guest has no id.
#[derive(Serialize, ToSchema)]
pub struct UnifiedOrderCustomer<'a> {
    pub id: Option<&'a str>,
    pub email: Option<&'a str>,
    pub first_name: Option<&'a str>,
    pub last_name: Option<&'a str>,
    pub phone: Option<&'a str>,
}

#[derive(Serialize, ToSchema)]
pub struct UnifiedLineItem<'a> {
    pub id: &'a str,
    /// Null when the product is gone.
    pub product_id: Option<&'a str>,
    pub variant_id: Option<&'a str>,
    pub sku: Option<&'a str>,
    pub name: &'a str,
    #[serde(serialize_with = "number")]
    #[schema(value_type = f64)]
    pub quantity: Decimal,
    pub unit_price: Option<Decimal>,
    pub discount: Option<Decimal>,
    pub tax: Option<Decimal>,
    pub total: Option<Decimal>,
}

/// A product of a shop. All fields are there, unless `fields=` named some: then those, and `id`.
#[derive(Serialize, ToSchema)]
pub struct UnifiedProduct<'a> {
    pub id: &'a str,
    pub title: &'a str,
    pub handle: Option<&'a str>,
    pub description_html: Option<&'a str>,
    #[schema(value_type = ProductStatus)]
    pub status: &'static str,
    pub vendor: Option<&'a str>,
    #[serde(rename = "type")]
    pub product_type: Option<&'a str>,
    pub tags: &'a [String],
    pub images: Vec<UnifiedImage<'a>>,
    pub options: Vec<UnifiedOption<'a>>,
    pub variants: Vec<UnifiedVariant<'a>>,
    /// Of all prices.
    pub currency: Option<&'a str>,
    pub url: Option<&'a str>,
    pub created_at: Option<DateTime<Utc>>,
    pub updated_at: Option<DateTime<Utc>>,
    #[schema(value_type = Option<Object>)]
    pub platform_specific: Option<&'a Value>,
}

#[derive(Serialize, ToSchema)]
pub struct UnifiedImage<'a> {
    pub id: Option<&'a str>,
    pub url: &'a str,
    pub alt: Option<&'a str>,
}

#[derive(Serialize, ToSchema)]
pub struct UnifiedOption<'a> {
    pub name: &'a str,
    pub values: &'a [String],
}

#[derive(Serialize, ToSchema)]
pub struct UnifiedVariant<'a> {
    pub id: &'a str,
    pub sku: Option<&'a str>,
    pub barcode: Option<&'a str>,
    pub price: Option<Decimal>,
    pub compare_at_price: Option<Decimal>,
    /// Null when the shop does not count; may be negative.
    pub inventory_quantity: Option<i64>,
    pub weight: Option<UnifiedWeight<'a>>,
    pub options: Vec<UnifiedSelectedOption<'a>>,
}

#[derive(Serialize, ToSchema)]
pub struct UnifiedWeight<'a> {
    #[serde(serialize_with = "number")]
    #[schema(value_type = f64)]
    pub value: Decimal,
    pub unit: Option<&'a str>,
}

#[derive(Serialize, ToSchema)]
pub struct UnifiedSelectedOption<'a> {
    pub name: &'a str,
    pub value: &'a str,
}

/// What is counted or weighed is a number; only money is a string.
fn number<S: Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    match value.to_i64().filter(|_| value.is_integer()) {
        Some(whole) => serializer.serialize_i64(whole),
        None => serializer.serialize_f64(value.to_f64().unwrap_or_default()),
    }
}

pub(in crate::live) fn customer<'a>(customer: &'a Customer, exit: &'a Exit) -> UnifiedCustomer<'a> {
    UnifiedCustomer {
        id: &customer.id,
        email: text(customer.email.as_ref(), exit),
        first_name: text(customer.first_name.as_ref(), exit),
        last_name: text(customer.last_name.as_ref(), exit),
        phone: text(customer.phone.as_ref(), exit),
        company: text(customer.company.as_ref(), exit),
        addresses: customer.addresses.iter().map(|given| address(given.reveal(exit))).collect(),
        default_address: customer.default_address.as_ref().map(|given| address(given.reveal(exit))),
        orders_count: customer.orders_count,
        total_spent: customer.total_spent,
        currency: customer.currency.as_deref(),
        tags: customer.tags.iter().map(|tag| tag.reveal(exit).as_str()).collect(),
        marketing: UnifiedMarketing {
            email: customer.marketing.email,
            sms: customer.marketing.sms,
            at: customer.marketing.at,
        },
        locale: customer.locale.as_deref(),
        created_at: customer.created_at,
        updated_at: customer.updated_at,
        platform_specific: customer.platform_specific.as_ref().map(|value| value.reveal(exit)),
    }
}

/// `persons` is false when the store's owner has switched customers off: whatever the shop sent of them stays here.
pub(in crate::live) fn order<'a>(order: &'a Order, persons: bool, exit: &'a Exit) -> UnifiedOrder<'a> {
    let buyer = |customer: &'a model::OrderCustomer| UnifiedOrderCustomer {
        id: customer.id.as_deref(),
        email: text(customer.email.as_ref(), exit),
        first_name: text(customer.first_name.as_ref(), exit),
        last_name: text(customer.last_name.as_ref(), exit),
        phone: text(customer.phone.as_ref(), exit),
    };
    UnifiedOrder {
        id: &order.id,
        number: order.number.as_deref(),
        status: order.status.as_str(),
        payment_status: order.payment_status.map(model::PaymentStatus::as_str),
        fulfillment_status: order.fulfillment_status.map(model::FulfillmentStatus::as_str),
        customer: order.customer.as_ref().filter(|_| persons).map(buyer),
        line_items: order.line_items.iter().map(line_item).collect(),
        subtotal: order.subtotal,
        discount_total: order.discount_total,
        shipping_total: order.shipping_total,
        tax_total: order.tax_total,
        total: order.total,
        refunded_total: order.refunded_total,
        currency: order.currency.as_deref(),
        billing_address: order.billing_address.as_ref().filter(|_| persons).map(|given| address(given.reveal(exit))),
        shipping_address: order.shipping_address.as_ref().filter(|_| persons).map(|given| address(given.reveal(exit))),
        note: text(order.note.as_ref().filter(|_| persons), exit),
        tags: order.tags.iter().filter(|_| persons).map(|tag| tag.reveal(exit).as_str()).collect(),
        placed_at: order.placed_at,
        updated_at: order.updated_at,
        platform_specific: order.platform_specific.as_ref().filter(|_| persons).map(|value| value.reveal(exit)),
    }
}

pub(in crate::live) fn product(product: &Product) -> UnifiedProduct<'_> {
    UnifiedProduct {
        id: &product.id,
        title: &product.title,
        handle: product.handle.as_deref(),
        description_html: product.description_html.as_deref(),
        status: product.status.as_str(),
        vendor: product.vendor.as_deref(),
        product_type: product.product_type.as_deref(),
        tags: &product.tags,
        images: product
            .images
            .iter()
            .map(|image| UnifiedImage { id: image.id.as_deref(), url: &image.url, alt: image.alt.as_deref() })
            .collect(),
        options: product
            .options
            .iter()
            .map(|option| UnifiedOption { name: &option.name, values: &option.values })
            .collect(),
        variants: product.variants.iter().map(variant).collect(),
        currency: product.currency.as_deref(),
        url: product.url.as_deref(),
        created_at: product.created_at,
        updated_at: product.updated_at,
        platform_specific: product.platform_specific.as_ref(),
    }
}

fn text<'a>(value: Option<&'a Personal<String>>, exit: &'a Exit) -> Option<&'a str> {
    value.map(|value| value.reveal(exit).as_str())
}

fn address(address: &Address) -> UnifiedAddress<'_> {
    UnifiedAddress {
        first_name: address.first_name.as_deref(),
        last_name: address.last_name.as_deref(),
        company: address.company.as_deref(),
        address1: address.address1.as_deref(),
        address2: address.address2.as_deref(),
        city: address.city.as_deref(),
        postcode: address.postcode.as_deref(),
        province: address.province.as_deref(),
        country_code: address.country_code.as_deref(),
        phone: address.phone.as_deref(),
    }
}

fn line_item(item: &model::LineItem) -> UnifiedLineItem<'_> {
    UnifiedLineItem {
        id: &item.id,
        product_id: item.product_id.as_deref(),
        variant_id: item.variant_id.as_deref(),
        sku: item.sku.as_deref(),
        name: &item.name,
        quantity: item.quantity,
        unit_price: item.unit_price,
        discount: item.discount,
        tax: item.tax,
        total: item.total,
    }
}

fn variant(variant: &model::Variant) -> UnifiedVariant<'_> {
    UnifiedVariant {
        id: &variant.id,
        sku: variant.sku.as_deref(),
        barcode: variant.barcode.as_deref(),
        price: variant.price,
        compare_at_price: variant.compare_at_price,
        inventory_quantity: variant.inventory_quantity,
        weight: variant
            .weight
            .as_ref()
            .map(|weight| UnifiedWeight { value: weight.value, unit: weight.unit.as_deref() }),
        options: variant
            .options
            .iter()
            .map(|option| UnifiedSelectedOption { name: &option.name, value: &option.value })
            .collect(),
    }
}
