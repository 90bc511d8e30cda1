//! Parsing, validating and executing documents against the simulated part of the 2026-10 Admin schema.

use super::access::Refusal;
use super::resolve::{Context, MutationRoot, QueryRoot};
use apollo_compiler::collections::HashMap as ApolloMap;
use apollo_compiler::executable::{Operation, OperationType};
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::resolvers::Execution;
use apollo_compiler::response::{ExecutionResponse, GraphQLError, JsonMap};
use apollo_compiler::schema::Implementers;
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Name, Schema};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// The schema: hand-picked types, with names, arguments and nullability of the real one.
const SDL: &[(&str, &str)] = &[
    ("root.graphql", include_str!("schema/root.graphql")),
    ("shop.graphql", include_str!("schema/shop.graphql")),
    ("product.graphql", include_str!("schema/product.graphql")),
    ("inventory.graphql", include_str!("schema/inventory.graphql")),
    ("customer.graphql", include_str!("schema/customer.graphql")),
    ("order.graphql", include_str!("schema/order.graphql")),
    ("shared.graphql", include_str!("schema/shared.graphql")),
    ("codes.graphql", include_str!("schema/codes.graphql")),
];

/// Documents remembered; an app has a handful.
const REMEMBERED: usize = 500;

pub(super) static SCHEMA: LazyLock<Valid<Schema>> = LazyLock::new(|| {
    let mut builder = Schema::builder();
    for (file, text) in SDL {
        builder = builder.parse(*text, *file);
    }
    let schema = builder.build().expect("the files next to this one are a schema");
    schema.validate().expect("and a valid one, which a test of this crate checks")
});

static IMPLEMENTERS: LazyLock<ApolloMap<Name, Implementers>> = LazyLock::new(|| SCHEMA.implementers_map());

/// A document that was checked, or what is wrong with it.
pub(super) type Checked = Arc<Result<Valid<ExecutableDocument>, Vec<GraphQLError>>>;

/// Documents by their text, so that each is parsed and checked once.
#[derive(Debug, Default)]
pub(in crate::shopify) struct Documents(Mutex<HashMap<String, Checked>>);

impl Documents {
    pub(super) fn check(&self, text: &str) -> Checked {
        let known = |map: &HashMap<String, Checked>| map.get(text).cloned();
        if let Some(checked) = known(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return checked;
        }
        let parsed = ExecutableDocument::parse_and_validate(&SCHEMA, text, "query");
        let checked = Arc::new(parsed.map_err(|invalid| problems(&invalid.errors)));
        let mut documents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if documents.len() >= REMEMBERED {
            documents.clear();
        }
        documents.insert(text.to_owned(), checked.clone());
        checked
    }
}

fn problems(errors: &DiagnosticList) -> Vec<GraphQLError> {
    let problem = |mut error: GraphQLError| {
        let field = error.message.strip_prefix("type `").and_then(|rest| rest.split_once("` does not have a field `"));
        let field = field.map(|(of, field)| (of.to_owned(), field.trim_end_matches('`').to_owned()));
        if let Some((of, field)) = field {
            error.message = format!("Field '{field}' doesn't exist on type '{of}'");
            error.extensions.insert("code", "undefinedField".into());
            error.extensions.insert("typeName", of.into());
            error.extensions.insert("fieldName", field.into());
        }
        error
    };
    let mut problems: Vec<_> = errors.iter().map(|diagnostic| problem(diagnostic.to_json())).collect();
    // An unknown field makes its own selections look wrong too: the cause first.
    problems.sort_by_key(|problem| problem.extensions.is_empty());
    problems
}

/// The operation a request means.
pub(super) fn operation<'d>(
    document: &'d Valid<ExecutableDocument>,
    name: Option<&str>,
) -> Result<&'d Operation, Box<GraphQLError>> {
    document
        .operations
        .get(name)
        .map(AsRef::as_ref)
        .map_err(|error| Box::new(error.to_graphql_error(&document.sources)))
}

/// Variables with the operation's defaults, each of its declared type.
pub(super) fn variables(
    document: &Valid<ExecutableDocument>,
    operation: &Operation,
    given: &JsonMap,
) -> Result<Valid<JsonMap>, Box<GraphQLError>> {
    coerce_variable_values(&SCHEMA, operation, given).map_err(|error| {
        let mut error = error.to_graphql_error(&document.sources);
        error.extensions.insert("code", "INVALID_VARIABLE".into());
        Box::new(error)
    })
}

/// Runs an operation.
pub(super) fn execute(
    document: &Valid<ExecutableDocument>,
    operation: &Operation,
    variables: &Valid<JsonMap>,
    context: &Context<'_>,
) -> ExecutionResponse {
    let execution = Execution::new(&SCHEMA, document)
        .operation(operation)
        .implementers_map(&IMPLEMENTERS)
        .coerced_variable_values(variables)
        .enable_schema_introspection(true);
    let result = match operation.operation_type {
        OperationType::Mutation => execution.execute_sync(&MutationRoot(context)),
        OperationType::Query | OperationType::Subscription => execution.execute_sync(&QueryRoot(context)),
    };
    match result {
        Ok(mut response) => {
            response.errors.iter_mut().for_each(Refusal::unpack);
            response
        }
        Err(error) => ExecutionResponse { errors: vec![error.to_graphql_error(&document.sources)], data: None },
    }
}

#[cfg(test)]
mod tests {
    use super::{Documents, SCHEMA};

    #[test]
    fn the_schema_is_valid_and_a_document_is_checked_once() {
        assert!(SCHEMA.types.contains_key("OrderConnection"));
        let documents = Documents::default();
        let first = documents.check("{ shop { name } }");
        assert!(first.is_ok());
        assert!(std::sync::Arc::ptr_eq(&first, &documents.check("{ shop { name } }")));
    }

    #[test]
    fn an_unknown_field_is_told_as_shopify_tells_it() {
        let checked = Documents::default().check("{ shop { nam } }");
        let problems = checked.as_ref().as_ref().unwrap_err();
        assert_eq!(problems[0].message, "Field 'nam' doesn't exist on type 'Shop'");
        assert_eq!(problems[0].extensions["code"].as_str(), Some("undefinedField"));
        assert_eq!((problems[0].locations[0].line, problems[0].locations[0].column), (1, 10));
    }
}
