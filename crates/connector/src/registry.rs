//! The providers of this build, by key. `entrepot::assembly` fills it; nothing else lists them.

use crate::provider::Provider;

#[derive(Clone)]
pub struct Registry(&'static [&'static dyn Provider]);

impl Registry {
    pub const fn new(providers: &'static [&'static dyn Provider]) -> Self {
        Self(providers)
    }

    pub fn get(&self, key: &str) -> Option<&'static dyn Provider> {
        self.iter().find(|provider| provider.manifest().key == key)
    }

    pub fn iter(&self) -> impl Iterator<Item = &'static dyn Provider> + use<> {
        self.0.iter().copied()
    }
}
