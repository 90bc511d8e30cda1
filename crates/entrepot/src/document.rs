//! What the OpenAPI document says of all operations together.

use std::collections::BTreeSet;

use utoipa::openapi::{
    OpenApi, Ref, RefOr,
    schema::{ArrayItems, Schema},
};

/// Completes what the derived schemas leave open.
pub(crate) fn complete(document: &mut OpenApi) {
    refer_to_what_has_a_name(document);
    require_every_field_of_answers(document);
}

/// Derived pages carry a copy of their records' schema. Named once, it is one type in a client.
fn refer_to_what_has_a_name(document: &mut OpenApi) {
    let Some(components) = &mut document.components else { return };
    let named: Vec<(String, Schema)> = components
        .schemas
        .iter()
        .filter_map(|(name, schema)| match schema {
            RefOr::T(schema @ Schema::Object(object)) if !object.properties.is_empty() => {
                Some((name.clone(), schema.clone()))
            }
            _ => None,
        })
        .collect();
    for schema in components.schemas.values_mut() {
        for part in parts(schema) {
            refer(part, &named);
        }
    }
}

fn refer(schema: &mut RefOr<Schema>, named: &[(String, Schema)]) {
    if let RefOr::T(inline) = schema
        && let Some((name, _)) = named.iter().find(|(_, known)| known == inline)
    {
        *schema = RefOr::Ref(Ref::from_schema_name(name));
    }
    for part in parts(schema) {
        refer(part, named);
    }
}

/// Every field of an answer is required: one without a value is null, never absent. Derived schemas take a field that can be
/// null for one that can be absent.
fn require_every_field_of_answers(document: &mut OpenApi) {
    let mut waiting = vec![];
    for item in document.paths.paths.values_mut() {
        for operation in
            [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
        {
            let answers = operation.responses.responses.values_mut().filter_map(there);
            let bodies = answers.flat_map(|answer| answer.content.values_mut().filter_map(there));
            for schema in bodies.filter_map(|content| content.schema.as_mut()) {
                require(schema, &mut waiting);
            }
        }
    }
    let Some(components) = &mut document.components else { return };
    let mut done = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if let Some(schema) = components.schemas.get_mut(&name)
            && done.insert(name)
        {
            require(schema, &mut waiting);
        }
    }
}

fn there<T>(value: &mut RefOr<T>) -> Option<&mut T> {
    match value {
        RefOr::T(value) => Some(value),
        RefOr::Ref(_) => None,
    }
}

/// Requires the fields of a schema; the names of those that it refers to are left for later.
fn require(schema: &mut RefOr<Schema>, referred: &mut Vec<String>) {
    match schema {
        RefOr::Ref(reference) => referred.extend(reference.ref_location.rsplit('/').next().map(str::to_owned)),
        RefOr::T(Schema::Object(object)) => object.required = object.properties.keys().cloned().collect(),
        RefOr::T(_) => {}
    }
    for part in parts(schema) {
        require(part, referred);
    }
}

/// The schemas inside a schema.
fn parts(schema: &mut RefOr<Schema>) -> Vec<&mut RefOr<Schema>> {
    match schema {
        RefOr::T(Schema::Object(object)) => object.properties.values_mut().collect(),
        RefOr::T(Schema::Array(array)) => match &mut array.items {
            ArrayItems::RefOrSchema(items) => vec![items],
            ArrayItems::False => vec![],
        },
        RefOr::T(Schema::OneOf(options)) => options.items.iter_mut().collect(),
        RefOr::T(Schema::AllOf(parts)) => parts.items.iter_mut().collect(),
        RefOr::T(Schema::AnyOf(options)) => options.items.iter_mut().collect(),
        _ => vec![],
    }
}
