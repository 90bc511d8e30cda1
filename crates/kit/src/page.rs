//! Cursor pages of our own records, newest first. A cursor is the last id, sealed: nobody can read, change or lend it.

use kernel::{OrganizationId, TenantScope, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{App, Code, Problem, vault::TokenSealer};

pub const DEFAULT_LIMIT: u16 = 25;
pub const MAX_LIMIT: u16 = 100;

/// `?limit=&cursor=`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// 1 to 100; 25 when absent.
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u16>,
    /// From `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Where a page begins: below this id. Ids are UUIDv7, so newest first is largest first.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub before: Uuid,
    /// One more than the page, to know whether there is another.
    pub fetch: i64,
    limit: usize,
    organization: OrganizationId,
    list: [u8; 32],
}

/// The smallest UUIDv7 (RFC 9562) of a moment: where a list by id begins for whoever names a time.
pub fn id_floor(moment: Time) -> Uuid {
    let millis = u64::try_from(moment.timestamp_millis()).unwrap_or(0).min((1 << 48) - 1);
    Uuid::from_u128(u128::from(millis) << 80)
}

/// How far the time in an id and `created_at` of the same line may be apart: both are of the moment in which the line was
/// written, but not of the same reading of the clock.
pub const ID_SLACK: chrono::TimeDelta = chrono::TimeDelta::minutes(1);

/// The limit of a page.
///
/// # Errors
/// When it is not 1 to 100.
pub fn limit(asked: Option<u16>) -> Result<u16, Problem> {
    match asked {
        None => Ok(DEFAULT_LIMIT),
        Some(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::invalid("limit", format!("must be 1 to {MAX_LIMIT}"))),
    }
}

impl PageQuery {
    /// The window of a list of the scope's organization. A cursor continues the list of this name with these filters, in
    /// this organization, for a day; filters are whatever narrows the list besides the page, `()` for nothing.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] when the limit is out of range, [`Code::InvalidCursor`] when the cursor is not of this list.
    pub fn window(
        &self,
        app: &App,
        scope: &TenantScope,
        list: &'static str,
        filters: impl Serialize,
    ) -> Result<Window, Problem> {
        let limit = usize::from(limit(self.limit)?);
        let filters = serde_json::to_vec(&(list, filters)).map_err(|error| Problem::internal(&error))?;
        let mut window = Window {
            before: Uuid::max(),
            fetch: i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1),
            limit,
            organization: scope.organization(),
            list: Sha256::digest(filters).into(),
        };
        if let Some(cursor) = &self.cursor {
            window.before = window.open(app, cursor)?;
        }
        Ok(window)
    }
}

/// A page of records.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    pub data: Vec<T>,
    /// For the page after this one; null at the end. A page before the end may be short.
    pub next_cursor: Option<String>,
}

impl Window {
    /// Cuts what was fetched to the page.
    pub fn page<R, T>(self, app: &App, rows: Vec<R>, id: impl Fn(&R) -> Uuid, view: impl FnMut(R) -> T) -> Page<T> {
        self.page_of_part(app, rows, None, id, view)
    }

    /// The same of a list that was looked at only down to an id: where the page is not full, the next one goes on there.
    pub fn page_of_part<R, T>(
        self,
        app: &App,
        mut rows: Vec<R>,
        looked_to: Option<Uuid>,
        id: impl Fn(&R) -> Uuid,
        view: impl FnMut(R) -> T,
    ) -> Page<T> {
        let mut last = looked_to;
        if rows.len() > self.limit {
            rows.truncate(self.limit);
            last = rows.last().map(id);
        }
        Page { data: rows.into_iter().map(view).collect(), next_cursor: last.map(|last| self.seal(app, last)) }
    }

    fn seal(&self, app: &App, last: Uuid) -> String {
        let bound = (self.organization.uuid().into_bytes(), self.list);
        sealer(app)
            .seal(&[("organization", &bound.0), ("list", &bound.1)], last.as_bytes(), app.clock.now())
            .unwrap_or_else(|_| unreachable!("an id is shorter than what a token carries"))
    }

    fn open(&self, app: &App, cursor: &str) -> Result<Uuid, Problem> {
        let bound = (self.organization.uuid().into_bytes(), self.list);
        let invalid = |detail: String| {
            let advice = "Take next_cursor of the page before, and keep the filters as they were.";
            Problem::new(Code::InvalidCursor, format!("{detail}. {advice}"))
        };
        let id = sealer(app)
            .open(cursor, &[("organization", &bound.0), ("list", &bound.1)], app.clock.now())
            .map_err(|error| invalid(error.to_string()))?;
        Uuid::from_slice(&id).map_err(|_| invalid("The cursor holds no id".to_owned()))
    }
}

fn sealer(app: &App) -> TokenSealer {
    TokenSealer::new(&app.keyring, "page cursors", TokenSealer::DAY)
}
