//! Words of structured fields: atoms, quoted strings, comments (RFC 5322 section 3.2).

use std::borrow::Cow;
use std::ops::Range;

/// The value does not follow the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mime) struct Broken;

/// Whether anything follows the word and its trailing blanks.
pub(in crate::mime) type Read = Result<bool, Broken>;

/// A position in the value of a field. Each method reads a word with the comments and blanks (CFWS)
/// after it. No method goes back or recurses, so reading is linear.
pub(in crate::mime) struct Lexer<'a> {
    octets: &'a [u8],
    /// Offset of the next octet.
    pub at: usize,
    /// The last comment, if comments are wanted.
    pub comment: Option<Vec<u8>>,
}

impl<'a> Lexer<'a> {
    pub fn new(octets: &'a [u8]) -> Lexer<'a> {
        Lexer { octets, at: 0, comment: None }
    }

    /// The whole value.
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    pub fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    pub fn at_end(&self) -> bool {
        self.at >= self.octets.len()
    }

    /// ```abnf
    /// CFWS = (1*([FWS] comment) [FWS]) / FWS
    /// ```
    #[inline]
    pub fn skip(&mut self) -> Read {
        match self.peek() {
            Some(b' ' | b'\t' | b'\r' | b'\n' | b'(') => self.skip_some(),
            next => Ok(next.is_some()),
        }
    }

    fn skip_some(&mut self) -> Read {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                Some(b'(') => self.skip_comment()?,
                next => return Ok(next.is_some()),
            }
        }
    }

    /// ```abnf
    /// comment  = "(" *([FWS] ccontent) [FWS] ")"
    /// ccontent = ctext / quoted-pair / comment
    /// ```
    fn skip_comment(&mut self) -> Result<(), Broken> {
        let mut text = self.comment.take();
        if let Some(text) = &mut text {
            text.clear();
        }
        self.at += 1;
        let mut level = 1_usize;
        while let Some(octet) = self.next() {
            let escaped = octet == b'\\';
            match octet {
                b'(' => level += 1,
                b')' => level -= 1,
                _ => {}
            }
            if level == 0 {
                self.comment = text;
                return Ok(());
            }
            let octet = if escaped { self.next().ok_or(Broken)? } else { octet };
            if let Some(text) = &mut text {
                text.push(octet);
            }
        }
        Err(Broken)
    }

    fn next(&mut self) -> Option<u8> {
        let octet = self.peek()?;
        self.at += 1;
        Some(octet)
    }

    /// Appends the octets up to the first outside the class; returns how many.
    fn run(&mut self, out: &mut impl Sink, of: impl Fn(u8) -> bool) -> usize {
        let rest = &self.octets[self.at.min(self.octets.len())..];
        let length = rest.iter().position(|&octet| !of(octet)).unwrap_or(rest.len());
        self.pass(out, length);
        length
    }

    /// Appends the next octets.
    fn pass(&mut self, out: &mut impl Sink, length: usize) {
        out.take(self.octets, self.at..self.at + length);
        self.at += length;
    }

    /// An empty text that words of this value can be appended to.
    pub fn text(&self) -> Text<'a> {
        Text { source: self.octets, range: 0..0, copy: Vec::new() }
    }

    /// ```abnf
    /// atom = [CFWS] 1*atext [CFWS]
    /// ```
    pub fn atom(&mut self, out: &mut impl Sink) -> Read {
        if self.run(out, is_atext) == 0 { Err(Broken) } else { self.skip() }
    }

    /// Allows CFWS around the dots, as in RFC 822.
    ///
    /// ```abnf
    /// dot-atom   = [CFWS] 1*atext *("." 1*atext) [CFWS]
    /// obs-domain = atom *("." atom)
    /// ```
    fn dot_atom(&mut self, out: &mut impl Sink) -> Read {
        loop {
            let more = self.atom(out)?;
            if !more || self.peek() != Some(b'.') {
                return Ok(more);
            }
            self.pass(out, 1);
            if !self.skip()? {
                return Err(Broken);
            }
        }
    }

    /// The local part, before the `@`. Dots may stand anywhere, as in `a..b@c`.
    ///
    /// ```abnf
    /// local-part     = dot-atom / quoted-string / obs-local-part
    /// obs-local-part = word *("." word)
    /// ```
    pub fn local_part(&mut self, out: &mut impl Sink) -> Read {
        if self.peek() == Some(b'"') {
            return self.quoted_string(out);
        }
        loop {
            if self.run(out, |octet| octet == b'.') > 0 {
                match self.peek() {
                    None => return Ok(false),
                    Some(b'@') => return Ok(true),
                    _ => {}
                }
            }
            let more = self.atom(out)?;
            if !more || self.peek() != Some(b'.') {
                return Ok(more);
            }
        }
    }

    /// The `@` and what follows it.
    ///
    /// ```abnf
    /// domain         = dot-atom / domain-literal / obs-domain
    /// domain-literal = [CFWS] "[" *([FWS] dtext) [FWS] "]" [CFWS]
    /// ```
    pub fn domain(&mut self, out: &mut impl Sink) -> Read {
        self.at += 1;
        if !self.skip()? {
            return Err(Broken);
        }
        if self.peek() != Some(b'[') {
            return self.dot_atom(out);
        }
        while let Some(octet) = self.peek() {
            self.pass(out, 1);
            match octet {
                b']' => return self.skip(),
                b'\\' if !self.at_end() => self.pass(out, 1),
                _ => {}
            }
        }
        Err(Broken)
    }

    /// Appends the string without quotes, backslashes and line ends.
    ///
    /// ```abnf
    /// quoted-string = [CFWS] DQUOTE *([FWS] qcontent) [FWS] DQUOTE [CFWS]
    /// qcontent      = qtext / quoted-pair
    /// ```
    pub fn quoted_string(&mut self, out: &mut impl Sink) -> Read {
        self.at += 1;
        loop {
            self.run(out, |octet| !matches!(octet, b'"' | b'\\' | b'\r' | b'\n'));
            match self.peek().ok_or(Broken)? {
                b'\r' if self.octets.get(self.at + 1) != Some(&b'\n') => self.pass(out, 1),
                b'"' => {
                    self.at += 1;
                    return self.skip();
                }
                b'\\' => {
                    self.at += 1;
                    self.peek().ok_or(Broken)?;
                    self.pass(out, 1);
                }
                _ => self.at += 1,
            }
        }
    }

    /// Words, joined by one blank.
    ///
    /// ```abnf
    /// phrase     = 1*word / obs-phrase
    /// word       = atom / quoted-string
    /// obs-phrase = word *(word / "." / CFWS)
    /// ```
    pub fn phrase(&mut self, out: &mut impl Sink) -> Read {
        if self.peek() == Some(b'.') {
            return Err(Broken);
        }
        loop {
            let more = if self.peek() == Some(b'"') {
                self.quoted_string(out)?
            } else {
                self.run(out, |octet| is_atext(octet) || octet == b'.');
                self.skip()?
            };
            match self.peek() {
                Some(next) if is_atext(next) || matches!(next, b'"' | b'.') => {
                    // The blank of the value, if there is one: a text without gaps is not copied.
                    if self.octets[self.at - 1] == b' ' {
                        out.take(self.octets, self.at - 1..self.at);
                    } else {
                        out.take(b" ", 0..1);
                    }
                }
                _ => return Ok(more),
            }
        }
    }

    /// The value may be empty.
    ///
    /// ```abnf
    /// token := 1*<any (US-ASCII) CHAR except SPACE, CTLs, or tspecials>     ; RFC 2045
    /// ```
    pub fn token(&mut self, out: &mut impl Sink) -> Read {
        self.run(out, is_token);
        self.skip()
    }

    /// Everything up to a blank or a semicolon.
    pub fn word(&mut self, out: &mut impl Sink) -> Read {
        self.run(out, |octet| !matches!(octet, b';' | b' ' | b'\t' | b'\r' | b'\n'));
        Ok(!self.at_end())
    }
}

