//! Content-Type, Content-Disposition and similar fields (RFC 2045 section 5, RFC 2231).

use super::fields::Field;
use super::lexer::{Broken, Lexer};

/// The value of a Content-Type, or of a Content-Disposition, which has no subtype.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::mime) struct Content {
    /// Type, or disposition; may be empty.
    pub kind: Vec<u8>,
    /// Subtype; may be empty.
    pub subtype: Vec<u8>,
    /// Names and values. The pieces of a parameter divided by RFC 2231 are joined but not decoded;
    /// its name then ends with `*`.
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Content {
    /// `None` if it cannot be read. RFC 2045 section 5.2 recommends text/plain for that.
    ///
    /// ```abnf
    /// content := "Content-Type" ":" type "/" subtype *(";" parameter)
    /// ```
    /// A lone `text` is text/plain, with its parameters.
    pub fn parse_type(field: &Field) -> Option<Content> {
        let mut lexer = Lexer::new(field.value);
        let mut content = Content::default();
        lexer.skip().ok()?;
        let more = lexer.token(&mut content.kind);
        if more == Ok(true) && lexer.peek() == Some(b'/') {
            lexer.at += 1;
            lexer.skip().ok().filter(|&more| more)?;
            if lexer.token(&mut content.subtype).is_ok() {
                content.parameters = parameters(&mut lexer);
            }
        } else if more.is_ok() && content.kind.eq_ignore_ascii_case(b"text") {
            content.subtype = b"plain".to_vec();
            content.parameters = parameters(&mut lexer);
        }
        (!content.kind.is_empty() && !content.subtype.is_empty()).then_some(content)
    }

    /// ```abnf
    /// disposition := "Content-Disposition" ":" disposition-type *(";" disposition-parm)
    /// ```
    pub fn parse_disposition(field: &Field) -> Option<Content> {
        let mut lexer = Lexer::new(field.value);
        let mut content = Content::default();
        lexer.skip().ok()?;
        lexer.token(&mut content.kind).ok()?;
        content.parameters = parameters(&mut lexer);
        Some(content)
    }

    /// Whether it has this type and subtype.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes())
            && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }

    /// The value of this parameter.
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        let named = |(n, _): &&(Vec<u8>, Vec<u8>)| n.eq_ignore_ascii_case(name.as_bytes());
        self.parameters.iter().find(named).map(|(_, value)| value.as_slice())
    }
}

/// The encoding as BODYSTRUCTURE reports it. `None` if it is not a single token.
///
/// ```abnf
/// encoding := "Content-Transfer-Encoding" ":" mechanism
/// ```
pub(in crate::mime) fn transfer_encoding(field: &Field) -> Option<Vec<u8>> {
    let mut lexer = Lexer::new(field.value);
    let mut token = Vec::new();
    lexer.skip().ok()?;
    let more = lexer.token(&mut token).ok()?;
    (!more && !token.is_empty()).then_some(token)
}

/// The encoding used to decode the body: the first token, whatever follows it, as in Dovecot.
/// `None` if there is none.
pub(in crate::mime) fn mechanism(field: &Field) -> Option<Vec<u8>> {
    let mut lexer = Lexer::new(field.value);
    let mut token = Vec::new();
    lexer.skip().ok()?;
    let _ = lexer.token(&mut token);
    (!token.is_empty()).then_some(token)
}

/// ```abnf
/// Language-List = Language-Tag [CFWS] *("," [CFWS] Language-Tag [CFWS])    ; RFC 3282
/// ```
pub(in crate::mime) fn languages(field: &Field) -> Vec<Vec<u8>> {
    let mut lexer = Lexer::new(field.value);
    let mut list = Vec::new();
    let _ = lexer.skip();
    loop {
        let start = lexer.at;
        let mut tag = Vec::new();
        let read = lexer.atom(&mut tag);
        if lexer.at > start && read.is_ok() {
            list.push(tag);
        }
        if read.is_err() || lexer.peek() != Some(b',') {
            return list;
        }
        lexer.at += 1;
        let _ = lexer.skip();
    }
}

