//! Pages, single records, and the children that do not come with them.

use connector::{
    Account, Answer, Coverage, Credential, Customer, Filters, KeyPair, Order, Page, Position, Product, ProviderError,
    Query, Read, Selection,
};
use kernel::Secret;
use serde_json::{Value, json};

use super::{
    fixtures::fixture,
    shop::{Asked, Reply, Shop},
};
use crate::shopify::Shopify;

pub(super) fn page(page: u32, limit: u16) -> Query {
    Query { filters: Filters::default(), selection: Selection::standard(), limit, position: Position::Page(page) }
}

pub(super) async fn orders(shop: &Shop, query: Query) -> Result<Page<Order>, ProviderError> {
    Read::<Order>::list(&Shopify, &shop.call(), &query).await
}

async fn order(shop: &Shop, id: &str) -> Answer<Order> {
    Read::<Order>::one(&Shopify, &shop.call(), id, &Selection::everything()).await.ok().unwrap()
}

fn node(number: u64) -> Value {
    json!({"id": format!("gid://shopify/Order/{number}"), "legacyResourceId": number.to_string()})
}

fn lines(numbers: std::ops::Range<u64>, more: bool) -> Value {
    let line = |number: u64| json!({"id": format!("gid://shopify/LineItem/{number}"), "name": "n", "quantity": 1});
    let nodes: Vec<Value> = numbers.clone().map(line).collect();
    json!({"nodes": nodes, "pageInfo": {"hasNextPage": more, "endCursor": numbers.end.to_string()}})
}

/// So many orders, numbered from one; cursors are the number that came last.
fn counting(total: u64, points_each: f64) -> impl Fn(&Asked, usize) -> Reply + Send + Sync {
    move |asked, _| {
        let first = asked.variable("first").as_u64().unwrap();
        let after: u64 = asked.variable("after").as_str().map_or(0, |cursor| cursor.parse().unwrap());
        let last = (after + first).min(total);
        let nodes: Vec<Value> = (after + 1..=last).map(node).collect();
        let page_info = json!({"hasNextPage": last < total, "endCursor": last.to_string()});
        let cost =
            json!({"requestedQueryCost": points_each * first as f64, "actualQueryCost": 1.5, "throttleStatus": null});
        let records = if asked.operation().ends_with("Position") {
            json!({"pageInfo": page_info})
        } else {
            json!({"nodes": nodes, "pageInfo": page_info})
        };
        json!({"data": {"records": records}, "extensions": {"cost": cost}}).into()
    }
}

fn ids(page: &Page<Order>) -> Vec<&str> {
    page.items.iter().map(|order| order.id.as_str()).collect()
}

#[tokio::test]
async fn a_page_is_one_query_with_its_total_and_cost() {
    let shop = Shop::open(|_, _| fixture!("orders").into()).await;
    let found = orders(&shop, page(1, 25)).await.ok().unwrap();
    assert_eq!((found.items.len(), found.total), (5, Some(118)));
    assert_eq!(found.notes.cost, Some(58.5));
    assert_eq!(found.notes.coverage, [Coverage::Last60Days]);
    assert_eq!(found.next, None);
    let [asked] = shop.asked().try_into().ok().unwrap();
    assert_eq!(asked.path, "/admin/api/2026-10/graphql.json");
    assert_eq!(asked.token.as_deref(), Some("shpat_alive"));
    assert_eq!(*asked.variable("first"), json!(25));
    assert!(asked.query().contains("billingAddress") && asked.query().contains("ordersCount"));
    assert!(!asked.query().contains("processedAt"), "what is not wanted is not asked for");
}

#[tokio::test]
async fn a_total_is_exact_or_none() {
    let shop = Shop::open(|_, _| fixture!("customers").into()).await;
    let found = Read::<Customer>::list(&Shopify, &shop.call(), &page(1, 25)).await.ok().unwrap();
    assert_eq!((found.items.len(), found.total), (2, None), "at least 10,000 is no total");
    let shop = Shop::open(|_, _| fixture!("orders").into()).await;
    let filters = Filters { status: Some("completed".to_owned()), ..Filters::default() };
    orders(&shop, Query { filters, ..page(1, 25) }).await.ok().unwrap();
    assert!(!shop.asked()[0].query().contains("ordersCount"), "the shop would count more than fits");
}

#[tokio::test]
async fn prices_are_in_the_shops_currency() {
    let shop = Shop::open(|_, _| fixture!("products").into()).await;
    let found = Read::<Product>::list(&Shopify, &shop.call(), &page(1, 25)).await.ok().unwrap();
    assert_eq!(found.items[0].currency.as_deref(), Some("HUF"));
    assert_eq!(found.total, Some(2));
}

#[tokio::test]
async fn a_page_by_number_is_walked_to_without_reading() {
    let shop = Shop::open(counting(1000, 1.0)).await;
    let found = orders(&shop, page(4, 100)).await.ok().unwrap();
    assert_eq!(shop.operations()[..2], ["OrdersPosition", "OrdersPosition"]);
    let firsts: Vec<u64> = shop.asked()[..2].iter().map(|asked| asked.variable("first").as_u64().unwrap()).collect();
    assert_eq!(firsts, [250, 50]);
    assert_eq!((ids(&found)[0], ids(&found)[99]), ("301", "400"));
    assert_eq!(found.next.as_deref(), Some("400"));
}

