//! Live reads of the three resources.

use async_trait::async_trait;
use connector::{
    Answer, Call, Coverage, Customer, Filter, Notes, Order, Page, Product, ProviderError, Query, Read, Selection,
    provider::Paging,
};
use serde_json::Value;

use super::{
    super::{
        Connection, Woocommerce,
        convert::{self, VariationsOf},
    },
    Shop,
    query::{self, Params},
    two_at_a_time,
};

/// Pages of 100 variations; a product beyond that cannot be read live with its variants.
const VARIATION_PAGES_MAX: u32 = 20;

#[async_trait]
impl Read<Customer> for Woocommerce {
    fn filters(&self) -> &'static [Filter] {
        query::CUSTOMER_FILTERS
    }

    fn paging(&self) -> Paging {
        Paging::Numbered
    }

    async fn list(&self, call: &Call<'_>, query: &Query) -> Result<Page<Customer>, ProviderError> {
        let connection = Connection::read(&call.account.config)?;
        let page =
            page(&Shop::of(call, &connection)?, "customers", query::customers(query, &connection)?, query).await?;
        let items = convert_each(page.items, "customers", |value, path| {
            convert::customer(value, &connection, &query.selection, path)
        })?;
        Ok(Page { items, next: page.next, total: page.total, notes: registered_only() })
    }

    async fn one(&self, call: &Call<'_>, id: &str, selection: &Selection) -> Result<Answer<Customer>, ProviderError> {
        let connection = Connection::read(&call.account.config)?;
        let found = one(&Shop::of(call, &connection)?, "customers", id, query::customer_fields(selection, &[])).await?;
        let item = found.map(|value| convert::customer(value, &connection, selection, "customer")).transpose()?;
        Ok(Answer { item, notes: registered_only() })
    }
}

#[async_trait]
impl Read<Order> for Woocommerce {
    fn filters(&self) -> &'static [Filter] {
        query::ORDER_FILTERS
    }

    fn paging(&self) -> Paging {
        Paging::Numbered
    }

    async fn list(&self, call: &Call<'_>, query: &Query) -> Result<Page<Order>, ProviderError> {
        let connection = Connection::read(&call.account.config)?;
        let page = page(&Shop::of(call, &connection)?, "orders", query::orders(query, &connection)?, query).await?;
        let items = convert_each(page.items, "orders", |value, path| {
            convert::order(value, &connection, &query.selection, path)
        })?;
        Ok(Page { items, next: page.next, total: page.total, notes: Notes::default() })
    }

    async fn one(&self, call: &Call<'_>, id: &str, selection: &Selection) -> Result<Answer<Order>, ProviderError> {
        let connection = Connection::read(&call.account.config)?;
        let found = one(&Shop::of(call, &connection)?, "orders", id, query::order_fields(selection, &[])).await?;
        let item = found.map(|value| convert::order(value, &connection, selection, "order")).transpose()?;
        Ok(Answer { item, notes: Notes::default() })
    }
}

#[async_trait]
impl Read<Product> for Woocommerce {
    fn filters(&self) -> &'static [Filter] {
        query::PRODUCT_FILTERS
    }

    fn paging(&self) -> Paging {
        Paging::Numbered
    }

    async fn list(&self, call: &Call<'_>, query: &Query) -> Result<Page<Product>, ProviderError> {
        let connection = Connection::read(&call.account.config)?;
        let shop = Shop::of(call, &connection)?;
        let page = page(&shop, "products", query::products(query, &connection)?, query).await?;
        let variations = if query::wants_variants(&query.selection, &query.filters) {
            let tasks = page.items.iter().map(|product| variations(&shop, product, &query.selection)).collect();
            two_at_a_time(tasks).await?
        } else {
            page.items.iter().map(|_| vec![]).collect()
        };
        let mut variations = variations.into_iter();
        let items = convert_each(page.items, "products", |value, path| {
            convert::product(value, variations.next().unwrap_or_default(), &connection, &query.selection, path)
        })?;
        Ok(Page { items, next: page.next, total: page.total, notes: Notes::default() })
    }

    async fn one(&self, call: &Call<'_>, id: &str, selection: &Selection) -> Result<Answer<Product>, ProviderError> {
        let connection = Connection::read(&call.account.config)?;
        let shop = Shop::of(call, &connection)?;
        let found = one(&shop, "products", id, query::product_fields(selection, &[])).await?;
        let Some(value) = found else { return Ok(Answer { item: None, notes: Notes::default() }) };
        let variations = if selection.wants("variants") { variations(&shop, &value, selection).await? } else { vec![] };
        let product = convert::product(value, variations, &connection, selection, "product")?;
        Ok(Answer { item: Some(product), notes: Notes::default() })
    }
}

