use connector::model::{Customer, Marketing};
use kernel::Personal;
use serde_json::{Map, Value};

use super::{filled, filled_personal, keep, wire};

/// `platform` says whether `platform_specific` was asked for.
pub(crate) fn customer(wire: wire::Customer, platform: bool) -> Customer {
    let platform_specific = platform.then(|| Personal::new(platform_specific(&wire)));
    let marketing = marketing(&wire);
    let company = wire.default_address.as_ref().and_then(|address| address.company.clone());
    let addresses = wire.addresses.map(|addresses| addresses.nodes).unwrap_or_default();
    let (total_spent, currency) = match wire.amount_spent {
        Some(spent) => (Some(spent.amount.0), Some(spent.currency_code)),
        None => (None, None),
    };
    Customer {
        id: wire.legacy_resource_id.0.to_string(),
        email: filled_personal(wire.default_email_address.and_then(|email| email.email_address)),
        first_name: filled_personal(wire.first_name),
        last_name: filled_personal(wire.last_name),
        phone: filled_personal(wire.default_phone_number.and_then(|phone| phone.phone_number)),
        company,
        addresses: addresses.into_iter().filter_map(wire::MailingAddress::into_address).collect(),
        default_address: wire.default_address.and_then(wire::MailingAddress::into_address),
        orders_count: wire.number_of_orders.map(|count| count.0),
        total_spent,
        currency,
        tags: wire.tags,
        marketing,
        locale: filled(wire.locale),
        created_at: wire.created_at,
        updated_at: wire.updated_at,
        platform_specific,
    }
}

fn marketing(wire: &wire::Customer) -> Marketing {
    let email = wire.default_email_address.as_ref();
    let sms = wire.default_phone_number.as_ref().and_then(|phone| phone.sms_marketing_consent.as_ref());
    Marketing {
        email: email.and_then(|email| email.marketing_state.as_deref()).and_then(consented),
        sms: sms.and_then(|sms| sms.state.as_deref()).and_then(consented),
        at: email.and_then(|email| email.marketing_updated_at).max(sms.and_then(|sms| sms.updated_at)),
    }
}

/// Only SUBSCRIBED is consent: PENDING waits for the second step of a double opt-in. A word that is not known says nothing.
fn consented(state: &str) -> Option<bool> {
    match state {
        "SUBSCRIBED" => Some(true),
        "NOT_SUBSCRIBED" | "NEVER_SUBSCRIBED" | "UNSUBSCRIBED" | "PENDING" | "INVALID" => Some(false),
        _ => None,
    }
}

fn platform_specific(wire: &wire::Customer) -> Value {
    let mut fields = wire.rest.clone();
    keep(&mut fields, "id", Some(wire.id.as_str()));
    if let Some(email) = &wire.default_email_address {
        let mut rest = email.rest.clone();
        keep(&mut rest, "marketingState", email.marketing_state.clone());
        keep_object(&mut fields, "defaultEmailAddress", rest);
    }
    if let Some(phone) = &wire.default_phone_number {
        let mut rest = phone.rest.clone();
        if let Some(consent) = &phone.sms_marketing_consent {
            let mut sms = consent.rest.clone();
            keep(&mut sms, "state", consent.state.clone());
            keep_object(&mut rest, "smsMarketingConsent", sms);
        }
        keep_object(&mut fields, "defaultPhoneNumber", rest);
    }
    Value::Object(fields)
}

fn keep_object(into: &mut Map<String, Value>, name: &str, object: Map<String, Value>) {
    keep(into, name, (!object.is_empty()).then_some(object));
}
