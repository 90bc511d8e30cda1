//! Layer 2: one folder per provider, each with the same file names (`docs/adding-a-provider.md`).

pub mod shopify;
