//! What a caller asks for, in a query string or in the body of a search.

use chrono::{DateTime, Utc};
use connector::{Fields, Filter, Filters, Selection, model as canonical};
use hmac::{Hmac, KeyInit, Mac};
use kernel::Personal;
use kit::{Code, Problem};
use serde::{Deserialize, Deserializer};
use sha2::Sha256;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Pages by number on shops that only have cursors are walked to, so they are limited.
pub const WALKED_PAGES: u32 = 10;

/// A list, with the filters of all resources. Which of them a resource has, [`super::parameters`] tells the document; which a
/// shop can apply, its problem `filter_unsupported` says.
#[derive(Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    /// From GET /api/stores.
    pub store_id: Uuid,
    /// 1-based. On shops that only have cursors up to 10; follow `meta.next_cursor` beyond.
    #[param(minimum = 1)]
    #[schema(minimum = 1)]
    pub page: Option<u32>,
    /// 1 to 100; 25 when absent.
    #[param(minimum = 1, maximum = 100)]
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u16>,
    /// `meta.next_cursor` of the page before, with the same filters.
    pub cursor: Option<String>,
    /// Only these fields, by comma; `platform_specific` must be asked for here.
    #[serde(default, deserialize_with = "words")]
    #[param(value_type = Option<String>)]
    pub fields: Vec<String>,
    /// Only these records, by the shop's own ids.
    #[serde(default, deserialize_with = "words")]
    #[param(value_type = Option<String>)]
    pub ids: Vec<String>,
    /// Put personal values into the body of a search rather than into an address.
    pub email: Option<String>,
    pub phone: Option<String>,
    /// The shop's own free-text search.
    pub search: Option<String>,
    pub status: Option<String>,
    pub payment_status: Option<String>,
    pub customer_id: Option<String>,
    pub number: Option<String>,
    pub sku: Option<String>,
    /// At or after.
    #[serde(default, deserialize_with = "kit::input::optional_time")]
    pub created_after: Option<DateTime<Utc>>,
    /// Before.
    #[serde(default, deserialize_with = "kit::input::optional_time")]
    pub created_before: Option<DateTime<Utc>>,
    /// At or after.
    #[serde(default, deserialize_with = "kit::input::optional_time")]
    pub updated_after: Option<DateTime<Utc>>,
    /// Before.
    #[serde(default, deserialize_with = "kit::input::optional_time")]
    pub updated_before: Option<DateTime<Utc>>,
}

/// One record.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OneParams {
    /// From GET /api/stores.
    pub store_id: Uuid,
    /// Only these fields, by comma; without it all of them.
    #[serde(default, deserialize_with = "words")]
    #[param(value_type = Option<String>)]
    pub fields: Vec<String>,
}

/// A list of words: repeated, or one text with commas, or a JSON array.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Words;
    impl<'de> serde::de::Visitor<'de> for Words {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list of words")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect())
        }

        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Ok(vec![])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut words = vec![];
            while let Some(text) = seq.next_element::<String>()? {
                words.extend(text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned));
            }
            Ok(words)
        }
    }
    deserializer.deserialize_any(Words)
}

impl ListParams {
    /// The filters, each within its limits.
    ///
    /// # Errors
    /// When a value cannot be one.
    pub fn filters(&self) -> Result<Filters, Problem> {
        if self.ids.len() > 100 {
            return Err(Problem::invalid("ids", "may name 100 records at most"));
        }
        if self.ids.iter().any(|id| id.len() > 200) {
            return Err(Problem::invalid("ids", "an id has 200 characters at most"));
        }
        let text = |name: &'static str, value: &Option<String>| match value {
            None => Ok(None),
            Some(text) => {
                let text = text.trim();
                if text.is_empty() || text.chars().count() > 254 || text.chars().any(char::is_control) {
                    return Err(Problem::invalid(name, "must have 1 to 254 characters"));
                }
                Ok(Some(text.to_owned()))
            }
        };
        let window =
            |name: &'static str, after: Option<DateTime<Utc>>, before: Option<DateTime<Utc>>| match (after, before) {
                (Some(after), Some(before)) if after >= before => {
                    Err(Problem::invalid(name, "must be later than its _after"))
                }
                _ => Ok(()),
            };
        window("created_before", self.created_after, self.created_before)?;
        window("updated_before", self.updated_after, self.updated_before)?;
        if text("email", &self.email)?.is_some_and(|email| !email.contains('@')) {
            return Err(Problem::invalid("email", "is not an e-mail address"));
        }
        if let Some(status) = &self.payment_status {
            known("payment_status", status, &closed_words("orders", Filter::PaymentStatus).unwrap_or_default())?;
        }
        Ok(Filters {
            ids: self.ids.clone(),
            email: text("email", &self.email)?.map(Personal::new),
            phone: text("phone", &self.phone)?.map(Personal::new),
            search: text("search", &self.search)?.map(Personal::new),
            status: text("status", &self.status)?,
            payment_status: self.payment_status.clone(),
            customer_id: text("customer_id", &self.customer_id)?,
            number: text("number", &self.number)?,
            sku: text("sku", &self.sku)?,
            created_after: self.created_after,
            created_before: self.created_before,
            updated_after: self.updated_after,
            updated_before: self.updated_before,
        })
    }

    /// A digest of everything that decides which records are meant, for sealed cursors.
    pub(in crate::live) fn filter_digest(&self, key: &[u8; 32]) -> [u8; 32] {
        let mut digest = digest(key);
        for id in &self.ids {
            feed(&mut digest, "id", id);
        }
        let texts = [
            ("email", &self.email),
            ("phone", &self.phone),
            ("search", &self.search),
            ("status", &self.status),
            ("payment_status", &self.payment_status),
            ("customer_id", &self.customer_id),
            ("number", &self.number),
            ("sku", &self.sku),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                feed(&mut digest, name, value);
            }
        }
        let times = [
            ("created_after", self.created_after),
            ("created_before", self.created_before),
            ("updated_after", self.updated_after),
            ("updated_before", self.updated_before),
        ];
        for (name, value) in times {
            if let Some(value) = value {
                feed(&mut digest, name, &value.to_rfc3339());
            }
        }
        digest.finalize().into_bytes().into()
    }
}

