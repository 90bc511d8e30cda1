//! Stock.

use super::connection::nested;
use super::money::Money;
use super::product::{VARIANTS, VariantView};
use super::{At, Resolved, View, gid, id_of, leaf, maybe, number, time};
use crate::shopify::store::model::{InventoryLevel, Location, Product, Variant};
use apollo_compiler::resolvers::ResolvedValue;

/// An inventory item: the same record as its variant.
#[derive(Clone, Copy)]
pub(super) struct InventoryItem<'a> {
    pub(super) product: &'a Product,
    pub(super) variant: &'a Variant,
}

impl View for InventoryItem<'_> {
    fn type_name(&self) -> &'static str {
        "InventoryItem"
    }

    fn scopes(&self) -> &'static [&'static str] {
        &["read_inventory", "read_products"]
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let InventoryItem { product, variant } = *self;
        let levels = || variant.levels.iter().map(move |level| Level { product, variant, level });
        match at.name() {
            "id" => gid("InventoryItem", variant.item_id),
            "legacyResourceId" => number(variant.item_id),
            "sku" => maybe(variant.sku.as_deref()),
            "tracked" => leaf(variant.tracked),
            "requiresShipping" => leaf(variant.requires_shipping),
            "unitCost" => {
                let currency = at.store().profile.market.currency.code;
                at.maybe(variant.unit_cost.map(|amount| Money { amount, currency }))
            }
            "measurement" => at.node(Measurement(variant)),
            "createdAt" => time(variant.created_at),
            "updatedAt" => time(variant.updated_at),
            "harmonizedSystemCode" | "countryCodeOfOrigin" | "inventoryHistoryUrl" => Ok(ResolvedValue::null()),
            "variants" => nested(at, VARIANTS, [VariantView::new((product, variant))]),
            "inventoryLevels" => nested(at, ("InventoryLevelConnection", "InventoryLevelEdge"), levels()),
            "inventoryLevel" => {
                let wanted = id_of("Location", at.text("locationId"));
                let here =
                    |level: &Level<'_>| at.store().locations.get(level.level.location).map(|found| found.id) == wanted;
                at.maybe(levels().find(here))
            }
            _ => at.unknown(self),
        }
    }
}

struct Measurement<'a>(&'a Variant);

impl View for Measurement<'_> {
    fn type_name(&self) -> &'static str {
        "InventoryItemMeasurement"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "id" => gid("InventoryItemMeasurement", self.0.item_id),
            "weight" => at.maybe(self.0.weight_grams.map(Weight)),
            _ => at.unknown(self),
        }
    }
}

/// Kilograms from one kilogram on, grams below.
struct Weight(u32);

impl View for Weight {
    fn type_name(&self) -> &'static str {
        "Weight"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let heavy = self.0 >= 1000;
        match at.name() {
            "value" => leaf(if heavy { f64::from(self.0) / 1000.0 } else { f64::from(self.0) }),
            "unit" => leaf(if heavy { "KILOGRAMS" } else { "GRAMS" }),
            _ => at.unknown(self),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Level<'a> {
    pub(super) product: &'a Product,
    pub(super) variant: &'a Variant,
    pub(super) level: &'a InventoryLevel,
}

impl View for Level<'_> {
    fn type_name(&self) -> &'static str {
        "InventoryLevel"
    }

    fn scopes(&self) -> &'static [&'static str] {
        &["read_inventory"]
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let level = self.level;
        match at.name() {
            "id" => {
                leaf(format!("gid://shopify/InventoryLevel/{}?inventory_item_id={}", level.id, self.variant.item_id))
            }
            "isActive" => leaf(true),
            "canDeactivate" => leaf(level.available == 0),
            "createdAt" => time(self.variant.created_at),
            "updatedAt" => time(level.updated_at),
            "location" => at.maybe(at.store().locations.get(level.location).map(LocationView)),
            "item" => at.node(InventoryItem { product: self.product, variant: self.variant }),
            "quantities" => {
                let names = at.arguments().get("names").and_then(|names| names.as_array());
                let names = names.into_iter().flatten().filter_map(|name| name.as_str());
                at.nodes(names.map(|name| Quantity { level, name }))
            }
            _ => at.unknown(self),
        }
    }
}

struct Quantity<'a> {
    level: &'a InventoryLevel,
    name: &'a str,
}

impl View for Quantity<'_> {
    fn type_name(&self) -> &'static str {
        "InventoryQuantity"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let level = self.level;
        match at.name() {
            "id" => leaf(format!("gid://shopify/InventoryQuantity/{}?name={}", level.id, self.name)),
            "name" => leaf(self.name),
            "quantity" => leaf(match self.name {
                "available" => level.available,
                "committed" => level.committed,
                "incoming" => level.incoming,
                "on_hand" => level.available + level.committed,
                _ => 0,
            }),
            "updatedAt" => time(level.updated_at),
            _ => at.unknown(self),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct LocationView<'a>(pub(super) &'a Location);

impl View for LocationView<'_> {
    fn type_name(&self) -> &'static str {
        "Location"
    }

    fn scopes(&self) -> &'static [&'static str] {
        &["read_locations", "read_inventory"]
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let location = self.0;
        match at.name() {
            "id" => gid("Location", location.id),
            "legacyResourceId" => number(location.id),
            "name" => leaf(location.name.as_str()),
            "isActive" | "fulfillsOnlineOrders" | "shipsInventory" | "deactivatable" | "hasActiveInventory" => {
                leaf(location.active)
            }
            "addressVerified" => leaf(false),
            "activatable" | "deletable" => leaf(!location.active),
            "address" => at.node(LocationAddress(location)),
            "createdAt" | "updatedAt" => time(location.created_at),
            _ => at.unknown(self),
        }
    }
}

struct LocationAddress<'a>(&'a Location);

impl View for LocationAddress<'_> {
    fn type_name(&self) -> &'static str {
        "LocationAddress"
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        let address = &self.0.address;
        match at.name() {
            "address1" => maybe(address.address1.as_deref()),
            "city" => maybe(address.city.as_deref()),
            "zip" => maybe(address.zip.as_deref()),
            "countryCode" => maybe(address.country_code.as_deref()),
            _ => at.unknown(self),
        }
    }
}
