//! Live reads of orders, against simulated shops.

use std::collections::BTreeSet;

use connector::{Filters, Order, Position, Query, model::OrderStatus};
use sandbox::world;

use super::{
    shop::{Connected, Net, SHOPS, listed, order, orders, query},
    view::{self, without_persons},
};

async fn all_orders(shop: &Connected<'_>, filters: Filters) -> Vec<Order> {
    let mut found = vec![];
    let mut position = Position::Page(1);
    loop {
        let page = orders(shop, &Query { position, ..query(1, 40, filters.clone()) }).await.unwrap();
        found.extend(page.items);
        match page.next {
            Some(next) => position = Position::After(next),
            None => return found,
        }
    }
}

fn ids(orders: &[Order]) -> BTreeSet<String> {
    orders.iter().map(|order| order.id.clone()).collect()
}

#[tokio::test]
async fn all_orders_of_every_kind_of_shop_are_read_once_newest_first() {
    let net = Net::start().await;
    for (address, host) in SHOPS {
        let shop = net.connected(address, host).await;
        let found = all_orders(&shop, Filters::default()).await;
        assert_eq!(ids(&found), listed(&shop, |_| true), "{host}");
        assert_eq!(found.len(), ids(&found).len(), "{host}");
        assert!(found.is_sorted_by(|a, b| a.placed_at >= b.placed_at), "{host}");
        let first = orders(&shop, &query(1, 10, Filters::default())).await.unwrap();
        assert_eq!((first.items.len(), first.total), (10, Some(found.len() as u64)), "{host}");
    }
}

#[tokio::test]
async fn orders_say_what_the_shop_knows() {
    let net = Net::start().await;
    for (address, host) in SHOPS {
        let shop = net.connected(address, host).await;
        for found in all_orders(&shop, Filters::default()).await {
            let known = shop
                .shop()
                .read(|world| world.orders.iter().find(|order| order.id.to_string() == found.id).cloned().unwrap());
            let context = format!("{host}, order {}", found.id);
            assert_eq!(found.number.as_deref(), Some(known.number.as_str()), "{context}");
            assert_eq!(found.placed_at.map(|time| time.timestamp()), Some(known.created_at.timestamp()), "{context}");
            assert_eq!(found.updated_at.map(|time| time.timestamp()), Some(known.modified_at.timestamp()), "{context}");
            let refunded: rust_decimal::Decimal = known.refunds.iter().map(|refund| refund.amount).sum();
            assert_eq!(found.refunded_total, Some(refunded), "{context}");
            assert_eq!(found.line_items.len(), known.lines.len(), "{context}");
            let fees: rust_decimal::Decimal = known.fee_lines.iter().map(|fee| fee.total).sum();
            let parts = found.subtotal.unwrap() + found.shipping_total.unwrap() + found.tax_total.unwrap() + fees;
            assert_eq!(found.total, Some(parts), "{context}: the parts add up");
            let customer = found.customer.as_ref();
            let email = customer.and_then(|customer| customer.email.as_ref());
            let email_known = known.email.as_deref().filter(|email| !email.is_empty());
            assert_eq!(email.is_some(), email_known.is_some(), "{context}");
            assert!(
                email.is_none_or(|email| email.satisfies(|email| Some(email.as_str()) == email_known)),
                "{context}"
            );
        }
    }
}

#[tokio::test]
async fn orders_are_filtered_by_the_shop() {
    let net = Net::start().await;
    for (address, host) in SHOPS {
        let shop = net.connected(address, host).await;
        for (status, known) in [
            ("pending", world::OrderStatus::Pending),
            ("processing", world::OrderStatus::Processing),
            ("on_hold", world::OrderStatus::OnHold),
            ("completed", world::OrderStatus::Completed),
            ("cancelled", world::OrderStatus::Cancelled),
            ("refunded", world::OrderStatus::Refunded),
            ("failed", world::OrderStatus::Failed),
        ] {
            let filters = Filters { status: Some(status.to_owned()), ..Filters::default() };
            let found = all_orders(&shop, filters).await;
            assert_eq!(ids(&found), listed(&shop, |order| order.status == known), "{host}, {status}");
            assert!(found.iter().all(|order| order.status.as_str() == status), "{host}, {status}");
        }
        let some: Vec<String> = listed(&shop, |_| true).into_iter().step_by(7).collect();
        let filters = Filters { ids: some.clone(), ..Filters::default() };
        assert_eq!(ids(&all_orders(&shop, filters).await), some.into_iter().collect(), "{host}");

        let buyer = shop.shop().read(|world| {
            let has_account = |order: &&world::Order| order.with_account && order.person_id.is_some();
            world.orders.iter().find(has_account).and_then(|order| order.person_id).unwrap()
        });
        let filters = Filters { customer_id: Some(buyer.to_string()), ..Filters::default() };
        let found = ids(&all_orders(&shop, filters).await);
        assert_eq!(found, listed(&shop, |order| order.with_account && order.person_id == Some(buyer)), "{host}");
        assert!(!found.is_empty(), "{host}");
    }
}

