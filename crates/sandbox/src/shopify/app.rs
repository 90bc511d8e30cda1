//! Apps known to the simulated Shopify, as a Dev Dashboard would hold them.

use super::graphql::access::AppFacts;
use super::scopes::Scopes;

/// How much customer data an app was approved for (protected customer data levels 0, 1 and 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataAccess {
    /// Level 0: customers, orders and checkouts are refused.
    None,
    /// Level 1: they are shown, but names, addresses, phone numbers and email addresses are refused.
    WithoutIdentity,
    /// Level 2: everything.
    Full,
}

/// An app.
#[derive(Debug, Clone)]
pub struct App {
    /// Public key of the app.
    pub client_id: String,
    /// Signs and is asked for at the token endpoint.
    pub client_secret: String,
    /// While secrets are rotated: accepted like the first, never used to sign.
    pub previous_secret: Option<String>,
    /// For people.
    pub title: String,
    /// Where Shopify opens the app. May have a query string.
    pub application_url: String,
    /// Where consent may lead back to: compared as a whole.
    pub redirect_urls: Vec<String>,
    /// What it may ask merchants for.
    pub scopes: Scopes,
    /// Protected customer data.
    pub data_access: DataAccess,
    /// Whether `read_all_orders` was approved: may be asked for only then.
    pub read_all_orders: bool,
}

impl App {
    /// An app approved for everything, which calls back to `redirect_url`.
    pub fn new(client_id: &str, client_secret: &str, application_url: &str, redirect_url: &str, scopes: &str) -> App {
        App {
            client_id: client_id.to_owned(),
            client_secret: client_secret.to_owned(),
            previous_secret: None,
            title: "Entrepot".to_owned(),
            application_url: application_url.to_owned(),
            redirect_urls: vec![redirect_url.to_owned()],
            scopes: Scopes::parse(scopes),
            data_access: DataAccess::Full,
            read_all_orders: true,
        }
    }

    /// Whether `secret` is one of the app's.
    pub(super) fn knows(&self, secret: &str) -> bool {
        self.client_secret == secret || self.previous_secret.as_deref() == Some(secret)
    }

    /// Which of `asked` the app may not ask for.
    pub(super) fn may_not_ask(&self, asked: &Scopes) -> Vec<String> {
        let beyond = asked.beyond(&self.scopes).into_iter();
        beyond.filter(|scope| !(scope == "read_all_orders" && self.read_all_orders)).collect()
    }

    pub(super) fn facts(&self) -> AppFacts {
        // Dashboards number apps; here the number follows from the client id.
        let id =
            self.client_id.bytes().fold(5381u64, |hash, byte| hash.wrapping_mul(33) ^ u64::from(byte)) % 1_000_000_000;
        AppFacts {
            id,
            handle: self.title.to_lowercase().replace(' ', "-"),
            title: self.title.clone(),
            url: self.application_url.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{App, Scopes};

    #[test]
    fn old_orders_are_asked_for_only_with_approval() {
        let mut app = App::new("id", "secret", "https://hub/", "https://hub/cb", "read_orders");
        assert!(app.may_not_ask(&Scopes::parse("read_orders,read_all_orders")).is_empty());
        app.read_all_orders = false;
        assert_eq!(app.may_not_ask(&Scopes::parse("read_orders,read_all_orders")), ["read_all_orders"]);
    }
}
