//! TLS as clients see it: implicit and with STARTTLS; certificates that are replaced during
//! sessions; connections that are not TLS, or end in the middle of it.

mod hostile;
mod renewal;

use std::io::Write;

use kit::{Client, Folder, Identity, Message, PASSWORD, Server, USER};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

/// A server with a certificate.
fn start(flags: &[&str]) -> (Folder, Identity, Server) {
    let folder = Folder::new();
    let identity = Identity::new(&folder);
    let server = Server::with(&folder, &[&identity.flags(), flags].concat());
    (folder, identity, server)
}

fn greeted(client: &mut Client) -> String {
    let greeting = client.response().expect("a greeting").text();
    assert!(greeting.starts_with("* OK "), "{greeting}");
    greeting
}

fn login(client: &mut Client) {
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
}

fn capabilities(client: &mut Client) -> String {
    client.ok("CAPABILITY").texts().remove(0)
}

/// Random octets.
fn octets(length: usize, seed: u64) -> Vec<u8> {
    let mut random = kit::Random::new(seed);
    (0..length).map(|_| random.below(256) as u8).collect()
}

fn fetched(client: &mut Client, number: u32) -> Vec<u8> {
    let reply = client.ok(&format!("FETCH {number} BINARY.PEEK[]"));
    reply.untagged[0].literals[0].clone()
}

#[test]
fn mail_comes_in_and_goes_out_by_tls() {
    let (_folder, identity, server) = start(&[]);
    let messages = [octets(3_000_000, 1), octets(1, 2), octets(70_000, 3)];
    let messages = messages.each_ref().map(|octets| Message { options: "", octets });
    for (number, version) in [&TLS12, &TLS13].into_iter().enumerate() {
        let config = identity.config(version);
        let mut client = Client::by_tls(server.tls_address(), config.clone());
        let greeting = greeted(&mut client);
        assert!(greeting.contains(" AUTH=PLAIN"), "{greeting}");
        assert!(!greeting.contains("STARTTLS"), "{greeting}");
        assert_eq!(client.tls().handshake_kind(), Some(HandshakeKind::Full));
        login(&mut client);
        let reply = client.append("INBOX", &messages);
        assert!(reply.tagged.starts_with("OK [APPENDUID "), "{}", reply.tagged);
        let reply = client.append_in_step("INBOX", &messages);
        assert!(reply.tagged.starts_with("OK [APPENDUID "), "{}", reply.tagged);
        client.ok("SELECT INBOX");
        for (at, message) in messages.iter().chain(&messages).enumerate() {
            let back = fetched(&mut client, (number * 6 + at + 1) as u32);
            assert!(back == message.octets, "message {at} by {version:?}");
        }
        client.ok("LOGOUT");
        // It closes TLS properly: nothing was cut off.
        assert_eq!(client.line(), None);
        // With the ticket the next connection resumes.
        let mut client = Client::by_tls(server.tls_address(), config);
        greeted(&mut client);
        assert_eq!(client.tls().handshake_kind(), Some(HandshakeKind::Resumed));
        login(&mut client);
    }
}

#[test]
fn the_accounts_of_all_reactors_are_reached() {
    let (folder, identity, server) = start(&["--reactors", "2"]);
    let config = identity.config(&TLS13);
    for number in 0..8 {
        let user = format!("user-{number}");
        folder.add_user(&user, PASSWORD, &[]);
        let mut client = Client::by_tls(server.tls_address(), config.clone());
        greeted(&mut client);
        // The next commands arrive with the login, before the connection moves.
        let text =
            format!("a LOGIN {user} {PASSWORD}\r\nb NOOP\r\nc APPEND INBOX {{5+}}\r\nhello\r\n");
        client.send(text.as_bytes());
        for tag in ["a", "b", "c"] {
            let reply = client.reply(tag);
            assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
        }
        let texts = client.ok("STATUS INBOX (MESSAGES)").texts();
        assert!(texts[0].contains("(MESSAGES 1)"), "{texts:?}");
    }
}

#[test]
fn news_come_while_a_client_idles_by_tls() {
    let (_folder, identity, server) = start(&[]);
    let mut idler = Client::by_tls(server.tls_address(), identity.config(&TLS13));
    greeted(&mut idler);
    login(&mut idler);
    idler.ok("SELECT INBOX");
    let tag = idler.tag();
    idler.send(format!("{tag} IDLE\r\n").as_bytes());
    assert!(idler.line().unwrap().starts_with(b"+ "));
    let mut other = server.login();
    let message = Message { options: "", octets: b"news" };
    assert!(other.append("INBOX", &[message]).tagged.starts_with("OK "));
    assert_eq!(idler.line().unwrap(), b"* 1 EXISTS");
    idler.send(b"DONE\r\n");
    assert!(idler.reply(&tag).tagged.starts_with("OK "));
}

