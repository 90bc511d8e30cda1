use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use connector::{ProviderError, http::Response};
use http::{HeaderMap, HeaderName, StatusCode};

use crate::woocommerce::api::refusal;

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> ProviderError {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    let response = Response {
        status: StatusCode::from_u16(status).unwrap(),
        headers: map,
        body: Bytes::from(body.to_owned()),
        url: "https://shop.example/wp-json/wc/v3/orders".parse().unwrap(),
        took: Duration::ZERO,
    };
    match refusal::read(&response, DateTime::UNIX_EPOCH) {
        Ok(Ok(_)) => panic!("this is an answer"),
        Ok(Err(refusal)) => refusal.into_error(),
        Err(error) => error,
    }
}

const PAGE: &str = "<!DOCTYPE html><title>Just a moment…</title>";

#[test]
fn a_host_that_limits_says_how_long() {
    let waits = |status, headers: &[(&str, &str)]| match answer(status, headers, PAGE) {
        ProviderError::RateLimited { retry_after } => retry_after.as_secs(),
        other => panic!("{other}"),
    };
    assert_eq!(waits(429, &[("retry-after", "17")]), 17);
    assert_eq!(waits(503, &[("retry-after", "600")]), 600);
    assert_eq!(waits(429, &[("retry-after", "Thu, 01 Jan 1970 00:01:00 GMT")]), 60);
    assert_eq!(waits(429, &[("retry-after", "0")]), 1, "never at once");
    assert_eq!(waits(429, &[]), 30);
    assert_eq!(waits(508, &[]), 30);
}

#[test]
fn pages_in_the_place_of_answers_are_told_apart_by_status() {
    for (status, kind) in [
        (403, "unavailable"),
        (406, "unavailable"),
        (501, "unavailable"),
        (500, "unavailable"),
        (502, "unavailable"),
        (503, "unavailable"),
        (521, "unavailable"),
        (401, "unauthorized"),
        (404, "suspended"),
        (301, "suspended"),
        (418, "rejected"),
        (200, "malformed"),
    ] {
        assert_eq!(answer(status, &[("content-type", "text/html")], PAGE).kind(), kind, "{status}");
    }
}

#[test]
fn an_answer_must_be_clean_json() {
    for body in ["", "<br />\n<b>Notice</b>: Undefined index in /var/www/x.php\n[]", "[1", "true"] {
        assert_eq!(answer(200, &[("content-type", "text/html")], body).kind(), "malformed", "{body}");
    }
}

#[test]
fn a_byte_order_mark_is_forgiven() {
    let code = r#"{"code":"rest_no_route","message":"","data":{"status":404}}"#;
    assert_eq!(answer(404, &[], &format!("\u{feff}{code}")).kind(), "suspended");
}

#[test]
fn refused_parameters_are_named_and_nothing_else_is_repeated() {
    let body = r#"{"code":"rest_invalid_param","message":"Invalid parameter(s): email (anna@shop.example)",
        "data":{"status":400,"params":{"email":"anna@shop.example is not an email","<b>x y":"no"}}}"#;
    let error = answer(400, &[("content-type", "application/json")], body).to_string();
    assert!(error.contains("rest_invalid_param: bxy, email"), "{error}");
    assert!(!error.contains("anna"), "{error}");
}

#[test]
fn a_role_that_was_taken_away_is_forbidden() {
    let body = r#"{"code":"woocommerce_rest_cannot_view","message":"Sorry","data":{"status":403}}"#;
    assert_eq!(answer(403, &[("content-type", "application/json")], body).kind(), "forbidden");
}

#[test]
fn a_refusal_that_is_said_to_be_json_and_is_not_is_malformed() {
    let json = [("content-type", "application/json; charset=UTF-8")];
    let noticed = r#"<br />Notice: x<br />{"code":"woocommerce_rest_shop_order_invalid_id"}"#;
    assert_eq!(answer(404, &json, noticed).kind(), "malformed", "not a missing shop");
    assert_eq!(answer(429, &json, "slow down").kind(), "rate_limited");
    assert_eq!(answer(500, &json, noticed).kind(), "unavailable");
}
