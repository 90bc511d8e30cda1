//! The documents in `graphql/` are what Shopify 2026-10 takes, and the fixtures are what it would answer them with.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    path::Path,
};

use apollo_compiler::{
    ExecutableDocument, Name, Schema,
    ast::{self, Value as Literal},
    executable::{Selection, SelectionSet},
    schema::ExtendedType,
    validation::Valid,
};
use serde_json::Value;

use super::fixtures;
use crate::shopify::api::{Customers, Operation, Orders, Products, Resource, SHOP, UNINSTALL};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/shopify/graphql");

fn documents() -> BTreeMap<String, String> {
    let files = std::fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let files = files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap()));
    let documents: BTreeMap<_, _> = files.collect();
    assert!(documents.len() >= 16, "the documents are in {FOLDER}");
    documents
}

fn ours() -> Valid<Schema> {
    Schema::parse_and_validate(include_str!("schema.graphql"), "schema.graphql").unwrap()
}

fn parse(schema: &Valid<Schema>, file: &str, text: &str) -> Valid<ExecutableDocument> {
    ExecutableDocument::parse_and_validate(schema, text, file)
        .unwrap_or_else(|problems| panic!("{file}: {}", problems.errors))
}

#[test]
fn every_document_is_valid_and_holds_one_operation_named_as_its_file() {
    let schema = ours();
    for (file, text) in documents() {
        let document = parse(&schema, &file, &text);
        let names: Vec<&Name> = document.operations.named.keys().collect();
        let [name] = names.as_slice() else { panic!("{file} holds {} operations", names.len()) };
        let expected: String = file.trim_end_matches(".graphql").split('_').map(capitalized).collect();
        assert_eq!(name.as_str(), expected, "{file}");
    }
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// What is off leaves a document that is valid and says nothing of it, whatever else is on.
#[test]
fn every_combination_of_switches_leaves_a_valid_document() {
    let schema = ours();
    for operation in operations() {
        let text = operation.document;
        let names: Vec<&str> =
            text.match_indices(": Boolean!").map(|(at, _)| text[..at].rsplit('$').next().unwrap()).collect();
        // None and all; each alone; all but each. Whatever else there is has the same parts.
        let alone = (0..names.len()).map(|index| 1_u32 << index);
        let all = (1_u32 << names.len()) - 1;
        for bits in alone.clone().chain(alone.map(|bit| all & !bit)).chain([0, all]) {
            let on = |index: usize| bits & (1 << index) != 0;
            let switches =
                names.iter().enumerate().map(|(index, name)| ((*name).to_owned(), Value::Bool(on(index)))).collect();
            let resolved = operation.resolved(&switches);
            assert!(!resolved.contains("@include"), "{resolved}");
            let document = parse(&schema, operation.name, &resolved);
            let as_it_is = parse(&schema, operation.name, text);
            let variables = Value::Object(switches);
            let fields = |document| Checker { document, variables: &variables }.names();
            assert_eq!(fields(&document), fields(&as_it_is), "{} {variables}", operation.name);
        }
    }
}

fn operations() -> Vec<&'static Operation> {
    fn of<R: Resource>() -> [&'static Operation; 5] {
        [&R::LIST, &R::POSITION, &R::ONE, &R::CHILDREN_OF_MANY, &R::CHILDREN_OF_ONE]
    }
    let operations: Vec<_> = [of::<Orders>(), of::<Customers>(), of::<Products>()].concat();
    operations.into_iter().chain([&SHOP, &UNINSTALL]).collect()
}

#[test]
fn every_document_is_used_and_every_operation_is_a_document() {
    let used: BTreeSet<&str> = operations().into_iter().map(|operation| operation.document).collect();
    let documents = documents();
    let written: BTreeSet<&str> = documents.values().map(String::as_str).collect();
    assert_eq!(used, written);
    for operation in operations() {
        let kinds = ["query", "mutation"].map(|kind| format!("{kind} {}", operation.name));
        assert!(kinds.iter().any(|begin| operation.document.contains(begin)), "{}", operation.name);
    }
}

