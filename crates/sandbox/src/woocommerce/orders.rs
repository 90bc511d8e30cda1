//! `/orders` and their refunds: which ones.

mod view;

pub(super) use view::{address, ids, slug};

use super::dates::Reading;
use super::error::RestError;
use super::json::object;
use super::params::{Check, Window};
use super::serve::{Answer, Ask};
use crate::world::{Id, Order, OrderStatus};
use chrono::{DateTime, Utc};
use std::collections::HashSet;

const STATUSES: [&str; 11] = [
    "any",
    "trash",
    "pending",
    "processing",
    "on-hold",
    "completed",
    "cancelled",
    "refunded",
    "failed",
    "checkout-draft",
    // From a plug-in.
    "awaiting-pickup",
];

/// The status as the API names it. The trash is a status of its own.
pub(super) fn status(order: &Order) -> &str {
    if order.trashed {
        return "trash";
    }
    match &order.status {
        OrderStatus::CheckoutDraft => "checkout-draft",
        OrderStatus::Pending => "pending",
        OrderStatus::Processing => "processing",
        OrderStatus::OnHold => "on-hold",
        OrderStatus::Completed => "completed",
        OrderStatus::Cancelled => "cancelled",
        OrderStatus::Refunded => "refunded",
        OrderStatus::Failed => "failed",
        OrderStatus::Custom(status) => status,
    }
}

/// What is asked of a list of orders.
struct Filter<'a> {
    window: Window,
    ascending: bool,
    order_by: &'a str,
    statuses: Vec<&'a str>,
    customer: Option<u64>,
    product: Option<u64>,
    include: Vec<Id>,
    exclude: HashSet<Id>,
    parents: Vec<Id>,
    search: Option<String>,
    created: Range,
    modified: Range,
    decimals: u32,
}

/// Moments strictly between two bounds.
#[derive(Default)]
struct Range {
    after: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
}

impl Range {
    fn holds(&self, time: DateTime<Utc>) -> bool {
        self.after.is_none_or(|after| time > after) && self.before.is_none_or(|before| time < before)
    }

    /// The part of ascending positions that can be within the bounds.
    fn narrow<'i>(&self, index: &'i [u32], time: impl Fn(u32) -> DateTime<Utc>) -> &'i [u32] {
        let start = self.after.map_or(0, |after| index.partition_point(|at| time(*at) <= after));
        let end = self.before.map_or(index.len(), |before| index.partition_point(|at| time(*at) < before));
        &index[start..end.max(start)]
    }
}