/// Guests are in their orders only (W8).
fn registered_only() -> Notes {
    Notes { coverage: vec![Coverage::RegisteredOnly], ..Notes::default() }
}

struct Raw {
    items: Vec<Value>,
    next: Option<String>,
    total: Option<u64>,
}

/// One page. `Link` headers are not read: they repeat every parameter, keys and used signatures among them (W5).
async fn page(shop: &Shop<'_>, path: &str, params: Option<Params>, query: &Query) -> Result<Raw, ProviderError> {
    let number = query::page_number(&query.position)?;
    let Some(params) = params else { return Ok(Raw { items: vec![], next: None, total: Some(0) }) };
    let reply = shop.get(path, &params).await?;
    let items = array(reply.document, path)?;
    let has_more = match reply.pages {
        Some(pages) => !items.is_empty() && u64::from(number) < pages,
        None => items.len() >= usize::from(query.limit.clamp(1, 100)),
    };
    // Past the end, shops with HPOS say that there is nothing at all.
    let total = reply.total.filter(|total| *total > 0 || number == 1);
    Ok(Raw { items, next: has_more.then(|| (number + 1).to_string()), total })
}

/// None: no record has this id.
async fn one(
    shop: &Shop<'_>,
    path: &str,
    id: &str,
    fields: Option<Vec<&'static str>>,
) -> Result<Option<Value>, ProviderError> {
    let Some(id) = query::id(id) else { return Ok(None) };
    let mut params = Params::new();
    query::push_fields(&mut params, fields);
    match shop.ask(&format!("{path}/{id}"), &params).await? {
        Ok(reply) if reply.document.is_object() => Ok(Some(reply.document)),
        Ok(_) => Err(ProviderError::Malformed { path: path.to_owned() }),
        Err(refusal) if refusal.is_unknown_record() => Ok(None),
        Err(refusal) => Err(refusal.into_error()),
    }
}

/// The variations of one product of a page; simple products have none to ask for.
async fn variations(shop: &Shop<'_>, product: &Value, selection: &Selection) -> Result<Vec<Value>, ProviderError> {
    let VariationsOf::Product(id) = convert::variations_of(product) else { return Ok(vec![]) };
    let path = format!("products/{id}/variations");
    let mut found = vec![];
    for number in 1..=VARIATION_PAGES_MAX {
        let mut params = vec![
            ("per_page", "100".to_owned()),
            ("page", number.to_string()),
            ("orderby", "id".to_owned()),
            ("order", "asc".to_owned()),
        ];
        if !selection.wants("platform_specific") {
            query::push_fields(&mut params, Some(query::VARIATION_FIELDS.to_vec()));
        }
        let reply = shop.get(&path, &params).await?;
        let pages = reply.pages;
        let items = array(reply.document, "variations")?;
        let is_last = pages.map_or(items.len() < 100, |pages| u64::from(number) >= pages) || items.is_empty();
        found.extend(items);
        if is_last {
            return Ok(found);
        }
    }
    Err(ProviderError::Rejected {
        detail: format!("product {id} has more than {} variations; ask without variants", VARIATION_PAGES_MAX * 100),
    })
}

fn array(document: Value, path: &str) -> Result<Vec<Value>, ProviderError> {
    match document {
        Value::Array(items) => Ok(items),
        _ => Err(ProviderError::Malformed { path: path.to_owned() }),
    }
}

fn convert_each<T>(
    items: Vec<Value>,
    path: &str,
    mut convert: impl FnMut(Value, &str) -> Result<T, ProviderError>,
) -> Result<Vec<T>, ProviderError> {
    items.into_iter().enumerate().map(|(index, value)| convert(value, &format!("{path}[{index}]"))).collect()
}
