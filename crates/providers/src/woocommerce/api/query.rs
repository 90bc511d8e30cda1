//! Our filters and selections as WooCommerce's parameters (W12). WooCommerce ignores a parameter that it does
//! not know and returns everything, so only documented ones are sent.

use chrono::Duration;
use connector::{
    Filter, Filters, Position, ProviderError, Query, Selection,
    model::{OrderStatus, ProductStatus},
    query::in_request,
};
use kernel::Personal;

use super::super::{Connection, convert};

pub(in super::super) type Params = Vec<(&'static str, String)>;

pub(super) const CUSTOMER_FILTERS: &[Filter] = &[Filter::Ids, Filter::Email, Filter::Search];
pub(super) const ORDER_FILTERS: &[Filter] = &[
    Filter::Ids,
    Filter::Search,
    Filter::Status,
    Filter::CustomerId,
    Filter::CreatedAfter,
    Filter::CreatedBefore,
    Filter::UpdatedAfter,
    Filter::UpdatedBefore,
];
pub(super) const PRODUCT_FILTERS: &[Filter] = &[
    Filter::Ids,
    Filter::Search,
    Filter::Status,
    Filter::Sku,
    Filter::CreatedAfter,
    Filter::CreatedBefore,
    Filter::UpdatedAfter,
    Filter::UpdatedBefore,
];

/// The page asked for, 1-based. What follows a page is the number of the next.
pub(super) fn page_number(position: &Position) -> Result<u32, ProviderError> {
    let number = match position {
        Position::Page(number) => *number,
        Position::After(cursor) => cursor.parse().unwrap_or(0),
    };
    if number == 0 {
        Err(ProviderError::Rejected { detail: "pages are counted from 1".to_owned() })
    } else {
        Ok(number)
    }
}

/// None: no record can satisfy the filters, and without them everybody would come back.
pub(in super::super) fn customers(query: &Query, connection: &Connection) -> Result<Option<Params>, ProviderError> {
    let filters = &query.filters;
    let Some(mut params) = common(query, connection, CUSTOMER_FILTERS, "registered_date")? else { return Ok(None) };
    push_personal(&mut params, "email", filters.email.as_ref());
    // The default shows the role `customer` only, `all` shows staff too. Who is looked up by id or e-mail is found whatever
    // their role (a shop manager who bought, a role of a wholesale plugin); who browses does not see staff.
    if !filters.ids.is_empty() || filters.email.is_some() {
        params.push(("role", "all".to_owned()));
    }
    push_fields(&mut params, customer_fields(&query.selection, &filters.used()));
    Ok(Some(params))
}

pub(in super::super) fn orders(query: &Query, connection: &Connection) -> Result<Option<Params>, ProviderError> {
    let filters = &query.filters;
    let Some(mut params) = common(query, connection, ORDER_FILTERS, "date")? else { return Ok(None) };
    if let Some(status) = &filters.status {
        let status =
            OrderStatus::parse(status).ok_or_else(|| unsupported(Filter::Status, "it is no status of orders"))?;
        params.push(("status", convert::order_status_slug(status).to_owned()));
    }
    if let Some(customer) = &filters.customer_id {
        let Some(id) = id(customer) else { return Ok(None) };
        params.push(("customer", id));
    }
    push_fields(&mut params, order_fields(&query.selection, &filters.used()));
    Ok(Some(params))
}

pub(in super::super) fn products(query: &Query, connection: &Connection) -> Result<Option<Params>, ProviderError> {
    let filters = &query.filters;
    let Some(mut params) = common(query, connection, PRODUCT_FILTERS, "date")? else { return Ok(None) };
    if let Some(status) = &filters.status {
        // One status at a time can be asked for, and our draft and unlisted are several of WooCommerce's.
        let word = match ProductStatus::parse(status) {
            Some(ProductStatus::Active) => "publish",
            Some(ProductStatus::Archived) => "trash",
            _ => return Err(unsupported(Filter::Status, "only active and archived can be asked for")),
        };
        params.push(("status", word.to_owned()));
    }
    if let Some(sku) = &filters.sku {
        // A comma separates SKUs and cannot be escaped.
        if sku.contains(',') {
            return Err(unsupported(Filter::Sku, "a comma separates SKUs and cannot be escaped"));
        }
        params.push(("sku", sku.clone()));
    }
    push_fields(&mut params, product_fields(&query.selection, &filters.used()));
    Ok(Some(params))
}

/// Pages, order, ids, search and dates, which all three resources have (customers without dates).
fn common(
    query: &Query,
    connection: &Connection,
    supported: &[Filter],
    newest_by: &str,
) -> Result<Option<Params>, ProviderError> {
    let filters = &query.filters;
    if let Some(filter) = filters.used().iter().find(|filter| !supported.contains(filter)) {
        return Err(unsupported(*filter, "the platform has no such filter"));
    }
    let mut params = vec![
        ("page", page_number(&query.position)?.to_string()),
        ("per_page", query.limit.clamp(1, 100).to_string()),
        ("orderby", newest_by.to_owned()),
        ("order", "desc".to_owned()),
    ];
    if !filters.ids.is_empty() {
        let ids: Vec<String> = filters.ids.iter().filter_map(|text| id(text)).collect();
        if ids.is_empty() {
            return Ok(None);
        }
        // A comma list: `include[]` cannot be signed (W4).
        params.push(("include", ids.join(",")));
    }
    push_personal(&mut params, "search", filters.search.as_ref());
    push_dates(&mut params, filters, connection)?;
    Ok(Some(params))
}

/// Bounds that let nothing be missed; what they let in too much is left out when the answer is checked again.
fn push_dates(params: &mut Params, filters: &Filters, connection: &Connection) -> Result<(), ProviderError> {
    let modern = connection.filters_in_utc();
    let changed = [(Filter::UpdatedAfter, filters.updated_after), (Filter::UpdatedBefore, filters.updated_before)];
    if let Some((filter, _)) = changed.into_iter().find(|(_, time)| !modern && time.is_some()) {
        return Err(unsupported(filter, "WooCommerce can since version 5.8"));
    }
    // Older shops compare with their local time, which is up to 14 hours away from UTC.
    let slack = if modern { Duration::zero() } else { Duration::hours(14) };
    let dates = [
        ("after", filters.created_after.map(|time| convert::after(time, slack))),
        ("before", filters.created_before.map(|time| convert::before(time, slack))),
        ("modified_after", filters.updated_after.map(|time| convert::after(time, slack))),
        ("modified_before", filters.updated_before.map(|time| convert::before(time, slack))),
    ];
    let dates: Params = dates.into_iter().filter_map(|(name, date)| Some((name, date?))).collect();
    if !dates.is_empty() {
        params.push(("dates_are_gmt", "true".to_owned()));
        params.extend(dates);
    }
    Ok(())
}

/// WordPress' ids are positive integers; any other text is nobody's.
pub(super) fn id(text: &str) -> Option<String> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<u64>().ok().filter(|id| plain && *id > 0 && i64::try_from(*id).is_ok()).map(|id| id.to_string())
}

