//! Commands as RFCs print them, as clients write them, and broken ones.

use super::*;
use crate::types::{FlagChange, ModSeq};

fn command(text: &str) -> Command {
    match parse(text.as_bytes(), false) {
        Ok(tagged) => tagged.command,
        Err(error) => panic!("{text}: {error}"),
    }
}

fn refused(text: &str) -> String {
    parse(text.as_bytes(), false).expect_err(text).to_string()
}

fn name(text: &str) -> Result<MailboxName, NameError> {
    MailboxName::from_utf8(text)
}

fn fetch_items(text: &str) -> Vec<FetchItem> {
    match command(&format!("a FETCH 1 {text}\r\n")) {
        Command::Fetch(fetch) => fetch.items,
        other => panic!("{other:?}"),
    }
}

#[test]
fn commands_without_arguments() {
    for (text, expected) in [
        ("abcd CAPABILITY\r\n", Command::Capability),
        ("a noop", Command::Noop),
        ("a LogOut  \n", Command::Logout),
        ("a STARTTLS", Command::StartTls),
        ("a NAMESPACE", Command::Namespace),
        ("a CLOSE", Command::Close),
        ("a UNSELECT", Command::Unselect),
        ("a   CHECK", Command::Check),
        ("a IDLE", Command::Idle),
        ("a EXPUNGE", Command::Expunge(None)),
    ] {
        assert_eq!(command(text), expected);
    }
    assert_eq!(parse(b"A]1.x NOOP", false).unwrap().tag.as_str(), "A]1.x");
}

#[test]
fn login() {
    let expected =
        Command::Login { user: b"FRED FOOBAR".to_vec(), password: Secret(b"fat man".to_vec()) };
    assert_eq!(command("A001 LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man\r\n"), expected);
    let (user, password) = (b"fred*admin".to_vec(), Secret(b"100%".to_vec()));
    assert_eq!(command("A001 LOGIN fred*admin 100%\r\n"), Command::Login { user, password });
    assert_eq!(command("A001 LOGIN {11+}\nFRED FOOBAR  {7+}\nfat man\n"), expected);
    assert_eq!(command("A001 login \"FRED FOOBAR\" \"fat man\" \r\n"), expected);
    assert!(!format!("{expected:?}").contains("102"), "the password shows in {expected:?}");
}

