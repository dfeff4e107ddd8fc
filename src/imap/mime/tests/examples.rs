//! Examples from RFCs, and small broken messages with the responses that Dovecot gives.

use super::*;
use crate::protocol::SectionText;

fn structure(message: &str, extended: bool) -> String {
    let message = Message::parse(message.as_bytes(), false);
    String::from_utf8(written(|out| message.body_structure(extended, out).unwrap())).unwrap()
}

fn envelope_of(header: &str) -> String {
    String::from_utf8_lossy(&written(|out| envelope(header.as_bytes(), out).unwrap())).into_owned()
}

/// The message of RFC 3501 section 8.
const EXAMPLE: &str = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n\
    From: Terry Gray <gray@cac.washington.edu>\r\n\
    Subject: IMAP4rev1 WG mtg summary and minutes\r\n\
    To: imap@cac.washington.edu\r\n\
    cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
    Message-Id: <B27397-0100000@cac.washington.edu>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n";

#[test]
fn the_transcript_of_rfc_3501() {
    assert_eq!(
        envelope_of(EXAMPLE),
        "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary and minutes\" \
         ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
         ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
         ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
         ((NIL NIL \"imap\" \"cac.washington.edu\")) \
         ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")\
         (\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \
         \"<B27397-0100000@cac.washington.edu>\")"
    );
    let message = format!("{EXAMPLE}{}", "x\r\n".repeat(92));
    assert_eq!(
        structure(&message, false),
        "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7bit\" 276 92)"
    );
}

/// The tree of RFC 3501 section 6.4.5; each leaf contains its number.
fn numbered() -> String {
    let leaf = |kind: &str, number: &str| format!("Content-Type: {kind}\r\n\r\n<{number}>");
    let multi = |kind: &str, boundary: &str, parts: &[String]| {
        let parts: String =
            parts.iter().map(|part| format!("--{boundary}\r\n{part}\r\n")).collect();
        format!("Content-Type: multipart/{kind}; boundary={boundary}\r\n\r\n{parts}--{boundary}--")
    };
    let message = |header: &str, body: &str| {
        format!("Content-Type: message/rfc822\r\n\r\nSubject: {header}\r\n{body}")
    };
    let third = multi("mixed", "c", &[leaf("text/plain", "3.1"), leaf("a/b", "3.2")]);
    let alternative =
        multi("alternative", "f", &[leaf("text/plain", "4.2.2.1"), leaf("a/b", "4.2.2.2")]);
    let inner = multi("mixed", "e", &[leaf("text/plain", "4.2.1"), alternative]);
    let fourth = multi("mixed", "d", &[leaf("image/gif", "4.1"), message("4.2", &inner)]);
    let all = [leaf("text/plain", "1"), leaf("a/b", "2"), message("3", &third), fourth].to_vec();
    format!("Subject: all\r\n{}\r\n", multi("mixed", "b", &all))
}

#[test]
fn part_numbers_of_rfc_3501() {
    let text = numbered();
    let message = Message::parse(text.as_bytes(), false);
    let get = |part: &[u32], of: Option<SectionText>| {
        let range = message.section(part, of.as_ref())?;
        Some(&text[range.start as usize..range.end as usize])
    };
    for number in ["1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"] {
        let part: Vec<u32> = number.split('.').map(|n| n.parse().unwrap()).collect();
        assert_eq!(get(&part, None), Some(format!("<{number}>").as_str()));
        assert!(get(&part, Some(SectionText::Mime)).unwrap().starts_with("Content-Type"));
        assert_eq!(get(&part, Some(SectionText::Header)), None);
        assert_eq!(message.binary(&part).map(|bare| bare.len()), Ok(number.len() + 2));
    }
    let header = |part: &[u32]| get(part, Some(SectionText::Header));
    assert!(header(&[]).unwrap().starts_with("Subject: all\r\n"));
    assert!(header(&[3]).unwrap().starts_with("Subject: 3\r\n"));
    assert!(header(&[4, 2]).unwrap().starts_with("Subject: 4.2\r\n"));
    assert_eq!(header(&[4]), None);
    assert!(get(&[4, 2], Some(SectionText::Text)).unwrap().starts_with("--e\r\n"));
    assert!(get(&[4, 2], None).unwrap().starts_with("Subject: 4.2\r\n"));
    assert!(get(&[4, 2, 2], None).unwrap().starts_with("--f\r\n"));
    for none in [&[5][..], &[0], &[1, 1], &[3, 3], &[4, 2, 3], &[u32::MAX, 1]] {
        assert_eq!(get(none, None), None, "{none:?}");
        assert_eq!(message.binary(none), Err(BinaryError::NoSuchPart));
    }
    assert_eq!(get(&[], None), Some(text.as_str()));
}

#[test]
fn a_message_without_parts_has_part_1() {
    let text = "Subject: x\r\n\r\nbody\r\n";
    let message = Message::parse(text.as_bytes(), false);
    assert_eq!(message.section(&[1], None), Some(14..20));
    assert_eq!(message.section(&[1], Some(&SectionText::Mime)), Some(0..14));
    assert_eq!(message.section(&[1], Some(&SectionText::Text)), None);
    assert_eq!(message.section(&[1, 1], None), None);
    assert_eq!(message.section(&[2], None), None);
}

#[test]
fn addresses_as_dovecot_reads_them() {
    for (field, expected) in [
        ("a@b", "((NIL NIL \"a\" \"b\"))"),
        ("=?utf-8?q?a=20b?= <x@y>", "((\"=?utf-8?q?a=20b?=\" NIL \"x\" \"y\"))"),
        ("\"q \\\" r\" <@r1,@r2:s@t> (c)", "((\"q \\\" r\" \"@r1,@r2\" \"s\" \"t\"))"),
        (
            "grp: a@b, \"B C\" <d@e>; , undisclosed:;",
            "((NIL NIL \"grp\" NIL)(NIL NIL \"a\" \"b\")(\"B C\" NIL \"d\" \"e\")\
             (NIL NIL NIL NIL)(NIL NIL \"undisclosed\" NIL)(NIL NIL NIL NIL))",
        ),
        ("plain", "((NIL NIL \"plain\" \"MISSING_DOMAIN\"))"),
        ("user (Real Name)", "((\"Real Name\" NIL \"user\" \"MISSING_DOMAIN\"))"),
        ("<only@angle>", "((NIL NIL \"only\" \"angle\"))"),
        ("a b c", "((\"a b c\" NIL \"MISSING_MAILBOX\" \"MISSING_DOMAIN\"))"),
        ("a.b@c.d., x@y", "((NIL NIL \"a.b\" \"MISSING_DOMAIN\")(NIL NIL \"x\" \"y\"))"),
        ("x@[1.2.3.4]", "((NIL NIL \"x\" \"[1.2.3.4]\"))"),
        ("=?x?=<y", "((\"=?x?=\" NIL \"y\" \"SYNTAX_ERROR\"))"),
        ("\"unclosed <a@b>", "((NIL NIL \"MISSING_MAILBOX\" \"MISSING_DOMAIN\"))"),
        ("<>", "((NIL NIL \"MISSING_MAILBOX\" \"MISSING_DOMAIN\"))"),
        (
            "\"x y\"@z, a . b @ c",
            "((NIL NIL \"x y\" \"z\")\
          (\"a. b\" NIL \"MISSING_MAILBOX\" \"MISSING_DOMAIN\"))",
        ),
        ("a@b\r\nTo: c@d", "((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\"))"),
        ("", "NIL"),
    ] {
        let expected = format!("(NIL NIL NIL NIL NIL {expected} NIL NIL NIL NIL)");
        assert_eq!(envelope_of(&format!("To: {field}\r\n\r\n")), expected, "{field}");
    }
}

#[test]
fn lines_of_an_envelope() {
    let header = "Date: a\r\nDate: b\r\n\tc\r\nSubject:  x \t y\r\n z \r\nSender:\r\nFrom: a@b\r\n\
                  Reply-To: c@d\r\nMessage-ID: <x\0y@z>\r\nIn-Reply-To: \"\r\n";
    assert_eq!(
        envelope_of(header),
        "(\"b\tc\" \"x y z\" ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) \
         ((NIL NIL \"c\" \"d\")) NIL NIL NIL \"\\\"\" {9}\r\n<x\u{fffd}y@z>)"
            .replace("\"b\tc\"", "{3}\r\nb\tc")
    );
}

#[test]
fn broken_structures_as_dovecot_reads_them() {
    let plain = "\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\"";
    // No boundary parameter: everything is one part.
    let text = "Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\nabc\r\n";
    assert_eq!(structure(text, false), format!("(({plain} 12 3) \"mixed\")"));
    // Headers ended by a boundary, which includes the line end before it.
    let text = "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n--x\r\n\
                Content-Type: text/html\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n\
                Subject: a\r\n--x--\r\nepi\r\n";
    assert_eq!(
        structure(text, false),
        format!(
            "(({plain} 0 0)(\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)\
             (\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 12 \
             (NIL \"a\" NIL NIL NIL NIL NIL NIL NIL NIL) ({plain} 0 0) 1) \"mixed\")"
        )
    );
    let message = Message::parse(text.as_bytes(), false);
    let mime = |part: u32| message.section(&[part], Some(&SectionText::Mime)).unwrap();
    assert!(mime(1).is_empty() && mime(2).end - mime(2).start == 25);
    let text = "Content-Type: multipart/mixed; boundary=\"foo--\"\r\n\r\npre\r\n\
                --foo--\r\n\r\nx\r\n--foo----\r\n";
    assert_eq!(structure(text, false), format!("(({plain} 1 0) \"mixed\")"));
    let text = "Content-Transfer-Encoding: base64\r\n\r\nYWJj\r\n";
    assert_eq!(structure(text, false), format!("({plain} 6 1)"));
    assert_eq!(Message::parse(text.as_bytes(), false).binary(&[1]).unwrap(), &b"abc"[..]);
}

#[test]
fn fields_of_a_structure() {
    let text = "Content-Type: text\r\nContent-ID: <a>\r\n b\r\nContent-MD5: abc\r\n\
                Content-Description: d\r\nContent-Location: http://a/\r\n\
                Content-Language: de, en-us (x), 12\r\n\
                Content-Disposition: attachment; filename*0*=utf-8''a%20b;\r\n \
                filename*1=\"c%d\"; size=12; size\r\n\
                Content-Transfer-Encoding: Base64 (hi)\r\n\r\nYWJj\r\n";
    assert_eq!(
        structure(text, true),
        "(\"text\" \"plain\" (\"charset\" \"us-ascii\") \"<a> b\" \"d\" \"Base64\" 6 1 \"abc\" \
         (\"attachment\" (\"size\" \"12\" \"filename*\" \"utf-8''a%20bc%25d\")) \
         (\"de\" \"en-us\" \"12\") \"http://a/\")"
    );
    let text = "Content-Type: text/plain; name=\"a\r\n  b\"; x=y; name*=us-ascii''x; a=\r\n\r\n";
    assert!(structure(text, false).starts_with(
        "(\"text\" \"plain\" (\"name\" \"a  b\" \"x\" \"y\" \"a\" \"\" \"name*\" \
         \"us-ascii''x\" \"charset\" \"us-ascii\")"
    ));
}

#[test]
fn transfer_encodings_are_undone() {
    let get = |encoding: &str, body: &str| {
        let text = format!("Content-Transfer-Encoding: {encoding}\r\n\r\n{body}");
        Message::parse(text.as_bytes(), false).binary(&[1]).map(|octets| octets.into_owned())
    };
    for (encoding, body, expected) in [
        ("8bit", "\r\nü", "\r\nü"),
        ("BASE64", "YW\r\nJj\r\n", "abc"),
        ("base64", "YW*Jj\r\n", "abc"),
        ("quoted-printable", "a=20b=\r\nc=3D\r\n", "a bc=\r\n"),
        ("quoted-printable", "c=ZZ=", "c=ZZ="),
    ] {
        assert_eq!(get(encoding, body), Ok(expected.into()), "{encoding} {body}");
    }
    assert_eq!(get("x-foo", "abc"), Err(BinaryError::UnknownEncoding));
}

/// RFC 2045 section 5.2 recommends text/plain for unreadable types.
#[test]
fn unreadable_types_are_text() {
    for kind in ["", "\"text/plain\"", "/plain", "=?utf-8?q?text/plain?=", "text", "multipart"] {
        let text = format!("Mime-Version: 1.0\r\nContent-Type: {kind}\r\n\r\nhello\r\n");
        let expected = "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 7 1)";
        assert_eq!(structure(&text, false), expected, "{kind}");
    }
    let text = "Content-Type: text; charset=utf-8\r\n\r\nx";
    assert!(structure(text, false).starts_with("(\"text\" \"plain\" (\"charset\" \"utf-8\") "));
}

#[test]
fn a_multipart_whose_boundary_never_comes_is_its_text() {
    let text = "Content-Type: multipart/mixed; boundary=\"--b\"\r\n\r\n--b\r\n\r\nhi\r\n--b--\r\n";
    let plain = "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 18 4)";
    assert_eq!(structure(text, false), format!("({plain} \"mixed\")"));
    let message = Message::parse(text.as_bytes(), false);
    assert_eq!(message.section(&[1], None), message.section(&[], Some(&SectionText::Text)));
    // A multipart whose first boundary is its last has no text: what precedes it is not a part.
    let text = "Content-Type: multipart/mixed; boundary=b\r\n\r\nhi\r\n--b--\r\n";
    assert!(structure(text, false).contains(" 0 0) \"mixed\""));
    assert_eq!(Message::parse(text.as_bytes(), false).section(&[1], None), None);
}

/// RFC 2046 section 5.2.1 forbids it, but it is sent.
#[test]
fn a_message_in_base64_is_decoded_by_binary() {
    let part = |body: &str| {
        format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: \
             message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}\r\n--b--\r\n"
        )
    };
    let text = part("U3ViamVjdDogaW5uZXINCg0KaW5uZXJ0ZXh0DQo=");
    let message = Message::parse(text.as_bytes(), false);
    let inner = b"Subject: inner\r\n\r\ninnertext\r\n";
    assert_eq!(message.binary(&[1]).as_deref(), Ok(&inner[..]));
    assert!(structure(&text, true).contains("\"base64\" 40 (NIL NIL NIL NIL NIL NIL NIL NIL NIL"));
    assert_eq!(message.section(&[1], Some(&SectionText::Header)), None);
    // If it only claims to be base64, it is read as it is.
    let text = part("Subject: inner\r\n\r\ninnertext");
    let message = Message::parse(text.as_bytes(), false);
    assert!(structure(&text, true).contains("(NIL \"inner\" NIL "));
    assert!(message.section(&[1], Some(&SectionText::Header)).is_some());
}

