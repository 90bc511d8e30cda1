//! Orders: `GET /orders`.

use std::fmt;

use connector::{
    Address, Order, ProviderError, Selection,
    json::Json,
    model::{LineItem, OrderCustomer, OrderStatus, PaymentStatus},
};
use kernel::Personal;
use rust_decimal::Decimal;

use super::{super::Connection, Sent, address, known};

/// What may be told of an order when nothing may be told of its buyer. A list of what is allowed, since plugins add fields.
/// Left out beside the plain ones: `order_key` and `payment_url` open the order's page, `transaction_id` names a payment,
/// `_links` names the customer, and `meta_data` holds anything (tax numbers, delivery notes).
pub(in super::super) const IMPERSONAL: &[&str] = &[
    "id",
    "parent_id",
    "number",
    "created_via",
    "version",
    "status",
    "currency",
    "currency_symbol",
    "date_created",
    "date_created_gmt",
    "date_modified",
    "date_modified_gmt",
    "date_completed",
    "date_completed_gmt",
    "date_paid",
    "date_paid_gmt",
    "discount_total",
    "discount_tax",
    "shipping_total",
    "shipping_tax",
    "cart_tax",
    "total",
    "total_tax",
    "prices_include_tax",
    "payment_method",
    "payment_method_title",
    "line_items",
    "tax_lines",
    "shipping_lines",
    "fee_lines",
    "coupon_lines",
    "refunds",
    "is_editable",
    "needs_payment",
    "needs_processing",
];

/// The amounts of lines are without tax, as WooCommerce gives them, whatever the shop's price setting. So
/// `subtotal + fees + shipping_total + tax_total = total`, with the discounts taken off in `subtotal` already.
pub(in super::super) fn order(
    value: Json<'_>,
    connection: &Connection,
    selection: &Selection,
    path: fmt::Arguments<'_>,
) -> Result<Order, ProviderError> {
    let mut sent = Sent::object(value, path)?;
    if !selection.persons {
        without_persons(&mut sent);
    }
    let id = sent.id("id").ok_or_else(|| ProviderError::Malformed { path: format!("{path}.id") })?;
    let offset = connection.fixed_offset();

    let total = sent.amount("total");
    let refunded_total = sent.each("refunds", |refund| refund.amount("total").map(|amount| amount.abs()));
    let refunded_total = refunded_total.map(|amounts| amounts.into_iter().sum::<Decimal>());
    let paid = was_paid(&sent);
    let word = sent.get("status").and_then(Json::as_str).unwrap_or_default().to_owned();
    let status = order_status(&word).unwrap_or_else(|| foreign_status(&word, paid));
    if order_status(&word).is_some() {
        sent.forget("status");
    }
    let mut subtotal = None;
    let line_items = sent.each("line_items", |line| line_item(line, &mut subtotal)).unwrap_or_default();

    let (customer, billing_address) = buyer(&mut sent);
    let order = Order {
        number: sent.text("number"),
        status,
        payment_status: payment_status(status, paid, total, refunded_total),
        fulfillment_status: None,
        customer,
        line_items,
        subtotal,
        discount_total: sent.amount("discount_total"),
        shipping_total: sent.amount("shipping_total"),
        tax_total: sent.amount("total_tax"),
        total,
        refunded_total,
        currency: sent.text("currency"),
        billing_address,
        shipping_address: sent.within("shipping", address).and_then(known),
        note: sent.personal("customer_note"),
        tags: vec![],
        placed_at: sent.time("date_created_gmt", offset),
        updated_at: sent.time("date_modified_gmt", offset),
        platform_specific: None,
        id,
    };
    let wanted = selection.wants("platform_specific");
    Ok(Order { platform_specific: wanted.then(|| Personal::new(sent.into_value())), ..order })
}

/// The unified status of one of WooCommerce's own words, which are the unified ones but for a hyphen.
fn order_status(word: &str) -> Option<OrderStatus> {
    OrderStatus::ALL.iter().copied().find(|status| order_status_slug(*status) == word)
}

/// WooCommerce's word for a unified status, as its `status` parameter wants it.
pub(in super::super) fn order_status_slug(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::OnHold => "on-hold",
        other => other.as_str(),
    }
}

/// Statuses that are not in the unified vocabulary; the shop's word stays in `platform_specific`. An order in the trash is
/// read by its id only and is none any more. A checkout that was begun (`checkout-draft`, `auto-draft`) awaits payment. Of
/// a plugin's own status (`shipped`, `wc-partial`) we know nothing but whether the order was paid.
fn foreign_status(word: &str, paid: Option<bool>) -> OrderStatus {
    match word {
        "trash" => OrderStatus::Cancelled,
        "checkout-draft" | "auto-draft" => OrderStatus::Pending,
        _ if paid == Some(true) => OrderStatus::Processing,
        _ => OrderStatus::Pending,
    }
}

