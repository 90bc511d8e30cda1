//! Every answer is checked again on our side: WooCommerce ignores filters that it does not know and would return everybody.

use connector::{Customer, Filters, Order, Product};
use kernel::{Personal, Time};

pub(in crate::live) fn customer(customer: &Customer, filters: &Filters) -> bool {
    ids(&customer.id, filters)
        && times(customer.created_at, customer.updated_at, filters)
        && personal(filters.email.as_ref(), customer.email.as_ref(), same_email)
        && personal(filters.phone.as_ref(), customer.phone.as_ref(), same_phone)
}

pub(in crate::live) fn order(order: &Order, filters: &Filters) -> bool {
    let buyer = order.customer.as_ref();
    ids(&order.id, filters)
        && times(order.placed_at, order.updated_at, filters)
        && filters.status.as_deref().is_none_or(|status| order.status.as_str() == status)
        && filters
            .payment_status
            .as_deref()
            .is_none_or(|status| order.payment_status.is_some_and(|own| own.as_str() == status))
        && filters.customer_id.as_deref().is_none_or(|id| buyer.is_some_and(|buyer| buyer.id.as_deref() == Some(id)))
        && filters
            .number
            .as_deref()
            .is_none_or(|number| order.number.as_deref().is_some_and(|own| same_number(own, number)))
        && personal(filters.email.as_ref(), buyer.and_then(|buyer| buyer.email.as_ref()), same_email)
        && personal(filters.phone.as_ref(), buyer.and_then(|buyer| buyer.phone.as_ref()), same_phone)
}

/// The SKU that was found may be that of a variant which an abridged record does not carry.
pub(in crate::live) fn product(product: &Product, filters: &Filters, abridged: bool) -> bool {
    ids(&product.id, filters)
        && times(product.created_at, product.updated_at, filters)
        && filters.status.as_deref().is_none_or(|status| product.status.as_str() == status)
        && filters.sku.as_deref().is_none_or(|sku| {
            abridged
                || product
                    .variants
                    .iter()
                    .any(|variant| variant.sku.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(sku)))
        })
}

fn ids(id: &str, filters: &Filters) -> bool {
    filters.ids.is_empty() || filters.ids.iter().any(|wanted| wanted == id)
}

/// `after` includes its moment, `before` does not, so that windows can be laid side by side. A record without a time
/// cannot be shown to lie in the window.
fn times(created: Option<Time>, updated: Option<Time>, filters: &Filters) -> bool {
    filters.created_after.is_none_or(|after| created.is_some_and(|at| at >= after))
        && filters.created_before.is_none_or(|before| created.is_some_and(|at| at < before))
        && filters.updated_after.is_none_or(|after| updated.is_some_and(|at| at >= after))
        && filters.updated_before.is_none_or(|before| updated.is_some_and(|at| at < before))
}

fn personal(wanted: Option<&Personal<String>>, own: Option<&Personal<String>>, same: fn(&str, &str) -> bool) -> bool {
    wanted.is_none_or(|wanted| own.is_some_and(|own| own.satisfies(|own| wanted.satisfies(|wanted| same(own, wanted)))))
}

fn same_email(own: &str, wanted: &str) -> bool {
    own.trim().to_lowercase() == wanted.trim().to_lowercase()
}

/// Shops keep numbers as they were typed: with or without country code, spaces and hyphens. The last eight digits tell
/// people of one shop apart; shorter numbers must be equal.
fn same_phone(own: &str, wanted: &str) -> bool {
    let digits = |text: &str| text.chars().filter_map(|c| c.to_digit(10)).collect::<Vec<_>>();
    let (own, wanted) = (digits(own), digits(wanted));
    let tail = 8.min(own.len().max(wanted.len()));
    !wanted.is_empty()
        && own.len() >= tail
        && wanted.len() >= tail
        && own[own.len() - tail..] == wanted[wanted.len() - tail..]
}

/// `#1042` and `1042` are one number.
fn same_number(own: &str, wanted: &str) -> bool {
    own.trim_start_matches('#').eq_ignore_ascii_case(wanted.trim_start_matches('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_compared_by_their_digits() {
        assert!(same_phone("+36 30 123 4567", "06301234567"));
        assert!(same_phone("112", "112"));
        assert!(!same_phone("+36 30 123 4567", "+36 30 123 4568"));
        assert!(!same_phone("4567", "+36 30 123 4567"));
        assert!(!same_phone("", ""));
    }

    #[test]
    fn a_window_takes_its_first_moment_and_not_its_last() {
        let at = |text: &str| Some(text.parse::<Time>().unwrap());
        let filters = Filters {
            created_after: at("2026-11-20T10:00:00Z"),
            created_before: at("2026-11-20T11:00:00Z"),
            ..Filters::default()
        };
        assert!(times(at("2026-11-20T10:00:00Z"), None, &filters));
        assert!(!times(at("2026-11-20T11:00:00Z"), None, &filters));
        assert!(!times(None, None, &filters));
    }
}
