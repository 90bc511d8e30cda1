//! Pages, filters and order of collections.

use crate::lab::{Lab, admin};
use http::Method;
use sandbox::woocommerce::Shop;
use sandbox::world::{CanaryPerson, OrderStatus, Person, Size};
use sandbox::{Options, world};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn kavebolt(lab: &Lab) -> &Shop {
    lab.shop("kavebolt.example")
}

/// Ids of all orders that a list shows by default, oldest first.
fn visible(lab: &Lab) -> Vec<u64> {
    let shown = |order: &&world::Order| !order.trashed && order.status != OrderStatus::CheckoutDraft;
    kavebolt(lab).read(|world| world.orders.iter().filter(shown).map(|order| order.id).collect())
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let lab = Lab::start().await;
    let expected = visible(&lab);
    let mut seen = vec![];
    for page in 1.. {
        let reply = lab.wc(&format!("orders?orderby=id&order=asc&per_page=25&page={page}")).await;
        let ids = reply.ids();
        if ids.is_empty() {
            break;
        }
        assert_eq!(reply.header("x-wp-total"), expected.len().to_string());
        assert_eq!(reply.header("x-wp-totalpages"), expected.len().div_ceil(25).to_string());
        seen.extend(ids);
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn ten_newest_orders_come_first_unless_asked_otherwise() {
    let lab = Lab::start().await;
    let mut newest = visible(&lab);
    newest.reverse();
    assert_eq!(lab.wc("orders").await.ids(), newest[..10]);
    assert_eq!(lab.wc("orders?offset=3&per_page=2").await.ids(), newest[3..5]);
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let lab = Lab::start().await;
    for (query, name, message) in [
        ("per_page=101", "per_page", "per_page must be between 1 (inclusive) and 100 (inclusive)"),
        ("per_page=0", "per_page", "per_page must be between 1 (inclusive) and 100 (inclusive)"),
        ("page=0", "page", "page must be greater than or equal to 1"),
        ("page=x", "page", "page is not of type integer."),
        ("order=up", "order", "order is not one of asc and desc."),
        ("orderby=total", "orderby", "orderby is not one of date, id, include, title, slug, and modified."),
        ("modified_after=2026-01-01", "modified_after", "Invalid date."),
        ("after=1700000000", "after", "Invalid date."),
        ("include=1,a", "include", "include[1] is not of type integer."),
        ("dates_are_gmt=perhaps", "dates_are_gmt", "dates_are_gmt is not of type boolean."),
    ] {
        let reply = lab.wc(&format!("orders?{query}")).await;
        assert_eq!(reply.error(), (400, "rest_invalid_param".into()), "{query}");
        let json = reply.json();
        assert_eq!(json["message"], format!("Invalid parameter(s): {name}"));
        assert_eq!(json["data"]["params"][name], message);
        assert_eq!(json["data"]["details"][name]["message"], message);
    }
    let both = lab.wc("orders?per_page=101&order=up").await.json();
    assert_eq!(both["message"], "Invalid parameter(s): per_page, order");
    assert_eq!(lab.wc("orders?status=sold").await.status, 400);
    assert_eq!(lab.wc("orders?nonsense=1&_cache=2").await.status, 200, "unknown parameters are ignored");
}

#[tokio::test]
async fn past_the_end_orders_forget_their_total_and_the_others_do_not() {
    let lab = Lab::start().await;
    let total = |reply: &crate::lab::Reply| (reply.list().len(), reply.header("x-wp-total").to_owned());
    assert_eq!(total(&lab.wc("orders?page=999").await), (0, "0".into()));
    for path in ["customers", "products"] {
        let (count, sum) = total(&lab.wc(&format!("{path}?page=999")).await);
        assert!(count == 0 && sum != "0", "{path} {sum}");
    }
    // Before order tables the count was right.
    let old = lab.shop("nagyker.example");
    let reply = lab.get(&admin(old), "https://nagyker.example/bolt/wp-json/wc/v3/orders?page=999").await;
    assert_ne!(total(&reply).1, "0");
}

#[tokio::test]
async fn links_lead_to_the_neighbors_and_carry_all_parameters_even_secrets() {
    let lab = Lab::start().await;
    let key = admin(kavebolt(&lab));
    let keys = format!("consumer_key={}&consumer_secret={}", key.consumer_key, key.consumer_secret);
    let url = "https://kavebolt.example/wp-json/wc/v3/orders";
    let middle = lab.anonymous(&format!("{url}?per_page=5&page=2&{keys}")).await;
    let link = middle.header("link");
    assert_eq!(
        link,
        format!("<{url}?per_page=5&page=1&{keys}>; rel=\"prev\", <{url}?per_page=5&page=3&{keys}>; rel=\"next\"")
    );
    let first = lab.wc("orders?per_page=100&search=nobody%20has%20this").await;
    assert!(first.header("link").contains("api.w.org"), "without neighbors there is the link to the API");
}

#[tokio::test]
async fn the_trash_and_begun_checkouts_are_left_out_but_found_when_asked_for() {
    let lab = Lab::start().await;
    let (trashed, draft) = kavebolt(&lab).read(|world| {
        let find = |test: &dyn Fn(&world::Order) -> bool| world.orders.iter().find(|order| test(order)).unwrap().id;
        (find(&|order| order.trashed), find(&|order| order.status == OrderStatus::CheckoutDraft))
    });
    let by_id = lab.wc(&format!("orders/{trashed}")).await;
    assert_eq!((by_id.status.as_u16(), &by_id.json()["status"]), (200, &json!("trash")));
    assert!(lab.wc("orders?status=trash&per_page=100").await.ids().contains(&trashed));
    assert!(lab.wc("orders?status=checkout-draft&per_page=100").await.ids().contains(&draft));
    assert!(lab.wc(&format!("orders?include={trashed},{draft}")).await.ids().is_empty());
}

#[tokio::test]
async fn orders_are_found_by_status_customer_product_id_and_words() {
    let lab = Lab::start().await;
    let all = lab.wc("orders?per_page=100").await.list();
    let of = |test: &dyn Fn(&Value) -> bool| all.iter().filter(|order| test(order)).count();
    let statuses = lab.wc("orders?status=cancelled,failed&per_page=100").await.list();
    assert!(statuses.iter().all(|order| order["status"] == "cancelled" || order["status"] == "failed"));
    assert!(statuses.len() >= of(&|order| order["status"] == "failed"));
    let customer = all.iter().find(|order| order["customer_id"] != 0).unwrap()["customer_id"].clone();
    let theirs = lab.wc(&format!("orders?customer={customer}&per_page=100")).await.list();
    assert!(!theirs.is_empty() && theirs.iter().all(|order| order["customer_id"] == customer));
    let product = all
        .iter()
        .flat_map(|order| order["line_items"].as_array().unwrap())
        .find(|line| line["product_id"] != 0)
        .unwrap();
    let with = lab.wc(&format!("orders?product={}&per_page=100", product["product_id"])).await.list();
    assert!(with.iter().all(|order| {
        order["line_items"].as_array().unwrap().iter().any(|line| line["product_id"] == product["product_id"])
    }));
    assert!(!with.is_empty());
    let (first, second) = (all[7]["id"].as_u64().unwrap(), all[3]["id"].as_u64().unwrap());
    assert_eq!(lab.wc(&format!("orders?include={first},{second}&orderby=include")).await.ids(), [first, second]);
    assert!(!lab.wc(&format!("orders?exclude={first}&per_page=100")).await.ids().contains(&first));
    let mail = all.iter().find(|order| order["billing"]["email"] != "").unwrap();
    let found = lab
        .wc(&format!("orders?per_page=100&search={}", crate::lab::encode(mail["billing"]["email"].as_str().unwrap())))
        .await;
    assert!(found.ids().contains(&mail["id"].as_u64().unwrap()));
    assert!(found.ids().len() < all.len());
}

#[tokio::test]
async fn modified_after_leaves_out_the_very_second_it_names() {
    let lab = Lab::start().await;
    // An import changed several orders in one second.
    let (second, several) = kavebolt(&lab).read(|world| {
        let mut times: Vec<_> = world
            .orders
            .iter()
            .filter(|o| !o.trashed && o.status != OrderStatus::CheckoutDraft)
            .map(|o| o.modified_at)
            .collect();
        times.sort();
        let second = times.windows(3).find(|three| three[0] == three[2]).expect("an import")[0];
        (second, times.iter().filter(|time| **time == second).count())
    });
    let count = async |time: chrono::DateTime<chrono::Utc>| {
        let time = time.format("%Y-%m-%dT%H:%M:%S");
        let reply =
            lab.wc(&format!("orders?modified_after={time}&dates_are_gmt=true&orderby=modified&order=asc")).await;
        reply.header("x-wp-total").parse::<usize>().unwrap()
    };
    let (at, before) = (count(second).await, count(second - chrono::TimeDelta::seconds(1)).await);
    assert_eq!(before - at, several);
}

#[tokio::test]
async fn windows_of_time_hold_what_was_made_or_changed_within() {
    let lab = Lab::start().await;
    let parse = |value: &Value| value.as_str().unwrap().to_owned();
    let all = lab.wc("orders?per_page=100&order=asc").await.list();
    let (from, to) = (parse(&all[20]["date_created_gmt"]), parse(&all[40]["date_created_gmt"]));
    for order_by in ["date", "modified", "id"] {
        let query = format!("orders?after={from}&before={to}&dates_are_gmt=1&per_page=100&orderby={order_by}");
        let within: BTreeSet<u64> = lab.wc(&query).await.ids().into_iter().collect();
        let expected: BTreeSet<u64> = all
            .iter()
            .filter(|order| {
                (from.as_str()..to.as_str()).contains(&order["date_created_gmt"].as_str().unwrap())
                    && order["date_created_gmt"] != *from
            })
            .map(|order| order["id"].as_u64().unwrap())
            .collect();
        assert_eq!(within, expected, "{order_by}");
    }
}

#[tokio::test]
async fn a_time_is_local_unless_it_says_gmt_and_fractions_lose_the_zone() {
    let lab = Lab::start().await;
    let order = lab.wc("orders?per_page=1&orderby=modified&order=asc").await.list().swap_remove(0);
    let (local, gmt) = (order["date_modified"].as_str().unwrap(), order["date_modified_gmt"].as_str().unwrap());
    let total = async |query: String| {
        lab.wc(&format!("orders?{query}&per_page=1")).await.header("x-wp-total").parse::<usize>().unwrap()
    };
    let all = total("x=1".into()).await;
    assert_eq!(total(format!("modified_after={local}")).await, all - 1, "local by default");
    assert_eq!(total(format!("modified_after={gmt}&dates_are_gmt=true")).await, all - 1);
    assert_eq!(total(format!("modified_after={gmt}Z&dates_are_gmt=true")).await, all - 1);
    assert_eq!(total(format!("modified_after={gmt}Z")).await, all - 1);
    // In Budapest, east of Greenwich, GMT digits read as local time are too early: nothing is left out.
    assert_eq!(total(format!("modified_after={gmt}.000Z&dates_are_gmt=true")).await, all);
    assert_eq!(total(format!("modified_after={gmt}")).await, all);
}

#[tokio::test]
async fn an_old_shop_ignores_modified_after_and_returns_everything() {
    let lab = Lab::start().await;
    let key = admin(lab.shop("nagyker.example"));
    let url = "https://nagyker.example/bolt/wp-json/wc/v3/orders";
    let all = lab.get(&key, url).await.header("x-wp-total").to_owned();
    let filtered = lab.get(&key, &format!("{url}?modified_after=2100-01-01T00:00:00&dates_are_gmt=true")).await;
    assert_eq!(filtered.header("x-wp-total"), all);
    assert_eq!(lab.get(&key, &format!("{url}?orderby=modified")).await.status, 400);
}

#[tokio::test]
async fn customers_are_accounts_with_the_role_customer_by_name() {
    let lab = Lab::start().await;
    let with_account = |test: &dyn Fn(&Person) -> bool| {
        kavebolt(&lab).read(|world| world.people.iter().filter(|person| test(person)).count())
    };
    let accounts = with_account(&|person| person.account.is_some());
    let customers = lab.wc("customers?per_page=100").await.list();
    assert_eq!(customers.len(), accounts - 3, "no staff, no reader");
    assert!(customers.iter().all(|customer| customer["role"] == "customer"));
    assert_eq!(lab.wc("customers?role=all&per_page=100").await.list().len(), accounts);
    assert_eq!(lab.wc("customers?role=administrator").await.list()[0]["username"], "admin");
    assert_eq!(lab.wc("customers?role=king").await.status, 400);
    assert_eq!(lab.wc("customers?modified_after=2100-01-01T00:00:00&per_page=100").await.list().len(), customers.len());
    let by_id = lab.wc("customers?orderby=id&per_page=100").await.ids();
    assert!(by_id.is_sorted());
    let newest = lab.wc("customers?orderby=registered_date&order=desc&per_page=1").await.ids();
    assert_eq!(newest[0], *by_id.last().unwrap());
}

#[tokio::test]
async fn customers_are_found_by_email_in_any_letter_case_and_by_words() {
    let lab = Lab::start().await;
    let found = lab.wc("customers?email=zsofia.szoke@example.com").await.list();
    assert_eq!((found.len(), &found[0]["email"]), (1, &json!("Zsofia.SZOKE@Example.COM")));
    assert!(lab.wc("customers?email=szoke@example.com").await.list().is_empty(), "the whole address");
    assert_eq!(lab.wc("customers?email=nonsense").await.error(), (400, "rest_invalid_param".into()));
    let words = lab.wc(&format!("customers?per_page=100&search={}", crate::lab::encode("zsófia sző"))).await.list();
    assert!(!words.is_empty() && words.iter().all(|customer| customer["last_name"] == "Szőke"));
    assert_eq!(lab.wc("customers/99999999").await.error(), (404, "wc_user_invalid_id".into()));
}

#[tokio::test]
async fn products_are_found_by_sku_words_status_and_kind() {
    let lab = Lab::start().await;
    let skus: Vec<String> = kavebolt(&lab).read(|world| {
        let simple =
            world.products.iter().filter(|p| p.options.is_empty() && p.status == world::ProductStatus::Published);
        simple.filter_map(|product| product.sku.clone()).take(2).collect()
    });
    let exact = lab.wc(&format!("products?sku={}", skus.join(","))).await.list();
    assert_eq!(
        exact.iter().map(|p| p["sku"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(),
        skus.iter().cloned().collect()
    );
    assert!(
        lab.wc(&format!("products?sku={}", &skus[0][..skus[0].len() - 1])).await.list().is_empty(),
        "not by a part"
    );
    let title = exact[0]["name"].as_str().unwrap();
    let words = lab.wc(&format!("products?search={}", crate::lab::encode(title))).await.ids();
    assert!(words.contains(&exact[0]["id"].as_u64().unwrap()));
    for (status, expected) in [("draft", "draft"), ("private", "private"), ("trash", "trash")] {
        let list = lab.wc(&format!("products?status={status}&per_page=100")).await.list();
        assert!(!list.is_empty() && list.iter().all(|product| product["status"] == expected), "{status}");
    }
    assert!(lab.wc("products?per_page=100").await.list().iter().all(|product| product["status"] != "trash"));
    let variable = lab.wc("products?type=variable&per_page=100").await.list();
    assert!(!variable.is_empty() && variable.iter().all(|product| product["type"] == "variable"));
    assert_eq!(lab.wc("products/1").await.error(), (404, "woocommerce_rest_product_invalid_id".into()));
}

#[tokio::test]
async fn variations_belong_to_their_parent() {
    let lab = Lab::start().await;
    let parent = lab.wc("products?type=variable&per_page=1").await.list().swap_remove(0);
    let path = format!("products/{}/variations", parent["id"]);
    let ids: BTreeSet<u64> = lab.wc(&format!("{path}?per_page=100")).await.ids().into_iter().collect();
    let listed: BTreeSet<u64> =
        parent["variations"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    assert_eq!(ids, listed);
    let one = ids.first().unwrap();
    assert_eq!(lab.wc(&format!("{path}/{one}")).await.json()["id"], *one);
    let code = "woocommerce_rest_product_variation_invalid_id".to_owned();
    assert_eq!(lab.wc(&format!("products/1/variations/{one}")).await.error(), (404, code));
    assert!(lab.wc("products/1/variations").await.list().is_empty());
}

#[tokio::test]
async fn only_the_fields_asked_for_come_and_a_path_into_a_list_gives_an_empty_one() {
    let lab = Lab::start().await;
    let order =
        lab.wc("orders?per_page=1&_fields=id,billing.email,line_items.id,_links.self").await.list().swap_remove(0);
    let keys: Vec<&String> = order.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["_links", "billing", "id", "line_items"]);
    assert_eq!(order["billing"].as_object().unwrap().len(), 1);
    assert_eq!(order["line_items"], json!([]));
    let single = lab.wc(&format!("orders/{}?_fields=id", order["id"])).await.json();
    let keys: Vec<&String> = single.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["_links", "id"], "a single object keeps its links");
    let status = lab.wc("system_status?_fields=settings.currency").await.json();
    assert_eq!(status["settings"], json!({ "currency": "HUF" }));
}

#[tokio::test]
async fn settings_tell_currency_and_decimals() {
    let lab = Lab::start().await;
    let settings = lab.wc("settings/general").await.list();
    let value = |id: &str| settings.iter().find(|setting| setting["id"] == id).unwrap()["value"].clone();
    assert_eq!(value("woocommerce_currency"), "HUF");
    assert_eq!(value("woocommerce_price_num_decimals"), "0");
    assert_eq!(lab.wc("settings/general/woocommerce_currency").await.json()["value"], "HUF");
    assert_eq!(lab.wc("settings/general/nothing").await.status, 404);
}

#[tokio::test]
async fn changes_to_the_data_show_at_once() {
    let lab = Lab::start().await;
    let shop = kavebolt(&lab);
    let canary = CanaryPerson {
        first_name: "Canary".into(),
        last_name: "Bird".into(),
        email: "canary@bird.example".into(),
        phone: "+36 30 555 9999".into(),
        address_1: "Cage 1".into(),
        city: "Aviary".into(),
        postcode: "1".into(),
        country: "HU".into(),
        note: "peep".into(),
    };
    let planted = shop.edit(|world| world.plant(canary));
    let customer = lab.wc("customers?email=canary@bird.example").await.list().swap_remove(0);
    assert_eq!(customer["id"], planted.person_id);
    let orders = lab.wc("orders?search=canary@bird.example").await.ids();
    assert_eq!(orders.iter().collect::<BTreeSet<_>>(), planted.order_ids.iter().collect());
    shop.edit(|world| world.delete_person(planted.person_id));
    let order = lab.wc(&format!("orders/{}", planted.order_ids[0])).await.json();
    assert_eq!(order["customer_id"], 0, "the orders of a deleted customer are a guest's");
    assert_eq!(lab.wc(&format!("customers/{}", planted.person_id)).await.status, 404);
    let line = order["line_items"][0].clone();
    let product = line["product_id"].as_u64().unwrap();
    shop.edit(|world| world.delete_product(product));
    let line = lab.wc(&format!("orders/{}", planted.order_ids[0])).await.json()["line_items"][0].clone();
    assert_eq!((&line["product_id"], &line["sku"]), (&json!(0), &Value::Null));
}

#[tokio::test]
async fn calls_are_counted_by_endpoint_with_their_queries() {
    let lab = Lab::start().await;
    let calls = kavebolt(&lab).calls();
    assert_eq!(calls.count(), 0);
    let id = lab.wc("orders?per_page=1").await.ids()[0];
    lab.wc(&format!("orders/{id}")).await;
    lab.wc(&format!("orders/{id}/refunds")).await;
    lab.send(lab.request(Method::HEAD, "https://kavebolt.example/")).await;
    lab.anonymous("https://kavebolt.example/wp-json/").await;
    let names: Vec<(String, u64)> = calls.by_endpoint().into_iter().collect();
    let one = |name: &str| (name.to_owned(), 1);
    assert_eq!(names, [one("index"), one("orders"), one("orders/{id}"), one("orders/{id}/refunds"), one("page")]);
    assert_eq!(calls.queries("orders"), ["per_page=1"]);
    assert_eq!(lab.shop("tea.example").calls().count(), 0, "another shop was not called");
}

#[tokio::test]
async fn a_shop_without_woocommerce_has_an_index_and_no_more() {
    let mut specs = sandbox::woocommerce::ShopSpec::standard();
    specs[0].active = false;
    let lab = Lab::with(Options { woocommerce: specs, size: Size::small(), ..Options::default() }).await;
    let index = lab.anonymous("https://kavebolt.example/wp-json/?_fields=namespaces").await.json();
    assert!(!index["namespaces"].as_array().unwrap().contains(&json!("wc/v3")));
    assert_eq!(lab.wc("orders").await.error(), (404, "rest_no_route".into()));
}
