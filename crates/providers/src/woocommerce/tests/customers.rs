//! Live reads of customers, against simulated shops.

use std::collections::BTreeSet;

use connector::{Coverage, Customer, Filters, Read};
use kernel::Personal;
use sandbox::world::{self, Role};

use super::{
    shop::{Net, SHOPS, customers, query},
    view::everything,
};
use crate::woocommerce::Woocommerce;

#[tokio::test]
async fn customers_are_the_registered_buyers() {
    let net = Net::start().await;
    for (address, host) in SHOPS {
        let shop = net.connected(address, host).await;
        let buyers: BTreeSet<String> = shop.shop().read(|world| {
            let role = |person: &world::Person| person.account.as_ref().map(|account| account.role);
            let buyers = world.people.iter().filter(|person| role(person) == Some(Role::Customer));
            buyers.map(|person| person.id.to_string()).collect()
        });
        let page = customers(&shop, &query(1, 100, Filters::default())).await.unwrap();
        let found: BTreeSet<String> = page.items.iter().map(|customer| customer.id.clone()).collect();
        assert_eq!(found, buyers, "{host}");
        assert_eq!(page.total, Some(buyers.len() as u64), "{host}");
        assert_eq!(page.notes.coverage, [Coverage::RegisteredOnly], "{host}");
    }
}

#[tokio::test]
async fn anybody_with_an_account_is_found_by_address_and_id() {
    let net = Net::start().await;
    for (address, host) in SHOPS {
        let shop = net.connected(address, host).await;
        for role in [Role::Customer, Role::Subscriber, Role::Administrator] {
            let Some(person) = shop.shop().read(|world| {
                let has_role =
                    |person: &&world::Person| person.account.as_ref().is_some_and(|account| account.role == role);
                world.people.iter().filter(|person| person.email.is_some()).find(has_role).cloned()
            }) else {
                continue;
            };
            let email = person.email.clone().unwrap();
            let by_email = Filters { email: Some(Personal::new(email.clone())), ..Filters::default() };
            let by_id = Filters { ids: vec![person.id.to_string()], ..Filters::default() };
            for filters in [by_email, by_id] {
                let page = customers(&shop, &query(1, 25, filters)).await.unwrap();
                let [found] = page.items.as_slice() else { panic!("{host}: {} found", page.items.len()) };
                assert_eq!(found.id, person.id.to_string(), "{host}");
            }
            let one = Read::<Customer>::one(&Woocommerce, &shop.call(), &person.id.to_string(), &everything()).await;
            let one = one.unwrap().item.unwrap();
            assert!(one.email.unwrap().satisfies(|found| *found == email), "{host}");
        }
        let nobody = Filters { email: Some(Personal::new("nobody@nowhere.example".to_owned())), ..Filters::default() };
        assert!(customers(&shop, &query(1, 25, nobody)).await.unwrap().items.is_empty(), "{host}");
    }
}
