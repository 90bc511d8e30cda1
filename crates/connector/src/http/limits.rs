//! How much an answer may be and how long it may take.

use std::time::Duration;

/// What a call is for, which decides its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A provider's API: 16 MiB, 30 s, 100:1.
    Api,
    /// Finding a shop's address from what a person typed: 1 MiB, 10 s, up to three redirects, each checked.
    Discovery,
    /// The documents of an issuer of tokens, its keys among them: 256 KiB, 5 s, no redirect.
    Keys,
}

/// The limits of a [`Class`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The body as it is handed on, decompressed, in bytes.
    pub body_bytes_max: usize,
    /// From the first lookup to the last byte, redirects included.
    pub time: Duration,
    pub redirects_max: u8,
}

impl Class {
    pub const fn limits(self) -> Limits {
        match self {
            Self::Api => Limits { body_bytes_max: 16 << 20, time: Duration::from_secs(30), redirects_max: 0 },
            Self::Discovery => Limits { body_bytes_max: 1 << 20, time: Duration::from_secs(10), redirects_max: 3 },
            Self::Keys => Limits { body_bytes_max: 256 << 10, time: Duration::from_secs(5), redirects_max: 0 },
        }
    }
}

/// A compressed body may grow to so many times its size. Lists of records repeat their field names and reach 20:1;
/// DEFLATE itself ends at 1032:1.
pub(super) const EXPANSION_MAX: usize = 100;

/// Free of [`EXPANSION_MAX`]: a body this small is no bomb, and a first packet may hold little but the dictionary.
pub(super) const EXPANSION_FREE_BYTES: usize = 64 << 10;

/// All header lines of an answer together, in bytes.
pub(super) const HEADER_BYTES_MAX: usize = 64 << 10;
