use super::super::{Hosts, InvalidHosts, Link, Refusal, Request, Route};
use super::{Server, client_of, closed_port, ok, route, url};

fn link(pattern: &str, origin: &str) -> Link {
    Link { pattern: pattern.to_owned(), origin: origin.to_owned() }
}

fn sandbox(routes: Vec<Route>, links: Vec<Link>) -> Result<Hosts, InvalidHosts> {
    Hosts::sandbox(None, routes, links)
}

#[tokio::test]
async fn a_simulated_host_is_reached_under_its_own_name() {
    let server = Server::saying(ok("", "{}")).await;
    let http = client_of(vec![route("*.myshopify.com", closed_port().await, server.address)]);
    let response = http.send(Request::get(url("http://some-shop.myshopify.com/admin?x=1"))).await.unwrap();
    assert_eq!(response.url.as_str(), "http://some-shop.myshopify.com/admin?x=1");
    let head = &server.heads()[0];
    assert!(head.starts_with("get /admin?x=1 http/1.1\r\n"), "{head}");
    assert!(head.contains("host: some-shop.myshopify.com\r\n"), "{head}");
}

#[tokio::test]
async fn only_the_patterns_are_simulated() {
    let server = Server::saying(ok("", "{}")).await;
    let http = client_of(vec![
        route("*.myshopify.com", server.address, server.address),
        route("shop.example", server.address, server.address),
    ]);
    for near in [
        "http://myshopify.com/",
        "http://a.b.myshopify.com/",
        "http://some-shop.myshopify.com.evil.example/",
        "http://evilmyshopify.com/",
        "http://www.shop.example/",
    ] {
        assert!(http.inner.hosts.route(url(near).host_str().unwrap()).is_none(), "{near}");
    }
    for inside in ["http://127.0.0.1/", "http://localhost/", "http://shop.localhost/", "http://[::1]/"] {
        assert_eq!(http.check(&url(inside)), Err(Refusal::Internal), "{inside}");
    }
    assert_eq!(http.check(&url("http://some-shop.myshopify.com./")), Err(Refusal::HostName));
    assert!(server.heads().is_empty());
}

#[tokio::test]
async fn a_simulated_host_gives_no_way_to_other_ports_of_this_machine() {
    let server = Server::saying(ok("", "{}")).await;
    let http = client_of(vec![route("shop.example", server.address, server.address)]);
    for port in [server.address.port(), 8080, 8443, 5432] {
        assert_eq!(http.check(&url(&format!("http://shop.example:{port}/"))), Err(Refusal::Port), "{port}");
    }
    assert_eq!(http.check(&url("http://shop.example:80/")), Ok(()));
    assert_eq!(http.check(&url("http://user@shop.example/")), Err(Refusal::Userinfo));
    assert!(server.heads().is_empty());
}

#[test]
fn simulators_live_on_this_machine_only() {
    let (far, near) = ("192.168.1.10:80".parse().unwrap(), "127.0.0.1:80".parse().unwrap());
    let of = |https, http| sandbox(vec![route("*.myshopify.com", https, http)], vec![]).err();
    assert_eq!(of(near, near), None);
    assert_eq!(of(near, far), Some(InvalidHosts::NotLoopback(far)));
    assert_eq!(of(far, near), Some(InvalidHosts::NotLoopback(far)));
}

#[test]
fn patterns_that_are_no_hosts_are_refused() {
    let near = "127.0.0.1:80".parse().unwrap();
    for pattern in [
        "",
        "*",
        "*.com",
        "com",
        "*.*.com",
        "a.*.com",
        "*shop.com",
        "Shop.com",
        "shop.com.",
        ".shop.com",
        "10.0.0.1",
        "shop.com:80",
        "https://shop.com",
    ] {
        let refused = sandbox(vec![route(pattern, near, near)], vec![]).err();
        assert_eq!(refused, Some(InvalidHosts::Pattern(pattern.to_owned())));
    }
}

#[test]
fn people_are_sent_to_the_simulator_and_in_production_to_the_shop() {
    let link = link("*.myshopify.com", "http://*.shopify.localhost:4010");
    let simulated = sandbox(vec![], vec![link]).unwrap();
    let asked = url("https://some-shop.myshopify.com/admin/oauth/authorize?a=b%20c#d");
    let shown = "http://some-shop.shopify.localhost:4010/admin/oauth/authorize?a=b%20c#d";
    assert_eq!(simulated.public(&asked).as_str(), shown);
    assert_eq!(Hosts::production().public(&asked), asked);
    let unknown = url("https://shop.example.com/x");
    assert_eq!(simulated.public(&unknown), unknown);
}

#[test]
fn a_link_of_one_host_leads_to_one_place() {
    let links = vec![link("apps.shopify.com", "https://listing.localhost:4011")];
    let shown = sandbox(vec![], links).unwrap().public(&url("http://apps.shopify.com/entrepot"));
    assert_eq!(shown.as_str(), "https://listing.localhost:4011/entrepot");
}

#[test]
fn links_that_are_no_origins_are_refused() {
    for (pattern, origin) in [
        ("shop.example", "http://*.localhost"),
        ("*.shop.example", "http://*.*.localhost"),
        ("shop.example", "http://localhost/path"),
        ("shop.example", "http://user@localhost"),
        ("shop.example", "ftp://localhost"),
        ("shop.example", "localhost"),
    ] {
        let refused = sandbox(vec![], vec![link(pattern, origin)]).err();
        assert_eq!(refused, Some(InvalidHosts::Origin(origin.to_owned())));
    }
}
