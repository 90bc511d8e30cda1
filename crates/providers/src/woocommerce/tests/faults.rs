//! What goes wrong during live reads, and what must never happen on the way.

use std::time::Duration;

use connector::{Customer, Filters, Product, Read, Selection};
use http::StatusCode;
use sandbox::{faults::Fault, woocommerce::Permissions, world::Role};

use super::shop::{Net, SHOPS, key, listed, order, orders, query};
use crate::woocommerce::Woocommerce;

#[tokio::test]
async fn ids_that_are_nobodys_are_none() {
    let net = Net::start().await;
    for (address, host) in SHOPS {
        let shop = net.connected(address, host).await;
        let call = shop.call();
        let selection = Selection::standard();
        for id in ["999999999", "0", "abc", "1/../2", ""] {
            assert!(order(&shop, id).await.unwrap().item.is_none(), "{host}, order {id:?}");
            let customer = Read::<Customer>::one(&Woocommerce, &call, id, &selection).await.unwrap();
            assert!(customer.item.is_none(), "{host}, customer {id:?}");
            let product = Read::<Product>::one(&Woocommerce, &call, id, &selection).await.unwrap();
            assert!(product.item.is_none(), "{host}, product {id:?}");
        }
    }
}

#[tokio::test]
async fn no_two_live_reads_have_the_same_address_and_fields_are_slim() {
    let net = Net::start().await;
    for (address, host) in SHOPS {
        let shop = net.connected(address, host).await;
        for _ in 0..2 {
            orders(&shop, &query(1, 10, Filters::default())).await.unwrap();
        }
        let queries = shop.shop().calls().queries("orders");
        let [first, second] = queries.as_slice() else { panic!("{host}: {queries:?}") };
        assert_ne!(first, second, "{host}");
        assert!(first.contains("_fields=") && !first.contains("meta_data"), "{host}: {first}");
        let secret = "consumer_secret";
        assert!(!first.contains(secret), "{host}");
    }
}

#[tokio::test]
async fn each_fault_has_its_error() {
    let net = Net::start().await;
    let shop = net.connected("kavebolt.example", "kavebolt.example").await;
    let known = listed(&shop, |_| true).pop_first().unwrap();
    let refusal = |status, code: &str| {
        let body = format!(r#"{{"code":"{code}","message":"","data":{{"status":{status}}}}}"#);
        Fault::answer(StatusCode::from_u16(status).unwrap(), "application/json", body)
    };
    for (fault, kind) in [
        (Fault::too_many_requests(Some(Duration::from_secs(9))), "rate_limited"),
        (Fault::too_many_requests(None), "rate_limited"),
        (Fault::php_fatal(), "unavailable"),
        (Fault::html(StatusCode::INTERNAL_SERVER_ERROR, "Error"), "unavailable"),
        (Fault::html(StatusCode::BAD_GATEWAY, "Bad gateway"), "unavailable"),
        (Fault::html(StatusCode::SERVICE_UNAVAILABLE, "Busy"), "unavailable"),
        (Fault::html(StatusCode::FORBIDDEN, "Wordfence"), "unavailable"),
        (Fault::CutBeforeHeaders, "unavailable"),
        (Fault::CutAfterHeaders, "unavailable"),
        (Fault::CutHalfway, "unavailable"),
        (Fault::php_notice(), "malformed"),
        (Fault::html(StatusCode::OK, "Just a moment…"), "malformed"),
        (Fault::answer(StatusCode::OK, "application/json", ""), "malformed"),
        (Fault::answer(StatusCode::OK, "application/json", "{}"), "malformed"),
        (Fault::answer(StatusCode::OK, "application/json", "[5]"), "malformed"),
        (Fault::StripAuthorization, "unauthorized"),
        (refusal(401, "woocommerce_rest_cannot_view"), "unauthorized"),
        (refusal(401, "woocommerce_rest_authentication_error"), "unauthorized"),
        (refusal(403, "woocommerce_rest_cannot_view"), "forbidden"),
        (refusal(404, "rest_no_route"), "suspended"),
        (Fault::html(StatusCode::NOT_FOUND, "Not found"), "suspended"),
        (Fault::html(StatusCode::MOVED_PERMANENTLY, "Moved"), "suspended"),
        (refusal(400, "rest_invalid_param"), "rejected"),
    ] {
        let faults = shop.shop().faults();
        faults.clear();
        faults.inject(fault.clone());
        let list = orders(&shop, &query(1, 10, Filters::default())).await.err();
        assert_eq!(list.map(|error| error.kind()), Some(kind), "list, {fault:?}");
        let one = order(&shop, &known).await.err();
        assert_eq!(one.map(|error| error.kind()), Some(kind), "one, {fault:?}");
    }
}

#[tokio::test]
async fn harmless_faults_are_borne() {
    let net = Net::start().await;
    let shop = net.connected("kavebolt.example", "kavebolt.example").await;
    for fault in [Fault::byte_order_mark(), Fault::GiantField(100_000)] {
        shop.shop().faults().clear();
        shop.shop().faults().inject(fault.clone());
        assert_eq!(orders(&shop, &query(1, 10, Filters::default())).await.unwrap().items.len(), 10, "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_beyond_all_measure_is_not_read() {
    let net = Net::start().await;
    let shop = net.connected("kavebolt.example", "kavebolt.example").await;
    shop.shop().faults().inject(Fault::GiantField(17 << 20));
    assert!(orders(&shop, &query(1, 10, Filters::default())).await.is_err());
}

#[tokio::test]
async fn a_key_that_was_revoked_is_unauthorized() {
    let net = Net::start().await;
    for (address, host) in SHOPS {
        let shop = net.connected(address, host).await;
        let key = key(shop.shop(), Permissions::Read, Role::Administrator);
        shop.shop().revoke_key(&key.consumer_key);
        let error = orders(&shop, &query(1, 10, Filters::default())).await.err().unwrap();
        assert_eq!(error.kind(), "unauthorized", "{host}");
    }
}

#[tokio::test]
async fn a_clock_that_goes_wrong_later_is_followed() {
    let net = Net::start().await;
    let shop = net.connected("http://csapagy.example", "csapagy.example").await;
    shop.shop().faults().inject(Fault::WrongClock(chrono::Duration::hours(2)));
    assert_eq!(orders(&shop, &query(1, 10, Filters::default())).await.unwrap().items.len(), 10);
    assert_eq!(shop.shop().calls().count_of("orders"), 2, "asked once more, in the shop's time");
}

#[tokio::test]
async fn keys_are_never_shown_without_encryption() {
    let net = Net::start().await;
    let mut shop = net.connected("http://csapagy.example", "csapagy.example").await;
    for way in ["basic", "query_keys"] {
        shop.account.config["auth"] = way.into();
        let error = orders(&shop, &query(1, 10, Filters::default())).await.err().unwrap();
        assert_eq!(error.kind(), "rejected", "{way}");
    }
    assert_eq!(shop.shop().calls().count(), 0);
}