/// What the shop answers may be a little wider; it is never narrower.
#[tokio::test]
async fn no_order_is_missed_by_a_date() {
    let net = Net::start().await;
    for (address, host) in SHOPS {
        let shop = net.connected(address, host).await;
        let (created, changed) = shop.shop().read(|world| {
            let middle = &world.orders[world.orders.len() / 2];
            (middle.created_at, middle.modified_at)
        });
        let after = ids(&all_orders(&shop, Filters { created_after: Some(created), ..Filters::default() }).await);
        let wanted = listed(&shop, |order| order.created_at >= created);
        assert!(after.is_superset(&wanted), "{host}: {:?}", wanted.difference(&after));
        let before = ids(&all_orders(&shop, Filters { created_before: Some(created), ..Filters::default() }).await);
        let wanted = listed(&shop, |order| order.created_at <= created);
        assert!(before.is_superset(&wanted), "{host}: {:?}", wanted.difference(&before));
        assert!(after.len() + before.len() < listed(&shop, |_| true).len() * 3 / 2, "{host}: the shop does filter");

        if *host == "nagyker.example" {
            let filters = Filters { updated_after: Some(changed), ..Filters::default() };
            let error = orders(&shop, &query(1, 10, filters)).await.err().unwrap();
            assert_eq!(error.kind(), "filter_unsupported", "version 4.9 does not know it");
            continue;
        }
        let changed_after =
            ids(&all_orders(&shop, Filters { updated_after: Some(changed), ..Filters::default() }).await);
        let wanted = listed(&shop, |order| order.modified_at >= changed);
        assert!(changed_after.is_superset(&wanted), "{host}: {:?}", wanted.difference(&changed_after));
        assert!(changed_after.len() < listed(&shop, |_| true).len(), "{host}: the shop does filter");
    }
}

#[tokio::test]
async fn past_the_end_there_is_nothing_and_no_wrong_total() {
    let net = Net::start().await;
    for (address, host) in SHOPS {
        let shop = net.connected(address, host).await;
        let page = orders(&shop, &query(500, 10, Filters::default())).await.unwrap();
        assert!(page.items.is_empty() && page.next.is_none(), "{host}");
        assert_ne!(page.total, Some(0), "{host}");
    }
}

#[tokio::test]
async fn one_order_is_read_with_all_that_the_shop_sends() {
    let net = Net::start().await;
    let shop = net.connected("kavebolt.example", "kavebolt.example").await;
    let id = listed(&shop, |order| order.status == world::OrderStatus::Completed).pop_first().unwrap();
    let found = order(&shop, &id).await.unwrap().item.unwrap();
    assert_eq!((found.id.as_str(), found.status), (id.as_str(), OrderStatus::Completed));
    let rest = &view::order(&found)["platform_specific"];
    assert!(rest["order_key"].as_str().unwrap().starts_with("wc_order_"), "{rest}");
    assert_eq!(shop.shop().calls().count_of("orders"), 0);
}

#[tokio::test]
async fn a_trashed_order_is_readable_and_cancelled() {
    let net = Net::start().await;
    let shop = net.connected("kavebolt.example", "kavebolt.example").await;
    let id = shop.shop().read(|world| world.orders.iter().find(|order| order.trashed).unwrap().id.to_string());
    let found = order(&shop, &id).await.unwrap().item.unwrap();
    assert_eq!(found.status, OrderStatus::Cancelled);
    assert_eq!(view::order(&found)["platform_specific"]["status"], "trash");
}

#[tokio::test]
async fn without_persons_the_shop_is_not_asked_for_them() {
    let net = Net::start().await;
    let shop = net.connected("kavebolt.example", "kavebolt.example").await;
    let page =
        orders(&shop, &Query { selection: without_persons(), ..query(1, 50, Filters::default()) }).await.unwrap();
    assert!(!page.items.is_empty());
    let query = shop.shop().calls().queries("orders").remove(0);
    for field in ["billing", "shipping%2C", "customer_", "meta_data"] {
        assert!(!query.contains(field), "{field} is asked for: {query}");
    }
    for order in &page.items {
        assert!(order.customer.is_none() && order.billing_address.is_none() && order.note.is_none());
        assert!(order.shipping_address.is_none());
    }
}
