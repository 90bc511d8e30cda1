//! Making orders.

use super::generate::{SPAN, moment};
use super::{
    Address, ChargeLine, Coupon, Currency, Order, OrderLine, OrderStatus, Person, Product, ProductKind, ProductStatus,
    Refund, RefundLine, World, epoch_end,
};
use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

const AGENTS: &[&str] = &[
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
];
const NOTES: &[&str] = &[
    "Kérem, a portán hagyják! 🙏",
    "<b>Please</b> ring \"twice\" & wait\r\nsecond line",
    "رجاءً اتصلوا قبل التوصيل",
    "Ajándék: Szeretettel, Ődöngő Űrhajós",
];

/// The orders of a world repeat these peculiarities in every so many.
const PERIOD: usize = 40;

impl World {
    pub(super) fn add_orders(&mut self, count: usize) {
        for index in 0..count {
            let mut created_at = moment(self.rng(), index, count, SPAN);
            let peculiarity = index % PERIOD;
            if peculiarity == 16
                && let Some(before) = self.orders.last()
            {
                created_at = before.created_at;
            }
            let person = self.pick_person(index, created_at);
            let lines = if peculiarity == 19 { 12 } else { self.rng().between(1, 4) as usize };
            let mut order = self.order(person.as_ref(), created_at, lines);
            let roll = self.rng().below(100);
            let status = match roll {
                0..58 => OrderStatus::Completed,
                58..76 => OrderStatus::Processing,
                76..84 => OrderStatus::OnHold,
                84..89 => OrderStatus::Pending,
                89..95 => OrderStatus::Cancelled,
                _ => OrderStatus::Failed,
            };
            self.settle(&mut order, status);
            self.make_peculiar_order(&mut order, peculiarity);
            self.orders.push(order);
        }
        self.import_at_once(count);
    }

    /// What an import or a bulk edit leaves: many orders changed in the same second.
    fn import_at_once(&mut self, count: usize) {
        let middle = count / 2;
        let batch = &mut self.orders[middle..(middle + 12).min(count)];
        if let Some(at) = batch.iter().map(|order| order.modified_at).max() {
            batch.iter_mut().for_each(|order| order.modified_at = at);
        }
    }

    /// Someone who was there at that time. Early people order more often.
    fn pick_person(&mut self, index: usize, at: DateTime<Utc>) -> Option<Person> {
        let there = self.people.partition_point(|person| person.created_at <= at);
        let favorites = self.people.len().min(16);
        let at = if index < favorites { index } else { self.rng.below(there.max(favorites) as u64) as usize };
        self.people.get(at).cloned()
    }

    /// An order of `lines` lines, not yet paid.
    pub(super) fn order(&mut self, person: Option<&Person>, created_at: DateTime<Utc>, lines: usize) -> Order {
        let id = self.new_id();
        let lines: Vec<OrderLine> = (0..lines).filter_map(|_| self.order_line()).collect();
        let market = self.market;
        let needs_shipping = !lines.is_empty();
        let shipping_id = self.new_id();
        let tax_line_id = self.new_id();
        let rng = &mut self.rng;
        let shipping_cost = market.currency.from_euro_cents(*rng.pick(&[0, 399, 599, 1290]));
        let (method, title) = *rng.pick(&[
            ("bacs", "Direct bank transfer"),
            ("cod", "Utánvét"),
            ("stripe", "Credit card (Stripe)"),
            ("paypal", "PayPal"),
        ]);
        Order {
            id,
            number: id.to_string(),
            person_id: person.map(|person| person.id),
            with_account: person.is_some_and(|person| person.account.is_some()),
            email: person.and_then(|person| person.email.clone()),
            billing: person.map(|person| person.billing.clone()).unwrap_or_default(),
            shipping: person
                .map(|person| person.shipping.clone().unwrap_or_else(|| person.billing.clone()))
                .filter(|_| needs_shipping),
            status: OrderStatus::Pending,
            trashed: false,
            currency: market.currency,
            prices_include_tax: market.prices_include_tax,
            tax_percent: market.tax_percent,
            lines,
            shipping_lines: if needs_shipping {
                vec![ChargeLine {
                    id: shipping_id,
                    title: "Flat rate".to_owned(),
                    method: "flat_rate".to_owned(),
                    total: shipping_cost,
                    total_tax: market.currency.round(shipping_cost * market.tax_percent / Decimal::ONE_HUNDRED),
                }]
            } else {
                vec![]
            },
            fee_lines: vec![],
            coupons: vec![],
            refunds: vec![],
            tax_line_id,
            payment_method: method.to_owned(),
            payment_title: title.to_owned(),
            transaction_id: String::new(),
            note: if rng.chance(12) { (*rng.pick(NOTES)).to_owned() } else { String::new() },
            created_via: "checkout".to_owned(),
            ip: format!("203.0.113.{}", rng.between(1, 254)),
            user_agent: (*rng.pick(AGENTS)).to_owned(),
            key: format!("wc_order_{}", rng.token(13)),
            created_at,
            modified_at: created_at,
            paid_at: None,
            completed_at: None,
            cancelled_at: None,
        }
    }

