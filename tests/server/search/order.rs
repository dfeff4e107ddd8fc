//! SORT and THREAD.

use kit::{Client, Server};

use super::{line, lines, mailbox, numbers};

fn six() -> (Server, Client) {
    mailbox(&[
        (
            "\" 3-Jan-2020 00:00:00 +0000\" ",
            b"Date: 5 Jan 2020 00:00:00 +0000\r\nFrom: Zoe <alice@x>\r\nTo: b@x\r\n\
              Subject: Re: beta\r\nMessage-ID: <2@x>\r\nReferences: <1@x>\r\n\r\nx\r\n",
        ),
        (
            "\" 1-Jan-2020 00:00:00 +0000\" ",
            b"Date: 4 Jan 2020 00:00:00 +0000\r\nFrom: bob@x\r\nTo: a@x\r\nSubject: Beta\r\n\
              Message-ID: <1@x>\r\n\r\nxx\r\n",
        ),
        (
            "(\\Seen) \" 2-Jan-2020 12:00:00 +0000\" ",
            b"From: carl@x\r\nSubject: alpha\r\n\r\nxxx\r\n",
        ),
        (
            "\" 4-Jan-2020 00:00:00 +0000\" ",
            b"Date: 6 Jan 2020 00:00:00 +0000\r\nFrom: =?utf-8?q?=C3=84nne?= <dora@x>\r\n\
              Cc: c@x\r\nSubject: [list] Re: Beta\r\nIn-Reply-To: <2@x>\r\n\
              Message-ID: <3@x>\r\n\r\n\r\n",
        ),
        (
            "\" 5-Jan-2020 00:00:00 +0000\" ",
            b"Date: 2 Jan 2020 12:00:00 +0000\r\nSubject: Re: alpha\r\nMessage-ID: <4@x>\r\n\r\n",
        ),
        ("\" 6-Jan-2020 00:00:00 +0000\" ", b"no header at all\r\n"),
    ])
}

#[test]
fn orders() {
    let (_server, mut client) = six();
    for (criteria, expected) in [
        ("ARRIVAL", [2, 3, 1, 4, 5, 6]),
        ("REVERSE ARRIVAL", [6, 5, 4, 1, 3, 2]),
        ("DATE", [3, 5, 2, 1, 4, 6]),
        ("FROM", [5, 6, 1, 2, 3, 4]),
        ("REVERSE FROM", [4, 3, 2, 1, 5, 6]),
        ("SUBJECT", [6, 3, 5, 1, 2, 4]),
        ("SUBJECT REVERSE ARRIVAL", [6, 5, 3, 4, 1, 2]),
        ("TO", [3, 4, 5, 6, 2, 1]),
        ("CC REVERSE SIZE", [1, 2, 5, 3, 6, 4]),
        ("DISPLAYFROM", [5, 6, 4, 2, 3, 1]),
        ("DISPLAYTO", [3, 4, 5, 6, 2, 1]),
    ] {
        let sorted = numbers(&mut client, &format!("SORT ({criteria}) UTF-8 ALL"), "SORT");
        assert_eq!(sorted, expected, "{criteria}");
    }
    assert_eq!(line(&mut client, "UID SORT (REVERSE DATE) US-ASCII SUBJECT beta"), "* SORT 4 1 2");
    assert_eq!(line(&mut client, "SORT (DATE) UTF-8 DELETED"), "* SORT");
}

#[test]
fn results_of_sort() {
    let (_server, mut client) = six();
    for (command, expected) in [
        ("SORT RETURN () (ARRIVAL) UTF-8 ALL", "* ESEARCH x ALL 2:3,1,4:6"),
        ("UID SORT RETURN (ALL) (REVERSE ARRIVAL) UTF-8 1:4", "* ESEARCH x UID ALL 4,1,3,2"),
        ("SORT RETURN (MIN MAX COUNT) (ARRIVAL) UTF-8 1:4", "* ESEARCH x MIN 2 MAX 4 COUNT 4"),
        ("SORT RETURN (PARTIAL 2:3) (ARRIVAL) UTF-8 ALL", "* ESEARCH x PARTIAL (2:3 3,1)"),
        (
            "SORT RETURN (PARTIAL -1:-2) (REVERSE ARRIVAL) UTF-8 ALL",
            "* ESEARCH x PARTIAL (-1:-2 3,2)",
        ),
        ("SORT RETURN (COUNT) (SIZE) UTF-8 DELETED", "* ESEARCH x COUNT 0"),
    ] {
        assert_eq!(line(&mut client, command), expected, "{command}");
    }
    assert_eq!(lines(&mut client, "SORT RETURN (SAVE) (ARRIVAL) UTF-8 1:4"), [""; 0]);
    assert_eq!(line(&mut client, "SEARCH $"), "* SEARCH 1 2 3 4");
    assert!(client.command("SORT (DATE) x-y ALL").tagged.starts_with("NO [BADCHARSET"));
    assert_eq!(line(&mut client, "SORT (DATE) UTF-8 99"), "* SORT");
}

#[test]
fn threads() {
    let (_server, mut client) = six();
    for (command, expected) in [
        ("THREAD REFERENCES UTF-8 ALL", "* THREAD (3 5)(2 1 4)(6)"),
        ("UID THREAD REFS UTF-8 ALL", "* THREAD (3)(2 1 4)(5)(6)"),
        ("THREAD ORDEREDSUBJECT UTF-8 ALL", "* THREAD (3 5)(2 (1)(4))(6)"),
        ("THREAD REFERENCES UTF-8 1:2", "* THREAD (2 1)"),
        ("THREAD REFERENCES UTF-8 DELETED", "* THREAD"),
    ] {
        assert_eq!(line(&mut client, command), expected, "{command}");
    }
    client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
    client.ok("EXPUNGE");
    assert_eq!(line(&mut client, "THREAD REFS UTF-8 1:3"), "* THREAD (1)(2)(3)");
    assert_eq!(line(&mut client, "UID THREAD REFS UTF-8 1:3"), "* THREAD (2)(3)(4)");
}
