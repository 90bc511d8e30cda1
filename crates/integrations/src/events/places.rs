//! Places for answers that go on for long: so many of a person, of an organization and of this node at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kernel::{Actor, OrganizationId};
use kit::{Code, Problem};

/// When somebody who was refused may come back: until then one of the others may have ended.
const COME_BACK: Duration = Duration::from_secs(10);

/// How many may be open at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Of one person, in all their sessions and organizations.
    pub(super) person: usize,
    pub(super) organization: usize,
    pub(super) node: usize,
}

/// The places of one kind of answer. Cheap to clone.
pub(super) struct Places<T>(Arc<State<T>>);

impl<T> Clone for Places<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct State<T> {
    /// For people, and for metrics: `exports`, `streams`.
    kind: &'static str,
    limits: Limits,
    held: Mutex<Held<T>>,
}

struct Held<T> {
    next: u64,
    places: HashMap<u64, Arc<Holder<T>>>,
}

/// Who holds a place, and what others reach them by.
pub(super) struct Holder<T> {
    pub(super) organization: OrganizationId,
    pub(super) actor: Actor,
    pub(super) reached_by: T,
}

impl<T: Default> Places<T> {
    pub(super) fn new(kind: &'static str, limits: Limits) -> Self {
        Self(Arc::new(State { kind, limits, held: Mutex::new(Held { next: 0, places: HashMap::new() }) }))
    }

    /// A place, until it is dropped.
    ///
    /// # Errors
    /// [`Code::TooManyOpen`] when the person or the organization has as many open as they may, [`Code::Overloaded`] when this
    /// node has no more free than the organization has taken: what is left is for those who have fewer.
    pub(super) fn take(&self, organization: OrganizationId, actor: Actor) -> Result<Place<T>, Problem> {
        let State { kind, limits, .. } = &*self.0;
        let mut held = self.held();
        let of = |is_meant: &dyn Fn(&Holder<T>) -> bool| held.places.values().filter(|holder| is_meant(holder)).count();
        if of(&|holder| holder.actor.user() == actor.user()) >= limits.person {
            let most = limits.person;
            let advice = "Close one of the others, or share one among your windows.";
            return Err(too_many(format!(
                "You have {most} {kind} of the activity log open, which is as many as there may be. {advice}"
            )));
        }
        if of(&|holder| holder.organization == organization) >= limits.organization {
            let most = limits.organization;
            return Err(too_many(format!(
                "Your organization has {most} {kind} of the activity log open, which is as many as there may be."
            )));
        }
        // A few organizations that take all that they may would leave none of the node's to the others.
        let free = limits.node.saturating_sub(held.places.len());
        if free <= of(&|holder| holder.organization == organization) {
            let detail = format!("Too many {kind} of the activity log are open here. Try again in a moment.");
            return Err(Problem::new(Code::Overloaded, detail).with_retry_after(COME_BACK));
        }
        held.next += 1;
        let (id, holder) = (held.next, Arc::new(Holder { organization, actor, reached_by: T::default() }));
        held.places.insert(id, holder.clone());
        self.tell(&held);
        drop(held);
        Ok(Place { places: self.clone(), id, holder })
    }
}

impl<T> Places<T> {
    /// Looks at everybody who holds a place.
    pub(super) fn each(&self, look: impl Fn(&Holder<T>)) {
        self.held().places.values().for_each(|holder| look(holder));
    }

    fn held(&self) -> MutexGuard<'_, Held<T>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, held: &Held<T>) {
        let open = u32::try_from(held.places.len()).unwrap_or(u32::MAX);
        metrics::gauge!("entrepot_event_answers_open", "kind" => self.0.kind).set(open);
    }
}

fn too_many(detail: String) -> Problem {
    Problem::new(Code::TooManyOpen, detail).with_retry_after(COME_BACK)
}

/// One that is taken.
pub(super) struct Place<T> {
    places: Places<T>,
    id: u64,
    pub(super) holder: Arc<Holder<T>>,
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        let mut held = self.places.held();
        held.places.remove(&self.id);
        self.places.tell(&held);
    }
}

#[cfg(test)]
mod tests {
    use kernel::{Clock, SessionId, UserId};

    use super::*;

    fn person(user: UserId) -> Actor {
        Actor::Person { user, session: SessionId::new(&Clock::system()) }
    }

    #[test]
    fn a_person_an_organization_and_a_node_have_so_many_places_and_get_them_back() {
        let clock = Clock::system();
        let places: Places<()> = Places::new("streams", Limits { person: 2, organization: 3, node: 7 });
        let (ours, theirs) = (OrganizationId::new(&clock), OrganizationId::new(&clock));
        let (kata, bela) = (UserId::new(&clock), UserId::new(&clock));
        let refusal = |taken: Result<Place<()>, Problem>| taken.err().map(|problem| problem.code());
        let first = places.take(ours, person(kata)).unwrap();
        let _second = places.take(theirs, person(kata)).unwrap();
        assert_eq!(
            refusal(places.take(ours, person(kata))),
            Some(Code::TooManyOpen),
            "in whatever organization and session"
        );
        let _third = places.take(ours, person(bela)).unwrap();
        let _fourth = places.take(ours, person(bela)).unwrap();
        let other = || person(UserId::new(&clock));
        assert_eq!(refusal(places.take(ours, other())), Some(Code::TooManyOpen), "the organization's");
        drop(first);
        assert_eq!(refusal(places.take(ours, person(kata))), None);
    }

    #[test]
    fn organizations_that_take_much_leave_places_to_those_that_have_none() {
        let clock = Clock::system();
        let (most, node) = (64, 512);
        let places: Places<()> = Places::new("streams", Limits { person: 6, organization: most, node });
        let refusal = |taken: Result<Place<()>, Problem>| taken.err().map(|problem| problem.code());
        let mut held = vec![];
        let mut take_all = |organization| {
            let before = held.len();
            let last = loop {
                match places.take(organization, person(UserId::new(&clock))) {
                    Ok(place) => held.push(place),
                    Err(problem) => break problem.code(),
                }
            };
            (held.len() - before, last)
        };
        for _ in 0..7 {
            assert_eq!(take_all(OrganizationId::new(&clock)), (most, Code::TooManyOpen));
        }
        // Eight times as much as there is is asked for, and each still gets something.
        for left in [32, 16, 8, 4, 2, 1] {
            assert_eq!(take_all(OrganizationId::new(&clock)), (left, Code::Overloaded));
        }
        assert_eq!(held.len(), node - 1);
        let last = places.take(OrganizationId::new(&clock), person(UserId::new(&clock))).unwrap();
        assert_eq!(
            refusal(places.take(OrganizationId::new(&clock), person(UserId::new(&clock)))),
            Some(Code::Overloaded)
        );
        drop(last);
    }
}