#[test]
fn a_fragment_is_the_same_wherever_it_stands() {
    let mut known = BTreeMap::<String, (String, String)>::new();
    let schema = ours();
    for (file, text) in documents() {
        for (name, fragment) in &parse(&schema, &file, &text).fragments {
            let written = fragment.serialize().to_string();
            let (other, first) = known.entry(name.to_string()).or_insert_with(|| (file.clone(), written.clone()));
            assert_eq!(*first, written, "{name} differs between {other} and {file}");
        }
    }
}

#[test]
fn every_connection_says_how_many_it_wants() {
    let schema = ours();
    for (file, text) in documents() {
        let document = parse(&schema, &file, &text);
        visit(&document, &mut |parent, field| {
            let is_connection = field.definition.ty.inner_named_type().ends_with("Connection");
            let takes_first = field.definition.argument_by_name("first").is_some();
            if is_connection || takes_first {
                let has_first = field.arguments.iter().any(|argument| argument.name == "first");
                assert!(has_first, "{file}: {parent}.{} has no first", field.name);
            }
        });
    }
}

/// Calls `look` for every field of a document with the name of its type.
fn visit(document: &ExecutableDocument, look: &mut dyn FnMut(&str, &apollo_compiler::executable::Field)) {
    let mut sets: Vec<&SelectionSet> = document.operations.iter().map(|operation| &operation.selection_set).collect();
    sets.extend(document.fragments.values().map(|fragment| &fragment.selection_set));
    while let Some(set) = sets.pop() {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    look(&set.ty, field);
                    sets.push(&field.selection_set);
                }
                Selection::InlineFragment(inline) => sets.push(&inline.selection_set),
                Selection::FragmentSpread(_) => {}
            }
        }
    }
}

#[test]
fn shopifys_own_schema_takes_every_document_and_none_uses_what_is_deprecated() {
    let Some(path) = std::env::var_os("ENTREPOT_SHOPIFY_SCHEMA") else {
        println!("skipped: ENTREPOT_SHOPIFY_SCHEMA does not name Shopify's schema (introspection result, .json.gz)");
        return;
    };
    let schema = shopifys(Path::new(&path));
    // The check itself sees what is deprecated.
    assert!(is_deprecated(&schema, "Customer", "email"));
    for (file, text) in documents() {
        let document = parse(&schema, &file, &text);
        visit(&document, &mut |parent, field| {
            let old = field.definition.directives.has("deprecated");
            assert!(!old, "{file}: {parent}.{} is deprecated", field.name);
            for argument in &field.arguments {
                let definition = field.definition.argument_by_name(&argument.name).unwrap();
                assert!(
                    !definition.directives.has("deprecated"),
                    "{file}: {}({}) is deprecated",
                    field.name,
                    argument.name
                );
                if let Literal::Enum(value) = argument.value.as_ref() {
                    let ExtendedType::Enum(ty) = &schema.types[definition.ty.inner_named_type()] else {
                        panic!("no enum")
                    };
                    assert!(!ty.values[value].directives.has("deprecated"), "{file}: {value} is deprecated");
                }
            }
        });
    }
    // What our own schema says of a field is what Shopify's says.
    for (name, ty) in &ours().types {
        let ExtendedType::Object(ty) = ty else { continue };
        for (field, definition) in &ty.fields {
            if !name.starts_with("__") {
                let theirs = schema.type_field(name, field).unwrap_or_else(|_| panic!("no {name}.{field}"));
                assert_eq!(definition.ty, theirs.ty, "{name}.{field}");
            }
        }
    }
}

fn is_deprecated(schema: &Schema, ty: &str, field: &str) -> bool {
    schema.type_field(ty, field).is_ok_and(|field| field.directives.has("deprecated"))
}

