//! Canaries: people whose data a privacy scan looks for afterwards.

use super::{Account, Address, Id, OrderStatus, Person, Role, World, epoch_end};
use chrono::TimeDelta;

/// Someone whose words must never turn up where they do not belong.
#[derive(Debug, Clone)]
pub struct CanaryPerson {
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// E-mail address.
    pub email: String,
    /// Phone number.
    pub phone: String,
    /// Street and number.
    pub address_1: String,
    /// City.
    pub city: String,
    /// Postal code.
    pub postcode: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// What they write to the merchant with an order.
    pub note: String,
}

/// Where a canary was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planted {
    /// The person, who has an account.
    pub person_id: Id,
    /// Their orders: with account, paid and partly refunded; as guest, e-mail in capitals; cancelled, with the note.
    pub order_ids: [Id; 3],
}

impl World {
    /// Makes this person a customer with three orders, the youngest of the world.
    pub fn plant(&mut self, canary: CanaryPerson) -> Planted {
        let id = self.new_id();
        let billing = Address {
            first_name: canary.first_name.clone(),
            last_name: canary.last_name.clone(),
            company: String::new(),
            address_1: canary.address_1,
            address_2: String::new(),
            city: canary.city,
            state: String::new(),
            postcode: canary.postcode,
            country: canary.country,
            phone: canary.phone.clone(),
        };
        let at = epoch_end() - TimeDelta::hours(6);
        let person = Person {
            id,
            account: Some(Account { username: format!("canary{id}"), role: Role::Customer }),
            first_name: canary.first_name,
            last_name: canary.last_name,
            email: Some(canary.email.clone()),
            phone: canary.phone,
            shipping: Some(billing.clone()),
            billing,
            accepts_marketing: true,
            tags: vec![],
            note: canary.note.clone(),
            created_at: at,
            modified_at: Some(at),
        };
        let newest = self.orders.last().map_or(at, |order| order.created_at.max(at));
        let order_ids = std::array::from_fn(|number| {
            let created_at = (newest + TimeDelta::minutes(number as i64)).min(epoch_end());
            let mut order = self.order(Some(&person), created_at, 2);
            match number {
                0 => {
                    self.settle(&mut order, OrderStatus::Processing);
                    let part = order.currency.round(order.total() / rust_decimal::Decimal::from(4));
                    self.refund(&mut order, part, &[], &canary.note);
                }
                1 => {
                    order.with_account = false;
                    order.email = Some(canary.email.to_uppercase());
                    self.settle(&mut order, OrderStatus::OnHold);
                }
                _ => {
                    order.note.clone_from(&canary.note);
                    self.settle(&mut order, OrderStatus::Cancelled);
                }
            }
            let id = order.id;
            self.orders.push(order);
            id
        });
        self.people.push(person);
        Planted { person_id: id, order_ids }
    }
}

#[cfg(test)]
mod tests {
    use super::CanaryPerson;
    use crate::world::{Market, Size, World};

    #[test]
    fn a_canary_is_a_customer_with_three_orders_that_carry_their_words() {
        let mut world = World::generate(1, Size::small(), Market::GERMANY);
        let canary = CanaryPerson {
            first_name: "Kanarienvogel".into(),
            last_name: "Űrmadár".into(),
            email: "canary-7f3a@example.com".into(),
            phone: "+49 1555 7777777".into(),
            address_1: "Vogelweg 77".into(),
            city: "Piepsdorf".into(),
            postcode: "77777".into(),
            country: "DE".into(),
            note: "tweet-7f3a".into(),
        };
        let planted = world.plant(canary);
        let person = world.person(planted.person_id).expect("planted");
        assert_eq!(person.email.as_deref(), Some("canary-7f3a@example.com"));
        let orders: Vec<_> = world.orders.iter().filter(|o| planted.order_ids.contains(&o.id)).collect();
        assert_eq!(orders.len(), 3);
        assert!(orders.iter().all(|o| o.billing.last_name == "Űrmadár" && o.billing.address_1 == "Vogelweg 77"));
        assert!(orders.iter().any(|o| o.note == "tweet-7f3a"));
        assert!(orders.iter().any(|o| o.email.as_deref() == Some("CANARY-7F3A@EXAMPLE.COM") && !o.with_account));
        assert!(world.orders.is_sorted_by_key(|o| (o.id, o.created_at)));
    }
}