/// ```abnf
/// atext = ALPHA / DIGIT / "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "/" / "=" / "?" /
///         "^" / "_" / "`" / "{" / "|" / "}" / "~"
/// ```
/// 8-bit octets are included (RFC 6532).
pub(in crate::mime) fn is_atext(octet: u8) -> bool {
    ATEXT[octet as usize]
}

static ATEXT: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = matches!(
            octet as u8,
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'/'..=b'9' | b'=' | b'?'
                | b'A'..=b'Z' | b'^'..=b'~' | 0x80..
        );
        octet += 1;
    }
    table
};

/// Length of the atoms and dots at the start.
pub(in crate::mime) fn atoms(octets: &[u8]) -> usize {
    let other = |&octet: &u8| !is_atext(octet) && octet != b'.';
    octets.iter().position(other).unwrap_or(octets.len())
}

fn is_token(octet: u8) -> bool {
    octet == b'.' || is_atext(octet) && !matches!(octet, b'/' | b'=' | b'?')
}

/// Takes the octets of words.
pub(in crate::mime) trait Sink {
    /// Appends a range of `source`: the value that is read, or text that is not part of it.
    fn take(&mut self, source: &[u8], range: Range<usize>);
}

impl Sink for Vec<u8> {
    fn take(&mut self, source: &[u8], range: Range<usize>) {
        self.extend_from_slice(&source[range]);
    }
}

/// Octets of a value. Copied only if they are not in one piece there: `a (b) c` has the text `a c`.
#[derive(Clone)]
pub(in crate::mime) struct Text<'a> {
    source: &'a [u8],
    /// Where they are in the value, unless they are in `copy`.
    range: Range<usize>,
    copy: Vec<u8>,
}

impl<'a> Text<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.range.len() + self.copy.len()
    }

    /// The octets.
    pub fn into_octets(self) -> Cow<'a, [u8]> {
        if self.copy.is_empty() {
            return self.source[self.range].into();
        }
        self.copy.into()
    }
}

impl Sink for Text<'_> {
    fn take(&mut self, source: &[u8], range: Range<usize>) {
        let is_value = std::ptr::eq(source, self.source);
        if range.is_empty() {
        } else if is_value && self.len() == 0 {
            self.range = range;
        } else if is_value && self.copy.is_empty() && self.range.end == range.start {
            self.range.end = range.end;
        } else {
            if self.copy.is_empty() {
                self.copy.extend_from_slice(&self.source[self.range.clone()]);
                self.range = 0..0;
            }
            self.copy.extend_from_slice(&source[range]);
        }
    }
}
