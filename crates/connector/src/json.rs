//! JSON that borrows from the text it was read from.
//!
//! A page of records has thousands of names and values of which few are kept. `serde_json::Value` copies each into an
//! allocation of its own; here a text without escapes stays where it is, in the answer's body.

use std::{borrow::Cow, collections::HashSet, fmt};

use kernel::personal::Wipe;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value};

/// A JSON value.
#[derive(Clone, PartialEq)]
pub enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Object<'a>),
}

/// The members of a JSON object, in no order that means anything. Of a name that came twice the last value is kept, as by
/// `serde_json`.
#[derive(Clone, Default, PartialEq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Json<'a> {
    /// A member of an object; None where this is none or has no such member.
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        match self {
            Self::Object(object) => object.get(name),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// A whole number that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Json<'a>]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The same, free of the text it was read from.
    pub fn into_owned(self) -> Json<'static> {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(value),
            Self::Number(number) => Json::Number(number),
            Self::Text(text) => Json::Text(Cow::Owned(text.into_owned())),
            Self::List(items) => Json::List(items.into_iter().map(Json::into_owned).collect()),
            Self::Object(object) => {
                let owned =
                    |(name, value): (Cow<'_, str>, Json<'_>)| (Cow::Owned(name.into_owned()), value.into_owned());
                Json::Object(Object(object.0.into_iter().map(owned).collect()))
            }
        }
    }

    pub fn into_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Number(number) => Value::Number(number),
            Self::Text(text) => Value::String(text.into_owned()),
            Self::List(items) => Value::Array(items.into_iter().map(Json::into_value).collect()),
            Self::Object(object) => Value::Object(
                object.0.into_iter().map(|(name, value)| (name.into_owned(), value.into_value())).collect(),
            ),
        }
    }
}

impl From<Value> for Json<'static> {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(Cow::Owned(text)),
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(fields) => {
                Self::Object(Object(fields.into_iter().map(|(name, value)| (Cow::Owned(name), value.into())).collect()))
            }
        }
    }
}

/// Wipes what is its own. What is borrowed is wiped with the body ([`crate::http::Response::wipe`]).
impl Wipe for Json<'_> {
    fn wipe(&mut self) {
        match self {
            Self::Text(Cow::Owned(text)) => text.wipe(),
            Self::List(items) => items.iter_mut().for_each(Wipe::wipe),
            Self::Object(object) => object.wipe(),
            Self::Text(Cow::Borrowed(_)) | Self::Null | Self::Bool(_) | Self::Number(_) => {}
        }
    }
}

impl Wipe for Object<'_> {
    fn wipe(&mut self) {
        self.0.iter_mut().for_each(|(_, value)| value.wipe());
    }
}

impl<'a> Object<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Json<'a>> {
        self.0.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub fn remove(&mut self, name: &str) -> Option<Json<'a>> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Takes a member out if `take` makes something of it; given back, it stays.
    pub fn take<T>(&mut self, name: &str, take: impl FnOnce(Json<'a>) -> Result<T, Json<'a>>) -> Option<T> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        let (name, value) = self.0.swap_remove(at);
        match take(value) {
            Ok(taken) => Some(taken),
            Err(value) => {
                self.0.push((name, value));
                None
            }
        }
    }

    /// Sets a member, which may be there.
    pub fn insert(&mut self, name: &'a str, value: Json<'a>) {
        match self.get_mut(name) {
            Some(known) => *known = value,
            None => self.0.push((Cow::Borrowed(name), value)),
        }
    }

    /// Takes out what is not named.
    pub fn keep_only(&mut self, names: &[&str]) {
        self.0.retain_mut(|(name, value)| {
            let is_kept = names.contains(&name.as_ref());
            if !is_kept {
                value.wipe();
            }
            is_kept
        });
    }

    /// Keeps the last of each name. Few objects have more members than are quickly compared, and one that has very many
    /// must not cost their square.
    fn unique(mut members: Vec<(Cow<'a, str>, Json<'a>)>) -> Self {
        const FEW: usize = 64;
        let is_repeated = if members.len() <= FEW {
            let later = |at: usize| &members[at + 1..];
            (0..members.len()).any(|at| later(at).iter().any(|(name, _)| *name == members[at].0))
        } else {
            let mut seen = HashSet::with_capacity(members.len());
            !members.iter().all(|(name, _)| seen.insert(name.as_ref()))
        };
        if is_repeated {
            let mut seen = HashSet::new();
            members.reverse();
            members.retain(|(name, _)| seen.insert(name.clone()));
        }
        Self(members)
    }
}

/// Makes something of each entry of a list before the next is read, so that a page takes no more memory than its largest
/// record, which stays in the processor's cache. The inner error is the one that `make` ended with.
///
/// # Errors
/// When the text is no list of JSON.
pub fn entries<'a, T, E>(
    text: &'a str,
    make: impl FnMut(Json<'a>) -> Result<T, E>,
) -> serde_json::Result<Result<Vec<T>, E>> {
    let mut refused = None;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Entries { make, refused: &mut refused }.deserialize(&mut deserializer);
    match refused {
        Some(error) => Ok(Err(error)),
        None => {
            let made = read?;
            deserializer.end()?;
            Ok(Ok(made))
        }
    }
}

