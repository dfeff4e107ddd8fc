//! A position in a command, and the rules that all commands share.

use crate::protocol::{Literal, SequenceSet, framing};

/// A syntax error: what the grammar requires at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) struct Expected {
    /// Completes the sentence "expected …".
    pub what: &'static str,
    /// Offset in the command, from 0.
    pub at: usize,
}

pub(in crate::protocol) type Parsed<T> = Result<T, Expected>;

/// Reads a command from start to end. Each method reads one rule of the grammar and leaves the
/// cursor after it, so that a parser has the shape of its ABNF. For `store-modifiers`:
///
/// ```text
/// cursor.sp()?;                              // SP
/// cursor.list("a list", true, |c| {          // "(" … *(SP …) ")"
///     parameter_name(c)?;                    // store-modifier
///     …
/// })?;
/// ```
///
/// A failed parser may leave the cursor anywhere. A parser that tries two rules works on a clone of
/// the cursor, which copies no octets, and drops the clone if the first rule fails.
#[derive(Clone, Debug)]
pub(in crate::protocol) struct Cursor<'a> {
    input: &'a [u8],
    at: usize,
    utf8: bool,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of a command. `utf8`: mailbox names are in UTF-8, never modified
    /// UTF-7.
    pub fn new(input: &'a [u8], utf8: bool) -> Cursor<'a> {
        Cursor { input, at: 0, utf8 }
    }

    /// Whether mailbox names are in UTF-8.
    pub fn utf8(&self) -> bool {
        self.utf8
    }

    /// Offset from the start of the command.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Everything not yet read.
    pub fn rest(&self) -> &'a [u8] {
        &self.input[self.at..]
    }

    /// The next octet, if any.
    pub fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    /// The error that `what` was expected here.
    pub fn expected<T>(&self, what: &'static str) -> Parsed<T> {
        Err(Expected { what, at: self.at })
    }

    /// Takes this octet if it comes next.
    pub fn accept(&mut self, octet: u8) -> bool {
        let accepted = self.peek() == Some(octet);
        self.at += usize::from(accepted);
        accepted
    }

    /// Takes this word, in any case, if it comes next; anything may follow it.
    pub fn accept_word(&mut self, word: &str) -> bool {
        let here = self.rest().get(..word.len());
        let accepted = here.is_some_and(|h| h.eq_ignore_ascii_case(word.as_bytes()));
        self.at += if accepted { word.len() } else { 0 };
        accepted
    }

    /// Takes this octet, which must come next.
    pub fn require(&mut self, octet: u8, what: &'static str) -> Parsed<()> {
        if self.accept(octet) { Ok(()) } else { self.expected(what) }
    }

    /// Skips any number of spaces.
    pub fn spaces(&mut self) {
        while self.accept(b' ') {}
    }

    /// SP of the grammar; more spaces are accepted.
    pub fn sp(&mut self) -> Parsed<()> {
        self.require(b' ', "a space")?;
        self.spaces();
        Ok(())
    }

    /// Whether only the line end is left. The line end is not removed in advance, because a literal
    /// may end in CR and the line after it in a bare LF.
    pub fn at_end(&self) -> bool {
        matches!(self.rest(), b"" | b"\n" | b"\r\n")
    }

    /// The end of the command, with optional spaces before it.
    pub fn end(&mut self) -> Parsed<()> {
        self.spaces();
        if self.at_end() { Ok(()) } else { self.expected("the end of the command") }
    }

    /// The longest run of octets that satisfy `wanted`; at least one octet.
    pub fn run(&mut self, what: &'static str, wanted: impl Fn(u8) -> bool) -> Parsed<&'a [u8]> {
        let rest = self.rest();
        let length = rest.iter().position(|&o| !wanted(o)).unwrap_or(rest.len());
        if length == 0 {
            return self.expected(what);
        }
        self.at += length;
        Ok(&rest[..length])
    }

    /// ```abnf
    /// tag = 1*<any ASTRING-CHAR except "+">
    /// ```
    pub fn tag(&mut self) -> Parsed<&'a str> {
        let tag = self.run("a tag", |o| is_astring_char(o) && o != b'+')?;
        Ok(ascii(tag))
    }

    /// ```abnf
    /// atom = 1*ATOM-CHAR
    /// ```
    pub fn atom(&mut self, what: &'static str) -> Parsed<&'a str> {
        Ok(ascii(self.run(what, is_atom_char)?))
    }

    /// ```abnf
    /// astring = 1*ASTRING-CHAR / string
    /// ```
    /// Octets over 127 are accepted: names in raw UTF-8.
    pub fn astring(&mut self, what: &'static str) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(what),
            _ => Ok(self.run(what, |o| is_astring_char(o) || o >= 0x80)?.to_vec()),
        }
    }

    /// ```abnf
    /// nstring = string / nil
    /// nil     = "NIL"
    /// ```
    pub fn nstring(&mut self, what: &'static str) -> Parsed<Option<Vec<u8>>> {
        if self.accept_word("NIL") { Ok(None) } else { self.string(what).map(Some) }
    }

    /// ```abnf
    /// nstring / literal8
    /// literal8 = "~{" number ["+"] "}" CRLF *OCTET     ; RFC 4466, RFC 7888
    /// ```
    pub fn nstring8(&mut self, what: &'static str) -> Parsed<Option<Vec<u8>>> {
        if self.rest().starts_with(b"~{") {
            self.any_literal().map(Some)
        } else {
            self.nstring(what)
        }
    }

    /// ```abnf
    /// string = quoted / literal
    /// ```
    pub fn string(&mut self, what: &'static str) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            _ => self.expected(what),
        }
    }

    /// ```abnf
    /// quoted          = DQUOTE *QUOTED-CHAR DQUOTE
    /// QUOTED-CHAR     = <any TEXT-CHAR except quoted-specials> / "\" quoted-specials
    /// quoted-specials = DQUOTE / "\"
    /// ```
    /// A backslash before any other octet is dropped; octets over 127 are accepted.
    pub fn quoted(&mut self) -> Parsed<Vec<u8>> {
        self.require(b'"', "a quoted string")?;
        let mut text = Vec::new();
        loop {
            let plain = self.rest();
            let special = |&o: &u8| matches!(o, b'"' | b'\\' | b'\r' | b'\n' | 0);
            let length = plain.iter().position(special).unwrap_or(plain.len());
            text.extend_from_slice(&plain[..length]);
            self.at += length;
            if self.accept(b'"') {
                return Ok(text);
            }
            self.require(b'\\', "a closing quote")?;
            match self.peek() {
                Some(octet) if !matches!(octet, b'\r' | b'\n' | 0) => text.push(octet),
                _ => return self.expected("a quoted character"),
            }
            self.at += 1;
        }
    }

    /// ```abnf
    /// literal = "{" number ["+"] "}" CRLF *CHAR8
    /// CHAR8   = %x01-ff
    /// ```
    fn literal(&mut self) -> Parsed<Vec<u8>> {
        let start = self.clone();
        let octets = self.any_literal()?;
        if memchr::memchr(0, &octets).is_some() {
            return start.expected("a literal without NUL");
        }
        Ok(octets)
    }

    /// A literal, or a literal8 when its tilde stands here.
    fn any_literal(&mut self) -> Parsed<Vec<u8>> {
        let rest = self.rest();
        let Some(newline) = memchr::memchr(b'\n', rest) else {
            return self.expected("a literal and its octets");
        };
        let line = framing::without_line_end(&rest[..=newline]);
        let Some((Literal { size, .. }, 0)) = Literal::at_end(line) else {
            return self.expected("a literal");
        };
        let octets = usize::try_from(size).ok().and_then(|s| rest[newline + 1..].get(..s));
        let Some(octets) = octets else {
            return self.expected("a literal and all its octets");
        };
        self.at += newline + 1 + octets.len();
        Ok(octets.to_vec())
    }

    /// ```abnf
    /// number   = 1*DIGIT   ; (0 <= n < 4,294,967,296)
    /// number64 = 1*DIGIT   ; (0 <= n <= 9,223,372,036,854,775,807), RFC 9051
    /// ```
    pub fn number(&mut self, what: &'static str) -> Parsed<u64> {
        let at = self.at;
        let digits = ascii(self.run(what, |o| o.is_ascii_digit())?);
        digits.parse().map_err(|_| Expected { what, at })
    }

    /// `sequence-set`: see [`SequenceSet`].
    pub fn sequence_set(&mut self) -> Parsed<SequenceSet> {
        let start = self.at;
        let what = "a sequence set";
        let text =
            self.run(what, |o| o.is_ascii_digit() || matches!(o, b'*' | b':' | b',' | b'$'))?;
        SequenceSet::parse(text).map_err(|at| Expected { what, at: start + at })
    }

    /// A parenthesised list of one or more items, or of any number if `empty`:
    /// `"(" item *(SP item) ")"`.
    pub fn list<T>(
        &mut self,
        what: &'static str,
        empty: bool,
        mut item: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        self.require(b'(', what)?;
        self.spaces();
        let mut items = Vec::new();
        if empty && self.accept(b')') {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.accept(b')') {
                return Ok(items);
            }
            self.require(b' ', "a space or a closing parenthesis")?;
            self.spaces();
            if self.accept(b')') {
                return Ok(items);
            }
        }
    }

    /// Skips a balanced pair of parentheses with everything inside, strings included. Iterative, so
    /// nesting costs no stack.
    pub fn parenthesised(&mut self, what: &'static str) -> Parsed<&'a [u8]> {
        let start = self.at;
        self.require(b'(', what)?;
        let mut depth = 1u32;
        while depth > 0 {
            match self.peek() {
                Some(b'"' | b'{') => {
                    self.string("a string")?;
                }
                Some(octet) if !matches!(octet, b'\r' | b'\n' | 0) => {
                    depth += u32::from(octet == b'(');
                    depth -= u32::from(octet == b')');
                    self.at += 1;
                }
                _ => return self.expected("a closing parenthesis"),
            }
        }
        Ok(&self.input[start..self.at])
    }
}