#[test]
fn authenticate() {
    let initial = |text: &str| match command(text) {
        Command::Authenticate { mechanism, initial } => {
            assert_eq!(&*mechanism, "PLAIN");
            initial.map(|i| i.0)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(initial("A AUTHENTICATE plain\r\n"), None);
    assert_eq!(initial("A AUTHENTICATE PLAIN =\r\n"), Some(vec![]));
    let plain = Some(b"\0test\0test".to_vec());
    assert_eq!(initial("A AUTHENTICATE PLAIN AHRlc3QAdGVzdA==\r\n"), plain);
    assert_eq!(initial("A AUTHENTICATE PLAIN AHRlc3QAdGVzdA \r\n"), plain);
    assert_eq!(refused("A AUTHENTICATE PLAIN *"), "expected base64 at octet 21");
    assert_eq!(decode_sasl(b"*"), None);
    assert_eq!(decode_sasl(b""), Some(Secret(vec![])));
}

#[test]
fn id_and_enable() {
    let fields = vec![(b"name".to_vec(), Some(b"sodr".to_vec())), (b"os".to_vec(), None)];
    assert_eq!(command("a023 ID (\"name\" \"sodr\" \"os\" NIL)"), Command::Id(fields));
    assert_eq!(command("a042 ID NIL"), Command::Id(vec![]));
    assert_eq!(command("a042 ID ()"), Command::Id(vec![]));
    let names = vec!["CONDSTORE".into(), "X-GOOD-IDEA".into()];
    assert_eq!(command("t ENABLE condstore X-GOOD-IDEA "), Command::Enable(names));
    assert_eq!(refused("t ENABLE"), "expected a space at octet 8");
    assert_eq!(command("a UNAUTHENTICATE"), Command::Unauthenticate);
    let tags = vec![b"B01".to_vec(), b"B02".to_vec()];
    assert_eq!(command("a CANCELUPDATE \"B01\" B02"), Command::CancelUpdate(tags));
    assert_eq!(refused("a CANCELUPDATE"), "expected a space at octet 14");
}

#[test]
fn mailboxes() {
    for (text, expected) in [
        ("a SUBSCRIBE #news.comp.mail.mime", Command::Subscribe(name("#news.comp.mail.mime"))),
        ("a UNSUBSCRIBE \"a b\"", Command::Unsubscribe(name("a b"))),
        ("a DELETE {5}\r\nblurb", Command::Delete(name("blurb"))),
        ("a DELETE &AOQ-", Command::Delete(name("ä"))),
        ("a DELETE ä", Command::Delete(name("ä"))),
        ("a DELETE R&D", Command::Delete(Err(NameError::NotUtf7))),
        ("a DELETE \"\"", Command::Delete(Err(NameError::Empty))),
        ("a DELETE x/", Command::Delete(Err(NameError::EmptyLevel))),
        (
            "a RENAME blurdybloop inbox",
            Command::Rename { from: name("blurdybloop"), to: Ok(MailboxName::inbox()) },
        ),
    ] {
        assert_eq!(command(text), expected, "{text}");
    }
}

#[test]
fn status() {
    use StatusItem::{Messages, Size, UidNext};
    let items = vec![UidNext, Messages, Size];
    let expected = Command::Status { mailbox: name("blurdybloop"), items };
    assert_eq!(command("A042 STATUS blurdybloop (UIDNEXT MESSAGES SIZE)"), expected);
    assert_eq!(command("A042 STATUS blurdybloop( uidnext  messages size )"), expected);
    for (text, item) in StatusItem::NAMES {
        assert_eq!(item.name(), text);
        let items = vec![item];
        let expected = Command::Status { mailbox: Ok(MailboxName::inbox()), items };
        assert_eq!(command(&format!("a STATUS inbox ({text})")), expected);
    }
    assert_eq!(refused("a STATUS x ()"), "expected a status item at octet 12");
    assert_eq!(refused("a STATUS x (SIZE ODD)"), "expected a status item at octet 17");
}

#[test]
fn fetch_items_and_macros() {
    use FetchItem::{Body, BodyStructure, Envelope, Flags, InternalDate, ModSeq, Size, Uid};
    assert_eq!(fetch_items("FAST"), [Flags, InternalDate, Size]);
    assert_eq!(fetch_items("all"), [Flags, InternalDate, Size, Envelope]);
    assert_eq!(fetch_items("FULL"), [Flags, InternalDate, Size, Envelope, Body]);
    assert_eq!(fetch_items("( uid  bodystructure MODSEQ)"), [Uid, BodyStructure, ModSeq]);
    let rfc822 = [FetchItem::Rfc822, FetchItem::Rfc822Header, FetchItem::Rfc822Text];
    assert_eq!(fetch_items("(RFC822 RFC822.HEADER RFC822.TEXT)"), rfc822);
    assert_eq!(fetch_items("UID"), [Uid]);
    assert_eq!(
        fetch_items("(EMAILID THREADID SAVEDATE PREVIEW preview (lazy) PREVIEW( LAZY ) UID)"),
        [
            FetchItem::EmailId,
            FetchItem::ThreadId,
            FetchItem::SaveDate,
            FetchItem::Preview { lazy: false },
            FetchItem::Preview { lazy: true },
            FetchItem::Preview { lazy: true },
            Uid,
        ]
    );
    for text in ["()", "FASTER", "UID FLAGS", "(UID", "BODY.PEEK", "RFC822[]", "FLAGS[1]", "(ALL)"]
    {
        refused(&format!("a FETCH 1 {text}"));
    }
}

#[test]
fn fetch_sections() {
    let section = |part: &[u32], text| Section { part: part.to_vec(), text };
    let fields = |not, names: &[&str]| {
        let names = names.iter().map(|n| n.as_bytes().to_vec()).collect();
        Some(SectionText::HeaderFields { not, names })
    };
    for (text, expected) in [
        ("[]", section(&[], None)),
        ("[HEADER]", section(&[], Some(SectionText::Header))),
        ("[text]", section(&[], Some(SectionText::Text))),
        ("[1]", section(&[1], None)),
        ("[4.2.2.1]", section(&[4, 2, 2, 1], None)),
        ("[1.MIME]", section(&[1], Some(SectionText::Mime))),
        ("[4.2.HEADER]", section(&[4, 2], Some(SectionText::Header))),
        ("[HEADER.FIELDS (DATE \"FROM\")]", section(&[], fields(false, &["DATE", "FROM"]))),
        ("[3.header.fields.not (a)]", section(&[3], fields(true, &["a"]))),
        ("[HEADER.FIELDS({4+}\r\nDATE) ]", section(&[], fields(false, &["DATE"]))),
    ] {
        for (prefix, peek) in [("BODY", false), ("body.peek", true)] {
            let expected = BodySection { peek, section: expected.clone(), partial: None };
            let items = fetch_items(&format!("{prefix}{text}"));
            assert_eq!(items[0].sets_seen(), !peek);
            assert_eq!(items, [FetchItem::Section(expected)]);
        }
    }
    for text in
        ["[MIME]", "[0]", "[1.]", "[1..2]", "[.1]", "[1 2]", "[4294967296]", "[HEADER.FIELDS ()]"]
    {
        refused(&format!("a FETCH 1 BODY{text}"));
    }
}

#[test]
fn fetch_partials_and_binary() {
    let Some(FetchItem::Section(section)) = fetch_items("BODY[]<0.2048>").pop() else {
        panic!("no section");
    };
    let partial = section.partial.unwrap();
    assert_eq!((partial, partial.of(100)), (Partial { offset: 0, length: 2048 }, 0..100));
    assert_eq!(Partial { offset: 5, length: u64::MAX }.of(7), 5..7);
    assert_eq!(Partial { offset: 9, length: 1 }.of(7), 7..7);
    for text in ["<0>", "<0.0>", "<0.1", "<.1>", "<-1.1>", "<99999999999999999999.1>"] {
        refused(&format!("a FETCH 1 BODY[]{text}"));
    }
    let binary = BinarySection {
        peek: true,
        part: vec![1, 2],
        partial: Some(Partial { offset: 1, length: 2 }),
    };
    assert_eq!(fetch_items("BINARY.PEEK[1.2]<1.2>"), [FetchItem::Binary(binary)]);
    assert_eq!(fetch_items("BINARY.SIZE[]"), [FetchItem::BinarySize(vec![])]);
    refused("a FETCH 1 BINARY[1.]");
    refused("a FETCH 1 BINARY[HEADER]");
}

#[test]
fn fetch_modifiers() {
    let fetch = |text: &str| match command(&format!("a UID FETCH 1:* {text}")) {
        Command::Fetch(fetch) => (fetch.changed_since, fetch.vanished, fetch.partial),
        other => panic!("{other:?}"),
    };
    let partial = Some(PartialRange { first: 1, last: 100, from_end: true });
    assert_eq!(fetch("FLAGS"), (None, false, None));
    assert_eq!(fetch("FLAGS ()"), (None, false, None));
    assert_eq!(fetch("(FLAGS)(changedsince 5 )"), (Some(ModSeq(5)), false, None));
    assert_eq!(fetch("FLAGS (VANISHED CHANGEDSINCE 5)"), (Some(ModSeq(5)), true, None));
    assert_eq!(fetch("PREVIEW (PARTIAL -1:-100)"), (None, false, partial));
    assert_eq!(fetch("PREVIEW (LAZY) (CHANGEDSINCE 1)"), (Some(ModSeq(1)), false, None));
    for text in [
        "a FETCH 1 FLAGS (CHANGEDSINCE 5 VANISHED)",
        "a FETCH 1 FLAGS (PARTIAL 1:2)",
        "a UID FETCH 1 FLAGS (VANISHED)",
        "a UID FETCH 1 FLAGS (CHANGEDSINCE)",
        "a UID FETCH 1 FLAGS (ODD)",
        "a UID FETCH 1 FLAGS (CHANGEDSINCE x)",
        "a UID FETCH 1 FLAGS (PARTIAL 1)",
        "a UID FETCH 1 PREVIEW (LAZIER)",
    ] {
        refused(text);
    }
}

#[test]
fn commands_on_messages() {
    let set = |text: &str| SequenceSet::parse(text.as_bytes()).unwrap();
    let mailbox = || name("x");
    let Command::Fetch(fetch) = command("a UID  fetch 1:* FLAGS (CHANGEDSINCE 12345 VANISHED)")
    else {
        panic!("no FETCH");
    };
    assert_eq!((fetch.uid, fetch.set), (true, set("1:*")));
    assert_eq!((fetch.changed_since, fetch.vanished), (Some(ModSeq(12345)), true));
    let copy = Command::Copy { uid: false, set: set("2:4"), mailbox: mailbox() };
    assert_eq!(command("a COPY 2:4 x"), copy);
    let moved = Command::Move { uid: true, set: set("42"), mailbox: mailbox() };
    assert_eq!(command("a UID MOVE 42 x"), moved);
    assert_eq!(command("a UID EXPUNGE 3:5,9"), Command::Expunge(Some(set("3:5,9"))));
    assert_eq!(refused("a COPY 2:0 x"), "expected a sequence set at octet 9");
    assert_eq!(refused("a UID NOOP"), "expected a command that takes UIDs at octet 6");
    assert_eq!(refused("a EXPUNGE 1"), "expected the end of the command at octet 10");
}

#[test]
fn store() {
    let Command::Store(store) =
        command("a UID STORE 2:4 (UNCHANGEDSINCE 5) +flags.silent (\\Seen b)")
    else {
        panic!("no STORE");
    };
    assert_eq!((store.uid, store.silent, store.change), (true, true, FlagChange::Add));
    assert_eq!((store.flags.keywords.len(), store.unchanged_since), (1, Some(5)));
    for (text, change, refused) in [
        ("FLAGS ()", FlagChange::Replace, None),
        ("-FLAGS \\Deleted a", FlagChange::Remove, None),
        ("FLAGS (\\Recent)", FlagChange::Replace, None),
        ("+FLAGS \\Odd", FlagChange::Add, Some(FlagError::UnknownSystemFlag("\\Odd".into()))),
    ] {
        let Command::Store(store) = command(&format!("a STORE 1 {text}")) else {
            panic!("{text}");
        };
        assert_eq!((store.change, store.flags.refused), (change, refused), "{text}");
    }
    for text in [
        "+-FLAGS a",
        "FLAGS",
        "FLAGS (a",
        "FLAGS a (b)",
        "+X a",
        "(UNCHANGEDSINCE) FLAGS a",
        "(UNCHANGEDSINCE -1) FLAGS a",
        "(CHANGEDSINCE 1) FLAGS a",
    ] {
        refused(&format!("a STORE 1 {text}"));
    }
}

#[test]
fn invalid_commands_are_refused() {
    for (text, expected) in [
        ("", "expected a tag at octet 0"),
        ("\r\n", "expected a tag at octet 0"),
        ("+ NOOP", "expected a tag at octet 0"),
        ("a", "expected a space at octet 1"),
        ("a ", "expected a command at octet 2"),
        ("a  XYZZY", "expected a known command at octet 3"),
        ("a APPEND x", "expected a message literal at octet 8"),
        ("a NOOP x", "expected the end of the command at octet 7"),
        ("a NOOP\0", "expected the end of the command at octet 6"),
        ("a LOGIN x {3}\r\nab", "expected a literal and all its octets at octet 10"),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
    assert_eq!(parse(b"a1 XYZZY", false).unwrap_err().tag.unwrap().as_str(), "a1");
    assert_eq!(parse(b"\xff NOOP", false).unwrap_err().tag, None);
}
