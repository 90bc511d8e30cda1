//! `/products` and their variations: which ones.

mod view;

pub(super) use view::image_url;

use super::dates::Reading;
use super::error::RestError;
use super::json::object;
use super::params::{Check, Window};
use super::serve::{Answer, Ask};
use crate::world::{Id, Product, ProductKind, ProductStatus, Variant};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use view::Item;

const STATUSES: [&str; 7] = ["any", "future", "trash", "draft", "pending", "private", "publish"];
const KINDS: [&str; 4] = ["simple", "grouped", "external", "variable"];

fn status(product: &Product) -> &'static str {
    match product.status {
        ProductStatus::Published => "publish",
        ProductStatus::Draft => "draft",
        ProductStatus::Pending => "pending",
        ProductStatus::Private => "private",
        ProductStatus::Trashed => "trash",
    }
}

fn kind(product: &Product) -> &'static str {
    match product.kind {
        ProductKind::Simple => "simple",
        ProductKind::Variable => "variable",
        ProductKind::External(_) => "external",
        ProductKind::Grouped(_) => "grouped",
    }
}

fn stock_status(variant: &Variant) -> &'static str {
    match variant.stock {
        Some(stock) if stock <= 0 && variant.backorders => "onbackorder",
        Some(stock) if stock <= 0 => "outofstock",
        _ => "instock",
    }
}

/// What is asked of a list of products or variations.
struct Filter<'a> {
    window: Window,
    ascending: bool,
    order_by: &'a str,
    status: &'a str,
    kind: Option<&'a str>,
    skus: Vec<&'a str>,
    search: Vec<String>,
    slug: Option<&'a str>,
    include: Vec<Id>,
    exclude: Vec<Id>,
    parents: Vec<Id>,
    category: Option<Id>,
    tag: Option<Id>,
    featured: Option<bool>,
    on_sale: Option<bool>,
    stock_status: Option<&'a str>,
    price: (Option<Decimal>, Option<Decimal>),
    created: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    modified: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
}

fn within(time: DateTime<Utc>, (after, before): (Option<DateTime<Utc>>, Option<DateTime<Utc>>)) -> bool {
    after.is_none_or(|after| time > after) && before.is_none_or(|before| time < before)
}

impl<'a> Filter<'a> {
    fn check(ask: &Ask<'a>) -> Result<Filter<'a>, RestError> {
        let spec = ask.shop.spec();
        let newer = spec.version.has_modified_filters();
        let mut check = Check::new(ask.query);
        let window = Window::check(&mut check);
        let orders_by: &[&str] = match newer {
            true => &["date", "id", "include", "title", "slug", "modified", "price", "popularity", "rating"],
            false => &["date", "id", "include", "title", "slug", "price", "popularity", "rating"],
        };
        check.word("context", &["view", "edit"]);
        let ascending = check.word("order", &["asc", "desc"]) == Some("asc");
        let order_by = check.word("orderby", orders_by).unwrap_or("date");
        let status = check.word("status", &STATUSES).unwrap_or("any");
        let kind = check.word("type", &KINDS);
        let stock_status = check.word("stock_status", &["instock", "outofstock", "onbackorder"]);
        let skus = check.text("sku").map(|list| list.split(',').map(str::trim).collect()).unwrap_or_default();
        let search = check.text("search").unwrap_or_default().split_whitespace().map(str::to_lowercase).collect();
        let slug = check.text("slug");
        let include = check.ids("include").unwrap_or_default();
        let exclude = check.ids("exclude").unwrap_or_default();
        let parents = check.ids("parent").unwrap_or_default();
        let mut term = |name| check.text(name).and_then(|text| text.parse().ok());
        let (category, tag) = (term("category"), term("tag"));
        let (featured, on_sale) = (check.boolean("featured"), check.boolean("on_sale"));
        let mut amount = |name| check.text(name).and_then(|text| text.parse().ok());
        let price = (amount("min_price"), amount("max_price"));
        let created = (check.date("after"), check.date("before"));
        let (modified, are_gmt) = match newer {
            true => ((check.date("modified_after"), check.date("modified_before")), check.boolean("dates_are_gmt")),
            false => ((None, None), None),
        };
        check.done()?;
        let how = Reading { zone: spec.market.time_zone, are_gmt: are_gmt.unwrap_or(false), hpos: spec.hpos() };
        let read = |(after, before): (Option<super::dates::DateParam>, Option<super::dates::DateParam>)| {
            (after.map(|date| date.read(how)), before.map(|date| date.read(how)))
        };
        Ok(Filter {
            window,
            ascending,
            order_by,
            status,
            kind,
            skus,
            search,
            slug,
            include,
            exclude,
            parents,
            category,
            tag,
            featured,
            on_sale,
            stock_status,
            price,
            created: read(created),
            modified: read(modified),
        })
    }

    fn matches(&self, item: &Item<'_>) -> bool {
        let product = item.product;
        let shown = match item.variant {
            // A variation in the list is of the trash as its parent is.
            Some(_) if product.status != ProductStatus::Trashed => "publish",
            _ => status(product),
        };
        let stock = |wanted: &str| item.sellable().iter().any(|variant| stock_status(variant) == wanted);
        let price = item.price();
        let text = || format!("{} {} {}", product.title, product.description, product.short_description).to_lowercase();
        (if self.status == "any" { shown != "trash" } else { shown == self.status })
            && self.kind.is_none_or(|wanted| item.variant.is_none() && kind(product) == wanted)
            && (self.skus.is_empty() || item.own_sku().is_some_and(|sku| self.skus.contains(&sku)))
            && (self.search.is_empty() || {
                let text = text();
                self.search.iter().all(|word| text.contains(word))
            })
            && self.slug.is_none_or(|slug| product.slug == slug)
            && (self.include.is_empty() || self.include.contains(&item.id()))
            && !self.exclude.contains(&item.id())
            && (self.parents.is_empty() || self.parents.contains(&item.parent_id()))
            && self.category.is_none_or(|id| product.categories.iter().any(|term| term.id == id))
            && self.tag.is_none_or(|id| product.tags.iter().any(|term| term.id == id))
            && self.featured.is_none_or(|wanted| product.featured == wanted)
            && self.on_sale.is_none_or(|wanted| item.on_sale() == wanted)
            && self.stock_status.is_none_or(stock)
            && self.price.0.is_none_or(|min| price.is_some_and(|price| price >= min))
            && self.price.1.is_none_or(|max| price.is_some_and(|price| price <= max))
            && within(item.created_at(), self.created)
            && within(item.modified_at(), self.modified)
    }

    fn sort(&self, ask: &Ask<'_>, items: &mut [Item<'_>]) {
        let sold = |item: &Item<'_>| ask.data.sold.get(&item.product.id).copied().unwrap_or(0);
        match self.order_by {
            "id" => items.sort_by_key(Item::id),
            "include" if !self.include.is_empty() => {
                items.sort_by_key(|item| self.include.iter().position(|id| *id == item.id()));
                return;
            }
            "title" => items.sort_by_cached_key(|item| (item.product.title.to_lowercase(), item.id())),
            "slug" => items.sort_by_cached_key(|item| (item.product.slug.clone(), item.id())),
            "modified" => items.sort_by_key(|item| (item.modified_at(), item.id())),
            "price" => items.sort_by_cached_key(|item| (item.price().unwrap_or_default(), item.id())),
            "popularity" => items.sort_by_key(|item| (sold(item), item.id())),
            _ => items.sort_by_key(|item| (item.created_at(), item.id())),
        }
        if !self.ascending {
            items.reverse();
        }
    }

