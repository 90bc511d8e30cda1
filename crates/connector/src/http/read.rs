//! Reading an answer within its limits. Decompression is ours, not the client library's, so that it can be bounded while
//! it runs: a thousandfold body must not exist before it is refused.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use flate2::write::MultiGzDecoder;
use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
};

use super::{
    failure,
    limits::{EXPANSION_FREE_BYTES, EXPANSION_MAX, HEADER_BYTES_MAX},
};
use crate::error::ProviderError;

/// What is offered to servers. One encoding that every server has, and one decoder to bound.
pub(super) const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip");

fn malformed(path: impl Into<String>) -> ProviderError {
    ProviderError::Malformed { path: path.into() }
}

fn too_large(body_bytes_max: usize) -> ProviderError {
    let size = match body_bytes_max >> 20 {
        0 => format!("{} KiB", body_bytes_max >> 10),
        mebibytes => format!("{mebibytes} MiB"),
    };
    malformed(format!("body, which is larger than {size}"))
}

/// HTTP/2 refuses larger ones while it reads; of HTTP/1 the library reads up to 400 KiB before we see them.
pub(super) fn check_headers(headers: &HeaderMap) -> Result<(), ProviderError> {
    // Each line has ": " and a line end besides.
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > HEADER_BYTES_MAX {
        return Err(malformed(format!("headers, which are larger than {} KiB", HEADER_BYTES_MAX >> 10)));
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, ProviderError> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    match (values.next().map(|value| value.as_bytes().to_ascii_lowercase()).as_deref(), values.next()) {
        (None | Some(b"" | b"identity"), None) => Ok(Encoding::Identity),
        (Some(b"gzip" | b"x-gzip"), None) => Ok(Encoding::Gzip),
        _ => Err(malformed("header content-encoding, which is none that was offered")),
    }
}

/// The body, decompressed, and `headers` without what described its compressed form.
pub(super) async fn body(
    answer: &mut reqwest::Response,
    headers: &mut HeaderMap,
    body_bytes_max: usize,
) -> Result<Bytes, ProviderError> {
    let encoding = encoding(headers)?;
    // What is announced too large is not read at all. (For HEAD the library says 0, whatever is announced.)
    if answer.content_length().is_some_and(|length| length > body_bytes_max as u64) {
        return Err(too_large(body_bytes_max));
    }
    match encoding {
        Encoding::Identity => plain(answer, body_bytes_max).await,
        Encoding::Gzip => {
            headers.remove(CONTENT_ENCODING);
            headers.remove(CONTENT_LENGTH);
            gzipped(answer, body_bytes_max).await
        }
    }
}

async fn chunk(answer: &mut reqwest::Response) -> Result<Option<Bytes>, ProviderError> {
    answer.chunk().await.map_err(|error| failure::while_reading(&error))
}

async fn plain(answer: &mut reqwest::Response, body_bytes_max: usize) -> Result<Bytes, ProviderError> {
    // Most answers are one chunk, which is handed on as it is.
    let Some(first) = chunk(answer).await? else { return Ok(Bytes::new()) };
    let mut rest = BytesMut::new();
    let mut length = first.len();
    while length <= body_bytes_max {
        let Some(next) = chunk(answer).await? else {
            return Ok(if rest.is_empty() { first } else { rest.freeze() });
        };
        if rest.is_empty() {
            rest.reserve(length + next.len());
            rest.extend_from_slice(&first);
        }
        length += next.len();
        rest.extend_from_slice(&next);
    }
    Err(too_large(body_bytes_max))
}

async fn gzipped(answer: &mut reqwest::Response, body_bytes_max: usize) -> Result<Bytes, ProviderError> {
    let mut gunzip = Gunzip::new(body_bytes_max);
    while let Some(next) = chunk(answer).await? {
        gunzip.feed(&next)?;
    }
    gunzip.finish()
}

/// A decoder that stops at the limit and at the ratio, whichever comes first.
struct Gunzip {
    decoder: MultiGzDecoder<Bounded>,
    fed_bytes: usize,
    body_bytes_max: usize,
}

#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
    is_passed: bool,
}

impl Write for Bounded {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + more.len() > self.bytes_max {
            self.is_passed = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Gunzip {
    fn new(body_bytes_max: usize) -> Self {
        Self { decoder: MultiGzDecoder::new(Bounded::default()), fed_bytes: 0, body_bytes_max }
    }

    fn feed(&mut self, compressed: &[u8]) -> Result<(), ProviderError> {
        self.fed_bytes += compressed.len();
        let by_ratio = EXPANSION_FREE_BYTES + self.fed_bytes.saturating_mul(EXPANSION_MAX);
        self.decoder.get_mut().bytes_max = by_ratio.min(self.body_bytes_max);
        self.decoder.write_all(compressed).map_err(|_| self.reason())
    }

    fn finish(mut self) -> Result<Bytes, ProviderError> {
        // The answers to HEAD, 204 and 304 name an encoding and have no body.
        if self.fed_bytes == 0 {
            return Ok(Bytes::new());
        }
        match self.decoder.try_finish() {
            Ok(()) => Ok(std::mem::take(&mut self.decoder.get_mut().bytes).into()),
            Err(_) => Err(self.reason()),
        }
    }

    fn reason(&self) -> ProviderError {
        let out = self.decoder.get_ref();
        match out.is_passed {
            true if out.bytes_max == self.body_bytes_max => too_large(self.body_bytes_max),
            true => malformed(format!("body, which grows more than {EXPANSION_MAX} times when decompressed")),
            false => malformed("body, which is not gzip as its header says"),
        }
    }
}
