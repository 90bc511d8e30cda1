//! What goes wrong on purpose.

use crate::lab::{Lab, Signing, admin};
use http::Method;
use sandbox::faults::{Fault, Rule};
use std::time::{Duration, Instant};

const HOST: &str = "kavebolt.example";

#[tokio::test]
async fn a_rule_strikes_the_requests_it_names_and_as_often_as_it_says() {
    let lab = Lab::start().await;
    let faults = lab.shop(HOST).faults();
    faults.inject(Rule::from(Fault::php_fatal()).on("/orders").after(1).times(2));
    let mut statuses = vec![];
    for path in ["orders", "orders", "products", "orders", "orders"] {
        statuses.push(lab.wc(path).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 500, 200, 500, 200]);
    faults.inject(Fault::php_fatal());
    assert_eq!(lab.wc("products").await.error(), (500, "internal_server_error".into()));
    faults.clear();
    assert_eq!(lab.wc("products").await.status, 200);
    let elsewhere = lab.shop("tea.example");
    faults.inject(Fault::php_fatal());
    assert_eq!(
        lab.get(&admin(elsewhere), "https://tea.example/wp-json/wc/v3/orders").await.status,
        200,
        "other shops are well"
    );
}

#[tokio::test]
async fn answers_of_hosts_and_firewalls_take_the_place_of_the_shops() {
    let lab = Lab::start().await;
    let faults = lab.shop(HOST).faults();
    faults.inject(Rule::from(Fault::too_many_requests(Some(Duration::from_secs(7)))).times(1));
    faults.inject(Rule::from(Fault::too_many_requests(None)).times(1));
    faults.inject(Rule::from(Fault::html(http::StatusCode::FORBIDDEN, "Blocked")).times(1));
    let first = lab.wc("orders").await;
    assert_eq!((first.status.as_u16(), first.header("retry-after")), (429, "7"));
    let second = lab.wc("orders").await;
    assert_eq!((second.status.as_u16(), second.header("retry-after")), (429, ""));
    let third = lab.wc("orders").await;
    assert_eq!((third.status.as_u16(), third.header("content-type")), (403, "text/html; charset=UTF-8"));
    assert!(third.body.contains("Blocked"));
    assert_eq!(lab.shop(HOST).calls().count_of("orders"), 3, "they count as calls to the shop");
}

