//! Words of structured fields: atoms, quoted strings, comments (RFC 5322 section 3.2).

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

    pub fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    pub fn at_end(&self) -> bool {
        self.at >= self.octets.len()
    }

    /// ```abnf
    /// CFWS = (1*([FWS] comment) [FWS]) / FWS
    /// ```
    pub fn skip(&mut self) -> Read {
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
    fn run(&mut self, out: &mut Vec<u8>, of: fn(u8) -> bool) -> usize {
        let rest = &self.octets[self.at.min(self.octets.len())..];
        let length = rest.iter().position(|&octet| !of(octet)).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..length]);
        self.at += length;
        length
    }

    /// ```abnf
    /// atom = [CFWS] 1*atext [CFWS]
    /// ```
    pub fn atom(&mut self, out: &mut Vec<u8>) -> Read {
        if self.run(out, is_atext) == 0 { Err(Broken) } else { self.skip() }
    }

    /// Allows CFWS around the dots, as in RFC 822.
    ///
    /// ```abnf
    /// dot-atom   = [CFWS] 1*atext *("." 1*atext) [CFWS]
    /// obs-domain = atom *("." atom)
    /// ```
    fn dot_atom(&mut self, out: &mut Vec<u8>) -> Read {
        loop {
            let more = self.atom(out)?;
            if !more || self.peek() != Some(b'.') {
                return Ok(more);
            }
            self.at += 1;
            out.push(b'.');
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
    pub fn local_part(&mut self, out: &mut Vec<u8>) -> Read {
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
    pub fn domain(&mut self, out: &mut Vec<u8>) -> Read {
        self.at += 1;
        if !self.skip()? {
            return Err(Broken);
        }
        if self.peek() != Some(b'[') {
            return self.dot_atom(out);
        }
        while let Some(octet) = self.next() {
            out.push(octet);
            match octet {
                b']' => return self.skip(),
                b'\\' => out.extend(self.next()),
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
    pub fn quoted_string(&mut self, out: &mut Vec<u8>) -> Read {
        self.at += 1;
        while let Some(octet) = self.next() {
            match octet {
                b'"' => return self.skip(),
                b'\\' => out.push(self.next().ok_or(Broken)?),
                b'\n' => {}
                b'\r' if self.peek() == Some(b'\n') => {}
                _ => out.push(octet),
            }
        }
        Err(Broken)
    }

    /// Words, joined by one blank.
    ///
    /// ```abnf
    /// phrase     = 1*word / obs-phrase
    /// word       = atom / quoted-string
    /// obs-phrase = word *(word / "." / CFWS)
    /// ```
    pub fn phrase(&mut self, out: &mut Vec<u8>) -> Read {
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
                Some(next) if is_atext(next) || matches!(next, b'"' | b'.') => out.push(b' '),
                _ => return Ok(more),
            }
        }
    }

    /// The value may be empty.
    ///
    /// ```abnf
    /// token := 1*<any (US-ASCII) CHAR except SPACE, CTLs, or tspecials>     ; RFC 2045
    /// ```
    pub fn token(&mut self, out: &mut Vec<u8>) -> Read {
        self.run(out, is_token);
        self.skip()
    }

    /// Everything up to a blank or a semicolon.
    pub fn word(&mut self, out: &mut Vec<u8>) -> Read {
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
    matches!(octet, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'/'..=b'9' | b'=' | b'?')
        || matches!(octet, b'A'..=b'Z' | b'^'..=b'~' | 0x80..)
}

fn is_token(octet: u8) -> bool {
    octet == b'.' || is_atext(octet) && !matches!(octet, b'/' | b'=' | b'?')
}
