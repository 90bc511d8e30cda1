use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::super::guard::{Refusal, URL_BYTES_MAX, check_url, check_url_with_ports, is_public, parse_url};
use super::url;

/// The first and last addresses of every internal range, and the ones that attacks want.
const INTERNAL_V4: &[[u8; 4]] = &[
    [0, 0, 0, 0],
    [0, 255, 255, 255],
    [10, 0, 0, 0],
    [10, 255, 255, 255],
    [100, 64, 0, 0],
    [100, 100, 100, 200],
    [100, 127, 255, 255],
    [127, 0, 0, 1],
    [127, 255, 255, 255],
    [168, 63, 129, 16],
    [169, 254, 0, 0],
    [169, 254, 169, 254],
    [169, 254, 255, 255],
    [172, 16, 0, 0],
    [172, 31, 255, 255],
    [192, 0, 0, 0],
    [192, 0, 0, 192],
    [192, 0, 0, 255],
    [192, 0, 2, 1],
    [192, 88, 99, 1],
    [192, 168, 0, 0],
    [192, 168, 255, 255],
    [198, 18, 0, 0],
    [198, 19, 255, 255],
    [198, 51, 100, 1],
    [203, 0, 113, 255],
    [224, 0, 0, 0],
    [239, 255, 255, 255],
    [240, 0, 0, 0],
    [255, 255, 255, 255],
];

