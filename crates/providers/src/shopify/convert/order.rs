use connector::model::{FulfillmentStatus, LineItem, Order, OrderCustomer, OrderStatus, PaymentStatus};
use kernel::Personal;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::{amount, filled, filled_personal, keep, wire};

/// `platform` says whether `platform_specific` was asked for.
pub(crate) fn order(wire: wire::Order, platform: bool) -> Order {
    let payment_status = wire.display_financial_status.as_deref().and_then(payment_status);
    let fulfillment_status = wire.display_fulfillment_status.as_deref().and_then(fulfillment_status);
    let platform_specific = platform.then(|| Personal::new(platform_specific(&wire)));
    let customer = buyer(&wire);
    let lines = wire.line_items.map(|lines| lines.nodes).unwrap_or_default();
    Order {
        id: wire.legacy_resource_id.0.to_string(),
        number: filled(wire.name),
        status: status(wire.cancelled_at.is_some(), payment_status, fulfillment_status),
        payment_status,
        fulfillment_status,
        customer,
        line_items: lines.into_iter().map(line_item).collect(),
        subtotal: amount(wire.subtotal_price_set.as_ref()),
        discount_total: amount(wire.total_discounts_set.as_ref()),
        shipping_total: amount(wire.total_shipping_price_set.as_ref()),
        tax_total: amount(wire.total_tax_set.as_ref()),
        total: amount(wire.total_price_set.as_ref()),
        refunded_total: amount(wire.total_refunded_set.as_ref()),
        currency: wire.currency_code,
        billing_address: wire.billing_address.and_then(wire::MailingAddress::into_address),
        shipping_address: wire.shipping_address.and_then(wire::MailingAddress::into_address),
        note: filled_personal(wire.note),
        tags: wire.tags,
        placed_at: wire.created_at,
        updated_at: wire.updated_at,
        platform_specific,
    }
}

/// The unified status (`api.md`). An order of which money was given back in part was paid; a status that this program does
/// not know decides nothing.
pub(crate) fn status(
    cancelled: bool,
    payment: Option<PaymentStatus>,
    fulfillment: Option<FulfillmentStatus>,
) -> OrderStatus {
    use PaymentStatus::{Authorized, Expired, Paid, PartiallyRefunded, Refunded, Voided};
    match (payment, fulfillment) {
        _ if cancelled => OrderStatus::Cancelled,
        (Some(Refunded), _) => OrderStatus::Refunded,
        (_, Some(FulfillmentStatus::OnHold)) => OrderStatus::OnHold,
        (Some(Expired | Voided), _) => OrderStatus::Failed,
        (Some(Paid | PartiallyRefunded), Some(FulfillmentStatus::Fulfilled)) => OrderStatus::Completed,
        (Some(Paid | PartiallyRefunded | Authorized), _) => OrderStatus::Processing,
        _ => OrderStatus::Pending,
    }
}

/// `OrderDisplayFinancialStatus`: the same words, in capitals.
pub(crate) fn payment_status(shopify: &str) -> Option<PaymentStatus> {
    PaymentStatus::ALL.iter().copied().find(|status| status.as_str().eq_ignore_ascii_case(shopify))
}

/// `OrderDisplayFulfillmentStatus`.
pub(crate) fn fulfillment_status(shopify: &str) -> Option<FulfillmentStatus> {
    Some(match shopify {
        "FULFILLED" => FulfillmentStatus::Fulfilled,
        "FULFILLMENT_NOT_REQUIRED" => FulfillmentStatus::NotRequired,
        "IN_PROGRESS" | "OPEN" | "PENDING_FULFILLMENT" | "SCHEDULED" => FulfillmentStatus::InProgress,
        "ON_HOLD" => FulfillmentStatus::OnHold,
        "PARTIALLY_FULFILLED" => FulfillmentStatus::Partial,
        "RESTOCKED" => FulfillmentStatus::Restocked,
        // A declined request leaves the goods where they were.
        "UNFULFILLED" | "REQUEST_DECLINED" => FulfillmentStatus::Unfulfilled,
        _ => return None,
    })
}

