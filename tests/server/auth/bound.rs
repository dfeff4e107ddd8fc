//! Logins that depend on TLS: SCRAM with channel binding, and client certificates.

use std::sync::Arc;

use kit::{Client, Folder, Identity, PASSWORD, Reply, Server, USER};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

use super::scram::login_bound;
use super::{encode, hears, offered};

const PLUS: &str = "SCRAM-SHA-256-PLUS";
const HEADER: &str = "p=tls-exporter,,";

fn greeted(server: &Server, config: Arc<ClientConfig>) -> Client {
    let mut client = Client::by_tls(server.tls_address(), config);
    assert!(client.response().expect("a greeting").text().starts_with("* OK "));
    client
}

/// The channel binding data of this connection.
fn exporter(client: &mut Client) -> [u8; 32] {
    let tls = client.tls();
    tls.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap()
}

fn plus(client: &mut Client, binding: &[u8]) -> Reply {
    login_bound(client, PLUS, (HEADER, binding), USER, PASSWORD)
}

#[test]
fn a_proof_is_good_for_its_own_connection_alone() {
    let folder = Folder::new();
    let identity = Identity::new(&folder);
    let server = Server::with(&folder, &identity.flags());
    let config = identity.config(&TLS13);
    let mut client = greeted(&server, config.clone());
    assert!(offered(&mut client).contains(&format!("AUTH={PLUS}")));
    let binding = exporter(&mut client);
    assert!(plus(&mut client, &binding).tagged.starts_with("OK [CAPABILITY "));
    // What a man in the middle would have to pass on.
    let mut other = greeted(&server, config.clone());
    for wrong in [&binding[..], &[0; 32], b""] {
        let tagged = plus(&mut other, wrong).tagged;
        assert!(tagged.starts_with("NO [AUTHENTICATIONFAILED] "), "{tagged}");
    }
    // A client that was made to believe that the server offers no channel binding.
    let mut client = greeted(&server, config);
    let first = encode(format!("y,,n={USER},r=x"));
    client.send(format!("a AUTHENTICATE SCRAM-SHA-256 {first}\r\n").as_bytes());
    hears(&mut client, "a NO [AUTHENTICATIONFAILED] ");
    let reply = login_bound(&mut client, "SCRAM-SHA-256", ("n,,", b""), USER, PASSWORD);
    assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
}

#[test]
fn the_binding_comes_with_starttls_and_is_there_after_a_move() {
    let folder = Folder::new();
    let identity = Identity::new(&folder);
    let server = Server::with(&folder, &identity.flags());
    for number in 0..4 {
        let user = format!("user-{number}");
        folder.add_user(&user, PASSWORD, &[]);
        let mut client = server.connect();
        assert!(!offered(&mut client).contains(&format!("AUTH={PLUS}")));
        client.ok("STARTTLS");
        client.secure(identity.config(&TLS13));
        // This completes the handshake.
        client.ok("NOOP");
        let binding = exporter(&mut client);
        for _ in 0..2 {
            let reply = login_bound(&mut client, PLUS, (HEADER, &binding), &user, PASSWORD);
            assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
            client.ok("UNAUTHENTICATE");
        }
    }
    // TLS 1.2 has no tls-exporter binding.
    let mut client = greeted(&server, identity.config(&TLS12));
    assert!(!offered(&mut client).contains(&format!("AUTH={PLUS}")));
    client.send(format!("a AUTHENTICATE {PLUS}\r\n").as_bytes());
    hears(&mut client, "a NO [CANNOT] ");
}

/// A certificate authority for clients.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A client configuration with a certificate of this authority.
    fn certify(
        &self,
        identity: &Identity,
        common: &str,
        address: Option<&str>,
    ) -> Arc<ClientConfig> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        let address = address.map(|address| SanType::Rfc822Name(address.try_into().unwrap()));
        params.subject_alt_names.extend(address);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&identity.certificate).unwrap()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate.der().clone()], key);
        Arc::new(config.unwrap())
    }
}

#[test]
fn a_certificate_lets_in_whom_it_names() {
    let folder = Folder::new();
    folder.add_user("bob@example.org", PASSWORD, &[]);
    let identity = Identity::new(&folder);
    let authority = Authority::new("clients");
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority.0.pem()).unwrap();
    let flags = identity.flags();
    let flags = [&flags[..], &["--tls-client-ca", file.to_str().unwrap()]].concat();
    let server = Server::with(&folder, &flags);
    let external = |config: Arc<ClientConfig>, response: &str| {
        let mut client = greeted(&server, config);
        client.command(&format!("AUTHENTICATE EXTERNAL {response}")).tagged
    };
    // By the common name, and by an address; `=` is an empty response.
    let alice = authority.certify(&identity, USER, None);
    let bob = authority.certify(&identity, USER, Some("bob@example.org"));
    let nobody = authority.certify(&identity, "nobody", None);
    assert!(offered(&mut greeted(&server, alice.clone())).contains(&"AUTH=EXTERNAL".into()));
    for (config, name) in [(&alice, USER), (&bob, "bob@example.org")] {
        for response in ["=".to_owned(), encode(name)] {
            let tagged = external(config.clone(), &response);
            assert!(tagged.starts_with("OK "), "{name}: {tagged}");
        }
    }
    // The address takes precedence over the common name, and no other name is allowed.
    for (config, response) in [(&bob, encode(USER)), (&alice, encode("bob@example.org"))] {
        let tagged = external(config.clone(), &response);
        assert!(tagged.starts_with("NO [AUTHORIZATIONFAILED] "), "{tagged}");
    }
    let tagged = external(nobody, "=");
    assert!(tagged.starts_with("NO [AUTHORIZATIONFAILED] "), "{tagged}");
    // Without a certificate everything else works. One of another authority ends the handshake.
    let mut client = greeted(&server, identity.config(&TLS13));
    assert!(!offered(&mut client).contains(&"AUTH=EXTERNAL".into()));
    assert!(client.command("AUTHENTICATE EXTERNAL =").tagged.starts_with("NO [CANNOT] "));
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
    let stranger = Authority::new("strangers").certify(&identity, USER, None);
    let mut client = Client::by_tls(server.tls_address(), stranger);
    assert!(!client.try_send(b"a NOOP\r\n") || client.line_or_end().is_none());
}
