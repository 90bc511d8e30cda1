use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use chrono::{TimeZone, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use kernel::Secret;
use serde::Deserialize;
use tracing_subscriber::fmt::format::FmtSpan;

use super::super::{Hosts, Http, HttpOptions, Request, Response};
use super::{Server, client, client_of, ok, route, shop, url};
use crate::ProviderError;

fn response(content_type: &str, body: impl Into<Bytes>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    Response { status: StatusCode::OK, headers, body: body.into(), url: shop(), took: Duration::ZERO }
}

fn asking_to_wait(value: &str) -> Response {
    let mut response = response("text/plain", "");
    response.headers.insert("retry-after", HeaderValue::from_str(value).unwrap());
    response
}

#[derive(Debug, Deserialize, PartialEq)]
struct Page {
    orders: Vec<Order>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Order {
    id: u64,
}

#[test]
fn json_is_read() {
    let page = Page { orders: vec![Order { id: 7 }] };
    assert_eq!(response("application/json", r#"{"orders":[{"id":7}]}"#).json::<Page>().unwrap(), page);
    assert_eq!(response("text/html", "\u{feff}{\"orders\":[{\"id\":7}]} \n").json::<Page>().unwrap(), page);
}

#[test]
fn json_that_does_not_fit_names_the_place_and_not_the_value() {
    let path = |body: &'static str| match response("application/json", body).json::<Page>().unwrap_err() {
        ProviderError::Malformed { path } => path,
        other => panic!("{other:?}"),
    };
    assert_eq!(path(r#"{"orders":[{"id":1},{"id":"jon@example.com"}]}"#), "orders[1].id");
    assert_eq!(path(r#"{"orders":[{"id":1},{}]}"#), "orders[1]");
    assert_eq!(path(r#"{"orders":"jon@example.com"}"#), "orders");
    assert_eq!(path(r#"{"orders":[]} <b>Warning</b>"#), "the end of the body");
    assert_eq!(path("<html>"), ".");
    assert_eq!(path(""), ".");
}

#[test]
fn a_path_through_the_shops_own_keys_is_cut() {
    type Map = std::collections::BTreeMap<String, u8>;
    let body = format!(r#"{{"{}\n":"x"}}"#, "k".repeat(5000));
    let error = response("application/json", body).json::<Map>().unwrap_err();
    assert!(matches!(&error, ProviderError::Malformed { path } if path.len() == 120), "{error:?}");
}

#[test]
fn json_nested_without_end_is_malformed_and_no_overflow() {
    let error = response("application/json", "[".repeat(1 << 20)).json::<serde_json::Value>().unwrap_err();
    assert!(matches!(error, ProviderError::Malformed { .. }));
}

#[test]
fn pages_are_told_from_json_by_what_they_contain() {
    for (content_type, body) in [
        ("application/json", "{}"),
        ("application/json; charset=UTF-8", " \r\n[1]"),
        ("application/problem+json", "\"text\""),
        ("application/json", "null"),
        // A shop with a broken plugin labels everything so.
        ("text/html; charset=UTF-8", "\u{feff}{\"id\":1}"),
    ] {
        assert!(response(content_type, body).expect_json_content().is_ok(), "{content_type} {body}");
    }
    for (content_type, body, place) in [
        ("text/html", "<!DOCTYPE html><title>Checking your browser</title>", "body, which is a web page and not JSON"),
        ("application/json", "\n<br />\n<b>Warning</b>: x in y.php", "body, which is a web page and not JSON"),
        ("text/plain", "Error establishing a database connection", "body, which is not JSON"),
        ("application/json", "  ", "body, which is empty"),
    ] {
        let error = response(content_type, body).expect_json_content().unwrap_err();
        assert!(matches!(&error, ProviderError::Malformed { path } if path == place), "{error:?}");
    }
}

#[test]
fn the_wait_that_a_server_asks_for_is_read_in_all_its_forms() {
    let now = Utc.with_ymd_and_hms(1994, 11, 6, 8, 49, 0).unwrap();
    for (value, seconds) in [
        ("120", Some(120.0)),
        ("2.0", Some(2.0)),
        (" 0.5 ", Some(0.5)),
        ("0", Some(0.0)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37.0)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37.0)),
        ("Sun Nov  6 08:49:37 1994", Some(37.0)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0.0)),
        ("Sat, 06 Nov 2094 08:00:00 GMT", Some(86_400.0)),
        ("99999999999999999999999999", Some(86_400.0)),
        ("1e400", Some(86_400.0)),
        ("-1", None),
        ("NaN", None),
        ("", None),
        ("soon", None),
    ] {
        let wait = asking_to_wait(value).retry_after(now);
        assert_eq!(wait, seconds.map(Duration::from_secs_f64), "{value}");
    }
    assert_eq!(response("text/plain", "").retry_after(now), None);
}

#[test]
fn what_is_shown_of_messages_is_neither_secret_nor_personal() {
    let tell = Secret::new("tell");
    let request = Request::post_json(url("http://shop.example/tell?tell=tell"), "tell")
        .bearer(&tell)
        .unwrap()
        .secret_header(HeaderName::from_static("x-token"), &tell)
        .unwrap();
    assert!(request.headers.iter().filter(|(_, value)| value.is_sensitive()).count() == 2);
    assert!(request.clone().basic(&tell, &tell).headers["authorization"].is_sensitive());
    let mut response = response("text/plain", "tell");
    response.url = request.url.clone();
    let shown = format!("{request:?} {response:?}");
    assert!(!shown.contains("tell") && shown.contains("shop.example"), "{shown}");
}

#[test]
fn a_credential_that_no_header_can_carry_is_refused() {
    let request = || Request::get(shop());
    for pasted in ["token\n", "token\r\nX-Other: 1", "to\u{0}ken"] {
        let error = request().bearer(&Secret::new(pasted)).unwrap_err();
        assert!(matches!(error, ProviderError::Unauthorized { .. }));
    }
    // RFC 7617, section 2.
    let basic = request().basic(&Secret::new("Aladdin"), &Secret::new("open sesame"));
    assert_eq!(basic.headers["authorization"], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

#[tokio::test]
async fn we_say_who_we_are_and_send_no_more_than_we_are_told() {
    let server = Server::saying(ok("Set-Cookie: a=b\r\n", "{}")).await;
    let hosts = Hosts::sandbox(None, vec![route("shop.example", server.address, server.address)], vec![]).unwrap();
    let product_url = Some(url("https://hub.example/about"));
    let http =
        Http::new(hosts, HttpOptions { product: "Hub/1".to_owned(), product_url, ..HttpOptions::default() }).unwrap();
    for _ in 0..2 {
        http.send(Request::get(url("http://shop.example/a?b=c#fragment"))).await.unwrap();
    }
    let mut lines: Vec<_> = server.heads()[1].trim_end().split("\r\n").map(str::to_owned).collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "accept-encoding: gzip",
            "accept: */*",
            "get /a?b=c http/1.1",
            "host: shop.example",
            "user-agent: hub/1 (+https://hub.example/about)",
        ]
    );
}

#[tokio::test]
async fn a_body_is_sent_with_its_length_and_kind() {
    let server = Server::saying(ok("", "{}")).await;
    client(&server).send(Request::post_json(shop(), r#"{"a":1}"#)).await.unwrap();
    let head = &server.heads()[0];
    for line in ["post / http/1.1", "content-length: 7", "content-type: application/json", "accept: application/json"] {
        assert!(head.contains(line), "{head}");
    }
}

#[tokio::test]
async fn a_status_that_is_no_success_is_an_answer() {
    for status in [400, 401, 404, 429, 500, 503] {
        let server =
            Server::saying(format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}")).await;
        assert_eq!(client(&server).send(Request::get(shop())).await.unwrap().status, status);
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The subscriber is the whole process's, since one of a thread's own misses what another thread has met first. So the
/// other tests are held to the same: none of them may log what it tells servers.
#[tokio::test]
async fn the_log_names_host_method_status_and_time_and_nothing_else() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();

    let answering = Server::saying(ok("X-Tell: tell\r\n", "tell")).await;
    let silent = Server::saying("").await;
    let http = client_of(vec![
        route("answering.example", answering.address, answering.address),
        route("silent.example", silent.address, silent.address),
    ]);
    let request = |host| {
        Request::post_json(url(&format!("http://{host}/tell?tell=tell#tell")), "tell")
            .bearer(&Secret::new("tell"))
            .unwrap()
    };
    http.send(request("answering.example")).await.unwrap();
    http.send(request("silent.example")).await.unwrap_err();

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains("tell"), "{text}");
    for fields in [
        r#"outbound{host="answering.example" method="POST" status=200 ms="#,
        r#"outbound{host="silent.example" method="POST" status="unavailable" ms="#,
    ] {
        assert!(text.contains(fields), "{text}");
    }
}
