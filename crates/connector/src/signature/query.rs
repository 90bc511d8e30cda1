//! The signed query strings of Shopify: install requests, OAuth callbacks, links from the admin.
//! <https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant>

use std::collections::BTreeMap;

use kernel::Secret;
use url::form_urlencoded;

use super::verify_hex;
use crate::provider::Unverified;

/// Parameters whose signature has been checked. Only [`verify`] makes them.
#[derive(Clone)]
pub struct Verified(Vec<(String, String)>);

impl Verified {
    /// A parameter that must be there exactly once.
    ///
    /// # Errors
    /// [`Unverified::Parameter`]
    pub fn one(&self, name: &str) -> Result<&str, Unverified> {
        self.optional(name)?.ok_or(Unverified::Parameter)
    }

    /// A parameter that may be absent and must not be repeated.
    ///
    /// # Errors
    /// [`Unverified::Parameter`]
    pub fn optional(&self, name: &str) -> Result<Option<&str>, Unverified> {
        single(&self.0, name)
    }
}

fn single<'p>(pairs: &'p [(String, String)], name: &str) -> Result<Option<&'p str>, Unverified> {
    let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
    match (values.next(), values.next()) {
        (first, None) => Ok(first),
        _ => Err(Unverified::Parameter),
    }
}

/// Checks the `hmac` of a raw query string (without the question mark) against each secret; there are two while an app's
/// secret is being rotated. How old the `timestamp` may be is for the caller to check.
///
/// # Errors
/// [`Unverified::Parameter`] without exactly one `hmac`, or when `shop` or `timestamp` is repeated;
/// [`Unverified::Signature`] when no secret made it.
pub fn verify(raw_query: &str, secrets: &[&Secret]) -> Result<Verified, Unverified> {
    let pairs: Vec<(String, String)> = form_urlencoded::parse(raw_query.as_bytes()).into_owned().collect();
    let given = single(&pairs, "hmac")?.ok_or(Unverified::Parameter)?;
    for name in ["shop", "timestamp", "signature"] {
        single(&pairs, name)?;
    }
    let message = message(&pairs);
    let is_signed = secrets.iter().any(|secret| verify_hex(secret, message.as_bytes(), given));
    if is_signed { Ok(Verified(pairs)) } else { Err(Unverified::Signature) }
}

/// What Shopify signs: all parameters but the signatures, sorted by name and encoded again, so that one message stands for
/// one set of parameters. `ids[]` stays a list; any other repeated name is one value, joined by commas.
fn message(pairs: &[(String, String)]) -> String {
    let mut by_name = BTreeMap::<&str, Vec<&str>>::new();
    for (name, value) in pairs.iter().filter(|(name, _)| !matches!(name.as_str(), "hmac" | "signature")) {
        by_name.entry(name).or_default().push(value);
    }
    let mut message = form_urlencoded::Serializer::new(String::new());
    for (name, values) in by_name {
        if name.ends_with("[]") {
            message.extend_pairs(values.into_iter().map(|value| (name, value)));
        } else {
            message.append_pair(name, &values.join(","));
        }
    }
    // The form's plus is Shopify's %20; a plus of the value itself is %2B by now.
    message.finish().replace('+', "%20")
}
