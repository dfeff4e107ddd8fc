//! APPEND, line by line. Its literals go straight to the log; this module reads the text between
//! them.
//!
//! ```abnf
//! append         = "APPEND" SP mailbox 1*append-message                          ; RFC 4466
//! append-message = append-opts SP append-data
//! append-opts    = [SP flag-list] [SP date-time] *(SP append-ext)
//! append-data    = literal / literal8 / append-data-ext
//! ```
//! [`parse_append_head`] reads the command's first line. [`parse_append_options`] reads what
//! follows the mailbox on it, and the line after each message. Errors carry the literal that the
//! line announced: its octets arrive regardless, or the client waits for an answer to it.

use std::fmt;

use super::grammar::{self, Cursor, Expected, Parsed};
use super::{Literal, MailboxName, NameError, Tag};
use crate::types::{DateError, Flags, InternalDate, Keyword};

/// Whether a line, or the start of a command, is a tag followed by APPEND.
#[must_use]
pub fn is_append(line: &[u8]) -> bool {
    let mut cursor = Cursor::new(line, false);
    let verb = cursor.tag().and_then(|_| cursor.sp()).map(|()| cursor.accept_word("APPEND"));
    verb == Ok(true) && !cursor.peek().is_some_and(|o| o.is_ascii_graphic())
}

/// The first line of an APPEND.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// The mailbox is on the line.
    Mailbox {
        /// The tag.
        tag: Tag,
        /// The target mailbox. An invalid name is answered NO.
        mailbox: Result<MailboxName, NameError>,
        /// Offset at which the options of the first message begin.
        rest: usize,
    },
    /// The mailbox is a literal: read it, make it a [`MailboxName`], and read the first message's
    /// options from the line that follows.
    MailboxLiteral {
        /// The tag.
        tag: Tag,
        /// The name's literal. Its size is not checked.
        literal: Literal,
    },
}

/// Why a line does not begin an APPEND. The answer is BAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadError {
    /// The tag, if it could be read.
    pub tag: Option<Tag>,
    /// What the grammar requires; completes the sentence "expected …".
    pub expected: &'static str,
    /// Offset in the line, from 0, where it was expected.
    pub at: usize,
    /// The literal announced at the end of the line.
    pub literal: Option<Literal>,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at octet {}", self.expected, self.at)
    }
}

/// Reads the first line of an APPEND, without its line end. For `utf8` see
/// [`MailboxName::from_wire`].
///
/// # Errors
/// If the line is not `tag SP "APPEND" SP mailbox` followed by anything.
pub fn parse_append_head(line: &[u8], utf8: bool) -> Result<Head, HeadError> {
    let announced = Literal::at_end(line);
    let (literal, end) = announced.map_or((None, line.len()), |(l, at)| (Some(l), at));
    let mut cursor = Cursor::new(&line[..end], utf8);
    let failed =
        |tag, error: Expected| HeadError { tag, expected: error.what, at: error.at, literal };
    let tag = cursor.tag().map(Tag::new).map_err(|error| failed(None, error))?;
    if let Err(error) = verb(&mut cursor) {
        return Err(failed(Some(tag), error));
    }
    match literal {
        Some(literal) if cursor.rest().is_empty() && !literal.binary => {
            Ok(Head::MailboxLiteral { tag, literal })
        }
        _ => match grammar::mailbox(&mut cursor) {
            Ok(mailbox) => Ok(Head::Mailbox { tag, mailbox, rest: cursor.at() }),
            Err(error) => Err(failed(Some(tag), error)),
        },
    }
}

fn verb(cursor: &mut Cursor) -> Parsed<()> {
    cursor.sp()?;
    if !cursor.accept_word("APPEND") {
        return cursor.expected("APPEND");
    }
    cursor.sp()
}

/// What precedes the octets of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// System flags.
    pub flags: Flags,
    /// Keywords, each once.
    pub keywords: Vec<Keyword>,
    /// The internal date; `None` means now.
    pub date: Option<InternalDate>,
    /// Whether the message is sent as `UTF8 (~{n} …)` (RFC 6855 section 4). A parenthesis then
    /// follows its octets; [`after_utf8`] removes it.
    pub utf8: bool,
    /// The message. A size of 0 cancels the whole APPEND (RFC 3502 section 6.3.11).
    pub literal: Literal,
}

/// What a line between messages contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the command is complete.
    End,
    /// Another message.
    Message(Options),
}

/// Which answer an error gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorReply {
    /// The line is well-formed, but its flags or date cannot be kept. RFC 3501 section 6.3.11: NO
    /// is for "error in flags or date/time", BAD for "arguments invalid".
    No,
    /// The line does not follow the grammar.
    Bad,
}

/// Why a line between messages, and with it the whole APPEND, is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsError {
    /// NO or BAD.
    pub reply: ErrorReply,
    /// The reason, as told to the client.
    pub text: String,
    /// The literal announced at the end of the line.
    pub literal: Option<Literal>,
}

