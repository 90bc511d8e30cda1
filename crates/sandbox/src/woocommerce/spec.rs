//! What a WooCommerce shop is like: where it is, what it runs, who has keys.

use crate::world::{Market, Rng, Role};

/// What one shop is like.
#[derive(Debug, Clone)]
pub struct ShopSpec {
    /// The host that WordPress is configured with.
    pub host: String,
    /// Other hosts that reach the same shop, such as the one with `www.`.
    pub aliases: Vec<String>,
    /// The folder that WordPress is in: empty, or `/bolt`.
    pub path: String,
    /// The shop's name, as plain text.
    pub name: String,
    /// Where it sells; decides currency, decimals and time zone.
    pub market: Market,
    /// WooCommerce's version.
    pub version: Version,
    /// WordPress' version.
    pub wordpress: &'static str,
    /// How it is reached.
    pub transport: Transport,
    /// `false`: plain permalinks. Such a shop cannot be connected.
    pub pretty_permalinks: bool,
    /// `false`: the time zone is set as a number of hours, without name or daylight saving.
    pub named_zone: bool,
    /// `false`: WordPress is there, WooCommerce is switched off.
    pub active: bool,
}

/// Major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u16, pub u16, pub u16);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    /// `modified_after`, `modified_before`, `dates_are_gmt`, `orderby=modified`. Since 5.8.
    pub(super) fn has_modified_filters(self) -> bool {
        self >= Version(5, 8, 0)
    }

    /// Orders in tables of their own (HPOS). The default of new shops since 8.2.
    pub(super) fn has_order_tables(self) -> bool {
        self >= Version(8, 2, 0)
    }

    /// Fields that appeared over the years; the exact release of each is not known.
    pub(super) fn has_newer_fields(self) -> bool {
        self >= Version(9, 4, 0)
    }

    /// Keys are honored on `?rest_route=` too. Since 11.1.
    pub(super) fn reads_rest_route(self) -> bool {
        self >= Version(11, 1, 0)
    }
}

/// How a shop is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// By https; http is redirected.
    Https,
    /// By http only: nothing listens for https.
    HttpOnly,
    /// By https to a proxy that does not tell PHP so: for WordPress every request is plain http.
    HttpsHidden,
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permissions {
    /// GET and HEAD.
    Read,
    /// POST, PUT, PATCH and DELETE only.
    Write,
    /// Both.
    ReadWrite,
}

/// A REST API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// `ck_` and 40 hexadecimal digits.
    pub consumer_key: String,
    /// `cs_` and 40 hexadecimal digits.
    pub consumer_secret: String,
    /// What the key may do.
    pub permissions: Permissions,
    /// What its owner may do.
    pub role: Role,
}

impl ApiKey {
    /// A new key; the same generator state gives the same key.
    pub fn generate(rng: &mut Rng, permissions: Permissions, role: Role) -> ApiKey {
        let mut hex = || (0..40).map(|_| char::from(*rng.pick(b"0123456789abcdef"))).collect::<String>();
        ApiKey { consumer_key: format!("ck_{}", hex()), consumer_secret: format!("cs_{}", hex()), permissions, role }
    }
}

impl ShopSpec {
    /// An ordinary shop: https, current version, pretty permalinks.
    pub fn new(host: &str, name: &str, market: Market) -> ShopSpec {
        ShopSpec {
            host: host.to_owned(),
            aliases: vec![],
            path: String::new(),
            name: name.to_owned(),
            market,
            version: Version(11, 0, 1),
            wordpress: "7.0.4",
            transport: Transport::Https,
            pretty_permalinks: true,
            named_zone: true,
            active: true,
        }
    }

    /// The shops of the demo, each with a peculiarity of its own.
    pub fn standard() -> Vec<ShopSpec> {
        let kavebolt = ShopSpec {
            aliases: vec!["www.kavebolt.example".to_owned()],
            ..Self::new("kavebolt.example", "Kávébolt & Pörkölő", Market::HUNGARY)
        };
        let csapagy = ShopSpec {
            transport: Transport::HttpOnly,
            version: Version(10, 6, 2),
            wordpress: "6.9",
            ..Self::new("csapagy.example", "Csapágy Centrum", Market::GERMANY)
        };
        let lampa = ShopSpec {
            transport: Transport::HttpsHidden,
            version: Version(10, 6, 2),
            wordpress: "6.9",
            ..Self::new("lampa.example", "Lampa \"New York\"", Market::NEW_YORK)
        };
        let nagyker = ShopSpec {
            path: "/bolt".to_owned(),
            version: Version(4, 9, 2),
            wordpress: "5.6.2",
            named_zone: false,
            ..Self::new("nagyker.example", "Nagyker", Market::KUWAIT)
        };
        let regi = ShopSpec { pretty_permalinks: false, ..Self::new("regi.example", "Régi bolt", Market::VIETNAM) };
        let tea = ShopSpec { version: Version(11, 1, 0), ..Self::new("tea.example", "お茶の店", Market::JAPAN) };
        vec![kavebolt, csapagy, lampa, nagyker, regi, tea]
    }

    /// The address that WordPress is configured with, without slash at the end.
    pub fn home(&self) -> String {
        format!("{}{}", self.origin(self.transport != Transport::HttpOnly), self.path)
    }

    /// Scheme and host.
    pub(super) fn origin(&self, https: bool) -> String {
        format!("{}://{}", if https { "https" } else { "http" }, self.host)
    }

    /// Whether orders are in tables of their own.
    pub(super) fn hpos(&self) -> bool {
        self.version.has_order_tables()
    }
}
