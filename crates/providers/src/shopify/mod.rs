//! Shopify: an OAuth app that reads shops over the GraphQL Admin API, version 2026-10.
//!
//! - [`auth`]: install, consent, tokens that expire and are renewed
//! - `api`: the documents in `graphql/`, their cost, pages and errors
//! - `convert`: answers to canonical models

mod api;
mod auth;
mod convert;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use connector::{
    Answer, AuthorizationCode, Call, Customer, Filter, Manifest, Order, Page, Product, Provider, ProviderError, Query,
    Read, Selection,
    provider::{AuthType, Capability, Category, Paging, RevokeAccess},
};

pub struct Shopify;

static MANIFEST: Manifest = Manifest {
    key: "shopify",
    label: "Shopify",
    category: Category::Api,
    auth_type: AuthType::Oauth,
    capabilities: &[
        Capability {
            key: "read_customers",
            label: "Read customers",
            default_enabled: true,
            scopes: &["read_customers"],
        },
        Capability { key: "read_orders", label: "Read orders", default_enabled: true, scopes: &["read_orders"] },
        Capability { key: "read_products", label: "Read products", default_enabled: true, scopes: &["read_products"] },
    ],
    config: &[],
    scopes: &["read_customers", "read_orders", "read_products"],
    is_exclusive: true,
    revoke_by_hand: "Uninstall the app in the shop's admin: Settings → Apps and sales channels.",
    notes: &[
        "Orders older than 60 days need the scope read_all_orders, which Shopify grants to an app on request.",
        "Names, addresses, e-mail addresses and phone numbers need Shopify's approval for protected customer data; \
         until then they are empty and said to be withheld.",
        "Lists carry no tax per line item, and only the first pictures, variants or line items of records with very many of \
         them, which is said as `abridged`; reading one record gives them all.",
    ],
};

impl Provider for Shopify {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn authorization_code(&self) -> Option<&dyn AuthorizationCode> {
        Some(self)
    }

    fn revoke_access(&self) -> Option<&dyn RevokeAccess> {
        Some(self)
    }

    fn customers(&self) -> Option<&dyn Read<Customer>> {
        Some(self)
    }

    fn orders(&self) -> Option<&dyn Read<Order>> {
        Some(self)
    }

    fn products(&self) -> Option<&dyn Read<Product>> {
        Some(self)
    }
}

#[async_trait]
impl Read<Customer> for Shopify {
    fn filters(&self) -> &'static [Filter] {
        use Filter::{CreatedAfter, CreatedBefore, Email, Ids, Phone, Search, UpdatedAfter, UpdatedBefore};
        &[Ids, Email, Phone, Search, CreatedAfter, CreatedBefore, UpdatedAfter, UpdatedBefore]
    }

    fn paging(&self) -> Paging {
        Paging::Cursor
    }

    async fn list(&self, call: &Call<'_>, query: &Query) -> Result<Page<Customer>, ProviderError> {
        api::list::<api::Customers>(call, query).await
    }

    async fn one(&self, call: &Call<'_>, id: &str, selection: &Selection) -> Result<Answer<Customer>, ProviderError> {
        api::one::<api::Customers>(call, id, selection).await
    }
}

#[async_trait]
impl Read<Order> for Shopify {
    /// Shopify finds no orders by phone.
    fn filters(&self) -> &'static [Filter] {
        use Filter::{
            CreatedAfter, CreatedBefore, CustomerId, Email, Ids, Number, PaymentStatus, Search, Status, UpdatedAfter,
            UpdatedBefore,
        };
        &[
            Ids,
            Email,
            Search,
            Status,
            PaymentStatus,
            CustomerId,
            Number,
            CreatedAfter,
            CreatedBefore,
            UpdatedAfter,
            UpdatedBefore,
        ]
    }

    fn paging(&self) -> Paging {
        Paging::Cursor
    }

    async fn list(&self, call: &Call<'_>, query: &Query) -> Result<Page<Order>, ProviderError> {
        api::list::<api::Orders>(call, query).await
    }

    async fn one(&self, call: &Call<'_>, id: &str, selection: &Selection) -> Result<Answer<Order>, ProviderError> {
        api::one::<api::Orders>(call, id, selection).await
    }
}

#[async_trait]
impl Read<Product> for Shopify {
    fn filters(&self) -> &'static [Filter] {
        use Filter::{CreatedAfter, CreatedBefore, Ids, Search, Sku, Status, UpdatedAfter, UpdatedBefore};
        &[Ids, Sku, Search, Status, CreatedAfter, CreatedBefore, UpdatedAfter, UpdatedBefore]
    }

    fn paging(&self) -> Paging {
        Paging::Cursor
    }

    async fn list(&self, call: &Call<'_>, query: &Query) -> Result<Page<Product>, ProviderError> {
        api::list::<api::Products>(call, query).await
    }

    async fn one(&self, call: &Call<'_>, id: &str, selection: &Selection) -> Result<Answer<Product>, ProviderError> {
        api::one::<api::Products>(call, id, selection).await
    }
}
