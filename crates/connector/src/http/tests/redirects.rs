use http::{
    HeaderValue, Method,
    header::{ACCEPT, CACHE_CONTROL, COOKIE, HeaderName},
};
use kernel::Secret;

use super::super::{Class, Http, Request};
use super::{Server, client, client_of, ok, route, url};
use crate::ProviderError;

fn to(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

fn done() -> String {
    String::from_utf8(ok("", "done")).unwrap()
}

fn discovery(path: &str) -> Request {
    Request::get(url(&format!("http://shop.example{path}"))).class(Class::Discovery)
}

/// With everything that must not get into other hands.
fn confidential(path: &str) -> Request {
    discovery(path)
        .basic(&Secret::new("ck_tell"), &Secret::new("cs_tell"))
        .secret_header(HeaderName::from_static("x-shopify-access-token"), &Secret::new("shpat_tell"))
        .unwrap()
        .header(HeaderName::from_static("x-own"), HeaderValue::from_static("tell"))
        .header(COOKIE, HeaderValue::from_static("a=tell"))
        .header(ACCEPT, HeaderValue::from_static("text/html"))
        .header(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
}

/// A client to which `shop.example` is the first server and `other.example` the second, by http.
fn client_of_two(shop: &Server, other: &Server) -> Http {
    client_of(vec![
        route("shop.example", other.address, shop.address),
        route("other.example", other.address, other.address),
    ])
}

#[tokio::test]
async fn three_redirects_are_followed_and_four_are_not() {
    let server = Server::routing(|path| match path {
        "/0" => to("/1"),
        "/1" => to("2"),
        "/2" => to("//shop.example/3?x#y"),
        "/4" => to("/0"),
        _ => done(),
    })
    .await;
    let http = client(&server);
    let response = http.send(discovery("/0")).await.unwrap();
    assert_eq!((response.url.as_str(), &response.body[..]), ("http://shop.example/3?x", &b"done"[..]));
    let error = http.send(discovery("/4")).await.unwrap_err();
    assert_eq!(error.to_string(), "the shop rejects the request (the address redirects too often)");
}

#[tokio::test]
async fn a_loop_ends() {
    let server = Server::routing(|_| to("/again")).await;
    assert!(client(&server).send(discovery("/")).await.is_err());
    assert_eq!(server.heads().len(), 4);
}

#[tokio::test]
async fn a_redirect_to_the_inside_is_refused() {
    for target in [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "//0x7f000001/",
        "http://2130706433/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://localhost/",
        "https://metadata.google.internal/",
    ] {
        let server = Server::saying(to(target)).await;
        let error = client(&server).send(discovery("/")).await.unwrap_err();
        let internal = "the shop rejects the request (the address leads into an internal network)";
        assert_eq!(error.to_string(), internal, "{target}");
    }
    for target in [
        "ftp://shop.example/",
        "file:///etc/passwd",
        "http://shop.example:6379/",
        "http://a:b@shop.example/",
        "http://http://x/",
    ] {
        let server = Server::saying(to(target)).await;
        let error = client(&server).send(discovery("/")).await.unwrap_err();
        assert!(matches!(error, ProviderError::Rejected { .. }), "{target}: {error:?}");
        assert_eq!(server.heads().len(), 1, "{target}");
    }
}

#[tokio::test]
async fn apis_and_writes_are_not_redirected() {
    let server = Server::routing(|_| to("/elsewhere")).await;
    let http = client(&server);
    for request in [
        discovery("/").class(Class::Api),
        Request { method: Method::POST, ..discovery("/") },
        Request { method: Method::DELETE, ..discovery("/") },
    ] {
        let response = http.send(request).await.unwrap();
        assert_eq!((response.status.as_u16(), response.header("location")), (302, Some("/elsewhere")));
    }
    assert_eq!(server.heads().len(), 3);
}

#[tokio::test]
async fn an_answer_that_only_looks_like_a_redirect_is_an_answer() {
    for status in ["300 Multiple Choices", "304 Not Modified", "305 Use Proxy"] {
        let server = Server::saying(format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"
        ))
        .await;
        assert!(client(&server).send(discovery("/")).await.unwrap().status.is_redirection());
    }
    let nowhere = Server::saying("HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(client(&nowhere).send(discovery("/")).await.unwrap().status, 302);
    let nonsense = Server::saying(to("http://[")).await;
    let error = client(&nonsense).send(discovery("/")).await.unwrap_err();
    assert_eq!(error.to_string(), "the shop's answer cannot be read (at header location)");
}

#[tokio::test]
async fn credentials_go_along_within_one_origin() {
    let server = Server::routing(|path| if path == "/a" { to("/b?consumer_key=ck_tell") } else { done() }).await;
    client(&server).send(confidential("/a")).await.unwrap();
    let head = &server.heads()[1];
    for part in ["/b?consumer_key=ck_tell", "authorization: basic", "shpat_tell", "x-own: tell"] {
        assert!(head.contains(part), "{part} in {head}");
    }
}

#[tokio::test]
async fn credentials_do_not_go_to_another_host() {
    let other = Server::routing(|_| done()).await;
    let query = "oauth_token=tell&oauth_signature=tell&consumer_key=tell&page=2&consumer_secret=tell&access_token=tell";
    let server = Server::saying(to(&format!("http://other.example/x?{query}"))).await;
    client_of_two(&server, &other).send(confidential("/")).await.unwrap();
    assert!(server.heads()[0].contains("tell"));
    let head = &other.heads()[0];
    assert!(head.starts_with("get /x?page=2 http/1.1"), "{head}");
    assert!(!head.contains("tell") && !head.contains("authorization"), "{head}");
    // What is harmless stays.
    for part in ["accept: text/html", "cache-control: no-cache", "accept-encoding: gzip", "user-agent: entrepot/1"] {
        assert!(head.contains(part), "{part} in {head}");
    }
}

#[tokio::test]
async fn credentials_do_not_come_back_from_another_host() {
    let other = Server::saying(to("http://shop.example/back")).await;
    let server = Server::routing(|path| if path == "/" { to("http://other.example/") } else { done() }).await;
    client_of_two(&server, &other).send(confidential("/")).await.unwrap();
    let heads = server.heads();
    assert!(heads[0].contains("tell") && heads[1].starts_with("get /back") && !heads[1].contains("tell"), "{heads:?}");
}

#[test]
fn another_scheme_or_port_is_another_origin() {
    for target in ["https://shop.example/", "http://shop.example:8080/", "http://www.shop.example/"] {
        let headers = [(http::header::LOCATION, HeaderValue::from_str(target).unwrap())].into_iter().collect();
        let next =
            super::super::redirect::next(&confidential("/"), http::StatusCode::FOUND, &headers).unwrap().unwrap();
        assert_eq!(next.url.as_str(), target);
        assert_eq!(next.headers.len(), 2, "{target}: {:?}", next.headers.keys().collect::<Vec<_>>());
    }
}