/// The parameters after the first word of a value.
pub(in crate::mime) fn parameters_of(value: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut lexer = Lexer::new(value);
    lexer.at = memchr::memchr(b';', value).unwrap_or(value.len());
    parameters(&mut lexer)
}

fn parameters(lexer: &mut Lexer) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut plain = Vec::new();
    let mut pieces = Vec::new();
    while !lexer.at_end() {
        // Skip one octet of garbage; a parameter may follow.
        match parameter(lexer) {
            Err(Broken) => lexer.at += 1,
            Ok((name, value)) => match Piece::new(&name, value) {
                Ok(piece) => pieces.push(piece),
                Err(value) => plain.push((name, value)),
            },
        }
    }
    join(pieces, &mut plain);
    plain
}

/// ```abnf
/// parameter := attribute "=" value
/// attribute := token
/// value     := token / quoted-string
/// ```
/// Name and value may be empty. A value that begins with `=` comes from `name==?utf-8?…?=`.
fn parameter(lexer: &mut Lexer) -> Result<(Vec<u8>, Vec<u8>), Broken> {
    let (mut name, mut value) = (Vec::new(), Vec::new());
    if lexer.peek() != Some(b';') {
        return Err(Broken);
    }
    lexer.at += 1;
    if !lexer.skip()? || !lexer.token(&mut name)? || lexer.peek() != Some(b'=') {
        return Err(Broken);
    }
    lexer.at += 1;
    if lexer.skip()? {
        match lexer.peek() {
            Some(b'"') => lexer.quoted_string(&mut value)?,
            Some(b'=') => lexer.word(&mut value)?,
            _ => lexer.token(&mut value)?,
        };
    }
    Ok((name, value))
}

/// One piece of a divided parameter (RFC 2231 sections 3 and 4).
///
/// ```abnf
/// parameter := attribute ["*" 1*DIGIT] ["*"] "=" value
/// ```
struct Piece {
    name: Vec<u8>,
    index: u32,
    /// Whether the value has a charset prefix or percent-encoded octets.
    extended: bool,
    value: Vec<u8>,
}

impl Piece {
    /// Returns the value if the name is not that of a piece.
    fn new(name: &[u8], value: Vec<u8>) -> Result<Piece, Vec<u8>> {
        let Some(star) = name.iter().position(|&octet| octet == b'*') else { return Err(value) };
        let (name, rest) = (&name[..star], &name[star + 1..]);
        let (digits, extended) = match rest.split_last() {
            None => (rest, true),
            Some((b'*', digits)) => (digits, true),
            Some(_) => (rest, false),
        };
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(value);
        }
        let index = digits.iter().fold(0_u32, |index, digit| {
            index.saturating_mul(10).saturating_add(u32::from(digit - b'0'))
        });
        Ok(Piece { name: name.to_vec(), index, extended, value })
    }
}

/// Joins the pieces of each parameter. An incomplete set of pieces stays as it is.
fn join(mut pieces: Vec<Piece>, into: &mut Vec<(Vec<u8>, Vec<u8>)>) {
    pieces.sort_by(|a, b| (&a.name, a.index).cmp(&(&b.name, b.index)));
    for pieces in pieces.chunk_by(|a, b| a.name.eq_ignore_ascii_case(&b.name)) {
        let extended = pieces.iter().any(|piece| piece.extended);
        if !pieces.iter().zip(0_u32..).all(|(piece, index)| piece.index == index) {
            into.extend(pieces.iter().map(|piece| {
                let star = if piece.extended { "*" } else { "" };
                let number = format!("*{}{star}", piece.index);
                ([&piece.name, number.as_bytes()].concat(), piece.value.clone())
            }));
            continue;
        }
        let mut name = pieces[0].name.clone();
        let mut value = Vec::new();
        if extended {
            name.push(b'*');
            value.extend_from_slice(if pieces[0].extended { b"" } else { b"''" });
        }
        for piece in pieces {
            if extended && !piece.extended {
                for &octet in &piece.value {
                    value.extend_from_slice(if octet == b'%' { b"%25" } else { &[] });
                    value.extend((octet != b'%').then_some(octet));
                }
            } else {
                value.extend_from_slice(&piece.value);
            }
        }
        into.push((name, value));
    }
}