/// Reads the options of a message. `text` reaches from the mailbox, or from the previous message's
/// octets, to the line end, exclusive.
///
/// Spaces may be missing or superfluous. A well-formed date that does not exist, an unknown system
/// flag and an invalid keyword are answered NO. `\Recent` is ignored.
///
/// # Errors
/// If the APPEND is to be refused.
pub fn parse_append_options(text: &[u8]) -> Result<Next, OptionsError> {
    let announced = Literal::at_end(text);
    let (literal, end) = announced.map_or((None, text.len()), |(l, at)| (Some(l), at));
    let failed = |reply, text| OptionsError { reply, text, literal };
    let mut cursor = Cursor::new(&text[..end], false);
    cursor.spaces();
    if literal.is_none() && cursor.rest().is_empty() {
        return Ok(Next::End);
    }
    let options = options(&mut cursor)
        .map_err(|e| failed(ErrorReply::Bad, format!("expected {} at octet {}", e.what, e.at)))?;
    let Some(literal) = literal else {
        return Err(failed(ErrorReply::Bad, "expected a message literal".into()));
    };
    if let Some(refused) = options.flags.refused {
        return Err(failed(ErrorReply::No, refused.to_string()));
    }
    let date = match options.date.as_deref().map(|date| (date, InternalDate::parse(date))) {
        None => None,
        Some((_, Ok(date))) => Some(date),
        Some((date, Err(error))) => {
            let (reply, why) = match error {
                DateError::Malformed => (ErrorReply::Bad, "is malformed"),
                DateError::OutOfRange => (ErrorReply::No, "does not exist"),
            };
            let text = format!("the internal date \"{}\" {why}", grammar::quoted(date));
            return Err(failed(reply, text));
        }
    };
    let utf8 = options.utf8;
    let grammar::FlagList { flags, keywords, .. } = options.flags;
    Ok(Next::Message(Options { flags, keywords, date, utf8, literal }))
}

/// The rest of the line after a message sent as `UTF8 (~{n} …)`, without its parenthesis. `None` if
/// the parenthesis is missing.
#[must_use]
pub fn after_utf8(text: &[u8]) -> Option<&[u8]> {
    let spaces = text.iter().take_while(|&&octet| octet == b' ').count();
    text[spaces..].strip_prefix(b")")
}

/// Options as the client wrote them.
struct Written {
    flags: grammar::FlagList,
    /// The text between the quotes.
    date: Option<Vec<u8>>,
    /// The literal is inside the parentheses of UTF8.
    utf8: bool,
}

/// ```abnf
/// append-opts = [SP flag-list] [SP date-time] *(SP append-ext)
/// date-time   = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
/// ```
fn options(cursor: &mut Cursor) -> Parsed<Written> {
    let flags = match cursor.peek() {
        Some(b'(') => grammar::flag_list(cursor)?,
        _ => grammar::FlagList::default(),
    };
    cursor.spaces();
    let date = match cursor.peek() {
        Some(b'"') => Some(cursor.quoted()?),
        _ => None,
    };
    cursor.spaces();
    let utf8 = !cursor.rest().is_empty();
    if utf8 {
        data_ext(cursor)?;
    }
    Ok(Written { flags, date, utf8 })
}

