//! As much of CBOR (RFC 8949) as authenticators write: CTAP2's canonical form, with definite lengths and no floats or tags.

/// Deeper than CTAP2 allows (four) nothing is read.
const DEPTH_MAX: u8 = 4;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Integer(i64),
    Bytes(&'a [u8]),
    Text(&'a str),
    Array(Vec<Value<'a>>),
    Map(Vec<(Value<'a>, Value<'a>)>),
    /// `false`, `true`, `null`.
    Simple(u8),
}

impl<'a> Value<'a> {
    pub(super) fn bytes(&self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    pub(super) fn integer(&self) -> Option<i64> {
        if let Self::Integer(integer) = self { Some(*integer) } else { None }
    }

    /// What a map has under a key.
    pub(super) fn at(&self, key: &Value<'_>) -> Option<&Value<'a>> {
        let Self::Map(pairs) = self else { return None };
        pairs.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }
}

/// The value at the beginning, and what stands behind it. None for anything that authenticators do not write.
pub(super) fn take(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    item(bytes, 0)
}

fn item(bytes: &[u8], depth: u8) -> Option<(Value<'_>, &[u8])> {
    if depth > DEPTH_MAX {
        return None;
    }
    let (&first, rest) = bytes.split_first()?;
    let (argument, rest) = argument(first & 0x1f, rest)?;
    let length = usize::try_from(argument).ok();
    match first >> 5 {
        0 => Some((Value::Integer(i64::try_from(argument).ok()?), rest)),
        1 => Some((Value::Integer(-1 - i64::try_from(argument).ok()?), rest)),
        2 => rest.split_at_checked(length?).map(|(bytes, rest)| (Value::Bytes(bytes), rest)),
        3 => {
            let (text, rest) = rest.split_at_checked(length?)?;
            Some((Value::Text(std::str::from_utf8(text).ok()?), rest))
        }
        4 => {
            let (mut items, mut rest) = (vec![], rest);
            // Each item has a byte at least, so a length that lies ends with the input.
            for _ in 0..length? {
                let (next, after) = item(rest, depth + 1)?;
                items.push(next);
                rest = after;
            }
            Some((Value::Array(items), rest))
        }
        5 => {
            let (mut pairs, mut rest) = (vec![], rest);
            for _ in 0..length? {
                let (key, after) = item(rest, depth + 1)?;
                let (value, after) = item(after, depth + 1)?;
                // Two of one name could be read differently by others.
                if pairs.iter().any(|(known, _)| *known == key) {
                    return None;
                }
                pairs.push((key, value));
                rest = after;
            }
            Some((Value::Map(pairs), rest))
        }
        7 if (20..=22).contains(&(first & 0x1f)) => Some((Value::Simple(first & 0x1f), rest)),
        _ => None,
    }
}

/// RFC 8949, section 3: in the byte itself, or in the 1, 2, 4 or 8 behind it.
fn argument(information: u8, rest: &[u8]) -> Option<(u64, &[u8])> {
    let length = match information {
        direct @ 0..=23 => return Some((u64::from(direct), rest)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let (digits, rest) = rest.split_at_checked(length)?;
    Some((digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_rfc() {
        // RFC 8949, appendix A.
        for (hex, value) in [
            ("00", Value::Integer(0)),
            ("1818", Value::Integer(24)),
            ("1903e8", Value::Integer(1000)),
            ("1a000f4240", Value::Integer(1_000_000)),
            ("20", Value::Integer(-1)),
            ("3903e7", Value::Integer(-1000)),
            ("4401020304", Value::Bytes(&[1, 2, 3, 4])),
            ("62c3bc", Value::Text("ü")),
            ("83010203", Value::Array(vec![Value::Integer(1), Value::Integer(2), Value::Integer(3)])),
            (
                "a201020304",
                Value::Map(vec![(Value::Integer(1), Value::Integer(2)), (Value::Integer(3), Value::Integer(4))]),
            ),
            ("f5", Value::Simple(21)),
        ] {
            let bytes = hex::decode(hex).unwrap();
            assert_eq!(take(&bytes), Some((value, &[][..])), "{hex}");
        }
        let behind = hex::decode("0102").unwrap();
        assert_eq!(take(&behind), Some((Value::Integer(1), &[2][..])));
    }

    #[test]
    fn what_authenticators_do_not_write_is_not_read() {
        for hex in [
            "",
            "18",
            "42ff",
            "62ff",
            "61ff",
            "5f4101ff",
            "9f01ff",
            "c101",
            "f90000",
            "fb0000000000000000",
            "f7",
            "9bffffffffffffffff",
            "1bffffffffffffffff",
            "a101",
            "a201020103",
            "1c",
            "8181818181818100",
        ] {
            assert_eq!(take(&hex::decode(hex).unwrap()), None, "{hex}");
        }
    }
}
