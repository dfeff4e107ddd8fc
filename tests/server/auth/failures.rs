//! Failed logins are delayed and cut off, and do not affect other users.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use kit::{Client, Folder, PASSWORD, Server, USER};
use mailrace::limits::{LOGIN_FAILURES_EACH, LOGINS_OF_CONNECTION};
use socket2::{Domain, Socket, Type};

use super::{hears, scram};

/// A connection from 127.0.0.`host`.
fn connect(server: &Server, host: u8) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0)).into()).unwrap();
    socket.connect(&server.address().into()).unwrap();
    let mut client = Client::over(TcpStream::from(socket));
    hears(&mut client, "* OK ");
    client
}

/// Failed logins, each on a connection of its own. The answers are still to be read.
fn fail(server: &Server, host: u8, names: impl Iterator<Item = String>) -> Vec<Client> {
    let clients = names.map(|name| {
        let mut client = connect(server, host);
        client.send(format!("f LOGIN {name} wrong\r\n").as_bytes());
        client
    });
    clients.collect()
}

#[test]
fn answers_to_failures_come_later_and_a_connection_has_few() {
    let server = Server::start(&Folder::new());
    let mut client = connect(&server, 2);
    for failure in 0..LOGINS_OF_CONNECTION {
        let begun = Instant::now();
        client.send(b"a LOGIN alice wrong\r\n");
        hears(&mut client, "a NO [AUTHENTICATIONFAILED] ");
        let least = Duration::from_millis(500) * 2u32.pow(failure);
        assert!(begun.elapsed() >= least, "{failure}: {:?}", begun.elapsed());
    }
    hears(&mut client, "* BYE 4 logins have failed on this connection");
    assert_eq!(client.line(), None);
    // A right password is not delayed, whatever its address.
    for host in [2, 3] {
        let mut client = connect(&server, host);
        let begun = Instant::now();
        client.ok(&format!("LOGIN {USER} {PASSWORD}"));
        println!("a right login among failures took {:?}", begun.elapsed());
    }
}

/// A program tries one wrong password repeatedly, and others share its address.
#[test]
fn one_wrong_password_does_not_lock_out_others() {
    let folder = Folder::new();
    folder.add_user("bob", "pw", &[]);
    let server = Server::start(&folder);
    // Twenty, twice as many as are checked.
    let mut wrong = fail(&server, 2, (0..20).map(|_| USER.to_owned()));
    let answers: Vec<_> = wrong.iter_mut().map(|client| client.reply("f").tagged).collect();
    let looked_at = answers.iter().filter(|answer| answer.contains("[AUTHENTICATIONFAILED]"));
    assert_eq!(looked_at.count() as u32, LOGIN_FAILURES_EACH, "{answers:#?}");
    let refused = answers.iter().find(|answer| answer.starts_with("NO [UNAVAILABLE] ")).unwrap();
    // Only the operator is told the flag.
    assert!(refused.contains("try again in ") && !refused.contains("--"), "{refused}");
    connect(&server, 2).ok("LOGIN bob pw");
    // The user can log in from elsewhere, and with SCRAM.
    connect(&server, 3).ok(&format!("LOGIN {USER} {PASSWORD}"));
    let reply = scram::login(&mut connect(&server, 3), "n,,", USER, PASSWORD);
    assert!(reply.tagged.starts_with("OK "));
    // Then from the first address as well: the password was right a moment ago.
    connect(&server, 2).ok(&format!("LOGIN {USER} {PASSWORD}"));
    assert!(server.terminate().success());
    let log = std::fs::read_to_string(folder.log()).unwrap();
    assert!(log.contains("seconds; see --login-failures"), "{log}");
}

#[test]
fn an_address_that_guesses_is_refused_but_for_who_was_there_before() {
    let folder = Folder::new();
    folder.add_user("bob", "pw", &[]);
    let server = Server::with(&folder, &["--login-failures", "12"]);
    connect(&server, 2).ok(&format!("LOGIN {USER} {PASSWORD}"));
    let mut wrong = fail(&server, 2, (0..20).map(|number| format!("user{number}")));
    let answers: Vec<_> = wrong.iter_mut().map(|client| client.reply("f").tagged).collect();
    let looked_at = answers.iter().filter(|answer| answer.contains("[AUTHENTICATIONFAILED]"));
    assert_eq!(looked_at.count(), 12, "{answers:#?}");
    // It is not checked, though it is right. Nor is a SCRAM proof.
    let mut clients = [connect(&server, 2), connect(&server, 2)];
    clients[0].send(b"s LOGIN bob pw\r\n");
    clients[1].send(b"s AUTHENTICATE SCRAM-SHA-256 biwsbj1ib2Iscj14\r\n");
    for client in &mut clients {
        hears(client, "s NO [UNAVAILABLE] ");
    }
    connect(&server, 2).ok(&format!("LOGIN {USER} {PASSWORD}"));
    connect(&server, 3).ok("LOGIN bob pw");
}

/// The hash takes 256 MiB and eight passes, longer than the deadline of a tenth of a second.
#[test]
fn a_login_that_takes_longer_than_there_is_time_is_not_called_wrong() {
    let folder = Folder::new();
    let users = folder.path().join("users");
    let line = "\nslow:$argon2id$v=19$m=262144,t=64,p=1$c2FsdHNhbHRzYWx0$\
                AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:none\n";
    let text = std::fs::read_to_string(&users).unwrap() + line;
    std::fs::write(&users, text).unwrap();
    let server = Server::with(&folder, &["--login-time", "1"]);
    let reply = server.connect().command("LOGIN slow pw").tagged;
    assert_eq!(reply, "NO [UNAVAILABLE] the server is busy; try again");
}
