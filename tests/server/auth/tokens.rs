//! OAUTHBEARER and XOAUTH2, with tokens of a test issuer.

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kit::{Client, Folder, Server};
use serde_json::{Value, json};

use super::{challenge, encode, hears, offered};

const USER: &str = "alice@example.com";

struct Issuer {
    pair: Ed25519KeyPair,
}

impl Issuer {
    fn new() -> Issuer {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Issuer { pair: Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap() }
    }

    /// Writes the key set.
    fn publish(&self, path: &PathBuf) {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "use": "sig", "x": x });
        fs::write(path, json!({ "keys": [key] }).to_string()).unwrap();
    }

    fn sign(&self, user: &str, changes: Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({ "iss": "issuer", "aud": "mail", "exp": now + 300,
            "email": user, "email_verified": true });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let header = json!({ "alg": "EdDSA", "kid": "k", "typ": "JWT" });
        let [header, claims] =
            [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signature = self.pair.sign(format!("{header}.{claims}").as_bytes());
        format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn start(issuer: &Issuer, more: &[&str]) -> (Folder, Server, PathBuf) {
    let folder = Folder::empty();
    folder.add_user(USER, "secret", &[]);
    folder.add_user("bob@example.com", "secret", &[]);
    let keys = folder.path().join("keys.json");
    issuer.publish(&keys);
    let path = keys.to_str().unwrap().to_owned();
    let flags = ["--oauth-keys", &path, "--oauth-issuer", "issuer", "--oauth-audience", "mail"];
    let claim = ["--oauth-user-claim", "email"];
    let server = Server::with(&folder, &[&flags[..], &claim, more].concat());
    (folder, server, keys)
}

fn bearer(client: &mut Client, header: &str, token: &str) -> String {
    let response = encode(format!("{header}\x01host=mail\x01auth=Bearer {token}\x01\x01"));
    let tag = client.tag();
    client.send(format!("{tag} AUTHENTICATE OAUTHBEARER {response}\r\n").as_bytes());
    let answer = client.response().expect("an answer").text();
    if answer.starts_with("+ ") {
        // RFC 7628 section 3.2.2 and 3.2.3.
        assert_eq!(answer, format!("+ {}", encode(r#"{"status":"invalid_token"}"#)));
        client.send(b"AQ==\r\n");
        return client.reply(&tag).tagged;
    }
    answer.strip_prefix(&format!("{tag} ")).expect("the tagged answer").to_owned()
}

#[test]
fn a_token_logs_in_who_it_names() {
    let issuer = Issuer::new();
    let (_folder, server, _) = start(&issuer, &[]);
    let token = issuer.sign(USER, json!({}));
    let mut client = server.connect();
    assert!(offered(&mut client).contains(&"AUTH=OAUTHBEARER".to_owned()));
    for header in ["n,,", "n,a=alice@example.com,"] {
        let answer = bearer(&mut server.connect(), header, &token);
        assert!(answer.starts_with("OK "), "{answer}");
    }
    let google = encode(format!("user={USER}\x01auth=Bearer {token}\x01\x01"));
    client.ok(&format!("AUTHENTICATE XOAUTH2 {google}"));
}

#[test]
fn bad_tokens_are_refused_by_an_error_and_a_no() {
    let issuer = Issuer::new();
    let (folder, server, _) = start(&issuer, &[]);
    let refused = |token: &str| {
        let answer = bearer(&mut server.connect(), "n,,", token);
        assert!(answer.starts_with("NO [AUTHENTICATIONFAILED] "), "{answer}");
    };
    refused(&Issuer::new().sign(USER, json!({})));
    refused(&issuer.sign(USER, json!({ "aud": "other" })));
    refused(&issuer.sign(USER, json!({ "exp": 1 })));
    refused(&issuer.sign("nobody@example.com", json!({})));
    // An unverified mail address identifies no user.
    refused(&issuer.sign(USER, json!({ "email_verified": "false" })));
    refused("");
    let token = issuer.sign(USER, json!({}));
    let answer = bearer(&mut server.connect(), "n,a=bob@example.com,", &token);
    assert!(answer.starts_with("NO [AUTHORIZATIONFAILED] "), "{answer}");
    // XOAUTH2 has an error of its own, and an empty response to it; or the client cancels.
    let mut client = server.connect();
    for response in ["", "*"] {
        let google = encode(format!("user={USER}\x01auth=Bearer x\x01\x01"));
        client.send(format!("x AUTHENTICATE XOAUTH2 {google}\r\n").as_bytes());
        let error: Value = serde_json::from_slice(&challenge(&mut client)).unwrap();
        assert_eq!(error["status"], "401");
        client.send(format!("{response}\r\n").as_bytes());
        hears(&mut client, "x NO [AUTHENTICATIONFAILED] ");
    }
    assert!(server.terminate().success());
    let log = fs::read_to_string(folder.log()).unwrap();
    assert!(log.contains("token refused: InvalidAudience"), "{log}");
    assert!(!log.contains(&token), "a token is not logged");
}

#[test]
fn keys_that_change_are_read_anew() {
    let issuer = Issuer::new();
    let (_folder, server, keys) = start(&issuer, &[]);
    let next = Issuer::new();
    let token = next.sign(USER, json!({}));
    assert!(bearer(&mut server.connect(), "n,,", &token).starts_with("NO "));
    next.publish(&keys);
    assert!(bearer(&mut server.connect(), "n,,", &token).starts_with("OK "));
}

#[test]
fn a_master_acts_by_token_too() {
    let issuer = Issuer::new();
    let (_folder, server, _) = start(&issuer, &["--master-user", "bob@example.com"]);
    let token = issuer.sign("bob@example.com", json!({}));
    let answer = bearer(&mut server.connect(), "n,a=alice@example.com,", &token);
    assert!(answer.starts_with("OK "), "{answer}");
}

#[test]
fn without_keys_there_is_nothing_of_it_and_bad_ones_are_named() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let mut client = server.connect();
    assert!(!offered(&mut client).iter().any(|word| word.contains("OAUTH")));
    client.send(b"a AUTHENTICATE OAUTHBEARER\r\n");
    hears(&mut client, "a NO [CANNOT] ");
    drop(server);
    let bad = folder.path().join("bad.json");
    let path = bad.to_str().unwrap();
    let most = ["--oauth-keys", path, "--oauth-issuer", "i", "--oauth-audience", "a"];
    let flags = [&most[..], &["--oauth-user-claim", "sub"]].concat();
    let output = Server::fail(&folder.path(), &flags);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    fs::write(&bad, "{}").unwrap();
    let output = Server::fail(&folder.path(), &flags);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(78) && text.contains("--oauth-keys"), "{text}");
    let output = Server::fail(&folder.path(), &["--oauth-keys", path]);
    assert_eq!(output.status.code(), Some(64));
    // The operator has to name the issuer to trust.
    let output = Server::fail(&folder.path(), &most);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(64) && text.contains("--oauth-user-claim"), "{text}");
}

/// A token that is refused.
#[test]
fn a_token_writes_no_line_of_the_log() {
    let issuer = Issuer::new();
    let forged = "x\n2026-11-30T07:00:00.000000Z  INFO connection{user=\"admin\"}: logged in\
                  \r\n\u{1b}[31mred\u{202e}\u{2028}\u{9b}31m\u{e0041}";
    let header = URL_SAFE_NO_PAD.encode(json!({ "alg": forged }).to_string());
    for format in ["text", "json"] {
        let (folder, server, _) = start(&issuer, &["--log-format", format, "--log", "debug"]);
        let answer = bearer(&mut server.connect(), "n,,", &format!("{header}.e30.AAAA"));
        assert!(answer.starts_with("NO [AUTHENTICATIONFAILED] "), "{answer}");
        // Names sent by the client take another path.
        let name = encode(format!("n,a={forged},\x01auth=Bearer {header}.e30.AAAA\x01\x01"));
        server.connect().send(format!("x AUTHENTICATE XOAUTH2 {name}\r\n").as_bytes());
        let name = encode(format!("\0{forged}\0x"));
        server.connect().send(format!("x AUTHENTICATE PLAIN {name}\r\n").as_bytes());
        let mut client = server.connect();
        client.send(format!("x LOGIN {{{}+}}\r\n{forged} wrong\r\n", forged.len()).as_bytes());
        hears(&mut client, "x NO ");
        assert!(server.terminate().success());
        let log = fs::read_to_string(folder.log()).unwrap();
        assert!(log.contains("token refused") && log.contains("login refused"), "{log}");
        for line in log.lines() {
            let begins = if format == "json" { "{\"timestamp\":\"20" } else { "20" };
            assert!(line.starts_with(begins) && !line.starts_with("2026-11-30T07:00:00"), "{line}");
            assert!(!line.contains(mailrace::stats::is_hidden), "{line:?}");
        }
    }
}
