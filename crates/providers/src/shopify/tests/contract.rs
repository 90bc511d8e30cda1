//! The connector against the simulator, which was written from Shopify's documents by somebody else.

use std::collections::BTreeSet;

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
        Read::<T>::one(&Shopify, &self.call(), id, &Selection::standard())
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

#[tokio::test]
async fn every_order_of_the_shop_is_listed_once_and_as_it_is() {
    let world = World::open().await;
    let expected = world.orders();
    let found: Vec<Order> = world.all(Filters::default(), 25).await;
    let ids = |orders: &[Order]| orders.iter().map(|order| order.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&found), expected.iter().map(|order| order.id.to_string()).collect::<Vec<_>>());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.status, status_of(expected), "{}", found.id);
        assert_eq!(found.line_items.len(), expected.lines.len(), "{}", found.id);
        assert_eq!(found.total, Some(expected.totals.total));
        assert_eq!(found.subtotal, Some(expected.totals.subtotal));
        assert_eq!(found.refunded_total, Some(expected.totals.refunded));
        assert_eq!(found.tax_total, Some(expected.totals.tax));
        assert_eq!(found.updated_at, Some(expected.updated_at));
        let customer = found.customer.as_ref();
        assert_eq!(customer.and_then(|customer| customer.id.clone()), expected.customer_id.map(|id| id.to_string()));
        assert_eq!(customer.and_then(|customer| customer.email.as_ref()).map(shown), expected.email);
        for (line, expected) in found.line_items.iter().zip(&expected.lines) {
            assert_eq!((line.unit_price, line.total), (Some(expected.unit_price), Some(expected.discounted_total)));
            assert_eq!(line.product_id, expected.product_id.map(|id| id.to_string()));
        }
    }
}

#[tokio::test]
async fn a_page_of_twenty_five_orders_with_their_lines_is_one_query_within_the_limit() {
    let world = World::open().await;
    let page = world.list::<Order>(first_page(25)).await.ok().unwrap();
    assert_eq!(page.items.len(), 25);
    assert_eq!(page.total, Some(world.orders().len() as u64));
    assert!(page.notes.cost.is_some());
    assert_eq!(world.sandbox.shopify().calls(HANDLE, "Orders"), 1);
}

#[tokio::test]
async fn without_the_scope_for_all_orders_the_last_sixty_days_are_seen_and_said() {
    let world = World::with(app(FEWER)).await;
    let since = sandbox::world::epoch_end() - chrono::Duration::days(60);
    let page = world.list::<Order>(first_page(25)).await.ok().unwrap();
    assert!(page.notes.coverage.contains(&Coverage::Last60Days));
    assert!(!page.items.is_empty() && page.items.iter().all(|order| order.placed_at.unwrap() > since));
    let all = World::open().await.list::<Order>(first_page(25)).await.ok().unwrap();
    assert!(!all.notes.coverage.contains(&Coverage::Last60Days));
}

#[tokio::test]
async fn every_customer_and_product_is_listed_once_and_as_it_is() {
    let world = World::open().await;
    let customers: Vec<Customer> = world.all(Filters::default(), 25).await;
    let (stored, stored_products) = world.shop().read(|store| (store.customers.clone(), store.products.clone()));
    let ids: BTreeSet<String> = stored.iter().map(|customer| customer.id.to_string()).collect();
    assert_eq!(customers.len(), ids.len());
    for found in &customers {
        let expected = stored.iter().find(|customer| customer.id.to_string() == found.id).unwrap();
        assert_eq!(found.email.as_ref().map(shown), expected.email.as_ref().map(|email| email.address.clone()));
        assert_eq!(found.phone.as_ref().map(shown), expected.phone.as_ref().map(|phone| phone.number.clone()));
        assert_eq!(found.addresses.len(), expected.addresses.len());
        let consent = expected.email.as_ref().map(|email| email.marketing.as_str() == "SUBSCRIBED");
        assert_eq!(found.marketing.email, consent);
    }
    let products: Vec<Product> = world.all(Filters::default(), 25).await;
    assert_eq!(products.len(), stored_products.len(), "also those that are not for sale");
    for found in &products {
        let expected = stored_products.iter().find(|product| product.id.to_string() == found.id).unwrap();
        assert_eq!(found.variants.len(), expected.variants.len(), "{}", found.id);
        assert_eq!(found.currency.as_deref(), Some("EUR"));
        for (variant, expected) in found.variants.iter().zip(&expected.variants) {
            assert_eq!((variant.price, variant.compare_at_price), (Some(expected.price), expected.compare_at_price));
            assert_eq!(variant.inventory_quantity.is_some(), expected.tracked);
        }
    }
    let times: Vec<_> = products.iter().map(|product| product.updated_at).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "those changed last come first");
}

