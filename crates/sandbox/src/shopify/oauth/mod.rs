//! Installing an app: the install link, the merchant's consent, and the token endpoint.

mod consent;
mod install;
mod page;
mod token;

pub(super) use consent::{ask_consent, decide};
pub(super) use install::{choose_shop, install, install_here};
pub(super) use token::token;

use super::app::App;
use super::shop::Shop;
use super::signature;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chrono::{DateTime, Utc};

/// An address at the app with parameters that Shopify signs, `shop`, `host` and `timestamp` among them.
fn signed_url(app: &App, base: &str, shop: &Shop, now: DateTime<Utc>, more: Vec<(&str, String)>) -> String {
    let host = STANDARD_NO_PAD.encode(format!("admin.shopify.com/store/{}", shop.spec().handle));
    let mut params = vec![
        ("host".to_owned(), host),
        ("shop".to_owned(), shop.domain()),
        ("timestamp".to_owned(), now.timestamp().to_string()),
    ];
    params.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let query = signature::signed_query(&app.client_secret, params);
    let separator = if base.contains('?') { '&' } else { '?' };
    format!("{base}{separator}{query}")
}
