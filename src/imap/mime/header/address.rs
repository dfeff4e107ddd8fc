//! Addresses of a header (RFC 5322 sections 3.4 and 4.4).
//!
//! Text between words is kept as it is; the client decodes encoded-words. Broken addresses are
//! completed with the placeholders that Dovecot uses, which its users know.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::fields::Field;
use super::lexer::{Broken, Lexer, Read, Sink, Text, atoms};

/// An address of ENVELOPE (RFC 3501 section 7.4.2). A group becomes an address without domain whose
/// mailbox is the group's name, then its members, then an address of NILs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::mime) struct Address<'a> {
    /// Display name, or the comment that replaces it.
    pub name: Option<Cow<'a, [u8]>>,
    /// The obsolete at-domain-list.
    pub route: Option<Cow<'a, [u8]>>,
    /// Local part.
    pub mailbox: Option<Cow<'a, [u8]>>,
    /// Domain.
    pub domain: Option<Cow<'a, [u8]>>,
}

/// Replaces a missing domain.
pub(in crate::mime) const MISSING_DOMAIN: &[u8] = b"MISSING_DOMAIN";

/// Receives addresses one by one until it breaks.
type Take<'t, 'a> = &'t mut dyn FnMut(Address<'a>) -> ControlFlow<()>;

/// Whether more may follow.
type Flow = ControlFlow<(), bool>;

/// Passes the addresses of a field's value to `take`, until `take` breaks.
///
/// ```abnf
/// address-list = (address *("," address)) / obs-addr-list
/// ```
pub(in crate::mime) fn addresses<'a>(value: &'a [u8], take: Take<'_, 'a>) -> ControlFlow<()> {
    let mut lexer = Lexer::new(value);
    lexer.comment = Some(Vec::new());
    if lexer.skip() != Ok(true) {
        return ControlFlow::Continue(());
    }
    while address(&mut lexer, take)? && lexer.peek() == Some(b',') {
        lexer.at += 1;
        match lexer.skip() {
            Ok(true) => {}
            Ok(false) => break,
            Err(Broken) => return take(completed(Address::default())),
        }
    }
    ControlFlow::Continue(())
}

/// The first address of a field's value.
pub(in crate::mime) fn first(value: &[u8]) -> Option<Address<'_>> {
    let mut first = None;
    let _ = addresses(value, &mut |address| {
        first = Some(address);
        ControlFlow::Break(())
    });
    first
}

/// Whether a field contains addresses.
pub(in crate::mime) fn has_addresses(field: &Field<'_>) -> bool {
    const NAMES: [&[u8]; 7] =
        [b"From", b"To", b"Cc", b"Bcc", b"Sender", b"Reply-To", b"Return-Path"];
    NAMES.iter().any(|name| field.is(name))
}

/// Whether an address in the value may contain comments or blanks.
pub(in crate::mime) fn hides_address(value: &[u8]) -> bool {
    let blank = |octet: Option<&u8>| octet.is_some_and(|o| o.is_ascii_whitespace() || *o == b')');
    let after = |octet: Option<&u8>| octet.is_some_and(|o| o.is_ascii_whitespace() || *o == b'(');
    memchr::memchr_iter(b'@', value).any(|at| {
        at.checked_sub(1).is_some_and(|before| blank(value.get(before))) || after(value.get(at + 1))
    })
}

/// Appends the addresses of a field's value, each as `<mailbox@domain>`.
pub(in crate::mime) fn push_plain(value: &[u8], text: &mut String) {
    let _ = addresses(value, &mut |address| {
        if let (Some(mailbox), Some(domain)) = (&address.mailbox, &address.domain) {
            let (mailbox, domain) =
                (String::from_utf8_lossy(mailbox), String::from_utf8_lossy(domain));
            text.extend([" <", &*mailbox, "@", &*domain, ">"]);
        }
        ControlFlow::Continue(())
    });
}

/// Reads one address or group. Returns whether more may follow.
///
/// ```abnf
/// address      = mailbox / group
/// mailbox      = name-addr / addr-spec
/// group        = display-name ":" [group-list] ";" [CFWS]
/// display-name = phrase
/// ```
fn address<'a>(lexer: &mut Lexer<'a>, take: Take<'_, 'a>) -> Flow {
    if let Some(address) = lexer.usual_address() {
        take(address)?;
        return ControlFlow::Continue(true);
    }
    any_address(lexer, take)
}

fn any_address<'a>(lexer: &mut Lexer<'a>, take: Take<'_, 'a>) -> Flow {
    let start = lexer.at;
    let mut phrase = lexer.text();
    match (lexer.phrase(&mut phrase), lexer.peek()) {
        (Ok(true), Some(b':')) => return group(lexer, phrase, take),
        (Ok(true), Some(b'<')) => take(name_addr(lexer, phrase))?,
        _ => {
            lexer.at = start;
            take(addr_spec(lexer))?;
        }
    }
    ControlFlow::Continue(true)
}

