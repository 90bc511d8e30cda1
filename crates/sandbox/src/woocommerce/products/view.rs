//! Products and variations as JSON.

use super::super::dates::{gmt, local};
use super::super::json::{List, Object, Raw};
use super::super::orders::{ids, slug};
use super::super::serve::Ask;
use super::{kind, status, stock_status};
use crate::world::{Id, Image, Product, ProductKind, Term, Variant};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

/// A product, or one variation of it.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) product: &'a Product,
    pub(super) variant: Option<&'a Variant>,
}

impl<'a> Item<'a> {
    pub(super) fn id(&self) -> Id {
        self.variant.map_or(self.product.id, |variant| variant.id)
    }

    pub(super) fn parent_id(&self) -> Id {
        self.variant.map_or(0, |_| self.product.id)
    }

    /// What can be bought of it.
    pub(super) fn sellable(&self) -> &'a [Variant] {
        match self.variant {
            Some(variant) => std::slice::from_ref(variant),
            None => &self.product.variants,
        }
    }

    /// The variant whose price and stock are the item's own; a variable product has none.
    fn own(&self) -> Option<&'a Variant> {
        match (self.variant, &self.product.kind) {
            (Some(variant), _) => Some(variant),
            (None, ProductKind::Variable) => None,
            (None, _) => self.product.variants.first(),
        }
    }

    /// The lowest price now.
    pub(super) fn price(&self) -> Option<Decimal> {
        self.sellable().iter().filter_map(Variant::price).min()
    }

    pub(super) fn on_sale(&self) -> bool {
        self.sellable().iter().any(|variant| variant.sale_price.is_some())
    }

    pub(super) fn own_sku(&self) -> Option<&'a str> {
        match self.variant {
            Some(variant) => variant.sku.as_deref(),
            None => self.product.sku.as_deref(),
        }
    }

    pub(super) fn created_at(&self) -> DateTime<Utc> {
        self.variant.map_or(self.product.created_at, |variant| variant.created_at)
    }

    pub(super) fn modified_at(&self) -> DateTime<Utc> {
        self.variant.map_or(self.product.modified_at, |variant| variant.modified_at)
    }
}

/// Where a picture is.
pub(in super::super) fn image_url(ask: &Ask<'_>, image: &Image) -> String {
    format!("{}/wp-content/uploads/{}/{}", ask.shop.spec().home(), image.created_at.format("%Y/%m"), image.file)
}

/// Prices are what the merchant typed, with or without zeros at the end.
fn price(product: &Product, amount: Option<Decimal>) -> String {
    match amount {
        None => String::new(),
        Some(amount) if product.id.is_multiple_of(3) => amount.normalize().to_string(),
        Some(amount) => amount.to_string(),
    }
}

