//! What the shop sent, taken apart field by field. What is taken is carried by a unified field; what stays is
//! `platform_specific`. So nothing can be lost: a value is in one of the two.

use std::fmt;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, TimeZone, Utc};
use connector::{
    ProviderError,
    json::{Json, Object},
};
use kernel::{Personal, Time, personal::Wipe};
use rust_decimal::Decimal;
use serde_json::Value;

use super::entities;

/// One JSON object of an answer. Plugins add fields and change types: a value that is not of the expected type is left
/// where it is and the unified field stays empty. What is left at the end is wiped, since it may be about a person.
pub(super) struct Sent<'a>(Object<'a>);

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        self.0.wipe();
    }
}

impl<'a> Sent<'a> {
    /// # Errors
    /// [`ProviderError::Malformed`] when the value is no object; `path` says which one it was.
    pub(super) fn object(value: Json<'a>, path: fmt::Arguments<'_>) -> Result<Self, ProviderError> {
        match value {
            Json::Object(fields) => Ok(Self(fields)),
            _ => Err(ProviderError::Malformed { path: path.to_string() }),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0.get(name)
    }

    /// Drops a field that must not go further.
    pub(super) fn forget(&mut self, name: &str) {
        if let Some(mut value) = self.0.remove(name) {
            value.wipe();
        }
    }

    /// Drops every field that is not named.
    pub(super) fn keep_only(&mut self, names: &[&str]) {
        self.0.keep_only(names);
    }

    /// Takes a text; `""` and null are no text. A number is written out: plugins send numeric texts as numbers.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.0.take(name, |value| match value {
            Json::Null => Ok(None),
            Json::Text(text) if text.is_empty() => Ok(None),
            Json::Text(text) => Ok(Some(text.into_owned())),
            Json::Number(number) => Ok(Some(number.to_string())),
            other => Err(other),
        })?
    }

    pub(super) fn personal(&mut self, name: &str) -> Option<Personal<String>> {
        self.text(name).map(Personal::new)
    }

    /// Takes a name that WordPress keeps as markup, with its entities resolved (W11).
    pub(super) fn name(&mut self, name: &str) -> Option<String> {
        self.text(name).map(|text| entities::decode(&text))
    }

    /// Takes an id, a number or a text; `0` and `""` stand for none (W10).
    pub(super) fn id(&mut self, name: &str) -> Option<String> {
        self.0.take(name, |value| match id(&value) {
            Some(id) => taken(value, Some(id)),
            None if stands_for_none(&value) => taken(value, None),
            None => Err(value),
        })?
    }

    /// Reads an amount without taking it.
    pub(super) fn peek_amount(&self, name: &str) -> Option<Decimal> {
        decimal(self.0.get(name)?)
    }

    /// Takes an amount, as exact as the shop wrote it; `""` and null are none.
    pub(super) fn amount(&mut self, name: &str) -> Option<Decimal> {
        self.0.take(name, |value| match decimal(&value) {
            Some(amount) => taken(value, Some(amount)),
            None if value.is_null() || value.as_str() == Some("") => taken(value, None),
            None => Err(value),
        })?
    }

    pub(super) fn integer(&mut self, name: &str) -> Option<i64> {
        let whole = |value: &Json<'_>| i64::try_from(decimal(value).filter(Decimal::is_integer)?).ok();
        self.0.take(name, |value| match whole(&value) {
            Some(number) => taken(value, Some(number)),
            None if value.is_null() => taken(value, None),
            None => Err(value),
        })?
    }

    /// Takes a date in UTC, `date_created_gmt`. Shapes without it are read as local time, `date_created`, where the shop's
    /// offset is fixed; the local date itself is no unified field and is not taken.
    pub(super) fn time(&mut self, name: &str, offset: Option<FixedOffset>) -> Option<Time> {
        let read = self.0.take(name, |value| match value.as_str().and_then(|text| parse_time(text, None)) {
            Some(time) => taken(value, Some(time)),
            None if value.is_null() => taken(value, None),
            None => Err(value),
        });
        match read {
            Some(time) => time,
            None if self.0.get(name).is_some() => None,
            None => parse_time(self.0.get(name.strip_suffix("_gmt")?)?.as_str()?, Some(offset?)),
        }
    }

    /// Takes what `read` takes out of a nested object.
    pub(super) fn within<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let mut outcome = None;
        self.0.take(name, |value| {
            let Json::Object(fields) = value else { return Err(value) };
            let mut nested = Self(fields);
            let was_empty = nested.0.is_empty();
            outcome = Some(read(&mut nested));
            if nested.0.is_empty() && !was_empty { Ok(()) } else { Err(nested.into_json()) }
        });
        outcome
    }

    /// Takes what `read` takes out of each object of a list; what `read` refuses must be whole. The rests keep their places,
    /// and their `id` even where it was taken, so that they can be laid beside the unified entries. A list without any rest
    /// is dropped.
    pub(super) fn each<T>(&mut self, name: &str, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut outcome = None;
        self.0.take(name, |value| {
            let Json::List(items) = value else { return Err(value) };
            let mut entries = Vec::with_capacity(items.len());
            let mut nothing_left = true;
            let rests: Vec<Json<'a>> = items
                .into_iter()
                .map(|item| {
                    let Json::Object(fields) = item else {
                        nothing_left = false;
                        return item;
                    };
                    let mut nested = Self(fields);
                    let id = nested.get("id").cloned();
                    let entry = read(&mut nested);
                    if entry.is_none() || !nested.0.is_empty() {
                        nothing_left = false;
                        if let Some(id) = id {
                            nested.insert("id", id);
                        }
                    }
                    entries.extend(entry);
                    nested.into_json()
                })
                .collect();
            outcome = Some(entries);
            if nothing_left { Ok(()) } else { Err(Json::List(rests)) }
        });
        outcome
    }

    pub(super) fn insert(&mut self, name: &'static str, value: Json<'a>) {
        self.0.insert(name, value);
    }

    fn into_json(mut self) -> Json<'a> {
        Json::Object(std::mem::take(&mut self.0))
    }

    /// What no unified field carries.
    pub(super) fn into_value(self) -> Value {
        self.into_json().into_value()
    }
}

