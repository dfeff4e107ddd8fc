//! The socket, in clear text or with TLS.

use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::error::{ClientError, TrustError};

/// Clear text that rustls buffers: encrypted and sent in one call.
const AT_ONCE: usize = 256 << 10;

/// Which servers a client trusts.
#[derive(Clone, Debug)]
pub struct Trust {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Trust {
    /// Trusts a server whose certificate is for `name` and was issued by one of these authorities
    /// (PEM).
    ///
    /// # Errors
    /// When `pem` holds no usable certificate, or `name` is not a server name.
    pub fn new(pem: &[u8], name: &str) -> Result<Trust, TrustError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(unusable("the certificate authority"))?;
            roots.add(certificate).map_err(unusable("the certificate authority"))?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable("TLS"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned());
        let name = name.map_err(unusable("the server's name"))?;
        Ok(Trust { config: Arc::new(config), name })
    }

    /// As [`Trust::new`], with the authorities in a file.
    ///
    /// # Errors
    /// When the file cannot be read or is not usable.
    pub fn read(path: &Path, name: &str) -> Result<Trust, TrustError> {
        let failed = |error| TrustError::Read { path: path.to_owned(), error };
        let pem = std::fs::read(path).map_err(failed)?;
        Trust::new(&pem, name)
    }
}

/// Maps a cause to the error that names `what`.
fn unusable<E: std::error::Error + Send + Sync + 'static>(
    what: &'static str,
) -> impl Fn(E) -> TrustError {
    move |error| TrustError::Unusable { what, error: error.into() }
}

pub(super) enum Stream {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    pub fn open(
        address: SocketAddr,
        trust: Option<&Trust>,
        patience: Duration,
    ) -> Result<Stream, ClientError> {
        let stream = TcpStream::connect_timeout(&address, patience)
            .map_err(|error| ClientError::Connect { address, error })?;
        let prepared = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(patience)))
            .and_then(|()| stream.set_write_timeout(Some(patience)));
        prepared.map_err(ClientError::Io)?;
        let Some(trust) = trust else { return Ok(Stream::Clear(stream)) };
        let tls = ClientConnection::new(trust.config.clone(), trust.name.clone());
        let mut tls = tls.map_err(|error| ClientError::Io(io::Error::other(error)))?;
        tls.set_buffer_limit(Some(AT_ONCE));
        Ok(Stream::Tls(Box::new(StreamOwned::new(tls, stream))))
    }

    /// Sets how long a read may take.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        let socket = match self {
            Stream::Clear(stream) => stream,
            Stream::Tls(stream) => &stream.sock,
        };
        socket.set_read_timeout(Some(patience))
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Clear(stream) => stream.read(into),
            Stream::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Clear(stream) => stream.write(octets),
            Stream::Tls(stream) => stream.write(octets),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Clear(stream) => stream.write_vectored(slices),
            Stream::Tls(stream) => stream.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Clear(stream) => stream.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}