    fn order_line(&mut self) -> Option<OrderLine> {
        let currency = self.market.currency;
        let (tax_percent, includes_tax) = (self.market.tax_percent, self.market.prices_include_tax);
        for _ in 0..20 {
            let at = self.rng.below(self.products.len() as u64) as usize;
            let product = self.products.get(at)?;
            if product.status == ProductStatus::Draft
                || !matches!(product.kind, ProductKind::Simple | ProductKind::Variable)
            {
                continue;
            }
            let variant_at = self.rng.below(product.variants.len() as u64) as usize;
            let Some(price) = product.variants.get(variant_at).and_then(|variant| variant.price()) else { continue };
            let quantity = if self.rng.chance(4) { self.rng.between(10, 250) } else { self.rng.between(1, 3) } as u32;
            let id = self.new_id();
            let product = &self.products[at];
            let gross = currency.round(price * Decimal::from(quantity));
            let rate = Decimal::ONE + tax_percent / Decimal::ONE_HUNDRED;
            let net = if includes_tax { currency.round(gross / rate) } else { gross };
            let tax = if includes_tax { gross - net } else { currency.round(net * (rate - Decimal::ONE)) };
            return Some(line_of(product, variant_at, id, quantity, net, tax));
        }
        None
    }

    /// Brings an order into a status, with the times that go with it.
    pub(super) fn settle(&mut self, order: &mut Order, status: OrderStatus) {
        let mut after = |low: u64, high: u64, from: DateTime<Utc>| {
            (from + TimeDelta::seconds(self.rng.between(low, high) as i64)).min(epoch_end())
        };
        let created = order.created_at;
        (order.paid_at, order.completed_at, order.cancelled_at) = (None, None, None);
        match status {
            OrderStatus::Processing | OrderStatus::Completed | OrderStatus::Refunded | OrderStatus::Custom(_) => {
                let paid = after(5, 3600, created);
                order.paid_at = Some(paid);
                order.modified_at = paid;
                if status == OrderStatus::Completed {
                    let completed = after(3600, 9 * 86_400, paid);
                    order.completed_at = Some(completed);
                    order.modified_at = completed;
                }
            }
            OrderStatus::Cancelled | OrderStatus::Failed => {
                order.modified_at = after(60, 5 * 86_400, created);
                order.cancelled_at = (status == OrderStatus::Cancelled).then_some(order.modified_at);
            }
            _ => order.modified_at = after(0, 86_400, created),
        }
        order.transaction_id = match order.paid_at {
            Some(_) if order.payment_method == "stripe" => format!("ch_{}", self.rng.token(24)),
            _ => String::new(),
        };
        order.status = status;
    }

    /// Gives `amount` back some days later; with `lines`, those lines whole.
    pub(super) fn refund(&mut self, order: &mut Order, amount: Decimal, lines: &[usize], reason: &str) {
        let id = self.new_id();
        let mut refund_line = |line: &OrderLine| RefundLine {
            id: self.new_id(),
            line_id: line.id,
            quantity: line.quantity,
            total: line.total,
            total_tax: line.total_tax,
        };
        let lines = lines.iter().filter_map(|at| order.lines.get(*at)).map(&mut refund_line).collect();
        let created_at =
            (order.modified_at + TimeDelta::seconds(self.rng.between(600, 20 * 86_400) as i64)).min(epoch_end());
        order.refunds.push(Refund { id, amount, reason: reason.to_owned(), lines, created_at });
        order.modified_at = created_at;
    }

