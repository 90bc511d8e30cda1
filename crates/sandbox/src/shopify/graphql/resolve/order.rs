//! Orders and their lines; abandoned checkouts.

use super::connection::{self, nested};
use super::customer::{AddressView, CustomerView};
use super::money::Bag;
use super::payment::{FulfillmentView, RefundView, ShippingLineView, TaxLine, TransactionView};
use super::product::{ProductView, VariantView};
use super::{At, Resolved, View, gid, leaf, maybe, maybe_time, number, texts, time};
use crate::shopify::store::model::{AbandonedCheckout, LineItem, Order};
use apollo_compiler::resolvers::ResolvedValue;
use chrono::TimeDelta;
use rust_decimal::Decimal;

pub(super) const ORDERS: (&str, &str) = ("OrderConnection", "OrderEdge");

/// Orders older than this need `read_all_orders`.
const RECENT: TimeDelta = TimeDelta::days(60);

/// Whether the viewer may see an order of this age.
pub(super) fn visible(at: At<'_>, order: &Order) -> bool {
    order.created_at >= at.context.now - RECENT || at.context.viewer.scopes.allows("read_all_orders")
}

#[derive(Clone, Copy)]
pub(super) struct OrderView<'a>(pub(super) &'a Order);

impl View for OrderView<'_> {
    fn type_name(&self) -> &'static str {
        "Order"
    }

    fn scopes(&self) -> &'static [&'static str] {
        &["read_orders"]
    }

    fn protected(&self) -> bool {
        true
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let order = self.0;
        let totals = &order.totals;
        let bag = |amount: Decimal| at.node(Bag::new(amount, at.store().profile.market.currency, order.presentment));
        match at.name() {
            "id" => gid("Order", order.id),
            "legacyResourceId" => number(order.id),
            "name" => leaf(order.name()),
            "number" => leaf(order.number),
            "confirmationNumber" => leaf(order.confirmation_number.as_str()),
            "createdAt" => time(order.created_at),
            "updatedAt" => time(order.updated_at),
            "processedAt" => time(order.processed_at),
            "closedAt" => maybe_time(order.closed_at),
            "cancelledAt" => maybe_time(order.cancelled.map(|(at, _)| at)),
            "cancelReason" => maybe(order.cancelled.map(|(_, reason)| reason.as_str())),
            "closed" => leaf(order.closed_at.is_some()),
            "confirmed" => leaf(true),
            "test" => leaf(order.test),
            "edited" => leaf(order.edited),
            "displayFinancialStatus" => maybe(order.financial.map(|status| status.as_str())),
            "displayFulfillmentStatus" => leaf(order.fulfillment.as_str()),
            "returnStatus" => leaf(order.return_status()),
            "fullyPaid" => leaf(order.fully_paid()),
            "unpaid" => leaf(totals.received.is_zero() && !totals.total.is_zero()),
            "sourceName" => leaf(order.source_name.as_str()),
            "sourceIdentifier" => maybe(order.source_identifier.as_deref()),
            "email" => at.maybe_personal(order.email.as_deref()),
            "phone" => at.maybe_personal(order.phone.as_deref()),
            "note" => maybe(order.note.as_deref()),
            "tags" => texts(&order.tags),
            "poNumber" => maybe(order.po_number.as_deref()),
            "currencyCode" => leaf(at.store().profile.market.currency.code),
            "presentmentCurrencyCode" => leaf(order.presentment.currency),
            "taxesIncluded" => leaf(order.taxes_included),
            "taxExempt" | "dutiesIncluded" | "estimatedTaxes" => leaf(false),
            "customerLocale" => maybe(order.locale.as_deref()),
            "discountCodes" => texts(&order.discount_codes),
            "paymentGatewayNames" => texts(&order.gateways),
            "cartToken" => maybe(order.cart_token.as_deref()),
            "checkoutToken" => maybe(order.checkout_token.as_deref()),
            "customAttributes" => {
                at.nodes(order.attributes.iter().map(|(key, value)| Attribute(key, value.as_deref())))
            }
            "customer" => at.maybe(order.customer_id.and_then(|id| at.store().customer(id)).map(CustomerView)),
            "customerAcceptsMarketing" => {
                let customer = order.customer_id.and_then(|id| at.store().customer(id));
                leaf(customer.is_some_and(|customer| customer.accepts_marketing()))
            }
            "billingAddress" => at.maybe(order.billing.as_ref().map(AddressView)),
            "shippingAddress" => at.maybe(order.shipping.as_ref().map(AddressView)),
            "billingAddressMatchesShippingAddress" => leaf(order.billing == order.shipping),
            "clientIp" => maybe(order.client_ip.as_deref()),
            "statusPageUrl" => {
                let host = &at.store().profile.primary_host;
                at.personal(format!("https://{host}/orders/{}/authenticate", order.confirmation_number.to_lowercase()))
            }
            "subtotalPriceSet" => bag(totals.subtotal),
            "currentSubtotalPriceSet" => bag(totals.subtotal - refunded_lines(order)),
            "totalPriceSet" => bag(totals.total),
            "currentTotalPriceSet" => bag(totals.current_total()),
            "totalTaxSet" => bag(totals.tax),
            "currentTotalTaxSet" => bag(totals.tax - refunded_tax(order)),
            "totalDiscountsSet" | "currentTotalDiscountsSet" => bag(totals.discounts),
            "totalShippingPriceSet" => bag(totals.shipping),
            "totalRefundedSet" => bag(totals.refunded),
            "totalReceivedSet" => bag(totals.received),
            "netPaymentSet" => bag(totals.received - totals.refunded),
            "totalOutstandingSet" => bag(order.outstanding()),
            "subtotalLineItemsQuantity" => leaf(order.lines.iter().map(|line| line.quantity).sum::<u32>()),
            "currentSubtotalLineItemsQuantity" => {
                leaf(order.lines.iter().map(|line| line.current_quantity).sum::<u32>())
            }
            "requiresShipping" => leaf(order.lines.iter().any(|line| line.requires_shipping)),
            "refundable" => leaf(totals.received > totals.refunded),
            "fulfillable" => leaf(order.lines.iter().any(|line| line.current_quantity > line.fulfilled_quantity)),
            "totalWeight" => number(u64::from(weight(order, at))),
            "lineItems" => nested(at, LINES, order.lines.iter().map(|line| Line { order, line })),
            "taxLines" => at.nodes(TaxLine::of_order(order)),
            "shippingLine" => at.maybe(order.shipping_lines.first().map(|line| ShippingLineView { order, line })),
            "shippingLines" => {
                let lines = order.shipping_lines.iter().map(|line| ShippingLineView { order, line });
                nested(at, ("ShippingLineConnection", "ShippingLineEdge"), lines)
            }
            "transactions" => {
                let transactions = order.transactions.iter();
                connection::first_of(at, transactions.map(|transaction| TransactionView { order, transaction }))
            }
            "refunds" => connection::first_of(at, order.refunds.iter().map(|refund| RefundView { order, refund })),
            "fulfillments" => {
                let fulfillments = order.fulfillments.iter().enumerate();
                connection::first_of(
                    at,
                    fulfillments.map(|(place, fulfillment)| FulfillmentView { order, fulfillment, place }),
                )
            }
            _ => at.unknown(self),
        }
    }
}

