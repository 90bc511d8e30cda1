//! Access scopes as a set, compressed the way Shopify compresses them.

use std::collections::BTreeSet;
use std::fmt;

/// A set of access scopes, `write_x` without the `read_x` it implies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// Reads a list separated by commas or spaces, as in the `scope` parameter.
    pub fn parse(list: &str) -> Scopes {
        list.split([',', ' ']).map(str::trim).filter(|scope| !scope.is_empty()).collect()
    }

    /// Whether the set holds `scope`, also by implication (`write_orders` allows `read_orders`).
    pub fn allows(&self, scope: &str) -> bool {
        self.0.contains(scope)
            || scope.strip_prefix("read_").is_some_and(|resource| self.0.contains(&format!("write_{resource}")))
    }

    /// The scopes in `self` that `other` does not allow.
    pub fn beyond(&self, other: &Scopes) -> Vec<String> {
        self.0.iter().filter(|scope| !other.allows(scope)).cloned().collect()
    }

    /// Everything allowed, implied reads spelled out: what `currentAppInstallation.accessScopes` lists.
    pub fn expanded(&self) -> BTreeSet<String> {
        let implied = self.0.iter().filter_map(|scope| Some(format!("read_{}", scope.strip_prefix("write_")?)));
        self.0.iter().cloned().chain(implied).collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each scope, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<S: Into<String>> FromIterator<S> for Scopes {
    fn from_iter<I: IntoIterator<Item = S>>(scopes: I) -> Scopes {
        let all: BTreeSet<String> = scopes.into_iter().map(Into::into).collect();
        let implied = |scope: &str| {
            scope.strip_prefix("read_").is_some_and(|resource| all.contains(&format!("write_{resource}")))
        };
        Scopes(all.iter().filter(|scope| !implied(scope)).cloned().collect())
    }
}

impl fmt::Display for Scopes {
    /// The comma list of token responses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            write!(f, "{}{scope}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Scopes;

    #[test]
    fn write_swallows_read_and_still_allows_it() {
        let scopes = Scopes::parse("read_products, write_products,read_orders");
        assert_eq!(scopes.to_string(), "read_orders,write_products");
        assert!(scopes.allows("read_products") && scopes.allows("write_products"));
        assert!(scopes.allows("read_orders") && !scopes.allows("write_orders"));
        assert_eq!(scopes.expanded().len(), 3);
    }

    #[test]
    fn asking_beyond_the_declared_scopes_is_seen() {
        let declared = Scopes::parse("write_products,read_orders");
        assert!(Scopes::parse("read_products").beyond(&declared).is_empty());
        assert_eq!(Scopes::parse("read_products,write_orders").beyond(&declared), ["write_orders"]);
    }
}
