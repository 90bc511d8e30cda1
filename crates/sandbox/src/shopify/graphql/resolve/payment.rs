//! What happens to an order after it was placed: tax, shipping, payments, refunds, shipments.

use super::connection::{first_of, nested};
use super::money::Bag;
use super::order::{Line, OrderView};
use super::{At, Resolved, View, gid, leaf, maybe, maybe_time, time};
use crate::shopify::store::model::{Fulfillment, LineItem, Order, Refund, RefundLine, ShippingLine, Transaction};
use apollo_compiler::resolvers::ResolvedValue;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

fn bag<'b>(at: At<'b>, order: &Order, amount: Decimal) -> Resolved<'b> {
    at.node(Bag::new(amount, at.store().profile.market.currency, order.presentment))
}

pub(super) struct TaxLine<'a> {
    order: &'a Order,
    amount: Decimal,
}

impl<'a> TaxLine<'a> {
    pub(super) fn of_order(order: &'a Order) -> Option<TaxLine<'a>> {
        (!order.tax_percent.is_zero()).then_some(TaxLine { order, amount: order.totals.tax })
    }

    pub(super) fn of_line(order: &'a Order, line: &LineItem) -> Option<TaxLine<'a>> {
        (!line.tax.is_zero()).then_some(TaxLine { order, amount: line.tax })
    }

    fn of_shipping(order: &'a Order, line: &ShippingLine) -> Option<TaxLine<'a>> {
        (!line.tax.is_zero()).then_some(TaxLine { order, amount: line.tax })
    }
}

impl View for TaxLine<'_> {
    fn type_name(&self) -> &'static str {
        "TaxLine"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let percent = self.order.tax_percent.to_f64().unwrap_or_default();
        match at.name() {
            "title" => leaf("VAT"),
            "rate" => leaf(percent / 100.0),
            "ratePercentage" => leaf(percent),
            "priceSet" => bag(at, self.order, self.amount),
            "channelLiable" => leaf(false),
            "source" => leaf("Shopify"),
            _ => at.unknown(self),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct ShippingLineView<'a> {
    pub(super) order: &'a Order,
    pub(super) line: &'a ShippingLine,
}

impl View for ShippingLineView<'_> {
    fn type_name(&self) -> &'static str {
        "ShippingLine"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let line = self.line;
        match at.name() {
            "id" => gid("ShippingLine", line.id),
            "title" => leaf(line.title.as_str()),
            "code" => maybe(line.code.as_deref()),
            "source" => maybe(line.source.as_deref()),
            "originalPriceSet" | "discountedPriceSet" => bag(at, self.order, line.price),
            "taxLines" => at.nodes(TaxLine::of_shipping(self.order, line)),
            "shippingRateHandle" | "carrierIdentifier" => Ok(ResolvedValue::null()),
            "isRemoved" | "custom" => leaf(false),
            _ => at.unknown(self),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct TransactionView<'a> {
    pub(super) order: &'a Order,
    pub(super) transaction: &'a Transaction,
}

impl View for TransactionView<'_> {
    fn type_name(&self) -> &'static str {
        "OrderTransaction"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let TransactionView { order, transaction } = *self;
        match at.name() {
            "id" => gid("OrderTransaction", transaction.id),
            "kind" => leaf(transaction.kind.as_str()),
            "status" => leaf(transaction.status.as_str()),
            "gateway" => leaf(transaction.gateway.as_str()),
            "formattedGateway" => leaf(transaction.gateway.replace('_', " ")),
            "createdAt" | "processedAt" => time(transaction.at),
            "test" => leaf(order.test),
            "amountSet" => bag(at, order, transaction.amount),
            "errorCode" => maybe(transaction.error),
            "authorizationCode" => Ok(ResolvedValue::null()),
            "parentTransaction" => {
                let parent = order.transactions.iter().find(|other| Some(other.id) == transaction.parent);
                at.maybe(parent.map(|transaction| TransactionView { order, transaction }))
            }
            "order" => at.node(OrderView(order)),
            _ => at.unknown(self),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct RefundView<'a> {
    pub(super) order: &'a Order,
    pub(super) refund: &'a Refund,
}

impl View for RefundView<'_> {
    fn type_name(&self) -> &'static str {
        "Refund"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let RefundView { order, refund } = *self;
        match at.name() {
            "id" => gid("Refund", refund.id),
            "createdAt" | "processedAt" => time(refund.at),
            "note" => maybe(refund.note.as_deref()),
            "totalRefundedSet" => bag(at, order, refund.total),
            "refundLineItems" => {
                // A line of the order may be gone after an edit; its refund goes with it.
                let lines = refund.lines.iter().filter_map(|refunded| {
                    Some(RefundLineView { order, refunded, line: order.line(refunded.line_id)? })
                });
                nested(at, ("RefundLineItemConnection", "RefundLineItemEdge"), lines)
            }
            _ => at.unknown(self),
        }
    }
}

#[derive(Clone, Copy)]
struct RefundLineView<'a> {
    order: &'a Order,
    refunded: &'a RefundLine,
    line: &'a LineItem,
}

