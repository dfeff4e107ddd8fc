//! A SCRAM-SHA-256 client, written from RFC 7677 and independent of the server.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kit::{Client, Folder, PASSWORD, Reply, Server, USER};

use super::{challenge, encode, hears, offered};

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

/// An attribute of a server message, by its letter.
fn attribute(message: &str, letter: char) -> String {
    let part = message.split(',').find_map(|part| part.strip_prefix(&format!("{letter}=")));
    part.unwrap_or_else(|| panic!("no {letter}= in {message}")).to_owned()
}

/// Logs in. Panics when the server does not prove that it knows the keys of the password.
/// `header` is the GS2 header.
pub fn login(client: &mut Client, header: &str, name: &str, password: &str) -> Reply {
    login_bound(client, "SCRAM-SHA-256", (header, b""), name, password)
}

/// The same with this mechanism, bound to these octets.
pub fn login_bound(
    client: &mut Client,
    mechanism: &str,
    (header, binding): (&str, &[u8]),
    name: &str,
    password: &str,
) -> Reply {
    let tag = client.tag();
    client.send(format!("{tag} AUTHENTICATE {mechanism}\r\n").as_bytes());
    assert_eq!(challenge(client), b"");
    let bare = format!("n={name},r=fyko+d2lbbFgONRv9qkxdawL");
    client.send(format!("{}\r\n", encode(format!("{header}{bare}"))).as_bytes());
    let server_first = String::from_utf8(challenge(client)).unwrap();
    let nonce = attribute(&server_first, 'r');
    assert!(nonce.starts_with("fyko+d2lbbFgONRv9qkxdawL") && nonce.len() > 40, "{nonce}");
    let salt = STANDARD.decode(attribute(&server_first, 's')).unwrap();
    let iterations: NonZeroU32 = attribute(&server_first, 'i').parse().unwrap();
    let mut salted = [0; 32];
    let kind = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(kind, iterations, &salt, password.as_bytes(), &mut salted);
    let client_key = mac(&salted, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, &client_key);
    let bound = encode([header.as_bytes(), binding].concat());
    let without_proof = format!("c={bound},r={nonce}");
    let message = format!("{bare},{server_first},{without_proof}");
    let signature = mac(stored_key.as_ref(), message.as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, mask)| key ^ mask).collect();
    let last = format!("{without_proof},p={}", encode(proof));
    client.send(format!("{}\r\n", encode(last)).as_bytes());
    let next = client.response().expect("an answer").text();
    if let Some(tagged) = next.strip_prefix(&format!("{tag} ")) {
        return Reply { untagged: Vec::new(), tagged: tagged.to_owned() };
    }
    let server_final = STANDARD.decode(next.strip_prefix("+ ").expect("a challenge")).unwrap();
    let expected = mac(&mac(&salted, b"Server Key"), message.as_bytes());
    assert_eq!(server_final, format!("v={}", encode(expected)).into_bytes());
    client.send(b"\r\n");
    client.reply(&tag)
}

#[test]
fn the_password_is_proved_and_so_are_its_keys() {
    let server = Server::start(&Folder::new());
    for header in ["n,,", "y,,", "n,a=alice,"] {
        let reply = login(&mut server.connect(), header, USER, PASSWORD);
        assert!(reply.tagged.starts_with("OK [CAPABILITY "), "{}", reply.tagged);
    }
    let mut client = server.connect();
    for (name, password) in [(USER, "wrong"), ("nobody", PASSWORD), ("Alice", PASSWORD)] {
        let reply = login(&mut client, "n,,", name, password);
        assert!(reply.tagged.starts_with("NO [AUTHENTICATIONFAILED] "), "{}", reply.tagged);
    }
    let reply = login(&mut server.connect(), "n,a=bob,", USER, PASSWORD);
    assert!(reply.tagged.starts_with("NO [AUTHORIZATIONFAILED] "), "{}", reply.tagged);
}

#[test]
fn it_is_offered_while_all_have_keys() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let mut client = server.connect();
    let has_scram = |client: &mut Client| offered(client).iter().any(|w| w.contains("SCRAM"));
    assert!(has_scram(&mut client));
    folder.add_user("bob", "pw", &["--no-scram"]);
    assert!(!has_scram(&mut client));
    client.send(b"s AUTHENTICATE SCRAM-SHA-256\r\n");
    hears(&mut client, "s NO [CANNOT] ");
    server.connect().ok("LOGIN bob pw");
    folder.passwd("bob", "other", &[]);
    assert!(has_scram(&mut client));
    assert!(login(&mut client, "n,,", "bob", "other").tagged.starts_with("OK "));
}

/// Salt and iterations of a name.
fn asked(server: &Server, name: &str) -> (String, String) {
    let mut client = server.connect();
    let first = encode(format!("n,,n={name},r=x"));
    client.send(format!("a AUTHENTICATE SCRAM-SHA-256 {first}\r\n").as_bytes());
    let server_first = String::from_utf8(challenge(&mut client)).unwrap();
    client.send(b"*\r\n");
    hears(&mut client, "a BAD ");
    (attribute(&server_first, 's'), attribute(&server_first, 'i'))
}

#[test]
fn who_asks_does_not_learn_which_names_there_are() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let (alice, nobody) = (asked(&server, USER), asked(&server, "nobody"));
    assert_eq!((alice.0.len(), &alice.1), (nobody.0.len(), &nobody.1));
    assert_ne!(nobody.0, asked(&server, "noone").0);
    // Not even by asking twice, or after a restart.
    assert_eq!(nobody, asked(&server, "nobody"));
    server.terminate();
    let server = Server::start(&folder);
    assert_eq!((alice, nobody), (asked(&server, USER), asked(&server, "nobody")));
}

#[test]
fn messages_that_do_not_fit_end_the_exchange() {
    let server = Server::start(&Folder::new());
    let mut client = server.connect();
    for (first, answer) in [
        ("n,,n=alice", "a BAD "),
        ("x", "a BAD "),
        ("n,,m=x,n=alice,r=x", "a BAD "),
        ("p=tls-exporter,,n=alice,r=x", "a NO [AUTHENTICATIONFAILED] "),
    ] {
        client.send(format!("a AUTHENTICATE SCRAM-SHA-256 {}\r\n", encode(first)).as_bytes());
        hears(&mut client, answer);
    }
    client
        .send(format!("a AUTHENTICATE SCRAM-SHA-256 {}\r\n", encode("n,,n=alice,r=x")).as_bytes());
    challenge(&mut client);
    client.send(format!("{}\r\n", encode("c=biws,r=x,p=AAAA")).as_bytes());
    hears(&mut client, "a BAD ");
    // SCRAM-SHA-256-PLUS needs TLS.
    client.send(b"a AUTHENTICATE SCRAM-SHA-256-PLUS\r\n");
    hears(&mut client, "a NO [CANNOT] ");
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
}
