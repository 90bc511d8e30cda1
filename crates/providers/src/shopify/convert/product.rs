use connector::model::{Image, Product, ProductOption, ProductStatus, SelectedOption, Variant, Weight};
use serde_json::{Value, json};

use super::{filled, keep, wire};

/// `platform` says whether `platform_specific` was asked for; prices are in the shop's currency.
pub(crate) fn product(wire: wire::Product, currency: Option<&str>, platform: bool) -> Product {
    let platform_specific = platform.then(|| platform_specific(&wire));
    let media = wire.media.map(|media| media.nodes).unwrap_or_default();
    let options = wire.options.unwrap_or_default();
    let variants = wire.variants.map(|variants| variants.nodes).unwrap_or_default();
    Product {
        id: wire.legacy_resource_id.0.to_string(),
        title: wire.title,
        handle: filled(wire.handle),
        description_html: filled(wire.description_html),
        status: status(&wire.status),
        vendor: filled(wire.vendor),
        product_type: filled(wire.product_type),
        tags: wire.tags,
        images: media.into_iter().filter_map(image).collect(),
        options: options.into_iter().map(option).collect(),
        variants: variants.into_iter().map(variant).collect(),
        currency: currency.map(str::to_owned),
        url: filled(wire.online_store_url),
        created_at: wire.created_at,
        updated_at: wire.updated_at,
        platform_specific,
    }
}

/// `ProductStatus`: the same words, in capitals. One that is not known is taken as not for sale; Shopify's own word is in
/// `platform_specific`.
fn status(shopify: &str) -> ProductStatus {
    let known = ProductStatus::ALL.iter().copied().find(|status| status.as_str().eq_ignore_ascii_case(shopify));
    known.unwrap_or(ProductStatus::Unlisted)
}

/// Films and models are no images; a picture that is still being processed has no address yet.
fn image(wire: wire::Media) -> Option<Image> {
    let url = wire.preview?.image?.url;
    (wire.media_content_type == "IMAGE").then(|| Image {
        id: Some(wire.id.number().to_owned()),
        url,
        alt: filled(wire.alt),
    })
}

fn option(wire: wire::ProductOption) -> ProductOption {
    ProductOption { name: wire.name, values: wire.option_values.into_iter().map(|value| value.name).collect() }
}

fn variant(wire: wire::Variant) -> Variant {
    let tracked = wire.inventory_item.as_ref().and_then(|item| item.tracked);
    let weight = wire.inventory_item.and_then(|item| item.measurement).and_then(|measurement| measurement.weight);
    Variant {
        id: wire.legacy_resource_id.0.to_string(),
        sku: filled(wire.sku),
        barcode: filled(wire.barcode),
        price: wire.price.map(|price| price.0),
        compare_at_price: wire.compare_at_price.map(|price| price.0),
        // Shopify keeps a number for what it does not count, too.
        inventory_quantity: wire.inventory_quantity.filter(|_| tracked != Some(false)),
        weight: weight
            .map(|weight| Weight { value: weight.value.0, unit: weight_unit(&weight.unit).map(str::to_owned) }),
        options: wire.selected_options.into_iter().map(selected_option).collect(),
    }
}

fn selected_option(wire: wire::SelectedOption) -> SelectedOption {
    SelectedOption { name: wire.name, value: wire.value }
}

fn weight_unit(shopify: &str) -> Option<&'static str> {
    Some(match shopify {
        "KILOGRAMS" => "kg",
        "GRAMS" => "g",
        "POUNDS" => "lb",
        "OUNCES" => "oz",
        _ => return None,
    })
}

fn platform_specific(wire: &wire::Product) -> Value {
    let mut fields = wire.rest.clone();
    keep(&mut fields, "id", Some(wire.id.as_str()));
    keep(&mut fields, "status", Some(wire.status.as_str()));
    let media = wire.media.iter().flat_map(|media| &media.nodes).filter(|media| media.media_content_type != "IMAGE");
    let media: Vec<Value> = media.map(media_specific).collect();
    keep(&mut fields, "media", (!media.is_empty()).then_some(media));
    let variants = wire.variants.iter().flat_map(|variants| &variants.nodes).filter(|variant| !variant.rest.is_empty());
    let variants: Vec<Value> = variants.map(variant_specific).collect();
    keep(&mut fields, "variants", (!variants.is_empty()).then_some(variants));
    Value::Object(fields)
}

fn media_specific(media: &wire::Media) -> Value {
    let preview = media.preview.as_ref().and_then(|preview| preview.image.as_ref()).map(|image| image.url.as_str());
    json!({
        "id": media.id.as_str(),
        "alt": media.alt,
        "mediaContentType": media.media_content_type,
        "preview": preview,
    })
}

fn variant_specific(variant: &wire::Variant) -> Value {
    let mut fields = variant.rest.clone();
    keep(&mut fields, "id", Some(variant.id.as_str()));
    keep(&mut fields, "inventoryQuantity", variant.inventory_quantity);
    if let Some(item) = &variant.inventory_item {
        let mut rest = item.rest.clone();
        keep(&mut rest, "tracked", item.tracked);
        if let Some(weight) = item.measurement.as_ref().and_then(|measurement| measurement.weight.as_ref()) {
            keep(&mut rest, "weightUnit", Some(weight.unit.as_str()));
        }
        keep(&mut fields, "inventoryItem", Some(rest));
    }
    Value::Object(fields)
}