/// Every way to write an IPv4 address that a URL parser, a resolver or a C library takes for one.
fn spellings_v4([a, b, c, d]: [u8; 4]) -> Vec<String> {
    let number = u32::from_be_bytes([a, b, c, d]);
    let dotted = format!("{a}.{b}.{c}.{d}");
    let replace = |from: char, to: &str| dotted.replace(from, to);
    let digits = |zero: u32, one: u32| -> String {
        let other = |digit: char| match digit.to_digit(10) {
            Some(0) => char::from_u32(zero).unwrap(),
            Some(value) => char::from_u32(one + value - 1).unwrap(),
            None => digit,
        };
        dotted.chars().map(other).collect()
    };
    vec![
        dotted.clone(),
        format!("{dotted}."),
        format!("{number}"),
        format!("{number}."),
        format!("0x{number:08x}"),
        format!("0X{number:08X}"),
        format!("0x0000000000{number:08x}"),
        format!("0{number:o}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("0000{a:o}.0{b:o}.{c}.{d}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0x{a:x}.{b}.0{c:o}.{d}"),
        format!("{a}.{b}.{}", u32::from(c) << 8 | u32::from(d)),
        format!("{a}.{}", number & 0x00ff_ffff),
        format!("0x{a:x}.0x{:x}", number & 0x00ff_ffff),
        replace('.', "\u{3002}"),
        replace('.', "\u{ff0e}"),
        replace('.', "\u{ff61}"),
        replace('.', "%2e"),
        digits('\u{ff10}' as u32, '\u{ff11}' as u32),
        digits('\u{24ea}' as u32, '\u{2460}' as u32),
        dotted.bytes().map(|byte| format!("%{byte:02x}")).collect(),
    ]
}

/// Every IPv6 address that carries this IPv4 address.
fn carriers_v6([a, b, c, d]: [u8; 4]) -> Vec<String> {
    let dotted = format!("{a}.{b}.{c}.{d}");
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    vec![
        format!("[::ffff:{dotted}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:ffff:{high:04X}:{low:04X}]"),
        format!("[::{dotted}]"),
        format!("[::ffff:0:{dotted}]"),
        format!("[64:ff9b::{dotted}]"),
        format!("[0064:FF9B:0::{high:x}:{low:x}]"),
        format!("[64:ff9b:1::{dotted}]"),
        format!("[64:ff9b:1:ffff::{high:x}:{low:x}]"),
        format!("[2002:{high:x}:{low:x}::]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        // Teredo hides the client's address by inverting it.
        format!("[2001:0:4136:e378:8000:63bf:{:x}:{:x}]", !high, !low),
        format!("[2001:0:{high:x}:{low:x}::1]"),
        format!("[fe80::5efe:{dotted}]"),
    ]
}

const INTERNAL_V6: &[&str] = &[
    "::",
    "::1",
    "0:0:0:0:0:0:0:1",
    "0000:0000:0000:0000:0000:0000:0000:0001",
    "::0.0.0.1",
    "::2",
    "64:ff9b::",
    "64:ff9b:1::",
    "100::",
    "100::1",
    "100:0:0:1::1",
    "1fff:ffff::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff:ffff::1",
    "2001:db8::1",
    "2002::1",
    "3fff::1",
    "3fff:fff:ffff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fdff:ffff::1",
    "fe80::1",
    "febf:ffff::1",
    "fec0::1",
    "feff:ffff::1",
    "ff00::1",
    "ff02::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];

#[test]
fn every_spelling_of_an_internal_address_is_refused_as_internal() {
    let mut count = 0;
    let hosts_v4 = INTERNAL_V4.iter().flat_map(|address| [spellings_v4(*address), carriers_v6(*address)]).flatten();
    let hosts_v6 = INTERNAL_V6.iter().map(|address| format!("[{address}]"));
    for host in hosts_v4.chain(hosts_v6) {
        for text in [format!("http://{host}/"), format!("https://{host}:8443/x?y=z")] {
            assert_eq!(parse_url(&text), Err(Refusal::Internal), "{text}");
            count += 1;
        }
    }
    assert!(count >= 400, "only {count} vectors");
}

#[test]
fn internal_addresses_are_not_public_without_a_url_either() {
    for address in INTERNAL_V4 {
        assert!(!is_public(Ipv4Addr::from(*address).into()), "{address:?}");
    }
    for address in INTERNAL_V6 {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
}

#[test]
fn names_of_the_inside_are_refused() {
    for host in [
        "localhost",
        "LOCALHOST",
        "LocalHost",
        "shop.localhost",
        "a.b.localhost",
        "printer.local",
        "metadata.google.internal",
        "instance-data.ec2.internal",
        "internal.internal",
        "router.home.arpa",
        "hidden.onion",
        "ｌｏｃａｌｈｏｓｔ",
        "loc%61lhost",
        "lo\u{ad}calhost",
    ] {
        assert_eq!(parse_url(&format!("http://{host}/")), Err(Refusal::Internal), "{host}");
    }
    for host in ["intranet", "db", "metadata", "localhost.", "shop.example.com.", "shop..example.com", "com"] {
        assert_eq!(parse_url(&format!("http://{host}/")), Err(Refusal::HostName), "{host}");
    }
}

#[test]
fn user_names_in_addresses_are_refused() {
    for text in [
        "http://shop.example.com@127.0.0.1/",
        "http://127.0.0.1@shop.example.com/",
        "http://user:password@shop.example.com/",
        "http://:password@shop.example.com/",
        "http://shop.example.com:80@169.254.169.254/",
        "http://shop.example.com%2f@127.0.0.1/",
        "http://a@b@shop.example.com/",
        "https://shop.example.com:443:@127.0.0.1/",
        "https://%61@shop.example.com/",
    ] {
        assert_eq!(parse_url(text), Err(Refusal::Userinfo), "{text}");
    }
    for (text, refusal) in [
        ("http://@127.0.0.1/", Refusal::Internal),
        ("http://127.0.0.1#@shop.example.com/", Refusal::Internal),
        ("http://127.0.0.1?@shop.example.com/", Refusal::Internal),
        ("http://127.0.0.1/@shop.example.com/", Refusal::Internal),
        ("http://shop.example.com\\@127.0.0.1/", Refusal::Characters),
        ("http://127.0.0.1\\@shop.example.com/", Refusal::Characters),
        ("http:\\\\127.0.0.1\\", Refusal::Characters),
        ("http:/127.0.0.1/", Refusal::Internal),
        ("http:127.0.0.1/", Refusal::Internal),
        ("http:////127.0.0.1/", Refusal::Internal),
    ] {
        assert_eq!(parse_url(text), Err(refusal), "{text}");
    }
}

#[test]
fn other_schemes_are_refused() {
    for text in [
        "ftp://shop.example.com/",
        "file:///etc/passwd",
        "file://shop.example.com/etc/passwd",
        "gopher://127.0.0.1:6379/_",
        "dict://shop.example.com/",
        "ldap://shop.example.com/",
        "data:text/plain,x",
        "javascript:alert(1)",
        "ws://shop.example.com/",
        "wss://shop.example.com/",
        "unix:/run/socket",
        "jar:http://shop.example.com!/",
        "blob:https://shop.example.com/x",
        "view-source:http://shop.example.com/",
        "httpss://shop.example.com/",
        "about:blank",
    ] {
        assert_eq!(parse_url(text), Err(Refusal::Scheme), "{text}");
    }
}

#[test]
fn other_ports_are_refused_unless_they_are_configured() {
    for port in
        [0, 1, 21, 22, 25, 53, 79, 81, 111, 442, 444, 2375, 3306, 5432, 6379, 8079, 8081, 9200, 11211, 27017, 65535]
    {
        let text = format!("https://shop.example.com:{port}/");
        assert_eq!(parse_url(&text), Err(Refusal::Port), "{text}");
    }
    assert_eq!(check_url_with_ports(&url("https://shop.example.com:9443/"), &[9443]), Ok(()));
    assert_eq!(check_url_with_ports(&url("https://shop.example.com/"), &[9443]), Err(Refusal::Port));
}

#[test]
fn what_is_no_address_is_refused() {
    for text in [
        "",
        "shop",
        "shop.example.com",
        "//shop.example.com/",
        "http://",
        "http:///",
        "http://:80/",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        "http://[::ffff:127.0.0.1.]/",
        "http://[127.0.0.1]/",
        "http://127.0.0.1.1/",
        "http://256.0.0.1/",
        "http://0x100000000/",
        "http://shop.example.com:99999/",
        "http://shop.example.com:80x/",
        "http://shop<.example.com/",
        "http://sh%00op.example.com/",
        "http://sh%2fop.example.com/",
        "http://xn--a/",
    ] {
        assert!(parse_url(text).is_err(), "{text}");
    }
    for text in [
        "http://shop.example.com/\n",
        "http://shop.exa\tmple.com/",
        "http://shop.example.com/\r\nHost: x",
        " http://shop.example.com/",
        "http://shop.example.com/a b",
        "http://shop.example.com/\u{0}",
        "http://shop.example.com/\u{85}",
        "http://shop.example.com/\u{2028}",
    ] {
        assert_eq!(parse_url(text), Err(Refusal::Characters), "{text:?}");
    }
}

#[test]
fn the_length_is_bounded_before_and_after_encoding() {
    let of_length = |length: usize| format!("https://shop.example.com/{}", "a".repeat(length - 25));
    assert!(parse_url(&of_length(URL_BYTES_MAX)).is_ok());
    assert_eq!(parse_url(&of_length(URL_BYTES_MAX + 1)), Err(Refusal::TooLong));
    // Three times as long once it is percent-encoded.
    let grown = format!("https://shop.example.com/{}", "\u{e9}".repeat(400));
    assert_eq!(parse_url(&grown), Err(Refusal::TooLong));
}

#[test]
fn shops_on_the_internet_pass() {
    for text in [
        "https://some-shop.myshopify.com/admin/api/2026-07/graphql.json",
        "http://shop.example.com/",
        "https://shop.example.com:443/",
        "https://shop.example.com:8443/wp-json/",
        "http://shop.example.com:8080/",
        "https://sub.sub.shop.co.uk/?rest_route=/wc/v3/orders",
        "https://m\u{fc}ller.example.de/",
        "https://xn--mller-kva.example.de/",
        "https://1.1.1.1/",
        "https://[2606:4700:4700::1111]/",
        "https://localhost.example.com/",
        "https://internal.example.com/",
        "https://127.0.0.1.example.com/",
        "https://notlocal.example/",
    ] {
        assert!(parse_url(text).is_ok(), "{text}");
    }
    assert_eq!(parse_url("https://m\u{fc}ller.example.de/").unwrap().host_str(), Some("xn--mller-kva.example.de"));
}

#[test]
fn the_neighbours_of_internal_ranges_are_public() {
    for address in [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "168.63.129.17",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.1.255",
        "192.0.3.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "2000::1",
        "2001:200::",
        "2001:db7:ffff::1",
        "2001:db9::",
        "2001:4860:4860::8888",
        "2003::",
        "2606:4700::1",
        "2a00:1450:4001::1",
        "3ffe:ffff::1",
        "3fff:1000::",
    ] {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
}

#[test]
fn the_fragment_is_not_kept() {
    assert_eq!(parse_url("https://shop.example.com/a?b#c").unwrap().as_str(), "https://shop.example.com/a?b");
}

#[test]
fn a_refusal_does_not_quote_the_address() {
    let error: crate::ProviderError = check_url(&url("http://10.11.12.13/?token=abc")).unwrap_err().into();
    assert_eq!(error.to_string(), "the shop rejects the request (the address leads into an internal network)");
}

proptest! {
    /// The standard library's own ideas, as far as they are stable, must be part of ours.
    #[test]
    fn what_the_standard_library_calls_internal_is_not_public(bits: u32) {
        let v4 = Ipv4Addr::from_bits(bits);
        let is_internal = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast()
            || v4.is_documentation() || v4.is_multicast() || v4.is_unspecified();
        prop_assert!(!(is_internal && is_public(v4.into())));
    }

    /// Whatever it carries, public or not: an address inside an address is never called.
    #[test]
    fn an_address_that_carries_an_ipv4_address_is_not_public(bits: u32) {
        let v4 = Ipv4Addr::from_bits(bits);
        let [.., g, h] = v4.to_ipv6_mapped().segments();
        let carriers = [
            v4.to_ipv6_mapped(),
            v4.to_ipv6_compatible(),
            Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, g, h),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, g, h),
            Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, g, h),
            Ipv6Addr::new(0x2002, g, h, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, !g, !h),
        ];
        for carrier in carriers {
            prop_assert!(!is_public(IpAddr::V6(carrier)), "{}", carrier);
        }
    }
}
