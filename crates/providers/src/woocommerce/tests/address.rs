use connector::{
    http::{Hosts, Http, HttpOptions},
    provider::ConnectError,
};

use crate::woocommerce::auth;

fn clean(typed: &str) -> Result<String, ConnectError> {
    let http = Http::new(Hosts::sandbox(None, vec![], vec![]).unwrap(), HttpOptions::default()).unwrap();
    auth::address::clean(typed, &http).map(|url| url.to_string())
}

#[test]
fn what_people_type_becomes_the_address_of_the_home_page() {
    for (typed, address) in [
        ("shop.example.com", "https://shop.example.com/"),
        ("  HTTPS://Shop.Example.com  ", "https://shop.example.com/"),
        ("http://shop.example.com", "http://shop.example.com/"),
        ("https://example.com/shop", "https://example.com/shop/"),
        ("https://example.com/shop/?utm=1#top", "https://example.com/shop/"),
        ("https://example.com/shop/wp-admin/admin.php?page=wc-settings", "https://example.com/shop/"),
        ("example.com/wp-json/wc/v3", "https://example.com/"),
        ("münchen.example.com", "https://xn--mnchen-3ya.example.com/"),
        ("shop.example.com:8443", "https://shop.example.com:8443/"),
    ] {
        assert_eq!(clean(typed).unwrap(), address, "{typed}");
    }
}

#[test]
fn what_is_no_shops_address_is_refused_before_it_is_called() {
    for typed in [
        "",
        "   ",
        "my shop",
        "shop.example.com\\evil",
        "ftp://shop.example.com",
        "javascript:alert(1)",
        "https://user:pass@shop.example.com",
        "localhost",
        "http://127.0.0.1/",
        "http://169.254.169.254/latest",
        "https://[::1]/",
        "shop.example.com:22",
        "intranet",
        "https://",
        &format!("{}.example.com", "a".repeat(3000)),
    ] {
        let error = clean(typed).unwrap_err();
        assert!(matches!(&error, ConnectError::Invalid { field: "shop_url", .. }), "{typed}: {error}");
    }
}

#[test]
fn an_account_is_named_by_its_home_without_scheme_and_www() {
    for (home, name) in [
        ("https://shop.example/", "shop.example"),
        ("http://www.shop.example/", "shop.example"),
        ("https://example.com/shop/", "example.com/shop"),
        ("https://shop.example:8443/", "shop.example:8443"),
    ] {
        assert_eq!(auth::address::canonical(&home.parse().unwrap()), name);
    }
}