impl<'a> Lexer<'a> {
    /// Reads an address in one of the three forms that nearly all have, if nothing in it needs
    /// attention: `a@b`, `Some Name <a@b>`, `"Name, Some" <a@b>`. `None` leaves the position as it
    /// is.
    fn usual_address(&mut self) -> Option<Address<'a>> {
        let octets = self.octets();
        let word = |from: usize| from + atoms(&octets[from..]);
        let start = self.at;
        let (mut at, mut name) = (start, start..start);
        if octets.get(start) == Some(&b'"') {
            let special = |octet: &u8| matches!(octet, b'"' | b'\\' | b'\r' | b'\n');
            at = start + 1;
            at += octets[at..].iter().position(special)?;
            name = start + 1..at;
            let blanks = octets[at..].strip_prefix(b"\"")?;
            at += 1 + blanks.iter().position(|&octet| octet != b' ')?;
        } else if octets.get(start) != Some(&b'.') {
            loop {
                let end = word(at);
                match octets.get(end)? {
                    // One blank after each word.
                    b' ' if end > at => at = end + 1,
                    b'@' if at == start => break,
                    b'<' => {
                        name.end = if end == at { at.saturating_sub(1).max(start) } else { end };
                        at = end;
                        break;
                    }
                    _ => return None,
                }
            }
        }
        let in_brackets = octets.get(at) == Some(&b'<');
        if at > start && !in_brackets {
            return None;
        }
        at += usize::from(in_brackets);
        let local = at..word(at);
        if local.is_empty() || octets.get(local.end) != Some(&b'@') {
            return None;
        }
        let domain = local.end + 1..word(local.end + 1);
        let labels = &octets[domain.clone()];
        if labels.is_empty() || labels.starts_with(b".") || labels.ends_with(b".") {
            return None;
        }
        if labels.windows(2).any(|pair| pair == b"..") {
            return None;
        }
        at = domain.end;
        if in_brackets {
            octets[at..].strip_prefix(b">")?;
            at += 1;
        }
        let blank = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
        at += octets[at..].iter().position(|octet| !blank(octet)).unwrap_or(octets.len() - at);
        // A comment may be a name, and a domain may have blanks before a dot.
        let ends = matches!(octets.get(at), None | Some(b',' | b';'));
        if !ends && (!in_brackets || octets[at] == b'(') {
            return None;
        }
        self.at = at;
        Some(Address {
            name: (!name.is_empty()).then(|| octets[name].into()),
            route: None,
            mailbox: Some(octets[local].into()),
            domain: Some(octets[domain].into()),
        })
    }
}

/// Reads members until something other than a comma follows one. Returns whether more may follow.
fn group<'a>(lexer: &mut Lexer<'a>, name: Text<'a>, take: Take<'_, 'a>) -> Flow {
    lexer.at += 1;
    let mut read = lexer.skip();
    take(Address { mailbox: Some(name.into_octets()), ..Address::default() })?;
    if read == Ok(true) && lexer.peek() != Some(b';') {
        loop {
            take(mailbox(lexer))?;
            if lexer.peek() != Some(b',') {
                break;
            }
            lexer.at += 1;
            if lexer.skip() != Ok(true) {
                read = Err(Broken);
                break;
            }
        }
    }
    if read.is_ok() && lexer.peek() == Some(b';') {
        lexer.at += 1;
        read = lexer.skip();
    }
    take(Address::default())?;
    ControlFlow::Continue(read != Ok(false))
}

fn mailbox<'a>(lexer: &mut Lexer<'a>) -> Address<'a> {
    if let Some(address) = lexer.usual_address() {
        return address;
    }
    let start = lexer.at;
    let mut phrase = lexer.text();
    if lexer.phrase(&mut phrase) == Ok(true) && lexer.peek() == Some(b'<') {
        return name_addr(lexer, phrase);
    }
    lexer.at = start;
    addr_spec(lexer)
}

/// ```abnf
/// name-addr = [display-name] angle-addr
/// ```
fn name_addr<'a>(lexer: &mut Lexer<'a>, name: Text<'a>) -> Address<'a> {
    let name = Some(name.into_octets()).filter(|name| !name.is_empty());
    let mut address = Address { name, ..Address::default() };
    if angle_addr(lexer, &mut address).is_err() {
        address.domain = Some(b"SYNTAX_ERROR".into());
    }
    completed(address)
}

/// ```abnf
/// angle-addr     = [CFWS] "<" addr-spec ">" [CFWS] / obs-angle-addr
/// obs-angle-addr = [CFWS] "<" obs-route addr-spec ">" [CFWS]
/// obs-route      = obs-domain-list ":"
/// ```
fn angle_addr<'a>(lexer: &mut Lexer<'a>, address: &mut Address<'a>) -> Read {
    let more = |read: Read| if read? { Ok(()) } else { Err(Broken) };
    lexer.at += 1;
    more(lexer.skip())?;
    if lexer.peek() == Some(b'@') {
        address.route = domain_list(lexer).ok().filter(|_| lexer.peek() == Some(b':'));
        if address.route.is_some() {
            lexer.at += 1;
        } else {
            address.route = Some(b"INVALID_ROUTE".into());
        }
        more(lexer.skip())?;
    }
    if lexer.peek() != Some(b'>') {
        let mut text = lexer.text();
        let read = lexer.local_part(&mut text);
        address.mailbox = read.is_ok().then(|| text.into_octets());
        more(read)?;
        if lexer.peek() == Some(b'@') {
            let mut text = lexer.text();
            let read = lexer.domain(&mut text);
            address.domain = read.is_ok().then(|| text.into_octets());
            more(read)?;
        }
    }
    if lexer.peek() != Some(b'>') {
        return Err(Broken);
    }
    lexer.at += 1;
    lexer.skip()
}

