//! Orders and abandoned checkouts.

use super::{ByPerson, address, base, not_after_end, order_id, text};
use crate::shopify::store::Profile;
use crate::shopify::store::model::{
    AbandonedCheckout, Fulfillment, Id, LineItem, Order, Presentment, Product, Refund, RefundLine, ShippingLine,
    Totals, Transaction,
};
use crate::shopify::store::values::{
    CancelReason, FinancialStatus, FulfillmentStatus, TransactionKind, TransactionStatus,
};
use crate::world::{self, Currency, OrderStatus, World};
use chrono::TimeDelta;
use rust_decimal::Decimal;
use std::collections::HashMap;

/// Makes orders of one world.
pub(super) struct Renderer<'a> {
    market: world::Market,
    by_person: ByPerson,
    products: HashMap<Id, &'a Product>,
    profile: &'a Profile,
    world_products: HashMap<world::Id, &'a world::Product>,
}

impl<'a> Renderer<'a> {
    pub(super) fn new(world: &'a World, profile: &'a Profile, products: &'a [Product], by_person: ByPerson) -> Self {
        Renderer {
            market: world.market,
            by_person,
            products: products.iter().map(|product| (product.id, product)).collect(),
            profile,
            world_products: world.products.iter().map(|product| (product.id, product)).collect(),
        }
    }

    pub(super) fn order(&self, from: &world::Order, number: u32) -> Order {
        let id = order_id(from.id);
        let mut lines: Vec<LineItem> = from.lines.iter().map(|line| self.line(line, from.prices_include_tax)).collect();
        let shipping_lines = self.shipping_lines(from);
        let refunds = self.refunds(from, &mut lines);
        let totals = totals(from, &lines, &shipping_lines, &refunds);
        let cancelled = from.cancelled_at.map(|at| (at, cancel_reason(from.id)));
        let (financial, received) = financial(from, &totals);
        let totals = Totals { received, ..totals };
        let fulfillment = fulfillment_status(from, &lines);
        let fulfillments = fulfillments(from, number, fulfillment, &mut lines);
        let with_customer = from.person_id.filter(|_| !from.id.is_multiple_of(29));
        let closed = fulfillment == FulfillmentStatus::Fulfilled && from.id % 3 != 1;
        let gateway = if from.payment_method == "stripe" { "shopify_payments" } else { from.payment_method.as_str() };
        let online = from.created_via == "checkout";
        Order {
            id,
            number,
            confirmation_number: confirmation(from.id),
            customer_id: with_customer.and_then(|person| self.by_person.get(&person).copied()),
            email: from.email.clone(),
            phone: text(&from.billing.phone).filter(|_| from.id.is_multiple_of(4)),
            billing: (!from.billing.country.is_empty()).then(|| address(&from.billing, from.id * 2)),
            shipping: from.shipping.as_ref().map(|shipping| address(shipping, from.id * 2 + 1)),
            financial: financial.filter(|_| !from.id.is_multiple_of(97)),
            fulfillment,
            test: from.id % 41 == 3,
            edited: from.id % 37 == 5,
            source_name: if online { "web".to_owned() } else { "shopify_draft_order".to_owned() },
            source_identifier: (!online).then(|| from.number.clone()),
            note: text(&from.note),
            tags: if from.id.is_multiple_of(6) { vec!["wholesale".to_owned(), "priority".to_owned()] } else { vec![] },
            attributes: if from.id % 10 == 2 {
                vec![("gift_wrap".to_owned(), Some("yes".to_owned())), ("engraving".to_owned(), None)]
            } else {
                vec![]
            },
            po_number: (from.id.is_multiple_of(33)).then(|| format!("PO-{}", from.id)),
            presentment: self.presentment(from),
            taxes_included: from.prices_include_tax,
            locale: text(&from.billing.country).map(|country| country.to_lowercase()),
            discount_codes: from.coupons.iter().map(|coupon| coupon.code.clone()).collect(),
            gateways: text(gateway).into_iter().collect(),
            cart_token: online.then(|| format!("hWN{:021x}", from.id * 7919)),
            checkout_token: online.then(|| format!("{:032x}", u128::from(from.id) * 104_729)),
            transactions: transactions(from, gateway, financial, &totals, &refunds),
            lines,
            shipping_lines,
            tax_percent: from.tax_percent,
            refunds,
            fulfillments,
            totals,
            client_ip: text(&from.ip),
            created_at: from.created_at,
            updated_at: from.modified_at,
            processed_at: if from.id.is_multiple_of(53) {
                from.created_at - TimeDelta::days(2)
            } else {
                from.created_at
            },
            closed_at: from.completed_at.filter(|_| closed).or(cancelled.map(|(at, _)| at)),
            cancelled,
        }
    }

