//! Secret material: tokens, keys, passwords.

use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A text that must not be printed, stored or sent but where [`Secret::expose`] says so.
/// It has no `Debug`, no `Display`, no `Serialize` and no SQL type, compares in constant time, and is wiped on drop.
/// A test lists every file that exposes one.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What may be shown of it: the last four characters of a long one, nothing of a short one.
    pub fn masked(&self) -> String {
        let shown =
            if self.0.chars().count() >= 12 { self.0.chars().rev().take(4).collect::<Vec<_>>() } else { vec![] };
        format!("…{}", shown.into_iter().rev().collect::<String>())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}
impl Eq for Secret {}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_wiped_when_it_is_dropped() {
        fn is_wiped_on_drop<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        let Secret(text) = &Secret::new("a token");
        is_wiped_on_drop(text);
    }
}
