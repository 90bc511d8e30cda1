use chrono::{DateTime, Utc};
use connector::{Fields, Filters, Position, ProviderError, Query, Read, Selection};
use kernel::Personal;

use super::{connection, customer_params, order_params, product_params};
use crate::woocommerce::{Connection, Woocommerce, api};

fn query(filters: Filters) -> Query {
    Query { filters, selection: Selection::standard(), limit: 25, position: Position::Page(1) }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// As `name=value` without `_fields`, which tests of their own look at.
fn plain(params: Option<Vec<(&'static str, String)>>) -> Vec<String> {
    let params = params.expect("the shop is asked");
    params.into_iter().filter(|(name, _)| *name != "_fields").map(|(name, value)| format!("{name}={value}")).collect()
}

#[test]
fn orders_are_filtered_with_the_shops_own_parameters() {
    let filters = Filters {
        ids: vec!["5".to_owned(), "nobody".to_owned(), "7".to_owned()],
        search: Some(Personal::new("mug & saucer".to_owned())),
        status: Some("on_hold".to_owned()),
        customer_id: Some("31".to_owned()),
        created_after: Some(at("2026-01-02T03:04:05.900Z")),
        created_before: Some(at("2026-02-02T03:04:05Z")),
        updated_after: Some(at("2026-03-02T00:00:00Z")),
        updated_before: Some(at("2026-04-02T23:59:59.999Z")),
        ..Filters::default()
    };
    assert_eq!(
        plain(order_params(&query(filters)).unwrap()),
        [
            "page=1",
            "per_page=25",
            "orderby=date",
            "order=desc",
            "include=5,7",
            "search=mug & saucer",
            "dates_are_gmt=true",
            "after=2026-01-02T03:04:04Z",
            "before=2026-02-02T03:04:06Z",
            "modified_after=2026-03-01T23:59:59Z",
            "modified_before=2026-04-03T00:00:00Z",
            "status=on-hold",
            "customer=31",
        ]
    );
}

#[test]
fn who_is_looked_up_is_found_whatever_their_role_and_who_browses_sees_no_staff() {
    let email = Filters { email: Some(Personal::new("a@shop.example".to_owned())), ..Filters::default() };
    let ids = Filters { ids: vec!["5".to_owned()], ..Filters::default() };
    for filters in [email, ids] {
        assert!(plain(customer_params(&query(filters)).unwrap()).contains(&"role=all".to_owned()));
    }
    let browse = plain(customer_params(&query(Filters::default())).unwrap());
    assert_eq!(browse, ["page=1", "per_page=25", "orderby=registered_date", "order=desc"]);
}

#[test]
fn products_are_filtered_by_sku_and_status() {
    let filters = Filters { sku: Some("MUG".to_owned()), status: Some("active".to_owned()), ..Filters::default() };
    let params = plain(product_params(&query(filters)).unwrap());
    assert!(params.contains(&"sku=MUG".to_owned()) && params.contains(&"status=publish".to_owned()), "{params:?}");
}

#[test]
fn what_filters_are_checked_with_is_asked_for_too() {
    let slim = Selection { persons: true, fields: Fields::Named(["total".to_owned()].into()) };
    let filters = Filters { updated_after: Some(at("2026-01-01T00:00:00Z")), ..Filters::default() };
    let params = order_params(&Query { selection: slim, ..query(filters) }).unwrap().unwrap();
    let fields = &params.iter().find(|(name, _)| *name == "_fields").unwrap().1;
    assert_eq!(fields, "id,total,date_modified,date_modified_gmt");
}

/// Without the parameter WooCommerce would return everybody.
#[test]
fn ids_that_can_be_nobodys_do_not_reach_the_shop() {
    for id in ["", "0", "-1", "+5", "gid://5", "1e3", "99999999999999999999", "١٢", " 5"] {
        let filters = Filters { ids: vec![id.to_owned()], ..Filters::default() };
        assert!(customer_params(&query(filters)).unwrap().is_none(), "{id}");
        let filters = Filters { customer_id: Some(id.to_owned()), ..Filters::default() };
        assert!(order_params(&query(filters)).unwrap().is_none(), "{id}");
    }
}

#[test]
fn a_filter_that_the_shop_would_ignore_is_refused() {
    let personal = || Some(Personal::new("x".to_owned()));
    let time = Some(at("2026-01-01T00:00:00Z"));
    let word = || Some("x".to_owned());
    let is_rejected = |outcome: Result<_, ProviderError>, what: &str| {
        assert!(matches!(outcome, Err(ProviderError::FilterUnsupported { .. })), "{what}");
    };
    for filters in [
        Filters { phone: personal(), ..Filters::default() },
        Filters { updated_after: time, ..Filters::default() },
        Filters { created_after: time, ..Filters::default() },
    ] {
        is_rejected(customer_params(&query(filters)), "customers");
    }
    for filters in [
        Filters { email: personal(), ..Filters::default() },
        Filters { number: word(), ..Filters::default() },
        Filters { payment_status: Some("paid".to_owned()), ..Filters::default() },
        Filters { status: Some("shipped".to_owned()), ..Filters::default() },
    ] {
        is_rejected(order_params(&query(filters)), "orders");
    }
    for filters in [
        Filters { sku: Some("A,B".to_owned()), ..Filters::default() },
        Filters { status: Some("draft".to_owned()), ..Filters::default() },
        Filters { customer_id: Some("1".to_owned()), ..Filters::default() },
    ] {
        is_rejected(product_params(&query(filters)), "products");
    }
}

#[test]
fn every_filter_that_is_promised_is_applied() {
    let all = || Filters {
        ids: vec!["5".to_owned()],
        email: Some(Personal::new("a@shop.example".to_owned())),
        phone: Some(Personal::new("1".to_owned())),
        search: Some(Personal::new("x".to_owned())),
        status: Some("completed".to_owned()),
        payment_status: Some("paid".to_owned()),
        customer_id: Some("5".to_owned()),
        number: Some("5".to_owned()),
        sku: Some("x".to_owned()),
        created_after: Some(at("2026-01-01T00:00:00Z")),
        created_before: Some(at("2026-01-01T00:00:00Z")),
        updated_after: Some(at("2026-01-01T00:00:00Z")),
        updated_before: Some(at("2026-01-01T00:00:00Z")),
    };
    let only = |keep: &[connector::Filter], status: &str| {
        let keeps = |filter| keep.contains(&filter);
        use connector::Filter as F;
        let all = all();
        Filters {
            ids: if keeps(F::Ids) { all.ids } else { vec![] },
            email: all.email.filter(|_| keeps(F::Email)),
            phone: all.phone.filter(|_| keeps(F::Phone)),
            search: all.search.filter(|_| keeps(F::Search)),
            status: all.status.filter(|_| keeps(F::Status)).map(|_| status.to_owned()),
            payment_status: all.payment_status.filter(|_| keeps(F::PaymentStatus)),
            customer_id: all.customer_id.filter(|_| keeps(F::CustomerId)),
            number: all.number.filter(|_| keeps(F::Number)),
            sku: all.sku.filter(|_| keeps(F::Sku)),
            created_after: all.created_after.filter(|_| keeps(F::CreatedAfter)),
            created_before: all.created_before.filter(|_| keeps(F::CreatedBefore)),
            updated_after: all.updated_after.filter(|_| keeps(F::UpdatedAfter)),
            updated_before: all.updated_before.filter(|_| keeps(F::UpdatedBefore)),
        }
    };
    let base = plain(order_params(&query(Filters::default())).unwrap()).len();
    let customers = Read::<connector::Customer>::filters(&Woocommerce);
    let orders = Read::<connector::Order>::filters(&Woocommerce);
    let products = Read::<connector::Product>::filters(&Woocommerce);
    // Each filter adds a parameter; a lookup also widens the role, dates also say that they are UTC.
    let asked = plain(customer_params(&query(only(customers, ""))).unwrap());
    assert_eq!(asked.len(), base + customers.len() + 1, "{asked:?}");
    let asked = plain(order_params(&query(only(orders, "completed"))).unwrap());
    assert_eq!(asked.len(), base + orders.len() + 1, "{asked:?}");
    let asked = plain(product_params(&query(only(products, "active"))).unwrap());
    assert_eq!(asked.len(), base + products.len() + 1, "{asked:?}");
}

#[test]
fn pages_are_numbers_from_one() {
    for (position, page) in [(Position::Page(3), "page=3"), (Position::After("4".to_owned()), "page=4")] {
        let params = order_params(&Query { position, ..query(Filters::default()) }).unwrap();
        assert_eq!(plain(params)[0], page);
    }
    for position in [Position::Page(0), Position::After("0".to_owned()), Position::After("abc".to_owned())] {
        assert!(order_params(&Query { position, ..query(Filters::default()) }).is_err());
    }
}

#[test]
fn a_shop_before_5_8_is_asked_for_a_day_more_and_not_for_changes() {
    let old = Connection { version: Some("4.9.2".to_owned()), ..connection() };
    let created = Filters { created_after: Some(at("2026-01-02T00:00:00Z")), ..Filters::default() };
    let params = plain(api::order_params(&query(created), &old).unwrap());
    assert!(params.contains(&"after=2026-01-01T09:59:59Z".to_owned()), "{params:?}");
    let changed = || query(Filters { updated_after: Some(at("2026-01-02T00:00:00Z")), ..Filters::default() });
    assert!(matches!(api::order_params(&changed(), &old), Err(ProviderError::FilterUnsupported { .. })));
    for version in [None, Some("5.8.0"), Some("10.0.0-rc.1"), Some("unknown")] {
        let modern = Connection { version: version.map(str::to_owned), ..connection() };
        assert!(api::order_params(&changed(), &modern).is_ok(), "{version:?}");
    }
}
