//! Filters as Shopify's search syntax. What comes from a caller stands between quotation marks and can hold none, so that it
//! is a value and nothing else. <https://shopify.dev/docs/api/usage/search-syntax>

use chrono::{Duration, DurationRound, SecondsFormat};
use connector::{
    Filters, ProviderError,
    model::{OrderStatus, PaymentStatus, ProductStatus},
    query::in_request,
};
use kernel::{Personal, Time};

/// A filter, translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// No record can fit: an id is asked for that cannot be one.
    Nothing,
    Terms {
        /// The `query` argument; None asks for all there is.
        query: Option<String>,
        /// Whether Shopify finds exactly what is asked for, so that its count is the total. Otherwise it finds more, and the
        /// caller picks.
        is_exact: bool,
    },
}

/// Conditions that must all hold.
#[derive(Default)]
struct Terms {
    all: Vec<String>,
    is_inexact: bool,
}

impl Terms {
    fn exact(&mut self, term: String) {
        self.all.push(term);
    }

    fn roughly(&mut self, term: String) {
        self.is_inexact = true;
        self.all.push(term);
    }

    /// A field that is split into words when it is indexed: the words of the value in a row, in capitals or not.
    fn phrase(&mut self, field: &str, value: &str) {
        self.roughly(format!("{field}:{}", quoted(value)));
    }

    fn personal_phrase(&mut self, field: &str, value: Option<&Personal<String>>) {
        if let Some(value) = value {
            self.phrase(field, in_request(value));
        }
    }

    /// All words must be somewhere in the record.
    fn words(&mut self, text: Option<&Personal<String>>) {
        if let Some(text) = text {
            let words = in_request(text).split_whitespace().map(quoted).filter(|word| word != "\"\"");
            let words: Vec<String> = words.collect();
            self.is_inexact = true;
            self.all.extend(words);
        }
    }

    /// `id:1 OR id:2`. False when ids are asked for and none of them can be one.
    fn ids(&mut self, kind: &str, ids: &[String]) -> bool {
        let terms: Vec<String> = ids.iter().filter_map(|id| number(kind, id)).map(|id| format!("id:{id}")).collect();
        match terms.as_slice() {
            [] => return ids.is_empty(),
            [one] => self.exact(one.clone()),
            several => self.exact(format!("({})", several.join(" OR "))),
        }
        true
    }

    fn times(&mut self, field: &str, after: Option<Time>, before: Option<Time>) {
        if let Some(after) = after {
            self.exact(format!("{field}:>='{}'", second(after)));
        }
        if let Some(before) = before {
            self.exact(format!("{field}:<='{}'", second(before + Duration::milliseconds(999))));
        }
    }

    /// As [`Self::times`], for fields that match whole days: a day more on either side.
    fn days(&mut self, field: &str, after: Option<Time>, before: Option<Time>) {
        let day = Duration::days(1);
        self.is_inexact |= after.is_some() || before.is_some();
        let earlier = |at: Time| at.checked_sub_signed(day).unwrap_or(at);
        let later = |at: Time| at.checked_add_signed(day).unwrap_or(at);
        self.times(field, after.map(earlier), before.map(later));
    }

    fn into_search(self) -> Search {
        let query = (!self.all.is_empty()).then(|| self.all.join(" "));
        Search::Terms { query, is_exact: !self.is_inexact }
    }
}

/// A value as one quoted string. Within quotation marks only the mark itself and the backslash mean anything, and how the
/// latter is read differs between Shopify's resources; both become blanks, which the index does not tell from them.
pub(crate) fn quoted(value: &str) -> String {
    let plain: String =
        value.chars().map(|c| if matches!(c, '"' | '\\') || c.is_control() { ' ' } else { c }).collect();
    format!("\"{}\"", plain.trim())
}

