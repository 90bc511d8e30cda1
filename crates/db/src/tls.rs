//! How connections to a server elsewhere are protected: `sslmode` and `sslrootcert` of its URLs
//! (<https://www.postgresql.org/docs/15/libpq-ssl.html>), and in plain words why one could not be made.

use std::{error::Error, io};

use rustls::CertificateError;
use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::DbError;

/// The host of a server elsewhere whose certificate nobody verifies, so that whoever is in between can read and change
/// everything. None for this machine (a socket, loopback) and with `sslmode=verify-ca` or `verify-full`.
pub fn unverified_host(options: &PgConnectOptions) -> Option<&str> {
    let host = options.get_host();
    let is_here = options.get_socket().is_some()
        || host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let is_verified = matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull);
    (!is_here && !is_verified).then_some(host)
}

/// A connection of its own, for what is done once.
pub(crate) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, DbError> {
    PgConnection::connect_with(options).await.map_err(connecting)
}

/// What an error means that came while connecting.
pub(crate) fn connecting(error: sqlx::Error) -> DbError {
    match refusal(&error) {
        Some(why) => DbError::Untrusted(why),
        None => error.into(),
    }
}

fn refusal(error: &sqlx::Error) -> Option<&'static str> {
    match error {
        sqlx::Error::Io(error) => {
            let tls = error.get_ref().and_then(find::<rustls::Error>);
            tls.map(in_tls)
        }
        sqlx::Error::Tls(error) => Some(match find::<rustls::Error>(error.as_ref()) {
            Some(error) => in_tls(error),
            None if error.to_string() == "server does not support TLS" => {
                "the server speaks no TLS, which the sslmode of its URL asks for"
            }
            None => "the file that sslrootcert names holds no certificates that can be used",
        }),
        _ => None,
    }
}

fn in_tls(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another host name than that of the URL"
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the server's certificate is not of an authority that sslrootcert names, nor of a public one"
            }
            _ => "the server's certificate is not valid",
        },
        _ => "no secure connection could be agreed on with the server",
    }
}

fn find<'e, E: Error + 'static>(error: &'e (dyn Error + Send + Sync + 'static)) -> Option<&'e E> {
    error.downcast_ref::<E>().or_else(|| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.and_then(find)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_elsewhere_that_nobody_verifies_is_named_and_this_machine_is_not() {
        let host = |url: &str| unverified_host(&url.parse().unwrap()).map(str::to_owned);
        for mode in ["", "?sslmode=disable", "?sslmode=prefer", "?sslmode=require"] {
            assert_eq!(host(&format!("postgres://a:b@db.example/x{mode}")).as_deref(), Some("db.example"), "{mode}");
            assert_eq!(host(&format!("postgres://a:b@10.0.0.7/x{mode}")).as_deref(), Some("10.0.0.7"), "{mode}");
            for here in ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "%2Fvar%2Frun%2Fpostgresql"] {
                assert_eq!(host(&format!("postgres://a:b@{here}/x{mode}")), None, "{here} {mode}");
            }
        }
        for mode in ["verify-ca", "verify-full"] {
            assert_eq!(host(&format!("postgres://a:b@db.example/x?sslmode={mode}")), None, "{mode}");
        }
    }
}