#[tokio::test]
async fn a_page_behind_the_end_is_empty() {
    let shop = Shop::open(counting(30, 1.0)).await;
    let found = orders(&shop, page(3, 25)).await.ok().unwrap();
    assert!(found.items.is_empty() && found.next.is_none());
    assert_eq!(shop.asked().len(), 1);
}

#[tokio::test]
async fn a_list_that_promises_more_and_gives_nothing_is_not_asked_for_ever() {
    let shop = Shop::open(|_, _| {
        json!({"data": {"records": {"nodes": [], "pageInfo": {"hasNextPage": true, "endCursor": "same"}}}}).into()
    })
    .await;
    let found = orders(&shop, page(1, 25)).await.ok().unwrap();
    assert_eq!((found.items.len(), found.next.as_deref(), shop.asked().len()), (0, Some("same"), 1));
}

#[tokio::test]
async fn a_cursor_goes_on_where_it_was() {
    let shop = Shop::open(counting(60, 1.0)).await;
    let query = Query { position: Position::After("25".to_owned()), ..page(1, 25) };
    let found = orders(&shop, query).await.ok().unwrap();
    assert_eq!((ids(&found)[0], found.next.as_deref()), ("26", Some("50")));
}

#[tokio::test]
async fn a_large_page_takes_as_few_queries_as_the_points_allow() {
    // As dear as the estimate says: 25 at a time.
    let dear = Shop::open(counting(1000, 39.0)).await;
    let found = orders(&dear, page(1, 100)).await.ok().unwrap();
    assert_eq!((found.items.len(), dear.asked().len()), (100, 4));
    // Half as dear: after the first answer 50 fit.
    let cheap = Shop::open(counting(1000, 19.0)).await;
    let found = orders(&cheap, page(1, 100)).await.ok().unwrap();
    assert_eq!((found.items.len(), cheap.asked().len()), (100, 3));
    assert_eq!(found.notes.cost, Some(4.5), "the costs add up");
    assert_eq!(ids(&found)[99], "100");
}

#[tokio::test]
async fn more_line_items_of_a_page_are_read_for_several_orders_at_once() {
    let shop = Shop::open(|asked, _| {
        let data = match asked.operation() {
            "Orders" => {
                let with = |number, lines| {
                    let mut node = node(number);
                    node["lineItems"] = lines;
                    node
                };
                let nodes = [with(1, lines(0..3, true)), with(2, lines(0..2, false)), with(3, lines(0..3, true))];
                json!({"records": {"nodes": nodes, "pageInfo": {"hasNextPage": false, "endCursor": null}}})
            }
            "OrdersLineItems" => {
                assert_eq!(*asked.variable("ids"), json!(["gid://shopify/Order/1", "gid://shopify/Order/3"]));
                let children = |id: &str, lines| json!({"id": id, "children": lines});
                let (one, three) = (lines(0..25, true), lines(0..4, false));
                json!({"records": [children("gid://shopify/Order/1", one), children("gid://shopify/Order/3", three)]})
            }
            "OrderLineItems" => {
                assert_eq!(*asked.variable("after"), json!("25"));
                json!({"record": {"id": "gid://shopify/Order/1", "children": lines(25..30, false)}})
            }
            other => panic!("{other}"),
        };
        json!({ "data": data }).into()
    })
    .await;
    let found = orders(&shop, page(1, 25)).await.ok().unwrap();
    let counts: Vec<usize> = found.items.iter().map(|order| order.line_items.len()).collect();
    assert_eq!(counts, [30, 2, 4]);
    assert_eq!(found.items[0].line_items[29].id, "29");
    assert!(!found.notes.coverage.contains(&Coverage::Abridged));
    assert_eq!(shop.operations(), ["Orders", "OrdersLineItems", "OrderLineItems"]);
}

#[tokio::test]
async fn a_list_that_may_not_read_on_says_that_it_is_abridged() {
    let shop = Shop::open(|asked, _| match asked.operation() {
        "Orders" => {
            let mut order = node(1);
            order["lineItems"] = lines(0..3, true);
            json!({"data": {"records": {"nodes": [order], "pageInfo": {"hasNextPage": false, "endCursor": null}}}})
                .into()
        }
        _ => Reply::status(429, &json!({})).header("retry-after", "30"),
    })
    .await;
    let found = orders(&shop, page(1, 25)).await.ok().unwrap();
    assert_eq!(found.items[0].line_items.len(), 3);
    assert!(found.notes.coverage.contains(&Coverage::Abridged));
}