    fn page(&self, ask: &Ask<'_>, path: &str, mut items: Vec<Item<'_>>) -> Answer {
        items.retain(|item| self.matches(item));
        self.sort(ask, &mut items);
        let mut body = vec![b'['];
        for (number, item) in items.iter().skip(self.window.skip()).take(self.window.per_page).enumerate() {
            if number > 0 {
                body.push(b',');
            }
            object(&mut body, ask.fields.as_ref(), |out| view::item(ask, item, path == "products", false, out));
        }
        body.push(b']');
        Answer::page(ask, path, self.window, items.len(), body)
    }
}

pub(super) fn list(ask: &Ask<'_>) -> Result<Answer, RestError> {
    let filter = Filter::check(ask)?;
    ask.caller.may_read(true)?;
    let mut items: Vec<Item<'_>> = vec![];
    for product in &ask.data.world.products {
        items.push(Item { product, variant: None });
        // Variations are found by SKU only.
        if !filter.skus.is_empty() && product.kind == ProductKind::Variable {
            items.extend(product.variants.iter().map(|variant| Item { product, variant: Some(variant) }));
        }
    }
    Ok(filter.page(ask, "products", items))
}

fn product<'a>(ask: &Ask<'a>, id: Id) -> Option<&'a Product> {
    ask.data.product_by_id.get(&id).map(|at| &ask.data.world.products[*at as usize])
}

fn check_single(ask: &Ask<'_>) -> Result<(), RestError> {
    let mut check = Check::new(ask.query);
    check.word("context", &["view", "edit"]);
    check.done()
}

/// A product, or a variation by its own id.
pub(super) fn single(ask: &Ask<'_>, id: Id) -> Result<Answer, RestError> {
    check_single(ask)?;
    let variation = ask.data.variant_by_id.get(&id).map(|(at, number)| {
        let product = &ask.data.world.products[*at as usize];
        Item { product, variant: product.variants.get(*number as usize) }
    });
    let item = product(ask, id).map(|product| Item { product, variant: None }).or(variation);
    let item = item.ok_or_else(|| RestError::invalid_id("woocommerce_rest_product_invalid_id"))?;
    ask.caller.may_read(false)?;
    let mut body = vec![];
    object(&mut body, ask.fields.as_ref(), |out| view::item(ask, &item, true, true, out));
    Ok(Answer::single(body))
}

pub(super) fn variations(ask: &Ask<'_>, id: Id) -> Result<Answer, RestError> {
    let filter = Filter::check(ask)?;
    ask.caller.may_read(true)?;
    // A product that is not there has no variations: an empty list, not an error.
    let product = product(ask, id).filter(|product| product.kind == ProductKind::Variable);
    let items = product.iter().flat_map(|product| {
        product.variants.iter().map(|variant| Item { product, variant: Some(variant) }).collect::<Vec<_>>()
    });
    Ok(filter.page(ask, &format!("products/{id}/variations"), items.collect()))
}

pub(super) fn variation(ask: &Ask<'_>, id: Id, variation_id: Id) -> Result<Answer, RestError> {
    check_single(ask)?;
    let product = product(ask, id).filter(|product| product.kind == ProductKind::Variable);
    let variant = product.and_then(|product| product.variants.iter().find(|variant| variant.id == variation_id));
    let (Some(product), Some(variant)) = (product, variant) else {
        return Err(RestError::invalid_id("woocommerce_rest_product_variation_invalid_id"));
    };
    ask.caller.may_read(false)?;
    let mut body = vec![];
    let item = Item { product, variant: Some(variant) };
    object(&mut body, ask.fields.as_ref(), |out| view::item(ask, &item, false, true, out));
    Ok(Answer::single(body))
}