/// Refuses filters that this shop cannot apply, naming those that it can.
pub(in crate::live) fn refuse_unsupported(
    filters: &Filters,
    supported: &[Filter],
    platform: &str,
) -> Result<(), Problem> {
    let unsupported: Vec<&str> =
        filters.used().into_iter().filter(|filter| !supported.contains(filter)).map(Filter::as_str).collect();
    if unsupported.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = supported.iter().map(|filter| filter.as_str()).collect();
    let detail = format!(
        "{platform} cannot filter by {}. It can filter by {}. The shop was not asked.",
        unsupported.join(", "),
        names.join(", ")
    );
    Err(Problem::new(Code::FilterUnsupported, detail).with("unsupported", unsupported).with("supported", names))
}

/// Refuses to say which records are a person's when the store's owner has switched customers off.
pub(in crate::live) fn refuse_about_persons(filters: &Filters, about_persons: &[Filter]) -> Result<(), Problem> {
    match filters.used().into_iter().find(|filter| about_persons.contains(filter)) {
        None => Ok(()),
        Some(filter) => Err(Problem::new(
            Code::DataAccessDisabled,
            format!(
                "The store's owner has switched customers off, so records cannot be found by {}. The shop was not asked.",
                filter.as_str()
            ),
        )),
    }
}

/// Refuses a status that no shop has.
pub(in crate::live) fn refuse_unknown_status(resource: &str, status: Option<&str>) -> Result<(), Problem> {
    match (status, closed_words(resource, Filter::Status)) {
        (Some(status), Some(words)) => known("status", status, &words),
        _ => Ok(()),
    }
}

/// The words that a filter of a resource takes; None when it takes others too.
pub(in crate::live) fn closed_words(resource: &str, filter: Filter) -> Option<Vec<&'static str>> {
    match (resource, filter) {
        ("orders", Filter::Status) => Some(canonical::OrderStatus::ALL.iter().map(|status| status.as_str()).collect()),
        ("products", Filter::Status) => {
            Some(canonical::ProductStatus::ALL.iter().map(|status| status.as_str()).collect())
        }
        ("orders", Filter::PaymentStatus) => {
            Some(canonical::PaymentStatus::ALL.iter().map(|status| status.as_str()).collect())
        }
        _ => None,
    }
}

fn known(name: &str, given: &str, words: &[&str]) -> Result<(), Problem> {
    if words.contains(&given) {
        return Ok(());
    }
    Err(Problem::invalid(name, format!("must be one of {}", words.join(", "))))
}

/// Which fields are wanted.
///
/// # Errors
/// When one is not of this resource.
/// `unnamed` is what is meant where the caller names no fields.
pub(in crate::live) fn selection(
    fields: &[String],
    known: &[&str],
    unnamed: Fields,
    persons: bool,
) -> Result<Selection, Problem> {
    if fields.len() > known.len() {
        return Err(Problem::invalid("fields", "names a field more than once"));
    }
    if let Some(unknown) = fields.iter().find(|field| !known.contains(&field.as_str())) {
        let shown: String = unknown.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
        return Err(Problem::invalid("fields", format!("{shown} is not a field; there are {}", known.join(", "))));
    }
    let fields = if fields.is_empty() { unnamed } else { Fields::Named(fields.iter().cloned().collect()) };
    Ok(Selection { persons, fields })
}

pub(in crate::live) type Digest = Hmac<Sha256>;

pub(in crate::live) fn digest(key: &[u8; 32]) -> Digest {
    <Digest as KeyInit>::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"))
}

/// Feeds a named value, with its length, so that two values cannot be read as one.
pub(in crate::live) fn feed(digest: &mut Digest, name: &str, value: &str) {
    for part in [name, value] {
        digest.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part.as_bytes());
    }
}