    fn make_peculiar_order(&mut self, order: &mut Order, peculiarity: usize) {
        let total = order.total();
        match peculiarity {
            // A guest without e-mail address: sold at the counter.
            0 => {
                (order.with_account, order.person_id, order.email) = (false, None, None);
                order.created_via = "admin".to_owned();
                (order.ip, order.user_agent) = (String::new(), String::new());
            }
            // A guest who has an account, and typed the address in another letter case.
            1 => {
                order.with_account = false;
                order.email = order.email.as_ref().map(|email| email.to_uppercase());
            }
            // All money back.
            2 => {
                self.settle(order, OrderStatus::Completed);
                let all: Vec<usize> = (0..order.lines.len()).collect();
                self.refund(order, total, &all, "Elállás");
                order.status = OrderStatus::Refunded;
            }
            // One line back.
            3 if order.lines.len() > 1 || order.total() > order.lines[0].total + order.lines[0].total_tax => {
                self.settle(order, OrderStatus::Completed);
                let amount = order.lines[0].total + order.lines[0].total_tax;
                self.refund(order, amount, &[0], "Sérült termék <törött>");
            }
            // Some money back, twice, for no line.
            4 => {
                self.settle(order, OrderStatus::Processing);
                let part = order.currency.round(total / Decimal::from(10));
                self.refund(order, part, &[], "");
                self.refund(order, part, &[], "Kulanz");
            }
            5 => self.settle(order, OrderStatus::Cancelled),
            6 => self.settle(order, OrderStatus::Failed),
            7 => order.trashed = true,
            // A checkout begun and left.
            8 => {
                self.settle(order, OrderStatus::CheckoutDraft);
                (order.with_account, order.person_id, order.email) = (false, None, None);
                (order.billing, order.shipping) = (Address::default(), None);
                order.created_via = "store-api".to_owned();
                (order.payment_method, order.payment_title) = (String::new(), String::new());
            }
            9 => self.discount(order, 10),
            10 => {
                let id = self.new_id();
                let fee = order.currency.from_euro_cents(150);
                let title = "Utánvét díja".to_owned();
                let total_tax = order.currency.round(fee * order.tax_percent / Decimal::ONE_HUNDRED);
                order.fee_lines.push(ChargeLine { id, title, method: String::new(), total: fee, total_tax });
            }
            // The product was deleted since.
            11 => {
                for line in &mut order.lines {
                    (line.product_id, line.variant_id, line.sku) = (None, None, None);
                }
            }
            12 => order.note = NOTES.join("\n").repeat(8),
            // Paid in another currency; the decimals stay the shop's.
            13 => order.currency = Currency::USD.with_decimals(order.currency.decimals),
            14 => self.settle(order, OrderStatus::Pending),
            15 => self.settle(order, OrderStatus::Custom("awaiting-pickup".to_owned())),
            // A plug-in that numbers orders in its own way.
            17 => order.number = format!("WEB-{}/{:05}", order.created_at.format("%Y"), order.id),
            18 => (order.shipping, order.shipping_lines) = (None, vec![]),
            // The person was deleted since.
            20 => (order.person_id, order.with_account) = (None, false),
            21 => self.settle(order, OrderStatus::OnHold),
            // A free order.
            22 => {
                order.lines.iter_mut().for_each(|line| {
                    (line.total, line.total_tax) =
                        (order.currency.round(Decimal::ZERO), order.currency.round(Decimal::ZERO));
                });
                order.shipping_lines.clear();
                let (id, discount, discount_tax) = (self.new_id(), order.discount(), order.discount_tax());
                order
                    .coupons
                    .push(Coupon { id, code: "ajándék100".to_owned(), discount, discount_tax, percent: 100 });
            }
            _ => {}
        }
    }

    fn discount(&mut self, order: &mut Order, percent: u32) {
        let rest = Decimal::from(100 - percent) / Decimal::ONE_HUNDRED;
        for line in &mut order.lines {
            line.total = order.currency.round(line.subtotal * rest);
            line.total_tax = order.currency.round(line.subtotal_tax * rest);
        }
        let (id, discount, discount_tax) = (self.new_id(), order.discount(), order.discount_tax());
        order.coupons.push(Coupon { id, code: "ősz10".to_owned(), discount, discount_tax, percent });
    }
}

fn line_of(product: &Product, variant_at: usize, id: u64, quantity: u32, net: Decimal, tax: Decimal) -> OrderLine {
    let variable = product.kind == ProductKind::Variable;
    let variant = &product.variants[variant_at];
    let names = product.options.iter().map(|option| option.name.clone());
    OrderLine {
        id,
        product_id: Some(product.id),
        variant_id: variable.then_some(variant.id),
        sku: variant.sku.clone().or_else(|| product.sku.clone()),
        title: product.title.clone(),
        options: names.zip(variant.option_values.iter().cloned()).collect(),
        quantity,
        subtotal: net,
        subtotal_tax: tax,
        total: net,
        total_tax: tax,
    }
}