struct Entries<'r, F, E> {
    make: F,
    refused: &'r mut Option<E>,
}

impl<'de, T, E, F: FnMut(Json<'de>) -> Result<T, E>> DeserializeSeed<'de> for Entries<'_, F, E> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T, E, F: FnMut(Json<'de>) -> Result<T, E>> Visitor<'de> for Entries<'_, F, E> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<S: SeqAccess<'de>>(mut self, mut sequence: S) -> Result<Vec<T>, S::Error> {
        let mut made = vec![];
        while let Some(entry) = sequence.next_element()? {
            match (self.make)(entry) {
                Ok(entry) => made.push(entry),
                Err(error) => {
                    *self.refused = Some(error);
                    return Err(S::Error::custom("refused"));
                }
            }
        }
        Ok(made)
    }
}

/// A text that is borrowed where it can be; serde's own `Cow` never is.
struct Text<'a>(Cow<'a, str>);

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Owned(text)))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut sequence: S) -> Result<Self::Value, S::Error> {
        let mut items = vec![];
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        // Most objects of an answer have between ten and twenty members.
        let mut members = Vec::with_capacity(16);
        while let Some((Text(name), value)) = map.next_entry()? {
            members.push((name, value));
        }
        Ok(Json::Object(Object::unique(members)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(".{0,6}", inner, 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_serde_json_reads_it(value in values()) {
            let text = value.to_string();
            let expected: Value = serde_json::from_str(&text).unwrap();
            let read: Json<'_> = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read.clone().into_owned().into_value(), expected.clone());
            prop_assert_eq!(Json::from(expected.clone()).into_value(), expected);
        }
    }

    #[test]
    fn the_last_of_a_repeated_name_is_kept_in_small_objects_and_in_large_ones() {
        for fillers in [0, 200] {
            let fill: String = (0..fillers).map(|n| format!("\"f{n}\":0,")).collect();
            let text = format!("{{\"a\":1,{fill}\"a\":2,\"b\":3}}");
            let read: Json<'_> = serde_json::from_str(&text).unwrap();
            assert_eq!(read.get("a").and_then(Json::as_u64), Some(2));
            assert_eq!(read.into_value(), serde_json::from_str::<Value>(&text).unwrap());
        }
    }

    #[test]
    fn an_object_of_very_many_members_is_read_quickly() {
        let members: String = (0..200_000).map(|n| format!("\"member{n}\":0,")).collect();
        let text = format!("{{{members}\"last\":1}}");
        let started = std::time::Instant::now();
        let read: Json<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(read.get("last").and_then(Json::as_u64), Some(1));
        assert!(started.elapsed().as_secs() < 20, "its square would take minutes");
    }

    #[test]
    fn entries_are_made_one_by_one_and_the_first_refusal_ends_them() {
        let number = |entry: Json<'_>| entry.as_u64().ok_or("no number");
        assert_eq!(entries("[1, 2, 3]", number).unwrap(), Ok(vec![1, 2, 3]));
        assert_eq!(entries("[]", number).unwrap(), Ok(vec![]));
        assert_eq!(entries("[1, \"a\", 3 oops", number).unwrap(), Err("no number"));
        for no_list in ["{}", "[1, 2", "[1] 2", "", "null"] {
            assert!(entries(no_list, number).is_err(), "{no_list}");
        }
    }

    #[test]
    fn texts_without_escapes_are_borrowed_and_others_are_not() {
        let read: Json<'_> = serde_json::from_str(r#"["plain", "caf\u00e9"]"#).unwrap();
        let Json::List(items) = read else { panic!("a list") };
        assert!(matches!(&items[0], Json::Text(Cow::Borrowed("plain"))));
        assert!(matches!(&items[1], Json::Text(Cow::Owned(text)) if text == "café"));
    }

    #[test]
    fn what_is_its_own_can_be_wiped() {
        let mut owned = Json::from(json!({ "a": ["secret", { "b": "secret" }] }));
        owned.wipe();
        assert_eq!(owned.into_value(), json!({ "a": ["", { "b": "" }] }));
    }

    #[test]
    fn what_is_not_made_something_of_stays() {
        let Json::Object(mut object) = Json::from(json!({ "a": 1, "b": 2 })) else { panic!("an object") };
        assert_eq!(object.take("a", |value| value.as_u64().ok_or(value)), Some(1));
        assert_eq!(object.take("b", |value| -> Result<(), _> { Err(value) }), None);
        assert!(object.take("c", Ok).is_none());
        assert_eq!(Json::Object(object).into_value(), json!({ "b": 2 }));
    }

    #[test]
    fn members_are_taken_set_and_kept_by_name() {
        let mut object = match Json::from(json!({ "a": 1, "b": 2, "c": 3 })) {
            Json::Object(object) => object,
            _ => panic!("an object"),
        };
        assert_eq!(object.remove("a").and_then(|value| value.as_u64()), Some(1));
        assert!(object.remove("a").is_none());
        object.insert("b", Json::Null);
        object.insert("d", Json::Bool(true));
        object.keep_only(&["b", "d"]);
        assert_eq!(Json::Object(object).into_value(), json!({ "b": null, "d": true }));
    }
}
