//! What a server shows to its clients: certificate, key, and whom it believes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

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
    config: Arc<RwLock<Arc<ServerConfig>>>,
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
        let config = Arc::new(RwLock::new(read(&files)?));
        Ok(Acceptor { files: Arc::new(files), config })
    }

    /// Reads the files anew: who comes from now on is shown what is in them now. Those who are
    /// there already notice nothing. Tickets that were given out before are void, since they would
    /// let in whom the new files may not.
    ///
    /// # Errors
    /// See [`TlsError`]; everything stays as it was then.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = read(&self.files)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Where certificate and key are.
    #[must_use]
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(&files.certificate)?;
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
    Ok(Arc::new(config))
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
                "{} and {} do not do as certificate and key: {error}",
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
