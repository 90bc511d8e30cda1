//! Products and their variations: `GET /products`, `GET /products/{id}/variations`.

use std::fmt;

use connector::{
    Product, ProviderError, Selection,
    json::Json,
    model::{Image, ProductOption, ProductStatus, SelectedOption, Variant, Weight},
};
use serde_json::Value;

use super::{super::Connection, Sent};

/// What a product's variants are made of.
pub(in super::super) enum VariationsOf {
    /// One variant: the product itself.
    Itself,
    /// The variations, which only a call of their own gives.
    Product(String),
    /// A variable product without variations, or a group of other products.
    Nothing,
}

/// Says whether a product as the shop sent it has variations to ask for.
pub(in super::super) fn variations_of(product: &Json<'_>) -> VariationsOf {
    let kind = product.get("type").and_then(Json::as_str).unwrap_or("simple");
    let listed = product.get("variations").and_then(Json::as_list);
    let id = product.get("id").and_then(Json::as_u64).map(|id| id.to_string());
    match (kind, listed, id) {
        ("grouped", ..) => VariationsOf::Nothing,
        // `variable` and what plugins make of it (`variable-subscription`).
        (kind, Some([]), _) if kind.starts_with("variable") => VariationsOf::Nothing,
        (kind, _, Some(id)) if kind.starts_with("variable") => VariationsOf::Product(id),
        (_, Some([_, ..]), Some(id)) => VariationsOf::Product(id),
        _ => VariationsOf::Itself,
    }
}

/// `variations` are those of a variable product. What they have beside the unified fields goes to
/// `platform_specific.variants`, in the order of `variants`.
pub(in super::super) fn product(
    value: Json<'_>,
    variations: Vec<Json<'_>>,
    connection: &Connection,
    selection: &Selection,
    path: fmt::Arguments<'_>,
) -> Result<Product, ProviderError> {
    let is_itself_a_variant = matches!(variations_of(&value), VariationsOf::Itself);
    let mut sent = Sent::object(value, path)?;
    let id = sent.id("id").ok_or_else(|| ProviderError::Malformed { path: format!("{path}.id") })?;
    let offset = connection.fixed_offset();

    let mut variants = Vec::with_capacity(variations.len().max(1));
    let mut rests = Vec::with_capacity(variations.len());
    for (index, variation) in variations.into_iter().enumerate() {
        let (variant, rest) = variant(variation, connection, format_args!("{path}.variations[{index}]"))?;
        variants.push(variant);
        rests.push(rest);
    }
    if is_itself_a_variant {
        variants.push(take_variant(&mut sent, id.clone(), connection));
    }
    let product = Product {
        title: sent.name("name").unwrap_or_default(),
        handle: sent.text("slug"),
        description_html: sent.text("description"),
        status: status(&mut sent),
        vendor: brand(&sent),
        product_type: sent.text("type"),
        tags: sent.each("tags", |tag| tag.name("name")).unwrap_or_default(),
        images: sent.each("images", image).unwrap_or_default(),
        options: sent.each("attributes", option).unwrap_or_default(),
        variants,
        currency: connection.currency.clone(),
        url: sent.text("permalink"),
        created_at: sent.time("date_created_gmt", offset),
        updated_at: sent.time("date_modified_gmt", offset),
        platform_specific: None,
        id,
    };
    let rest = || {
        if !rests.is_empty() {
            sent.insert("variants", Value::Array(rests).into());
        }
        sent.into_value()
    };
    let wanted = selection.wants("platform_specific");
    Ok(Product { platform_specific: wanted.then(rest), ..product })
}

/// A variation, and what it has beside the unified fields. A variation without a SKU of its own shows its parent's, so
/// SKUs are not unique (W11); with `manage_stock: "parent"` it shows the parent's stock too.
pub(in super::super) fn variant(
    value: Json<'_>,
    connection: &Connection,
    path: fmt::Arguments<'_>,
) -> Result<(Variant, Value), ProviderError> {
    let mut sent = Sent::object(value, path)?;
    let id = sent.id("id").ok_or_else(|| ProviderError::Malformed { path: format!("{path}.id") })?;
    let variant = take_variant(&mut sent, id, connection);
    Ok((variant, sent.into_value()))
}

/// `price` is the one in force; the regular one is shown beside it only where the shop reduces it. Both parts of the
/// reduction (`regular_price`, `sale_price`) stay in `platform_specific` as well.
fn take_variant(sent: &mut Sent<'_>, id: String, connection: &Connection) -> Variant {
    let price = sent.amount("price");
    let regular = sent.peek_amount("regular_price");
    Variant {
        id,
        sku: sent.text("sku"),
        barcode: sent.text("global_unique_id"),
        price,
        compare_at_price: regular.filter(|regular| price.is_some_and(|price| *regular > price)),
        inventory_quantity: sent.integer("stock_quantity"),
        weight: sent.amount("weight").map(|value| Weight { value, unit: connection.weight_unit.clone() }),
        options: sent.each("attributes", selected).unwrap_or_default(),
    }
}

/// `publish` and not hidden → active; `publish` and hidden, or `private` (staff only) → unlisted; `trash` → archived;
/// `draft`, `pending` (awaits review), `future` (scheduled) and a plugin's own → draft: not for sale yet. The word stays
/// in `platform_specific` where the unified one does not say the same.
fn status(sent: &mut Sent<'_>) -> ProductStatus {
    let hidden = sent.get("catalog_visibility").and_then(Json::as_str) == Some("hidden");
    let word = sent.get("status").and_then(Json::as_str).unwrap_or_default().to_owned();
    let (status, says_the_same) = match word.as_str() {
        "publish" if hidden => (ProductStatus::Unlisted, false),
        "publish" => (ProductStatus::Active, true),
        "private" => (ProductStatus::Unlisted, false),
        "trash" => (ProductStatus::Archived, true),
        "draft" => (ProductStatus::Draft, true),
        _ => (ProductStatus::Draft, false),
    };
    if says_the_same {
        sent.forget("status");
    }
    status
}

/// The vendor is the product's brand, where it has exactly one.
fn brand(sent: &Sent<'_>) -> Option<String> {
    let [brand] = sent.get("brands")?.as_list()? else { return None };
    brand.get("name")?.as_str().map(super::entities::decode)
}

/// An image without an address is none; its `id` may be 0 or `""`.
fn image(sent: &mut Sent<'_>) -> Option<Image> {
    let url = sent.text("src")?;
    Some(Image { id: sent.id("id"), url, alt: sent.name("alt") })
}

/// Attributes that variations are chosen by. The others describe the product and stay in `platform_specific`.
fn option(sent: &mut Sent<'_>) -> Option<ProductOption> {
    if sent.get("variation")?.as_bool() != Some(true) || !is_text(sent, "name") {
        return None;
    }
    let values = sent.get("options")?.as_list()?.iter();
    let values = values.map(|value| value.as_str().map(super::entities::decode)).collect::<Option<Vec<_>>>()?;
    sent.forget("options");
    Some(ProductOption { name: sent.name("name")?, values })
}

/// What a variation is of an attribute. An empty `option` stands for any value; a product's own attributes have none.
fn selected(sent: &mut Sent<'_>) -> Option<SelectedOption> {
    if !is_text(sent, "option") || !is_text(sent, "name") {
        return None;
    }
    Some(SelectedOption { value: sent.name("option")?, name: sent.name("name")? })
}

fn is_text(sent: &Sent<'_>, name: &str) -> bool {
    sent.get(name).and_then(Json::as_str).is_some_and(|text| !text.is_empty())
}
