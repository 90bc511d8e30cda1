use kernel::OrganizationId;
use kit::{App, Code, Problem, trail::chain::Position, vault::TokenSealer};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::events::model::Filter;

/// Seals the positions of one stream: nobody can read, change or lend them. They hold for a day, and a stream that is open
/// gives a new one with each sign of life.
pub(super) struct Positions {
    sealer: TokenSealer,
    organization: [u8; 16],
    filter: [u8; 32],
}

impl Positions {
    /// # Errors
    /// None that a filter can cause.
    pub(super) fn new(app: &App, organization: OrganizationId, filter: &Filter) -> Result<Self, Problem> {
        let filter = serde_json::to_vec(filter).map_err(|error| Problem::internal(&error))?;
        Ok(Self {
            sealer: TokenSealer::new(&app.keyring, "event positions", TokenSealer::DAY),
            organization: organization.uuid().into_bytes(),
            filter: Sha256::digest(filter).into(),
        })
    }

    fn bound_to(&self) -> [(&str, &[u8]); 2] {
        [("organization", &self.organization), ("filter", &self.filter)]
    }

    pub(super) fn seal(&self, app: &App, position: Position) -> String {
        let bytes = [&position.xid.to_be_bytes()[..], position.id.as_bytes()].concat();
        self.sealer
            .seal(&self.bound_to(), &bytes, app.clock.now())
            .unwrap_or_else(|_| unreachable!("a position is shorter than what a token carries"))
    }

    /// # Errors
    /// [`Code::InvalidCursor`] when it is of another stream, or too old.
    pub(super) fn open(&self, app: &App, sealed: &str) -> Result<Position, Problem> {
        let invalid = |detail: String| {
            let advice = "Keep the filters as they were, or open the stream anew without it and read the list for what is missing.";
            Problem::new(Code::InvalidCursor, format!("{detail}. {advice}"))
        };
        let bytes =
            self.sealer.open(sealed, &self.bound_to(), app.clock.now()).map_err(|error| invalid(error.to_string()))?;
        let position = bytes
            .split_first_chunk::<8>()
            .and_then(|(xid, id)| Some(Position { xid: i64::from_be_bytes(*xid), id: Uuid::from_slice(id).ok()? }));
        position.ok_or_else(|| invalid("It holds no position".to_owned()))
    }
}