fn second(at: Time) -> String {
    let whole = at.duration_trunc(Duration::seconds(1)).unwrap_or(at);
    whole.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The number of an id as callers write it: the number itself or a global id of the right kind.
pub(crate) fn number(kind: &str, id: &str) -> Option<u64> {
    let digits = match id.strip_prefix("gid://shopify/") {
        Some(gid) => gid.strip_prefix(kind)?.strip_prefix('/')?.split('?').next()?,
        None => id,
    };
    // Not what `parse` also takes: "+1".
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

fn unknown(filter: &str) -> ProviderError {
    ProviderError::Rejected { detail: format!("{filter} is none that there is") }
}

/// # Errors
/// [`ProviderError::Rejected`] for a status outside the unified vocabulary.
pub(crate) fn orders(filters: &Filters) -> Result<Search, ProviderError> {
    let mut terms = Terms::default();
    if !terms.ids("Order", &filters.ids) {
        return Ok(Search::Nothing);
    }
    if let Some(customer) = &filters.customer_id {
        let Some(customer) = number("Customer", customer) else { return Ok(Search::Nothing) };
        terms.exact(format!("customer_id:{customer}"));
    }
    let status = filters.status.as_deref().map(|status| OrderStatus::parse(status).ok_or_else(|| unknown("status")));
    order_status(&mut terms, status.transpose()?);
    if let Some(payment) = filters.payment_status.as_deref() {
        let payment = PaymentStatus::parse(payment).ok_or_else(|| unknown("payment_status"))?;
        terms.exact(format!("financial_status:{}", payment.as_str()));
    }
    if let Some(number) = filters.number.as_deref() {
        let bare = number.trim_start_matches('#');
        terms.roughly(format!("(name:{} OR name:{})", quoted(bare), quoted(&format!("#{bare}"))));
    }
    terms.personal_phrase("email", filters.email.as_ref());
    terms.times("created_at", filters.created_after, filters.created_before);
    terms.times("updated_at", filters.updated_after, filters.updated_before);
    terms.words(filters.search.as_ref());
    Ok(terms.into_search())
}

/// Each unified status as a search that finds at least the orders which have it.
fn order_status(terms: &mut Terms, status: Option<OrderStatus>) {
    // What `status` is when it is not said differs between Shopify's interfaces; so it is said.
    const ALL: &str = "(status:open OR status:closed OR status:cancelled)";
    const NOT_CANCELLED: &str = "(status:open OR status:closed)";
    const PAID: &str = "(financial_status:paid OR financial_status:partially_refunded)";
    let Some(status) = status else { return terms.exact(ALL.to_owned()) };
    let (which, more) = match status {
        OrderStatus::Cancelled => ("status:cancelled", vec![]),
        OrderStatus::Refunded => (NOT_CANCELLED, vec!["financial_status:refunded"]),
        OrderStatus::OnHold => (NOT_CANCELLED, vec!["fulfillment_status:on_hold"]),
        OrderStatus::Failed => (NOT_CANCELLED, vec!["(financial_status:expired OR financial_status:voided)"]),
        OrderStatus::Completed => (NOT_CANCELLED, vec![PAID, "fulfillment_status:fulfilled"]),
        OrderStatus::Processing => (
            NOT_CANCELLED,
            vec!["(financial_status:paid OR financial_status:partially_refunded OR financial_status:authorized)"],
        ),
        // The rest; orders without a financial status belong to it, and no search finds what is not there.
        OrderStatus::Pending => (
            NOT_CANCELLED,
            vec![
                "-financial_status:paid",
                "-financial_status:partially_refunded",
                "-financial_status:authorized",
                "-financial_status:refunded",
                "-financial_status:expired",
                "-financial_status:voided",
            ],
        ),
    };
    terms.roughly(which.to_owned());
    terms.all.extend(more.into_iter().map(str::to_owned));
}

/// Creation is `customer_date` here, and `updated_at` matches whole days. `customersCount` knows few of the filters of
/// `customers`, so only a list of all or by id has a total.
pub(crate) fn customers(filters: &Filters) -> Search {
    let mut terms = Terms::default();
    if !terms.ids("Customer", &filters.ids) {
        return Search::Nothing;
    }
    terms.personal_phrase("email", filters.email.as_ref());
    terms.personal_phrase("phone", filters.phone.as_ref());
    terms.days("customer_date", filters.created_after, filters.created_before);
    terms.days("updated_at", filters.updated_after, filters.updated_before);
    terms.words(filters.search.as_ref());
    terms.into_search()
}

/// # Errors
/// As [`orders`].
pub(crate) fn products(filters: &Filters) -> Result<Search, ProviderError> {
    let mut terms = Terms::default();
    if !terms.ids("Product", &filters.ids) {
        return Ok(Search::Nothing);
    }
    match filters.status.as_deref() {
        // Unsaid, it would be active ones only.
        None => terms.exact("status:active,draft,archived,unlisted".to_owned()),
        Some(status) => {
            let status = ProductStatus::parse(status).ok_or_else(|| unknown("status"))?;
            terms.exact(format!("status:{}", status.as_str()));
        }
    }
    if let Some(sku) = filters.sku.as_deref() {
        terms.phrase("sku", sku);
    }
    terms.times("created_at", filters.created_after, filters.created_before);
    terms.times("updated_at", filters.updated_after, filters.updated_before);
    terms.words(filters.search.as_ref());
    Ok(terms.into_search())
}