/// ```abnf
/// ATOM-CHAR     = <any CHAR except atom-specials>
/// atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials
/// ```
pub(in crate::protocol) fn is_atom_char(octet: u8) -> bool {
    is_astring_char(octet) && octet != b']'
}

/// ```abnf
/// ASTRING-CHAR = ATOM-CHAR / resp-specials
/// ```
pub(in crate::protocol) fn is_astring_char(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\')
}

fn ascii(text: &[u8]) -> &str {
    std::str::from_utf8(text).expect("a run of ASCII characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn astring(text: &[u8]) -> Parsed<Vec<u8>> {
        let mut cursor = Cursor::new(text, false);
        let string = cursor.astring("a name")?;
        cursor.end().map(|()| string)
    }

    #[test]
    fn strings_in_all_their_forms() {
        for (text, expected) in [
            (&b"ab]c"[..], &b"ab]c"[..]),
            (b"\"a b\"  ", b"a b"),
            (b"\"\"", b""),
            (b"\"a\\\"b\\\\c\\d\"", b"a\"b\\cd"),
            (b"{3}\r\na\nb", b"a\nb"),
            (b"{3+}\na\r\n", b"a\r\n"),
            (b"{0}\r\n", b""),
            ("Übung".as_bytes(), "Übung".as_bytes()),
        ] {
            assert_eq!(astring(text).as_deref(), Ok(expected), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn broken_strings() {
        for (text, what, at) in [
            (&b""[..], "a name", 0),
            (b"(", "a name", 0),
            (b"\"abc", "a closing quote", 4),
            (b"\"a\0c\"", "a closing quote", 2),
            (b"\"abc\\", "a quoted character", 5),
            (b"{3}\r\nab", "a literal and all its octets", 0),
            (b"{3}", "a literal and its octets", 0),
            (b"{x}\r\nab", "a literal", 0),
            (b"{5 {2}\r\nab", "a literal", 0),
            (b"{3}\r\na\0b", "a literal without NUL", 0),
            (b"{99999999999999999999}\r\nab", "a literal and all its octets", 0),
            (b"a b", "the end of the command", 2),
        ] {
            assert_eq!(astring(text), Err(Expected { what, at }), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn lists_bear_superfluous_spaces() {
        let list = |text: &str, empty| {
            let mut cursor = Cursor::new(text.as_bytes(), false);
            cursor.list("a list", empty, |c| c.atom("an atom")).map(|l| l.len())
        };
        assert_eq!(list("( a  b )", false), Ok(2));
        assert_eq!(list("( )", true), Ok(0));
        assert_eq!(list("()", false), Err(Expected { what: "an atom", at: 1 }));
        assert!(list("(a", false).is_err() && list("(a(b))", false).is_err());
    }

    #[test]
    fn nesting_is_passed_over() {
        let mut cursor = Cursor::new(b"(a (b \"))\" {2}\r\n)) c)) d", false);
        assert_eq!(cursor.parenthesised("a list").map(<[u8]>::len), Ok(22));
        let deep = "(".repeat(1_000_000);
        assert!(Cursor::new(deep.as_bytes(), false).parenthesised("a list").is_err());
    }

    #[test]
    fn numbers_do_not_overflow() {
        let number = |text: &str| Cursor::new(text.as_bytes(), false).number("a number");
        assert_eq!(number("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(number("18446744073709551616"), Err(Expected { what: "a number", at: 0 }));
    }
}
