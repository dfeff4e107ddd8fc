//! The server's certificate and key, and the authorities it accepts for client certificates.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::limits::CERTIFICATE_WARNING;

/// Paths of certificate and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file: the certificate followed by its intermediates.
    pub certificate: PathBuf,
    /// PEM file: its private key (PKCS #8, PKCS #1 or SEC 1, without a passphrase).
    pub key: PathBuf,
    /// PEM file: authorities for client certificates. `None`: clients are not asked for one.
    pub client_authorities: Option<PathBuf>,
}

/// Accepts clients with TLS. Clones share the loaded files.
#[derive(Clone, Debug)]
pub struct Acceptor {
    files: Arc<TlsFiles>,
    shown: Arc<RwLock<Shown>>,
}

/// The loaded files.
#[derive(Clone, Debug)]
struct Shown {
    config: Arc<ServerConfig>,
    validity: Validity,
}

/// Validity of a certificate, in seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Not valid before.
    pub from: i64,
    /// Not valid after.
    pub until: i64,
}

/// A problem with the dates of a certificate, described for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concern {
    /// Clients refuse it now.
    Invalid(String),
    /// Clients will refuse it within [`CERTIFICATE_WARNING`].
    Soon(String),
}

/// Why these files cannot be used for TLS. The text contains the remedy.
#[derive(Debug)]
pub enum TlsError {
    /// The file cannot be read, or is not PEM.
    File(PathBuf, pem::Error),
    /// The file contains nothing of this kind.
    Nothing(PathBuf, &'static str),
    /// Certificate and key cannot be used together.
    Pair(PathBuf, PathBuf, rustls::Error),
    /// The authorities cannot be used.
    Authorities(PathBuf, String),
    /// The system provides no random numbers.
    Random(rustls::Error),
}

impl Acceptor {
    /// Loads the files.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(files: TlsFiles) -> Result<Acceptor, TlsError> {
        let shown = Arc::new(RwLock::new(read(&files)?));
        Ok(Acceptor { files: Arc::new(files), shown })
    }

    /// Reloads the files for new connections; existing ones are not affected. Session tickets
    /// issued before become invalid, because they would admit clients that the new files may not.
    ///
    /// # Errors
    /// See [`TlsError`]; then nothing changes.
    pub fn reload(&self) -> Result<(), TlsError> {
        let shown = read(&self.files)?;
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
        Ok(())
    }

    /// Paths of certificate and key.
    #[must_use]
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).config.clone()
    }

    /// Validity of the certificate.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).validity
    }

    /// The problem with its dates at `now`, in seconds since 1970-01-01T00:00:00Z, if any.
    #[must_use]
    pub fn concern(&self, now: u64) -> Option<Concern> {
        self.validity().concern(&self.files.certificate, now.cast_signed())
    }
}

impl Validity {
    /// The validity of a DER certificate. An unreadable one has no dates to complain about; other
    /// code decides whether it can be used.
    fn of(certificate: &[u8]) -> Validity {
        let found = X509Certificate::from_der(certificate);
        found.map_or(Validity { from: i64::MIN, until: i64::MAX }, |(_, found)| Validity {
            from: found.validity.not_before.timestamp(),
            until: found.validity.not_after.timestamp(),
        })
    }

    fn concern(self, path: &Path, now: i64) -> Option<Concern> {
        const DAY: i64 = 24 * 3600;
        let (path, left) = (path.display(), self.until.saturating_sub(now));
        let remedy = "put a new one in its place and send SIGHUP";
        if left < 0 {
            let days = -left / DAY;
            let text = format!("the certificate {path} expired {days} days ago: {remedy}");
            return Some(Concern::Invalid(text));
        }
        if now < self.from {
            let days = (self.from - now) / DAY;
            let text = format!("the certificate {path} will be valid in {days} days, not before");
            return Some(Concern::Invalid(text));
        }
        let days = left / DAY;
        (left < CERTIFICATE_WARNING.as_secs().cast_signed()).then(|| {
            Concern::Soon(format!("the certificate {path} expires in {days} days: {remedy}"))
        })
    }
}

fn read(files: &TlsFiles) -> Result<Shown, TlsError> {
    let chain = certificates(&files.certificate)?;
    let validity = Validity::of(&chain[0]);
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::Nothing(files.key.clone(), "private key"),
        error => TlsError::File(files.key.clone(), error),
    })?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let pair = |error| TlsError::Pair(files.certificate.clone(), files.key.clone(), error);
    let builder = builder.with_safe_default_protocol_versions().map_err(pair)?;
    let builder = match &files.client_authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier = verifier.allow_unauthenticated().build();
            builder.with_client_cert_verifier(verifier.map_err(|error| wrong(path, &error))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
    config.ticketer = Ticketer::new().map_err(TlsError::Random)?;
    Ok(Shown { config: Arc::new(config), validity })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unread = |error| TlsError::File(path.into(), error);
    let found = CertificateDer::pem_file_iter(path).map_err(unread)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(unread)?;
    if found.is_empty() {
        return Err(TlsError::Nothing(path.into(), "certificate"));
    }
    Ok(found)
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        let added = roots.add(certificate);
        added.map_err(|error| TlsError::Authorities(path.into(), error.to_string()))?;
    }
    Ok(roots)
}

fn wrong(path: &Path, error: &VerifierBuilderError) -> TlsError {
    TlsError::Authorities(path.into(), error.to_string())
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::File(path, pem::Error::Io(error)) => {
                write!(f, "cannot read {}: {error}", path.display())
            }
            TlsError::File(path, error) => {
                write!(f, "{} is not a PEM file: {error}", path.display())
            }
            TlsError::Nothing(path, what) => write!(
                f,
                "there is no {what} in {}; `mailrace cert self-signed` makes a pair for testing",
                path.display()
            ),
            TlsError::Pair(certificate, key, error) => write!(
                f,
                "{} and {} are not a usable certificate and key: {error}",
                certificate.display(),
                key.display()
            ),
            TlsError::Authorities(path, error) => {
                write!(f, "cannot use {} as the client CA file: {error}", path.display())
            }
            TlsError::Random(error) => write!(f, "cannot make a key for session tickets: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_reported_before_clients_refuse_the_certificate() {
        let day = 24 * 3600;
        let validity = Validity { from: 100 * day, until: 200 * day };
        let concern = |now| validity.concern(Path::new("cert.pem"), now);
        assert_eq!(concern(100 * day), None);
        assert_eq!(concern(170 * day), None);
        for (now, text) in [(171 * day, "expires in 29 days"), (200 * day, "expires in 0 days")] {
            let Some(Concern::Soon(told)) = concern(now) else { panic!("{now}") };
            assert!(told.contains(text) && told.contains("cert.pem"), "{told}");
        }
        for (now, text) in [(203 * day, "expired 3 days ago"), (98 * day, "valid in 2 days")] {
            let Some(Concern::Invalid(told)) = concern(now) else { panic!("{now}") };
            assert!(told.contains(text), "{told}");
        }
    }
}
