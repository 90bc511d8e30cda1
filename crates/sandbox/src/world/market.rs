//! Where a shop sells.

use chrono_tz::Tz;
use rust_decimal::Decimal;

/// A currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Currency {
    /// ISO 4217.
    pub code: &'static str,
    /// In English.
    pub name: &'static str,
    /// As plain text.
    pub symbol: &'static str,
    /// Digits after the point that amounts have in this shop.
    pub decimals: u32,
    /// Roughly what one euro is, so that prices look right.
    per_euro: u32,
    /// Digits that `per_euro` is scaled down by.
    per_euro_scale: u32,
}

impl Currency {
    /// Hungarian forint, without fillér as shops use it (ISO 4217 has two digits).
    pub const HUF: Currency = Currency::new("HUF", "Hungarian forint", "Ft", 0, 390, 0);
    /// Euro.
    pub const EUR: Currency = Currency::new("EUR", "Euro", "€", 2, 1, 0);
    /// US dollar.
    pub const USD: Currency = Currency::new("USD", "United States (US) dollar", "$", 2, 11, 1);
    /// Japanese yen: no decimals.
    pub const JPY: Currency = Currency::new("JPY", "Japanese yen", "¥", 0, 165, 0);
    /// Vietnamese đồng: no decimals, big numbers.
    pub const VND: Currency = Currency::new("VND", "Vietnamese đồng", "₫", 0, 28_000, 0);
    /// Kuwaiti dinar: three decimals.
    pub const KWD: Currency = Currency::new("KWD", "Kuwaiti dinar", "د.ك", 3, 34, 2);

    const fn new(
        code: &'static str,
        name: &'static str,
        symbol: &'static str,
        decimals: u32,
        per_euro: u32,
        per_euro_scale: u32,
    ) -> Currency {
        Currency { code, name, symbol, decimals, per_euro, per_euro_scale }
    }

    /// The same currency in a shop that shows another number of decimals.
    pub fn with_decimals(self, decimals: u32) -> Currency {
        Currency { decimals, ..self }
    }

    /// An amount of so many euro cents, in this currency and rounded to its decimals.
    pub fn from_euro_cents(&self, cents: u64) -> Decimal {
        let rate = Decimal::new(i64::from(self.per_euro), self.per_euro_scale);
        self.round(Decimal::new(cents.min(i64::MAX as u64) as i64, 2) * rate)
    }

    /// Rounded to the currency's decimals, and shown with all of them.
    pub fn round(&self, amount: Decimal) -> Decimal {
        let mut amount =
            amount.round_dp_with_strategy(self.decimals, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
        amount.rescale(self.decimals);
        amount
    }
}

/// Where a shop sells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Market {
    /// ISO 3166-1 alpha-2.
    pub country: &'static str,
    /// What prices are in.
    pub currency: Currency,
    /// Local time.
    pub time_zone: Tz,
    /// Sales tax in percent.
    pub tax_percent: Decimal,
    /// Whether prices in the catalog include tax.
    pub prices_include_tax: bool,
}

impl Market {
    /// Hungary: forints without decimals, 27 % tax.
    pub const HUNGARY: Market = Market::new("HU", Currency::HUF, Tz::Europe__Budapest, 2700, true);
    /// Germany: euros, 19 % tax.
    pub const GERMANY: Market = Market::new("DE", Currency::EUR, Tz::Europe__Berlin, 1900, true);
    /// United States, New York time: prices without tax, 8.875 % added.
    pub const NEW_YORK: Market = Market::new("US", Currency::USD, Tz::America__New_York, 888, false);
    /// Japan.
    pub const JAPAN: Market = Market::new("JP", Currency::JPY, Tz::Asia__Tokyo, 1000, true);
    /// Vietnam.
    pub const VIETNAM: Market = Market::new("VN", Currency::VND, Tz::Asia__Ho_Chi_Minh, 0, false);
    /// Kuwait: no sales tax, three decimals.
    pub const KUWAIT: Market = Market::new("KW", Currency::KWD, Tz::Asia__Kuwait, 0, false);

    const fn new(
        country: &'static str,
        currency: Currency,
        time_zone: Tz,
        tax: u32,
        prices_include_tax: bool,
    ) -> Market {
        let tax_percent = Decimal::from_parts(tax, 0, 0, false, 2);
        Market { country, currency, time_zone, tax_percent, prices_include_tax }
    }
}
