//! The log as it grows: server-sent events, in the order of commits (`docs/adr/0028-the-tail-asks-the-database.md`).
//!
//! - [`stream`]: what one follower is told, and when it ends
//! - [`position`]: where a follower stands, sealed

mod position;
mod stream;

use std::{sync::Arc, time::Duration};

use db::listener::{Change, Invalidation, Listener};
use kernel::Actor;
use kit::{App, Lasting, Problem};
use tokio::sync::{Notify, Semaphore, watch};
use uuid::Uuid;

use super::{
    Bookmark,
    api::ReadEvents,
    model::Filter,
    places::{Limits, Places},
};
use position::Positions;
pub(super) use stream::Stream;

/// A person's: as many as a browser has connections to one server (HTTP/1.1).
const LIMITS: Limits = Limits { person: 6, organization: 64, node: 512 };
/// Followers that read, or ask for their rights, at the same moment: however many there are, requests find connections.
const TURNS: usize = 4;
/// How often a caller's rights are asked for again, heard of or not.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// The open streams of this node. Cheap to clone.
#[derive(Clone)]
pub struct Tails {
    places: Places<Bells>,
    turns: Arc<Semaphore>,
    stopped: watch::Sender<bool>,
}

/// What wakes a follower.
#[derive(Default)]
struct Bells {
    /// The log has grown.
    grown: Notify,
    /// What the caller may do may have changed.
    rights: Notify,
}

impl Tails {
    pub fn new(listener: &Listener) -> Self {
        let places: Places<Bells> = Places::new("streams", LIMITS);
        let tails = Self { places, turns: Arc::new(Semaphore::new(TURNS)), stopped: watch::Sender::new(false) };
        let places = tails.places.clone();
        listener.subscribe_events(Box::new(move |organization| {
            places.each(|holder| {
                if organization.is_none_or(|grown| grown == holder.organization.uuid()) {
                    holder.reached_by.grown.notify_one();
                }
            });
        }));
        let places = tails.places.clone();
        listener.subscribe(Box::new(move |change| {
            places.each(|holder| {
                if concerns(change, holder.organization.uuid(), holder.actor) {
                    holder.reached_by.rights.notify_one();
                }
            });
        }));
        tails
    }

    /// Ends all streams, and those that are opened later: whoever followed goes on at another node.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// A stream that begins behind `cursor`, or now.
    ///
    /// # Errors
    /// When the caller has too many open, the cursor is not of this stream, or the database is gone.
    pub(super) async fn open(
        &self,
        app: App,
        caller: Lasting<ReadEvents>,
        filter: Filter,
        cursor: Option<&str>,
    ) -> Result<Stream, Problem> {
        let place = self.places.take(caller.scope.organization(), caller.actor)?;
        let positions = Positions::new(&app, caller.scope.organization(), &filter)?;
        let bookmark = match cursor {
            Some(cursor) => Bookmark::behind(positions.open(&app, cursor)?),
            None => {
                let mut tx = app.db.tenant(&caller.scope).await?;
                let bookmark = Bookmark::now(&mut tx).await?;
                tx.commit().await?;
                bookmark
            }
        };
        Ok(Stream::new(self, place, app, caller, filter, positions, bookmark))
    }
}

/// Whether what somebody may do in an organization may be otherwise after a change. Rows of no organization are those of
/// people and the organizations themselves.
fn concerns(change: &Change, organization: Uuid, actor: Actor) -> bool {
    match change {
        Change::Everything => true,
        Change::Row(Invalidation { organization_id: Some(changed), .. }) => *changed == organization,
        Change::Row(Invalidation { table, id, .. }) => match (table.as_str(), actor) {
            ("organizations", _) => *id == Some(organization),
            ("sessions", Actor::Person { session, .. }) => *id == Some(session.uuid()),
            _ => true,
        },
    }
}

#[cfg(test)]
mod tests {
    use kernel::{Clock, SessionId, UserId};

    use super::*;

    #[test]
    fn a_change_concerns_its_organization_its_session_and_otherwise_everybody() {
        let clock = Clock::system();
        let session = SessionId::new(&clock);
        let (ours, actor) = (Uuid::from_u128(1), Actor::Person { user: UserId::new(&clock), session });
        let row = |table: &str, organization_id, id| {
            concerns(&Change::Row(Invalidation { table: table.to_owned(), organization_id, id }), ours, actor)
        };
        let other = Some(Uuid::from_u128(2));
        assert!(row("organization_members", Some(ours), other) && !row("organization_members", other, other));
        assert!(row("organizations", None, Some(ours)) && !row("organizations", None, other));
        assert!(row("sessions", None, Some(session.uuid())) && !row("sessions", None, other));
        assert!(row("anything_of_people", None, other) && concerns(&Change::Everything, ours, actor));
    }
}