#[tokio::test]
async fn pages_by_number_are_those_that_cursors_lead_to() {
    let world = World::open().await;
    let all: Vec<Order> = world.all(Filters::default(), 7).await;
    for number in [2, 4] {
        let page = world.list::<Order>(Query { position: Position::Page(number), ..first_page(7) }).await.ok().unwrap();
        let start = (number as usize - 1) * 7;
        let expected: Vec<&String> = all[start..start + 7].iter().map(|order| &order.id).collect();
        assert_eq!(page.items.iter().map(|order| &order.id).collect::<Vec<_>>(), expected);
    }
    let beyond = world.list::<Order>(Query { position: Position::Page(1000), ..first_page(7) }).await.ok().unwrap();
    assert!(beyond.items.is_empty() && beyond.next.is_none());
}

#[tokio::test]
async fn every_status_filter_finds_all_that_have_the_status() {
    let world = World::open().await;
    let stored = world.orders();
    for status in OrderStatus::ALL {
        let filters = Filters { status: Some(status.as_str().to_owned()), ..Filters::default() };
        let found: Vec<Order> = world.find(filters).await;
        let found: BTreeSet<String> =
            found.into_iter().filter(|order| order.status == *status).map(|order| order.id).collect();
        let expected = stored.iter().filter(|order| status_of(order) == *status);
        assert_eq!(found, expected.map(|order| order.id.to_string()).collect(), "{status:?}");
    }
}

#[tokio::test]
async fn orders_are_found_by_what_people_know_of_them() {
    let world = World::open().await;
    let stored = world.orders();
    let wanted = stored.iter().find(|order| order.customer_id.is_some() && order.email.is_some()).unwrap();
    let email = wanted.email.clone().unwrap();
    let has = |found: &[Order]| found.iter().any(|order| order.id == wanted.id.to_string());

    let by_email: Vec<Order> = world.find(Filters { email: personal(&email), ..Filters::default() }).await;
    assert!(has(&by_email) && by_email.len() < stored.len());
    for number in [wanted.number.to_string(), format!("#{}", wanted.number)] {
        let found: Vec<Order> = world.find(Filters { number: Some(number), ..Filters::default() }).await;
        assert!(has(&found) && found.len() == 1);
    }
    let customer_id = wanted.customer_id.map(|id| id.to_string());
    let by_customer: Vec<Order> = world.find(Filters { customer_id, ..Filters::default() }).await;
    assert!(has(&by_customer) && by_customer.iter().all(|order| order.customer.is_some()));
    let ids = vec![wanted.id.to_string(), format!("gid://shopify/Order/{}", stored[3].id), "nobody".to_owned()];
    let by_ids: Vec<Order> = world.find(Filters { ids, ..Filters::default() }).await;
    assert_eq!(by_ids.len(), if stored[3].id == wanted.id { 1 } else { 2 });
    let after = stored[10].updated_at;
    let since: Vec<Order> = world.find(Filters { updated_after: Some(after), ..Filters::default() }).await;
    assert_eq!(since.len(), stored.iter().filter(|order| order.updated_at >= after).count());
    let paid: Vec<Order> = world.find(Filters { payment_status: Some("paid".to_owned()), ..Filters::default() }).await;
    assert!(
        !paid.is_empty()
            && paid.iter().all(|order| order.payment_status.is_some_and(|status| status.as_str() == "paid"))
    );
}

