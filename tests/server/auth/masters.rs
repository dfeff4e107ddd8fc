//! Master users: off unless configured.

use std::fs;

use kit::{Client, Folder, PASSWORD, Server, USER};

use super::{encode, hears, scram};

fn folder() -> Folder {
    let folder = Folder::new();
    folder.add_user("admin", "root", &[]);
    folder.add_user("bob", "pw", &[]);
    folder
}

fn plain(client: &mut Client, target: &str, name: &str, password: &str) -> String {
    let message = encode(format!("{target}\0{name}\0{password}"));
    client.command(&format!("AUTHENTICATE PLAIN {message}")).tagged
}

/// A mailbox that shows whose account it is.
fn whose(client: &mut Client) -> String {
    let texts = client.ok("LIST \"\" *").texts().concat();
    ["alices", "bobs"].into_iter().filter(|name| texts.contains(name)).collect()
}

#[test]
fn a_master_opens_the_mail_of_others_by_each_mechanism() {
    let folder = folder();
    let server = Server::with(&folder, &["--master-user", "admin", "--master-user", "other"]);
    for (name, password) in [(USER, PASSWORD), ("bob", "pw")] {
        let mut client = server.connect();
        client.ok(&format!("LOGIN {name} {password}"));
        client.ok(&format!("CREATE {name}s"));
    }
    let mut client = server.connect();
    client.ok("LOGIN \"alice*admin\" root");
    assert_eq!(whose(&mut client), "alices");
    let mut client = server.connect();
    assert!(plain(&mut client, "", "bob*admin", "root").starts_with("OK "));
    assert_eq!(whose(&mut client), "bobs");
    let mut client = server.connect();
    assert!(plain(&mut client, USER, "admin", "root").starts_with("OK "));
    assert_eq!(whose(&mut client), "alices");
    for (header, name) in [("n,,", "alice*admin"), ("n,a=alice,", "admin")] {
        let mut client = server.connect();
        let reply = scram::login(&mut client, header, name, "root");
        assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
        assert_eq!(whose(&mut client), "alices");
    }
    // A master user has mail of its own, too.
    let mut client = server.connect();
    client.ok("LOGIN admin root");
    assert_eq!(whose(&mut client), "");
    assert!(server.terminate().success());
    let log = fs::read_to_string(folder.log()).unwrap();
    assert_eq!(log.matches("master=").count(), 5, "{log}");
    assert!(log.contains("INFO") && log.contains("master=\"admin\""), "{log}");
}

#[test]
fn a_master_needs_his_own_password_and_somebody_who_is_there() {
    let server = Server::with(&folder(), &["--master-user", "admin"]);
    let command = |command: &str| server.connect().command(command).tagged;
    assert!(command("LOGIN \"alice*admin\" wrong").starts_with("NO [AUTHENTICATIONFAILED] "));
    assert!(command("LOGIN \"alice*admin\" secret").starts_with("NO [AUTHENTICATIONFAILED] "));
    assert!(command("LOGIN \"nobody*admin\" root").starts_with("NO [AUTHORIZATIONFAILED] "));
    // Also when the password is cached.
    server.connect().ok("LOGIN \"alice*admin\" root");
    assert!(command("LOGIN \"nobody*admin\" root").starts_with("NO [AUTHORIZATIONFAILED] "));
    assert!(command("LOGIN \"alice*bob\" pw").starts_with("NO [AUTHENTICATIONFAILED] "));
    let refused = plain(&mut server.connect(), USER, "bob", "pw");
    assert!(refused.starts_with("NO [AUTHORIZATIONFAILED] "), "{refused}");
}

#[test]
fn there_is_none_unless_configured() {
    let server = Server::start(&folder());
    let command = |command: &str| server.connect().command(command).tagged;
    assert!(command("LOGIN \"alice*admin\" root").starts_with("NO [AUTHENTICATIONFAILED] "));
    let refused = plain(&mut server.connect(), USER, "admin", "root");
    assert!(refused.starts_with("NO [AUTHORIZATIONFAILED] "), "{refused}");
}

#[test]
fn the_sessions_of_a_master_end_with_his_password() {
    let folder = folder();
    let server = Server::with(&folder, &["--master-user", "admin"]);
    let mut acting = server.connect();
    acting.ok("LOGIN \"alice*admin\" root");
    let mut alice = server.login();
    folder.passwd("admin", "changed", &[]);
    // A login reads the file.
    server.login();
    acting.send(b"a NOOP\r\n");
    hears(&mut acting, "* BYE ");
    alice.ok("NOOP");
}
