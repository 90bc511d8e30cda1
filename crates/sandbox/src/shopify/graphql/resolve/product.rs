//! Products, their variants, options, pictures and metafields.

use super::connection::{self, nested, nested_up_to};
use super::inventory::InventoryItem;
use super::money::{Money, price};
use super::{At, Resolved, View, gid, leaf, maybe, maybe_time, number, texts, time};
use crate::shopify::graphql::access::Refusal;
use crate::shopify::store::model::{Image, Metafield, Product, ProductOption, Variant};
use apollo_compiler::resolvers::ResolvedValue;
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

/// Variants that one page of the product at the root may hold.
const VARIANT_LIMIT: i64 = 2048;

#[derive(Clone, Copy)]
pub(super) struct ProductView<'a> {
    pub(super) product: &'a Product,
    /// Asked for by id at the root: a page of its variants may hold all.
    pub(super) single: bool,
}

impl<'a> ProductView<'a> {
    pub(super) fn listed(product: &'a Product) -> ProductView<'a> {
        ProductView { product, single: false }
    }
}

impl View for ProductView<'_> {
    fn type_name(&self) -> &'static str {
        "Product"
    }

    fn scopes(&self) -> &'static [&'static str] {
        &["read_products"]
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let product = self.product;
        match at.name() {
            "id" => gid("Product", product.id),
            "legacyResourceId" => number(product.id),
            "handle" => leaf(product.handle.as_str()),
            "title" => leaf(product.title.as_str()),
            "status" => leaf(product.status.as_str()),
            "vendor" => leaf(product.vendor.as_str()),
            "productType" => leaf(product.product_type.as_str()),
            "tags" => texts(&product.tags),
            "descriptionHtml" => leaf(product.description_html.as_str()),
            "createdAt" => time(product.created_at),
            "updatedAt" => time(product.updated_at),
            "publishedAt" => maybe_time(product.published_at),
            "totalInventory" => leaf(product.total_inventory()),
            "tracksInventory" => leaf(product.variants.iter().any(|variant| variant.tracked)),
            "hasOnlyDefaultVariant" => leaf(product.has_only_default_variant()),
            "isGiftCard" => leaf(product.gift_card),
            "onlineStoreUrl" => {
                let host = &at.store().profile.primary_host;
                maybe(product.published_at.map(|_| format!("https://{host}/products/{}", product.handle)))
            }
            "category" => at.maybe(product.category.map(|(id, name)| Category { id, name })),
            "seo" => at.node(Seo(product)),
            "options" => {
                let options = product.options.iter().enumerate();
                connection::first_of(at, options.map(|(place, option)| OptionView { option, position: place + 1 }))
            }
            "media" => nested(
                at,
                ("MediaConnection", "MediaEdge"),
                product.images.iter().map(|image| Media { image, product }),
            ),
            "variantsCount" => connection::exactly(at, product.variants.len()),
            "variants" => {
                let limit = if self.single { VARIANT_LIMIT } else { 250 };
                let variants = product.variants.iter().enumerate();
                let views = variants.map(|(place, variant)| VariantView { product, variant, position: place + 1 });
                nested_up_to(at, VARIANTS, views, limit)
            }
            "metafields" => {
                let namespace = at.text("namespace").map(|namespace| match namespace.strip_prefix("$app") {
                    Some(rest) => format!("app--{}{}", at.context.viewer.app.id, rest.replace(':', "--")),
                    None => namespace.to_owned(),
                });
                let keys = at.arguments().get("keys").and_then(|keys| keys.as_array());
                let wanted = move |field: &&Metafield| {
                    let path = format!("{}.{}", field.namespace, field.key);
                    namespace.as_ref().is_none_or(|namespace| field.namespace == *namespace)
                        && keys.is_none_or(|keys| keys.iter().any(|key| key.as_str() == Some(&path)))
                };
                let fields = product.metafields.iter().filter(wanted);
                nested(at, ("MetafieldConnection", "MetafieldEdge"), fields.map(MetafieldView))
            }
            "priceRangeV2" => at.node(PriceRange(product)),
            _ => at.unknown(self),
        }
    }
}

