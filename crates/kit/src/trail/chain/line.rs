use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Log, Position};

/// Bytes of a line in a seal: xid, id, SHA-256.
const SEALED: usize = 8 + 16 + 32;

/// A line with all its columns, as PostgreSQL writes them: `jsonb` with its keys in order, times in microseconds.
pub(super) struct Line {
    pub(super) position: Position,
    pub(super) columns: Vec<Option<String>>,
}

/// What a seal says that a line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) position: Position,
    pub(super) digest: [u8; 32],
}

impl Line {
    /// SHA-256 of the canonical form: the log's name, then each column, absent (0) or with its length before it, so that no two
    /// lines have one form.
    pub(super) fn digest(&self, log: Log) -> [u8; 32] {
        let mut hasher = Sha256::new_with_prefix(b"entrepot line 1\0");
        hasher.update(log.as_str());
        for column in &self.columns {
            match column {
                None => hasher.update([0]),
                Some(text) => {
                    hasher.update([1]);
                    hasher.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
                    hasher.update(text);
                }
            }
        }
        hasher.finalize().into()
    }

    pub(super) fn seal(&self, log: Log) -> Sealed {
        Sealed { position: self.position, digest: self.digest(log) }
    }
}

pub(super) fn write(lines: &[Sealed]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(lines.len() * SEALED);
    for Sealed { position, digest } in lines {
        bytes.extend(position.xid.to_be_bytes());
        bytes.extend(position.id.as_bytes());
        bytes.extend(digest);
    }
    bytes
}

/// None when these are no lines.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<Sealed>> {
    let one = |bytes: &[u8]| {
        let (xid, rest) = bytes.split_first_chunk::<8>()?;
        let (id, digest) = rest.split_first_chunk::<16>()?;
        let position = Position { xid: i64::from_be_bytes(*xid), id: Uuid::from_bytes(*id) };
        Some(Sealed { position, digest: digest.try_into().ok()? })
    };
    bytes.chunks(SEALED).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(columns: &[Option<&str>]) -> Line {
        let columns = columns.iter().map(|column| column.map(str::to_owned)).collect();
        Line { position: Position { xid: 7, id: Uuid::max() }, columns }
    }

    #[test]
    fn no_two_lines_have_one_form() {
        let lines = [
            line(&[Some("ab"), Some("c")]),
            line(&[Some("a"), Some("bc")]),
            line(&[Some("ab"), None, Some("c")]),
            line(&[Some(""), Some("abc")]),
            line(&[None, Some("abc")]),
        ];
        let mut digests: Vec<_> =
            lines.iter().flat_map(|line| [line.digest(Log::Events), line.digest(Log::Audit)]).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), 2 * lines.len());
    }

    #[test]
    fn what_is_written_is_read() {
        let sealed = [line(&[Some("a")]).seal(Log::Events), line(&[None]).seal(Log::Events)];
        let bytes = write(&sealed);
        assert_eq!(read(&bytes).as_deref(), Some(&sealed[..]));
        assert_eq!(read(&bytes[1..]), None);
    }
}
