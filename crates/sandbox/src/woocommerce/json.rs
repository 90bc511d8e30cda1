//! JSON as PHP's `json_encode` writes it, straight from borrowed data, with WordPress' `_fields` applied while writing.
//!
//! PHP escapes `/` and everything outside ASCII, writes whole floats without a point, and an object without fields as `[]`.

use rust_decimal::Decimal;
use std::io::Write as _;

/// Which fields of an object are wanted: `_fields`, with dots for nesting.
#[derive(Debug, Default, Clone)]
pub(super) struct Fields(Vec<(String, Option<Fields>)>);

impl Fields {
    /// Parses a comma or space separated list; `None` if it names nothing, which means everything.
    pub(super) fn parse(list: &str) -> Option<Fields> {
        let mut root = Fields::default();
        for name in list.split(|c: char| c == ',' || c.is_whitespace()).filter(|name| !name.is_empty()) {
            root.add(name);
        }
        (!root.0.is_empty()).then_some(root)
    }

    fn add(&mut self, name: &str) {
        let (first, rest) = match name.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (name, None),
        };
        let at = match self.0.iter().position(|(known, _)| known == first) {
            Some(at) => at,
            None => {
                self.0.push((first.to_owned(), rest.map(|_| Fields::default())));
                self.0.len() - 1
            }
        };
        match (&mut self.0[at].1, rest) {
            // Named before as a whole: its parts add nothing.
            (None, _) => {}
            (whole, None) => *whole = None,
            (Some(fields), Some(rest)) => fields.add(rest),
        }
    }

    fn get(&self, name: &str) -> Option<Select<'_>> {
        let (_, nested) = self.0.iter().find(|(known, _)| known == name)?;
        Some(nested.as_ref())
    }
}

/// The fields wanted; `None`: all.
pub(super) type Select<'s> = Option<&'s Fields>;

/// Something that is written as one JSON value.
pub(super) trait Scalar {
    fn write(&self, out: &mut Vec<u8>);
}

impl Scalar for str {
    fn write(&self, out: &mut Vec<u8>) {
        write_string(self, out);
    }
}

impl Scalar for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_string(self, out);
    }
}

impl<T: Scalar + ?Sized> Scalar for &T {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
}

impl<T: Scalar> Scalar for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

impl Scalar for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

macro_rules! display {
    ($($type:ty),*) => {$(
        impl Scalar for $type {
            fn write(&self, out: &mut Vec<u8>) {
                display(self, out);
            }
        }
    )*};
}
// `Display` of a float is the shortest that reads back the same, without exponent: what PHP writes here.
display!(u64, u32, i64, i32, usize, f64);

fn display(value: &impl std::fmt::Display, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _infallible = write!(out, "{value}");
}

/// An amount as a string with so many decimals.
pub(super) struct Money(pub(super) Decimal, pub(super) u32);

impl Scalar for Money {
    fn write(&self, out: &mut Vec<u8>) {
        let mut amount = self.0;
        if amount.scale() > self.1 {
            amount = amount.round_dp_with_strategy(self.1, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
        }
        amount.rescale(self.1);
        let (digits, scale) = (amount.mantissa(), 10u128.pow(self.1));
        out.push(b'"');
        if digits < 0 {
            out.push(b'-');
        }
        display(&(digits.unsigned_abs() / scale), out);
        if self.1 > 0 {
            out.push(b'.');
            push_digits((digits.unsigned_abs() % scale) as u64, self.1 as usize, out);
        }
        out.push(b'"');
    }
}

/// Writes a number with zeros before it up to a width.
pub(super) fn push_digits(mut number: u64, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + width, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// JSON that is ready.
pub(super) struct Raw(pub(super) &'static str);

impl Scalar for Raw {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

/// A list of scalars.
pub(super) struct List<I>(pub(super) I);

impl<T: Scalar, I: Iterator<Item = T> + Clone> Scalar for List<I> {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, item) in self.0.clone().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            item.write(out);
        }
        out.push(b']');
    }
}

/// An object being written.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    select: Select<'o>,
    start: usize,
}

/// Writes an object with the fields that `select` wants.
pub(super) fn object(out: &mut Vec<u8>, select: Select<'_>, fill: impl FnOnce(&mut Object<'_>)) {
    let start = out.len();
    out.push(b'{');
    let mut object = Object { out, select, start };
    fill(&mut object);
    let out = object.out;
    if out.len() == start + 1 {
        out[start] = b'[';
        out.push(b']');
    } else {
        out.push(b'}');
    }
}

