//! Products.

use super::{base, not_after_end, product_id, text};
use crate::shopify::store::Profile;
use crate::shopify::store::model::{Id, Image, InventoryLevel, Location, Metafield, Product, ProductOption, Variant};
use crate::shopify::store::values::ProductStatus;
use crate::world::{self, World};
use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

const CATEGORIES: &[(&str, &str)] = &[
    ("gid://shopify/TaxonomyCategory/aa-1-13-8", "Apparel & Accessories > Clothing > Clothing Tops > T-Shirts"),
    ("gid://shopify/TaxonomyCategory/hg-11-6", "Home & Garden > Kitchen & Dining > Kitchen Tools & Utensils"),
    ("gid://shopify/TaxonomyCategory/fb-2-3", "Food, Beverages & Tobacco > Food Items > Condiments & Sauces"),
];

/// The world's products, without those in the trash, and three that no world has.
pub(super) fn products(world: &World, profile: &Profile, locations: &[Location]) -> Vec<Product> {
    let kept = world.products.iter().filter(|product| product.status != world::ProductStatus::Trashed);
    let mut products: Vec<Product> = kept.map(|item| product(item, profile, locations)).collect();
    let newest = world.products.last().map_or(1, |product| product.id);
    products.extend(peculiar(newest, profile, locations));
    products
}

fn product(from: &world::Product, profile: &Profile, locations: &[Location]) -> Product {
    let id = product_id(from.id);
    let status = match from.status {
        world::ProductStatus::Published if from.id % 13 == 3 => ProductStatus::Unlisted,
        world::ProductStatus::Published => ProductStatus::Active,
        world::ProductStatus::Private | world::ProductStatus::Trashed => ProductStatus::Archived,
        world::ProductStatus::Draft | world::ProductStatus::Pending => ProductStatus::Draft,
    };
    let public = matches!(status, ProductStatus::Active | ProductStatus::Unlisted) && from.id % 7 != 5;
    let mut value_id = base::OPTION_VALUE + from.id * 1000;
    let mut option = |number: usize, name: &str, values: &[String]| ProductOption {
        id: base::OPTION + from.id * 10 + number as u64,
        name: name.to_owned(),
        values: values.iter().map(|value| (next(&mut value_id), value.clone())).collect(),
    };
    let mut options: Vec<ProductOption> =
        from.options.iter().enumerate().map(|(at, o)| option(at, &o.name, &o.values)).collect();
    if options.is_empty() {
        options.push(option(0, "Title", &["Default Title".to_owned()]));
    }
    let image = |image: &world::Image| Image {
        id: base::MEDIA + image.id,
        url: format!("https://cdn.shopify.com/s/files/1/0600/0000/files/{}?v=1700000000", image.file),
        alt: text(&image.alt),
        width: 1600,
        height: 1200,
    };
    let tags = from.tags.iter().map(|tag| tag.name.clone()).chain(from.featured.then(|| "featured".to_owned()));
    Product {
        id,
        handle: from.slug.clone(),
        title: from.title.clone(),
        status,
        vendor: if from.vendor.is_empty() { profile.name.clone() } else { from.vendor.clone() },
        product_type: from.categories.first().map(|category| category.name.clone()).unwrap_or_default(),
        tags: tags.collect(),
        description_html: from.description.clone(),
        seo: ((from.id.is_multiple_of(4)).then(|| from.title.clone()), text(&from.short_description)),
        gift_card: false,
        category: (!from.id.is_multiple_of(3)).then(|| CATEGORIES[(from.id % 3) as usize]),
        options,
        images: from.images.iter().map(image).collect(),
        variants: from.variants.iter().map(|item| variant(item, from, locations)).collect(),
        metafields: metafields(from.id, from.modified_at),
        created_at: from.created_at,
        updated_at: from.variants.iter().map(|v| v.modified_at).fold(from.modified_at, DateTime::max),
        published_at: public.then_some(from.created_at),
    }
}