#[tokio::test]
async fn customers_and_products_are_found_by_what_people_know_of_them() {
    let world = World::open().await;
    let (customer, product) = world.shop().read(|store| {
        let customer = store.customers.iter().find(|customer| customer.email.is_some() && customer.phone.is_some());
        let product =
            store.products.iter().find(|product| product.variants.iter().any(|variant| variant.sku.is_some()));
        (customer.unwrap().clone(), product.unwrap().clone())
    });
    let id = customer.id.to_string();
    let has = |found: Vec<Customer>| found.iter().any(|customer| customer.id == id);
    let email = customer.email.unwrap().address;
    assert!(has(world.find(Filters { email: personal(&email), ..Filters::default() }).await));
    let phone = customer.phone.unwrap().number;
    assert!(has(world.find(Filters { phone: personal(&phone), ..Filters::default() }).await));
    let name = customer.last_name.unwrap();
    assert!(has(world.find(Filters { search: personal(&name), ..Filters::default() }).await));
    let created_after = Some(customer.created_at);
    assert!(has(world.find(Filters { created_after, ..Filters::default() }).await));
    let hostile = format!(r#"{email}" OR email:"*"#);
    let found: Vec<Customer> = world.find(Filters { email: personal(&hostile), ..Filters::default() }).await;
    assert!(found.is_empty(), "a value adds no terms");

    let sku = product.variants.iter().find_map(|variant| variant.sku.clone());
    let found: Vec<Product> = world.find(Filters { sku, ..Filters::default() }).await;
    assert!(found.iter().any(|found| found.id == product.id.to_string()));
    let draft: Vec<Product> = world.find(Filters { status: Some("draft".to_owned()), ..Filters::default() }).await;
    assert!(draft.iter().all(|product| product.status.as_str() == "draft"));
}

#[tokio::test]
async fn one_record_has_all_of_its_children_and_more_than_a_list() {
    let world = World::open().await;
    let (order, product, customer) = world.shop().edit(|store| {
        let order = store.orders.iter_mut().find(|order| order.refunds.is_empty()).unwrap();
        let line = order.lines[0].clone();
        order.lines = (0..120).map(|n| model::LineItem { id: 9_000_000_000_000_000_000 + n, ..line.clone() }).collect();
        let product = &mut store.products[0];
        let variant = product.variants[0].clone();
        let numbered =
            |n: u64| model::Variant { id: 8_000_000_000_000_000_000 + n, item_id: 70_000_000 + n, ..variant.clone() };
        product.variants = (0..300).map(numbered).collect();
        let customer = store.customers.iter_mut().find(|customer| !customer.addresses.is_empty()).unwrap();
        let address = customer.addresses[0].clone();
        customer.addresses = vec![address; 130];
        (order.id, product.id, customer.id)
    });
    let found: Order = world.one(&order.to_string()).await.unwrap();
    assert_eq!(found.line_items.len(), 120);
    let distinct: BTreeSet<&String> = found.line_items.iter().map(|line| &line.id).collect();
    assert_eq!(distinct.len(), 120);
    let kept = shown(&found.platform_specific.unwrap());
    for more in ["transactions", "refunds", "fulfillments", "taxLines", "processedAt", "paymentGatewayNames"] {
        assert!(kept.get(more).is_some(), "{more}");
    }
    assert_eq!(world.one::<Product>(&product.to_string()).await.unwrap().variants.len(), 300);
    assert_eq!(world.one::<Customer>(&customer.to_string()).await.unwrap().addresses.len(), 130);
    // In a list all of the order's and the customer's too; of the product's as many as eight queries give.
    let listed = world.find::<Order>(Filters { ids: vec![order.to_string()], ..Filters::default() }).await;
    assert_eq!(listed[0].line_items.len(), 120);
}

#[tokio::test]
async fn nobody_is_found_by_an_id_that_is_not_there() {
    let world = World::open().await;
    assert!(world.one::<Order>("1").await.is_none());
    assert!(world.one::<Customer>("gid://shopify/Customer/1").await.is_none());
    assert!(world.one::<Product>("x").await.is_none());
}

#[tokio::test]
async fn switched_off_persons_are_in_no_answer() {
    let world = World::open().await;
    let selection = Selection { persons: false, fields: None };
    let page = world.list::<Order>(Query { selection: selection.clone(), ..first_page(25) }).await.ok().unwrap();
    for order in &page.items {
        assert!(order.customer.is_none() && order.note.is_none());
        assert!(order.billing_address.is_none() && order.shipping_address.is_none());
        assert!(!order.line_items.is_empty());
    }
    let page = world.list::<Customer>(Query { selection, ..first_page(25) }).await.ok().unwrap();
    assert!(page.items.iter().all(|customer| customer.email.is_none() && customer.first_name.is_none()));
}

#[tokio::test]
async fn a_throttled_shop_is_asked_again_in_time() {
    let world = World::open().await;
    world.sandbox.shopify().set_rate(HANDLE, Rate { bucket: 2000.0, restore_per_second: 5000.0, single_query: 1000.0 });
    world.shop().throttle_next(2);
    assert_eq!(world.list::<Order>(first_page(25)).await.ok().unwrap().items.len(), 25);
    assert_eq!(world.shop().counts().throttled, 2);
    world.sandbox.shopify().set_rate(HANDLE, Rate { bucket: 2000.0, restore_per_second: 10.0, single_query: 1000.0 });
    world.shop().throttle_next(1);
    let error = world.list::<Order>(first_page(25)).await.err().unwrap();
    assert!(matches!(error, ProviderError::RateLimited { retry_after } if retry_after.as_secs() > 10), "{error}");
}

#[tokio::test]
async fn a_shop_that_allows_less_for_one_query_is_asked_in_smaller_ones() {
    let world = World::open().await;
    world
        .sandbox
        .shopify()
        .set_rate(HANDLE, Rate { bucket: 20_000.0, restore_per_second: 5000.0, single_query: 300.0 });
    let all: Vec<Order> = world.all(Filters::default(), 25).await;
    assert_eq!(all.len(), world.orders().len());
}

#[tokio::test]
async fn a_shop_in_trouble_says_which() {
    let world = World::open().await;
    let states = [
        (ShopStatus::Frozen, "suspended"),
        (ShopStatus::Forbidden, "forbidden"),
        (ShopStatus::Closed, "suspended"),
        (ShopStatus::Locked, "suspended"),
        (ShopStatus::Rejected, "rate_limited"),
    ];
    for (state, kind) in states {
        world.shop().set_status(state);
        assert_eq!(world.list::<Product>(first_page(5)).await.err().unwrap().kind(), kind, "{state:?}");
    }
}

#[tokio::test]
async fn an_expired_token_is_refreshed_and_a_revoked_one_is_not() {
    let mut world = World::open().await;
    world.sandbox.shopify().expire_tokens(HANDLE);
    assert_eq!(world.list::<Order>(first_page(5)).await.err().unwrap().kind(), "unauthorized");
    let refresh = async |world: &World| {
        Shopify.refresh(&world.http, &world.clock, &World::credentials(), &world.account, world.token()).await
    };
    let renewed = refresh(&world).await.ok().unwrap();
    assert!(renewed.access != world.token().access && renewed.refresh != world.token().refresh);
    assert_eq!(renewed.expires_at, Some(sandbox::world::epoch_end() + chrono::Duration::hours(1)));
    // The answer was lost: the old token gives another.
    let renewed = refresh(&world).await.ok().unwrap();
    world.credential = Credential::Token(renewed);
    assert!(world.list::<Order>(first_page(5)).await.is_ok());

    world.sandbox.shopify().revoke(HANDLE);
    assert_eq!(world.list::<Order>(first_page(5)).await.err().unwrap().kind(), "unauthorized");
    assert_eq!(refresh(&world).await.err().unwrap().kind(), "unauthorized");
}

#[tokio::test]
async fn what_is_not_approved_is_withheld_and_what_is_refused_is_forbidden() {
    let world = World::with(App { data_access: DataAccess::WithoutIdentity, ..app(SCOPES) }).await;
    let page = world.list::<Order>(first_page(25)).await.ok().unwrap();
    assert_eq!(page.items.len(), 25);
    assert!(page.notes.withheld.iter().all(|withheld| withheld.reason == WithheldReason::ProviderApproval));
    assert!(page.notes.withheld.iter().any(|withheld| withheld.field == "email"));
    let world = World::with(App { data_access: DataAccess::None, ..app(SCOPES) }).await;
    assert_eq!(world.list::<Order>(first_page(25)).await.err().unwrap().kind(), "forbidden");
    let world = World::with(app("read_products")).await;
    let error = world.list::<Order>(first_page(25)).await.err().unwrap();
    let ProviderError::Forbidden { missing_scopes, .. } = error else { panic!("{error}") };
    assert!(missing_scopes.contains(&"read_orders".to_owned()), "{missing_scopes:?}");
    let world = World::with(app("read_orders,read_all_orders,read_products")).await;
    let page = world.list::<Order>(first_page(25)).await.ok().unwrap();
    let scope: Vec<_> =
        page.notes.withheld.iter().filter(|withheld| withheld.reason == WithheldReason::Scope).collect();
    assert!(scope.iter().any(|withheld| withheld.field == "customer"), "{:?}", page.notes.withheld);
}

/// As a browser would: install page, consent, callback, exchange.
#[tokio::test]
async fn an_owner_connects_a_shop() {
    let world = World::open().await;
    let credentials = World::credentials();
    let now: Time = world.clock.now();
    let choose = world.http.send(Request::get(Shopify.install_url(&credentials))).await.ok().unwrap();
    let page = String::from_utf8(choose.body.to_vec()).unwrap();
    let link =
        page.split('"').find(|part| part.contains(HANDLE) && part.starts_with('/')).unwrap().replace("&amp;", "&");
    let opened = world.http.send(Request::get(choose.url.join(&link).unwrap())).await.ok().unwrap();
    let install_request = Url::parse(opened.header(header::LOCATION).unwrap()).unwrap();
    let install = Shopify.verify_install(&credentials, install_request.query().unwrap(), now).unwrap();
    assert_eq!(install, Install { account: format!("{HANDLE}.myshopify.com") });

    let consent = Shopify.authorize_url(&credentials, &install, "state-1", &Url::parse(BACK).unwrap());
    assert_eq!(world.http.send(Request::get(consent.clone())).await.ok().unwrap().status, 200);
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(consent.query_pairs())
        .append_pair("decision", "approve")
        .finish();
    let mut decide = Request::new(Method::POST, consent)
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    decide.body = Some(form.into());
    let decided = world.http.send(decide).await.ok().unwrap();
    let back = Url::parse(decided.header(header::LOCATION).unwrap()).unwrap();
    let callback = Shopify.verify_callback(&credentials, back.query().unwrap(), now).ok().unwrap();
    assert_eq!(callback.state, "state-1");

    let established = Shopify.exchange(&world.http, &world.clock, &credentials, &callback).await.ok().unwrap();
    assert_eq!(established.external_account, format!("{HANDLE}.myshopify.com"));
    assert_eq!(established.display_name, "Feine Dinge");
    assert_eq!(established.config["currency"], "EUR");
    assert_eq!(established.scopes, ["read_customers", "read_orders", "read_products"]);
    let account = Account { config: established.config, scopes: established.scopes, ..world.account.clone() };
    let call = Call { account: &account, credential: &established.credential, ..world.call() };
    assert!(Read::<Order>::list(&Shopify, &call, &first_page(5)).await.is_ok());
    // The code was used.
    let again = Shopify.exchange(&world.http, &world.clock, &credentials, &callback).await.err().unwrap();
    assert_eq!(again.kind(), "rejected");
}