fn push_personal(params: &mut Params, name: &'static str, value: Option<&Personal<String>>) {
    if let Some(value) = value {
        params.push((name, in_request(value).to_owned()));
    }
}

pub(super) fn push_fields(params: &mut Params, fields: Option<Vec<&'static str>>) {
    if let Some(fields) = fields {
        params.push(("_fields", fields.join(",")));
    }
}

fn unsupported(filter: Filter, detail: &'static str) -> ProviderError {
    ProviderError::FilterUnsupported { filter: filter.as_str(), detail }
}

/// Which of the shop's fields each unified field is made of. `meta_data`, `related_ids` and `price_html` are what makes
/// answers large and slow, and none of them is here.
type Sources = &'static [(&'static str, &'static [&'static str])];

const CUSTOMER: Sources = &[
    ("email", &["email"]),
    ("first_name", &["first_name"]),
    ("last_name", &["last_name"]),
    ("phone", &["billing"]),
    ("company", &["billing"]),
    ("addresses", &["billing", "shipping"]),
    ("default_address", &["billing", "shipping"]),
    ("created_at", &["date_created", "date_created_gmt"]),
    ("updated_at", &["date_modified", "date_modified_gmt"]),
];

const ORDER: Sources = &[
    ("number", &["number"]),
    ("status", &["status", "date_paid", "date_paid_gmt"]),
    ("payment_status", &["status", "date_paid", "date_paid_gmt", "total", "refunds"]),
    ("customer", &["customer_id", "billing"]),
    ("line_items", &["line_items"]),
    ("subtotal", &["line_items"]),
    ("discount_total", &["discount_total"]),
    ("shipping_total", &["shipping_total"]),
    ("tax_total", &["total_tax"]),
    ("total", &["total"]),
    ("refunded_total", &["refunds"]),
    ("currency", &["currency"]),
    ("billing_address", &["billing"]),
    ("shipping_address", &["shipping"]),
    ("note", &["customer_note"]),
    ("placed_at", &["date_created", "date_created_gmt"]),
    ("updated_at", &["date_modified", "date_modified_gmt"]),
];

