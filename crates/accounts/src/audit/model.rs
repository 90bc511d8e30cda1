use kernel::Time;
use kit::{
    Problem,
    page::{ID_SLACK, id_floor},
};
use serde::Serialize;
use uuid::Uuid;

/// What a request narrows the audit log by, as it is asked.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) actor: Option<String>,
    pub(super) action: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) resource_id: Option<Uuid>,
    pub(super) request_id: Option<String>,
    pub(super) created_after: Option<Time>,
    pub(super) created_before: Option<Time>,
}

/// What the audit log is narrowed by. A cursor is bound to it.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Filter {
    pub(super) actor: Option<String>,
    pub(super) action: Option<String>,
    pub(super) action_prefix: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) resource_id: Option<Uuid>,
    pub(super) request_id: Option<String>,
    pub(super) created_after: Option<Time>,
    pub(super) created_before: Option<Time>,
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
        let Asked { actor, action, resource, resource_id, request_id, created_after, created_before } = asked;
        if actor.as_deref().is_some_and(|actor| !is_word(actor, ":_-") || !actor.contains(':')) {
            return Err(Problem::invalid("actor", "must be user:…, key:… or system:…, as the log shows it"));
        }
        let (mut exact, mut prefix) = (None, None);
        if let Some(asked) = action {
            let word = asked.strip_suffix('*').unwrap_or(&asked);
            if !is_word(word, "._") {
                let rule = "must be an action, such as connection.delete, or its beginning and *: connection.*";
                return Err(Problem::invalid("action", rule));
            }
            let place = if word.len() < asked.len() { &mut prefix } else { &mut exact };
            *place = Some(word.to_owned());
        }
        if resource.as_deref().is_some_and(|resource| !is_word(resource, "_")) {
            return Err(Problem::invalid("resource", "must be a resource as the log shows it, such as connection"));
        }
        let is_id = |text: &str| (1..=100).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if request_id.as_deref().is_some_and(|id| !is_id(id)) {
            return Err(Problem::invalid("request_id", "must be the X-Request-Id of an answer"));
        }
        if let (Some(after), Some(before)) = (created_after, created_before)
            && after >= before
        {
            return Err(Problem::invalid("created_before", "must be later than created_after"));
        }
        Ok(Self {
            actor,
            action: exact,
            action_prefix: prefix,
            resource,
            resource_id,
            request_id,
            created_after,
            created_before,
        })
    }

    /// Whether every line was asked for.
    pub(super) fn is_everything(&self) -> bool {
        let Self { actor, action, action_prefix, resource, resource_id, request_id, created_after, created_before } =
            self;
        actor.is_none()
            && action.is_none()
            && action_prefix.is_none()
            && resource.is_none()
            && resource_id.is_none()
            && request_id.is_none()
            && created_after.is_none()
            && created_before.is_none()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(change: impl FnOnce(&mut Asked)) -> Result<Filter, Problem> {
        let mut asked = Asked::default();
        change(&mut asked);
        Filter::new(asked)
    }

    #[test]
    fn an_action_with_a_star_is_a_prefix() {
        let exact = asked(|asked| asked.action = Some("connection.delete".into())).unwrap();
        assert_eq!((exact.action.as_deref(), exact.action_prefix), (Some("connection.delete"), None));
        let prefix = asked(|asked| asked.action = Some("connection.*".into())).unwrap();
        assert_eq!((prefix.action, prefix.action_prefix.as_deref()), (None, Some("connection.")));
    }

    #[test]
    fn what_cannot_be_in_the_log_is_refused() {
        for bad in ["*", "", "a*b", "%", "Connection", "a b", &"a".repeat(101)] {
            assert!(asked(|asked| asked.action = Some(bad.to_owned())).is_err(), "{bad}");
        }
        for bad in ["", "user", "User:1", "user:1 or", "user:'"] {
            assert!(asked(|asked| asked.actor = Some(bad.to_owned())).is_err(), "{bad}");
        }
        for bad in ["", "a.b", "%", "A"] {
            assert!(asked(|asked| asked.resource = Some(bad.to_owned())).is_err(), "{bad}");
        }
        for bad in ["", "a b", "é", &"a".repeat(101)] {
            assert!(asked(|asked| asked.request_id = Some(bad.to_owned())).is_err(), "{bad}");
        }
        let now = Time::default();
        assert!(asked(|asked| (asked.created_after, asked.created_before) = (Some(now), Some(now))).is_err());
    }

    #[test]
    fn only_what_asks_for_nothing_asks_for_everything() {
        assert!(Filter::default().is_everything());
        assert!(!asked(|asked| asked.request_id = Some("x".into())).unwrap().is_everything());
        assert!(!asked(|asked| asked.created_before = Some(Time::default())).unwrap().is_everything());
    }
}