fn refunded_lines(order: &Order) -> Decimal {
    order.refunds.iter().flat_map(|refund| &refund.lines).map(|line| line.subtotal).sum()
}

fn refunded_tax(order: &Order) -> Decimal {
    order.refunds.iter().flat_map(|refund| &refund.lines).map(|line| line.tax).sum()
}

/// Grams.
fn weight(order: &Order, at: At<'_>) -> u32 {
    let grams = |line: &LineItem| {
        let (_, variant) = at.store().variant(line.variant_id?)?;
        Some(variant.weight_grams? * line.quantity)
    };
    order.lines.iter().filter_map(grams).sum()
}

const LINES: (&str, &str) = ("LineItemConnection", "LineItemEdge");

#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) order: &'a Order,
    pub(super) line: &'a LineItem,
}

impl View for Line<'_> {
    fn type_name(&self) -> &'static str {
        "LineItem"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let Line { order, line } = *self;
        let bag = |amount: Decimal| at.node(Bag::new(amount, at.store().profile.market.currency, order.presentment));
        match at.name() {
            "id" => gid("LineItem", line.id),
            "title" => leaf(line.title.as_str()),
            "variantTitle" => maybe(line.variant_title.as_deref()),
            "name" => leaf(match &line.variant_title {
                Some(variant) => format!("{} - {variant}", line.title),
                None => line.title.clone(),
            }),
            "sku" => maybe(line.sku.as_deref()),
            "quantity" => leaf(line.quantity),
            "currentQuantity" | "refundableQuantity" => leaf(line.current_quantity),
            "unfulfilledQuantity" => leaf(line.current_quantity.saturating_sub(line.fulfilled_quantity)),
            "nonFulfillableQuantity" => leaf(line.quantity - line.current_quantity),
            "vendor" => maybe(line.vendor.as_deref()),
            "requiresShipping" => leaf(line.requires_shipping),
            "taxable" => leaf(!line.tax.is_zero()),
            "isGiftCard" => leaf(line.gift_card),
            "product" => at.maybe(line.product_id.and_then(|id| at.store().product(id)).map(ProductView::listed)),
            "variant" => at.maybe(line.variant_id.and_then(|id| at.store().variant(id)).map(VariantView::new)),
            "originalUnitPriceSet" => bag(line.unit_price),
            "originalTotalSet" => bag(line.original_total()),
            "discountedTotalSet" => bag(line.discounted_total),
            "discountedUnitPriceSet" => bag(line.discounted_total / Decimal::from(line.quantity.max(1))),
            "totalDiscountSet" => bag(line.original_total() - line.discounted_total),
            "taxLines" => connection::first_of(at, TaxLine::of_line(order, line)),
            "customAttributes" => connection::none(),
            _ => at.unknown(self),
        }
    }
}

