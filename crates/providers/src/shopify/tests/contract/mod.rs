//! The connector against the simulator, which was written from Shopify's documents by somebody else.

mod access;
mod reads;

use connector::{
    Account, AppCredentials, AuthorizationCode, Call, Coverage, Credential, Customer, Filters, Order, Page, Position,
    Product, ProviderError, Query, Read, Selection, Token, WithheldReason,
    http::{Hosts, Http, HttpOptions, Request, Route},
    model::OrderStatus,
    provider::Install,
};
use http::{HeaderValue, Method, header};
use kernel::{Clock, Personal, Secret, Time};
use sandbox::{
    Options, Sandbox,
    shopify::{App, DataAccess, Rate, Shop, ShopStatus, store::model},
};
use serde_json::json;
use url::{Url, form_urlencoded};

use super::shown;
use crate::shopify::{Shopify, convert};

const HANDLE: &str = "feine-dinge";
const CLIENT_ID: &str = "hub";
const SCOPES: &str = "read_customers,read_orders,read_all_orders,read_products";
const FEWER: &str = "read_customers,read_orders,read_products";
const BACK: &str = "https://hub.example/callback";

/// A shop with the app installed, and everything to call it.
struct World {
    sandbox: Sandbox,
    http: Http,
    clock: Clock,
    account: Account,
    credential: Credential,
}

fn app(scopes: &str) -> App {
    App::new(CLIENT_ID, "hush", "https://hub.example/install", BACK, scopes)
}

impl World {
    async fn open() -> Self {
        Self::with(app(SCOPES)).await
    }

    async fn with(app: App) -> Self {
        let mut options = Options::default();
        options.shopify.apps.push(app);
        // The invented orders end here; some are from the 60 days before, which every app may read.
        options.clock.set_now(sandbox::world::epoch_end());
        let sandbox = Sandbox::start(options).await.unwrap();
        let routes = sandbox.routes().into_iter();
        let routes =
            routes.map(|route| Route { pattern: route.pattern, https: route.https, http: route.http }).collect();
        let hosts = Hosts::sandbox(Some(sandbox.ca_certificate_der()), routes, vec![]).unwrap();
        let rate = Rate { bucket: 1e6, restore_per_second: 1e5, single_query: 1000.0 };
        sandbox.shopify().set_rate(HANDLE, rate);
        let installed = sandbox.shopify().install(HANDLE, CLIENT_ID, true).unwrap();
        let scopes: Vec<String> = installed.scopes.iter().map(str::to_owned).collect();
        let token = Token {
            access: Secret::new(installed.access_token),
            refresh: installed.refresh_token.map(Secret::new),
            expires_at: installed.expires_at,
            refresh_expires_at: None,
            scopes: scopes.clone(),
        };
        Self {
            http: Http::new(hosts, HttpOptions::default()).unwrap(),
            clock: Clock::manual(sandbox::world::epoch_end()),
            account: Account { external_account: format!("{HANDLE}.myshopify.com"), config: json!({}), scopes },
            credential: Credential::Token(token),
            sandbox,
        }
    }

    fn shop(&self) -> &Shop {
        self.sandbox.shopify().shop(HANDLE).unwrap()
    }

    fn call(&self) -> Call<'_> {
        Call { http: &self.http, account: &self.account, credential: &self.credential, clock: &self.clock }
    }

    fn token(&self) -> &Token {
        let Credential::Token(token) = &self.credential else { panic!("a token") };
        token
    }

    fn credentials() -> AppCredentials {
        AppCredentials { client_id: CLIENT_ID.to_owned(), client_secret: Secret::new("hush"), previous_secret: None }
    }

    async fn list<T>(&self, query: Query) -> Result<Page<T>, ProviderError>
    where
        Shopify: Read<T>,
    {
        Read::<T>::list(&Shopify, &self.call(), &query).await
    }

    async fn find<T>(&self, filters: Filters) -> Vec<T>
    where
        Shopify: Read<T>,
    {
        self.all(filters, 100).await
    }

    /// Every page, by cursor.
    async fn all<T>(&self, filters: Filters, limit: u16) -> Vec<T>
    where
        Shopify: Read<T>,
    {
        let mut items = Vec::new();
        let mut position = Position::Page(1);
        loop {
            let query = Query { filters: filters.clone(), selection: Selection::standard(), limit, position };
            let page = self.list::<T>(query).await.unwrap_or_else(|error| panic!("{error}"));
            assert!(page.items.len() <= usize::from(limit));
            items.extend(page.items);
            let Some(next) = page.next else { return items };
            position = Position::After(next);
        }
    }

    async fn one<T>(&self, id: &str) -> Option<T>
    where
        Shopify: Read<T>,
    {
        Read::<T>::one(&Shopify, &self.call(), id, &Selection::everything())
            .await
            .unwrap_or_else(|error| panic!("{error}"))
            .item
    }

    /// The shop's orders, those changed last first.
    fn orders(&self) -> Vec<model::Order> {
        let mut orders = self.shop().read(|store| store.orders.clone());
        orders.sort_by_key(|order| std::cmp::Reverse((order.updated_at, order.id)));
        assert!(orders.len() > 25, "{} orders", orders.len());
        orders
    }
}

fn first_page(limit: u16) -> Query {
    Query { filters: Filters::default(), selection: Selection::standard(), limit, position: Position::Page(1) }
}

fn personal(text: &str) -> Option<Personal<String>> {
    Some(Personal::new(text.to_owned()))
}

fn status_of(order: &model::Order) -> OrderStatus {
    let payment = order.financial.and_then(|status| convert::payment_status(status.as_str()));
    convert::status(order.cancelled.is_some(), payment, convert::fulfillment_status(order.fulfillment.as_str()))
}
