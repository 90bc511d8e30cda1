use kernel::Time;
use kit::{
    Problem, input,
    page::{ID_SLACK, id_floor},
    trail::Level,
};
use serde::Serialize;
use uuid::Uuid;

/// What a request narrows the log by, as it is asked.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) connection_id: Option<Uuid>,
    pub(super) level: Option<String>,
    pub(super) event_type: Option<String>,
    pub(super) actor: Option<String>,
    pub(super) created_after: Option<Time>,
    pub(super) created_before: Option<Time>,
    pub(super) search: Option<String>,
}

/// What the log is narrowed by. A cursor is bound to it.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Filter {
    pub(super) connection: Option<Uuid>,
    pub(super) level: Option<&'static str>,
    pub(super) event_type: Option<String>,
    pub(super) type_prefix: Option<String>,
    pub(super) actor: Option<String>,
    pub(super) created_after: Option<Time>,
    pub(super) created_before: Option<Time>,
    pub(super) search: Option<String>,
}

/// The index that lines are looked up in; whatever else narrows the log is asked of each line that it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driver {
    All,
    Connection,
    Level,
    Type,
    Actor,
}

/// Ids that a page lies between: the first of them is in it, the last is not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: Uuid,
    pub(super) before: Uuid,
}

impl Filter {
    /// # Errors
    /// When a value is not of its form, or the times are the wrong way round.
    pub(super) fn new(asked: Asked) -> Result<Self, Problem> {
        let Asked { connection_id, level, event_type, actor, created_after, created_before, search } = asked;
        let level = match level {
            None => None,
            Some(word) => {
                let known = Level::ALL.iter().map(|level| level.as_str()).find(|known| *known == word);
                Some(known.ok_or_else(|| Problem::invalid("level", "must be info, warning or error"))?)
            }
        };
        let (mut exact, mut prefix) = (None, None);
        if let Some(asked) = event_type {
            let word = asked.strip_suffix('*').unwrap_or(&asked);
            if !is_word(word, "._") {
                let rule = "must be an event type, such as connection.connected, or its beginning and *: connection.*";
                return Err(Problem::invalid("event_type", rule));
            }
            let place = if word.len() < asked.len() { &mut prefix } else { &mut exact };
            *place = Some(word.to_owned());
        }
        if actor.as_deref().is_some_and(|actor| !is_word(actor, ":_-") || !actor.contains(':')) {
            return Err(Problem::invalid("actor", "must be user:…, key:… or system:…, as the log shows it"));
        }
        let search = search.map(|text| input::text("search", &text, 200)).transpose()?;
        if let (Some(after), Some(before)) = (created_after, created_before)
            && after >= before
        {
            return Err(Problem::invalid("created_before", "must be later than created_after"));
        }
        Ok(Self {
            connection: connection_id,
            level,
            event_type: exact,
            type_prefix: prefix,
            actor,
            created_after,
            created_before,
            search,
        })
    }

    /// The one that leaves the fewest lines, as far as that can be said beforehand.
    pub(super) fn driver(&self) -> Driver {
        let is_loud = self.level.is_some_and(|level| level != Level::Info.as_str());
        match self {
            _ if is_loud => Driver::Level,
            Self { event_type: Some(_), .. } => Driver::Type,
            Self { actor: Some(_), .. } => Driver::Actor,
            Self { connection: Some(_), .. } => Driver::Connection,
            _ => Driver::All,
        }
    }

    /// Whether every line of the driver's index is one that was asked for.
    pub(super) fn is_driver_alone(&self) -> bool {
        let Self { connection, level, event_type, type_prefix, actor, created_after, created_before, search } = self;
        let asked = [
            connection.is_some(),
            level.is_some(),
            event_type.is_some(),
            type_prefix.is_some(),
            actor.is_some(),
            created_after.is_some(),
            created_before.is_some(),
            search.is_some(),
        ];
        asked.into_iter().filter(|is_asked| *is_asked).count() == usize::from(self.driver() != Driver::All)
    }

    /// The ids that the times leave, below `before`.
    pub(super) fn span(&self, before: Uuid) -> Span {
        let from = self.created_after.map_or(Uuid::nil(), |after| id_floor(after - ID_SLACK));
        let end = self.created_before.map_or(before, |end| id_floor(end + ID_SLACK).min(before));
        Span { from, before: end }
    }
}

