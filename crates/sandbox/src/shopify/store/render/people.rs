//! Customers.

use super::{ByPerson, address, customer_id, e164, text};
use crate::shopify::store::model::{Customer, EmailAddress, PhoneNumber};
use crate::shopify::store::values::{CustomerState, EmailMarketing, OptInLevel, PhoneMarketing};
use crate::world::{Person, World};
use std::collections::HashMap;
use std::collections::HashSet;

/// A customer for everyone with an email address, guests too, as Shopify makes them at the checkout. People who share an
/// address are one customer.
pub(super) fn customers(world: &World) -> (Vec<Customer>, ByPerson) {
    let mut by_email = HashMap::new();
    let mut by_person = ByPerson::new();
    let mut phones = HashSet::new();
    let mut customers = Vec::new();
    for person in &world.people {
        let Some(email) = &person.email else { continue };
        let id = *by_email.entry(email.to_lowercase()).or_insert_with(|| {
            customers.push(customer(person, email, &mut phones));
            customer_id(person.id)
        });
        by_person.insert(person.id, id);
    }
    (customers, by_person)
}

fn customer(person: &Person, email: &str, phones: &mut HashSet<String>) -> Customer {
    let id = customer_id(person.id);
    let consent_at = Some(person.created_at).filter(|_| person.accepts_marketing);
    let marketing = match (person.accepts_marketing, person.id % 11) {
        (true, 0) => EmailMarketing::Pending,
        (true, _) => EmailMarketing::Subscribed,
        (false, 1) => EmailMarketing::Unsubscribed,
        (false, 2) => EmailMarketing::Invalid,
        (false, _) => EmailMarketing::NotSubscribed,
    };
    let opt_in = person.accepts_marketing.then_some(match person.id % 3 {
        0 => OptInLevel::Confirmed,
        1 => OptInLevel::Single,
        _ => OptInLevel::Unknown,
    });
    let number = e164(&person.phone).filter(|number| phones.insert(number.clone()));
    let sms = if person.accepts_marketing && person.id.is_multiple_of(4) {
        PhoneMarketing::Subscribed
    } else {
        PhoneMarketing::NeverSubscribed
    };
    let addresses = [Some(&person.billing), person.shipping.as_ref()].into_iter().flatten().enumerate();
    let addresses = addresses.filter(|(_, address)| !address.country.is_empty());
    Customer {
        id,
        first_name: text(&person.first_name),
        last_name: text(&person.last_name),
        email: Some(EmailAddress { address: email.to_lowercase(), marketing, opt_in, consent_at }),
        phone: number.map(|number| PhoneNumber {
            number,
            sms,
            whats_app: PhoneMarketing::NeverSubscribed,
            opt_in: (sms == PhoneMarketing::Subscribed).then_some(OptInLevel::Single),
            consent_at: consent_at.filter(|_| sms == PhoneMarketing::Subscribed),
        }),
        locale: person.billing.country.to_lowercase().replace("us", "en").replace("at", "de"),
        state: match (person.account.is_some(), person.id % 17) {
            (true, 0) => CustomerState::Invited,
            (true, 1) => CustomerState::Declined,
            (true, _) => CustomerState::Enabled,
            (false, _) => CustomerState::Disabled,
        },
        note: text(&person.note),
        tags: person.tags.clone(),
        tax_exempt: person.id.is_multiple_of(23),
        verified_email: person.account.is_some(),
        addresses: addresses.map(|(at, from)| address(from, person.id * 10 + at as u64)).collect(),
        created_at: person.created_at,
        updated_at: person.modified_at.unwrap_or(person.created_at),
    }
}
