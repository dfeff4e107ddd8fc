//! Responses, appended to a buffer.
//!
//! No text from a client or a message can break a response line: human-readable text is cut and
//! cleaned, names and strings are quoted or sent as literals.

mod code;
mod decimal;
mod fetch;
mod list;
mod metadata;
mod search;
mod string;

use std::fmt::{self, Write};

use bytes::BytesMut;

use crate::types::{Flags, Keyword, UidRange};

use super::{MailboxName, StatusItem, Tag};
pub use code::Code;
pub use decimal::{decimal, sequence_set, uid_set};
pub use fetch::{FetchResponse, message_flags};
pub use list::{ListEntry, list, list_separator};
pub use metadata::metadata;
pub use search::{EsearchResponse, SearchResponse, ThreadNode, thread_begin, thread_lists};
pub use string::{Names, astring, mailbox, nstring, string, string_utf8};
pub(crate) use string::{QUOTED, string_to};

/// Longest human-readable text, in octets; it may quote client input.
const TEXT: usize = 200;

/// The first word of a status response (RFC 3501 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Success.
    Ok,
    /// Failure.
    No,
    /// Not understood.
    Bad,
    /// The server is about to close the connection. Never tagged.
    Bye,
}

impl Condition {
    fn word(self) -> &'static str {
        match self {
            Condition::Ok => "OK",
            Condition::No => "NO",
            Condition::Bad => "BAD",
            Condition::Bye => "BYE",
        }
    }
}

/// The tagged response that ends a command.
///
/// ```abnf
/// response-tagged = tag SP resp-cond-state CRLF
/// resp-cond-state = ("OK" / "NO" / "BAD") SP resp-text
/// ```
pub fn tagged(
    out: &mut BytesMut,
    tag: &Tag,
    condition: Condition,
    code: Option<&Code>,
    text: &str,
) {
    out.extend_from_slice(tag.as_str().as_bytes());
    status_line(out, condition, code, text);
}

/// An untagged status response: the greeting, a warning, BYE, or BAD for a command without a tag.
///
/// ```abnf
/// response-data = "*" SP (resp-cond-state / resp-cond-bye / …) CRLF
/// ```
pub fn untagged(out: &mut BytesMut, condition: Condition, code: Option<&Code>, text: &str) {
    out.extend_from_slice(b"*");
    status_line(out, condition, code, text);
}

/// ```abnf
/// resp-text = ["[" resp-text-code "]" SP] text
/// ```
fn status_line(out: &mut BytesMut, condition: Condition, code: Option<&Code>, text: &str) {
    put(out, format_args!(" {} ", condition.word()));
    if let Some(code) = code {
        out.extend_from_slice(b"[");
        code.write(out);
        out.extend_from_slice(b"] ");
    }
    resp_text(out, text, code.is_none());
    out.extend_from_slice(b"\r\n");
}

/// Asks for the rest of a command: a literal, or a SASL response, for which `text` is the challenge
/// in base64.
///
/// ```abnf
/// continue-req = "+" SP (resp-text / base64) CRLF
/// ```
pub fn continuation(out: &mut BytesMut, text: &str) {
    put(out, format_args!("+ {text}\r\n"));
}

/// `* CAPABILITY …` (RFC 3501 section 7.2.1) or `* ENABLED …` (RFC 5161): a word followed by names.
pub fn words<'a>(out: &mut BytesMut, word: &str, names: impl IntoIterator<Item = &'a str>) {
    put(out, format_args!("* {word}"));
    for name in names {
        put(out, format_args!(" {name}"));
    }
    out.extend_from_slice(b"\r\n");
}

