//! The forms of a result: SEARCH, ESEARCH, `$`, PARTIAL, MODSEQ.

use kit::{Client, Server};

use super::{append, found, line, lines, mailbox};

/// Messages 1 to 10 with UIDs 3 to 12; the odd ones are seen.
fn ten() -> (Server, Client) {
    let messages: Vec<_> = (0..12u32)
        .map(|n| {
            (if n % 2 == 0 { "(\\Seen) " } else { "" }, format!("Subject: s{n}\r\n\r\nb{n}\r\n"))
        })
        .collect();
    let messages: Vec<_> = messages.iter().map(|(flags, m)| (*flags, m.as_bytes())).collect();
    let (server, mut client) = mailbox(&messages);
    client.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)");
    client.ok("EXPUNGE");
    (server, client)
}

#[test]
fn as_it_was_before_esearch() {
    let (_server, mut client) = ten();
    assert_eq!(line(&mut client, "SEARCH SEEN"), "* SEARCH 1 3 5 7 9");
    assert_eq!(line(&mut client, "UID SEARCH SEEN"), "* SEARCH 3 5 7 9 11");
    assert_eq!(line(&mut client, "SEARCH DELETED"), "* SEARCH");
}

#[test]
fn items() {
    let (_server, mut client) = ten();
    for (command, expected) in [
        ("SEARCH RETURN () SEEN", "* ESEARCH x ALL 1,3,5,7,9"),
        ("UID SEARCH RETURN (ALL) OR SEEN 2:4", "* ESEARCH x UID ALL 3:7,9,11"),
        ("SEARCH RETURN (MIN) UNSEEN", "* ESEARCH x MIN 2"),
        ("UID SEARCH RETURN (MAX) UNSEEN", "* ESEARCH x UID MAX 12"),
        ("UID SEARCH RETURN (MAX MIN) ALL", "* ESEARCH x UID MIN 3 MAX 12"),
        ("SEARCH RETURN (MIN MAX) 4", "* ESEARCH x MIN 4 MAX 4"),
        ("SEARCH RETURN (COUNT) SEEN", "* ESEARCH x COUNT 5"),
        ("SEARCH RETURN (MIN COUNT) TEXT b4", "* ESEARCH x MIN 3 COUNT 1"),
        ("SEARCH RETURN (COUNT ALL MIN MAX) DELETED", "* ESEARCH x COUNT 0"),
        ("UID SEARCH RETURN (ALL) DELETED", "* ESEARCH x UID"),
        ("SEARCH RETURN (CONTEXT COUNT) ALL", "* ESEARCH x COUNT 10"),
        ("UID SEARCH RETURN (PARTIAL 2:4) SEEN", "* ESEARCH x UID PARTIAL (2:4 5,7,9)"),
        ("SEARCH RETURN (PARTIAL 4:2) SEEN", "* ESEARCH x PARTIAL (2:4 3,5,7)"),
        ("SEARCH RETURN (PARTIAL 5:9) SEEN", "* ESEARCH x PARTIAL (5:9 9)"),
        ("SEARCH RETURN (PARTIAL 6:9) SEEN", "* ESEARCH x PARTIAL (6:9 NIL)"),
        ("SEARCH RETURN (PARTIAL -1:-3) ALL", "* ESEARCH x PARTIAL (-1:-3 8:10)"),
        ("SEARCH RETURN (PARTIAL -9:-12 MAX) ALL", "* ESEARCH x MAX 10 PARTIAL (-9:-12 1:2)"),
        ("SEARCH RETURN (MIN PARTIAL -1:-1) TEXT b", "* ESEARCH x MIN 1 PARTIAL (-1:-1 10)"),
        ("SEARCH RETURN (MIN MAX) TEXT b1", "* ESEARCH x MIN 9 MAX 10"),
    ] {
        assert_eq!(line(&mut client, command), expected, "{command}");
    }
}

#[test]
fn rev2_knows_esearch_alone() {
    let (_server, mut client) = ten();
    client.ok("ENABLE IMAP4rev2");
    assert_eq!(line(&mut client, "SEARCH SEEN"), "* ESEARCH x ALL 1,3,5,7,9");
    assert_eq!(line(&mut client, "UID SEARCH DELETED"), "* ESEARCH x UID");
}