#[test]
fn a_session_goes_over_to_tls_and_not_twice() {
    let (_folder, identity, server) = start(&[]);
    for version in [&TLS12, &TLS13] {
        let mut client = server.connect();
        assert!(capabilities(&mut client).contains(" STARTTLS"));
        client.ok("STARTTLS");
        client.secure(identity.config(version));
        let now = capabilities(&mut client);
        assert!(!now.contains("STARTTLS") && now.contains("AUTH=PLAIN"), "{now}");
        assert!(client.command("STARTTLS").tagged.starts_with("BAD "));
        login(&mut client);
        assert!(client.command("STARTTLS").tagged.starts_with("BAD "));
        let message = Message { options: "", octets: &octets(300_000, 4) };
        assert!(client.append("INBOX", &[message]).tagged.starts_with("OK "));
    }
    let mut client = server.login();
    assert!(client.command("STARTTLS").tagged.starts_with("BAD "));
    let folder = Folder::new();
    let server = Server::start(&folder);
    let mut client = server.connect();
    assert!(!capabilities(&mut client).contains("STARTTLS"));
    assert!(client.command("STARTTLS").tagged.starts_with("BAD "));
}

/// Octets that a man in the middle put behind STARTTLS must not be taken for the client's.
#[test]
fn what_comes_behind_starttls_in_clear_text_is_thrown_away() {
    let (_folder, identity, server) = start(&[]);
    let mut client = server.connect();
    client.send(format!("a STARTTLS\r\nb LOGIN {USER} {PASSWORD}\r\n").as_bytes());
    let reply = client.reply("a");
    assert!(reply.tagged.starts_with("OK ") && reply.untagged.is_empty(), "{reply:?}");
    client.secure(identity.config(&TLS13));
    // No user is logged in, and nothing answers `b`.
    let reply = client.command("SELECT INBOX");
    assert!(reply.tagged.starts_with("NO ") && reply.untagged.is_empty(), "{reply:?}");
    login(&mut client);
}

#[test]
fn passwords_come_in_clear_text_from_this_machine_only() {
    let Some(own) = kit::own_address() else {
        eprintln!("SKIPPED: this machine has no address but the loopback");
        return;
    };
    let folder = Folder::new();
    let identity = Identity::new(&folder);
    for allowed in [false, true] {
        let flag = ["--allow-plaintext-auth"];
        let flags = [&identity.flags()[..], if allowed { &flag } else { &[] }].concat();
        let server = Server::with(&folder, &[&flags[..], &["--listen", "0.0.0.0:0"]].concat());
        let mut client = Client::connect((own, server.address().port()).into());
        greeted(&mut client);
        let told = capabilities(&mut client);
        assert_eq!(told.contains("LOGINDISABLED"), !allowed, "{told}");
        assert_eq!(told.contains("AUTH=PLAIN"), allowed, "{told}");
        for command in [format!("LOGIN {USER} {PASSWORD}"), "AUTHENTICATE PLAIN AGEAYg==".into()] {
            let tagged = client.command(&command).tagged;
            match allowed {
                true => assert!(!tagged.starts_with("NO [PRIVACYREQUIRED]"), "{tagged}"),
                false => assert!(tagged.starts_with("NO [PRIVACYREQUIRED]"), "{tagged}"),
            }
        }
        if !allowed {
            client.ok("STARTTLS");
            client.secure(identity.config(&TLS13));
            login(&mut client);
        }
    }
}

/// Records may end anywhere in a segment, and octets of a message anywhere in a record.
#[test]
fn records_arrive_in_any_slices() {
    let (_folder, identity, server) = start(&[]);
    let message = octets(40_000, 5);
    for (number, slice) in [1, 5, 1000, 16_000].into_iter().enumerate() {
        let mut client = Client::by_tls(server.tls_address(), identity.config(&TLS13));
        greeted(&mut client);
        login(&mut client);
        let messages = [Message { options: "", octets: &message[..40_000.min(slice * 3000)] }; 2];
        let text = kit::append_text("x", "INBOX", &messages);
        let mut records = Vec::new();
        for part in text.chunks(3001) {
            client.tls().writer().write_all(part).unwrap();
            client.tls().refresh_traffic_keys().unwrap();
            while client.tls().wants_write() {
                client.tls().write_tls(&mut records).unwrap();
            }
        }
        for slice in records.chunks(slice) {
            let mut socket = client.socket();
            socket.write_all(slice).unwrap();
        }
        let reply = client.reply("x");
        assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
        client.ok("SELECT INBOX");
        for at in 1..=2 {
            assert!(fetched(&mut client, (number * 2 + at) as u32) == messages[0].octets);
        }
    }
}
