//! Amounts.

use super::{At, Resolved, View, leaf};
use crate::shopify::store::model::Presentment;
use crate::world::Currency;
use rust_decimal::{Decimal, RoundingStrategy};

/// `MoneyV2`.
#[derive(Clone, Copy)]
pub(super) struct Money {
    pub(super) amount: Decimal,
    pub(super) currency: &'static str,
}

impl View for Money {
    fn type_name(&self) -> &'static str {
        "MoneyV2"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "amount" => leaf(decimal(self.amount)),
            "currencyCode" => leaf(self.currency),
            _ => at.unknown(self),
        }
    }
}

/// `MoneyBag`: the same amount in the shop's currency and in the buyer's.
#[derive(Clone, Copy)]
pub(super) struct Bag {
    amount: Decimal,
    currency: Currency,
    presentment: Presentment,
}

impl Bag {
    pub(super) fn new(amount: Decimal, currency: Currency, presentment: Presentment) -> Bag {
        Bag { amount, currency, presentment }
    }

    /// Where buyers see the shop's own currency.
    pub(super) fn plain(amount: Decimal, currency: Currency) -> Bag {
        let presentment = Presentment { currency: currency.code, decimals: currency.decimals, rate: Decimal::ONE };
        Bag { amount, currency, presentment }
    }
}

impl View for Bag {
    fn type_name(&self) -> &'static str {
        "MoneyBag"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "shopMoney" => at.node(Money { amount: self.amount, currency: self.currency.code }),
            "presentmentMoney" => {
                let amount = self.amount * self.presentment.rate;
                let decimals = self.presentment.decimals;
                let amount = amount.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero);
                at.node(Money { amount, currency: self.presentment.currency })
            }
            _ => at.unknown(self),
        }
    }
}

/// `Decimal` as `MoneyV2.amount` writes it: no zeros at the end, but always a digit after the point (`19.9`, `1200.0`).
pub(super) fn decimal(amount: Decimal) -> String {
    let text = amount.normalize().to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}

/// `Money` as `ProductVariant.price` writes it: with all digits of the currency (`19.90`, `1200`).
pub(super) fn price(amount: Decimal, currency: Currency) -> String {
    currency.round(amount).to_string()
}

#[cfg(test)]
mod tests {
    use super::{decimal, price};
    use crate::world::Currency;
    use rust_decimal::dec;

    #[test]
    fn amounts_have_a_digit_after_the_point_and_prices_the_digits_of_the_currency() {
        assert_eq!([decimal(dec!(19.90)), decimal(dec!(1200)), decimal(dec!(0.00))], ["19.9", "1200.0", "0.0"]);
        assert_eq!([price(dec!(19.9), Currency::EUR), price(dec!(1200), Currency::JPY)], ["19.90", "1200"]);
    }
}