impl<'a> Filter<'a> {
    fn check(ask: &Ask<'a>) -> Result<Filter<'a>, RestError> {
        let spec = ask.shop.spec();
        let newer = spec.version.has_modified_filters();
        let mut check = Check::new(ask.query);
        let orders_by: &[&str] = match newer {
            true => &["date", "id", "include", "title", "slug", "modified"],
            false => &["date", "id", "include", "title", "slug"],
        };
        let window = Window::check(&mut check);
        check.word("context", &["view", "edit"]);
        let ascending = check.word("order", &["asc", "desc"]) == Some("asc");
        let order_by = check.word("orderby", orders_by).unwrap_or("date");
        let statuses = check.words("status", &STATUSES).filter(|list| !list.is_empty()).unwrap_or_else(|| vec!["any"]);
        let whole = |number: Option<i64>| number.map(|number| number.unsigned_abs());
        let customer = whole(check.integer("customer", None, None));
        let product = whole(check.integer("product", None, None));
        let decimals = whole(check.integer("dp", None, None));
        let include = check.ids("include").unwrap_or_default();
        let exclude = check.ids("exclude").unwrap_or_default().into_iter().collect();
        let parents = check.ids("parent").unwrap_or_default();
        let search = check.text("search").map(str::to_lowercase);
        let (after, before) = (check.date("after"), check.date("before"));
        // A shop too old for these ignores them.
        let (modified_after, modified_before, are_gmt) = match newer {
            true => (check.date("modified_after"), check.date("modified_before"), check.boolean("dates_are_gmt")),
            false => (None, None, None),
        };
        check.done()?;
        let how = Reading { zone: spec.market.time_zone, are_gmt: are_gmt.unwrap_or(false), hpos: spec.hpos() };
        let range = |after: Option<super::dates::DateParam>, before: Option<super::dates::DateParam>| Range {
            after: after.map(|date| date.read(how)),
            before: before.map(|date| date.read(how)),
        };
        Ok(Filter {
            window,
            ascending,
            order_by,
            statuses,
            customer,
            product,
            include,
            exclude,
            parents,
            search,
            created: range(after, before),
            modified: range(modified_after, modified_before),
            decimals: decimals.map_or(spec.market.currency.decimals, |decimals| decimals.min(12) as u32),
        })
    }

    fn matches(&self, ask: &Ask<'_>, order: &Order) -> bool {
        let wanted = self.statuses.iter().any(|wanted| match *wanted {
            "any" => !order.trashed && order.status != OrderStatus::CheckoutDraft,
            wanted => wanted == status(order),
        });
        wanted
            && self.created.holds(order.created_at)
            && self.modified.holds(order.modified_at)
            && self.customer.is_none_or(|id| customer_id(ask, order) == id)
            && self.product.is_none_or(|id| order.lines.iter().any(|line| line.product_id == Some(id)))
            && !self.exclude.contains(&order.id)
            // No order of this shop has a parent.
            && (self.parents.is_empty() || self.parents.contains(&0))
            && (self.include.is_empty() || self.include.contains(&order.id))
            && self.search.as_ref().is_none_or(|words| found(order, words))
    }
}

/// The account that an order belongs to; 0: a guest, or nobody any more.
pub(super) fn customer_id(ask: &Ask<'_>, order: &Order) -> Id {
    let known = order.person_id.filter(|id| order.with_account && ask.data.account_by_id.contains_key(id));
    known.unwrap_or(0)
}

fn found(order: &Order, words: &str) -> bool {
    let holds = |text: &str| !text.is_empty() && text.to_lowercase().contains(words);
    let addresses = std::iter::once(&order.billing).chain(&order.shipping);
    order.id.to_string() == words
        || holds(&order.number)
        || order.email.as_deref().is_some_and(holds)
        || order.lines.iter().any(|line| holds(&line.title))
        || addresses.into_iter().any(|address| {
            let name = format!("{} {}", address.first_name, address.last_name);
            [&name, &address.company, &address.address_1, &address.city, &address.postcode, &address.phone]
                .into_iter()
                .any(|text| holds(text))
        })
}

pub(super) fn list(ask: &Ask<'_>) -> Result<Answer, RestError> {
    let filter = Filter::check(ask)?;
    ask.caller.may_read(true)?;
    let orders = &ask.data.world.orders;
    let by_include;
    let (index, ascending) = match filter.order_by {
        "include" if !filter.include.is_empty() => {
            by_include =
                filter.include.iter().filter_map(|id| ask.data.order_by_id.get(id).copied()).collect::<Vec<u32>>();
            (by_include.as_slice(), true)
        }
        "modified" => {
            let time = |at: u32| orders[at as usize].modified_at;
            (filter.modified.narrow(&ask.data.orders_by_modified, time), filter.ascending)
        }
        "id" => (ask.data.orders_by_id.as_slice(), filter.ascending),
        _ => {
            let time = |at: u32| orders[at as usize].created_at;
            (filter.created.narrow(&ask.data.orders_by_created, time), filter.ascending)
        }
    };
    let (mut total, mut page) = (0, Vec::<u32>::with_capacity(filter.window.per_page));
    let wanted = filter.window.skip()..filter.window.skip().saturating_add(filter.window.per_page);
    for step in 0..index.len() {
        let at = if ascending { index[step] } else { index[index.len() - 1 - step] };
        let order = &orders[at as usize];
        if filter.matches(ask, order) {
            if wanted.contains(&total) {
                page.push(at);
            }
            total += 1;
        }
    }
    // With order tables the count comes from the page itself: past the end there is none.
    if page.is_empty() && ask.shop.spec().hpos() {
        total = 0;
    }
    let mut body = Vec::with_capacity(page.len() * 6000 + 2);
    body.push(b'[');
    for (number, at) in page.iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        render(ask, *at, filter.decimals, &mut body);
    }
    body.push(b']');
    Ok(Answer::page(ask, "orders", filter.window, total, body))
}

