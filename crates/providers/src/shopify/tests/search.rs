//! Filters become Shopify's search syntax, and no value becomes anything but a value.

use connector::{Filters, ProviderError, model::OrderStatus};
use kernel::Personal;
use proptest::prelude::*;

use crate::shopify::api::search::{self, Search, quoted};

fn query(search: Search) -> String {
    match search {
        Search::Terms { query, .. } => query.unwrap_or_default(),
        Search::Nothing => panic!("nothing is asked for"),
    }
}

fn personal(text: &str) -> Option<Personal<String>> {
    Some(Personal::new(text.to_owned()))
}

const ALL_ORDERS: &str = "(status:open OR status:closed OR status:cancelled)";

#[test]
fn without_filters_everything_is_asked_for_and_counted() {
    let none = Filters::default();
    let exact = |search| matches!(search, Search::Terms { is_exact: true, .. });
    assert_eq!(query(search::orders(&none).unwrap()), ALL_ORDERS);
    assert_eq!(query(search::customers(&none)), "");
    assert_eq!(query(search::products(&none).unwrap()), "status:active,draft,archived,unlisted");
    assert!(
        exact(search::orders(&none).unwrap())
            && exact(search::customers(&none))
            && exact(search::products(&none).unwrap())
    );
}

#[test]
fn ids_are_numbers_or_global_ids_of_the_right_kind() {
    let ids = |ids: &[&str]| Filters { ids: ids.iter().map(|id| (*id).to_owned()).collect(), ..Filters::default() };
    assert_eq!(query(search::customers(&ids(&["12"]))), "id:12");
    let several = ids(&["12", "gid://shopify/Customer/13", "x OR id:1", "gid://shopify/Order/14", "+15"]);
    assert_eq!(query(search::customers(&several)), "(id:12 OR id:13)");
    assert_eq!(search::customers(&ids(&["abc"])), Search::Nothing);
    assert_eq!(search::orders(&ids(&[""])).unwrap(), Search::Nothing);
    let other = Filters { customer_id: Some("gid://shopify/Order/1".to_owned()), ..Filters::default() };
    assert_eq!(search::orders(&other).unwrap(), Search::Nothing);
}

#[test]
fn persons_are_found_by_quoted_values_and_checked_again() {
    let filters = Filters {
        email: personal("bo.wang@example.com"),
        phone: personal("+36 30 123"),
        search: personal("Anna  Nagy"),
        ..Filters::default()
    };
    let expected = r#"email:"bo.wang@example.com" phone:"+36 30 123" "Anna" "Nagy""#;
    let Search::Terms { query, is_exact } = search::customers(&filters) else { panic!() };
    assert_eq!(query.as_deref(), Some(expected));
    assert!(!is_exact, "Shopify finds words, not values");
}