impl Object<'_> {
    /// Writes the name and says what is wanted of the value; `None` if nothing is.
    fn key(&mut self, name: &str) -> Option<Select<'_>> {
        let nested = match self.select {
            None => None,
            Some(fields) => fields.get(name)?,
        };
        if self.out.len() > self.start + 1 {
            self.out.push(b',');
        }
        write_string(name, self.out);
        self.out.push(b':');
        Some(nested)
    }

    /// A field.
    pub(super) fn put(&mut self, name: &str, value: impl Scalar) {
        if self.key(name).is_some() {
            value.write(self.out);
        }
    }

    /// A field that costs something to compute.
    pub(super) fn put_with<T: Scalar>(&mut self, name: &str, value: impl FnOnce() -> T) {
        if self.key(name).is_some() {
            value().write(self.out);
        }
    }

    /// A nested object.
    pub(super) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        let select = match self.select {
            None => None,
            Some(fields) => match fields.get(name) {
                Some(nested) => nested,
                None => return,
            },
        };
        if self.key(name).is_some() {
            object(self.out, select, fill);
        }
    }

    /// A list of objects. WordPress compares the keys of a nested selection with the list's indexes, so that
    /// `_fields=line_items.id` gives an empty list (`_rest_array_intersect_key_recursive`).
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        fill: impl Fn(T, &mut Object<'_>),
    ) {
        let Some(nested) = self.key(name).map(|nested| nested.is_some()) else { return };
        self.out.push(b'[');
        if !nested {
            for (index, item) in items.into_iter().enumerate() {
                if index > 0 {
                    self.out.push(b',');
                }
                object(self.out, None, |object| fill(item, object));
            }
        }
        self.out.push(b']');
    }

    /// `_links` with one address per relation. On single objects WordPress adds them after `_fields` was applied.
    pub(super) fn links(&mut self, single: bool, links: &[(&str, String)], hints: bool) {
        let select = if single { self.select.take() } else { None };
        if self.key("_links").is_some() {
            object(self.out, None, |all| {
                for (relation, href) in links {
                    all.list(relation, [href], |href, link| {
                        if *relation == "email_templates" {
                            link.put("embeddable", true);
                        }
                        link.put("href", href);
                        if hints && *relation == "self" {
                            link.object("targetHints", |hint| {
                                hint.put("allow", List(["GET", "POST", "PUT", "PATCH", "DELETE"].iter()));
                            });
                        }
                    });
                }
            });
        }
        if single {
            self.select = select;
        }
    }
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    // Most text needs nothing.
    let special = |byte: &u8| !(b' '..=b'~').contains(byte) || matches!(byte, b'"' | b'\\' | b'/');
    if !text.as_bytes().iter().any(special) {
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    let mut plain = 0;
    for (at, letter) in text.char_indices() {
        if letter.is_ascii() && !special(&(letter as u8)) {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[plain..at]);
        plain = at + letter.len_utf8();
        match letter {
            '"' | '\\' | '/' => out.extend_from_slice(&[b'\\', letter as u8]),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            _ => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    let _infallible = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.extend_from_slice(&text.as_bytes()[plain..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::{Fields, Money, Object, Select, object};
    use rust_decimal::Decimal;

    fn write(select: Select<'_>, fill: impl FnOnce(&mut Object<'_>)) -> String {
        let mut out = vec![];
        object(&mut out, select, fill);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_escaped_as_php_escapes_it() {
        let json = write(None, |o| o.put("a/b", "ő \"x\"\\\n😀\u{1}"));
        assert_eq!(json, r#"{"a\/b":"\u0151 \"x\"\\\n\ud83d\ude00\u0001"}"#);
    }

    #[test]
    fn whole_floats_have_no_point_and_others_are_not_rounded() {
        assert_eq!(write(None, |o| o.put("p", 17_000_000_f64)), r#"{"p":17000000}"#);
        assert_eq!(write(None, |o| o.put("p", 29.99 / 3.0)), r#"{"p":9.996666666666666}"#);
    }

    #[test]
    fn amounts_have_the_decimals_asked_for() {
        assert_eq!(write(None, |o| o.put("m", Money(Decimal::new(12345, 3), 2))), r#"{"m":"12.35"}"#);
        assert_eq!(write(None, |o| o.put("m", Money(Decimal::new(5, 0), 3))), r#"{"m":"5.000"}"#);
        assert_eq!(write(None, |o| o.put("m", Money(Decimal::new(-1005, 2), 2))), r#"{"m":"-10.05"}"#);
        assert_eq!(write(None, |o| o.put("m", Money(Decimal::new(-4, 1), 0))), r#"{"m":"0"}"#);
    }

    #[test]
    fn only_the_fields_asked_for_are_written() {
        let fields = Fields::parse("id, billing.email,lines.id,gone").unwrap();
        let json = write(Some(&fields), |o| {
            o.put("id", 1u64);
            o.put("total", "9");
            o.object("billing", |b| {
                b.put("email", "a@b");
                b.put("phone", "1");
            });
            o.list("lines", [1u64], |id, line| line.put("id", id));
        });
        assert_eq!(json, r#"{"id":1,"billing":{"email":"a@b"},"lines":[]}"#);
    }

    #[test]
    fn an_object_without_fields_is_an_empty_list_as_in_php() {
        let fields = Fields::parse("nothing").unwrap();
        assert_eq!(write(Some(&fields), |o| o.put("id", 1u64)), "[]");
    }

    #[test]
    fn a_field_named_whole_and_in_part_is_whole() {
        for list in ["a.b,a", "a,a.b"] {
            let fields = Fields::parse(list).unwrap();
            let json = write(Some(&fields), |o| {
                o.object("a", |a| {
                    a.put("b", 1u64);
                    a.put("c", 2u64);
                });
            });
            assert_eq!(json, r#"{"a":{"b":1,"c":2}}"#, "{list}");
        }
    }
}