/// Writes an order of a list. What everyone asks for is written once and copied then: rendering is what costs.
fn render(ask: &Ask<'_>, at: u32, decimals: u32, body: &mut Vec<u8>) {
    let order = &ask.data.world.orders[at as usize];
    let write =
        |body: &mut Vec<u8>| object(body, ask.fields.as_ref(), |out| view::order(ask, order, decimals, false, out));
    if ask.fields.is_some() || decimals != ask.shop.spec().market.currency.decimals {
        return write(body);
    }
    let json = ask.data.rendered[at as usize].get_or_init(|| {
        let mut json = vec![];
        write(&mut json);
        json.into_boxed_slice()
    });
    body.extend_from_slice(json);
}

/// The parameters of a single object; the number of decimals.
fn check_single(ask: &Ask<'_>) -> Result<u32, RestError> {
    let mut check = Check::new(ask.query);
    check.word("context", &["view", "edit"]);
    let decimals = check.integer("dp", None, None).map(|decimals| decimals.unsigned_abs().min(12) as u32);
    check.done()?;
    Ok(decimals.unwrap_or(ask.shop.spec().market.currency.decimals))
}

fn find<'a>(ask: &Ask<'a>, id: Id) -> Option<&'a Order> {
    ask.data.order_by_id.get(&id).map(|at| &ask.data.world.orders[*at as usize])
}

pub(super) fn single(ask: &Ask<'_>, id: Id) -> Result<Answer, RestError> {
    let decimals = check_single(ask)?;
    // For an unknown id nobody is asked who they are.
    let order = find(ask, id).ok_or_else(|| RestError::invalid_id("woocommerce_rest_shop_order_invalid_id"))?;
    ask.caller.may_read(false)?;
    let mut body = vec![];
    object(&mut body, ask.fields.as_ref(), |out| view::order(ask, order, decimals, true, out));
    Ok(Answer::single(body))
}

pub(super) fn refunds(ask: &Ask<'_>, id: Id) -> Result<Answer, RestError> {
    let mut check = Check::new(ask.query);
    let window = Window::check(&mut check);
    let ascending = check.word("order", &["asc", "desc"]) == Some("asc");
    check.done()?;
    let decimals = check_single(ask)?;
    ask.caller.may_read(true)?;
    // An order that is not there has no refunds: an empty list, not an error.
    let order = find(ask, id);
    let mut refunds: Vec<_> = order.iter().flat_map(|order| &order.refunds).collect();
    if !ascending {
        refunds.reverse();
    }
    let total = refunds.len();
    let mut body = vec![b'['];
    for (number, refund) in refunds.into_iter().skip(window.skip()).take(window.per_page).enumerate() {
        if number > 0 {
            body.push(b',');
        }
        if let Some(order) = order {
            object(&mut body, ask.fields.as_ref(), |out| view::refund(ask, order, refund, decimals, false, out));
        }
    }
    body.push(b']');
    Ok(Answer::page(ask, &format!("orders/{id}/refunds"), window, total, body))
}

pub(super) fn refund(ask: &Ask<'_>, id: Id, refund_id: Id) -> Result<Answer, RestError> {
    let decimals = check_single(ask)?;
    let unknown = || RestError::invalid_id("woocommerce_rest_shop_order_refund_invalid_id");
    let order = find(ask, id).ok_or_else(unknown)?;
    let refund = order.refunds.iter().find(|refund| refund.id == refund_id).ok_or_else(unknown)?;
    ask.caller.may_read(false)?;
    let mut body = vec![];
    object(&mut body, ask.fields.as_ref(), |out| view::refund(ask, order, refund, decimals, true, out));
    Ok(Answer::single(body))
}