/// As in RFC 9051 section 6.4.5.1, but not in RFC 3501.
#[test]
fn message_global_is_a_message_in_rev2() {
    let text = "Content-Type: Message/Global\r\n\r\nSubject: inner\r\n\r\ntext";
    let global = Message::parse(text.as_bytes(), true);
    let structure = written(|out| global.body_structure(false, out).unwrap());
    assert!(
        structure.starts_with(b"(\"message\" \"global\" NIL NIL NIL \"7bit\" 22 (NIL \"inner\"")
    );
    assert_eq!(global.section(&[1, 1], None), Some(50..54));
    let leaf = Message::parse(text.as_bytes(), false);
    let structure = written(|out| leaf.body_structure(false, out).unwrap());
    assert_eq!(structure, b"(\"Message\" \"Global\" NIL NIL NIL \"7bit\" 22)");
    assert_eq!(leaf.section(&[1, 1], None), None);
}

#[test]
fn mail_with_two_cr_has_a_body() {
    let text = "Subject: s\r\r\nContent-Type: text/plain\r\r\n\r\r\nhello\r\r\n";
    let message = Message::parse(text.as_bytes(), false);
    let body = message.section(&[], Some(&SectionText::Text)).unwrap();
    assert_eq!(&text[body.start as usize..], "hello\r\r\n");
    assert!(structure(text, false).ends_with(" \"7bit\" 8 1)"));
}

#[test]
fn values_folded_after_the_colon_begin_without_a_blank() {
    let header = "Date:\r\n Mon, 1 Jan 2024 10:00:00 +0000\r\nMessage-ID:\r\n\t<a@x>\r\n\
        In-Reply-To:\r\n <b@x>\r\n\r\n";
    assert_eq!(
        envelope_of(header),
        "(\"Mon, 1 Jan 2024 10:00:00 +0000\" NIL NIL NIL NIL NIL NIL NIL \"<b@x>\" \"<a@x>\")"
    );
}
