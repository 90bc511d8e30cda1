//! Lists, filters and single records.

use std::collections::BTreeSet;

use super::*;

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