const PRODUCT: Sources = &[
    ("title", &["name"]),
    ("handle", &["slug"]),
    ("description_html", &["description"]),
    ("status", &["status", "catalog_visibility"]),
    ("vendor", &["brands"]),
    ("type", &["type"]),
    ("tags", &["tags"]),
    ("images", &["images"]),
    ("options", &["attributes"]),
    (
        "variants",
        &[
            "type",
            "variations",
            "sku",
            "global_unique_id",
            "price",
            "regular_price",
            "stock_quantity",
            "weight",
            "attributes",
        ],
    ),
    ("url", &["permalink"]),
    ("created_at", &["date_created", "date_created_gmt"]),
    ("updated_at", &["date_modified", "date_modified_gmt"]),
];

/// What a variant is made of, in the list of a product's variations.
pub(super) const VARIATION_FIELDS: &[&str] =
    &["id", "sku", "global_unique_id", "price", "regular_price", "stock_quantity", "weight", "attributes"];

pub(super) fn customer_fields(selection: &Selection, used: &[Filter]) -> Option<Vec<&'static str>> {
    fields(CUSTOMER, convert::CUSTOMER_IMPERSONAL, selection, used)
}

pub(super) fn order_fields(selection: &Selection, used: &[Filter]) -> Option<Vec<&'static str>> {
    fields(ORDER, convert::ORDER_IMPERSONAL, selection, used)
}

pub(super) fn product_fields(selection: &Selection, used: &[Filter]) -> Option<Vec<&'static str>> {
    // A product is about nobody.
    fields(PRODUCT, &[], &Selection { persons: true, ..selection.clone() }, used)
}

/// The fields to ask for; None asks for all. What the caller checks filters with is asked for too. Without persons only
/// what is known to be impersonal is asked for.
fn fields(
    sources: Sources,
    impersonal: &[&'static str],
    selection: &Selection,
    used: &[Filter],
) -> Option<Vec<&'static str>> {
    if selection.wants("platform_specific") {
        return (!selection.persons).then(|| impersonal.to_vec());
    }
    let checked: Vec<&str> = used.iter().flat_map(|filter| checked_with(*filter)).copied().collect();
    let wanted = |field: &str| selection.wants(field) || checked.contains(&field);
    let mut fields = vec!["id"];
    for source in sources.iter().filter(|(field, _)| wanted(field)).flat_map(|(_, sources)| *sources) {
        if !fields.contains(source) && (selection.persons || impersonal.contains(source)) {
            fields.push(source);
        }
    }
    Some(fields)
}

fn checked_with(filter: Filter) -> &'static [&'static str] {
    match filter {
        Filter::Email => &["email", "customer"],
        Filter::Phone => &["phone", "customer"],
        Filter::Status => &["status"],
        Filter::PaymentStatus => &["payment_status"],
        Filter::CustomerId => &["customer"],
        Filter::Number => &["number"],
        Filter::Sku => &["variants"],
        Filter::CreatedAfter | Filter::CreatedBefore => &["created_at", "placed_at"],
        Filter::UpdatedAfter | Filter::UpdatedBefore => &["updated_at"],
        Filter::Ids | Filter::Search => &[],
    }
}

/// Whether the filters leave the products' variants to be looked at.
pub(super) fn wants_variants(selection: &Selection, filters: &Filters) -> bool {
    selection.wants("variants") || filters.sku.is_some()
}