    pub(super) fn abandoned(&self, from: &world::Order) -> AbandonedCheckout {
        let lines: Vec<LineItem> = from.lines.iter().map(|line| self.line(line, from.prices_include_tax)).collect();
        let recovered = from.status == OrderStatus::Completed;
        AbandonedCheckout {
            id: base::CHECKOUT + 2 * from.id,
            token: format!("{:032x}", u128::from(from.id) * 104_729),
            customer_id: from.person_id.and_then(|person| self.by_person.get(&person).copied()),
            total: lines.iter().map(|line| line.discounted_total).sum(),
            lines,
            discount_codes: from.coupons.iter().map(|coupon| coupon.code.clone()).collect(),
            shipping: from.shipping.as_ref().map(|shipping| address(shipping, from.id * 2 + 1)),
            created_at: from.created_at - TimeDelta::hours(3),
            updated_at: from.created_at,
            completed_at: recovered.then_some(from.created_at),
        }
    }

    fn line(&self, from: &world::OrderLine, taxes_included: bool) -> LineItem {
        let with_tax = |net: Decimal, tax: Decimal| if taxes_included { net + tax } else { net };
        let original = with_tax(from.subtotal, from.subtotal_tax);
        let source = from.product_id.and_then(|id| self.world_products.get(&id));
        let product = from.product_id.and_then(|id| self.products.get(&super::product_id(id)));
        // A product that is not variable has one variant, of which orders in a world do not speak.
        let variant = from.variant_id.or_else(|| source?.variants.first().map(|variant| variant.id));
        let variant_title = from.options.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" / ");
        LineItem {
            id: base::LINE + 2 * from.id,
            product_id: product.map(|product| product.id),
            variant_id: product.and(variant).map(|id| base::VARIANT + id),
            title: from.title.clone(),
            variant_title: text(&variant_title),
            sku: from.sku.clone(),
            vendor: product.map(|product| product.vendor.clone()).or_else(|| Some(self.profile.name.clone())),
            quantity: from.quantity,
            current_quantity: from.quantity,
            fulfilled_quantity: 0,
            unit_price: self.market.currency.round(original / Decimal::from(from.quantity.max(1))),
            discounted_total: with_tax(from.total, from.total_tax),
            tax: from.total_tax,
            requires_shipping: !source.is_some_and(|source| source.is_virtual),
            gift_card: false,
        }
    }

    fn shipping_lines(&self, from: &world::Order) -> Vec<ShippingLine> {
        let line = |line: &world::ChargeLine| ShippingLine {
            id: base::SHIPPING_LINE + 2 * line.id,
            title: line.title.clone(),
            code: text(&line.method),
            source: Some("shopify".to_owned()),
            price: if from.prices_include_tax { line.total + line.total_tax } else { line.total },
            tax: line.total_tax,
        };
        from.shipping_lines.iter().map(line).collect()
    }

    fn refunds(&self, from: &world::Order, lines: &mut [LineItem]) -> Vec<Refund> {
        let mut refund_line = |line: &world::RefundLine| {
            let line_id = base::LINE + 2 * line.line_id;
            if let Some(ordered) = lines.iter_mut().find(|ordered| ordered.id == line_id) {
                ordered.current_quantity = ordered.current_quantity.saturating_sub(line.quantity);
            }
            RefundLine {
                id: base::REFUND + 2 * line.id,
                line_id,
                quantity: line.quantity,
                subtotal: if from.prices_include_tax { line.total + line.total_tax } else { line.total },
                tax: line.total_tax,
                restock: match (from.id % 3, &from.status) {
                    (_, OrderStatus::Cancelled) => "CANCEL",
                    (0, _) => "NO_RESTOCK",
                    _ => "RETURN",
                },
            }
        };
        let refund = |refund: &world::Refund| Refund {
            id: base::REFUND + 2 * refund.id,
            note: text(&refund.reason),
            total: refund.amount,
            lines: refund.lines.iter().map(&mut refund_line).collect(),
            at: refund.created_at,
        };
        from.refunds.iter().map(refund).collect()
    }

    fn presentment(&self, from: &world::Order) -> Presentment {
        let home = self.market.currency;
        let shown = match (from.currency.code == home.code, from.id % 9) {
            (false, _) => from.currency,
            (true, 4) if home.code == "EUR" => Currency::USD,
            (true, 4) => Currency::EUR,
            (true, _) => return Presentment { currency: home.code, decimals: home.decimals, rate: Decimal::ONE },
        };
        let (decimals, sample) = (if shown.code == home.code { home.decimals } else { shown.decimals }, 100_000_000);
        let rate = (shown.from_euro_cents(sample) / home.from_euro_cents(sample)).round_dp(6);
        Presentment { currency: shown.code, decimals, rate }
    }
}

