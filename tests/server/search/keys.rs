//! Each key at its edges.

use kit::{Client, Folder, Server};

use super::{append, found, mailbox};

const PLAIN: &[u8] = b"Date: Mon, 7 Feb 1994 23:52:25 -0800\r\n\
    From: Fred Foobar <foobar@Blurdy.COM>\r\nTo: mooch@owatagu.siam.edu\r\nCc: carl@x\r\n\
    Bcc: hidden@x\r\nSubject: afternoon meeting\r\n\
    X-Empty:\r\nX-Folded: one\r\n two\r\n\r\n\
    Hello Joe, do you think we can meet at 3:30 tomorrow?\r\n";

const LATIN: &[u8] = b"Date: 8 Feb 94 00:10 GMT\r\nFrom: =?iso-8859-1?Q?Andr=E9?= <a@b>\r\n\
    Subject: =?UTF-8?B?w4lsw6luYQ==?= =?UTF-8?Q?_et_caf=C3=A9?=\r\nMIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=ISO-8859-1\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\nLe caf=E9 est pr=\r\n=EAt.\r\n";

const PARTS: &[u8] = b"Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    preamble\r\n--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n\
    c2VjcmV0IHdvcmRz\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\n\
    innermost\r\n--b--\r\n";

const BARE: &[u8] = b"no header, just text\r\n";

fn four() -> (Server, Client) {
    mailbox(&[
        ("(\\Seen Work) \" 7-Feb-1994 21:52:25 -0800\" ", PLAIN),
        ("(\\Flagged work $Junk) \" 8-Feb-1994 00:00:00 +0000\" ", LATIN),
        ("(\\Answered \\Draft) \"31-Dec-2020 23:59:59 +0100\" ", PARTS),
        ("(\\Deleted \\Seen) \" 1-Jan-2021 00:00:00 -0100\" ", BARE),
    ])
}

#[track_caller]
fn check(client: &mut Client, cases: &[(&str, &[u32])]) {
    for (keys, expected) in cases {
        assert_eq!(found(client, keys), *expected, "{keys}");
    }
}

#[test]
fn what_the_index_knows() {
    let (server, mut client) = four();
    let sizes = [PLAIN, LATIN, PARTS, BARE].map(<[u8]>::len);
    check(
        &mut client,
        &[
            ("ALL", &[1, 2, 3, 4]),
            ("SEEN", &[1, 4]),
            ("UNSEEN", &[2, 3]),
            ("FLAGGED", &[2]),
            ("UNFLAGGED", &[1, 3, 4]),
            ("ANSWERED DRAFT", &[3]),
            ("UNANSWERED UNDRAFT UNDELETED", &[1, 2]),
            ("DELETED", &[4]),
            ("KEYWORD WORK", &[1, 2]),
            ("UNKEYWORD work", &[3, 4]),
            ("KEYWORD $Junk", &[2]),
            ("KEYWORD never", &[]),
            ("UNKEYWORD never", &[1, 2, 3, 4]),
            ("RECENT", &[1, 2, 3, 4]),
            ("NEW", &[2, 3]),
            ("OLD", &[]),
            // The written day counts, whatever its zone.
            ("BEFORE 8-Feb-1994", &[1]),
            ("ON 8-Feb-1994", &[2]),
            ("SINCE 8-Feb-1994 BEFORE \"1-Jan-2021\"", &[2, 3]),
            ("SINCE 1-Jan-2021", &[4]),
            ("ON 31-DEC-2020", &[3]),
            ("SAVEDON 1-Jan-2000", &[]),
            ("SAVEDSINCE 1-Jan-2000 SAVEDATESUPPORTED", &[1, 2, 3, 4]),
            ("SAVEDBEFORE 1-Jan-2000", &[]),
            ("YOUNGER 1000", &[]),
            ("OLDER 1000", &[1, 2, 3, 4]),
            ("YOUNGER 4294967295", &[1, 2, 3, 4]),
            ("2", &[2]),
            ("*", &[4]),
            ("3:*,1", &[1, 3, 4]),
            ("*:1", &[1, 2, 3, 4]),
            ("UID 2:3", &[2, 3]),
            ("UID 4:99", &[4]),
            ("UID 99:*", &[4]),
            ("UID 99", &[]),
            ("NOT 2:3", &[1, 4]),
            ("EMAILID none", &[]),
            ("THREADID none", &[]),
        ],
    );
    for (at, size) in sizes.iter().enumerate() {
        let number = at as u32 + 1;
        assert!(!found(&mut client, &format!("LARGER {size}")).contains(&number));
        assert!(found(&mut client, &format!("LARGER {}", size - 1)).contains(&number));
        assert!(!found(&mut client, &format!("SMALLER {size}")).contains(&number));
        assert!(found(&mut client, &format!("SMALLER {}", size + 1)).contains(&number));
    }
    // A message that another session saw first is not recent.
    let mut other = server.login();
    other.ok("SELECT INBOX");
    check(&mut other, &[("RECENT", &[]), ("OLD", &[1, 2, 3, 4]), ("NEW", &[])]);
}

