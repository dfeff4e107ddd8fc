//! An engine connected directly to rustls' own client.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, SupportedCipherSuite, SupportedProtocolVersion,
};

use super::{Acceptor, Engine, TlsError, TlsFiles};
use crate::net::Security;

/// Certificate and key in files, and a client that trusts them.
struct Made {
    folder: tempfile::TempDir,
    acceptor: Acceptor,
    roots: RootCertStore,
}

fn made() -> Made {
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles {
        certificate: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
        client_authorities: None,
    };
    std::fs::write(&files.certificate, pair.cert.pem()).unwrap();
    std::fs::write(&files.key, pair.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(pair.cert.der().clone()).unwrap();
    Made { folder, acceptor: Acceptor::new(files).unwrap(), roots }
}

impl Made {
    fn client(
        &self,
        version: &'static SupportedProtocolVersion,
        suites: &[SupportedCipherSuite],
    ) -> ClientConnection {
        let mut provider: CryptoProvider = aws_lc_rs::default_provider();
        if !suites.is_empty() {
            provider.cipher_suites = suites.to_vec();
        }
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        ClientConnection::new(Arc::new(config), name).unwrap()
    }
}

/// A client and a server connected to each other.
struct Pair {
    client: ClientConnection,
    server: Engine,
    /// Octets that the client has received and not read.
    heard: Vec<u8>,
}

impl Pair {
    /// The pair after its handshake.
    fn new(made: &Made, client: ClientConnection) -> Pair {
        let mut pair =
            Pair { client, server: Engine::new(&made.acceptor).unwrap(), heard: Vec::new() };
        while pair.client.is_handshaking() || pair.server.is_handshaking() {
            pair.give_server(usize::MAX);
            assert_eq!(pair.server.read(&mut []), Ok(0));
            pair.answer_client();
        }
        pair
    }

    /// Passes the client's records to the server, in slices of this length.
    fn give_server(&mut self, slice: usize) {
        let mut records = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut records).unwrap();
        }
        for slice in records.chunks(slice.min(records.len().max(1))) {
            self.receive(slice);
        }
    }

    fn receive(&mut self, octets: &[u8]) {
        let all = [self.server.partial(), octets].concat();
        self.server.received(all);
    }

    fn answer_client(&mut self) {
        let records = self.server.take_outgoing();
        self.give_client(&records);
    }

    fn give_client(&mut self, mut records: &[u8]) {
        while !records.is_empty() {
            self.client.read_tls(&mut records).unwrap();
            self.client.process_new_packets().unwrap();
            // More is to come, which is not an error here.
            let _ = self.client.reader().read_to_end(&mut self.heard);
        }
    }

    fn heard_by_client(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.heard)
    }

    fn read_all(&mut self, at_once: usize) -> Vec<u8> {
        let mut heard = Vec::new();
        let mut buffer = vec![0; at_once];
        while let got @ 1.. = self.server.read(&mut buffer).unwrap() {
            heard.extend_from_slice(&buffer[..got]);
        }
        heard
    }
}

fn octets(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 131 % 251) as u8).collect()
}

#[test]
fn both_ends_export_the_same() {
    let made = made();
    let label = b"EXPORTER-Channel-Binding";
    for suite in [
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ] {
        let pair = Pair::new(&made, made.client(&TLS13, &[suite]));
        let theirs = pair.client.export_keying_material([0; 32], label, Some(b"")).unwrap();
        assert_eq!(pair.server.security().exporter, Some(theirs), "{suite:?}");
    }
    let pair = Pair::new(&made, made.client(&TLS12, &[]));
    let Security { private, version, exporter, certificate_names } = pair.server.security();
    assert_eq!((private, exporter, certificate_names), (true, None, vec![]));
    assert_eq!(version, Some("TLSv1_2"));
    let description = pair.server.description();
    assert!(description.starts_with("TLSv1_2 TLS_ECDHE_"), "{description}");
}

#[test]
fn octets_arrive_as_they_were_sent_however_they_are_sliced() {
    let made = made();
    let sent = octets(100_000);
    for version in [&TLS12, &TLS13] {
        for (slice, at_once) in [(1, 4096), (7, 1), (1000, 100_000), (16 << 10, 777), (1 << 20, 20)]
        {
            let mut pair = Pair::new(&made, made.client(version, &[]));
            let mut heard = Vec::new();
            for part in sent.chunks(30_000) {
                pair.client.writer().write_all(part).unwrap();
                pair.give_server(slice);
                heard.extend(pair.read_all(at_once));
            }
            assert!(heard == sent, "slices of {slice}, read {at_once} at once");
            let mut records = Vec::new();
            pair.server.write(&sent, &mut records).unwrap();
            pair.give_client(&records);
            assert!(pair.heard_by_client() == sent);
        }
    }
}