impl View for RefundLineView<'_> {
    fn type_name(&self) -> &'static str {
        "RefundLineItem"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let RefundLineView { order, refunded, line } = *self;
        match at.name() {
            "id" => gid("RefundLineItem", refunded.id),
            "quantity" => leaf(refunded.quantity),
            "restockType" => leaf(refunded.restock),
            "restocked" => leaf(refunded.restock != "NO_RESTOCK"),
            "lineItem" => at.node(Line { order, line }),
            "subtotalSet" => bag(at, order, refunded.subtotal),
            "totalTaxSet" => bag(at, order, refunded.tax),
            "priceSet" => bag(at, order, refunded.subtotal / Decimal::from(refunded.quantity.max(1))),
            _ => at.unknown(self),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct FulfillmentView<'a> {
    pub(super) order: &'a Order,
    pub(super) fulfillment: &'a Fulfillment,
    /// Counted from 0.
    pub(super) place: usize,
}

impl View for FulfillmentView<'_> {
    fn type_name(&self) -> &'static str {
        "Fulfillment"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let FulfillmentView { order, fulfillment, place } = *self;
        match at.name() {
            "id" => gid("Fulfillment", fulfillment.id),
            "name" => leaf(format!("{}-F{}", order.name(), place + 1)),
            "status" => leaf(fulfillment.status),
            "displayStatus" => leaf(fulfillment.display_status),
            "createdAt" => time(fulfillment.created_at),
            "updatedAt" => time(fulfillment.delivered_at.unwrap_or(fulfillment.created_at)),
            "deliveredAt" => maybe_time(fulfillment.delivered_at),
            "inTransitAt" => time(fulfillment.created_at),
            "estimatedDeliveryAt" => Ok(ResolvedValue::null()),
            "totalQuantity" => leaf(fulfillment.lines.iter().map(|(_, _, quantity)| quantity).sum::<u32>()),
            "requiresShipping" => leaf(true),
            "trackingInfo" => first_of(at, fulfillment.tracking.as_ref().map(Tracking)),
            "fulfillmentLineItems" => {
                let lines = fulfillment.lines.iter().filter_map(|(id, line, quantity)| {
                    Some(FulfillmentLine { id: *id, quantity: *quantity, order, line: order.line(*line)? })
                });
                nested(at, ("FulfillmentLineItemConnection", "FulfillmentLineItemEdge"), lines)
            }
            _ => at.unknown(self),
        }
    }
}

struct Tracking<'a>(&'a (String, String, String));

impl View for Tracking<'_> {
    fn type_name(&self) -> &'static str {
        "FulfillmentTrackingInfo"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let (company, number, url) = self.0;
        match at.name() {
            "company" => leaf(company.as_str()),
            "number" => leaf(number.as_str()),
            "url" => leaf(url.as_str()),
            _ => at.unknown(self),
        }
    }
}

#[derive(Clone, Copy)]
struct FulfillmentLine<'a> {
    id: u64,
    quantity: u32,
    order: &'a Order,
    line: &'a LineItem,
}

impl View for FulfillmentLine<'_> {
    fn type_name(&self) -> &'static str {
        "FulfillmentLineItem"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "id" => gid("FulfillmentLineItem", self.id),
            "quantity" => leaf(self.quantity),
            "lineItem" => at.node(Line { order: self.order, line: self.line }),
            _ => at.unknown(self),
        }
    }
}