#[tokio::test]
async fn connections_break_before_after_and_within_the_answer() {
    let lab = Lab::start().await;
    let key = admin(lab.shop("csapagy.example"));
    let timestamp = lab.sandbox.clock().now().timestamp();
    for (scheme, host) in [("https", HOST), ("http", "csapagy.example")] {
        let shop = lab.shop(host);
        for (number, fault) in
            [Fault::CutBeforeHeaders, Fault::CutAfterHeaders, Fault::CutHalfway].into_iter().enumerate()
        {
            shop.faults().clear();
            shop.faults().inject(fault.clone());
            let url = format!("{scheme}://{host}/wp-json/wc/v3/orders");
            let nonce = format!("n{number}");
            let request = match scheme {
                "https" => {
                    let key = admin(shop);
                    lab.request(Method::GET, &url).basic_auth(key.consumer_key, Some(key.consumer_secret))
                }
                _ => {
                    let query = Signing { key: &key, signed_url: &url, timestamp, nonce: &nonce }.query(&[]);
                    lab.request(Method::GET, &format!("{url}?{query}"))
                }
            };
            match (fault, request.send().await) {
                (Fault::CutBeforeHeaders, outcome) => assert!(outcome.is_err(), "{scheme}: no answer at all"),
                (fault, Ok(mut response)) => {
                    assert_eq!(response.status(), 200);
                    let mut received = 0;
                    let end = loop {
                        match response.chunk().await {
                            Ok(Some(chunk)) => received += chunk.len(),
                            Ok(None) => break Ok(()),
                            Err(error) => break Err(error),
                        }
                    };
                    assert!(end.is_err(), "{scheme}: the body must not look whole");
                    assert_eq!(received > 0, matches!(fault, Fault::CutHalfway), "{scheme}: {received}");
                }
                (fault, Err(error)) => panic!("{scheme} {fault:?}: {error:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_hanging_shop_never_answers_and_a_slow_one_does() {
    let lab = Lab::start().await;
    let shop = lab.shop(HOST);
    shop.faults().inject(Rule::from(Fault::Delay(Duration::from_millis(120))).times(1));
    let started = Instant::now();
    assert_eq!(lab.wc("orders").await.status, 200);
    assert!(started.elapsed() >= Duration::from_millis(120));
    shop.faults().inject(Fault::Hang);
    assert!(tokio::time::timeout(Duration::from_millis(200), lab.wc("orders")).await.is_err());
    // And the sandbox still stops at once.
    tokio::time::timeout(Duration::from_secs(2), lab.sandbox.shutdown()).await.expect("stopped");
}

#[tokio::test]
async fn badly_kept_shops_print_before_the_json() {
    let lab = Lab::start().await;
    let faults = lab.shop(HOST).faults();
    faults.inject(Rule::from(Fault::php_notice()).times(1));
    faults.inject(Rule::from(Fault::byte_order_mark()).after(1).times(1));
    let notice = lab.wc("orders?per_page=1").await;
    assert_eq!(notice.status, 200);
    assert!(notice.body.starts_with("<br />\n<b>Notice</b>") && notice.body.ends_with("}]"), "{}", notice.body);
    assert!(lab.wc("orders?per_page=1").await.body.starts_with("\u{feff}[{"));
}

#[tokio::test]
async fn a_stripped_authorization_header_leaves_query_keys_to_try() {
    let lab = Lab::start().await;
    lab.shop(HOST).faults().inject(Fault::StripAuthorization);
    assert_eq!(lab.wc("orders").await.error(), (401, "woocommerce_rest_cannot_view".into()));
    let key = admin(lab.shop(HOST));
    let keys = format!("consumer_key={}&consumer_secret={}", key.consumer_key, key.consumer_secret);
    assert_eq!(lab.anonymous(&format!("https://{HOST}/wp-json/wc/v3/orders?{keys}")).await.status, 200);
}

#[tokio::test]
async fn a_wrong_clock_shows_in_the_date_header_and_refuses_our_timestamps() {
    let lab = Lab::start().await;
    lab.shop("csapagy.example").faults().inject(Fault::WrongClock(chrono::TimeDelta::hours(-2)));
    let key = admin(lab.shop("csapagy.example"));
    let url = "http://csapagy.example/wp-json/wc/v3/orders";
    let now = lab.sandbox.clock().now();
    let query = Signing { key: &key, signed_url: url, timestamp: now.timestamp(), nonce: "a" }.query(&[]);
    let reply = lab.anonymous(&format!("{url}?{query}")).await;
    assert_eq!(reply.json()["message"], "Invalid timestamp.");
    let date = chrono::DateTime::parse_from_rfc2822(reply.header("date")).unwrap().to_utc();
    assert!((now - date - chrono::TimeDelta::hours(2)).abs() < chrono::TimeDelta::seconds(5), "{date}");
    let query = Signing { key: &key, signed_url: url, timestamp: date.timestamp(), nonce: "b" }.query(&[]);
    assert_eq!(lab.anonymous(&format!("{url}?{query}")).await.status, 200, "with the shop's own time it works");
}

#[tokio::test]
async fn a_giant_field_makes_the_answer_big_and_still_json() {
    let lab = Lab::start().await;
    lab.shop(HOST).faults().inject(Fault::GiantField(300_000));
    let reply = lab.wc("orders?per_page=2").await;
    assert!(reply.body.len() > 300_000);
    assert_eq!(reply.list().len(), 2);
}