fn shopifys(path: &Path) -> Valid<Schema> {
    let mut json = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut json).unwrap();
    let introspection: Value = serde_json::from_str(&json).unwrap();
    let schema = introspection.pointer("/data/__schema").or(introspection.get("__schema")).unwrap();
    let text = sdl(schema);
    Schema::parse_and_validate(&text, "shopify.graphql").unwrap_or_else(|problems| panic!("{}", problems.errors))
}

/// An introspection result in the schema definition language, without descriptions.
fn sdl(schema: &Value) -> String {
    const BUILT_IN: [&str; 5] = ["String", "Int", "Float", "Boolean", "ID"];
    let root =
        |which: &str| schema[which]["name"].as_str().map(|name| format!(" {}: {name}", &which[..which.len() - 4]));
    let roots: String = ["queryType", "mutationType"].into_iter().filter_map(root).collect();
    let mut out = format!("schema {{{roots} }}\n");
    for ty in list(&schema["types"]) {
        let name = text(&ty["name"]);
        if name.starts_with("__") || BUILT_IN.contains(&name) {
            continue;
        }
        let fields = |of: &Value, with_arguments: bool| -> String {
            let line = |field: &Value| {
                let arguments: Vec<String> = list(&field["args"]).iter().map(input).collect();
                let arguments =
                    if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
                format!("  {}{arguments}: {}{}\n", text(&field["name"]), type_of(&field["type"]), deprecated(field))
            };
            list(of)
                .iter()
                .map(|field| if with_arguments { line(field) } else { format!("  {}\n", input(field)) })
                .collect()
        };
        let names = |of: &Value| list(of).iter().map(|ty| text(&ty["name"]).to_owned()).collect::<Vec<_>>();
        let interfaces = names(&ty["interfaces"]).join(" & ");
        let implements = if interfaces.is_empty() { String::new() } else { format!(" implements {interfaces}") };
        out += &match text(&ty["kind"]) {
            "SCALAR" => format!("scalar {name}\n"),
            "OBJECT" => format!("type {name}{implements} {{\n{}}}\n", fields(&ty["fields"], true)),
            "INTERFACE" => format!("interface {name}{implements} {{\n{}}}\n", fields(&ty["fields"], true)),
            "INPUT_OBJECT" => format!("input {name} {{\n{}}}\n", fields(&ty["inputFields"], false)),
            "UNION" => format!("union {name} = {}\n", names(&ty["possibleTypes"]).join(" | ")),
            "ENUM" => {
                let value = |value: &Value| format!("  {}{}\n", text(&value["name"]), deprecated(value));
                format!("enum {name} {{\n{}}}\n", list(&ty["enumValues"]).iter().map(value).collect::<String>())
            }
            kind => panic!("{kind}"),
        };
    }
    out
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn type_of(ty: &Value) -> String {
    match text(&ty["kind"]) {
        "NON_NULL" => type_of(&ty["ofType"]) + "!",
        "LIST" => format!("[{}]", type_of(&ty["ofType"])),
        _ => text(&ty["name"]).to_owned(),
    }
}

fn input(value: &Value) -> String {
    let default = value["defaultValue"].as_str().map(|default| format!(" = {default}")).unwrap_or_default();
    // A deprecated argument that must be given is no valid schema; only fields are looked at for that.
    let old = if default.is_empty() && text(&value["type"]["kind"]) == "NON_NULL" { "" } else { deprecated(value) };
    format!("{}: {}{default}{old}", text(&value["name"]), type_of(&value["type"]))
}

fn deprecated(value: &Value) -> &'static str {
    if value["isDeprecated"] == Value::Bool(true) { " @deprecated" } else { "" }
}

#[test]
fn the_fixtures_are_answers_to_the_documents() {
    let schema = ours();
    let documents = documents();
    for (file, body, variables) in fixtures::answers() {
        let document = parse(&schema, file, &documents[file]);
        let operation = document.operations.iter().next().unwrap();
        let checker = Checker { document: &document, variables: &variables };
        checker.object(file, &operation.selection_set, operation.object_type(), &body["data"]);
    }
}

