//! The listener's own TLS (1.2 and 1.3, RFC 8446), for who runs without a proxy. The certificate is read again when its files
//! change: connections that are open go on with what they agreed on, new ones get the new one.

mod certificate;
mod handshakes;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use kernel::Clock;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::MissedTickBehavior,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use url::Url;

pub(crate) use self::certificate::ENDS_SOON;
pub use self::certificate::{Certificate, Files};
use self::{certificate::Contents, handshakes::Handshakes};

/// How long a client may take until it has agreed on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at once. With this many under way the oldest gives way: somebody opens connections and says nothing.
const HANDSHAKES: usize = 1_000;
/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What a listener serves by https with. Cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: Files,
    /// The host that people type.
    host: Option<String>,
    served: Arc<Served>,
    config: Arc<ServerConfig>,
    handshakes: Handshakes,
    handshake_within: Duration,
    /// Why the newest contents of the files are not served; told once.
    refused: Mutex<Option<String>>,
}

/// The certificate of the moment.
#[derive(Debug)]
struct Served(RwLock<Arc<Certificate>>);

impl Served {
    fn now(&self) -> Arc<Certificate> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.now().key))
    }
}

/// What became of looking at the files.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Looked {
    Unchanged,
    Replaced,
    Refused,
}

impl Tls {
    /// Reads the files. A certificate that has ended or that is for another host is served none the less, and told of.
    ///
    /// # Errors
    /// With which file it is and what is wrong with it.
    pub fn open(files: Files, public_url: &Url) -> anyhow::Result<Self> {
        Self::with_limits(files, public_url, HANDSHAKES, HANDSHAKE)
    }

    fn with_limits(files: Files, public_url: &Url, at_most: usize, within: Duration) -> anyhow::Result<Self> {
        let served = Arc::new(Served(RwLock::new(Arc::new(Certificate::open(&files)?))));
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(served.clone());
        // The server speaks nothing else; a client that insists on HTTP/2 is told so instead of being misunderstood.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(Inner {
            files,
            host: public_url.host_str().map(str::to_owned),
            served,
            config: Arc::new(config),
            handshakes: Handshakes::new(at_most),
            handshake_within: within,
            refused: Mutex::default(),
        })))
    }

    /// Agrees on keys with a client. None when that fails, takes too long or has to give way to others.
    pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Option<TlsStream<S>> {
        let place = self.0.handshakes.enter();
        let handshake = TlsAcceptor::from(Arc::clone(&self.0.config)).accept(stream);
        let (result, agreed) = tokio::select! {
            done = tokio::time::timeout(self.0.handshake_within, handshake) => match done {
                Ok(Ok(stream)) => ("done", Some(stream)),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a TLS handshake failed");
                    ("failed", None)
                }
                Err(_) => ("timed_out", None),
            },
            () = place.is_wanted() => ("crowded_out", None),
        };
        metrics::counter!("entrepot_tls_handshakes_total", "result" => result).increment(1);
        agreed
    }

    /// Looks at the files for ever, and tells the metrics how long the certificate lasts and whether it is for the host that
    /// people type.
    pub(crate) async fn follow_files(self, clock: Clock) {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let tls = self.clone();
            // A folder on a network may not answer.
            if let Err(error) = tokio::task::spawn_blocking(move || tls.look()).await {
                tracing::error!(%error, "looking at the files of the certificate ended badly");
            }
            self.tell(&clock);
        }
    }

    fn look(&self) -> Looked {
        let read = Contents::read(&self.0.files).and_then(|contents| {
            if contents.digest() == self.0.served.now().digest {
                return Ok(None);
            }
            Certificate::of(&self.0.files, &contents).map(Some)
        });
        let mut refused = self.0.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(None) => {
                *refused = None;
                Looked::Unchanged
            }
            Ok(Some(certificate)) => {
                *refused = None;
                tracing::info!(not_after = %certificate.not_after, "the certificate was replaced");
                *self.0.served.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
                metrics::counter!("entrepot_tls_reloads_total", "result" => "replaced").increment(1);
                Looked::Replaced
            }
            Err(error) => {
                let why = format!("{error:#}");
                if refused.as_ref() != Some(&why) {
                    tracing::error!(error = why, "the new certificate cannot be served: the one before it is");
                    metrics::counter!("entrepot_tls_reloads_total", "result" => "refused").increment(1);
                    *refused = Some(why);
                }
                Looked::Refused
            }
        }
    }

    fn tell(&self, clock: &Clock) {
        let served = self.0.served.now();
        let left = (served.not_after - clock.now()).num_seconds();
        let is_for_host = self.0.host.as_deref().is_none_or(|host| served.is_for(host));
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::gauge!("entrepot_tls_certificate_seconds_left").set(left as f64);
        metrics::gauge!("entrepot_tls_certificate_is_for_public_url").set(f64::from(u8::from(is_for_host)));
    }
}