#[test]
fn a_caller_cannot_add_terms() {
    let filters = Filters { email: personal(r#"x" OR email:"*"#), ..Filters::default() };
    assert_eq!(query(search::customers(&filters)), r#"email:"x  OR email: *""#);
    let filters = Filters { search: personal(r#"a\" OR (status:any) -b NOT"#), ..Filters::default() };
    assert_eq!(query(search::customers(&filters)), r#""a" "OR" "(status:any)" "-b" "NOT""#);
}

#[test]
fn times_are_quoted_in_utc_and_rounded_outward() {
    let filters = Filters {
        created_after: "2026-11-20T12:00:00.250+02:00".parse().ok(),
        updated_before: "2026-11-20T10:00:00.250Z".parse().ok(),
        ..Filters::default()
    };
    let expected = format!("{ALL_ORDERS} created_at:>='2026-11-20T10:00:00Z' updated_at:<='2026-11-20T10:00:01Z'");
    assert_eq!(query(search::orders(&filters).unwrap()), expected);
    // Shopify matches whole days of customers, and calls their creation otherwise.
    let expected = "customer_date:>='2026-11-19T10:00:00Z' updated_at:<='2026-11-21T10:00:01Z'";
    assert_eq!(query(search::customers(&filters)), expected);
}

#[test]
fn products_are_found_by_sku_and_status() {
    let filters = Filters { sku: Some("KV 250".to_owned()), status: Some("draft".to_owned()), ..Filters::default() };
    assert_eq!(query(search::products(&filters).unwrap()), r#"status:draft sku:"KV 250""#);
}

#[test]
fn an_order_is_found_by_its_number_with_and_without_the_sign() {
    let filters = Filters { number: Some("1042".to_owned()), ..Filters::default() };
    let expected = format!(r##"{ALL_ORDERS} (name:"1042" OR name:"#1042")"##);
    assert_eq!(query(search::orders(&filters).unwrap()), expected);
}

#[test]
fn a_status_that_there_is_not_is_refused() {
    let status = |status: &str| Filters { status: Some(status.to_owned()), ..Filters::default() };
    assert!(matches!(search::orders(&status("shipped")), Err(ProviderError::Rejected { .. })));
    assert!(matches!(search::products(&status("completed")), Err(ProviderError::Rejected { .. })));
    let filters = Filters { payment_status: Some("free".to_owned()), ..Filters::default() };
    assert!(matches!(search::orders(&filters), Err(ProviderError::Rejected { .. })));
}

/// Every order that has a unified status is found by the search for it: the terms are tried against all combinations that
/// Shopify can answer, also those without a financial status.
#[test]
fn the_search_for_a_status_finds_every_order_that_has_it() {
    let payments = [
        None,
        Some("AUTHORIZED"),
        Some("EXPIRED"),
        Some("PAID"),
        Some("PARTIALLY_PAID"),
        Some("PARTIALLY_REFUNDED"),
        Some("PENDING"),
        Some("REFUNDED"),
        Some("VOIDED"),
        Some("NEW_WORD"),
    ];
    for payment in payments {
        for fulfillment in ["FULFILLED", "ON_HOLD", "UNFULFILLED", "PARTIALLY_FULFILLED", "FULFILLMENT_NOT_REQUIRED"] {
            for state in ["open", "closed", "cancelled"] {
                let order = serde_json::json!({
                    "id": "gid://shopify/Order/1", "legacyResourceId": "1",
                    "displayFinancialStatus": payment, "displayFulfillmentStatus": fulfillment,
                    "cancelledAt": (state == "cancelled").then_some("2026-11-18T10:00:00Z"),
                });
                let status = crate::shopify::convert::order(serde_json::from_value(order).unwrap(), false).status;
                let filters = Filters { status: Some(status.as_str().to_owned()), ..Filters::default() };
                let terms = query(search::orders(&filters).unwrap());
                let found = matches(&terms, &|field, value| match field {
                    "status" => state == value,
                    "financial_status" => payment.is_some_and(|payment| payment.eq_ignore_ascii_case(value)),
                    "fulfillment_status" => fulfillment.eq_ignore_ascii_case(value),
                    other => panic!("{other}"),
                });
                assert!(found, "{payment:?} {fulfillment} {state} is {status:?}: {terms}");
            }
        }
    }
    for status in OrderStatus::ALL {
        let filters = Filters { status: Some(status.as_str().to_owned()), ..Filters::default() };
        assert!(matches!(search::orders(&filters).unwrap(), Search::Terms { is_exact: false, .. }));
    }
}

/// Enough of the search syntax: terms, `-`, and groups of alternatives.
fn matches(terms: &str, is: &dyn Fn(&str, &str) -> bool) -> bool {
    let mut rest = terms;
    while !rest.is_empty() {
        let (term, after) = match rest.strip_prefix('(') {
            Some(group) => group.split_once(')').unwrap(),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        let one = |term: &str| {
            let (negated, term) = term.strip_prefix('-').map_or((false, term), |term| (true, term));
            let (field, value) = term.split_once(':').unwrap();
            is(field, value) != negated
        };
        if !term.split(" OR ").any(one) {
            return false;
        }
        rest = after.trim_start();
    }
    true
}

/// What Shopify reads: quoted strings, and what stands outside of them. Read both ways in which a backslash can be meant.
fn outside(query: &str, backslash_escapes: bool) -> String {
    let (mut out, mut quoted, mut chars) = (String::new(), false, query.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' if backslash_escapes => {
                chars.next();
            }
            '"' => quoted = !quoted,
            c if !quoted => out.push(c),
            _ => {}
        }
    }
    assert!(!quoted, "a quotation is left open in {query}");
    out
}

proptest! {
    #[test]
    fn a_value_never_leaves_its_quotation_marks(value in any::<String>(), escapes in any::<bool>()) {
        let filters = Filters { email: personal(&value), sku: Some(value.clone()), ..Filters::default() };
        prop_assert_eq!(outside(&query(search::customers(&filters)), escapes), "email:");
        let products = query(search::products(&filters).unwrap());
        prop_assert_eq!(outside(&products, escapes), "status:active,draft,archived,unlisted sku:");
    }

    #[test]
    fn words_never_leave_their_quotation_marks(value in "[\\PC\"\\\\() :]*", escapes in any::<bool>()) {
        let filters = Filters { search: personal(&value), ..Filters::default() };
        let outside = outside(&query(search::customers(&filters)), escapes);
        prop_assert!(outside.chars().all(|c| c == ' '), "{:?}", outside);
    }

    #[test]
    fn a_value_without_marks_is_asked_for_as_it_is(value in "[a-zA-Z0-9@.+_:()*'-]{1,40}") {
        prop_assert_eq!(quoted(&value), format!("\"{value}\""));
    }
}
