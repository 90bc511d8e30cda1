//! What the OpenAPI document says of the lists and searches of each resource: [`ListParams`] with the filters that the
//! resource has.

use std::{borrow::Cow, collections::BTreeSet};

use connector::Filter;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        RefOr,
        path::{Parameter, ParameterIn},
        schema::Schema,
    },
};

use super::ask::{self, ListParams};
use crate::live::{
    LiveResource,
    resource::{Customers, Orders, Products},
};

macro_rules! parameters {
    ($($name:ident of $resource:ty, $description:literal;)+) => {$(
        #[doc = $description]
        pub(in crate::live) enum $name {}

        impl IntoParams for $name {
            fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                parameters::<$resource>(place)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                body::<$resource>($description)
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+};
}

parameters! {
    CustomerQuery of Customers, "Which customers. What a shop cannot filter by is refused with `filter_unsupported`.";
    OrderQuery of Orders, "Which orders. What a shop cannot filter by is refused with `filter_unsupported`.";
    ProductQuery of Products, "Which products. What a shop cannot filter by is refused with `filter_unsupported`.";
}

/// The filters that are not the resource's.
fn foreign<R: LiveResource>() -> BTreeSet<&'static str> {
    Filter::ALL.iter().filter(|filter| !R::FILTERS.contains(filter)).map(|filter| filter.as_str()).collect()
}

/// The filters that take one of some words.
fn closed<R: LiveResource>() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    R::FILTERS.iter().filter_map(|filter| Some((filter.as_str(), ask::closed_words(R::NAME, *filter)?)))
}

fn parameters<R: LiveResource>(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
    let foreign = foreign::<R>();
    let mut parameters = ListParams::into_params(place);
    parameters.retain(|parameter| !foreign.contains(parameter.name.as_str()));
    for (name, words) in closed::<R>() {
        for parameter in parameters.iter_mut().filter(|parameter| parameter.name == name) {
            parameter.schema = Some(kit::vocabulary::schema("", words.clone()));
        }
    }
    parameters
}

fn body<R: LiveResource>(description: &str) -> RefOr<Schema> {
    let mut schema = ListParams::schema();
    if let RefOr::T(Schema::Object(object)) = &mut schema {
        object.description = Some(description.to_owned());
        for name in foreign::<R>() {
            object.properties.remove(name);
        }
        for (name, words) in closed::<R>() {
            object.properties.insert(name.to_owned(), kit::vocabulary::schema("", words));
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_asked_by_its_own_filters_only() {
        let names = |parameters: Vec<Parameter>| -> BTreeSet<String> {
            parameters.into_iter().map(|parameter| parameter.name).collect()
        };
        let customers = names(CustomerQuery::into_params(|| None));
        assert!(customers.contains("store_id") && customers.contains("email") && customers.contains("limit"));
        assert!(!customers.contains("payment_status") && !customers.contains("sku"), "{customers:?}");
        let orders = names(OrderQuery::into_params(|| None));
        assert!(
            orders.contains("payment_status") && orders.contains("number") && !orders.contains("sku"),
            "{orders:?}"
        );
        let products = names(ProductQuery::into_params(|| None));
        assert!(products.contains("sku") && !products.contains("email"), "{products:?}");
    }

    #[test]
    fn the_query_and_the_body_of_a_resource_are_the_same() {
        fn compare<T: IntoParams + ToSchema>() {
            let RefOr::T(Schema::Object(body)) = T::schema() else { panic!("an object") };
            let parameters = T::into_params(|| None);
            let named: BTreeSet<&str> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
            assert_eq!(named, body.properties.keys().map(String::as_str).collect());
        }
        compare::<CustomerQuery>();
        compare::<OrderQuery>();
        compare::<ProductQuery>();
    }

    #[test]
    fn a_status_is_one_of_the_words_that_are_accepted() {
        let words = |parameters: Vec<Parameter>, name: &str| {
            let parameter = parameters.into_iter().find(|parameter| parameter.name == name).unwrap();
            serde_json::to_value(parameter.schema).unwrap()["enum"].as_array().map(Vec::len)
        };
        assert_eq!(words(OrderQuery::into_params(|| None), "status"), Some(7));
        assert_eq!(words(OrderQuery::into_params(|| None), "payment_status"), Some(8));
        assert_eq!(words(ProductQuery::into_params(|| None), "status"), Some(4));
    }
}
