//! Live reads of the three resources.

use std::fmt;

use async_trait::async_trait;
use connector::{
    Answer, Call, Coverage, Customer, Filter, Notes, Order, Page, Product, ProviderError, Query, Read, Selection,
    json::Json, provider::Paging,
};

use super::{
    super::{
        Connection, Woocommerce,
        convert::{self, VariationsOf},
    },
    Reply, Shop,
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
        let params = query::customers(query, &connection)?;
        let listed = list(&Shop::of(call, &connection)?, "customers", params, query).await?;
        let convert =
            |value: Json<'_>, path: fmt::Arguments<'_>| convert::customer(value, &connection, &query.selection, path);
        Ok(Page { notes: registered_only(), ..listed.page(listed.each(convert)?) })
    }

    async fn one(&self, call: &Call<'_>, id: &str, selection: &Selection) -> Result<Answer<Customer>, ProviderError> {
        let connection = Connection::read(&call.account.config)?;
        let found = one(&Shop::of(call, &connection)?, "customers", id, query::customer_fields(selection, &[])).await?;
        let item = found
            .map(|reply| convert::customer(reply.document()?, &connection, selection, format_args!("customer")))
            .transpose()?;
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
        let params = query::orders(query, &connection)?;
        let listed = list(&Shop::of(call, &connection)?, "orders", params, query).await?;
        let convert =
            |value: Json<'_>, path: fmt::Arguments<'_>| convert::order(value, &connection, &query.selection, path);
        Ok(listed.page(listed.each(convert)?))
    }

    async fn one(&self, call: &Call<'_>, id: &str, selection: &Selection) -> Result<Answer<Order>, ProviderError> {
        let connection = Connection::read(&call.account.config)?;
        let found = one(&Shop::of(call, &connection)?, "orders", id, query::order_fields(selection, &[])).await?;
        let item = found
            .map(|reply| convert::order(reply.document()?, &connection, selection, format_args!("order")))
            .transpose()?;
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
        let listed = list(&shop, "products", query::products(query, &connection)?, query).await?;
        let products = listed.each(|value, _| Ok(value))?;
        let variations = if query::wants_variants(&query.selection, &query.filters) {
            let tasks = products.iter().map(|product| variations(&shop, product, &query.selection)).collect();
            two_at_a_time(tasks).await?
        } else {
            products.iter().map(|_| vec![]).collect()
        };
        let converted = products.into_iter().zip(variations).enumerate().map(|(index, (value, variations))| {
            let path = format_args!("{}[{index}]", listed.path);
            convert::product(value, variations, &connection, &query.selection, path)
        });
        Ok(listed.page(converted.collect::<Result<_, _>>()?))
    }

    async fn one(&self, call: &Call<'_>, id: &str, selection: &Selection) -> Result<Answer<Product>, ProviderError> {
        let connection = Connection::read(&call.account.config)?;
        let shop = Shop::of(call, &connection)?;
        let found = one(&shop, "products", id, query::product_fields(selection, &[])).await?;
        let Some(reply) = found else { return Ok(Answer { item: None, notes: Notes::default() }) };
        let value: Json<'_> = reply.document()?;
        let variations = if selection.wants("variants") { variations(&shop, &value, selection).await? } else { vec![] };
        let product = convert::product(value, variations, &connection, selection, format_args!("product"))?;
        Ok(Answer { item: Some(product), notes: Notes::default() })
    }
}

/// Guests are in their orders only (W8).
fn registered_only() -> Notes {
    Notes { coverage: vec![Coverage::RegisteredOnly], ..Notes::default() }
}

/// A page as the shop sent it. Without a reply there was nothing to ask for.
struct Listed {
    reply: Option<Reply>,
    path: &'static str,
    number: u32,
    limit: u16,
}

/// One page. `Link` headers are not read: they repeat every parameter, keys and used signatures among them (W5).
async fn list(
    shop: &Shop<'_>,
    path: &'static str,
    params: Option<Params>,
    query: &Query,
) -> Result<Listed, ProviderError> {
    let number = query::page_number(&query.position)?;
    let reply = match params {
        Some(params) => Some(shop.get(path, &params).await?),
        None => None,
    };
    Ok(Listed { reply, path, number, limit: query.limit })
}

impl Listed {
    /// What is made of each record; the path says which it is.
    fn each<'a, T>(
        &'a self,
        mut make: impl FnMut(Json<'a>, fmt::Arguments<'_>) -> Result<T, ProviderError>,
    ) -> Result<Vec<T>, ProviderError> {
        let Some(reply) = &self.reply else { return Ok(vec![]) };
        let mut index = 0;
        reply.entries(|value| {
            let made = make(value, format_args!("{}[{index}]", self.path));
            index += 1;
            made
        })
    }

    fn page<T>(&self, items: Vec<T>) -> Page<T> {
        let (total, pages) = self.reply.as_ref().map_or((Some(0), Some(0)), |reply| (reply.total, reply.pages));
        let has_more = match pages {
            Some(pages) => !items.is_empty() && u64::from(self.number) < pages,
            None => items.len() >= usize::from(self.limit.clamp(1, 100)),
        };
        Page {
            items,
            next: has_more.then(|| (self.number + 1).to_string()),
            // Past the end, shops with HPOS say that there is nothing at all.
            total: total.filter(|total| *total > 0 || self.number == 1 || self.reply.is_none()),
            notes: Notes::default(),
        }
    }
}

/// None: no record has this id.
async fn one(
    shop: &Shop<'_>,
    path: &str,
    id: &str,
    fields: Option<Vec<&'static str>>,
) -> Result<Option<Reply>, ProviderError> {
    let Some(id) = query::id(id) else { return Ok(None) };
    let mut params = Params::new();
    query::push_fields(&mut params, fields);
    match shop.ask(&format!("{path}/{id}"), &params).await? {
        Ok(reply) => Ok(Some(reply)),
        Err(refusal) if refusal.is_unknown_record() => Ok(None),
        Err(refusal) => Err(refusal.into_error()),
    }
}

/// The variations of one product of a page; simple products have none to ask for.
async fn variations(
    shop: &Shop<'_>,
    product: &Json<'_>,
    selection: &Selection,
) -> Result<Vec<Json<'static>>, ProviderError> {
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
        let items = reply.entries(|value| Ok(value.into_owned()))?;
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
