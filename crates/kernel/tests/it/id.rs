use std::collections::HashSet;

use chrono::Duration;
use kernel::{
    Clock,
    id::{ConnectionId, UserId},
};
use uuid::{Uuid, Version};

use crate::start;

#[test]
fn ids_sort_by_the_clock_s_time() {
    let clock = Clock::manual(start());
    let mut ids = vec![];
    for _ in 0..200 {
        ids.push(ConnectionId::new(&clock));
        clock.advance(Duration::milliseconds(1));
    }
    assert!(ids.is_sorted());
    let (seconds, nanoseconds) = ids[0].uuid().get_timestamp().unwrap().to_unix();
    // UUIDv7 keeps milliseconds.
    assert_eq!((i64::try_from(seconds).unwrap(), nanoseconds), (start().timestamp(), 123_000_000));
}

#[test]
fn ids_of_one_moment_differ() {
    let clock = Clock::manual(start());
    let ids: HashSet<_> = (0..10_000).map(|_| UserId::new(&clock)).collect();
    assert_eq!(ids.len(), 10_000);
    assert!(ids.iter().all(|id| id.uuid().get_version() == Some(Version::SortRand)));
}

#[test]
fn an_id_is_written_as_its_uuid_everywhere() {
    let text = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
    let id: UserId = text.parse().unwrap();
    assert_eq!(id.to_string(), text);
    assert_eq!(format!("{id:?}"), text);
    assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
    assert!(serde_json::from_str::<UserId>(&format!("\"{text}\"")).unwrap() == id);
    assert_eq!(UserId::from(Uuid::from(id)), id);
    assert!("0190a1b2".parse::<UserId>().is_err());
    assert!(serde_json::from_str::<UserId>("17").is_err());
}
