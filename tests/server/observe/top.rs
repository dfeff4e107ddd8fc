//! `mailrace top --once`: the page as text.

use kit::{Folder, Message, Server, mailrace};

use super::{observed, until};

#[test]
fn it_prints_what_the_page_shows() {
    let (server, admin) = observed(&Folder::new(), &[]);
    let mut client = server.login();
    let message = Message { options: "", octets: &[b'x'; 3000] };
    assert!(client.append("INBOX", &[message; 5]).tagged.starts_with("OK"));
    assert!(client.append("nowhere", &[message]).tagged.starts_with("NO"));
    let mut stranger = server.connect();
    assert!(stranger.command("LOGIN {8+}\r\nno\x1b[31mx bad").tagged.starts_with("NO"));
    let text = until(|| {
        let output = mailrace(&["top", "--once", "--admin", &admin.to_string()], "");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        (text.contains("token is wrong") && text.contains("1 in progress")).then_some(text)
    });
    assert!(text.contains(&format!("on {}", server.address())), "{text}");
    assert!(text.contains("accepts mail") && text.contains("5 messages, 15.0 kB"), "{text}");
    assert!(text.contains("no\u{fffd}[31mx"), "{text}");
    assert!(text.contains("alice: nowhere") && text.contains("CREATE it first"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
}

#[test]
fn who_does_not_answer_is_named() {
    let server = Server::start(&Folder::new());
    let address = server.address().to_string();
    let output = mailrace(&["top", "--once", "--admin", &address], "");
    assert_eq!(output.status.code(), Some(76), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address), "{output:?}");
    drop(server);
    let output = mailrace(&["top", "--admin", &address], "");
    assert_eq!(output.status.code(), Some(74), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&address) && said.contains("--admin?"), "{said}");
}
