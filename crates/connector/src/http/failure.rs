//! What went wrong below HTTP, in our own words. The library's errors quote URLs, so none of their text is used.

use std::{error::Error, io, time::Duration};

use rustls::CertificateError;

use super::guard::Refusal;
use crate::error::ProviderError;

/// No answer began.
pub(super) fn before_answer(error: &reqwest::Error, connect_timeout: Duration) -> ProviderError {
    if let Some(refusal) = find::<Refusal>(error) {
        return (*refusal).into();
    }
    if error.is_timeout() && error.is_connect() {
        return ProviderError::TimedOut { after: connect_timeout };
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return ProviderError::Unavailable { detail: in_tls(tls) };
    }
    if error.is_dns() {
        return ProviderError::Unavailable { detail: "its host name was not found" };
    }
    if find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
        return ProviderError::Malformed { path: "headers, which are not HTTP or too large".to_owned() };
    }
    let detail = match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "the connection was refused",
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => "its network cannot be reached",
        Some(io::ErrorKind::TimedOut) => return ProviderError::TimedOut { after: connect_timeout },
        _ if error.is_connect() => "the connection could not be made",
        _ => return ProviderError::Cut { detail: "the connection was closed before an answer came" },
    };
    ProviderError::Unavailable { detail }
}

/// The answer began and did not end.
pub(super) fn while_reading(error: &reqwest::Error) -> ProviderError {
    match find::<hyper::Error>(error) {
        Some(http) if http.is_parse() => {
            ProviderError::Malformed { path: "body, whose chunks are not HTTP".to_owned() }
        }
        _ => ProviderError::Cut { detail: "the connection was cut while the answer was read" },
    }
}

fn in_tls(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another host name"
            }
            CertificateError::UnknownIssuer => {
                "its certificate is self-signed, or the chain to a known authority is incomplete"
            }
            CertificateError::Revoked => "its certificate has been revoked",
            _ => "its certificate is not valid",
        },
        _ => "no secure connection could be agreed on",
    }
}

/// The first error of this type in the chain. What an [`io::Error`] wraps is not its source but stands beside it.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = wrapped.and_then(|inner| find(inner)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}
