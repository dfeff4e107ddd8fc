//! Connections that are not TLS, or end in the middle of it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use kit::{Client, Message};
use rustls::version::TLS13;

use super::{greeted, login, octets, start};

#[test]
fn what_is_no_tls_is_turned_away_and_others_go_on() {
    let (_folder, identity, server) = start(&[]);
    let mut client = Client::by_tls(server.tls_address(), identity.config(&TLS13));
    greeted(&mut client);
    login(&mut client);
    let garbage = octets(100_000, 1);
    let endless = [b"\x16\x03\x01\x40\x00".as_slice(), &[0; 16 << 10]].concat();
    for sent in [&b"a LOGIN alice secret\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", &garbage, &endless] {
        for cut in [sent.len(), sent.len() / 2, 1] {
            let mut socket = TcpStream::connect(server.tls_address()).unwrap();
            // It may have closed the connection already.
            let _ = socket.write_all(&sent[..cut]);
            let _ = socket.shutdown(Shutdown::Write);
            let mut heard = Vec::new();
            let _ = socket.read_to_end(&mut heard);
            assert!(!heard.starts_with(b"* "), "a greeting in clear text");
        }
    }
    client.ok("NOOP");
}

/// A handshake of 64 KiB in records of one octet each.
#[test]
fn a_handshake_without_end_is_cut_off() {
    let (_folder, identity, server) = start(&[]);
    let mut socket = TcpStream::connect(server.tls_address()).unwrap();
    let mut sent = 0_usize;
    let mut octet = *b"\x16\x03\x01\x00\x01\x01";
    // A ClientHello of 65,535 octets begins like this.
    for (at, first) in [1, 0, 0xff, 0xff].into_iter().chain(std::iter::repeat(0)).enumerate() {
        octet[5] = first;
        if at == 70_000 {
            panic!("{sent} octets were taken");
        }
        if socket.write_all(&octet).is_err() {
            break;
        }
        sent += octet.len();
    }
    greeted(&mut Client::by_tls(server.tls_address(), identity.config(&TLS13)));
}

#[test]
fn whoever_does_not_come_to_an_end_with_the_handshake_is_cut_off() {
    let (_folder, identity, server) = start(&["--login-time", "1"]);
    let mut hello = Vec::new();
    let mut other = Client::by_tls(server.tls_address(), identity.config(&TLS13));
    other.tls().write_tls(&mut hello).unwrap();
    let ends: Vec<_> = [0, 1, 100, hello.len()]
        .into_iter()
        .map(|sent| {
            let mut socket = TcpStream::connect(server.tls_address()).unwrap();
            socket.write_all(&hello[..sent]).unwrap();
            thread::spawn(move || {
                let mut heard = Vec::new();
                let _ = socket.read_to_end(&mut heard);
            })
        })
        .collect();
    ends.into_iter().for_each(|end| end.join().unwrap());
}

/// A connection cut between two records forges nothing: an incomplete message is not stored.
#[test]
fn a_message_that_was_cut_off_is_not_there() {
    let (_folder, identity, server) = start(&[]);
    let message = octets(500_000, 6);
    let text = kit::append_text("x", "INBOX", &[Message { options: "", octets: &message }]);
    for cut in [1000, 400_000, text.len() - 2] {
        let mut client = Client::by_tls(server.tls_address(), identity.config(&TLS13));
        greeted(&mut client);
        login(&mut client);
        client.send(&text[..cut]);
        // Once without the alert that ends TLS, once with it.
        if cut == 1000 {
            client.tls().send_close_notify();
            client.send(b"");
        }
        client.end();
        assert!(client.line_or_end().is_none(), "an answer to half a message");
    }
    let texts = server.login().ok("STATUS INBOX (MESSAGES)").texts();
    assert!(texts[0].contains("(MESSAGES 0)"), "{texts:?}");
}
