//! What the activity log is asked for, and what spreadsheets get of it, of any kind (`script/soak fuzz`).

use chrono::{DateTime, Utc};
use kit::Code;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::{
    export::write,
    model::{Asked, Filter},
    store::EventRow,
};

/// RFC 4180, read by another hand than the one that wrote.
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut cell) = (vec![], vec![], String::new());
    let mut chars = text.chars().peekable();
    let mut is_quoted = false;
    while let Some(char) = chars.next() {
        match char {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => record.push(std::mem::take(&mut cell)),
            '\r' if !is_quoted && chars.peek() == Some(&'\n') => {
                chars.next();
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            other => cell.push(other),
        }
    }
    assert!(!is_quoted && cell.is_empty() && record.is_empty(), "something is left over");
    records
}

/// Any time that a request can carry.
fn times() -> impl Strategy<Value = Option<DateTime<Utc>>> {
    let seconds = -62_167_219_200_i64..=253_402_300_799;
    prop::option::of(seconds.prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap()))
}

fn row(id: u128, message: &str, event_type: &str, meta: &str) -> EventRow {
    EventRow {
        id: Uuid::from_u128(id),
        connection_id: None,
        level: "info".to_owned(),
        event_type: event_type.to_owned(),
        message: message.to_owned(),
        meta: json!({ "text": meta }),
        actor: "user:1".to_owned(),
        created_at: DateTime::UNIX_EPOCH,
    }
}

proptest! {
    #[test]
    fn csv(texts in prop::collection::vec((any::<String>(), "[=+@\"',;\r\n\t -]{0,8}.{0,12}", any::<String>()), 1..4)) {
        let mut out = String::new();
        for (message, event_type, meta) in &texts {
            write(&mut out, &row(7, message, event_type, meta));
        }
        let records = records(&out);
        prop_assert_eq!(records.len(), texts.len(), "no text begins another line");
        for (record, (message, event_type, meta)) in records.iter().zip(&texts) {
            prop_assert_eq!(record.len(), 7, "no text begins another cell");
            for (cell, text) in [(&record[2], event_type), (&record[5], message)] {
                let is_defused = cell.strip_prefix('\'') == Some(text);
                prop_assert!(cell == text || is_defused, "{:?} became {:?}", text, cell);
                let begins = cell.trim_start().chars().next();
                prop_assert!(!matches!(begins, Some('=' | '+' | '-' | '@')), "a formula: {:?}", cell);
            }
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&record[6]).unwrap(), json!({ "text": meta }));
        }
    }

    #[test]
    fn filters(
        level in prop::option::of("(info|warning|error|[a-z]{0,6})"),
        event_type in prop::option::of(prop_oneof![any::<String>(), "[a-z._*]{0,12}"]),
        actor in prop::option::of(prop_oneof![any::<String>(), "[a-z0-9:_-]{0,12}"]),
        search in prop::option::of(any::<String>()),
        created_after in times(),
        created_before in times(),
        before: u128,
    ) {
        let asked = Asked { connection_id: None, level, event_type: event_type.clone(), actor: actor.clone(), created_after, created_before, search };
        match Filter::new(asked) {
            Ok(filter) => {
                let span = filter.span(Uuid::from_u128(before));
                prop_assert!(span.before <= Uuid::from_u128(before));
                let _ = (filter.driver(), filter.is_driver_alone());
                prop_assert!(filter.event_type.is_none() || filter.type_prefix.is_none());
                prop_assert_eq!(filter.event_type.is_some() || filter.type_prefix.is_some(), event_type.is_some());
                // What the document's patterns say is what is taken.
                prop_assert!(actor.is_none_or(|actor| actor.contains(':') && actor.len() <= 100));
                if let (Some(after), Some(before)) = (created_after, created_before) {
                    prop_assert!(after < before);
                }
            }
            Err(problem) => prop_assert_eq!(problem.code(), Code::InvalidRequest),
        }
    }
}