/// What was made of a value, which is wiped.
fn taken<'a, T>(mut value: Json<'a>, made: T) -> Result<T, Json<'a>> {
    value.wipe();
    Ok(made)
}

fn id(value: &Json<'_>) -> Option<String> {
    match value {
        Json::Number(number) => Some(number.to_string()).filter(|id| id != "0"),
        Json::Text(text) => Some(text.as_ref()).filter(|id| !id.is_empty() && *id != "0").map(str::to_owned),
        _ => None,
    }
}

fn stands_for_none(value: &Json<'_>) -> bool {
    match value {
        Json::Null => true,
        Json::Number(number) => number.as_u64() == Some(0),
        Json::Text(text) => text.is_empty() || text == "0",
        _ => false,
    }
}

/// Money and measures: texts, and in places numbers (`line_items[].price`). Nothing is rounded.
pub(in super::super) fn decimal(value: &Json<'_>) -> Option<Decimal> {
    let parse = |text: &str| Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok();
    match value {
        Json::Text(text) => parse(text),
        Json::Number(number) => match number.as_u64() {
            Some(whole) => Some(whole.into()),
            None => parse(&number.to_string()),
        },
        _ => None,
    }
}

/// WooCommerce's dates carry no zone: `2017-03-22T19:28:02` (W7). One with a zone is believed.
pub(in super::super) fn parse_time(text: &str, offset: Option<FixedOffset>) -> Option<Time> {
    let naive = whole_seconds(text).or_else(|| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok());
    match (naive, offset) {
        (Some(naive), Some(offset)) => offset.from_local_datetime(&naive).single().map(|time| time.with_timezone(&Utc)),
        (Some(naive), None) => Some(naive.and_utc()),
        (None, _) => DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc)),
    }
}

/// `2017-03-22T19:28:02`, the only form that WooCommerce itself writes: a page has a hundred of them, and a parser of all
/// forms takes its time.
fn whole_seconds(text: &str) -> Option<NaiveDateTime> {
    let bytes: &[u8; 19] = text.as_bytes().try_into().ok()?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', i0, i1, b':', s0, s1] = *bytes else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
    };
    let year = i32::try_from(number(&[y0, y1, y2, y3])?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(&[m0, m1])?, number(&[d0, d1])?)?;
    date.and_hms_opt(number(&[h0, h1])?, number(&[i0, i1])?, number(&[s0, s1])?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whole_seconds_are_read_as_chrono_reads_them(text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]") {
            let chronos = NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f").ok();
            match whole_seconds(&text) {
                Some(read) => prop_assert_eq!(Some(read), chronos),
                // The second 60 is left to chrono.
                None => prop_assert!(chronos.is_none() || text.ends_with(":60")),
            }
        }
    }
}
