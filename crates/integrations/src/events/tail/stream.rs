use std::{fmt::Write as _, time::Duration};

use futures::stream;
use kernel::{TenantScope, random};
use kit::{App, Code, Lasting, Problem, request_id};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::{Bells, CHECK_EVERY, Positions, Tails};
use crate::events::{
    Bookmark, after,
    api::{EventView, ReadEvents},
    model::Filter,
    places::Place,
};

/// Lines that are read at once: the first of them, and doubled up to the last while none of a full page was asked for.
const PAGE: (i64, i64) = (100, 1_600);
/// A follower that reads through what it did not ask for waits so long between full pages, so that it is no load that goes on
/// without a pause.
const BREATH: Duration = Duration::from_millis(20);
/// A sign of life, so that what stands between does not take the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A log that grows all the time is read no more often than this.
const PACE: Duration = Duration::from_millis(100);
/// Rights are asked for no more often than this, whatever is heard.
const CHECK_PACE: Duration = Duration::from_millis(250);
/// How long the database may take to say what somebody may do.
const CHECK_WITHIN: Duration = Duration::from_secs(2);
/// How long the next lines may take: as long as a statement may. A follower that waits holds up others (`TURNS`).
const READ_WITHIN: Duration = Duration::from_secs(20);
/// When lines that wait for an older transaction are looked for again: after the first, doubled up to the last.
const HELD: (Duration, Duration) = (Duration::from_millis(25), Duration::from_secs(1));
/// When the database is asked again after it did not answer.
const RETRY: Duration = Duration::from_secs(1);
/// How long a follower is kept that nothing can be told.
const KEPT: Duration = Duration::from_mins(15);

/// What one follower is told. It reads and asks when somebody takes what it says, so that nothing is kept for one who does
/// not; while it waits it holds no connection of the database.
pub(in crate::events) struct Stream {
    app: App,
    caller: Lasting<ReadEvents>,
    filter: Filter,
    tails: Tails,
    place: Place<Bells>,
    positions: Positions,
    bookmark: Bookmark,
    /// What the caller may do, as last asked; None while the database does not say.
    scope: Option<TenantScope>,
    /// Since when the database does not answer.
    silent_since: Option<Instant>,
    checked_at: Instant,
    check_at: Instant,
    /// When the log is looked at next without being rung for.
    read_at: Option<Instant>,
    last_read: Option<Instant>,
    held_for: Duration,
    page: i64,
    told_at: Instant,
    is_begun: bool,
    request_id: Option<String>,
}

/// Why there is nothing more to be told.
enum End {
    /// The caller may no longer follow: not to be opened again as it was.
    Closed(Problem),
    /// Somebody else goes on.
    Stopped,
}

impl Stream {
    pub(super) fn new(
        tails: &Tails,
        place: Place<Bells>,
        app: App,
        caller: Lasting<ReadEvents>,
        filter: Filter,
        positions: Positions,
        bookmark: Bookmark,
    ) -> Self {
        let (now, scope) = (Instant::now(), Some(caller.scope.clone()));
        Self {
            app,
            caller,
            filter,
            tails: tails.clone(),
            place,
            positions,
            bookmark,
            scope,
            silent_since: None,
            checked_at: now,
            check_at: now + CHECK_EVERY,
            read_at: Some(now),
            last_read: None,
            held_for: HELD.0,
            page: PAGE.0,
            told_at: now,
            is_begun: false,
            request_id: request_id::current(),
        }
    }

    /// The parts of the stream (WHATWG HTML, server-sent events). It ends with `closed` and a problem where coming back would
    /// be of no use, and merely ends where it would.
    pub(in crate::events) fn parts(self) -> impl futures::Stream<Item = Vec<u8>> {
        let stopped = self.tails.stopped.subscribe();
        stream::unfold(Some((Box::new(self), stopped)), |state| async move {
            let (mut stream, mut stopped) = state?;
            let told = tokio::select! {
                biased;
                () = stop(&mut stopped) => Err(End::Stopped),
                told = stream.next() => told,
            };
            match told {
                Ok(part) => Some((part, Some((stream, stopped)))),
                Err(End::Closed(problem)) => Some((stream.closed(problem), None)),
                Err(End::Stopped) => None,
            }
        })
    }

    async fn next(&mut self) -> Result<Vec<u8>, End> {
        if !self.is_begun {
            self.is_begun = true;
            // Those whom a node lets go do not all come to the next one at once.
            let [spread] = random::bytes::<1>();
            let retry = format!("retry: {}\n", 1_000 + 8 * u32::from(spread));
            return Ok(self.sign_of_life(retry));
        }
        loop {
            if Instant::now() >= self.check_at {
                self.check().await?;
            }
            if self.read_at.is_some_and(|at| Instant::now() >= at)
                && let Some(scope) = self.scope.clone()
                && let Some(part) = self.read(&scope).await?
            {
                self.told_at = Instant::now();
                return Ok(part);
            }
            if self.told_at.elapsed() >= HEARTBEAT {
                return Ok(self.sign_of_life(":\n".to_owned()));
            }
            self.wait().await;
        }
    }

