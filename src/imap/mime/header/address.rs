//! Addresses of a header (RFC 5322 sections 3.4 and 4.4).
//!
//! Text between words is kept as it is; the client decodes encoded-words. Broken addresses are
//! completed with the placeholders that Dovecot uses, which its users know.

use std::ops::ControlFlow;

use super::fields::Field;
use super::lexer::{Broken, Lexer, Read};

/// An address of ENVELOPE (RFC 3501 section 7.4.2). A group becomes an address without domain whose
/// mailbox is the group's name, then its members, then an address of NILs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::mime) struct Address {
    /// Display name, or the comment that replaces it.
    pub name: Option<Vec<u8>>,
    /// The obsolete at-domain-list.
    pub route: Option<Vec<u8>>,
    /// Local part.
    pub mailbox: Option<Vec<u8>>,
    /// Domain.
    pub domain: Option<Vec<u8>>,
}

/// Replaces a missing domain.
pub(in crate::mime) const MISSING_DOMAIN: &[u8] = b"MISSING_DOMAIN";

/// Receives addresses one by one until it breaks.
type Take<'t> = &'t mut dyn FnMut(Address) -> ControlFlow<()>;

/// Whether more may follow.
type Flow = ControlFlow<(), bool>;

/// Passes the addresses of a field's value to `take`, until `take` breaks.
///
/// ```abnf
/// address-list = (address *("," address)) / obs-addr-list
/// ```
pub(in crate::mime) fn addresses(value: &[u8], take: Take<'_>) -> ControlFlow<()> {
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
pub(in crate::mime) fn first(value: &[u8]) -> Option<Address> {
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
fn address(lexer: &mut Lexer, take: Take<'_>) -> Flow {
    let start = lexer.at;
    let mut phrase = Vec::new();
    match (lexer.phrase(&mut phrase), lexer.peek()) {
        (Ok(true), Some(b':')) => return group(lexer, phrase, take),
        (Ok(true), Some(b'<')) => take(name_addr(lexer, phrase))?,
        _ => {
            lexer.at = start;
            take(addr_spec(lexer, phrase))?;
        }
    }
    ControlFlow::Continue(true)
}

/// Reads members until something other than a comma follows one. Returns whether more may follow.
fn group(lexer: &mut Lexer, name: Vec<u8>, take: Take<'_>) -> Flow {
    lexer.at += 1;
    let mut read = lexer.skip();
    take(Address { mailbox: Some(name), ..Address::default() })?;
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

fn mailbox(lexer: &mut Lexer) -> Address {
    let start = lexer.at;
    let mut phrase = Vec::new();
    if lexer.phrase(&mut phrase) == Ok(true) && lexer.peek() == Some(b'<') {
        return name_addr(lexer, phrase);
    }
    lexer.at = start;
    addr_spec(lexer, phrase)
}

/// ```abnf
/// name-addr = [display-name] angle-addr
/// ```
fn name_addr(lexer: &mut Lexer, name: Vec<u8>) -> Address {
    let name = Some(name).filter(|name| !name.is_empty());
    let mut address = Address { name, ..Address::default() };
    if angle_addr(lexer, &mut address).is_err() {
        address.domain = Some(b"SYNTAX_ERROR".to_vec());
    }
    completed(address)
}

/// ```abnf
/// angle-addr     = [CFWS] "<" addr-spec ">" [CFWS] / obs-angle-addr
/// obs-angle-addr = [CFWS] "<" obs-route addr-spec ">" [CFWS]
/// obs-route      = obs-domain-list ":"
/// ```
fn angle_addr(lexer: &mut Lexer, address: &mut Address) -> Read {
    let more = |read: Read| if read? { Ok(()) } else { Err(Broken) };
    lexer.at += 1;
    more(lexer.skip())?;
    if lexer.peek() == Some(b'@') {
        address.route = domain_list(lexer).ok().filter(|_| lexer.peek() == Some(b':'));
        if address.route.is_some() {
            lexer.at += 1;
        } else {
            address.route = Some(b"INVALID_ROUTE".to_vec());
        }
        more(lexer.skip())?;
    }
    if lexer.peek() != Some(b'>') {
        let mut text = Vec::new();
        let read = lexer.local_part(&mut text);
        address.mailbox = read.is_ok().then_some(text);
        more(read)?;
        if lexer.peek() == Some(b'@') {
            let mut text = Vec::new();
            let read = lexer.domain(&mut text);
            address.domain = read.is_ok().then_some(text);
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
fn domain_list(lexer: &mut Lexer) -> Result<Vec<u8>, Broken> {
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
    if lexer.at_end() { Err(Broken) } else { Ok(list) }
}

/// Reads an address without angle brackets. `buffer` is reused. A comment becomes the name. A
/// single word is a mailbox with its domain missing; several are a name with its address missing.
///
/// ```abnf
/// addr-spec = local-part "@" domain
/// ```
fn addr_spec(lexer: &mut Lexer, mut buffer: Vec<u8>) -> Address {
    buffer.clear();
    if let Some(comment) = &mut lexer.comment {
        comment.clear();
    } else {
        lexer.comment = Some(Vec::new());
    }
    let mut address = Address::default();
    let quoted = lexer.peek() == Some(b'"');
    let local = lexer.local_part(&mut buffer);
    address.mailbox = local.is_ok().then(|| buffer.clone());
    let at_sign = local != Ok(false) && lexer.peek() == Some(b'@');
    if at_sign {
        let mut domain = Vec::new();
        address.domain = lexer.domain(&mut domain).is_ok().then_some(domain);
    }
    let comment = lexer.comment.as_ref().filter(|comment| !comment.is_empty());
    if let Some(comment) = comment {
        address.name = Some(comment.clone());
    } else if !at_sign {
        buffer.push(b' ');
        let word = buffer.len();
        let _ = lexer.phrase(&mut buffer);
        if buffer.len() != word {
            address.mailbox = None;
            address.name = Some(buffer);
        } else if quoted {
            address.name = address.mailbox.take();
        }
    }
    completed(address)
}

fn completed(mut address: Address) -> Address {
    let missing = |part: &Option<Vec<u8>>| part.as_ref().is_none_or(Vec::is_empty);
    if address.mailbox.is_none() {
        address.mailbox = Some(b"MISSING_MAILBOX".to_vec());
    }
    if missing(&address.domain) {
        address.domain = Some(MISSING_DOMAIN.to_vec());
    }
    address
}
