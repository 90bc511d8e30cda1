//! Times as the REST API reads and writes them.

use super::json::{Scalar, push_digits};
use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

/// A time without zone, as `2026-04-22T14:08:40`.
pub(super) struct Stamp(pub(super) NaiveDateTime);

impl Scalar for Stamp {
    fn write(&self, out: &mut Vec<u8>) {
        let time = self.0;
        let parts = [
            (b'"', time.year().unsigned_abs(), 4),
            (b'-', time.month(), 2),
            (b'-', time.day(), 2),
            (b'T', time.hour(), 2),
            (b':', time.minute(), 2),
            (b':', time.second(), 2),
        ];
        for (before, number, width) in parts {
            out.push(before);
            push_digits(u64::from(number), width, out);
        }
        out.push(b'"');
    }
}

/// UTC.
pub(super) fn gmt(time: DateTime<Utc>) -> Stamp {
    Stamp(time.naive_utc())
}

/// The shop's local time.
pub(super) fn local(time: DateTime<Utc>, zone: Tz) -> Stamp {
    Stamp(time.with_timezone(&zone).naive_local())
}

/// A date parameter, as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DateParam {
    digits: NaiveDateTime,
    fraction: bool,
    /// Seconds east of UTC, where `Z` or an offset was sent.
    offset: Option<i32>,
}

/// How a shop reads date parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) zone: Tz,
    /// The parameter `dates_are_gmt`.
    pub(super) are_gmt: bool,
    /// Orders in tables of their own; before that WordPress' own date query read the value.
    pub(super) hpos: bool,
}

impl DateParam {
    /// `rest_parse_date`: date, `T` or space, time, optional fraction, optional zone. A bare date is refused.
    pub(super) fn parse(text: &str) -> Option<DateParam> {
        let (head, tail) = text.split_at_checked(19)?;
        let head = head.replacen(['t', ' '], "T", 1);
        let shape = head.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => byte == b'T',
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
        let digits = NaiveDateTime::parse_from_str(&head, "%Y-%m-%dT%H:%M:%S").ok().filter(|_| shape)?;
        let fraction_length = match tail.strip_prefix('.') {
            Some(rest) => 1 + rest.bytes().take_while(u8::is_ascii_digit).count(),
            None => 0,
        };
        let (fraction, zone) = tail.split_at(fraction_length);
        if fraction == "." {
            return None;
        }
        Some(DateParam { digits, fraction: !fraction.is_empty(), offset: parse_offset(zone)? })
    }

    /// The moment that a shop takes this for.
    pub(super) fn read(self, how: Reading) -> DateTime<Utc> {
        let digits_as = |gmt: bool, digits| if gmt { digits } else { from_local(digits, how.zone) };
        let seconds = match self.offset {
            None => digits_as(how.are_gmt, self.digits),
            // Observed with order tables: the zone is dropped, and the rest read as local time.
            Some(_) if how.hpos && self.fraction => from_local(self.digits, how.zone),
            Some(offset) if how.hpos => self.digits - TimeDelta::seconds(i64::from(offset)),
            // WordPress' date query turns it into local digits, and compares those with whichever column was asked for.
            Some(offset) => {
                let utc = self.digits - TimeDelta::seconds(i64::from(offset));
                digits_as(how.are_gmt, how.zone.from_utc_datetime(&utc).naive_local())
            }
        };
        seconds.and_utc()
    }
}

/// Nothing, `Z`, `+02`, `+02:00`; seconds east of UTC.
fn parse_offset(zone: &str) -> Option<Option<i32>> {
    match zone {
        "" => return Some(None),
        "Z" => return Some(Some(0)),
        _ => {}
    }
    let sign = match zone.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = match zone[1..].split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None => (&zone[1..], "00"),
    };
    let number =
        |text: &str| text.parse::<i32>().ok().filter(|_| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()));
    Some(Some(sign * (number(hours)? * 3600 + number(minutes)? * 60)))
}

/// Local digits in UTC. A time that the clock skips or shows twice is read with the offset before the change.
fn from_local(digits: NaiveDateTime, zone: Tz) -> NaiveDateTime {
    match zone.from_local_datetime(&digits) {
        MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(time, _) => time.naive_utc(),
        MappedLocalTime::None => {
            let before = digits - TimeDelta::hours(3);
            let offset = zone.offset_from_local_datetime(&before).earliest();
            digits
                - TimeDelta::seconds(
                    offset.map_or(0, |offset| i64::from(chrono::Offset::fix(&offset).local_minus_utc())),
                )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DateParam, Reading};
    use chrono_tz::Tz;

    fn read(text: &str, are_gmt: bool, hpos: bool) -> String {
        let how = Reading { zone: Tz::America__New_York, are_gmt, hpos };
        DateParam::parse(text).unwrap().read(how).format("%d %H:%M").to_string()
    }

    #[test]
    fn without_zone_it_is_local_time_unless_told_otherwise() {
        for hpos in [true, false] {
            assert_eq!(read("2026-01-10T12:00:00", false, hpos), "10 17:00");
            assert_eq!(read("2026-01-10T12:00:00", true, hpos), "10 12:00");
        }
    }

    #[test]
    fn with_order_tables_a_zone_counts_only_in_whole_seconds() {
        assert_eq!(read("2026-01-10T12:00:00Z", true, true), "10 12:00");
        assert_eq!(read("2026-01-10T12:00:00Z", false, true), "10 12:00");
        assert_eq!(read("2026-01-10T12:00:00+02:00", true, true), "10 10:00");
        assert_eq!(read("2026-01-10T12:00:00.000Z", true, true), "10 17:00");
        assert_eq!(read("2026-01-10T12:00:00.000Z", false, true), "10 17:00");
    }

    #[test]
    fn before_order_tables_a_zone_and_gmt_dates_did_not_go_together() {
        assert_eq!(read("2026-01-10T12:00:00Z", false, false), "10 12:00");
        assert_eq!(read("2026-01-10T12:00:00Z", true, false), "10 07:00");
    }

    #[test]
    fn bare_dates_numbers_and_nonsense_are_refused() {
        for text in [
            "2026-01-10",
            "1700000000",
            "",
            "yesterday",
            "2026-13-01T00:00:00",
            "2026-01-10T12:00:00.Z",
            "2026-01-10T12:00:00 UTC",
            "2026-01-10T12:00:00+2",
            "+026-01-10T12:00:00",
        ] {
            assert_eq!(DateParam::parse(text), None, "{text}");
        }
    }
}
