//! What queries ask for, counted object by object, stays below what one query may ask for.

use apollo_compiler::{
    ExecutableDocument, Schema,
    ast::Value as Literal,
    executable::{Field, Selection, SelectionSet},
};
use connector::Selection as Wanted;
use serde_json::{Map, Value, json};

use crate::shopify::api::{Customers, Operation, Orders, Products, Resource};

/// Lists whose length no argument says: what they usually have.
fn usual_length(field: &Field) -> u64 {
    match field.name.as_str() {
        "selectedOptions" => 3,
        "customAttributes" | "taxLines" | "optionValues" => 1,
        _ => panic!("{} has no first", field.name),
    }
}

struct Counter<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Map<String, Value>,
}

impl Counter<'_> {
    fn set(&self, set: &SelectionSet) -> u64 {
        let cost = |selection: &Selection| match selection {
            Selection::Field(field) => self.field(field),
            Selection::InlineFragment(inline) => self.set(&inline.selection_set),
            Selection::FragmentSpread(spread) => {
                self.set(&self.document.fragments[&spread.fragment_name].selection_set)
            }
        };
        set.selections.iter().map(cost).sum()
    }

    fn field(&self, field: &Field) -> u64 {
        if field.selection_set.selections.is_empty() {
            return 0;
        }
        let inner = self.set(&field.selection_set);
        let first = field.specified_argument_by_name("first").map(|first| self.number(first));
        if field.name == "nodes" && field.specified_argument_by_name("ids").is_none() {
            return inner + 1;
        }
        if field.definition.ty.is_list() {
            let length = match field.name.as_str() {
                "nodes" => self.variables["ids"].as_array().unwrap().len() as u64,
                _ => first.unwrap_or_else(|| usual_length(field)),
            };
            return length * (1 + inner);
        }
        let Some(first) = first else { return 1 + inner };
        // A connection: itself and its pageInfo once, the nodes as often as there may be.
        let page_info = 1;
        let nodes = inner.saturating_sub(page_info);
        1 + page_info + first * nodes
    }

    fn number(&self, literal: &Literal) -> u64 {
        match literal {
            Literal::Int(number) => number.try_to_i32().unwrap() as u64,
            Literal::Variable(name) => self.variables[name.as_str()].as_u64().unwrap_or_else(|| panic!("{name}")),
            other => panic!("{other:?}"),
        }
    }
}

fn cost(operation: &Operation, variables: &Map<String, Value>) -> u64 {
    let schema = Schema::parse_and_validate(include_str!("schema.graphql"), "schema.graphql").unwrap();
    let document =
        ExecutableDocument::parse_and_validate(&schema, operation.resolved(variables), operation.name).unwrap();
    let counter = Counter { document: &document, variables };
    counter.set(&document.operations.iter().next().unwrap().selection_set)
}

/// What is asked for when nothing particular is.
fn wanted(is_one: bool) -> Wanted {
    if is_one { Wanted::everything() } else { Wanted::standard() }
}

fn variables<R: Resource>(is_one: bool, more: Value) -> Map<String, Value> {
    let mut variables = R::switches(&wanted(is_one), is_one);
    let children = if is_one { R::CHILDREN_FIRST_ONE } else { R::CHILDREN_FIRST.1 };
    variables.insert(R::CHILDREN_FIRST.0.to_owned(), children.into());
    variables.extend(more.as_object().unwrap().clone());
    variables
}

fn list<R: Resource>(first: u64) -> u64 {
    cost(&R::LIST, &variables::<R>(false, json!({"first": first, "count": true})))
}

#[test]
fn a_page_of_twenty_five_is_one_query() {
    assert_eq!(list::<Orders>(25), 978);
    assert_eq!(list::<Products>(25), 954);
    assert!(list::<Customers>(25) < 400);
}

#[test]
fn the_estimate_of_a_record_is_what_its_objects_cost() {
    fn check<R: Resource>() {
        let points = R::points(&R::switches(&Wanted::standard(), false));
        let estimate = points.record + points.child * R::CHILDREN_FIRST.1;
        assert_eq!(u64::from(estimate), list::<R>(2) - list::<R>(1), "{}", R::KIND);
    }
    check::<Orders>();
    check::<Products>();
    check::<Customers>();
}

#[test]
fn one_record_with_everything_is_one_query() {
    fn check<R: Resource>() {
        let points = cost(&R::ONE, &variables::<R>(true, json!({})));
        assert!(points <= 1000, "{} is {points}", R::KIND);
    }
    check::<Orders>();
    check::<Products>();
    check::<Customers>();
}

#[test]
fn children_are_asked_for_by_as_many_as_fit() {
    fn check<R: Resource>() {
        for is_one in [false, true] {
            let child = R::points(&R::switches(&wanted(is_one), is_one)).child;
            let first = (990 / child).min(250);
            let one = cost(&R::CHILDREN_OF_ONE, &variables::<R>(is_one, json!({"first": first})));
            assert!(one <= 1000, "{first} of one {} are {one}", R::KIND);
        }
        let child = R::points(&R::switches(&Wanted::standard(), false)).child;
        let ids = vec!["id"; (990 / (3 + 25 * child)) as usize];
        let many = cost(&R::CHILDREN_OF_MANY, &variables::<R>(false, json!({"first": 25, "ids": ids})));
        assert!(many <= 1000, "25 of {} {} are {many}", ids.len(), R::KIND);
    }
    check::<Orders>();
    check::<Products>();
    check::<Customers>();
}
