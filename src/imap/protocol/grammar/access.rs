//! ID, LOGIN, AUTHENTICATE and ENABLE.

use super::{Cursor, Parsed, is_astring_char};
use crate::protocol::command::{Command, Secret, decode_sasl};

/// ```abnf
/// id             = "ID" SP id-params-list            ; RFC 2971
/// id-params-list = "(" [string SP nstring *(SP string SP nstring)] ")" / nil
/// ```
pub fn id(cursor: &mut Cursor) -> Parsed<Command> {
    cursor.sp()?;
    if cursor.accept_word("NIL") {
        return Ok(Command::Id(Vec::new()));
    }
    let fields = cursor.list("a list of ID fields or NIL", true, |c| {
        let name = c.string("the name of an ID field")?;
        c.sp()?;
        Ok((name, c.nstring("the value of an ID field or NIL")?))
    })?;
    Ok(Command::Id(fields))
}

/// ```abnf
/// login    = "LOGIN" SP userid SP password
/// userid   = astring
/// password = astring
/// ```
/// list-wildcards are accepted too: clients that quote only one argument send a master user as
/// `alice*admin`, as other servers' manuals show it.
pub fn login(cursor: &mut Cursor) -> Parsed<Command> {
    cursor.sp()?;
    let user = credential(cursor, "a user name")?;
    cursor.sp()?;
    let password = Secret(credential(cursor, "a password")?);
    Ok(Command::Login { user, password })
}

fn credential(cursor: &mut Cursor, what: &'static str) -> Parsed<Vec<u8>> {
    match cursor.peek() {
        Some(b'"' | b'{') => cursor.string(what),
        _ => {
            let is_taken = |o| is_astring_char(o) || matches!(o, b'*' | b'%' | 0x80..);
            Ok(cursor.run(what, is_taken)?.to_vec())
        }
    }
}

/// ```abnf
/// authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp] *(CRLF base64)   ; RFC 4959
/// auth-type    = atom
/// initial-resp = (base64 / "=")      ; "=" is an initial response of no octets
/// ```
pub fn authenticate(cursor: &mut Cursor) -> Parsed<Command> {
    cursor.sp()?;
    let mechanism = cursor.atom("a SASL mechanism")?.to_ascii_uppercase().into();
    cursor.spaces();
    if cursor.at_end() {
        return Ok(Command::Authenticate { mechanism, initial: None });
    }
    let start = cursor.clone();
    let base64 = cursor.run("an initial response", |o| o.is_ascii_graphic())?;
    let initial = if base64 == b"=" { Some(Secret(Vec::new())) } else { decode_sasl(base64) };
    if initial.is_none() {
        return start.expected("base64");
    }
    Ok(Command::Authenticate { mechanism, initial })
}

/// ```abnf
/// enable = "ENABLE" 1*(SP capability)     ; RFC 5161
/// ```
pub fn enable(cursor: &mut Cursor) -> Parsed<Command> {
    let mut names = Vec::new();
    cursor.sp()?;
    loop {
        names.push(cursor.atom("a capability")?.to_ascii_uppercase().into());
        cursor.spaces();
        if cursor.at_end() {
            return Ok(Command::Enable(names));
        }
    }
}

/// ```abnf
/// cancelupdate = "CANCELUPDATE" 1*(SP quoted)     ; RFC 5267
/// ```
/// Tags are accepted as any kind of string.
pub fn cancel_update(cursor: &mut Cursor) -> Parsed<Command> {
    let mut tags = Vec::new();
    cursor.sp()?;
    loop {
        tags.push(cursor.astring("the tag of a SEARCH or SORT")?);
        cursor.spaces();
        if cursor.at_end() {
            return Ok(Command::CancelUpdate(tags));
        }
    }
}
