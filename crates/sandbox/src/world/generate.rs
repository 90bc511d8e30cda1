//! Making a world from a seed.

use super::names::{LOCALES, Locale};
use super::{Account, Address, Id, Market, Person, Rng, Role, Size, World, edge, epoch_end};
use chrono::{DateTime, TimeDelta, Utc};

/// Worlds begin this long before [`epoch_end`].
pub(super) const SPAN: TimeDelta = TimeDelta::days(3 * 365);

impl World {
    /// The shop that this seed gives, with so much data, in this market.
    pub fn generate(seed: u64, size: Size, market: Market) -> World {
        let mut rng = Rng::new(seed);
        // The shops of one sandbox share its seed; each market still has other people.
        for byte in market.country.bytes().chain(market.currency.code.bytes()) {
            rng = Rng::new(rng.next_u64() ^ u64::from(byte));
        }
        let mut world = World { market, people: vec![], products: vec![], orders: vec![], next_id: 100, rng };
        world.add_products(size.products);
        world.add_people(size.people);
        world.add_orders(size.orders);
        world
    }

    pub(super) fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    fn add_people(&mut self, count: usize) {
        for index in 0..count {
            let id = self.new_id();
            // The peculiar ones come first, so that they exist in the smallest world and order all the time.
            let created_at = moment(&mut self.rng, index, count.saturating_mul(2), SPAN);
            let mut person = ordinary_person(&mut self.rng, id, index, &self.market, created_at);
            edge::make_peculiar(&mut person, index);
            self.people.push(person);
        }
    }
}

/// The `index`-th of `count` moments spread over the last `span`, in whole seconds, rising with `index`.
pub(super) fn moment(rng: &mut Rng, index: usize, count: usize, span: TimeDelta) -> DateTime<Utc> {
    let step = span.num_seconds().max(0) as u64 / (count.max(1) as u64);
    let offset = step * index as u64 + rng.below(step.max(1));
    epoch_end() - span + TimeDelta::seconds(offset as i64)
}

fn ordinary_person(rng: &mut Rng, id: Id, index: usize, market: &Market, created_at: DateTime<Utc>) -> Person {
    // Most are from the shop's own country, but every script occurs everywhere.
    let home = LOCALES.iter().position(|locale| locale.country == market.country).unwrap_or(0);
    let locale = if rng.chance(45) { &LOCALES[home] } else { rng.pick(LOCALES) };
    let (first, last) = (*rng.pick(locale.first), *rng.pick(locale.last));
    let phone = if rng.chance(80) { phone(rng, locale) } else { String::new() };
    let billing = address(rng, locale, first, last, &phone);
    let shipping = rng.chance(40).then(|| Address { company: String::new(), ..address(rng, locale, first, last, "") });
    let mailbox = format!("{}.{}{index}", ascii(first), ascii(last));
    let domain = *rng.pick(&["example.com", "example.org", "mail.example", "posta.example", "post.example"]);
    let guest = rng.chance(45);
    Person {
        id,
        account: (!guest).then(|| Account { username: mailbox.clone(), role: Role::Customer }),
        first_name: first.to_owned(),
        last_name: last.to_owned(),
        email: Some(format!("{mailbox}@{domain}")),
        phone,
        billing,
        shipping,
        accepts_marketing: rng.chance(30),
        tags: if rng.chance(10) { vec!["VIP".to_owned()] } else { vec![] },
        note: if rng.chance(5) { format!("Hívni {first} nevén") } else { String::new() },
        created_at,
        modified_at: rng.chance(70).then(|| {
            let later = created_at + TimeDelta::seconds(rng.between(60, 200 * 86_400) as i64);
            later.min(epoch_end())
        }),
    }
}

fn phone(rng: &mut Rng, locale: &Locale) -> String {
    format!("{}{:04}", locale.phone, rng.below(10_000))
}

fn address(rng: &mut Rng, locale: &Locale, first: &str, last: &str, phone: &str) -> Address {
    let (city, postcode) = *rng.pick(locale.cities);
    let street = *rng.pick(locale.streets);
    let number = rng.between(1, 180);
    Address {
        first_name: first.to_owned(),
        last_name: last.to_owned(),
        company: if rng.chance(12) { format!("{last} & Co.") } else { String::new() },
        address_1: if locale.country == "US" { format!("{number} {street}") } else { format!("{street} {number}.") },
        address_2: if rng.chance(20) { format!("{}/{}", rng.between(1, 9), rng.between(1, 40)) } else { String::new() },
        city: city.to_owned(),
        state: match locale.country {
            "US" => "NY".to_owned(),
            "HU" => "BU".to_owned(),
            _ => String::new(),
        },
        postcode: postcode.to_owned(),
        country: locale.country.to_owned(),
        phone: phone.to_owned(),
    }
}