/// `* 23 EXISTS`, `* 5 RECENT`, `* 44 EXPUNGE` (RFC 3501 sections 7.3 and 7.4.1): a number followed
/// by a word.
pub fn number(out: &mut BytesMut, number: u32, word: &str) {
    out.extend_from_slice(b"* ");
    decimal(out, number.into());
    out.extend_from_slice(b" ");
    out.extend_from_slice(word.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// `* FLAGS (…)`: the flags in use in a mailbox (RFC 3501 section 7.2.6).
pub fn flags(out: &mut BytesMut, keywords: &[Keyword]) {
    out.extend_from_slice(b"* FLAGS ");
    flag_list(out, all_flags(), keywords.iter().map(Keyword::as_str), &[]);
    out.extend_from_slice(b"\r\n");
}

/// `* VANISHED 405,407` in place of EXPUNGE, or `* VANISHED (EARLIER) …` if `earlier`: messages
/// expunged since the client last synchronised (RFC 7162 section 3.2.10). At least one UID.
///
/// ```abnf
/// expunged-resp = "VANISHED" [SP "(EARLIER)"] SP known-uids
/// ```
pub fn vanished(out: &mut BytesMut, earlier: bool, uids: impl IntoIterator<Item = UidRange>) {
    let words: &[u8] = if earlier { b"* VANISHED (EARLIER) " } else { b"* VANISHED " };
    out.extend_from_slice(words);
    uid_set(out, uids);
    out.extend_from_slice(b"\r\n");
}

/// A value in the response to STATUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusValue<'a> {
    /// Most items.
    Number(u64),
    /// MAILBOXID: letters, digits, `-` and `_` (RFC 8474 section 7).
    Id(&'a str),
    /// APPENDLIMIT of a mailbox without a limit.
    Nil,
}

/// The response to STATUS.
///
/// ```abnf
/// mailbox-data    = "STATUS" SP mailbox SP "(" [status-att-list] ")"
/// status-att-list = status-att SP number *(SP status-att SP number)
/// ```
pub fn status(
    out: &mut BytesMut,
    name: &MailboxName,
    names: Names,
    items: &[(StatusItem, StatusValue)],
) {
    out.extend_from_slice(b"* STATUS ");
    mailbox(out, name, names);
    out.extend_from_slice(b" (");
    for (n, (item, value)) in items.iter().enumerate() {
        let space = if n == 0 { "" } else { " " };
        put(out, format_args!("{space}{} ", item.name()));
        match value {
            StatusValue::Number(number) => decimal(out, *number),
            StatusValue::Id(id) => put(out, format_args!("({id})")),
            StatusValue::Nil => out.extend_from_slice(b"NIL"),
        }
    }
    out.extend_from_slice(b")\r\n");
}

/// The response to NAMESPACE (RFC 2342): one personal namespace at the root, no others.
pub fn namespace(out: &mut BytesMut) {
    put(out, format_args!("* NAMESPACE ((\"\" \"{}\")) NIL NIL\r\n", MailboxName::SEPARATOR));
}

/// The response to ID (RFC 2971).
///
/// ```abnf
/// id_response = "ID" SP id_params_list
/// ```
pub fn id(out: &mut BytesMut, fields: &[(&str, &str)]) {
    out.extend_from_slice(b"* ID (");
    for (n, (name, value)) in fields.iter().enumerate() {
        out.extend_from_slice(if n == 0 { b"" } else { b" " });
        string(out, name.as_bytes());
        out.extend_from_slice(b" ");
        string(out, value.as_bytes());
    }
    out.extend_from_slice(b")\r\n");
}

/// ```abnf
/// flag-list = "(" [flag *(SP flag)] ")"
/// ```
/// `more` are flags not in [`Flags`]: `\Recent`, `\*`.
fn flag_list<'a>(
    out: &mut BytesMut,
    flags: Flags,
    keywords: impl IntoIterator<Item = &'a str>,
    more: &[&'a str],
) {
    let mut between: &[u8] = b"(";
    let mut one = |name: &str| {
        out.extend_from_slice(between);
        out.extend_from_slice(name.as_bytes());
        between = b" ";
    };
    for (name, flag) in Flags::NAMES {
        if flags.contains(flag) {
            one(name);
        }
    }
    keywords.into_iter().for_each(&mut one);
    more.iter().for_each(|name| one(name));
    let empty = between == b"(";
    out.extend_from_slice(if empty { b"()" } else { b")" });
}

fn all_flags() -> Flags {
    Flags::NAMES.into_iter().fold(Flags::default(), |all, (_, flag)| all.union(flag))
}

fn separated<S: AsRef<str>>(out: &mut BytesMut, words: impl IntoIterator<Item = S>) {
    for (n, word) in words.into_iter().enumerate() {
        out.extend_from_slice(if n == 0 { b"" } else { b" " });
        out.extend_from_slice(word.as_ref().as_bytes());
    }
}

/// ```abnf
/// text      = 1*TEXT-CHAR
/// TEXT-CHAR = <any CHAR except CR and LF>
/// ```
/// A bracket at the start would be read as a response code.
fn resp_text(out: &mut BytesMut, text: &str, at_start: bool) {
    let text = if text.is_empty() { "-" } else { text };
    for (n, c) in text.chars().take(TEXT).enumerate() {
        let octet = match c {
            '[' if n == 0 && at_start => b'(',
            ' '..='~' => c as u8,
            _ => b'?',
        };
        out.extend_from_slice(&[octet]);
    }
}

fn put(out: &mut BytesMut, text: fmt::Arguments) {
    out.write_fmt(text).expect("a BytesMut grows as needed, and our types always format");
}

/// What `write` appends, as text.
#[cfg(test)]
fn written(write: impl FnOnce(&mut BytesMut)) -> String {
    let mut out = BytesMut::new();
    write(&mut out);
    String::from_utf8(out.to_vec()).expect("answers are UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Head, parse_append_head};
    use crate::types::{Uid, UidValidity};

    fn tag() -> Tag {
        match parse_append_head(b"A003 APPEND x {1}", false) {
            Ok(Head::Mailbox { tag, .. }) => tag,
            other => panic!("{other:?}"),
        }
    }

    fn range(first: u32, last: u32) -> UidRange {
        UidRange { first: Uid(first), last: Uid(last) }
    }

    #[test]
    fn status_lines() {
        let uids = [range(1, 5), range(9, 9)];
        let code = Code::AppendUid { validity: UidValidity(38505), uids: &uids };
        assert_eq!(
            written(|o| tagged(o, &tag(), Condition::Ok, Some(&code), "APPEND completed")),
            "A003 OK [APPENDUID 38505 1:5,9] APPEND completed\r\n"
        );
        assert_eq!(
            written(|o| untagged(o, Condition::Bye, None, "Autologout")),
            "* BYE Autologout\r\n"
        );
        assert_eq!(written(|o| continuation(o, "")), "+ \r\n");
    }

    #[test]
    fn client_text_cannot_break_a_line() {
        let line = |text: &str| written(|o| untagged(o, Condition::Bad, None, text));
        assert_eq!(line("a\r\n* OK b\0\x7fü"), "* BAD a??* OK b???\r\n");
        assert_eq!(line("[ALERT] x"), "* BAD (ALERT] x\r\n");
        assert_eq!(line(""), "* BAD -\r\n");
        assert_eq!(line(&"é".repeat(9999)).len(), "* BAD ".len() + TEXT + 2);
    }

    #[test]
    fn data_lines() {
        let items = [
            (StatusItem::Messages, StatusValue::Number(231)),
            (StatusItem::MailboxId, StatusValue::Id("F1")),
            (StatusItem::AppendLimit, StatusValue::Nil),
        ];
        assert_eq!(
            written(|o| status(o, &MailboxName::inbox(), Names::Utf7, &items)),
            "* STATUS INBOX (MESSAGES 231 MAILBOXID (F1) APPENDLIMIT NIL)\r\n"
        );
        assert_eq!(
            written(|o| flags(o, &[Keyword::new(b"$Junk").unwrap()])),
            "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk)\r\n"
        );
        let gone = [range(405, 405), range(407, 410)];
        assert_eq!(written(|o| vanished(o, false, gone)), "* VANISHED 405,407:410\r\n");
        assert_eq!(written(|o| vanished(o, true, gone)), "* VANISHED (EARLIER) 405,407:410\r\n");
        assert_eq!(written(|o| number(o, 23, "EXISTS")), "* 23 EXISTS\r\n");
        assert_eq!(written(|o| words(o, "ENABLED", ["CONDSTORE"])), "* ENABLED CONDSTORE\r\n");
        assert_eq!(written(namespace), "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
        assert_eq!(
            written(|o| id(o, &[("name", "mail\"race")])),
            "* ID (\"name\" \"mail\\\"race\")\r\n"
        );
    }
}