/// Whether the order has a payment date; None when the answer has no such field.
fn was_paid(sent: &Sent<'_>) -> Option<bool> {
    let date = sent.get("date_paid_gmt").or_else(|| sent.get("date_paid"))?;
    Some(date.as_str().is_some_and(|text| !text.is_empty()))
}

/// WooCommerce has no payment status. A payment date is set when the money came in, or when an order is completed by
/// hand; `processing` without one is cash on delivery. Refunds do not change `total`, and only a full one changes the
/// status (W10).
fn payment_status(
    status: OrderStatus,
    paid: Option<bool>,
    total: Option<Decimal>,
    refunded: Option<Decimal>,
) -> Option<PaymentStatus> {
    let refunded = refunded.unwrap_or_default();
    if status == OrderStatus::Refunded || (refunded > Decimal::ZERO && Some(refunded) >= total && total.is_some()) {
        return Some(PaymentStatus::Refunded);
    }
    if refunded > Decimal::ZERO {
        return Some(PaymentStatus::PartiallyRefunded);
    }
    match (paid?, status) {
        (true, _) => Some(PaymentStatus::Paid),
        (false, OrderStatus::Cancelled | OrderStatus::Failed) => Some(PaymentStatus::Voided),
        (false, _) => Some(PaymentStatus::Pending),
    }
}

/// The buyer is known from the billing block, guests by it alone.
fn buyer(sent: &mut Sent<'_>) -> (Option<OrderCustomer>, Option<Personal<Address>>) {
    let id = sent.id("customer_id");
    let billing = sent.within("billing", |billing| (billing.personal("email"), address(billing)));
    let (email, address) = billing.unwrap_or_default();
    let customer = OrderCustomer {
        id,
        email,
        first_name: address.first_name.clone().map(Personal::new),
        last_name: address.last_name.clone().map(Personal::new),
        phone: address.phone.clone().map(Personal::new),
    };
    let address = known(address);
    let is_known = customer.id.is_some() || customer.email.is_some() || address.is_some();
    (is_known.then_some(customer), address)
}

/// The sum of the lines' totals goes to `subtotal`.
fn line_item(line: &mut Sent<'_>, subtotal: &mut Option<Decimal>) -> Option<LineItem> {
    let id = line.id("id")?;
    let quantity = line.amount("quantity").unwrap_or_default();
    let before_discount = line.peek_amount("subtotal");
    let total = line.amount("total");
    if let Some(amount) = total {
        *subtotal = Some(subtotal.unwrap_or_default() + amount);
    }
    Some(LineItem {
        id,
        product_id: line.id("product_id"),
        variant_id: line.id("variation_id"),
        sku: line.text("sku"),
        name: line.name("name").unwrap_or_default(),
        quantity,
        unit_price: before_discount.and_then(|amount| unit_price(amount, quantity)),
        discount: before_discount.zip(total).map(|(before, after)| before - after),
        tax: line.amount("total_tax"),
        total,
    })
}

/// Before discount and tax, to at most six decimals, WooCommerce's own rounding precision. (`price` of the line is after
/// discount, unrounded, and a binary number.)
fn unit_price(subtotal: Decimal, quantity: Decimal) -> Option<Decimal> {
    const PLACES: u32 = 6;
    // Most lines are of one piece, and a division takes its time.
    if quantity == Decimal::ONE && subtotal.scale() <= PLACES {
        return Some(subtotal);
    }
    let price = subtotal.checked_div(quantity)?.round_dp(PLACES).normalize();
    let mut written_as_subtotal = price;
    if price.scale() < subtotal.scale() {
        written_as_subtotal.rescale(subtotal.scale());
    }
    Some(written_as_subtotal)
}

/// Asked for without persons, an order comes with few fields; shops older than WordPress 4.9.8 ignore `_fields`, and lines
/// carry texts that buyers typed (`meta_data`) and that staff wrote about them (a refund's `reason`).
fn without_persons(sent: &mut Sent<'_>) {
    sent.keep_only(IMPERSONAL);
    for lines in ["line_items", "tax_lines", "shipping_lines", "fee_lines", "coupon_lines", "refunds"] {
        sent.each(lines, |line| {
            line.forget("meta_data");
            line.forget("reason");
            Some(())
        });
    }
}
