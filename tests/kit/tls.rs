//! TLS for the client: a certificate in a data folder, and a stream in clear text or over TLS.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use super::{Folder, mailrace};

/// A certificate and its key in the folder of a server.
pub struct Identity {
    /// The file of the certificate.
    pub certificate: PathBuf,
    /// The file of its key.
    pub key: PathBuf,
}

impl Identity {
    /// Makes both.
    pub fn new(folder: &Folder) -> Identity {
        let place = folder.path();
        let identity = Identity { certificate: place.join("cert.pem"), key: place.join("key.pem") };
        identity.renew();
        identity
    }

    /// Replaces both with new ones.
    pub fn renew(&self) {
        let [certificate, key] = [&self.certificate, &self.key].map(|path| {
            // The command overwrites nothing.
            let _ = std::fs::remove_file(path);
            path.to_str().expect("paths of tests are UTF-8")
        });
        let make = ["cert", "self-signed", "--days", "1", "--cert", certificate, "--key", key];
        let output = mailrace(&make, "");
        assert!(output.status.success(), "{output:?}");
    }

    /// The flags of a server that uses them and listens with TLS on a free port.
    pub fn flags(&self) -> [&str; 6] {
        let (certificate, key) = (self.certificate.to_str(), self.key.to_str());
        let path = "paths of tests are UTF-8";
        [
            "--tls-listen",
            "127.0.0.1:0",
            "--tls-cert",
            certificate.expect(path),
            "--tls-key",
            key.expect(path),
        ]
    }

    /// The configuration of a client that trusts the certificate.
    pub fn config(&self, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.certificate).unwrap()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }
}

/// The connection of a client.
pub enum Stream {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// While it changes from the one to the other.
    None,
}

impl Stream {
    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Stream::Clear(socket) => socket,
            Stream::Tls(tls) => &tls.sock,
            Stream::None => panic!("it is on its way to TLS"),
        }
    }

    /// The TLS session on it.
    pub fn tls(&mut self) -> &mut ClientConnection {
        match self {
            Stream::Tls(tls) => &mut tls.conn,
            _ => panic!("there is no TLS"),
        }
    }

    /// Begins TLS. The handshake happens with the first octet that is sent or awaited.
    pub fn secure(&mut self, config: Arc<ClientConfig>) {
        let Stream::Clear(socket) = std::mem::replace(self, Stream::None) else {
            panic!("there is TLS already")
        };
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(config, name).unwrap();
        *self = Stream::Tls(Box::new(StreamOwned::new(connection, socket)));
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Clear(socket) => socket.read(into),
            Stream::Tls(tls) => tls.read(into),
            Stream::None => panic!("it is on its way to TLS"),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Clear(socket) => socket.write(octets),
            Stream::Tls(tls) => tls.write(octets),
            Stream::None => panic!("it is on its way to TLS"),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Clear(socket) => socket.flush(),
            Stream::Tls(tls) => tls.flush(),
            Stream::None => panic!("it is on its way to TLS"),
        }
    }
}