#[test]
fn what_the_header_knows() {
    let (_server, mut client) = four();
    check(
        &mut client,
        &[
            ("FROM foobar@blurdy.com", &[1]),
            ("FROM \"fred foo\"", &[1]),
            ("TO mooch", &[1]),
            ("CC carl", &[1]),
            ("BCC HIDDEN", &[1]),
            ("SUBJECT meeting", &[1]),
            ("SUBJECT \"\"", &[1, 2, 3]),
            ("HEADER x-empty \"\"", &[1]),
            ("HEADER X-Empty x", &[]),
            ("HEADER X-Folded \"one two\"", &[1]),
            ("NOT HEADER SUBJECT parts", &[1, 2, 4]),
            // In its own zone. Without a date, the internal date.
            ("SENTON 7-Feb-1994", &[1]),
            ("SENTON 8-Feb-1994", &[2]),
            ("SENTBEFORE 8-Feb-1994", &[1]),
            ("SENTSINCE 31-Dec-2020", &[3, 4]),
            ("SENTBEFORE 1-Jan-2021 SENTSINCE 31-Dec-2020", &[3]),
        ],
    );
}

#[test]
fn what_stands_in_the_message() {
    let (_server, mut client) = four();
    check(
        &mut client,
        &[
            ("BODY \"meet at 3:30\"", &[1]),
            ("BODY meeting", &[]),
            ("TEXT meeting", &[1]),
            ("BODY \"secret words\"", &[3]),
            ("BODY innermost", &[3]),
            ("TEXT inner", &[3]),
            ("BODY \"just text\"", &[]),
            ("TEXT \"just text\"", &[4]),
            ("BODY \"\"", &[1, 2, 3, 4]),
            ("TEXT \"est pr\"", &[2]),
            ("NOT TEXT e", &[]),
        ],
    );
}

#[test]
fn keys_within_keys() {
    let (_server, mut client) = four();
    check(
        &mut client,
        &[
            ("OR SEEN FLAGGED", &[1, 2, 4]),
            ("NOT OR SEEN FLAGGED", &[3]),
            ("NOT NOT SEEN", &[1, 4]),
            ("(SEEN) (1:3)", &[1]),
            ("OR (SEEN UNDELETED) (NOT (SEEN) ANSWERED)", &[1, 3]),
            ("OR OR 1 2 OR 3 2", &[1, 2, 3]),
            ("OR TEXT meeting (FLAGGED SUBJECT parts)", &[1]),
            ("OR BODY innermost SEEN", &[1, 3, 4]),
            ("NOT (OR TEXT secret SEEN)", &[2]),
            ("( OR  1 ( 2 ) ) ALL", &[1, 2]),
            ("seen not deleted", &[1]),
        ],
    );
}