/// ```abnf
/// obs-domain-list = *(CFWS / ",") "@" domain *("," [CFWS] ["@" domain])
/// ```
fn domain_list<'a>(lexer: &mut Lexer<'a>) -> Result<Cow<'a, [u8]>, Broken> {
    let mut list = Vec::new();
    while lexer.peek() == Some(b'@') {
        list.extend_from_slice(if list.is_empty() { b"@" } else { b",@" });
        if !lexer.domain(&mut list)? {
            return Err(Broken);
        }
        while lexer.skip() == Ok(true) && lexer.peek() == Some(b',') {
            lexer.at += 1;
        }
    }
    if lexer.at_end() { Err(Broken) } else { Ok(list.into()) }
}

/// Reads an address without angle brackets. A comment becomes the name. A single word is a mailbox
/// with its domain missing; several are a name with its address missing.
///
/// ```abnf
/// addr-spec = local-part "@" domain
/// ```
fn addr_spec<'a>(lexer: &mut Lexer<'a>) -> Address<'a> {
    let mut text = lexer.text();
    if let Some(comment) = &mut lexer.comment {
        comment.clear();
    } else {
        lexer.comment = Some(Vec::new());
    }
    let mut address = Address::default();
    let quoted = lexer.peek() == Some(b'"');
    let local = lexer.local_part(&mut text);
    address.mailbox = local.is_ok().then(|| text.clone().into_octets());
    let at_sign = local != Ok(false) && lexer.peek() == Some(b'@');
    if at_sign {
        let mut domain = lexer.text();
        address.domain = lexer.domain(&mut domain).is_ok().then(|| domain.into_octets());
    }
    let comment = lexer.comment.as_ref().filter(|comment| !comment.is_empty());
    if let Some(comment) = comment {
        address.name = Some(comment.clone().into());
    } else if !at_sign {
        text.take(b" ", 0..1);
        let word = text.len();
        let _ = lexer.phrase(&mut text);
        if text.len() != word {
            address.mailbox = None;
            address.name = Some(text.into_octets());
        } else if quoted {
            address.name = address.mailbox.take();
        }
    }
    completed(address)
}

fn completed(mut address: Address<'_>) -> Address<'_> {
    let missing = |part: &Option<Cow<[u8]>>| part.as_ref().is_none_or(|part| part.is_empty());
    if address.mailbox.is_none() {
        address.mailbox = Some(b"MISSING_MAILBOX".into());
    }
    if missing(&address.domain) {
        address.domain = Some(MISSING_DOMAIN.into());
    }
    address
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "a",
            "b c",
            "d.",
            ".",
            "..",
            "@",
            "<",
            ">",
            "<e@f.g>",
            "h@i",
            "\"",
            "\"j, k\"",
            "\\",
            ",",
            ";",
            ":",
            "(",
            "(l)",
            " ",
            "  ",
            "\t",
            "\r\n ",
            "\r",
            "\n",
            "\0",
            "é",
            "[",
            "]",
            "=?x?q?y?=",
        ])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn usual_addresses_are_read_as_any(pieces in prop::collection::vec(piece(), 1..8)) {
            let value = pieces.concat().into_bytes();
            let (mut usual, mut any) = (Lexer::new(&value), Lexer::new(&value));
            any.comment = Some(Vec::new());
            // Nothing comes before an address.
            if usual.skip() == Ok(true) && any.skip() == Ok(true) {
                let (start, mut first) = (usual.at, None);
                let flow = any_address(&mut any, &mut |address| {
                    first.get_or_insert(address);
                    ControlFlow::Continue(())
                });
                match usual.usual_address() {
                    Some(address) => {
                        prop_assert_eq!(Some(address), first);
                        prop_assert_eq!((flow, usual.at), (Flow::Continue(true), any.at));
                    }
                    None => prop_assert_eq!(usual.at, start),
                }
            }
        }
    }

    #[test]
    fn most_addresses_are_usual() {
        for value in
            ["a@b", "a.b@c.d, e@f", "A B. C <a@b>", "\"A, B\" <a@b> ", "<a@b>", "A<a@b>\r\n ,"]
        {
            assert!(Lexer::new(value.as_bytes()).usual_address().is_some(), "{value}");
        }
        for value in ["a@b (c)", "a@b .c", "a b@c", "A  B <a@b>", "a", "\"a\"@b", "g: a@b;", ""] {
            assert!(Lexer::new(value.as_bytes()).usual_address().is_none(), "{value}");
        }
    }
}
