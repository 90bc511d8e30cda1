//! Closed sets of words in the OpenAPI document, each with a name: clients get a type for them instead of a text.

use utoipa::openapi::{
    ObjectBuilder, RefOr,
    schema::{Schema, Type},
};

/// Names a set of words for `#[schema(value_type = …)]`. It describes; what it describes has a type of its own, which the
/// words are taken from.
///
/// ```
/// kit::vocabulary! {
///     /// How loud an event is.
///     pub Loudness = ["quiet", "loud"];
/// }
/// ```
#[macro_export]
macro_rules! vocabulary {
    ($($(#[doc = $doc:literal])+ $visibility:vis $name:ident = $words:expr;)+) => {$(
        $(#[doc = $doc])+
        $visibility enum $name {}

        impl ::utoipa::PartialSchema for $name {
            fn schema() -> ::utoipa::openapi::RefOr<::utoipa::openapi::schema::Schema> {
                $crate::vocabulary::schema(concat!($($doc),+), $words)
            }
        }

        impl ::utoipa::ToSchema for $name {
            fn name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+};
}

/// A text that is one of these.
pub fn schema(description: &str, words: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    let description = Some(description.trim()).filter(|text| !text.is_empty());
    ObjectBuilder::new().schema_type(Type::String).description(description).enum_values(Some(words)).into()
}
