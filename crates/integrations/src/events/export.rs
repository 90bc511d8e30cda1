//! The log as CSV (RFC 4180), page by page: what is held in memory is one page, however long the log is.

use std::collections::VecDeque;

use chrono::{SecondsFormat, TimeDelta};
use futures::{Stream, stream};
use kit::{App, Lasting, Problem, page::id_floor, retention::Kind};
use uuid::Uuid;

use super::{
    api::ReadEvents,
    estimate, find,
    model::Filter,
    places::{Limits, Place, Places},
    store::EventRow,
};

/// Lines that are read at once.
const PAGE: i64 = 500;

/// Excel takes a file without a byte order mark for one in the code page of the machine, and shows Kávé as KĂˇvĂ©;
/// LibreOffice, Numbers, Google Sheets and the CSV readers of pandas (`utf-8-sig`), Ruby (`BOM|UTF-8`) and csvkit accept one.
/// A reader that does not would show it in the name of the first column, where it is seen and harmless.
const BYTE_ORDER_MARK: &str = "\u{feff}";
const HEADER: &str = "created_at,level,event_type,connection,actor,message,meta\r\n";

/// An export reads for as long as its caller takes lines; two at once are enough for a person.
const LIMITS: Limits = Limits { person: 2, organization: 8, node: 32 };

/// The exports that are under way on this node. Cheap to clone.
#[derive(Clone)]
pub struct Exports(Places<()>);

impl Default for Exports {
    fn default() -> Self {
        Self(Places::new("exports", LIMITS))
    }
}

/// An export that may begin.
pub(super) struct Export {
    place: Place<()>,
    filter: Filter,
    before: Uuid,
    /// About how many lines it will have.
    pub(super) estimate: u64,
}

impl Export {
    /// # Errors
    /// When the time asked for is longer than events are kept, or the caller has too many under way.
    pub(super) async fn begin(app: &App, caller: &Lasting<ReadEvents>, mut filter: Filter) -> Result<Self, Problem> {
        let place = app.slice::<Exports>().0.take(caller.scope.organization(), caller.actor)?;
        let end = filter.created_before.unwrap_or_else(|| app.clock.now());
        let kept = app.config.retention.of(Kind::Events);
        let start = *filter.created_after.get_or_insert(end - kept);
        if end - start > kept {
            let rule = format!("must be within {} days before the end", kept.num_days());
            return Err(Problem::invalid("created_after", rule));
        }
        // What is written meanwhile is not part of it.
        let before = id_floor(app.clock.now() + TimeDelta::milliseconds(1));
        let mut tx = app.db.tenant(&caller.scope).await?;
        let estimate = estimate(&mut tx, &filter, before).await?;
        tx.commit().await?;
        Ok(Self { place, filter, before, estimate })
    }

    /// The file, newest line first. Each page is read when somebody asks for it, after the caller's rights were asked for
    /// again: whoever stops reading stops the export. It ends with an error where something fails or is no longer allowed, which
    /// cuts the connection, since a file that merely ends early would pass for a whole one.
    pub(super) fn lines(self, app: App, caller: Lasting<ReadEvents>) -> impl Stream<Item = Result<Vec<u8>, Problem>> {
        let Self { place, filter, before, .. } = self;
        let first = [BYTE_ORDER_MARK, HEADER].concat().into_bytes();
        let state = State { _place: place, app, caller, filter, before: Some(before), ready: VecDeque::from([first]) };
        stream::try_unfold(state, |mut state| async move {
            let chunk = match state.ready.pop_front() {
                Some(chunk) => Some(chunk),
                None => state.page().await?,
            };
            Ok(chunk.map(|chunk| (chunk, state)))
        })
    }
}

struct State {
    _place: Place<()>,
    app: App,
    caller: Lasting<ReadEvents>,
    filter: Filter,
    /// None when the log is at its end.
    before: Option<Uuid>,
    ready: VecDeque<Vec<u8>>,
}

impl State {
    /// The next page that is not empty.
    async fn page(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        while let Some(before) = self.before {
            let found = async {
                let scope = self.caller.again(&self.app).await?;
                let mut tx = self.app.db.tenant(&scope).await?;
                let found = find(&mut tx, &self.filter, before, PAGE).await?;
                tx.commit().await?;
                Ok::<_, Problem>(found)
            };
            // The request has been answered: what ends those that wait for a silent database does not end this.
            let found = self.app.db.unless_away(found).await?;
            let is_full = i64::try_from(found.rows.len()) == Ok(PAGE);
            self.before = if is_full { found.rows.last().map(|row| row.id) } else { found.looked_to };
            if found.rows.is_empty() {
                continue;
            }
            let mut chunk = String::new();
            for row in &found.rows {
                write(&mut chunk, row);
            }
            return Ok(Some(chunk.into_bytes()));
        }
        Ok(None)
    }
}

pub(super) fn write(out: &mut String, row: &EventRow) {
    let connection = row.connection_id.map(|id| id.to_string()).unwrap_or_default();
    let cells = [
        &row.created_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        &row.level,
        &row.event_type,
        &connection,
        &row.actor,
        &row.message,
        &row.meta.to_string(),
    ];
    for (index, text) in cells.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        cell(out, text);
    }
    out.push_str("\r\n");
}

/// A cell in quotes, whatever is in it. One that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV
/// Injection), also behind the blanks and the full-width signs that spreadsheets see through.
fn cell(out: &mut String, text: &str) {
    out.push('"');
    let begins_a_formula = |char: char| matches!(char, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠');
    if text.starts_with(['\t', '\r', '\n']) || text.trim_start().starts_with(begins_a_formula) {
        out.push('\'');
    }
    for char in text.chars() {
        if char == '"' {
            out.push('"');
        }
        out.push(char);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = String::new();
        cell(&mut out, text);
        out
    }

    #[test]
    fn a_cell_is_quoted_and_its_quotes_are_doubled() {
        assert_eq!(written(""), "\"\"");
        assert_eq!(written("a \"b\", c\r\nd"), "\"a \"\"b\"\", c\r\nd\"");
    }

    #[test]
    fn a_formula_is_defused() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\nx", "\tx", "\rx", " =1", "＝1", "\u{a0}=1"] {
            assert_eq!(written(text), format!("\"'{text}\""), "{text:?}");
        }
        for text in ["1=1", "a-b", "connection.connected", "{\"a\":\"=1\"}", "'=1"] {
            assert!(!written(text).starts_with("\"'=") || text.starts_with('\''), "{text:?}");
        }
        assert_eq!(written("a-b"), "\"a-b\"");
    }
}