fn totals(from: &world::Order, lines: &[LineItem], shipping: &[ShippingLine], refunds: &[Refund]) -> Totals {
    let subtotal: Decimal = lines.iter().map(|line| line.discounted_total).sum();
    let original: Decimal = lines.iter().map(LineItem::original_total).sum();
    let shipping_total: Decimal = shipping.iter().map(|line| line.price).sum();
    let line_tax: Decimal = lines.iter().map(|line| line.tax).sum();
    let tax = line_tax + shipping.iter().map(|line| line.tax).sum::<Decimal>();
    let total = subtotal + shipping_total + if from.prices_include_tax { Decimal::ZERO } else { tax };
    let refunded: Decimal = refunds.iter().map(|refund| refund.total).sum();
    Totals {
        subtotal,
        discounts: original - subtotal,
        shipping: shipping_total,
        tax,
        total,
        received: Decimal::ZERO,
        refunded: refunded.min(total),
    }
}

/// Where the money stands, and how much came in.
fn financial(from: &world::Order, totals: &Totals) -> (Option<FinancialStatus>, Decimal) {
    let (status, received) = match &from.status {
        OrderStatus::Failed if from.id.is_multiple_of(2) => (FinancialStatus::Expired, Decimal::ZERO),
        OrderStatus::Failed => (FinancialStatus::Voided, Decimal::ZERO),
        OrderStatus::Cancelled if totals.refunded > Decimal::ZERO => (FinancialStatus::Refunded, totals.total),
        OrderStatus::Cancelled => (FinancialStatus::Voided, Decimal::ZERO),
        OrderStatus::Pending | OrderStatus::OnHold | OrderStatus::CheckoutDraft => match from.id % 4 {
            0 => (FinancialStatus::Authorized, Decimal::ZERO),
            1 => (FinancialStatus::PartiallyPaid, (totals.total / Decimal::TWO).round_dp(totals.total.scale())),
            _ => (FinancialStatus::Pending, Decimal::ZERO),
        },
        OrderStatus::Refunded => (FinancialStatus::Refunded, totals.total),
        _ if totals.refunded > Decimal::ZERO && totals.refunded >= totals.total => {
            (FinancialStatus::Refunded, totals.total)
        }
        _ if totals.refunded > Decimal::ZERO => (FinancialStatus::PartiallyRefunded, totals.total),
        _ => (FinancialStatus::Paid, totals.total),
    };
    (Some(status), received)
}

fn fulfillment_status(from: &world::Order, lines: &[LineItem]) -> FulfillmentStatus {
    if from.shipping.is_none() && !lines.iter().any(|line| line.requires_shipping) {
        return FulfillmentStatus::NotRequired;
    }
    match &from.status {
        OrderStatus::Completed => FulfillmentStatus::Fulfilled,
        OrderStatus::Cancelled | OrderStatus::Refunded if !from.refunds.is_empty() => FulfillmentStatus::Restocked,
        OrderStatus::OnHold | OrderStatus::Custom(_) => FulfillmentStatus::OnHold,
        OrderStatus::Processing => match from.id % 13 {
            0 => FulfillmentStatus::InProgress,
            1 => FulfillmentStatus::Scheduled,
            2 => FulfillmentStatus::RequestDeclined,
            3 | 4 => FulfillmentStatus::PartiallyFulfilled,
            5 if from.shipping.is_none() => FulfillmentStatus::NotRequired,
            _ => FulfillmentStatus::Unfulfilled,
        },
        _ if from.shipping.is_none() => FulfillmentStatus::NotRequired,
        _ => FulfillmentStatus::Unfulfilled,
    }
}

