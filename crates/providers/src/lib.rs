//! Layer 2: one folder per provider, always with the same file names.
//!
//! A provider is stateless and knows no database, no tenant and no HTTP server. `entrepot::assembly` lists those of this
//! build; the docs say how to add one (`docs/adding-a-provider.md`).

pub mod shopify;
pub mod woocommerce;
