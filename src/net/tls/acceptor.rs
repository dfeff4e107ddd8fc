//! What a server shows to its clients: certificate, key, and whom it believes.

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

/// Where certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file of the certificate, with those between it and the root after it.
    pub certificate: PathBuf,
    /// PEM file of its private key: PKCS #8, PKCS #1 or SEC 1, without a passphrase.
    pub key: PathBuf,
    /// PEM file of the authorities whose certificates clients may show; `None`: none is asked for.
    pub client_authorities: Option<PathBuf>,
}

/// Takes clients in by TLS. Clones share what was read from the files.
#[derive(Clone, Debug)]
pub struct Acceptor {
    files: Arc<TlsFiles>,
    shown: Arc<RwLock<Shown>>,
}

/// What was read from the files.
#[derive(Clone, Debug)]
struct Shown {
    config: Arc<ServerConfig>,
    validity: Validity,
}

/// From when to when a certificate is valid, in seconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Before this it is not.
    pub from: i64,
    /// After this it is not.
    pub until: i64,
}

/// What is wrong with the dates of a certificate, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concern {
    /// Clients refuse it.
    Invalid(String),
    /// They will within [`CERTIFICATE_WARNING`].
    Soon(String),
}

/// Why TLS cannot be had with these files. The text says what to do.
#[derive(Debug)]
pub enum TlsError {
    /// The file cannot be read, or is no PEM.
    File(PathBuf, pem::Error),
    /// There is nothing of the kind in the file.
    Nothing(PathBuf, &'static str),
    /// Certificate and key do not do.
    Pair(PathBuf, PathBuf, rustls::Error),
    /// The authorities do not do.
    Authorities(PathBuf, String),
    /// The system gives no randomness.
    Random(rustls::Error),
}

impl Acceptor {
    /// Reads the files.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(files: TlsFiles) -> Result<Acceptor, TlsError> {
        let shown = Arc::new(RwLock::new(read(&files)?));
        Ok(Acceptor { files: Arc::new(files), shown })
    }

    /// Reads the files anew: who comes from now on is shown what is in them now. Those who are
    /// there already notice nothing. Tickets that were given out before are void, since they would
    /// let in whom the new files may not.
    ///
    /// # Errors
    /// See [`TlsError`]; everything stays as it was then.
    pub fn reload(&self) -> Result<(), TlsError> {
        let shown = read(&self.files)?;
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
        Ok(())
    }

    /// Where certificate and key are.
    #[must_use]
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).config.clone()
    }

    /// From when to when the certificate is valid.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).validity
    }

    /// What is wrong with its dates at this time, in seconds since 1970 UTC.
    #[must_use]
    pub fn concern(&self, now: u64) -> Option<Concern> {
        self.validity().concern(&self.files.certificate, now.cast_signed())
    }
}

impl Validity {
    /// Of a certificate in DER. One that cannot be read has no dates to complain about: whether it
    /// will do is for others to say.
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
                write!(f, "{} is no PEM file: {error}", path.display())
            }
            TlsError::Nothing(path, what) => write!(
                f,
                "there is no {what} in {}; `mailrace cert self-signed` makes a pair for trials",
                path.display()
            ),
            TlsError::Pair(certificate, key, error) => write!(
                f,
                "{} and {} are not a usable certificate and key: {error}",
                certificate.display(),
                key.display()
            ),
            TlsError::Authorities(path, error) => {
                write!(f, "{} does not do as authorities of clients: {error}", path.display())
            }
            TlsError::Random(error) => write!(f, "no key for session tickets: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_told_before_clients_refuse_them() {
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