#[tokio::test]
async fn a_list_reads_on_only_so_often() {
    let shop = Shop::open(|asked, _| match asked.operation() {
        "Orders" => {
            let mut order = node(1);
            order["lineItems"] = lines(0..3, true);
            json!({"data": {"records": {"nodes": [order], "pageInfo": {"hasNextPage": false, "endCursor": null}}}})
                .into()
        }
        "OrdersLineItems" => {
            json!({"data": {"records": [{"id": "gid://shopify/Order/1", "children": lines(0..25, true)}]}}).into()
        }
        _ => json!({"data": {"record": {"id": "gid://shopify/Order/1", "children": lines(0..1, true)}}}).into(),
    })
    .await;
    let found = orders(&shop, page(1, 25)).await.ok().unwrap();
    assert_eq!(shop.asked().len(), 9, "the page and eight more");
    assert!(found.notes.coverage.contains(&Coverage::Abridged));
}

#[tokio::test]
async fn one_order_has_all_its_line_items_and_what_lists_leave_out() {
    let shop = Shop::open(|asked, _| {
        if asked.operation() == "Order" {
            let mut body = fixture!("order");
            body["data"]["record"]["lineItems"]["pageInfo"] = json!({"hasNextPage": true, "endCursor": "c1"});
            return body.into();
        }
        assert_eq!(*asked.variable("after"), json!("c1"));
        assert!(asked.query().contains("taxLines"));
        json!({"data": {"record": {"id": "gid://shopify/Order/9007199254740993", "children": lines(50..60, false)}}})
            .into()
    })
    .await;
    let answer = order(&shop, "9007199254740993").await;
    let found = answer.item.unwrap();
    assert_eq!(found.line_items.len(), 12);
    assert!(found.platform_specific.is_some());
    assert_eq!(*shop.asked()[0].variable("id"), json!("gid://shopify/Order/9007199254740993"));
    assert_eq!(shop.operations(), ["Order", "OrderLineItems"]);
}

#[tokio::test]
async fn one_record_is_asked_for_by_number_or_global_id() {
    let shop = Shop::open(|_, _| fixture!("order").into()).await;
    assert!(order(&shop, "gid://shopify/Order/12").await.item.is_some());
    assert_eq!(*shop.asked()[0].variable("id"), json!("gid://shopify/Order/12"));
}

#[tokio::test]
async fn what_cannot_be_an_id_is_nobody_and_asks_nothing() {
    let shop = Shop::open(|_, _| fixture!("order").into()).await;
    for id in ["", "abc", "-1", "1 OR 2", "gid://shopify/Product/1", "99999999999999999999999", "#1042"] {
        assert!(order(&shop, id).await.item.is_none(), "{id}");
    }
    assert!(shop.asked().is_empty());
}

#[tokio::test]
async fn an_id_that_is_not_there_is_nobody() {
    let shop = Shop::open(|_, _| json!({"data": {"record": null}}).into()).await;
    assert!(order(&shop, "12").await.item.is_none());
}

#[tokio::test]
async fn ids_that_cannot_be_ids_find_nothing_and_ask_nothing() {
    let shop = Shop::open(|_, _| fixture!("orders").into()).await;
    let filters = Filters { ids: vec!["x".to_owned()], ..Filters::default() };
    let found = orders(&shop, Query { filters, ..page(1, 25) }).await.ok().unwrap();
    assert_eq!((found.items.len(), found.total, found.next), (0, Some(0), None));
    assert!(shop.asked().is_empty());
}

#[tokio::test]
async fn all_orders_are_seen_with_the_scope_for_it() {
    let mut shop = Shop::open(|_, _| fixture!("orders").into()).await;
    shop.account.scopes.push("read_all_orders".to_owned());
    assert!(orders(&shop, page(1, 25)).await.ok().unwrap().notes.coverage.is_empty());
}

#[tokio::test]
async fn a_token_goes_to_no_host_but_a_shops() {
    let mut shop = Shop::open(|_, _| fixture!("orders").into()).await;
    shop.account = Account { external_account: "evil.com".to_owned(), ..shop.account };
    assert_eq!(orders(&shop, page(1, 25)).await.err().unwrap().kind(), "rejected");
}

#[tokio::test]
async fn a_key_pair_is_no_credential_of_shopify() {
    let mut shop = Shop::open(|_, _| fixture!("orders").into()).await;
    shop.credential = Credential::Keys(KeyPair { key: Secret::new("k"), secret: Secret::new("s") });
    assert_eq!(orders(&shop, page(1, 25)).await.err().unwrap().kind(), "unauthorized");
}

#[tokio::test]
async fn only_declared_variables_are_sent() {
    let shop = Shop::open(counting(60, 1.0)).await;
    orders(&shop, page(2, 25)).await.ok().unwrap();
    let sent = shop.asked()[0].body["variables"].as_object().unwrap().clone();
    let names: Vec<&str> = sent.keys().map(String::as_str).collect();
    assert_eq!(names, ["after", "first", "query"]);
}

#[tokio::test]
async fn what_is_switched_off_is_not_in_the_query() {
    let shop = Shop::open(counting(60, 1.0)).await;
    let query = Query { selection: Selection { persons: false, ..Selection::standard() }, ..page(1, 25) };
    orders(&shop, query).await.ok().unwrap();
    let asked = shop.asked();
    for person in ["customer", "email", "phone", "Address", "note", "firstName"] {
        assert!(!asked[0].query().contains(person), "{person}");
    }
    assert!(asked[0].query().contains("totalPriceSet"));
}
