//! One condition, and the ways that fields of different kinds answer it.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use std::cmp::Ordering;

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shopify) enum Op {
    Equal,
    More,
    AtLeast,
    Less,
    AtMost,
}

impl Op {
    #[cfg(test)]
    pub(super) fn sign(self) -> &'static str {
        match self {
            Op::Equal => "=",
            Op::More => ">",
            Op::AtLeast => ">=",
            Op::Less => "<",
            Op::AtMost => "<=",
        }
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Op::Equal => ordering.is_eq(),
            Op::More => ordering.is_gt(),
            Op::AtLeast => ordering.is_ge(),
            Op::Less => ordering.is_lt(),
            Op::AtMost => ordering.is_le(),
        }
    }
}

/// A value of a term, read in every way it can be read.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::shopify) struct Value {
    /// As written, without quotes.
    pub(super) text: String,
    lower: String,
    quoted: bool,
    /// The first and the last moment it means: a date alone means the whole day in UTC.
    time: Option<(DateTime<Utc>, DateTime<Utc>)>,
    number: Option<Decimal>,
    /// Both ends of `a..b`.
    range: Option<Box<(Value, Value)>>,
}

impl Value {
    pub(super) fn new(text: &str, quoted: bool) -> Value {
        let range = text.split_once("..").filter(|_| !quoted);
        let range = range.map(|(from, to)| Box::new((Value::new(from, true), Value::new(to, true))));
        let number = text.parse().ok();
        Value { text: text.to_owned(), lower: text.to_lowercase(), quoted, time: moment(text), number, range }
    }
}

/// `2026-11-20`, `2026-11-20T10:00:00Z`, with an offset, or without (then UTC).
fn moment(text: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        let start = day.and_hms_opt(0, 0, 0)?.and_utc();
        return Some((start, start + TimeDelta::days(1) - TimeDelta::microseconds(1)));
    }
    let exact = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let time = exact.or_else(|_| text.parse::<NaiveDateTime>().map(|time| time.and_utc())).ok()?;
    Some((time, time))
}

/// `field:value` or a piece of free text.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::shopify) struct Term {
    /// In lower case; `None`: free text.
    pub(in crate::shopify) field: Option<String>,
    pub(super) op: Op,
    /// Any of them will do; at least one.
    pub(super) values: Vec<Value>,
}

impl Term {
    /// A moment in time, to the second.
    pub(in crate::shopify) fn time(&self, time: impl Into<Option<DateTime<Utc>>>) -> bool {
        let Some(time) = time.into() else { return false };
        self.any(|value| match value {
            Part::Whole(op, value) => value.time.is_some_and(|(first, last)| between(op, time, first, last)),
            Part::Range(from, to) => {
                from.time.is_none_or(|(first, _)| time >= first) && to.time.is_none_or(|(_, last)| time <= last)
            }
        })
    }

    /// A moment of which only the day counts: `>=` an hour of a day matches that whole day.
    pub(in crate::shopify) fn day(&self, time: DateTime<Utc>) -> bool {
        let day = time.date_naive();
        self.any(|value| match value {
            Part::Whole(op, value) => value.time.is_some_and(|(first, _)| op.holds(day.cmp(&first.date_naive()))),
            Part::Range(from, to) => {
                from.time.is_none_or(|(first, _)| day >= first.date_naive())
                    && to.time.is_none_or(|(_, last)| day <= last.date_naive())
            }
        })
    }

    /// An amount or a count.
    pub(in crate::shopify) fn number(&self, number: impl Into<Decimal>) -> bool {
        let number = number.into();
        self.any(|value| match value {
            Part::Whole(op, value) => value.number.is_some_and(|bound| op.holds(number.cmp(&bound))),
            Part::Range(from, to) => {
                from.number.is_none_or(|bound| number >= bound) && to.number.is_none_or(|bound| number <= bound)
            }
        })
    }

    /// A word out of a fixed list, any letter case.
    pub(in crate::shopify) fn keyword(&self, word: &str) -> bool {
        self.values.iter().any(|value| value.lower == "*" || value.lower.eq_ignore_ascii_case(word))
    }

    /// `true` or `false`.
    pub(in crate::shopify) fn flag(&self, flag: bool) -> bool {
        self.keyword(if flag { "true" } else { "false" })
    }

