//! A simulated shop, and a connection to it.

use std::collections::BTreeSet;

use connector::{
    Account, Answer, Call, Credential, Customer, Established, Filters, Order, Page, PastedKeys as _, Position, Product,
    ProviderError, Query, Read, Selection,
    http::{Hosts, Http, HttpOptions, Route},
    provider::{ConnectError, PastedSecrets},
};
use kernel::{Clock, Secret};
use sandbox::{
    Options, Sandbox,
    woocommerce::{ApiKey, Permissions, Shop, ShopSpec},
    world::{self, Role},
};
use serde_json::json;

use super::view::everything;
use crate::woocommerce::Woocommerce;

/// The simulated world with a client whose names lead there.
pub(super) struct Net {
    pub(super) sandbox: Sandbox,
    pub(super) http: Http,
    pub(super) clock: Clock,
}

impl Net {
    pub(super) async fn start() -> Self {
        Self::with(ShopSpec::standard()).await
    }

    pub(super) async fn with(shops: Vec<ShopSpec>) -> Self {
        let sandbox = Sandbox::start(Options { woocommerce: shops, ..Options::default() }).await.unwrap();
        let routes = sandbox.routes().into_iter();
        let routes =
            routes.map(|route| Route { pattern: route.pattern, https: route.https, http: route.http }).collect();
        let hosts = Hosts::sandbox(Some(sandbox.ca_certificate_der()), routes, vec![]).unwrap();
        let http = Http::new(hosts, HttpOptions::default()).unwrap();
        Self { sandbox, http, clock: Clock::system() }
    }

    pub(super) fn shop(&self, host: &str) -> &Shop {
        self.sandbox.woocommerce().shop(host).unwrap()
    }

    /// Pastes an address and a pair of keys.
    pub(super) async fn connect(&self, address: &str, key: &str, secret: &str) -> Result<Established, ConnectError> {
        let secrets = PastedSecrets(vec![
            ("consumer_key".to_owned(), Secret::new(key)),
            ("consumer_secret".to_owned(), Secret::new(secret)),
        ]);
        Woocommerce.establish(&self.http, &self.clock, &json!({ "shop_url": address }), &secrets).await
    }

    /// With the key that an administrator made for reading.
    pub(super) async fn connect_reader(&self, address: &str, host: &str) -> Result<Established, ConnectError> {
        let key = key(self.shop(host), Permissions::Read, Role::Administrator);
        self.connect(address, &key.consumer_key, &key.consumer_secret).await
    }

    pub(super) async fn connected(&self, address: &str, host: &str) -> Connected<'_> {
        let established = self.connect_reader(address, host).await.unwrap();
        let account =
            Account { external_account: established.external_account, config: established.config, scopes: vec![] };
        self.shop(host).calls().clear();
        Connected { net: self, host: host.to_owned(), account, credential: established.credential }
    }
}

pub(super) fn key(shop: &Shop, permissions: Permissions, role: Role) -> ApiKey {
    shop.key(permissions, role).unwrap()
}

/// A connection, ready for calls.
pub(super) struct Connected<'n> {
    net: &'n Net,
    host: String,
    pub(super) account: Account,
    pub(super) credential: Credential,
}

impl Connected<'_> {
    pub(super) fn call(&self) -> Call<'_> {
        Call { http: &self.net.http, account: &self.account, credential: &self.credential, clock: &self.net.clock }
    }

    pub(super) fn shop(&self) -> &Shop {
        self.net.shop(&self.host)
    }
}

/// The field that the person can mend, and what they are told.
pub(super) fn blamed(outcome: Result<Established, ConnectError>) -> (&'static str, String) {
    match outcome {
        Ok(_) => panic!("the shop was connected"),
        Err(ConnectError::Invalid { field, message }) => (field, message),
        Err(ConnectError::Provider(error)) => panic!("nobody is blamed: {error}"),
    }
}

/// Every way of proving keys, and both ends of the versions.
pub(super) const SHOPS: &[(&str, &str)] = &[
    ("https://kavebolt.example", "kavebolt.example"),
    ("http://csapagy.example", "csapagy.example"),
    ("https://lampa.example", "lampa.example"),
    ("https://nagyker.example/bolt", "nagyker.example"),
    ("https://tea.example", "tea.example"),
];

pub(super) fn query(page: u32, limit: u16, filters: Filters) -> Query {
    Query { filters, selection: Selection::standard(), limit, position: Position::Page(page) }
}

pub(super) async fn orders(shop: &Connected<'_>, query: &Query) -> Result<Page<Order>, ProviderError> {
    Read::<Order>::list(&Woocommerce, &shop.call(), query).await
}

pub(super) async fn customers(shop: &Connected<'_>, query: &Query) -> Result<Page<Customer>, ProviderError> {
    Read::<Customer>::list(&Woocommerce, &shop.call(), query).await
}

pub(super) async fn products(shop: &Connected<'_>, query: &Query) -> Result<Page<Product>, ProviderError> {
    Read::<Product>::list(&Woocommerce, &shop.call(), query).await
}

pub(super) async fn order(shop: &Connected<'_>, id: &str) -> Result<Answer<Order>, ProviderError> {
    Read::<Order>::one(&Woocommerce, &shop.call(), id, &everything()).await
}

/// The ids of a shop's orders that satisfy a question; lists show no trash and no checkouts that were only begun.
pub(super) fn listed(shop: &Connected<'_>, question: impl Fn(&world::Order) -> bool) -> BTreeSet<String> {
    let is_listed = |order: &&world::Order| !order.trashed && order.status != world::OrderStatus::CheckoutDraft;
    shop.shop().read(|world| {
        let orders = world.orders.iter().filter(is_listed).filter(|order| question(order));
        orders.map(|order| order.id.to_string()).collect()
    })
}
