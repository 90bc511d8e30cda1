//! `/customers`: registered accounts only.

use super::dates::{gmt, local};
use super::error::RestError;
use super::json::{Object, Raw, object};
use super::orders::address;
use super::params::{Check, Window};
use super::serve::{Answer, Ask};
use crate::world::{Account, Address, Id, Person, Role};
use http::StatusCode;
use sha2::{Digest, Sha256};

const ROLES: [&str; 8] =
    ["all", "administrator", "editor", "author", "contributor", "subscriber", "customer", "shop_manager"];

fn role(account: &Account) -> &'static str {
    match account.role {
        Role::Customer => "customer",
        Role::Subscriber => "subscriber",
        Role::ShopManager => "shop_manager",
        Role::Administrator => "administrator",
    }
}

fn display_name(person: &Person, account: &Account) -> String {
    let name = format!("{} {}", person.first_name, person.last_name);
    if name.trim().is_empty() { account.username.clone() } else { name.trim().to_owned() }
}

/// How WordPress' user search decides which columns to look at.
fn found(person: &Person, account: &Account, words: &str) -> bool {
    let email = person.email.as_deref().unwrap_or_default().to_lowercase();
    let username = account.username.to_lowercase();
    if words.contains('@') {
        email.contains(words)
    } else if words.parse::<f64>().is_ok() {
        username.contains(words) || person.id.to_string().contains(words)
    } else {
        username.contains(words)
            || email.contains(words)
            || display_name(person, account).to_lowercase().contains(words)
    }
}

pub(super) fn list(ask: &Ask<'_>) -> Result<Answer, RestError> {
    let mut check = Check::new(ask.query);
    let window = Window::check(&mut check);
    check.word("context", &["view", "edit"]);
    let descending = check.word("order", &["asc", "desc"]) == Some("desc");
    let order_by = check.word("orderby", &["id", "include", "name", "registered_date"]).unwrap_or("name");
    let wanted_role = check.word("role", &ROLES).unwrap_or("customer");
    let email = check.email("email").map(str::to_lowercase);
    let search = check.text("search").map(str::to_lowercase);
    let include = check.ids("include").unwrap_or_default();
    let exclude = check.ids("exclude").unwrap_or_default();
    check.done()?;
    ask.caller.may_read(true)?;

    let accounts = ask.data.world.people.iter().filter_map(|person| Some((person, person.account.as_ref()?)));
    let mut matching: Vec<(&Person, &Account)> = accounts
        .filter(|(person, account)| {
            (wanted_role == "all" || role(account) == wanted_role)
                && (include.is_empty() || include.contains(&person.id))
                && !exclude.contains(&person.id)
                && match (&email, &search) {
                    // With an e-mail address the search is not looked at.
                    (Some(email), _) => person.email.as_ref().is_some_and(|known| known.to_lowercase() == *email),
                    (None, Some(words)) => found(person, account, words),
                    (None, None) => true,
                }
        })
        .collect();
    match order_by {
        "id" => matching.sort_by_key(|(person, _)| person.id),
        "registered_date" => matching.sort_by_key(|(person, _)| (person.created_at, person.id)),
        "include" if !include.is_empty() => {
            matching.sort_by_key(|(person, _)| include.iter().position(|id| *id == person.id));
        }
        _ => matching.sort_by_cached_key(|(person, account)| (display_name(person, account).to_lowercase(), person.id)),
    }
    if descending && order_by != "include" {
        matching.reverse();
    }
    let mut body = vec![b'['];
    for (number, (person, account)) in matching.iter().skip(window.skip()).take(window.per_page).enumerate() {
        if number > 0 {
            body.push(b',');
        }
        object(&mut body, ask.fields.as_ref(), |out| view(ask, person, account, false, out));
    }
    body.push(b']');
    Ok(Answer::page(ask, "customers", window, matching.len(), body))
}

pub(super) fn single(ask: &Ask<'_>, id: Id) -> Result<Answer, RestError> {
    let mut check = Check::new(ask.query);
    check.word("context", &["view", "edit"]);
    check.done()?;
    let person = ask.data.account_by_id.get(&id).map(|at| &ask.data.world.people[*at as usize]);
    let found = person.and_then(|person| Some((person, person.account.as_ref()?)));
    let unknown = || RestError::new(StatusCode::NOT_FOUND, "wc_user_invalid_id", "Invalid user ID.");
    let (person, account) = found.ok_or_else(unknown)?;
    ask.caller.may_read(false)?;
    let mut body = vec![];
    object(&mut body, ask.fields.as_ref(), |out| view(ask, person, account, true, out));
    Ok(Answer::single(body))
}

fn view(ask: &Ask<'_>, person: &Person, account: &Account, single: bool, out: &mut Object<'_>) {
    let spec = ask.shop.spec();
    let (zone, newer) = (spec.market.time_zone, spec.version.has_newer_fields());
    let email = person.email.as_deref().unwrap_or_default();
    out.put("id", person.id);
    out.put("date_created", local(person.created_at, zone));
    out.put("date_created_gmt", gmt(person.created_at));
    out.put("date_modified", person.modified_at.map(|time| local(time, zone)));
    out.put("date_modified_gmt", person.modified_at.map(gmt));
    out.put("email", email);
    out.put("first_name", &person.first_name);
    out.put("last_name", &person.last_name);
    out.put("role", role(account));
    out.put("username", &account.username);
    out.object("billing", |out| {
        address(&person.billing, out);
        out.put("email", email);
        out.put("phone", &person.billing.phone);
    });
    out.object("shipping", |out| {
        let none = Address::default();
        let shipping = person.shipping.as_ref().unwrap_or(&none);
        address(shipping, out);
        if newer {
            out.put("phone", &shipping.phone);
        }
    });
    out.put("is_paying_customer", ask.data.paying.contains(&person.id));
    out.put_with("avatar_url", || {
        let hash = hex::encode(Sha256::digest(email.trim().to_lowercase()));
        format!("https://secure.gravatar.com/avatar/{hash}?s=96&d=mm&r=g")
    });
    out.put("meta_data", Raw("[]"));
    let links =
        [("self", ask.rest_url(&format!("customers/{}", person.id))), ("collection", ask.rest_url("customers"))];
    out.links(single, &links, newer);
}