#[test]
fn results_are_kept() {
    let (server, mut client) = ten();
    assert!(found(&mut client, "$").is_empty());
    assert_eq!(lines(&mut client, "SEARCH RETURN (SAVE) SEEN"), [""; 0]);
    assert_eq!(found(&mut client, "$"), [1, 3, 5, 7, 9]);
    assert_eq!(found(&mut client, "UID $ NOT 3"), [1, 5, 7, 9]);
    assert_eq!(found(&mut client, "NOT $"), [2, 4, 6, 8, 10]);
    assert_eq!(line(&mut client, "UID SEARCH OR $ 2"), "* SEARCH 3 4 5 7 9 11");
    assert_eq!(client.ok("FETCH $ (UID)").untagged.len(), 5);
    // BAD changes nothing, NO empties it.
    assert!(client.command("SEARCH RETURN (SAVE) ODD").tagged.starts_with("BAD "));
    assert_eq!(found(&mut client, "$").len(), 5);
    assert!(client.command("SEARCH CHARSET x-y ALL").tagged.starts_with("NO "));
    assert_eq!(found(&mut client, "$").len(), 5);
    assert!(client.command("SEARCH RETURN (SAVE) CHARSET x-y ALL").tagged.starts_with("NO "));
    assert!(found(&mut client, "$").is_empty());
    for (options, expected, saved) in [
        ("SAVE MIN", "* ESEARCH x MIN 1", "1"),
        ("MAX SAVE", "* ESEARCH x MAX 9", "9"),
        ("MAX SAVE MIN", "* ESEARCH x MIN 1 MAX 9", "1 9"),
        ("MAX SAVE MIN COUNT", "* ESEARCH x MIN 1 MAX 9 COUNT 5", "1 3 5 7 9"),
        ("ALL SAVE MIN", "* ESEARCH x MIN 1 ALL 1,3,5,7,9", "1 3 5 7 9"),
        ("PARTIAL 2:3 SAVE", "* ESEARCH x PARTIAL (2:3 3,5)", "3 5"),
        ("PARTIAL 2:3 SAVE MAX", "* ESEARCH x MAX 9 PARTIAL (2:3 3,5)", "3 5 9"),
        ("PARTIAL -1:-2 SAVE COUNT", "* ESEARCH x COUNT 5 PARTIAL (-1:-2 7,9)", "1 3 5 7 9"),
    ] {
        let command = format!("SEARCH RETURN ({options}) SEEN");
        assert_eq!(line(&mut client, &command), expected, "{options}");
        assert_eq!(line(&mut client, "SEARCH $"), format!("* SEARCH {saved}"), "{options}");
    }
    // Expunged messages leave it, and new ones do not enter.
    client.ok("SEARCH RETURN (SAVE) ALL");
    append(&mut client, &[("", b"new\r\n")]);
    let mut other = server.login();
    other.ok("SELECT INBOX");
    other.ok("STORE 1:8 +FLAGS (\\Deleted)");
    other.ok("EXPUNGE");
    client.ok("NOOP");
    assert_eq!(found(&mut client, "$"), [1, 2]);
    client.ok("SELECT INBOX");
    assert!(found(&mut client, "$").is_empty());
}

#[test]
fn mod_sequences() {
    let (_server, mut client) = ten();
    let all = lines(&mut client, "SEARCH MODSEQ 1");
    let highest = all[0].strip_prefix("* OK [HIGHESTMODSEQ ").unwrap();
    let highest: u64 = highest.split(']').next().unwrap().parse().unwrap();
    let appended = "* SEARCH 1 2 3 4 5 6 7 8 9 10 (MODSEQ ";
    let modseq = all[1].strip_prefix(appended).unwrap_or_else(|| panic!("{all:?}"));
    assert!(modseq.strip_suffix(')').unwrap().parse::<u64>().unwrap() <= highest);
    client.ok("STORE 4,6 +FLAGS.SILENT (\\Flagged)");
    client.ok("STORE 2 +FLAGS.SILENT (\\Flagged)");
    let since = highest + 1;
    assert_eq!(
        line(&mut client, &format!("SEARCH MODSEQ {since}")),
        format!("* SEARCH 2 4 6 (MODSEQ {})", since + 1)
    );
    assert_eq!(
        line(&mut client, &format!("UID SEARCH MODSEQ \"/flags/\\\\draft\" all {}", since + 1)),
        format!("* SEARCH 4 (MODSEQ {})", since + 1)
    );
    for (options, expected) in [
        ("ALL", format!("* ESEARCH x ALL 2,4,6 MODSEQ {}", since + 1)),
        ("COUNT", format!("* ESEARCH x COUNT 3 MODSEQ {}", since + 1)),
        ("MIN", format!("* ESEARCH x MIN 2 MODSEQ {}", since + 1)),
        ("MAX", format!("* ESEARCH x MAX 6 MODSEQ {since}")),
        ("MIN MAX", format!("* ESEARCH x MIN 2 MAX 6 MODSEQ {}", since + 1)),
    ] {
        let command = format!("SEARCH RETURN ({options}) MODSEQ {since}");
        assert_eq!(line(&mut client, &command), expected);
    }
    let none = format!("SEARCH MODSEQ {}", since + 9);
    assert_eq!(line(&mut client, &none), "* SEARCH");
    assert_eq!(line(&mut client, &format!("SEARCH NOT MODSEQ {since} 1:3")), {
        let of = line(&mut client, "SEARCH MODSEQ 1 1,3");
        let modseq = of.split_once('(').unwrap().1.to_owned();
        format!("* SEARCH 1 3 ({modseq}")
    });
}
