use std::{collections::VecDeque, fmt};

use db::{DbError, TenantTx};
use kernel::Time;
use uuid::Uuid;

use super::{
    BATCH, Log, Position, Seal,
    line::{self, Line, Sealed},
    store,
};

/// What was found of one log of one organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub seals: u64,
    /// Lines that are what was sealed.
    pub lines: u64,
    /// Sealed lines that have left with their partition.
    pub expired: u64,
    /// Lines that are too new to be sealed.
    pub unsealed: u64,
    /// The number and the hash of the last seal. Kept elsewhere, it shows whether the end of the chain was cut off.
    pub head: Option<(i64, String)>,
    pub fault: Option<Fault>,
}

/// The first place where a log is not what was sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub wrong: Wrong,
    /// The number of the seal.
    pub seal: i64,
    /// The line; None where it is the seal itself.
    pub line: Option<Uuid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    Altered,
    Removed,
    Inserted,
    /// A seal is not what its hash says.
    SealAltered,
    /// A seal does not continue the one before: one is missing, or there is one too many.
    SealBroken,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.wrong {
            Wrong::Altered => "was altered",
            Wrong::Removed => "was removed",
            Wrong::Inserted => "was put in between",
            Wrong::SealAltered => "is not what its hash says",
            Wrong::SealBroken => "does not continue the seal before",
        };
        match self.line {
            Some(line) => write!(f, "line {line} {what} (seal {})", self.seal),
            None => write!(f, "seal {} {what}", self.seal),
        }
    }
}

/// Compares a log with its seals, from the oldest that is kept, up to the first fault.
///
/// # Errors
/// When the database refuses, since the scope may not `audit:read`, or is gone.
pub async fn verify(tx: &mut TenantTx, log: Log) -> Result<Verified, DbError> {
    let kept_from = store::oldest_month(tx, log).await?.and_then(|month| floor_of(&month)).unwrap_or(Uuid::nil());
    let mut found = Verified::default();
    let mut before: Option<Seal> = None;
    let mut place = (0, Uuid::nil());
    while let Some((id, seal)) = store::next_seal(tx, log, place).await? {
        place = (seal.number, id);
        let fault = match check_seal(tx, log, before.as_ref(), &seal) {
            Ok(sealed) => check_lines(tx, log, before.as_ref(), &seal, sealed, kept_from, &mut found).await?,
            Err(wrong) => Some(Fault { wrong, seal: seal.number, line: None }),
        };
        if fault.is_some() {
            found.fault = fault;
            return Ok(found);
        }
        found.seals += 1;
        found.head = Some((seal.number, hex::encode(&seal.hash)));
        before = Some(seal);
    }
    let mut after = before.map_or(Position::START, |seal| seal.last);
    loop {
        let lines = store::next_lines(tx, log, after, BATCH).await?;
        let Some(last) = lines.last() else { return Ok(found) };
        found.unsealed += u64::try_from(lines.len()).unwrap_or(u64::MAX);
        after = last.position;
    }
}

/// The chain begins anew with the oldest seal that is kept: what that one continues has left.
fn check_seal(tx: &TenantTx, log: Log, before: Option<&Seal>, seal: &Seal) -> Result<Vec<Sealed>, Wrong> {
    if seal.hash != seal.compute(log, tx.organization()) {
        return Err(Wrong::SealAltered);
    }
    let continues = match before {
        Some(before) => seal.number == before.number + 1 && seal.previous == before.hash,
        None => seal.number > 1 || seal.previous == [0; 32],
    };
    let sealed = line::read(&seal.lines).filter(|sealed| sealed.last().map(|last| last.position) == Some(seal.last));
    sealed.filter(|_| continues).ok_or(Wrong::SealBroken)
}

/// Walks the lines that are there and those that were sealed side by side.
async fn check_lines(
    tx: &mut TenantTx,
    log: Log,
    before: Option<&Seal>,
    seal: &Seal,
    sealed: Vec<Sealed>,
    kept_from: Uuid,
    found: &mut Verified,
) -> Result<Option<Fault>, DbError> {
    let mut after = match before {
        Some(before) => before.last,
        None if seal.number == 1 => Position::START,
        // Lines before it were sealed by what has left.
        None => sealed.first().map_or(seal.last, |first| just_before(first.position)),
    };
    let mut lines: VecDeque<Line> = VecDeque::new();
    let mut sealed = sealed.into_iter().peekable();
    loop {
        if lines.is_empty() && after < seal.last {
            lines = store::next_lines(tx, log, after, BATCH).await?.into();
            after = lines.back().map_or(seal.last, |last| last.position);
        }
        let line = lines.front().filter(|line| line.position <= seal.last);
        let was = sealed.peek().copied();
        let fault = |wrong, id| Ok(Some(Fault { wrong, seal: seal.number, line: Some(id) }));
        match (line, was) {
            (None, None) => return Ok(None),
            (Some(line), Some(was)) if line.position == was.position => {
                if line.digest(log) != was.digest {
                    return fault(Wrong::Altered, was.position.id);
                }
                found.lines += 1;
                lines.pop_front();
                sealed.next();
            }
            (Some(line), was) if was.is_none_or(|was| line.position < was.position) => {
                let id = line.position.id;
                // Its place in the order is a column as well.
                let is_moved = sealed.any(|was| was.position.id == id);
                return fault(if is_moved { Wrong::Altered } else { Wrong::Inserted }, id);
            }
            (_, Some(was)) => {
                let id = was.position.id;
                if id >= kept_from {
                    let is_elsewhere = store::is_there(tx, log, id).await?;
                    return fault(if is_elsewhere { Wrong::Altered } else { Wrong::Removed }, id);
                }
                found.expired += 1;
                sealed.next();
            }
            (Some(line), None) => return fault(Wrong::Inserted, line.position.id),
        }
    }
}

fn just_before(position: Position) -> Position {
    Position { id: Uuid::from_u128(position.id.as_u128().saturating_sub(1)), ..position }
}

/// The smallest id of a month such as `2026_11`.
fn floor_of(month: &str) -> Option<Uuid> {
    let moment: Time = format!("{}-01T00:00:00Z", month.replace('_', "-")).parse().ok()?;
    let millis = u128::try_from(moment.timestamp_millis()).ok()?;
    Some(Uuid::from_u128(millis << 80))
}
