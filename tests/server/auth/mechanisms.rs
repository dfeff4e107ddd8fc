//! PLAIN and LOGIN, and when each mechanism is offered.

use std::net::SocketAddr;

use kit::{Client, Folder, PASSWORD, Server, USER, own_address};

use super::{challenge, encode, hears, offered, scram};

#[test]
fn login_asks_for_name_and_password() {
    let server = Server::start(&Folder::new());
    let mut client = server.connect();
    client.send(b"a AUTHENTICATE LOGIN\r\n");
    assert_eq!(challenge(&mut client), b"Username:");
    client.send(format!("{}\r\n", encode(USER)).as_bytes());
    assert_eq!(challenge(&mut client), b"Password:");
    client.send(format!("{}\r\n", encode("wrong")).as_bytes());
    hears(&mut client, "a NO [AUTHENTICATIONFAILED] ");
    // Some clients send the name with the command.
    client.send(format!("b authenticate login {}\r\n", encode(USER)).as_bytes());
    assert_eq!(challenge(&mut client), b"Password:");
    client.send(format!("{}\r\n", encode(PASSWORD)).as_bytes());
    hears(&mut client, "b OK ");
}

#[test]
fn plain_with_and_without_an_initial_response() {
    let server = Server::start(&Folder::new());
    let message = encode(format!("\0{USER}\0{PASSWORD}"));
    server.connect().ok(&format!("AUTHENTICATE PLAIN {message}"));
    let mut client = server.connect();
    client.send(b"a AUTHENTICATE PLAIN\r\n");
    assert_eq!(challenge(&mut client), b"");
    client.send(format!("{message}\r\n").as_bytes());
    hears(&mut client, "a OK ");
}

#[test]
fn an_exchange_can_be_cancelled_at_each_step() {
    let server = Server::start(&Folder::new());
    let mut client = server.connect();
    let first = encode("n,,n=alice,r=x");
    for steps in [
        &["AUTHENTICATE PLAIN"][..],
        &["AUTHENTICATE LOGIN"],
        &["AUTHENTICATE LOGIN", "YWxpY2U="],
        &["AUTHENTICATE SCRAM-SHA-256"],
        &["AUTHENTICATE SCRAM-SHA-256", &first],
    ] {
        let tag = client.tag();
        for (number, step) in steps.iter().enumerate() {
            let tag = if number == 0 { format!("{tag} ") } else { String::new() };
            client.send(format!("{tag}{step}\r\n").as_bytes());
            hears(&mut client, "+ ");
        }
        client.send(b"*\r\n");
        hears(&mut client, &format!("{tag} BAD "));
    }
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
}

#[test]
fn a_response_without_end_ends_the_connection() {
    let server = Server::start(&Folder::new());
    let mut client = server.connect();
    client.send(b"a AUTHENTICATE PLAIN\r\n");
    assert_eq!(challenge(&mut client), b"");
    client.send(&vec![b'A'; mailrace::limits::LINE_BEFORE_LOGIN]);
    while client.try_send(&[b'A'; 1000]) {}
    assert_eq!(client.line_or_end(), None);
}

#[test]
fn what_is_offered_can_be_restricted() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let all = ["AUTH=SCRAM-SHA-256", "AUTH=PLAIN", "AUTH=LOGIN"];
    assert_eq!(offered(&mut server.connect()), all);
    drop(server);
    let server = Server::with(&folder, &["--auth-mechanisms", "scram-sha-256,plain"]);
    let mut client = server.connect();
    assert_eq!(offered(&mut client), ["AUTH=SCRAM-SHA-256", "AUTH=PLAIN"]);
    client.send(b"a AUTHENTICATE LOGIN\r\n");
    hears(&mut client, "a NO [CANNOT] ");
    client.send(b"a AUTHENTICATE GSSAPI\r\n");
    hears(&mut client, "a NO [CANNOT] ");
    client.ok(&format!("LOGIN {USER} {PASSWORD}"));
    drop(server);
    let server = Server::with(&folder, &["--auth-mechanisms", "SCRAM-SHA-256"]);
    let mut client = server.connect();
    assert_eq!(offered(&mut client), ["AUTH=SCRAM-SHA-256", "LOGINDISABLED"]);
    let reply = client.command(&format!("LOGIN {USER} {PASSWORD}"));
    assert!(reply.tagged.starts_with("NO [CANNOT] "), "{}", reply.tagged);
    assert!(scram::login(&mut client, "n,,", USER, PASSWORD).tagged.starts_with("OK "));
    let output = Server::fail(&folder.path(), &["--auth-mechanisms", "GSSAPI"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("SCRAM-SHA-256-PLUS"));
}

#[test]
fn passwords_in_clear_text_come_from_this_machine_alone() {
    let Some(address) = own_address() else {
        eprintln!("skipped: this machine has no address but its loopback");
        return;
    };
    let folder = Folder::new();
    let connect = |server: &Server| {
        let mut client = Client::connect(SocketAddr::new(address, server.address().port()));
        hears(&mut client, "* OK ");
        client
    };
    let server = Server::with(&folder, &["--listen", "0.0.0.0:0"]);
    let mut client = connect(&server);
    assert_eq!(offered(&mut client), ["AUTH=SCRAM-SHA-256", "LOGINDISABLED"]);
    let plain = format!("AUTHENTICATE PLAIN {}", encode(format!("\0{USER}\0{PASSWORD}")));
    let login = format!("LOGIN {USER} {PASSWORD}");
    for command in [&*plain, &login, "AUTHENTICATE LOGIN", "AUTHENTICATE XOAUTH2"] {
        let reply = client.command(command);
        assert!(reply.tagged.starts_with("NO [PRIVACYREQUIRED] "), "{}", reply.tagged);
    }
    assert!(scram::login(&mut client, "n,,", USER, PASSWORD).tagged.starts_with("OK "));
    drop(server);
    let server = Server::with(&folder, &["--listen", "0.0.0.0:0", "--allow-plaintext-auth"]);
    let mut client = connect(&server);
    assert_eq!(offered(&mut client), ["AUTH=SCRAM-SHA-256", "AUTH=PLAIN", "AUTH=LOGIN"]);
    client.ok(&login);
}
