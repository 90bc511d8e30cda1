//! Cursor pages of our own records, newest first.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{Code, Problem};

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
}

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
    /// # Errors
    /// When the limit is out of range or the cursor is not one of ours.
    pub fn window(&self) -> Result<Window, Problem> {
        let limit = usize::from(limit(self.limit)?);
        let before = match &self.cursor {
            None => Uuid::max(),
            // An id of a row that the caller has seen; it selects inside their own organization only.
            Some(cursor) => Uuid::try_parse(cursor).map_err(|_| {
                Problem::new(Code::InvalidCursor, "Take the cursor from next_cursor of the page before.")
            })?,
        };
        Ok(Window { before, fetch: i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1), limit })
    }
}

/// A page of records.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    pub data: Vec<T>,
    /// For the page after this one; null at the end.
    pub next_cursor: Option<String>,
}

impl Window {
    /// Cuts what was fetched to the page.
    pub fn page<R, T>(self, mut rows: Vec<R>, id: impl Fn(&R) -> Uuid, view: impl FnMut(R) -> T) -> Page<T> {
        let next_cursor = (rows.len() > self.limit).then(|| {
            rows.truncate(self.limit);
            rows.last().map(|row| id(row).to_string())
        });
        Page { data: rows.into_iter().map(view).collect(), next_cursor: next_cursor.flatten() }
    }
}
