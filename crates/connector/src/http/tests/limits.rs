use std::{
    io::Write,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use http::{Method, header::CONTENT_ENCODING};
use tokio::io::AsyncWriteExt;

use super::super::{Class, Request, Response, read};
use super::{Server, client, client_of, closed_port, ok, route, shop, url};
use crate::ProviderError;

const MIB: usize = 1 << 20;

fn discovery() -> Request {
    Request::get(shop()).class(Class::Discovery)
}

async fn answer_to(request: Request, bytes: Vec<u8>) -> Result<Response, ProviderError> {
    client(&Server::saying(bytes).await).send(request).await
}

async fn message(request: Request, bytes: Vec<u8>) -> String {
    answer_to(request, bytes).await.unwrap_err().to_string()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// What compresses about as well as a page of orders.
fn orders(bytes: usize) -> Vec<u8> {
    let line = |n: usize| {
        format!(r#"{{"id":{n},"total":"{}.00","billing":{{"city":"City {}"}}}},"#, n * 7919 % 997, n * 31 % 89)
    };
    let page: String = (0..2000).map(line).collect();
    page.into_bytes().into_iter().cycle().take(bytes).collect()
}

#[tokio::test]
async fn a_body_as_large_as_its_class_allows_is_read() {
    let body = orders(MIB);
    assert_eq!(answer_to(discovery(), ok("", &body)).await.unwrap().body, body);
    assert_eq!(answer_to(Request::get(shop()), ok("", orders(16 * MIB))).await.unwrap().body.len(), 16 * MIB);
}

#[tokio::test]
async fn a_byte_more_is_not() {
    let too_large = "the shop's answer cannot be read (at body, which is larger than 1 MiB)";
    assert_eq!(message(discovery(), ok("", orders(MIB + 1))).await, too_large);
    // Without a length, which is known only when it has passed.
    let mut until_close = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
    until_close.extend(orders(MIB + 1));
    assert_eq!(message(discovery(), until_close).await, too_large);
    let zipped = ok("Content-Encoding: gzip\r\n", gzip(&orders(MIB + 1)));
    assert_eq!(message(discovery(), zipped).await, too_large);
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_not_waited_for() {
    let server = Server::start(|_, mut stream| {
        Box::pin(async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n").await?;
            std::future::pending().await
        })
    })
    .await;
    let error = client(&server).send_within(discovery(), Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_body_without_end_is_cut() {
    let server = Server::start(|_, mut stream| {
        Box::pin(async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            loop {
                stream.write_all(b"1000\r\n").await?;
                stream.write_all(&[b'x'; 0x1000]).await?;
                stream.write_all(b"\r\n").await?;
            }
        })
    })
    .await;
    let error = client(&server).send(discovery()).await.unwrap_err();
    assert_eq!(error.to_string(), "the shop's answer cannot be read (at body, which is larger than 1 MiB)");
}

#[tokio::test]
async fn compressed_answers_are_read_and_no_longer_say_that_they_are_compressed() {
    let body = orders(MIB);
    let zipped = gzip(&body);
    for name in ["gzip", "GZIP", "x-gzip"] {
        let response = answer_to(Request::get(shop()), ok(&format!("Content-Encoding: {name}\r\n"), &zipped)).await;
        let response = response.unwrap();
        assert_eq!(response.body, body);
        assert!(response.header(CONTENT_ENCODING).is_none() && response.header("content-length").is_none());
    }
    // Two members one after the other are one body (RFC 1952, section 2.2).
    let two = [gzip(b"{\"a\""), gzip(b":1}")].concat();
    assert_eq!(answer_to(discovery(), ok("Content-Encoding: gzip\r\n", two)).await.unwrap().body, "{\"a\":1}");
}

#[tokio::test]
async fn a_bomb_is_refused_while_it_is_small() {
    let exploded = "the shop's answer cannot be read (at body, which grows more than 100 times when decompressed)";
    let header = "Content-Encoding: gzip\r\n";
    assert_eq!(message(Request::get(shop()), ok(header, gzip(&vec![0; 12 * MIB]))).await, exploded);
    // Many small members do what one large one does.
    let members = gzip(&vec![0; MIB]).repeat(12);
    assert_eq!(message(Request::get(shop()), ok(header, members)).await, exploded);
    // A gigabyte is never made: this would take many seconds, and the limit takes none.
    let bomb = gzip(&vec![0; MIB]).repeat(1000);
    let started = Instant::now();
    let error = answer_to(Request::get(shop()), ok(header, bomb)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Malformed { .. }));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_is_not_what_its_encoding_says_is_malformed() {
    let header = "Content-Encoding: gzip\r\n";
    let not_gzip = "the shop's answer cannot be read (at body, which is not gzip as its header says)";
    assert_eq!(message(discovery(), ok(header, "{\"plain\":true}")).await, not_gzip);
    let whole = gzip(&orders(10_000));
    for length in [1, 9, 20, whole.len() / 2, whole.len() - 1] {
        assert_eq!(message(discovery(), ok(header, &whole[..length])).await, not_gzip, "{length}");
    }
    let mut flipped = whole.clone();
    let last = flipped.len() - 5;
    flipped[last] ^= 1;
    assert_eq!(message(discovery(), ok(header, flipped)).await, not_gzip);
    for name in ["br", "deflate", "zstd", "gzip, gzip", "gzip\r\nContent-Encoding: gzip"] {
        let refused = message(discovery(), ok(&format!("Content-Encoding: {name}\r\n"), &whole)).await;
        assert!(refused.contains("content-encoding"), "{name}: {refused}");
    }
}

#[tokio::test]
async fn an_answer_without_a_body_may_name_an_encoding_and_a_length() {
    let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 99999999\r\n\r\n";
    let response = answer_to(Request::head(shop()), head.to_vec()).await.unwrap();
    assert!(response.body.is_empty());
    let none = b"HTTP/1.1 204 No Content\r\nConnection: close\r\nContent-Encoding: gzip\r\n\r\n";
    assert!(answer_to(Request::delete(shop()), none.to_vec()).await.unwrap().body.is_empty());
}

#[tokio::test]
async fn a_body_that_drips_ends_with_the_time() {
    let server = Server::start(|_, mut stream| {
        Box::pin(async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    })
    .await;
    let (limit, started) = (Duration::from_millis(200), Instant::now());
    let error = client(&server).send_within(Request::get(shop()), limit).await.unwrap_err();
    assert!(matches!(error, ProviderError::TimedOut { after } if after == limit), "{error:?}");
    assert!(started.elapsed() < 5 * limit);
}

#[tokio::test]
async fn a_server_that_only_listens_ends_with_the_time() {
    let server = Server::start(|_, stream| {
        Box::pin(async move {
            let _held = stream;
            std::future::pending().await
        })
    })
    .await;
    let limit = Duration::from_millis(100);
    let error = client(&server).send_within(Request::get(shop()), limit).await.unwrap_err();
    assert!(matches!(error, ProviderError::TimedOut { after } if after == limit), "{error:?}");
}

#[tokio::test]
async fn a_server_that_never_shakes_hands_ends_with_the_time_for_connecting() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let routes = vec![route("shop.example", address, address)];
    let hosts = super::Hosts::sandbox(None, routes, vec![]).unwrap();
    let connect_timeout = Duration::from_millis(100);
    let options = super::HttpOptions { connect_timeout, ..super::HttpOptions::default() };
    let http = super::Http::new(hosts, options).unwrap();
    let error = http.send(Request::get(url("https://shop.example/"))).await.unwrap_err();
    assert!(matches!(error, ProviderError::TimedOut { after } if after == connect_timeout), "{error:?}");
}

#[tokio::test]
async fn headers_are_bounded() {
    let with = |name: &str, bytes: usize| ok(&format!("{name}: {}\r\n", "v".repeat(bytes)), "{}");
    assert!(answer_to(discovery(), with("X-Small", 60 << 10)).await.is_ok());
    let large = "the shop's answer cannot be read (at headers, which are larger than 64 KiB)";
    assert_eq!(message(discovery(), with("X-Large", 65 << 10)).await, large);
    let unread = "the shop's answer cannot be read (at headers, which are not HTTP or too large)";
    assert_eq!(message(discovery(), with("X-Huge", MIB)).await, unread);
    assert_eq!(message(discovery(), ok(&"X-Many: 1\r\n".repeat(1000), "{}")).await, unread);
}

#[tokio::test]
async fn headers_without_end_are_cut() {
    let server = Server::start(|_, mut stream| {
        Box::pin(async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await?;
            loop {
                stream.write_all(&[b'v'; 0x1000]).await?;
            }
        })
    })
    .await;
    let error = client(&server).send(discovery()).await.unwrap_err();
    assert!(matches!(error, ProviderError::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_cut_answer_is_not_a_short_one() {
    let cut = "the shop is not available (the connection was cut while the answer was read)";
    let counted = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":".to_vec();
    assert_eq!(message(discovery(), counted).await, cut);
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"half\":\r\n".to_vec();
    assert_eq!(message(discovery(), chunked).await, cut);
}

#[tokio::test]
async fn what_is_not_http_is_malformed() {
    let unread = "the shop's answer cannot be read (at headers, which are not HTTP or too large)";
    assert_eq!(message(discovery(), b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec()).await, unread);
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n".to_vec();
    let error = answer_to(discovery(), chunks).await.unwrap_err();
    assert!(!matches!(error, ProviderError::TimedOut { .. } | ProviderError::Rejected { .. }), "{error:?}");
}

#[tokio::test]
async fn nobody_there_and_somebody_who_hangs_up_are_told_apart() {
    let nobody = closed_port().await;
    let http = client_of(vec![route("shop.example", nobody, nobody)]);
    for scheme in ["http", "https"] {
        let error = http.send(Request::get(url(&format!("{scheme}://shop.example/")))).await.unwrap_err();
        assert_eq!(error.to_string(), "the shop is not available (the connection was refused)");
    }
    let hung_up = "the shop is not available (the connection was closed before an answer came)";
    assert_eq!(message(discovery(), vec![]).await, hung_up);
    assert_eq!(message(discovery(), b"HTTP/1.1 200 OK\r\nX-Cut: ".to_vec()).await, hung_up);
}

#[tokio::test]
async fn no_failure_quotes_the_query_or_the_body() {
    let request = || {
        let mut request =
            Request::post_json(url("http://shop.example/x?consumer_secret=cs_tell"), "{\"mail\":\"tell\"}");
        request.method = Method::PUT;
        request
    };
    let answers = [
        vec![],
        b"tell tell tell\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ntell".to_vec(),
        ok("Content-Encoding: gzip\r\n", "tell"),
        ok("Content-Encoding: tell\r\n", "tell"),
        ok(&format!("X-Tell: {}\r\n", "tell".repeat(30_000)), "tell"),
    ];
    for answer in answers {
        let error = answer_to(request(), answer).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("tell"), "{error:?}");
    }
    let nobody = closed_port().await;
    let error = client_of(vec![route("shop.example", nobody, nobody)]).send(request()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("tell"), "{error:?}");
}

#[test]
fn only_gzip_is_offered() {
    assert_eq!(read::ACCEPTED, "gzip");
}
