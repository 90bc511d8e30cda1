//! Entry points.

use super::connection::{count, search};
use super::customer::{self, CUSTOMERS, CustomerView};
use super::inventory::{InventoryItem, Level, LocationView};
use super::order::{CHECKOUTS, CheckoutView, ORDERS, OrderView, visible};
use super::product::{self, ProductView, VARIANTS, VariantView};
use super::shop::{ApiVersion, App, Installation, Shop, VERSIONS};
use super::{At, Context, Resolved, View, id_of, parse_gid};
use crate::shopify::graphql::access::AppFacts;
use crate::shopify::store::model::{Product, Variant};
use apollo_compiler::resolvers::{ObjectValue, ResolveInfo, ResolvedValue};

/// The root of queries.
pub(in crate::shopify) struct QueryRoot<'a>(pub(in crate::shopify) &'a Context<'a>);

impl ObjectValue for QueryRoot<'_> {
    fn type_name(&self) -> &str {
        "QueryRoot"
    }

    fn resolve_field<'b>(&'b self, info: &'b ResolveInfo<'b>) -> Resolved<'b> {
        let at = At { context: self.0, info };
        let store = at.store();
        let id = |kind: &str| id_of(kind, at.text("id"));
        let require = |scopes: &[&str]| at.context.viewer.require(scopes, at.name());
        let protected = |kind: &str| at.context.viewer.may_see_protected(kind);
        match at.name() {
            "shop" => at.node(Shop(&store.profile)),
            "currentAppInstallation" => at.node(Installation),
            "publicApiVersions" => at.nodes(VERSIONS.iter().map(ApiVersion)),
            "product" => at.maybe(id("Product").and_then(|id| store.product(id)).map(single)),
            "productByIdentifier" => product::by_identifier(at),
            "products" => {
                require(&["read_products"])?;
                let names = ("ProductConnection", "ProductEdge");
                search(at, &store.products, "ID", names, |_| true, ProductView::listed)
            }
            "productsCount" => {
                require(&["read_products"])?;
                count(at, &store.products, |_| true)
            }
            "productVariant" => at.maybe(id("ProductVariant").and_then(|id| store.variant(id)).map(VariantView::new)),
            "productVariants" => {
                require(&["read_products"])?;
                search(at, &variants(at), "ID", VARIANTS, |_| true, |item| VariantView::new(*item))
            }
            "productVariantsCount" => {
                require(&["read_products"])?;
                count(at, &variants(at), |_| true)
            }
            "inventoryItem" => at.maybe(id("InventoryItem").and_then(|id| store.item(id)).map(item)),
            "inventoryItems" => {
                require(&["read_inventory", "read_products"])?;
                let names = ("InventoryItemConnection", "InventoryItemEdge");
                search(at, &variants(at), "ITEM", names, |_| true, |found| item(*found))
            }
            "inventoryLevel" => at.maybe(level(at)),
            "location" => {
                let wanted =
                    at.text("id").map(|_| id("Location")).unwrap_or(store.locations.first().map(|first| first.id));
                at.maybe(store.locations.iter().find(|location| Some(location.id) == wanted).map(LocationView))
            }
            "locations" => {
                require(&["read_locations", "read_inventory"])?;
                let inactive = at.flag("includeInactive");
                let names = ("LocationConnection", "LocationEdge");
                search(at, &store.locations, "NAME", names, |location| inactive || location.active, LocationView)
            }
            "customer" => at.maybe(id("Customer").and_then(|id| store.customer(id)).map(CustomerView)),
            "customerByIdentifier" => customer::by_identifier(at),
            "customers" => {
                require(&["read_customers"])?;
                protected("Customer")?;
                search(at, &store.customers, "ID", CUSTOMERS, |_| true, CustomerView)
            }
            "customersCount" => {
                require(&["read_customers"])?;
                count(at, &store.customers, |_| true)
            }
            "order" => {
                at.maybe(id("Order").and_then(|id| store.order(id)).filter(|order| visible(at, order)).map(OrderView))
            }
            "orders" => {
                require(&["read_orders"])?;
                protected("Order")?;
                search(at, &store.orders, "PROCESSED_AT", ORDERS, |order| visible(at, order), OrderView)
            }
            "ordersCount" => {
                require(&["read_orders"])?;
                count(at, &store.orders, |order| visible(at, order))
            }
            "abandonedCheckouts" => {
                require(&["read_orders"])?;
                protected("AbandonedCheckout")?;
                search(at, &store.abandoned, "CREATED_AT", CHECKOUTS, |_| true, CheckoutView)
            }
            "node" => node(at, at.text("id")),
            "nodes" => {
                let ids = at.arguments().get("ids").and_then(|ids| ids.as_array());
                let nodes: Vec<_> = ids.into_iter().flatten().map(|id| node(at, id.as_str())).collect();
                Ok(ResolvedValue::List(Box::new(nodes.into_iter())))
            }
            _ => Err(self.unknown_field_error(info)),
        }
    }
}