pub(super) const VARIANTS: (&str, &str) = ("ProductVariantConnection", "ProductVariantEdge");

#[derive(Clone, Copy)]
pub(super) struct VariantView<'a> {
    pub(super) product: &'a Product,
    pub(super) variant: &'a Variant,
    pub(super) position: usize,
}

impl<'a> VariantView<'a> {
    pub(super) fn new((product, variant): (&'a Product, &'a Variant)) -> VariantView<'a> {
        VariantView { product, variant, position: variant.position_in(product) }
    }
}

impl View for VariantView<'_> {
    fn type_name(&self) -> &'static str {
        "ProductVariant"
    }

    fn scopes(&self) -> &'static [&'static str] {
        &["read_products"]
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let (product, variant) = (self.product, self.variant);
        let currency = at.store().profile.market.currency;
        match at.name() {
            "id" => gid("ProductVariant", variant.id),
            "legacyResourceId" => number(variant.id),
            "title" => leaf(variant.title()),
            "displayName" => leaf(format!("{} - {}", product.title, variant.title())),
            "sku" => maybe(variant.sku.as_deref()),
            "barcode" => maybe(variant.barcode.as_deref()),
            "price" => leaf(price(variant.price, currency)),
            "compareAtPrice" => maybe(variant.compare_at_price.map(|amount| price(amount, currency))),
            "position" => leaf(self.position as u64),
            "taxable" => leaf(variant.taxable),
            "inventoryPolicy" => leaf(if variant.oversell { "CONTINUE" } else { "DENY" }),
            "inventoryQuantity" => leaf(variant.available()),
            "sellableOnlineQuantity" => leaf(variant.available()),
            "availableForSale" => leaf(variant.for_sale()),
            "createdAt" => time(variant.created_at),
            "updatedAt" => time(variant.updated_at),
            "selectedOptions" => {
                let pairs = product.options.iter().zip(&variant.option_values);
                at.nodes(pairs.map(|(option, value)| SelectedOption { name: &option.name, value }))
            }
            "inventoryItem" => at.node(InventoryItem { product, variant }),
            "product" => at.node(ProductView::listed(product)),
            _ => at.unknown(self),
        }
    }
}

struct SelectedOption<'a> {
    name: &'a str,
    value: &'a str,
}

impl View for SelectedOption<'_> {
    fn type_name(&self) -> &'static str {
        "SelectedOption"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "name" => leaf(self.name),
            "value" => leaf(self.value),
            _ => at.unknown(self),
        }
    }
}

struct OptionView<'a> {
    option: &'a ProductOption,
    position: usize,
}

impl View for OptionView<'_> {
    fn type_name(&self) -> &'static str {
        "ProductOption"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "id" => gid("ProductOption", self.option.id),
            "name" => leaf(self.option.name.as_str()),
            "position" => leaf(self.position as u64),
            "optionValues" => at.nodes(self.option.values.iter().map(|(id, name)| OptionValue { id: *id, name })),
            _ => at.unknown(self),
        }
    }
}

struct OptionValue<'a> {
    id: u64,
    name: &'a str,
}

impl View for OptionValue<'_> {
    fn type_name(&self) -> &'static str {
        "ProductOptionValue"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "id" => gid("ProductOptionValue", self.id),
            "name" => leaf(self.name),
            _ => at.unknown(self),
        }
    }
}

struct Category {
    id: &'static str,
    name: &'static str,
}

impl View for Category {
    fn type_name(&self) -> &'static str {
        "TaxonomyCategory"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let level = self.name.split(" > ").count();
        match at.name() {
            "id" => leaf(self.id),
            "fullName" => leaf(self.name),
            "name" => maybe(self.name.rsplit(" > ").next()),
            "level" => leaf(level as u64),
            "isLeaf" => leaf(true),
            "isRoot" => leaf(level == 1),
            _ => at.unknown(self),
        }
    }
}