fn is_word(text: &str, also: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || also.contains(char))
}

/// The moment of a UUIDv7, in milliseconds since 1970.
pub(super) fn millis_of(id: Uuid) -> u64 {
    u64::try_from(id.as_u128() >> 80).unwrap_or(u64::MAX)
}

/// How many lines there are below a moment if the rest of the time is like the part that was counted.
pub(super) fn extrapolate(counted: u64, newest: u64, counted_to: u64, oldest: u64) -> u64 {
    let (part, whole) = (newest.saturating_sub(counted_to).max(1), newest.saturating_sub(oldest));
    let estimate = u128::from(counted) * u128::from(whole) / u128::from(part);
    u64::try_from(estimate).unwrap_or(u64::MAX).max(counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(change: impl FnOnce(&mut Asked)) -> Result<Filter, Problem> {
        let mut asked = Asked::default();
        change(&mut asked);
        Filter::new(asked)
    }

    #[test]
    fn a_type_with_a_star_is_a_prefix() {
        let exact = asked(|asked| asked.event_type = Some("connection.connected".into())).unwrap();
        assert_eq!((exact.event_type.as_deref(), exact.type_prefix), (Some("connection.connected"), None));
        let prefix = asked(|asked| asked.event_type = Some("connection.*".into())).unwrap();
        assert_eq!((prefix.event_type, prefix.type_prefix.as_deref()), (None, Some("connection.")));
    }

    #[test]
    fn what_cannot_be_in_the_log_is_refused() {
        for bad in ["*", "", "a*b", "%", "Connection", "a b", &"a".repeat(101)] {
            assert!(asked(|asked| asked.event_type = Some(bad.to_owned())).is_err(), "{bad}");
        }
        for bad in ["", "user", "User:1", "user:1 or", "user:'"] {
            assert!(asked(|asked| asked.actor = Some(bad.to_owned())).is_err(), "{bad}");
        }
        assert!(asked(|asked| asked.level = Some("debug".into())).is_err());
        let now = Time::default();
        assert!(asked(|asked| (asked.created_after, asked.created_before) = (Some(now), Some(now))).is_err());
    }

    #[test]
    fn the_driver_is_the_narrowest_index() {
        let all = || Asked {
            connection_id: Some(Uuid::nil()),
            level: Some("error".into()),
            event_type: Some("a.b".into()),
            actor: Some("user:1".into()),
            ..Asked::default()
        };
        let driver = |change: fn(&mut Asked)| {
            let mut asked = all();
            change(&mut asked);
            Filter::new(asked).unwrap().driver()
        };
        assert_eq!(driver(|_| ()), Driver::Level);
        assert_eq!(driver(|asked| asked.level = Some("info".into())), Driver::Type);
        assert_eq!(driver(|asked| (asked.level, asked.event_type) = (None, Some("a.*".into()))), Driver::Actor);
        assert_eq!(
            driver(|asked| (asked.level, asked.event_type, asked.actor) = (None, None, None)),
            Driver::Connection
        );
        assert_eq!(driver(|asked| *asked = Asked { search: Some("x".into()), ..Asked::default() }), Driver::All);
    }

    #[test]
    fn only_what_an_index_answers_alone_is_read_without_a_bound() {
        assert!(Filter::default().is_driver_alone());
        assert!(asked(|asked| asked.actor = Some("user:1".into())).unwrap().is_driver_alone());
        assert!(asked(|asked| asked.level = Some("error".into())).unwrap().is_driver_alone());
        assert!(!asked(|asked| asked.level = Some("info".into())).unwrap().is_driver_alone());
        assert!(!asked(|asked| asked.search = Some("x".into())).unwrap().is_driver_alone());
        assert!(!asked(|asked| asked.event_type = Some("a.*".into())).unwrap().is_driver_alone());
        assert!(!asked(|asked| asked.created_after = Some(Time::default())).unwrap().is_driver_alone());
    }

    #[test]
    fn an_id_tells_its_moment() {
        let moment = Time::from_timestamp_millis(1_790_000_000_123).unwrap();
        assert_eq!(millis_of(id_floor(moment)), 1_790_000_000_123);
        assert_eq!(extrapolate(10, 1_000, 900, 0), 100);
        assert_eq!(extrapolate(10, 1_000, 1_000, 1_000), 10);
    }
}