pub(super) struct Attribute<'a>(&'a str, Option<&'a str>);

impl View for Attribute<'_> {
    fn type_name(&self) -> &'static str {
        "Attribute"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "key" => leaf(self.0),
            "value" => maybe(self.1),
            _ => at.unknown(self),
        }
    }
}

pub(super) const CHECKOUTS: (&str, &str) = ("AbandonedCheckoutConnection", "AbandonedCheckoutEdge");

#[derive(Clone, Copy)]
pub(super) struct CheckoutView<'a>(pub(super) &'a AbandonedCheckout);

impl View for CheckoutView<'_> {
    fn type_name(&self) -> &'static str {
        "AbandonedCheckout"
    }

    fn scopes(&self) -> &'static [&'static str] {
        &["read_orders"]
    }

    fn protected(&self) -> bool {
        true
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let checkout = self.0;
        let profile = &at.store().profile;
        let tax: Decimal = checkout.lines.iter().map(|line| line.tax).sum();
        let bag = |amount: Decimal| at.node(Bag::plain(amount, profile.market.currency));
        match at.name() {
            "id" => gid("AbandonedCheckout", checkout.id),
            "name" => leaf(format!("#{}", checkout.id)),
            "abandonedCheckoutUrl" => {
                leaf(format!("https://{}/{}/checkouts/ac/{}/recover", profile.primary_host, profile.id, checkout.token))
            }
            "createdAt" => time(checkout.created_at),
            "updatedAt" => time(checkout.updated_at),
            "completedAt" => maybe_time(checkout.completed_at),
            "discountCodes" => texts(&checkout.discount_codes),
            "customer" => at.maybe(checkout.customer_id.and_then(|id| at.store().customer(id)).map(CustomerView)),
            "billingAddress" => Ok(ResolvedValue::null()),
            "shippingAddress" => at.maybe(checkout.shipping.as_ref().map(AddressView)),
            "totalPriceSet" => {
                let added = if profile.market.prices_include_tax { Decimal::ZERO } else { tax };
                bag(checkout.total + added)
            }
            "subtotalPriceSet" => bag(checkout.total),
            "totalTaxSet" => bag(tax),
            "taxesIncluded" => leaf(profile.market.prices_include_tax),
            "note" => leaf(""),
            "customAttributes" => connection::none(),
            "lineItems" => {
                let names = ("AbandonedCheckoutLineItemConnection", "AbandonedCheckoutLineItemEdge");
                nested(at, names, checkout.lines.iter().map(CheckoutLine))
            }
            _ => at.unknown(self),
        }
    }
}

#[derive(Clone, Copy)]
struct CheckoutLine<'a>(&'a LineItem);

impl View for CheckoutLine<'_> {
    fn type_name(&self) -> &'static str {
        "AbandonedCheckoutLineItem"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let line = self.0;
        let bag = |amount: Decimal| at.node(Bag::plain(amount, at.store().profile.market.currency));
        match at.name() {
            "id" => gid("AbandonedCheckoutLineItem", line.id),
            "title" => leaf(line.title.as_str()),
            "variantTitle" => maybe(line.variant_title.as_deref()),
            "sku" => maybe(line.sku.as_deref()),
            "quantity" => leaf(line.quantity),
            "product" => at.maybe(line.product_id.and_then(|id| at.store().product(id)).map(ProductView::listed)),
            "variant" => at.maybe(line.variant_id.and_then(|id| at.store().variant(id)).map(VariantView::new)),
            "originalUnitPriceSet" => bag(line.unit_price),
            "discountedTotalPriceSet" => bag(line.discounted_total),
            _ => at.unknown(self),
        }
    }
}