fn fulfillments(
    from: &world::Order,
    number: u32,
    status: FulfillmentStatus,
    lines: &mut [LineItem],
) -> Vec<Fulfillment> {
    let sent = match status {
        FulfillmentStatus::Fulfilled => lines.len(),
        FulfillmentStatus::PartiallyFulfilled => 1,
        _ => return Vec::new(),
    };
    let id = base::FULFILLMENT + 2 * from.id;
    let created_at = from.completed_at.or(from.paid_at).unwrap_or(from.modified_at);
    let mut taken = Vec::new();
    for (at, line) in lines.iter_mut().take(sent).enumerate() {
        // Of a partial shipment, one piece is left behind where there are several.
        let pieces = if status == FulfillmentStatus::Fulfilled { line.quantity } else { line.quantity.div_ceil(2) };
        line.fulfilled_quantity = pieces;
        taken.push((base::FULFILLMENT_LINE + from.id * 1000 + at as u64, line.id, pieces));
    }
    let parcel = format!("JJD{:016}", from.id);
    let address = format!("https://tracking.example/{parcel}");
    vec![Fulfillment {
        id,
        status: "SUCCESS",
        display_status: if from.id.is_multiple_of(2) { "DELIVERED" } else { "IN_TRANSIT" },
        tracking: (!number.is_multiple_of(3)).then(|| ("DHL Express".to_owned(), parcel, address)),
        lines: taken,
        created_at,
        delivered_at: (from.id.is_multiple_of(2)).then(|| not_after_end(created_at + TimeDelta::days(2))),
    }]
}

fn transactions(
    from: &world::Order,
    gateway: &str,
    financial: Option<FinancialStatus>,
    totals: &Totals,
    refunds: &[Refund],
) -> Vec<Transaction> {
    let id = base::TRANSACTION + 20 * from.id;
    let at = from.paid_at.unwrap_or(from.created_at);
    let made = |number: u64, kind, status, amount| Transaction {
        id: id + number,
        kind,
        status,
        gateway: gateway.to_owned(),
        amount,
        parent: None,
        error: None,
        at,
    };
    let success = TransactionStatus::Success;
    let mut list = match financial {
        Some(FinancialStatus::Voided | FinancialStatus::Expired) if from.status == OrderStatus::Failed => {
            let declined = made(0, TransactionKind::Sale, TransactionStatus::Failure, totals.total);
            vec![Transaction { error: Some("CARD_DECLINED"), ..declined }]
        }
        Some(FinancialStatus::Voided) => {
            let voided = made(1, TransactionKind::Void, success, Decimal::ZERO);
            vec![
                made(0, TransactionKind::Authorization, success, totals.total),
                Transaction { parent: Some(id), ..voided },
            ]
        }
        Some(FinancialStatus::Authorized) => vec![made(0, TransactionKind::Authorization, success, totals.total)],
        Some(FinancialStatus::Pending) => {
            vec![made(0, TransactionKind::Sale, TransactionStatus::Pending, totals.total)]
        }
        _ if totals.received.is_zero() => Vec::new(),
        _ if from.id.is_multiple_of(2) => {
            let captured = made(1, TransactionKind::Capture, success, totals.received);
            vec![
                made(0, TransactionKind::Authorization, success, totals.total),
                Transaction { parent: Some(id), ..captured },
            ]
        }
        _ => vec![made(0, TransactionKind::Sale, success, totals.received)],
    };
    let paid = list.last().map(|transaction| transaction.id);
    for (number, refund) in refunds.iter().enumerate() {
        let given_back = made(2 + number as u64, TransactionKind::Refund, success, refund.total);
        list.push(Transaction { parent: paid, at: refund.at, ..given_back });
    }
    list
}

fn cancel_reason(id: world::Id) -> CancelReason {
    match id % 6 {
        0 => CancelReason::Customer,
        1 => CancelReason::Declined,
        2 => CancelReason::Fraud,
        3 => CancelReason::Inventory,
        4 => CancelReason::Staff,
        _ => CancelReason::Other,
    }
}

/// Nine capitals and digits.
fn confirmation(id: world::Id) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut bits = id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut next = || {
        bits = bits.rotate_left(5);
        char::from(ALPHABET[(bits & 31) as usize])
    };
    (0..9).map(|_| next()).collect()
}