    /// A text that is indexed as a whole, any letter case; `abc*` matches beginnings.
    pub(in crate::shopify) fn whole<'a>(&self, text: impl Into<Option<&'a str>>) -> bool {
        let Some(text) = text.into() else { return false };
        let text = text.to_lowercase();
        self.values.iter().any(|value| match value.lower.strip_suffix('*') {
            Some(start) => text.starts_with(start),
            None => text == value.lower,
        })
    }

    /// A text that is indexed word by word. In quotes the words must stand together and in order; otherwise all of them
    /// must occur somewhere.
    pub(in crate::shopify) fn words<'a>(&self, text: impl Into<Option<&'a str>>) -> bool {
        let Some(text) = text.into() else { return false };
        let text = text.to_lowercase();
        let words: Vec<&str> = split(&text).collect();
        self.values.iter().any(|value| {
            let (start, prefix) = match value.lower.strip_suffix('*') {
                Some(start) => (start, true),
                None => (value.lower.as_str(), false),
            };
            let wanted: Vec<&str> = split(start).collect();
            if value.quoted {
                return !wanted.is_empty() && words.windows(wanted.len()).any(|run| run == wanted);
            }
            let last = wanted.len().saturating_sub(1);
            wanted.iter().enumerate().all(|(at, wanted)| {
                words.iter().any(|word| word == wanted || (prefix && at == last && word.starts_with(wanted)))
            })
        })
    }

    /// An email address: word by word like any text, exact in quotes.
    pub(in crate::shopify) fn email<'a>(&self, address: impl Into<Option<&'a str>>) -> bool {
        let Some(address) = address.into() else { return false };
        let exact = self.values.iter().any(|value| value.quoted && value.lower == address.to_lowercase());
        exact || (self.values.iter().all(|value| !value.quoted) && self.words(address))
    }

    /// The values as written.
    pub(super) fn id_text(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|value| value.text.as_str())
    }

    fn any(&self, holds: impl Fn(Part<'_>) -> bool) -> bool {
        self.values.iter().any(|value| match &value.range {
            Some(ends) => holds(Part::Range(&ends.0, &ends.1)),
            None => holds(Part::Whole(self.op, value)),
        })
    }
}

enum Part<'a> {
    Whole(Op, &'a Value),
    Range(&'a Value, &'a Value),
}

fn between(op: Op, time: DateTime<Utc>, first: DateTime<Utc>, last: DateTime<Utc>) -> bool {
    match op {
        Op::Equal => first <= time && time <= last,
        Op::More => time > last,
        Op::AtLeast => time >= first,
        Op::Less => time < first,
        Op::AtMost => time <= last,
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::Filter;
    use super::super::parse::parse;
    use super::Term;
    use chrono::{DateTime, Utc};
    use rust_decimal::Decimal;

    fn term(text: &str) -> Term {
        match parse(text) {
            Filter::Term(term) => term,
            other => panic!("{text} is {other:?}"),
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn times_compare_to_the_second_and_dates_mean_the_whole_day() {
        let noon = at("2026-11-20T12:00:00Z");
        assert!(term("t:>='2026-11-20T12:00:00Z'").time(noon));
        assert!(!term("t:>'2026-11-20T12:00:00Z'").time(noon));
        assert!(term("t:<'2026-11-20T13:00:01+01:00'").time(noon));
        assert!(term("t:2026-11-20").time(noon) && term("t:<=2026-11-20").time(noon));
        assert!(!term("t:>2026-11-20").time(noon) && !term("t:2026-11-19").time(noon));
        assert!(term("t:2026-11-19..2026-11-20").time(noon) && !term("t:2026-11-18..2026-11-19").time(noon));
        assert!(!term("t:yesterday").time(noon) && !term("t:2026-11-20").time(None));
    }

    #[test]
    fn a_field_of_days_ignores_the_hour() {
        let morning = at("2026-11-20T01:00:00Z");
        assert!(term("t:>='2026-11-20T23:00:00Z'").day(morning));
        assert!(!term("t:>='2026-11-21T00:00:00Z'").day(morning));
    }

    #[test]
    fn numbers_compare_by_value() {
        assert!(term("n:10.0").number(Decimal::TEN) && term("n:>9").number(Decimal::TEN));
        assert!(term("n:5..10").number(Decimal::TEN) && !term("n:<10").number(Decimal::TEN));
    }

    #[test]
    fn words_are_found_anywhere_unless_quoted() {
        let text = "Wool T-shirt, blue";
        assert!(term("x:blue").words(text) && term("x:shirt").words(text) && term("x:\"t-shirt blue\"").words(text));
        assert!(term("x:shi*").words(text) && !term("x:shi").words(text) && !term("x:\"blue shirt\"").words(text));
    }

    #[test]
    fn an_email_is_taken_apart_unless_quoted() {
        let term = |text| term(text);
        assert!(term("email:example.com").email("bo.wang@example.com"), "every word occurs");
        assert!(term("email:bo.wang@example.com").email("wang.bo@example.com"), "also of someone else");
        assert!(!term("email:\"bo.wang@example.com\"").email("wang.bo@example.com"));
        assert!(term("email:\"Bo.Wang@example.com\"").email("bo.wang@example.com"));
    }
}