/// The e-mail and phone are the order's own, which a guest has too; a guest's name stands in the billing address.
fn buyer(wire: &wire::Order) -> Option<OrderCustomer> {
    let named = wire.customer.as_ref();
    let billing = wire.billing_address.as_ref().filter(|_| named.is_none());
    let first_name = named.and_then(|buyer| buyer.first_name.clone());
    let last_name = named.and_then(|buyer| buyer.last_name.clone());
    let customer = OrderCustomer {
        id: named.map(|buyer| buyer.legacy_resource_id.0.to_string()),
        email: filled_personal(wire.email.clone()),
        first_name: filled_personal(first_name.or_else(|| billing.and_then(|address| address.first_name.clone()))),
        last_name: filled_personal(last_name.or_else(|| billing.and_then(|address| address.last_name.clone()))),
        phone: filled_personal(wire.phone.clone()),
    };
    let OrderCustomer { id, email, first_name, last_name, phone } = &customer;
    let known = id.is_some() || email.is_some() || first_name.is_some() || last_name.is_some() || phone.is_some();
    known.then_some(customer)
}

fn line_item(wire: wire::LineItem) -> LineItem {
    let quantity = Decimal::from(wire.quantity);
    let unit_price = amount(wire.original_unit_price_set.as_ref());
    let total = amount(wire.discounted_total_set.as_ref());
    let full = unit_price.and_then(|price| price.checked_mul(quantity));
    LineItem {
        id: wire.id.number().to_owned(),
        product_id: wire.product.map(|product| product.legacy_resource_id.0.to_string()),
        variant_id: wire.variant.map(|variant| variant.legacy_resource_id.0.to_string()),
        sku: filled(wire.sku),
        name: wire.name,
        quantity,
        unit_price,
        discount: full.zip(total).map(|(full, total)| full - total),
        tax: wire.tax_lines.map(|lines| lines.iter().map(|line| line.price_set.shop_money.amount.0).sum()),
        total,
    }
}

fn platform_specific(wire: &wire::Order) -> Value {
    let mut fields = wire.rest.clone();
    keep(&mut fields, "id", Some(wire.id.as_str()));
    keep(&mut fields, "cancelledAt", wire.cancelled_at.map(|at| at.to_rfc3339()));
    // The unified statuses say less than Shopify's words.
    keep(&mut fields, "displayFinancialStatus", wire.display_financial_status.clone());
    keep(&mut fields, "displayFulfillmentStatus", wire.display_fulfillment_status.clone());
    let bags = [
        ("totalPriceSet", &wire.total_price_set),
        ("subtotalPriceSet", &wire.subtotal_price_set),
        ("totalDiscountsSet", &wire.total_discounts_set),
        ("totalShippingPriceSet", &wire.total_shipping_price_set),
        ("totalTaxSet", &wire.total_tax_set),
        ("totalRefundedSet", &wire.total_refunded_set),
    ];
    for (name, bag) in bags {
        let presentment = bag.as_ref().and_then(|bag| bag.presentment_money.clone());
        keep(&mut fields, name, presentment.map(|money| json!({ "presentmentMoney": money })));
    }
    let lines = wire.line_items.iter().flat_map(|lines| &lines.nodes).filter(|line| !line.rest.is_empty());
    let lines: Vec<Value> = lines.map(line_specific).collect();
    keep(&mut fields, "lineItems", (!lines.is_empty()).then_some(lines));
    Value::Object(fields)
}

fn line_specific(line: &wire::LineItem) -> Value {
    let mut fields: Map<String, Value> = line.rest.clone();
    keep(&mut fields, "id", Some(line.id.as_str()));
    Value::Object(fields)
}
