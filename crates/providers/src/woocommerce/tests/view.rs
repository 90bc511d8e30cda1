//! The unified objects as JSON in the names of the HTTP surface, personal values revealed, to be compared.

use chrono::SecondsFormat;
use connector::{
    Address, Customer, Order, Product, Selection,
    model::{LineItem, Variant},
};
use kernel::{
    Exit, Personal, Time,
    personal::{Door, Wipe},
};
use serde_json::{Value, json};

/// Everything, `platform_specific` included.
pub(super) fn everything() -> Selection {
    Selection::everything()
}

/// Everything that is about nobody.
pub(super) fn without_persons() -> Selection {
    Selection { persons: false, ..Selection::everything() }
}

/// All names that the unified objects have.
fn reveal<T: Wipe + Clone>(value: &Personal<T>) -> T {
    #[expect(clippy::disallowed_methods, reason = "a test looks at what an authorised caller would be answered")]
    value.reveal(&Exit::open(Door::Answer)).clone()
}

fn text(value: Option<&Personal<String>>) -> Option<String> {
    value.map(reveal)
}

fn time(value: Option<Time>) -> Option<String> {
    value.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn address(value: Option<&Personal<Address>>) -> Value {
    value.map(reveal).map_or(Value::Null, |address| {
        json!({
            "first_name": address.first_name, "last_name": address.last_name, "company": address.company,
            "address1": address.address1, "address2": address.address2, "city": address.city,
            "postcode": address.postcode, "province": address.province, "country_code": address.country_code,
            "phone": address.phone,
        })
    })
}

pub(super) fn order(order: &Order) -> Value {
    json!({
        "id": order.id, "number": order.number, "status": order.status.as_str(),
        "payment_status": order.payment_status.map(|status| status.as_str()),
        "fulfillment_status": order.fulfillment_status.map(|status| status.as_str()),
        "customer": order.customer.as_ref().map(|customer| json!({
            "id": customer.id, "email": text(customer.email.as_ref()), "first_name": text(customer.first_name.as_ref()),
            "last_name": text(customer.last_name.as_ref()), "phone": text(customer.phone.as_ref()),
        })),
        "line_items": order.line_items.iter().map(line_item).collect::<Vec<_>>(),
        "subtotal": order.subtotal, "discount_total": order.discount_total, "shipping_total": order.shipping_total,
        "tax_total": order.tax_total, "total": order.total, "refunded_total": order.refunded_total,
        "currency": order.currency, "billing_address": address(order.billing_address.as_ref()),
        "shipping_address": address(order.shipping_address.as_ref()), "note": text(order.note.as_ref()),
        "tags": order.tags.iter().map(reveal).collect::<Vec<_>>(), "placed_at": time(order.placed_at),
        "updated_at": time(order.updated_at),
        "platform_specific": order.platform_specific.as_ref().map(reveal),
    })
}

fn line_item(line: &LineItem) -> Value {
    json!({
        "id": line.id, "product_id": line.product_id, "variant_id": line.variant_id, "sku": line.sku, "name": line.name,
        "quantity": line.quantity, "unit_price": line.unit_price, "discount": line.discount, "tax": line.tax,
        "total": line.total,
    })
}

pub(super) fn customer(customer: &Customer) -> Value {
    json!({
        "id": customer.id, "email": text(customer.email.as_ref()), "first_name": text(customer.first_name.as_ref()),
        "last_name": text(customer.last_name.as_ref()), "phone": text(customer.phone.as_ref()),
        "company": text(customer.company.as_ref()),
        "addresses": customer.addresses.iter().map(|one| address(Some(one))).collect::<Vec<_>>(),
        "default_address": address(customer.default_address.as_ref()), "orders_count": customer.orders_count,
        "total_spent": customer.total_spent, "currency": customer.currency,
        "tags": customer.tags.iter().map(reveal).collect::<Vec<_>>(), "locale": customer.locale,
        "created_at": time(customer.created_at), "updated_at": time(customer.updated_at),
        "platform_specific": customer.platform_specific.as_ref().map(reveal),
    })
}

pub(super) fn product(product: &Product) -> Value {
    json!({
        "id": product.id, "title": product.title, "handle": product.handle, "description_html": product.description_html,
        "status": product.status.as_str(), "vendor": product.vendor, "type": product.product_type, "tags": product.tags,
        "images": product.images.iter().map(|image| json!({ "id": image.id, "url": image.url, "alt": image.alt })).collect::<Vec<_>>(),
        "options": product.options.iter().map(|option| json!({ "name": option.name, "values": option.values })).collect::<Vec<_>>(),
        "variants": product.variants.iter().map(variant).collect::<Vec<_>>(),
        "currency": product.currency, "url": product.url, "created_at": time(product.created_at),
        "updated_at": time(product.updated_at), "platform_specific": product.platform_specific,
    })
}

fn variant(variant: &Variant) -> Value {
    json!({
        "id": variant.id, "sku": variant.sku, "barcode": variant.barcode, "price": variant.price,
        "compare_at_price": variant.compare_at_price, "inventory_quantity": variant.inventory_quantity,
        "weight": variant.weight.as_ref().map(|weight| json!({ "value": weight.value, "unit": weight.unit })),
        "options": variant.options.iter().map(|option| json!({ "name": option.name, "value": option.value })).collect::<Vec<_>>(),
    })
}
