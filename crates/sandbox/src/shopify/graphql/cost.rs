//! The requested cost of an operation, known before it runs.
//!
//! Scalars and enums cost nothing, an object 1, a mutation 10, a connection 1 and its page size times what one item costs;
//! a list with a `first` argument is sized by it. Shopify's own figures are often lower; these never are.

use super::engine::SCHEMA;
use apollo_compiler::ast::{OperationType, Value};
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::response::JsonMap;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{ExecutableDocument, Name};

const MUTATION: u64 = 10;

/// The requested cost.
pub(super) fn requested(document: &ExecutableDocument, operation: &Operation, variables: &JsonMap) -> u64 {
    let counter = Counter { document, variables };
    let mutation = operation.operation_type == OperationType::Mutation;
    let top = if mutation { Below::Mutation } else { Below::Object };
    counter.selections(&[&operation.selection_set], top)
}

struct Counter<'a> {
    document: &'a ExecutableDocument,
    variables: &'a JsonMap,
}

/// What a set of selections belongs to.
#[derive(Clone, Copy)]
enum Below {
    Mutation,
    Object,
    /// A connection of this size.
    Connection(u64),
}

impl<'a> Counter<'a> {
    fn selections(&self, sets: &[&'a SelectionSet], below: Below) -> u64 {
        let mut merged: Vec<(&Name, Vec<&'a Field>)> = Vec::new();
        for set in sets {
            self.collect(set, &mut merged);
        }
        merged.iter().map(|(_, fields)| self.field(fields, below)).sum()
    }

    /// Groups fields by response key, through fragments, as execution does.
    fn collect(&self, set: &'a SelectionSet, merged: &mut Vec<(&'a Name, Vec<&'a Field>)>) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => match merged.iter_mut().find(|(key, _)| *key == field.response_key()) {
                    Some((_, fields)) => fields.push(field),
                    None => merged.push((field.response_key(), vec![field])),
                },
                Selection::InlineFragment(inline) => self.collect(&inline.selection_set, merged),
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.fragment_name) {
                        self.collect(&fragment.selection_set, merged);
                    }
                }
            }
        }
    }

    fn field(&self, fields: &[&'a Field], below: Below) -> u64 {
        let Some(field) = fields.first() else { return 0 };
        let ty = field.ty().inner_named_type();
        let composite = matches!(
            SCHEMA.types.get(ty),
            Some(ExtendedType::Object(_) | ExtendedType::Interface(_) | ExtendedType::Union(_))
        );
        if !composite || field.name.starts_with("__") {
            return 0;
        }
        let sets: Vec<&SelectionSet> = fields.iter().map(|field| &field.selection_set).collect();
        let size = self.argument(field, "first").or_else(|| self.argument(field, "last"));
        if ty.ends_with("Connection") {
            return 1 + self.selections(&sets, Below::Connection(size.unwrap_or_default()));
        }
        match below {
            Below::Mutation => MUTATION + self.selections(&sets, Below::Object),
            // An edge is only a wrapper: its node is what costs.
            Below::Connection(size) if field.name == "edges" => {
                size.saturating_mul(self.selections(&sets, Below::Object))
            }
            Below::Connection(size) if field.name == "nodes" => {
                size.saturating_mul(1 + self.selections(&sets, Below::Object))
            }
            Below::Connection(_) | Below::Object => {
                let times = if field.ty().is_list() { size.unwrap_or(1) } else { 1 };
                times.saturating_mul(1 + self.selections(&sets, Below::Object))
            }
        }
    }

    fn argument(&self, field: &Field, name: &str) -> Option<u64> {
        match field.specified_argument_by_name(name)?.as_ref() {
            Value::Int(number) => number.try_to_i32().ok()?.try_into().ok(),
            Value::Variable(variable) => self.variables.get(variable.as_str())?.as_u64(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine::{Documents, operation, variables};
    use super::requested;
    use apollo_compiler::response::JsonMap;

    fn cost(text: &str) -> u64 {
        let checked = Documents::default().check(text);
        let document = checked.as_ref().as_ref().unwrap();
        let operation = operation(document, None).unwrap();
        requested(document, operation, &variables(document, operation, &JsonMap::new()).unwrap())
    }

    #[test]
    fn objects_cost_one_connections_their_page_and_mutations_ten() {
        for (text, points) in [
            ("{ shop { name id } }", 1),
            ("{ shop { name } s: shop { name primaryDomain { host } } }", 3),
            ("{ products(first: 10) { nodes { id } } }", 11),
            ("{ products(first: 10) { edges { cursor node { id } } pageInfo { hasNextPage } } }", 12),
            (
                "query($n: Int = 5) { products(first: $n) { nodes { variants(last: 4) { nodes { id } } } } }",
                1 + 5 * (1 + 1 + 4),
            ),
            ("{ orders(first: 2) { nodes { refunds(first: 3) { id } taxLines { title } } } }", 1 + 2 * (1 + 3 + 1)),
            (
                "{ products(first: 2) { nodes { ...P seo { title } } } } fragment P on Product { seo { description } }",
                5,
            ),
            ("mutation { appUninstall { app { id } } }", 11),
        ] {
            assert_eq!(cost(text), points, "{text}");
        }
    }
}