/// A product or variation: `as_product` at `/products`, in the shorter form at `/variations`.
pub(super) fn item(ask: &Ask<'_>, item: &Item<'_>, as_product: bool, single: bool, out: &mut Object<'_>) {
    let spec = ask.shop.spec();
    let (zone, newer) = (spec.market.time_zone, spec.version.has_newer_fields());
    let (product, own) = (item.product, item.own());
    let (created, modified) = (item.created_at(), item.modified_at());
    out.put("id", item.id());
    if !as_product && newer {
        out.put("type", "variation");
    }
    if as_product {
        out.put_with("name", || name(item));
        out.put(
            "slug",
            item.variant.map_or(product.slug.clone(), |variant| format!("{}-{}", product.slug, variant.id)),
        );
        out.put_with("permalink", || permalink(ask, item));
    }
    out.put("date_created", local(created, zone));
    out.put("date_created_gmt", gmt(created));
    out.put("date_modified", local(modified, zone));
    out.put("date_modified_gmt", gmt(modified));
    if as_product {
        out.put("type", item.variant.map_or(kind(product), |_| "variation"));
        out.put("status", item.variant.map_or(status(product), |_| "publish"));
        out.put("featured", product.featured);
        out.put("catalog_visibility", "visible");
    }
    out.put("description", item.variant.map_or(product.description.as_str(), |_| ""));
    if as_product {
        out.put("short_description", item.variant.map_or(product.short_description.as_str(), |_| ""));
    } else {
        out.put_with("permalink", || permalink(ask, item));
    }
    // A variation without an SKU of its own shows its parent's.
    out.put("sku", item.own_sku().or(product.sku.as_deref()).unwrap_or_default());
    if newer {
        out.put("global_unique_id", own.and_then(|variant| variant.barcode.as_deref()).unwrap_or_default());
    }
    out.put_with("price", || price(product, item.price()));
    out.put_with("regular_price", || price(product, own.and_then(|variant| variant.regular_price)));
    out.put_with("sale_price", || price(product, own.and_then(|variant| variant.sale_price)));
    for name in ["date_on_sale_from", "date_on_sale_from_gmt", "date_on_sale_to", "date_on_sale_to_gmt"] {
        out.put(name, None::<&str>);
    }
    if as_product {
        out.put_with("price_html", || price_html(ask, item));
    }
    out.put("on_sale", item.on_sale());
    if !as_product {
        out.put("status", "publish");
    }
    out.put("purchasable", item.price().is_some() && !matches!(product.kind, ProductKind::External(_)));
    if as_product {
        out.put("total_sales", ask.data.sold.get(&product.id).copied().unwrap_or(0));
    }
    out.put("virtual", product.is_virtual);
    out.put("downloadable", false);
    out.put("downloads", Raw("[]"));
    out.put("download_limit", -1);
    out.put("download_expiry", -1);
    if as_product {
        let external = match &product.kind {
            ProductKind::External(address) => address.as_str(),
            _ => "",
        };
        out.put("external_url", external);
        out.put("button_text", "");
    }
    out.put("tax_status", "taxable");
    out.put("tax_class", "");
    stock(item, newer || as_product, out);
    if as_product {
        out.put("sold_individually", false);
    }
    out.put_with("weight", || own.and_then(|variant| variant.weight_grams).map(kilograms).unwrap_or_default());
    out.object("dimensions", |out| ["length", "width", "height"].iter().for_each(|name| out.put(name, "")));
    if as_product {
        out.put("shipping_required", !product.is_virtual);
        out.put("shipping_taxable", !product.is_virtual);
    }
    out.put("shipping_class", "");
    out.put("shipping_class_id", 0u32);
    match as_product {
        true => catalog(ask, item, newer, out),
        false => variation_only(ask, item, newer, out),
    }
    out.put("menu_order", item.variant.map_or(0, |variant| variant.id % 5));
    out.put("meta_data", Raw("[]"));
    if as_product && newer {
        out.put("post_password", "");
        out.put("has_options", item.variant.is_none() && product.kind == ProductKind::Variable);
    }
    let (own_path, collection) = match as_product {
        true => (format!("products/{}", item.id()), "products".to_owned()),
        false => {
            let collection = format!("products/{}/variations", product.id);
            (format!("{collection}/{}", item.id()), collection)
        }
    };
    let mut links = vec![("self", ask.rest_url(&own_path)), ("collection", ask.rest_url(&collection))];
    if item.variant.is_some() {
        links.push(("up", ask.rest_url(&format!("products/{}", product.id))));
    }
    out.links(single, &links, newer);
}

fn name(item: &Item<'_>) -> String {
    match item.variant {
        None => item.product.title.clone(),
        Some(variant) => format!("{} - {}", item.product.title, variant.option_values.join(", ")),
    }
}

fn permalink(ask: &Ask<'_>, item: &Item<'_>) -> String {
    let address = format!("{}/product/{}/", ask.shop.spec().home(), item.product.slug);
    let Some(variant) = item.variant else { return address };
    let options = item.product.options.iter().zip(&variant.option_values);
    let query: Vec<String> =
        options.map(|(option, value)| format!("attribute_pa_{}={}", slug(&option.name), slug(value))).collect();
    format!("{address}?{}", query.join("&"))
}

fn price_html(ask: &Ask<'_>, item: &Item<'_>) -> String {
    let Some(price) = item.price() else { return String::new() };
    let symbol = super::super::facts::entities(ask.shop.spec().market.currency.symbol);
    format!(
        "<span class=\"woocommerce-Price-amount amount\"><bdi>{price}&nbsp;<span class=\"woocommerce-Price-currencySymbol\">{symbol}</span></bdi></span>"
    )
}

fn kilograms(grams: u32) -> String {
    Decimal::new(i64::from(grams), 3).normalize().to_string()
}

fn stock(item: &Item<'_>, low_stock_amount: bool, out: &mut Object<'_>) {
    let own = item.own();
    let counted = own.is_some_and(|variant| variant.stock.is_some());
    out.put("manage_stock", counted);
    out.put("stock_quantity", own.and_then(|variant| variant.stock));
    let status = match own {
        Some(variant) => stock_status(variant),
        // In stock as soon as one variation is.
        None => ["instock", "onbackorder", "outofstock"]
            .into_iter()
            .find(|status| item.sellable().iter().any(|variant| stock_status(variant) == *status))
            .unwrap_or("outofstock"),
    };
    out.put("stock_status", status);
    let backorders = counted && own.is_some_and(|variant| variant.backorders);
    out.put("backorders", if backorders { "yes" } else { "no" });
    out.put("backorders_allowed", backorders);
    out.put("backordered", backorders && status == "onbackorder");
    if low_stock_amount {
        out.put("low_stock_amount", None::<u32>);
    }
}

