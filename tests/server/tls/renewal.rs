//! Certificates that are replaced while the server runs.

use std::fs;
use std::thread;
use std::time::Duration;

use kit::{Client, Folder, Identity, Server};
use rustix::process::Signal;
use rustls::version::TLS13;

use super::{greeted, login, start};

/// Waits until the log has this text this many times.
fn wait_for_log(server: &Server, text: &str, times: usize) {
    for _ in 0..6000 {
        if server.log().matches(text).count() >= times {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("no {text:?} in the log:\n{}", server.log());
}

#[test]
fn a_new_certificate_is_shown_to_new_clients_and_nobody_is_cut_off() {
    let (_folder, identity, server) = start(&[]);
    let before = identity.config(&TLS13);
    let mut old = Client::by_tls(server.tls_address(), before.clone());
    greeted(&mut old);
    login(&mut old);
    identity.renew();
    // Not before SIGHUP.
    greeted(&mut Client::by_tls(server.tls_address(), before.clone()));
    server.signal(Signal::HUP);
    wait_for_log(&server, "certificate and key reloaded", 1);
    let mut new = Client::by_tls(server.tls_address(), identity.config(&TLS13));
    greeted(&mut new);
    login(&mut new);
    assert!(!Client::by_tls(server.tls_address(), before).try_send(b"a NOOP\r\n"));
    old.ok("NOOP");
    // A bad certificate is named, and the last good one stays in use.
    fs::write(&identity.key, "no key").unwrap();
    let good = identity.config(&TLS13);
    server.signal(Signal::HUP);
    wait_for_log(
        &server,
        "certificate not reloaded, keeping the previous one: there is no private key in",
        1,
    );
    greeted(&mut Client::by_tls(server.tls_address(), good));
    old.ok("NOOP");
    new.ok("NOOP");
    assert!(server.terminate().success());
}

#[test]
fn a_server_does_not_start_with_what_does_not_do() {
    let folder = Folder::new();
    let identity = Identity::new(&folder);
    let said = |flags: &[&str]| {
        let output = Server::fail(&folder.path(), flags);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = said(&["--tls-listen", "127.0.0.1:0"]);
    assert!(code == Some(64) && text.contains("--tls-cert"), "{code:?} {text}");
    let flags = identity.flags();
    let (code, text) = said(&flags[..4]);
    assert!(code == Some(64) && text.contains("--tls-key"), "{code:?} {text}");
    fs::remove_file(&identity.key).unwrap();
    let (code, text) = said(&flags);
    assert!(code == Some(78) && text.contains("key.pem: No such file"), "{code:?} {text}");
    Identity::new(&folder);
    fs::write(&identity.certificate, "nothing").unwrap();
    let (code, text) = said(&flags);
    assert!(code == Some(78) && text.contains("no certificate in"), "{code:?} {text}");
}