#[test]
fn charsets() {
    let (_server, mut client) = four();
    let mut search = |charset: &str, key: &str, text: &[u8]| {
        let tag = client.tag();
        let mut command =
            format!("{tag} SEARCH {charset}{key} {{{}+}}\r\n", text.len()).into_bytes();
        command.extend_from_slice(text);
        command.extend_from_slice(b"\r\n");
        client.send(&command);
        let reply = client.reply(&tag);
        (reply.texts().join("|"), reply.tagged)
    };
    for (charset, key, text, expected) in [
        ("CHARSET UTF-8 ", "BODY", "CAFÉ EST PRÊT".as_bytes(), "* SEARCH 2"),
        ("CHARSET ISO-8859-1 ", "BODY", b"caf\xe9", "* SEARCH 2"),
        ("CHARSET utf-8 ", "SUBJECT", "éléna ET Café".as_bytes(), "* SEARCH 2"),
        ("CHARSET utf-8 ", "FROM", "andré".as_bytes(), "* SEARCH 2"),
        ("", "FROM", "andré".as_bytes(), "* SEARCH 2"),
        ("CHARSET US-ASCII ", "BODY", b"hello", "* SEARCH 1"),
        ("CHARSET utf-8 ", "TEXT", "œuf".as_bytes(), "* SEARCH"),
    ] {
        let (found, tagged) = search(charset, key, text);
        assert_eq!(found, expected, "{charset}{key}");
        assert!(tagged.starts_with("OK "), "{tagged}");
    }
    let (found, tagged) = search("CHARSET X-UNKNOWN ", "BODY", b"x");
    assert!(tagged.starts_with("NO [BADCHARSET (US-ASCII UTF-8"), "{tagged}");
    assert_eq!(found, "");
    client.ok("ENABLE UTF8=ACCEPT");
    let reply = client.command("SEARCH CHARSET UTF-8 ALL");
    assert!(reply.tagged.starts_with("BAD "), "{}", reply.tagged);
    assert_eq!(super::found(&mut client, "SUBJECT éléna"), [2]);
}

#[test]
fn numbers_beyond_the_last_message() {
    let (_server, mut client) = four();
    let (all, cases) = (&[1, 2, 3, 4][..], [("5", &[][..]), ("3:5", &[3, 4]), ("2,7", &[2])]);
    check(&mut client, &cases);
    check(&mut client, &[("NOT 9", all), ("5:*", &[4]), ("OR 9 1", &[1])]);
    let server = Server::start(&Folder::new());
    let mut client = server.login();
    client.ok("SELECT INBOX");
    check(
        &mut client,
        &[("ALL", &[]), ("1:*", &[]), ("*", &[]), ("UID 1:*", &[]), ("TEXT a", &[])],
    );
}

#[test]
fn messages_that_another_session_expunged() {
    let (server, mut client) = four();
    let mut other = server.login();
    other.ok("SELECT INBOX");
    other.ok("EXPUNGE");
    // The client does not know it yet, and must not be told now.
    check(&mut client, &[("TEXT just", &[]), ("ALL", &[1, 2, 3]), ("*", &[])]);
    let uid = client.ok("UID SEARCH SEEN").texts();
    assert_eq!(uid, ["* SEARCH 1", "* 4 EXPUNGE", "* 3 RECENT"]);
    check(&mut client, &[("*", &[3])]);
}

#[test]
fn large_messages_and_many_fragments() {
    let mut large = b"Subject: large\r\n\r\n".to_vec();
    large.resize(3 << 20, b'x');
    large.extend_from_slice(b"\r\nthe needle\r\n");
    let long: String = (0..20_000).map(|n| format!("X-{n}: value {n}\r\n")).collect();
    let long = format!("{long}Subject: late\r\n\r\nbody\r\n");
    let (_server, mut client) = mailbox(&[("", &large), ("", long.as_bytes()), ("", PLAIN)]);
    check(
        &mut client,
        &[
            ("BODY \"the needle\"", &[1]),
            ("SUBJECT large BODY needle", &[1]),
            ("HEADER X-100 \"value 100\"", &[2]),
            ("TEXT \"value 19999\"", &[2]),
            ("TEXT zebra", &[]),
            ("OR SUBJECT large TEXT tomorrow", &[1, 3]),
        ],
    );
    append(&mut client, &[("", b"Subject: new\r\n\r\nneedle\r\n")]);
    check(&mut client, &[("BODY needle", &[1, 4])]);
}