    /// Until something is to be done. A bell that rings while this does something else has rung when it waits.
    async fn wait(&mut self) {
        let read_at = self.read_at.filter(|_| self.scope.is_some());
        let next = [Some(self.check_at), Some(self.told_at + HEARTBEAT), read_at].into_iter().flatten().min();
        let bells = &self.place.holder.reached_by;
        tokio::select! {
            () = bells.rights.notified() => self.check_at = self.check_at.min(self.checked_at + CHECK_PACE),
            () = bells.grown.notified() => {
                let paced = self.last_read.map_or_else(Instant::now, |last| last + PACE);
                self.read_at = Some(self.read_at.map_or(paced, |at| at.min(paced)));
            }
            () = sleep_until(next.unwrap_or(self.check_at)) => {}
        }
    }

    /// Asks what the caller may do now.
    async fn check(&mut self) -> Result<(), End> {
        let asked = async {
            let _turn = self.tails.turns.acquire().await;
            self.caller.again(&self.app).await
        };
        let found = timeout(CHECK_WITHIN, asked).await.unwrap_or_else(|_| {
            Err(Problem::new(
                Code::DatabaseUnavailable,
                "It is not known what you may do: our database takes too long.",
            ))
        });
        self.checked_at = Instant::now();
        match found {
            Ok(scope) => {
                self.scope = Some(scope);
                self.silent_since = None;
                self.check_at = self.checked_at + CHECK_EVERY;
                // Nobody rings for a node that does not hear, nor for a line whose node ended with its commit.
                self.read_at = Some(self.checked_at);
                Ok(())
            }
            Err(problem) => self.bear(problem),
        }
    }

    /// Keeps the stream while the database is away: a browser would not come back to an answer that is an error. `closed` is said
    /// to whoever may no longer follow, and to nobody else.
    fn bear(&mut self, problem: Problem) -> Result<(), End> {
        if !problem.code().status().is_server_error() {
            return Err(End::Closed(problem));
        }
        let now = Instant::now();
        if now - *self.silent_since.get_or_insert(now) >= KEPT {
            tracing::warn!(code = problem.code().as_str(), "a stream of events ends: nothing could be told for long");
            return Err(End::Stopped);
        }
        // Nothing is read before it is known again what the caller may do.
        self.scope = None;
        self.check_at = now + RETRY;
        self.read_at = Some(now + RETRY);
        Ok(())
    }

    /// The next lines that were asked for, if there are any.
    async fn read(&mut self, scope: &TenantScope) -> Result<Option<Vec<u8>>, End> {
        let page = self.page;
        let read = async {
            let _turn = self.tails.turns.acquire().await;
            let mut tx = self.app.db.tenant(scope).await?;
            let lines = after(&mut tx, &self.filter, &self.bookmark, page).await?;
            tx.commit().await?;
            Ok::<_, Problem>(lines)
        };
        let lines = match self.app.db.unless_away_within(READ_WITHIN, read).await {
            Ok(lines) => lines,
            Err(problem) => return self.bear(problem).map(|()| None),
        };
        let now = Instant::now();
        self.last_read = Some(now);
        let (all, is_full) = (lines.len(), i64::try_from(lines.len()) == Ok(page));
        let mut part = String::new();
        let mut settled = 0;
        for line in lines.into_iter().take_while(|line| line.is_settled) {
            settled += 1;
            self.bookmark.position = line.position;
            if line.is_asked {
                let data = serde_json::to_string(&EventView::from(line.event)).map_err(|error| {
                    let _told = Problem::internal(&error);
                    End::Stopped
                })?;
                let id = self.positions.seal(&self.app, self.bookmark.position);
                let _infallible = write!(part, "id: {id}\nevent: event\ndata: {data}\n\n");
            }
        }
        self.read_at = if settled < all {
            // They wait for a transaction that began earlier; nobody rings when that one ends without a line.
            let at = now + self.held_for;
            self.held_for = if settled > 0 { HELD.0 } else { (2 * self.held_for).min(HELD.1) };
            Some(at)
        } else {
            self.held_for = HELD.0;
            is_full.then_some(if part.is_empty() { now + BREATH } else { now })
        };
        self.page = if is_full && part.is_empty() { (2 * page).min(PAGE.1) } else { PAGE.0 };
        Ok((!part.is_empty()).then(|| part.into_bytes()))
    }

    /// Where the follower stands, with no event: what is before it need not be told again (an event without data is not
    /// dispatched, but its id is kept).
    fn sign_of_life(&mut self, first: String) -> Vec<u8> {
        self.told_at = Instant::now();
        format!("{first}id: {}\n\n", self.positions.seal(&self.app, self.bookmark.position)).into_bytes()
    }

    fn closed(&self, problem: Problem) -> Vec<u8> {
        tracing::debug!(code = problem.code().as_str(), "a stream of events was closed");
        let mut body = problem.into_body();
        body.request_id.clone_from(&self.request_id);
        let data = serde_json::to_string(&body).unwrap_or_default();
        format!("event: closed\ndata: {data}\n\n").into_bytes()
    }
}

async fn stop(stopped: &mut watch::Receiver<bool>) {
    // The sender lives as long as the app, which the stream holds.
    let _gone = stopped.wait_for(|stopped| *stopped).await;
}