/// The other forms a message may take. Only UTF8 is offered.
///
/// ```abnf
/// append-data =/ "CATENATE" SP "(" cat-part *(SP cat-part) ")"                   ; RFC 4469
/// append-data =/ "UTF8" SP "(" literal8 ")"                                      ; RFC 6855
/// ```
/// A plain literal in place of literal8 is accepted.
fn data_ext(cursor: &mut Cursor) -> Parsed<()> {
    let here = cursor.clone();
    if cursor.accept_word("CATENATE") {
        return here.expected("a message literal (CATENATE is not offered)");
    }
    if !cursor.accept_word("UTF8") {
        return here.expected("flags, a date or a message literal");
    }
    cursor.spaces();
    cursor.require(b'(', "an opening parenthesis")?;
    cursor.spaces();
    if cursor.rest().is_empty() { Ok(()) } else { cursor.expected("a message literal") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(size: u64) -> Literal {
        Literal { size, synchronising: true, binary: false }
    }

    fn message(text: &str) -> Options {
        match parse_append_options(text.as_bytes()) {
            Ok(Next::Message(options)) => options,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn head(line: &str) -> (String, usize) {
        match parse_append_head(line.as_bytes(), false) {
            Ok(Head::Mailbox { tag, mailbox, rest }) => {
                (format!("{tag} {}", mailbox.unwrap()), rest)
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn append_is_known_by_its_verb() {
        for line in ["a APPEND b {5}", "a  append {5}", "+ APPEND", "a APPEND", "a APPEND\r\n"] {
            assert_eq!(is_append(line.as_bytes()), !line.starts_with('+'), "{line}");
        }
        for line in ["", "a", "a APPENDX b", "APPEND b", "a LOGIN APPEND b", "a  APPEN"] {
            assert!(!is_append(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn heads() {
        assert_eq!(
            head("A003 APPEND saved-messages (\\Seen) {310}"),
            ("A003 saved-messages".into(), 26,)
        );
        assert_eq!(head("a append \"b (c\"(\\Seen){1+}"), ("a b (c".into(), 15));
        assert_eq!(head("a  Append   inbox{1+}"), ("a INBOX".into(), 17));
        assert_eq!(head("a APPEND b~{1+}"), ("a b".into(), 10));
        let line = b"a APPEND {7+}";
        let Head::MailboxLiteral { tag, literal } = parse_append_head(line, false).unwrap() else {
            panic!("not a literal");
        };
        assert_eq!((tag.as_str(), literal.size, literal.synchronising), ("a", 7, false));
    }

    #[test]
    fn invalid_heads_keep_the_literal() {
        for (line, expected, at) in [
            ("a APPEND ~{5}", "a mailbox name", 9),
            ("a APPEND (\\Seen) {5}", "a mailbox name", 9),
            ("a APPEND \"b {5}", "a closing quote", 12),
            ("a APPEND{5}", "a space", 8),
            ("a {5}", "APPEND", 2),
        ] {
            let error = parse_append_head(line.as_bytes(), false).unwrap_err();
            assert_eq!((error.expected, error.at), (expected, at), "{line}");
            assert_eq!(error.literal.unwrap().size, 5, "{line}");
            assert_eq!(error.tag.unwrap().as_str(), "a", "{line}");
        }
        assert_eq!(parse_append_head(b"(a APPEND", false).unwrap_err().tag, None);
        let refused = parse_append_head(b"a APPEND \"/b\" {5}", false);
        assert!(matches!(refused, Ok(Head::Mailbox { mailbox: Err(NameError::EmptyLevel), .. })));
    }

    #[test]
    fn options_as_the_rfc_and_as_clients_write_them() {
        let date = InternalDate::parse(b" 7-Feb-1994 22:43:04 -0800").unwrap();
        for (text, flags, date) in [
            (" {295}", Flags::default(), None),
            ("{295}", Flags::default(), None),
            (" () {295}", Flags::default(), None),
            (" (\\Seen) \" 7-Feb-1994 22:43:04 -0800\" {295}", Flags::SEEN, Some(date)),
            ("(\\seen)\"7-feb-1994 22:43:04 -0800\"{295}", Flags::SEEN, Some(date)),
            ("   ( \\Seen  \\Recent )   {295}", Flags::SEEN, None),
            ("  \"07-Feb-1994 22:43:04 -0800\"   {295}", Flags::default(), Some(date)),
        ] {
            let expected =
                Options { flags, keywords: vec![], date, utf8: false, literal: literal(295) };
            assert_eq!(message(text), expected, "{text}");
        }
        assert_eq!(parse_append_options(b""), Ok(Next::End));
        assert_eq!(parse_append_options(b"  "), Ok(Next::End));
        let binary = Literal { size: 0, synchronising: false, binary: true };
        assert_eq!(message(" ~{0+}").literal, binary);
    }

    #[test]
    fn keywords_are_merged() {
        let options = message(" ($Forwarded \\Flagged $FORWARDED Work \\Flagged) {5}");
        let names: Vec<_> = options.keywords.iter().map(Keyword::as_str).collect();
        assert_eq!((options.flags, names), (Flags::FLAGGED, vec!["$Forwarded", "Work"]));
    }

    #[test]
    fn errors_say_no_or_bad_and_keep_the_literal() {
        use ErrorReply::{Bad, No};
        for (text, reply) in [
            (" (\\Odd) {5}", No),
            (" (a]b) {5}", No),
            (" (\u{fc}) {5}", No),
            (" (\\) {5}", No),
            (" \"31-Apr-2001 00:00:00 +0000\" {5}", No),
            (" \"yesterday\" {5}", Bad),
            (" (\\Odd {5}", Bad),
            (" (a (b)) {5}", Bad),
            (" \"31-Apr-2001 00:00:00 +0000 {5}", Bad),
            (" \"31-Apr-2001 00:00:00 +0000\" (\\Seen) {5}", Bad),
            (" (\\Seen) (\\Draft) {5}", Bad),
            (" NIL {5}", Bad),
            (" UTF8 {5}", Bad),
            (" UTF8 (~{9} {5}", Bad),
            (" UTF8 ((\\Seen) {5}", Bad),
            (" CATENATE (URL \"x\" TEXT {5}", Bad),
        ] {
            let error = parse_append_options(text.as_bytes()).unwrap_err();
            assert_eq!((error.reply, error.literal), (reply, Some(literal(5))), "{text}");
        }
        let error = parse_append_options(b" (\\Odd)").unwrap_err();
        assert_eq!((error.reply, error.literal), (Bad, None));
        let many: String = (0..1025).map(|n| format!("k{n} ")).collect();
        let error = parse_append_options(format!("({many}){{5}}").as_bytes()).unwrap_err();
        assert_eq!(error.reply, No);
    }
}