/// Walks a document beside an answer.
struct Checker<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Value,
}

impl Checker<'_> {
    /// Every field that is asked for, by its path.
    fn names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let operation = self.document.operations.iter().next().unwrap();
        let mut sets = vec![(String::new(), operation.selection_set.clone())];
        while let Some((at, set)) = sets.pop() {
            let mut fields = Vec::new();
            self.fields(&set, "Order", &mut fields);
            self.fields(&set, "Customer", &mut fields);
            self.fields(&set, "Product", &mut fields);
            for (name, _, set) in fields {
                let path = format!("{at}.{name}");
                if names.insert(path.clone()) {
                    sets.push((path, set));
                }
            }
        }
        names
    }

    fn object(&self, at: &str, set: &SelectionSet, ty: &str, answer: &Value) {
        let answer = answer.as_object().unwrap_or_else(|| panic!("{at}: no object"));
        let mut expected = Vec::new();
        self.fields(set, ty, &mut expected);
        for key in answer.keys() {
            assert!(expected.iter().any(|(name, ..)| name == key), "{at}.{key} is not asked for");
        }
        for (name, field_type, set) in expected {
            let value = answer.get(&name).unwrap_or_else(|| panic!("{at}.{name} is asked for and missing"));
            self.value(&format!("{at}.{name}"), &set, &field_type, value);
        }
    }

    fn fields(&self, set: &SelectionSet, ty: &str, into: &mut Vec<(String, ast::Type, SelectionSet)>) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) if self.is_included(&field.directives) => {
                    let name = field.response_key().to_string();
                    match into.iter_mut().find(|(known, ..)| *known == name) {
                        Some((_, _, known)) => known.selections.extend(field.selection_set.selections.clone()),
                        None => into.push((name, field.ty().clone(), field.selection_set.clone())),
                    }
                }
                Selection::InlineFragment(inline)
                    if self.is_included(&inline.directives)
                        && inline.type_condition.as_ref().is_none_or(|condition| ty == condition.as_str()) =>
                {
                    self.fields(&inline.selection_set, ty, into);
                }
                Selection::FragmentSpread(spread) if self.is_included(&spread.directives) => {
                    self.fields(&self.document.fragments[&spread.fragment_name].selection_set, ty, into);
                }
                _ => {}
            }
        }
    }

    fn is_included(&self, directives: &ast::DirectiveList) -> bool {
        let Some(include) = directives.get("include") else { return true };
        match include.specified_argument_by_name("if").map(|value| value.as_ref()) {
            Some(Literal::Variable(name)) => self.variables[name.as_str()].as_bool().expect("a switch is given"),
            other => panic!("{other:?}"),
        }
    }

    fn value(&self, at: &str, set: &SelectionSet, ty: &ast::Type, value: &Value) {
        match ty {
            ast::Type::NonNullNamed(_) | ast::Type::NonNullList(_) => {
                assert!(!value.is_null(), "{at} is null and cannot be");
                self.value(at, set, &ty.clone().nullable(), value);
            }
            _ if value.is_null() => {}
            ast::Type::List(item) => {
                for (index, value) in value.as_array().unwrap_or_else(|| panic!("{at}: no list")).iter().enumerate() {
                    self.value(&format!("{at}[{index}]"), set, item, value);
                }
            }
            ast::Type::Named(name) if !set.selections.is_empty() => self.object(at, set, name, value),
            ast::Type::Named(name) => {
                let fits = match name.as_str() {
                    "Int" => value.is_i64(),
                    "Float" => value.is_number(),
                    "Boolean" => value.is_boolean(),
                    _ => value.is_string(),
                };
                assert!(fits, "{at} is no {name}: {value}");
            }
        }
    }
}
