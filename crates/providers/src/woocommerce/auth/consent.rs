//! Keys by consent: the shop's own page `/wc-auth/v1/authorize` (W1).
//! <https://woocommerce.github.io/woocommerce-rest-api-docs/#authentication-endpoint>
//!
//! The shop hands its keys over from server to server, unsigned and without its name; `user_id`, an opaque text of ours, is
//! all that ties them to a shop. It takes back the key unless it is answered with exactly 200.

use async_trait::async_trait;
use connector::{
    http::Http,
    provider::{
        ConnectError, GrantPage, GrantRequest, GrantReturn, GrantedKeys, HandedOver, PastedSecrets, Unverified,
    },
};
use kernel::{Clock, Secret};
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use super::{CONSUMER_KEY, CONSUMER_SECRET, SHOP_URL, address, discovery, invalid};
use crate::woocommerce::Woocommerce;

/// How much of an organization's name a shop's owner is shown, in characters. WooCommerce keeps 170 of the whole.
const NAME_CHARS_MAX: usize = 60;
/// We read, and ask for no more.
const SCOPE: &str = "read";

/// What the shop's owner reads on the consent page, and later in the list of keys: for whom the keys are. Whoever began chose the
/// organization's name and may have sent the page to somebody else's shop, so the name stands in quotes that it cannot close,
/// behind words that are ours, and in letters that are there to be seen.
fn app_name(organization: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | ',' | '-' | '&' | '\'' | '+' | '/');
    let plain: String = organization.chars().map(|c| if is_plain(c) { c } else { ' ' }).collect();
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let name: String = words.chars().take(NAME_CHARS_MAX).collect();
    match name.trim() {
        "" => "Entrepot".to_owned(),
        name => format!("Entrepot, for \"{name}\""),
    }
}

/// The body of the shop's POST. Anything else in it is left alone: plugins add to it.
#[derive(Deserialize)]
struct Body {
    /// Documented as a number and sent as a text.
    user_id: Value,
    consumer_key: Secret,
    consumer_secret: Secret,
    key_permissions: String,
}

#[async_trait]
impl GrantedKeys for Woocommerce {
    async fn ask(
        &self,
        http: &Http,
        clock: &Clock,
        config: &Value,
        request: &GrantRequest<'_>,
    ) -> Result<GrantPage, ConnectError> {
        let typed = config.get(SHOP_URL).and_then(Value::as_str).unwrap_or_default();
        let address = address::clean(typed, http)?;
        let page = discovery::home_page(http, &address).await.map_err(|error| super::without_https(error, typed))?;
        let site = discovery::find(http, clock, &address, page).await?;
        // Whoever is on the way could write another address for the keys into a page that travels unencrypted.
        if site.rest_root.scheme() != "https" {
            return Err(invalid(
                SHOP_URL,
                "The shop has no https, so its consent page cannot be trusted. Make a key in WooCommerce → Settings → \
                 Advanced → REST API and paste it.",
            ));
        }
        let unreadable = |_| invalid(SHOP_URL, "The shop's own address cannot be read.");
        let mut url = site.home.join("wc-auth/v1/authorize").map_err(unreadable)?;
        if url.scheme() != "https" && url.set_scheme("https").is_err() {
            return Err(invalid(SHOP_URL, "The shop's own address cannot be read."));
        }
        url.query_pairs_mut()
            .append_pair("app_name", &app_name(request.organization))
            .append_pair("scope", SCOPE)
            .append_pair("user_id", request.state)
            .append_pair("return_url", request.return_to.as_str())
            .append_pair("callback_url", request.callback.as_str());
        Ok(GrantPage { account: address::canonical(&site.home), url })
    }

    fn read_keys(&self, body: &[u8]) -> Result<HandedOver, Unverified> {
        let body: Body = serde_json::from_slice(body).map_err(|_| Unverified::Parameter)?;
        let state = match body.user_id {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => return Err(Unverified::Parameter),
        };
        if state.is_empty() || body.consumer_key.expose().is_empty() || body.consumer_secret.expose().is_empty() {
            return Err(Unverified::Parameter);
        }
        let may_read = matches!(body.key_permissions.as_str(), "read" | "read_write");
        Ok(HandedOver {
            state,
            secrets: PastedSecrets(vec![
                (CONSUMER_KEY.to_owned(), body.consumer_key),
                (CONSUMER_SECRET.to_owned(), body.consumer_secret),
            ]),
            missing_scopes: if may_read { vec![] } else { vec![SCOPE.to_owned()] },
        })
    }

    fn read_return(&self, raw_query: &str) -> Result<GrantReturn, Unverified> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(raw_query.as_bytes()).into_owned().collect();
        let one = |name: &str| {
            let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
            match (values.next(), values.next()) {
                (Some(value), None) if !value.is_empty() => Ok(value.clone()),
                _ => Err(Unverified::Parameter),
            }
        };
        let is_granted = match one("success")?.as_str() {
            "1" => true,
            "0" => false,
            _ => return Err(Unverified::Parameter),
        };
        Ok(GrantReturn { state: one("user_id")?, is_granted })
    }
}

#[cfg(test)]
mod tests {
    use super::app_name;

    #[test]
    fn a_shops_owner_reads_for_whom_the_keys_are_in_words_that_nobody_else_chose() {
        for (organization, shown) in [
            ("Kávé & Bolt Kft.", "Entrepot, for \"Kávé & Bolt Kft.\""),
            ("日本の店", "Entrepot, for \"日本の店\""),
            ("Entrepot", "Entrepot, for \"Entrepot\""),
            ("Shop\" wants to connect. Entrepot", "Entrepot, for \"Shop wants to connect. Entrepot\""),
            ("<b>Woo</b>\u{202e}\u{200b}\u{0}x", "Entrepot, for \"b Woo /b x\""),
            ("a\n\n\tb", "Entrepot, for \"a b\""),
            ("”“«»„", "Entrepot"),
            (" ", "Entrepot"),
        ] {
            assert_eq!(app_name(organization), shown);
        }
        let long = app_name(&"é".repeat(500));
        assert_eq!(long.chars().count(), 60 + "Entrepot, for \"\"".len());
    }
}