struct Seo<'a>(&'a Product);

impl View for Seo<'_> {
    fn type_name(&self) -> &'static str {
        "SEO"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "title" => maybe(self.0.seo.0.as_deref()),
            "description" => maybe(self.0.seo.1.as_deref()),
            _ => at.unknown(self),
        }
    }
}

struct PriceRange<'a>(&'a Product);

impl View for PriceRange<'_> {
    fn type_name(&self) -> &'static str {
        "ProductPriceRangeV2"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let prices = self.0.variants.iter().map(|variant| variant.price);
        let amount = match at.name() {
            "minVariantPrice" => prices.min(),
            "maxVariantPrice" => prices.max(),
            _ => return at.unknown(self),
        };
        at.node(Money { amount: amount.unwrap_or(Decimal::ZERO), currency: at.store().profile.market.currency.code })
    }
}

#[derive(Clone, Copy)]
struct Media<'a> {
    image: &'a Image,
    product: &'a Product,
}

impl View for Media<'_> {
    fn type_name(&self) -> &'static str {
        "MediaImage"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "id" => gid("MediaImage", self.image.id),
            "alt" => maybe(self.image.alt.as_deref()),
            "mediaContentType" => leaf("IMAGE"),
            "preview" => at.node(Preview(self.image)),
            "image" => at.node(ImageView(self.image)),
            "createdAt" | "updatedAt" => time(self.product.created_at),
            _ => at.unknown(self),
        }
    }
}

struct Preview<'a>(&'a Image);

impl View for Preview<'_> {
    fn type_name(&self) -> &'static str {
        "MediaPreviewImage"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "image" => at.node(ImageView(self.0)),
            _ => at.unknown(self),
        }
    }
}

struct ImageView<'a>(&'a Image);

impl View for ImageView<'_> {
    fn type_name(&self) -> &'static str {
        "Image"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "id" => gid("ImageSource", self.0.id),
            "url" => leaf(self.0.url.as_str()),
            "width" => leaf(self.0.width),
            "height" => leaf(self.0.height),
            "altText" => maybe(self.0.alt.as_deref()),
            _ => at.unknown(self),
        }
    }
}

#[derive(Clone, Copy)]
struct MetafieldView<'a>(&'a Metafield);

impl View for MetafieldView<'_> {
    fn type_name(&self) -> &'static str {
        "Metafield"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let field = self.0;
        match at.name() {
            "id" => gid("Metafield", field.id),
            "namespace" => leaf(field.namespace.as_str()),
            "key" => leaf(field.key.as_str()),
            "type" => leaf(field.kind.as_str()),
            "value" => leaf(field.value.as_str()),
            "compareDigest" => leaf(hex::encode(Sha256::digest(&field.value))),
            "createdAt" | "updatedAt" => time(field.updated_at),
            "ownerType" => leaf("PRODUCT"),
            "jsonValue" => {
                let parsed = serde_json::from_str(&field.value);
                Ok(ResolvedValue::Leaf(parsed.unwrap_or_else(|_| field.value.as_str().into())))
            }
            _ => at.unknown(self),
        }
    }
}

/// `productByIdentifier`: exactly one of its fields says which.
pub(super) fn by_identifier(at: At<'_>) -> Resolved<'_> {
    let identifier = super::identifier(at)?;
    let store = at.store();
    let found = match identifier {
        ("id", value) => super::id_of("Product", value.as_str()).and_then(|id| store.product(id)),
        ("handle", value) => store.products.iter().find(|product| Some(product.handle.as_str()) == value.as_str()),
        _ => return Err(Refusal::bad_request("custom ids are not defined in this shop").into()),
    };
    at.maybe(found.map(|product| ProductView { product, single: true }))
}