#[test]
fn a_reply_between_records_loses_nothing() {
    let made = made();
    let mut pair = Pair::new(&made, made.client(&TLS13, &[]));
    let sent = octets(60_000);
    pair.client.writer().write_all(&sent).unwrap();
    pair.give_server(usize::MAX);
    let mut first = [0; 10];
    assert_eq!(pair.server.read(&mut first), Ok(10));
    let mut records = Vec::new();
    pair.server.write(b"OK", &mut records).unwrap();
    pair.give_client(&records);
    assert_eq!(pair.heard_by_client(), b"OK");
    assert!(pair.server.is_readable());
    let rest = pair.read_all(5000);
    assert!([&first[..], &rest].concat() == sent);
    assert!(!pair.server.is_readable());
}

#[test]
fn new_keys_are_taken_amid_the_octets() {
    let made = made();
    let mut pair = Pair::new(&made, made.client(&TLS13, &[]));
    let sent = octets(50_000);
    let mut heard = Vec::new();
    for part in sent.chunks(9999) {
        pair.client.writer().write_all(part).unwrap();
        pair.client.refresh_traffic_keys().unwrap();
        pair.give_server(333);
        heard.extend(pair.read_all(1234));
        pair.answer_client();
        let mut records = Vec::new();
        pair.server.write(b"+ OK\r\n", &mut records).unwrap();
        pair.give_client(&records);
        assert_eq!(pair.heard_by_client(), b"+ OK\r\n");
    }
    assert!(heard == sent);
}

#[test]
fn the_end_comes_behind_the_last_octet() {
    let made = made();
    for version in [&TLS12, &TLS13] {
        let mut pair = Pair::new(&made, made.client(version, &[]));
        pair.client.writer().write_all(b"last").unwrap();
        pair.client.send_close_notify();
        pair.give_server(3);
        let mut into = [0; 4];
        assert_eq!(pair.server.read(&mut into), Ok(4));
        assert_eq!(&into, b"last");
        assert_eq!(pair.server.read(&mut into), Ok(0));
        assert!(pair.server.has_ended());
        // Records in flight still leave, followed by our close_notify.
        let mut records = Vec::new();
        pair.server.write(b"BYE", &mut records).unwrap();
        pair.server.close(&mut records).unwrap();
        pair.give_client(&records);
        assert_eq!(pair.heard_by_client(), b"BYE");
    }
}

#[test]
fn garbage_is_answered_with_an_alert() {
    let made = made();
    for garbage in
        [&b"a LOGIN alice secret\r\n"[..], b"\x16\x03\x01\xff\xff0", b"GET / HTTP/1.1\r\n\r\n"]
    {
        let mut server = Engine::new(&made.acceptor).unwrap();
        server.received(garbage.to_vec());
        assert!(server.read(&mut [0; 100]).is_err());
        assert!(server.read(&mut [0; 100]).is_err());
        assert!(server.write(b"hello", &mut Vec::new()).is_err());
        // A record of type alert.
        assert_eq!(server.take_outgoing()[0], 21, "{garbage:?}");
    }
}

#[test]
fn a_record_that_was_changed_ends_it() {
    let made = made();
    let mut pair = Pair::new(&made, made.client(&TLS13, &[]));
    pair.client.writer().write_all(&octets(100)).unwrap();
    let mut record = Vec::new();
    pair.client.write_tls(&mut record).unwrap();
    let last = record.len() - 1;
    record[last] ^= 1;
    pair.receive(&record);
    let mut into = [7; 200];
    assert!(pair.server.read(&mut into).is_err());
    assert_eq!(into, [7; 200]);
    assert!(pair.server.has_outgoing());
}

#[test]
fn unusable_files_are_named_and_the_previous_ones_stay() {
    let made = made();
    let files = made.acceptor.files().clone();
    let tell = |files: &TlsFiles| Acceptor::new(files.clone()).unwrap_err().to_string();
    let nowhere = made.folder.path().join("nowhere.pem");
    let text = tell(&TlsFiles { certificate: nowhere.clone(), ..files.clone() });
    assert!(text.contains("nowhere.pem: No such file"), "{text}");
    let text = tell(&TlsFiles { certificate: files.key.clone(), ..files.clone() });
    assert!(text.contains("there is no certificate in"), "{text}");
    let text = tell(&TlsFiles { key: files.certificate.clone(), ..files.clone() });
    assert!(text.contains("there is no private key in"), "{text}");
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&files.key, other.signing_key.serialize_pem()).unwrap();
    assert!(matches!(made.acceptor.reload(), Err(TlsError::Pair(..))));
    // The old pair is still in use.
    Pair::new(&made, made.client(&TLS13, &[]));
    std::fs::write(&files.certificate, other.cert.pem()).unwrap();
    made.acceptor.reload().unwrap();
    let mut client = made.client(&TLS13, &[]);
    let mut server = Engine::new(&made.acceptor).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    server.received(hello);
    server.read(&mut []).unwrap();
    client.read_tls(&mut &server.take_outgoing()[..]).unwrap();
    assert!(client.process_new_packets().is_err(), "a certificate that this client does not know");
}