fn single(product: &Product) -> ProductView<'_> {
    ProductView { product, single: true }
}

fn item<'a>((product, variant): (&'a Product, &'a Variant)) -> InventoryItem<'a> {
    InventoryItem { product, variant }
}

fn variants<'b>(at: At<'b>) -> Vec<(&'b Product, &'b Variant)> {
    let products = at.store().products.iter();
    products.flat_map(|product| product.variants.iter().map(move |variant| (product, variant))).collect()
}

/// By its whole gid: `gid://shopify/InventoryLevel/{n}?inventory_item_id={m}`.
fn level<'b>(at: At<'b>) -> Option<Level<'b>> {
    let gid = at.text("id")?;
    let id = id_of("InventoryLevel", Some(gid))?;
    let item = gid.split_once("?inventory_item_id=")?.1.parse().ok()?;
    let (product, variant) = at.store().item(item)?;
    let level = variant.levels.iter().find(|level| level.id == id)?;
    Some(Level { product, variant, level })
}

fn node<'b>(at: At<'b>, gid: Option<&str>) -> Resolved<'b> {
    let store = at.store();
    let Some((kind, id)) = gid.and_then(parse_gid) else { return Ok(ResolvedValue::null()) };
    match kind {
        "Shop" => at.maybe((store.profile.id == id).then_some(Shop(&store.profile))),
        "Product" => at.maybe(store.product(id).map(ProductView::listed)),
        "ProductVariant" => at.maybe(store.variant(id).map(VariantView::new)),
        "InventoryItem" => at.maybe(store.item(id).map(item)),
        "Location" => at.maybe(store.locations.iter().find(|location| location.id == id).map(LocationView)),
        "Customer" => at.maybe(store.customer(id).map(CustomerView)),
        "Order" => at.maybe(store.order(id).filter(|order| visible(at, order)).map(OrderView)),
        "AbandonedCheckout" => at.maybe(store.abandoned.iter().find(|checkout| checkout.id == id).map(CheckoutView)),
        _ => Ok(ResolvedValue::null()),
    }
}

/// The root of mutations.
pub(in crate::shopify) struct MutationRoot<'a>(pub(in crate::shopify) &'a Context<'a>);

impl ObjectValue for MutationRoot<'_> {
    fn type_name(&self) -> &str {
        "Mutation"
    }

    fn resolve_field<'b>(&'b self, info: &'b ResolveInfo<'b>) -> Resolved<'b> {
        let at = At { context: self.0, info };
        match at.name() {
            "appUninstall" => {
                at.context.uninstall.set(true);
                at.node(Uninstalled(&at.context.viewer.app))
            }
            _ => Err(self.unknown_field_error(info)),
        }
    }
}

struct Uninstalled<'a>(&'a AppFacts);

impl View for Uninstalled<'_> {
    fn type_name(&self) -> &'static str {
        "AppUninstallPayload"
    }

    fn cost(&self) -> u64 {
        10
    }

    fn field<'b>(&'b self, at: At<'b>) -> Resolved<'b> {
        match at.name() {
            "app" => at.node(App(self.0)),
            "userErrors" => super::connection::none(),
            _ => at.unknown(self),
        }
    }
}