fn variant(from: &world::Variant, of: &world::Product, locations: &[Location]) -> Variant {
    let price = from.price().unwrap_or_default();
    let default_title = || vec!["Default Title".to_owned()];
    Variant {
        id: base::VARIANT + from.id,
        item_id: base::ITEM + from.id,
        option_values: if from.option_values.is_empty() { default_title() } else { from.option_values.clone() },
        sku: from.sku.clone(),
        barcode: from.barcode.clone(),
        price,
        compare_at_price: from.sale_price.and(from.regular_price),
        taxable: !from.id.is_multiple_of(9),
        oversell: from.backorders,
        tracked: from.stock.is_some(),
        requires_shipping: !of.is_virtual,
        unit_cost: (from.id.is_multiple_of(2)).then(|| (price / Decimal::TWO).round_dp(price.scale())),
        weight_grams: from.weight_grams,
        levels: levels(from.id, from.stock.unwrap_or_default() as i32, from.modified_at, locations),
        created_at: from.created_at,
        updated_at: from.modified_at,
    }
}

/// All of it in the warehouse; of every third item a third is on the shop floor.
fn levels(id: Id, stock: i32, updated_at: DateTime<Utc>, locations: &[Location]) -> Vec<InventoryLevel> {
    let moved = if id.is_multiple_of(3) { stock / 3 } else { 0 };
    let level = |at: usize, available: i32| InventoryLevel {
        id: base::LEVEL + id * 10 + at as u64,
        location: at,
        available,
        committed: (id % 4) as i32,
        incoming: if id.is_multiple_of(5) { 12 } else { 0 },
        updated_at,
    };
    let mut levels = vec![level(0, stock - moved)];
    if id.is_multiple_of(3) && locations.len() > 1 {
        levels.push(level(1, moved));
    }
    levels
}

fn metafields(id: Id, updated_at: DateTime<Utc>) -> Vec<Metafield> {
    let field = |number: u64, namespace: &str, key: &str, kind: &str, value: &str| Metafield {
        id: base::METAFIELD + id * 10 + number,
        namespace: namespace.to_owned(),
        key: key.to_owned(),
        kind: kind.to_owned(),
        value: value.to_owned(),
        updated_at,
    };
    if id % 4 != 1 {
        return Vec::new();
    }
    vec![
        field(0, "custom", "material", "single_line_text_field", "Bio-Baumwolle"),
        field(1, "custom", "origins", "list.single_line_text_field", r#"["HU","DE"]"#),
    ]
}

/// A product with more variants than nested pages hold, one with more than a whole page, and a gift card.
fn peculiar(after: Id, profile: &Profile, locations: &[Location]) -> Vec<Product> {
    let currency = profile.market.currency;
    let at = not_after_end(profile.created_at + TimeDelta::days(1000));
    let made = |number: u64, title: &str, names: [&str; 2], counts: [usize; 2]| {
        let mut source = world::Product {
            id: after + 1_000_000 * number,
            kind: world::ProductKind::Variable,
            title: title.to_owned(),
            slug: title.to_lowercase().replace(' ', "-"),
            description: format!("<p>{title}</p>"),
            short_description: String::new(),
            status: world::ProductStatus::Published,
            featured: false,
            is_virtual: false,
            vendor: String::new(),
            sku: None,
            categories: vec![],
            tags: vec![],
            options: vec![],
            variants: vec![],
            images: vec![],
            created_at: at,
            modified_at: at,
        };
        for (name, count) in names.iter().zip(counts).filter(|(_, count)| *count > 0) {
            let values = (1..=count).map(|value| format!("{name} {value}")).collect();
            source.options.push(world::ProductOption { attribute_id: None, name: (*name).to_owned(), values });
        }
        for number in 0..counts[0] * counts[1].max(1) {
            let values = [number / counts[1].max(1), number % counts[1].max(1)];
            let names = source.options.iter().zip(values).map(|(option, at)| option.values[at].clone());
            source.variants.push(world::Variant {
                id: source.id + 1 + number as u64,
                sku: Some(format!("{}-{number:03}", title[..3].to_uppercase())),
                barcode: None,
                regular_price: Some(currency.from_euro_cents(1000 + number as u64)),
                sale_price: None,
                stock: Some(number as i64 % 50),
                backorders: false,
                option_values: names.collect(),
                weight_grams: Some(100),
                image: None,
                created_at: at,
                modified_at: at,
            });
        }
        product(&source, profile, locations)
    };
    let mut gift_card = made(3, "Gift card", ["Denominations", ""], [4, 0]);
    gift_card.gift_card = true;
    gift_card.variants.iter_mut().for_each(|variant| (variant.requires_shipping, variant.tracked) = (false, false));
    vec![made(1, "Ribbon", ["Color", "Width"], [6, 5]), made(2, "Wall paint", ["Color", "Gloss"], [100, 3]), gift_card]
}

fn next(id: &mut Id) -> Id {
    *id += 1;
    *id
}
