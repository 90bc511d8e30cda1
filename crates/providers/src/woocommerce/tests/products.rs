//! Live reads of products, against simulated shops.

use std::{collections::BTreeSet, time::Duration};

use connector::{Fields, Filters, Product, Query, Read, Selection, model::ProductStatus};
use sandbox::{
    faults::{Fault, Rule},
    world::{self, ProductKind},
};

use super::{
    shop::{Net, SHOPS, products, query},
    view::everything,
};
use crate::woocommerce::Woocommerce;

#[tokio::test]
async fn products_come_with_their_variants() {
    let net = Net::start().await;
    for (address, host) in SHOPS {
        let shop = net.connected(address, host).await;
        let page = products(&shop, &query(1, 100, Filters::default())).await.unwrap();
        let known = shop.shop().read(|world| world.products.clone());
        let listed = known.iter().filter(|product| product.status != world::ProductStatus::Trashed).count();
        assert_eq!(page.items.len(), listed, "{host}");
        for found in &page.items {
            let known = known.iter().find(|product| product.id.to_string() == found.id).unwrap();
            let context = format!("{host}, product {}", found.id);
            assert!(found.currency.is_some(), "{context}");
            match known.kind {
                ProductKind::Variable => {
                    let ids: BTreeSet<String> = found.variants.iter().map(|variant| variant.id.clone()).collect();
                    assert_eq!(ids, known.variants.iter().map(|variant| variant.id.to_string()).collect(), "{context}");
                    assert_eq!(found.options.len(), known.options.len(), "{context}");
                }
                ProductKind::Grouped(_) => assert!(found.variants.is_empty(), "{context}"),
                ProductKind::Simple | ProductKind::External(_) => {
                    let [variant] = found.variants.as_slice() else { panic!("{context}") };
                    let first = &known.variants[0];
                    assert_eq!((variant.price, variant.inventory_quantity), (first.price(), first.stock), "{context}");
                }
            }
        }
    }
}

#[tokio::test]
async fn variations_are_asked_for_only_when_they_are_wanted() {
    let net = Net::start().await;
    let shop = net.connected("kavebolt.example", "kavebolt.example").await;
    let selection = Selection { persons: true, fields: Fields::Named(["title".to_owned()].into()) };
    products(&shop, &Query { selection, ..query(1, 100, Filters::default()) }).await.unwrap();
    assert_eq!(shop.shop().calls().count(), 1);
}

#[tokio::test]
async fn products_are_filtered_by_the_shop() {
    let net = Net::start().await;
    for (address, host) in SHOPS {
        let shop = net.connected(address, host).await;
        let archived = Filters { status: Some("archived".to_owned()), ..Filters::default() };
        let page = products(&shop, &query(1, 100, archived)).await.unwrap();
        assert!(page.items.iter().all(|product| product.status == ProductStatus::Archived), "{host}");
        let trashed = shop.shop().read(|world| {
            world.products.iter().filter(|product| product.status == world::ProductStatus::Trashed).count()
        });
        assert_eq!(page.items.len(), trashed, "{host}");

        let (id, sku) = shop.shop().read(|world| {
            let simple = |product: &&world::Product| product.kind == ProductKind::Simple && product.sku.is_some();
            let product = world.products.iter().filter(|product| product.status == world::ProductStatus::Published);
            product.clone().find(simple).map(|product| (product.id.to_string(), product.sku.clone().unwrap())).unwrap()
        });
        let page =
            products(&shop, &query(1, 100, Filters { sku: Some(sku.clone()), ..Filters::default() })).await.unwrap();
        assert!(page.items.iter().any(|product| product.id == id), "{host}: {sku}");
        let has_sku = |product: &Product| product.variants.iter().any(|variant| variant.sku.as_ref() == Some(&sku));
        assert!(page.items.iter().all(has_sku), "{host}: {sku}");
    }
}

#[tokio::test]
async fn one_variable_product_is_read_with_its_variants() {
    let net = Net::start().await;
    let shop = net.connected("kavebolt.example", "kavebolt.example").await;
    let known = shop
        .shop()
        .read(|world| world.products.iter().find(|product| product.kind == ProductKind::Variable).cloned().unwrap());
    let answer = Read::<Product>::one(&Woocommerce, &shop.call(), &known.id.to_string(), &everything()).await.unwrap();
    let found = answer.item.unwrap();
    assert_eq!(found.variants.len(), known.variants.len());
    let rests = found.platform_specific.unwrap();
    assert_eq!(rests["variants"].as_array().unwrap().len(), known.variants.len(), "what variations have beside");
}

#[tokio::test]
async fn a_slow_variation_does_not_mix_up_products() {
    let net = Net::start().await;
    let shop = net.connected("kavebolt.example", "kavebolt.example").await;
    let slow = Rule::from(Fault::Delay(Duration::from_millis(120))).on("/variations").times(1);
    shop.shop().faults().inject(slow);
    let page = products(&shop, &query(1, 100, Filters::default())).await.unwrap();
    for found in page.items.iter().filter(|product| product.variants.len() > 1) {
        let known = shop
            .shop()
            .read(|world| world.products.iter().find(|product| product.id.to_string() == found.id).cloned().unwrap());
        let ids: BTreeSet<String> = found.variants.iter().map(|variant| variant.id.clone()).collect();
        assert_eq!(ids, known.variants.iter().map(|variant| variant.id.to_string()).collect());
    }
}

#[tokio::test]
async fn many_variations_are_read_page_by_page_up_to_a_bound() {
    let net = Net::start().await;
    let shop = net.connected("kavebolt.example", "kavebolt.example").await;
    let id = shop.shop().read(|world| {
        world.products.iter().find(|product| product.kind == ProductKind::Variable).map(|product| product.id).unwrap()
    });
    let read = async |count: u64| {
        shop.shop().edit(|world| {
            let product = world.products.iter_mut().find(|product| product.id == id).unwrap();
            let first = product.variants[0].clone();
            product.variants =
                (0..count).map(|index| world::Variant { id: 1_000_000 + index, ..first.clone() }).collect();
        });
        Read::<Product>::one(&Woocommerce, &shop.call(), &id.to_string(), &Selection::standard()).await
    };
    for count in [100, 150, 200] {
        let found = read(count).await.unwrap().item.unwrap();
        let ids: BTreeSet<String> = found.variants.into_iter().map(|variant| variant.id).collect();
        assert_eq!(ids.len() as u64, count);
    }
    let error = read(2001).await.err().unwrap();
    assert!(error.to_string().contains("ask without variants"), "{error}");
}