fn term(term: &Term, out: &mut Object<'_>) {
    out.put("id", term.id);
    out.put("name", super::super::facts::entities(&term.name));
    out.put("slug", &term.slug);
}

/// What only `/products` shows.
fn catalog(ask: &Ask<'_>, item: &Item<'_>, newer: bool, out: &mut Object<'_>) {
    let product = item.product;
    let variation = item.variant.is_some();
    out.put("reviews_allowed", !variation);
    out.put("average_rating", "0.00");
    out.put("rating_count", 0u32);
    out.put_with("related_ids", || {
        let alike = |other: &&Product| other.id != product.id && other.categories.first() == product.categories.first();
        let related: Vec<Id> = ask.data.world.products.iter().filter(alike).take(5).map(|other| other.id).collect();
        List(related.into_iter())
    });
    out.put("upsell_ids", Raw("[]"));
    out.put("cross_sell_ids", Raw("[]"));
    out.put("parent_id", item.parent_id());
    out.put("purchase_note", "");
    out.list("categories", &product.categories, term);
    if newer {
        out.put("brands", Raw("[]"));
    }
    out.list("tags", &product.tags, term);
    let pictures: Vec<&Image> = match item.variant {
        Some(variant) => variant.image.and_then(|at| product.images.get(at)).into_iter().collect(),
        None => product.images.iter().collect(),
    };
    out.list("images", pictures, |picture, out| image(ask, picture, newer, out));
    match item.variant {
        Some(variant) => chosen(product, variant, out),
        None => out.list("attributes", product.options.iter().zip(0u32..), |(option, position), out| {
            out.put("id", option.attribute_id.unwrap_or(0));
            out.put("name", &option.name);
            if newer {
                out.put("slug", attribute_slug(option.attribute_id, &option.name));
            }
            out.put("position", position);
            out.put("visible", true);
            out.put("variation", true);
            out.put("options", List(option.values.iter()));
        }),
    }
    let first = product.options.iter().filter(|_| !variation && product.id.is_multiple_of(2));
    out.list("default_attributes", first, |option, out| {
        out.put("id", option.attribute_id.unwrap_or(0));
        out.put("name", &option.name);
        out.put("option", option.values.first().map(|value| slug(value)).unwrap_or_default());
    });
    let variations: Vec<Id> = match (variation, &product.kind) {
        (false, ProductKind::Variable) => product.variants.iter().map(|variant| variant.id).collect(),
        _ => vec![],
    };
    out.put("variations", ids(&variations));
    let members: &[Id] = match &product.kind {
        ProductKind::Grouped(members) => members,
        _ => &[],
    };
    out.put("grouped_products", ids(members));
}

/// What only `/variations` shows.
fn variation_only(ask: &Ask<'_>, item: &Item<'_>, newer: bool, out: &mut Object<'_>) {
    let picture = item.variant.and_then(|variant| item.product.images.get(variant.image?));
    match picture {
        Some(picture) => out.object("image", |out| image(ask, picture, newer, out)),
        None => out.put("image", None::<&str>),
    }
    if let Some(variant) = item.variant {
        chosen(item.product, variant, out);
    }
    if newer {
        out.put("name", item.variant.map(|variant| variant.option_values.join(", ")).unwrap_or_default());
        out.put("parent_id", item.parent_id());
    }
}

/// The option values of a variation.
fn chosen(product: &Product, variant: &Variant, out: &mut Object<'_>) {
    out.list("attributes", product.options.iter().zip(&variant.option_values), |(option, value), out| {
        out.put("id", option.attribute_id.unwrap_or(0));
        out.put("name", &option.name);
        out.put("slug", attribute_slug(option.attribute_id, &option.name));
        out.put("option", value);
    });
}

fn attribute_slug(attribute_id: Option<Id>, name: &str) -> String {
    // An attribute of the shop is a taxonomy, one of the product is not.
    if attribute_id.is_some() { format!("pa_{}", slug(name)) } else { name.to_owned() }
}

fn image(ask: &Ask<'_>, image: &Image, newer: bool, out: &mut Object<'_>) {
    let zone = ask.shop.spec().market.time_zone;
    let src = image_url(ask, image);
    out.put("id", image.id);
    out.put("date_created", local(image.created_at, zone));
    out.put("date_created_gmt", gmt(image.created_at));
    out.put("date_modified", local(image.created_at, zone));
    out.put("date_modified_gmt", gmt(image.created_at));
    out.put("src", &src);
    out.put("name", image.file.trim_end_matches(".jpg"));
    out.put("alt", &image.alt);
    if newer {
        out.put("srcset", format!("{src} 800w"));
        out.put("sizes", "(max-width: 800px) 100vw, 800px");
        out.put("thumbnail", src.replace(".jpg", "-300x300.jpg"));
    }
}
