//! What was bought.

use super::{Address, Currency, Id};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

/// A purchase.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its id.
    pub id: Id,
    /// What people call it; need not be the id.
    pub number: String,
    /// Who ordered: an entry of [`World::people`]. `None` when that person was deleted.
    pub person_id: Option<Id>,
    /// Whether the person was logged in; otherwise it is a guest order even if they have an account.
    pub with_account: bool,
    /// As typed at the checkout: any letter case, or missing.
    pub email: Option<String>,
    /// Billing address as given then.
    pub billing: Address,
    /// Shipping address as given then; `None`: nothing is shipped.
    pub shipping: Option<Address>,
    /// Where it stands.
    pub status: OrderStatus,
    /// In the trash.
    pub trashed: bool,
    /// ISO 4217; not always the shop's.
    pub currency: Currency,
    /// Whether prices were shown with tax.
    pub prices_include_tax: bool,
    /// The tax rate in percent; zero: no tax.
    pub tax_percent: Decimal,
    /// At least one.
    pub lines: Vec<OrderLine>,
    /// Usually one.
    pub shipping_lines: Vec<ChargeLine>,
    /// Payment fees and the like.
    pub fee_lines: Vec<ChargeLine>,
    /// Discounts; their amounts are already taken off the lines' totals.
    pub coupons: Vec<Coupon>,
    /// Oldest first.
    pub refunds: Vec<Refund>,
    /// Id of the tax row.
    pub tax_line_id: Id,
    /// Code of the payment method, for example `bacs`.
    pub payment_method: String,
    /// Its name for people.
    pub payment_title: String,
    /// The payment provider's reference; may be empty.
    pub transaction_id: String,
    /// The buyer's words; may be empty.
    pub note: String,
    /// Where it was made: `checkout`, `admin`, `rest-api`.
    pub created_via: String,
    /// The buyer's address; may be empty.
    pub ip: String,
    /// The buyer's browser; may be empty.
    pub user_agent: String,
    /// Secret part of the order's links.
    pub key: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub modified_at: DateTime<Utc>,
    /// When it was paid.
    pub paid_at: Option<DateTime<Utc>>,
    /// When it was done.
    pub completed_at: Option<DateTime<Utc>>,
    /// When it was called off.
    pub cancelled_at: Option<DateTime<Utc>>,
}

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OrderStatus {
    /// Not even an order yet: a checkout begun.
    CheckoutDraft,
    /// Waits for payment.
    Pending,
    /// Paid, to be sent.
    Processing,
    /// Waits for something: a bank transfer.
    OnHold,
    /// Done.
    Completed,
    /// Called off.
    Cancelled,
    /// All money given back.
    Refunded,
    /// The payment failed.
    Failed,
    /// One that a plug-in made up.
    Custom(String),
}

/// A product in an order, as it was then.
#[derive(Debug, Clone)]
pub struct OrderLine {
    /// Its id.
    pub id: Id,
    /// `None`: the product was deleted.
    pub product_id: Option<Id>,
    /// `None`: not a variant of a variable product, or deleted.
    pub variant_id: Option<Id>,
    /// As it was then; `None` also when the product was deleted.
    pub sku: Option<String>,
    /// The product's title then.
    pub title: String,
    /// Option names and values of the variant.
    pub options: Vec<(String, String)>,
    /// Pieces.
    pub quantity: u32,
    /// Without tax, before discounts.
    pub subtotal: Decimal,
    /// Tax on `subtotal`.
    pub subtotal_tax: Decimal,
    /// Without tax, after discounts.
    pub total: Decimal,
    /// Tax on `total`.
    pub total_tax: Decimal,
}

/// A shipping cost or a fee.
#[derive(Debug, Clone)]
pub struct ChargeLine {
    /// Its id.
    pub id: Id,
    /// For people.
    pub title: String,
    /// Code of the method, for example `flat_rate`; empty for fees.
    pub method: String,
    /// Without tax.
    pub total: Decimal,
    /// Tax on it.
    pub total_tax: Decimal,
}

/// A discount code used in an order.
#[derive(Debug, Clone)]
pub struct Coupon {
    /// Its id.
    pub id: Id,
    /// What was typed.
    pub code: String,
    /// Off the price without tax.
    pub discount: Decimal,
    /// Off the tax.
    pub discount_tax: Decimal,
    /// Percent off.
    pub percent: u32,
}

/// Money given back.
#[derive(Debug, Clone)]
pub struct Refund {
    /// Its id.
    pub id: Id,
    /// Positive, with tax.
    pub amount: Decimal,
    /// May be empty.
    pub reason: String,
    /// Which lines it is for; empty: just an amount.
    pub lines: Vec<RefundLine>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A line given back, in whole or in part.
#[derive(Debug, Clone)]
pub struct RefundLine {
    /// Its own id.
    pub id: Id,
    /// The line of the order.
    pub line_id: Id,
    /// Pieces.
    pub quantity: u32,
    /// Positive, without tax.
    pub total: Decimal,
    /// Positive.
    pub total_tax: Decimal,
}

impl Order {
    /// Total of the lines without tax, before discounts.
    pub fn subtotal(&self) -> Decimal {
        self.lines.iter().map(|line| line.subtotal).sum()
    }

    /// What discounts took off, without tax.
    pub fn discount(&self) -> Decimal {
        self.lines.iter().map(|line| line.subtotal - line.total).sum()
    }

    /// What discounts took off the tax.
    pub fn discount_tax(&self) -> Decimal {
        self.lines.iter().map(|line| line.subtotal_tax - line.total_tax).sum()
    }

    /// Shipping without tax.
    pub fn shipping_total(&self) -> Decimal {
        self.shipping_lines.iter().map(|line| line.total).sum()
    }

    /// Tax on shipping.
    pub fn shipping_tax(&self) -> Decimal {
        self.shipping_lines.iter().map(|line| line.total_tax).sum()
    }

    /// Tax on lines and fees.
    pub fn cart_tax(&self) -> Decimal {
        let lines: Decimal = self.lines.iter().map(|line| line.total_tax).sum();
        lines + self.fee_lines.iter().map(|line| line.total_tax).sum::<Decimal>()
    }

    /// What the buyer pays; refunds do not reduce it.
    pub fn total(&self) -> Decimal {
        let lines: Decimal = self.lines.iter().map(|line| line.total).sum();
        let fees: Decimal = self.fee_lines.iter().map(|line| line.total).sum();
        lines + fees + self.shipping_total() + self.cart_tax() + self.shipping_tax()
    }

    /// What was given back.
    pub fn refunded(&self) -> Decimal {
        self.refunds.iter().map(|refund| refund.amount).sum()
    }
}