/// Lower-case ASCII letters of a name, accents taken off; names in other scripts become `user`.
pub(super) fn ascii(name: &str) -> String {
    let plain = |letter: char| match letter {
        'á' | 'à' | 'ä' | 'â' | 'ạ' => 'a',
        'é' | 'è' => 'e',
        'í' => 'i',
        'ó' | 'ö' | 'ő' | 'ồ' => 'o',
        'ú' | 'ü' | 'ű' => 'u',
        'ß' => 's',
        'đ' => 'd',
        'ç' => 'c',
        other => other,
    };
    let name: String = name.to_lowercase().chars().map(plain).filter(char::is_ascii_alphabetic).collect();
    if name.is_empty() { "user".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use crate::world::{Market, OrderStatus, Role, Size, World, epoch_end};

    fn world() -> World {
        World::generate(7, Size::small(), Market::HUNGARY)
    }

    #[test]
    fn the_same_seed_gives_the_same_world_and_another_seed_another() {
        let print = |seed| format!("{:?}", World::generate(seed, Size::small(), Market::HUNGARY));
        assert_eq!(print(7), print(7));
        assert_ne!(print(7), print(8));
    }

    #[test]
    fn the_world_of_a_seed_is_the_same_on_every_machine() {
        let world = world();
        let people = world.people.iter().map(|p| format!("{} {} {:?} {}", p.id, p.last_name, p.email, p.created_at));
        let price = |p: &super::super::Product| {
            p.variants.iter().map(|v| format!("{:?}{:?}", v.price(), v.sku)).collect::<String>()
        };
        let products = world.products.iter().map(|p| format!("{} {} {}", p.id, p.title, price(p)));
        let orders = world.orders.iter().map(|o| format!("{} {:?} {} {}", o.id, o.status, o.total(), o.modified_at));
        let fingerprint: u64 = people
            .chain(products)
            .chain(orders)
            .flat_map(String::into_bytes)
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        // A change of the generator changes this on purpose; a change of machine must not.
        assert_eq!(fingerprint, 0xdeb6_dbb5_9309_318c, "fingerprint {fingerprint:#x}");
    }

    #[test]
    fn a_small_world_has_every_peculiarity() {
        let world = world();
        let people = |test: &dyn Fn(&super::Person) -> bool| world.people.iter().any(test);
        let orders = |test: &dyn Fn(&super::super::Order) -> bool| world.orders.iter().any(test);
        assert!(people(&|p| p.account.is_none()) && people(&|p| p.account.is_some()));
        assert!(people(&|p| p.account.as_ref().is_some_and(|a| a.role == Role::Administrator)));
        assert!(people(&|p| p.first_name.contains('<')) && people(&|p| p.last_name.contains('\'')));
        assert!(people(&|p| p.last_name.chars().count() > 120));
        assert!(people(&|p| p.last_name.contains(['ő', 'ű'])) && people(&|p| p.last_name.contains(['ö', 'ü'])));
        assert!(people(&|p| p.last_name.chars().any(|c| ('\u{600}'..='\u{6ff}').contains(&c))), "Arabic");
        assert!(people(&|p| p.last_name.chars().any(|c| ('\u{590}'..='\u{5ff}').contains(&c))), "Hebrew");
        assert!(people(&|p| p.last_name.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))), "CJK");
        assert!(orders(&|o| !o.with_account && o.email.is_none()));
        assert!(orders(&|o| o.email.as_ref().is_some_and(|e| *e != e.to_lowercase())));
        assert!(orders(&|o| o.status == OrderStatus::Refunded && o.refunded() == o.total()));
        assert!(orders(&|o| o.status != OrderStatus::Refunded && !o.refunds.is_empty() && o.refunded() < o.total()));
        for status in [OrderStatus::Cancelled, OrderStatus::Failed, OrderStatus::CheckoutDraft, OrderStatus::Pending] {
            assert!(orders(&|o| o.status == status), "{status:?}");
        }
        assert!(orders(&|o| o.trashed));
        assert!(orders(&|o| o.lines.iter().any(|l| l.product_id.is_none())));
        assert!(orders(&|o| o.person_id.is_none()));
        assert!(world.orders.windows(2).any(|pair| pair[0].created_at == pair[1].created_at));
        assert!(world.products.iter().any(|p| p.options.len() == 2 && p.variants.iter().any(|v| v.sku.is_none())));
        assert!(world.products.iter().any(|p| p.variants.iter().all(|v| v.price().is_none())));
        assert!(world.products.iter().any(|p| p.variants.iter().any(|v| v.stock.is_some_and(|s| s < 0))));
    }

    #[test]
    fn ids_and_times_rise_together_and_nothing_is_from_the_future() {
        let world = World::generate(3, Size { people: 200, products: 50, orders: 400 }, Market::GERMANY);
        assert!(world.orders.is_sorted_by(|a, b| a.id < b.id && a.created_at <= b.created_at));
        assert!(world.people.is_sorted_by(|a, b| a.id < b.id && a.created_at <= b.created_at));
        assert!(world.orders.iter().all(|o| o.created_at <= o.modified_at && o.modified_at <= epoch_end()));
        assert!(world.orders.iter().all(|o| o.created_at.timestamp_subsec_nanos() == 0));
    }

    #[test]
    fn every_amount_has_the_decimals_of_its_market() {
        for market in [Market::HUNGARY, Market::NEW_YORK, Market::KUWAIT, Market::VIETNAM, Market::JAPAN] {
            let world = World::generate(5, Size::small(), market);
            for order in &world.orders {
                let digits = order.total().normalize().scale();
                assert!(digits <= market.currency.decimals, "{} {}", market.country, order.total());
                assert!(order.refunded() <= order.total());
            }
        }
    }
}
