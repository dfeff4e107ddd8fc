//! Parameters and modifiers of commands, as RFC 4466 lets extensions add them.

use super::{Cursor, Parsed};

/// The name of an optional parameter or modifier, in capitals.
///
/// ```abnf
/// select-param-name    = tagged-ext-label                                ; RFC 4466
/// tagged-ext-label     = tagged-label-fchar *tagged-label-char
/// tagged-label-fchar   = ALPHA / "-" / "_" / "."
/// tagged-label-char    = tagged-label-fchar / DIGIT / ":"
/// ```
/// The grammar is the same for CREATE, EXAMINE, FETCH and STORE.
pub fn parameter_name(cursor: &mut Cursor) -> Parsed<Box<str>> {
    let what = "the name of a parameter";
    let first = |o: u8| o.is_ascii_alphabetic() || matches!(o, b'-' | b'_' | b'.');
    if !cursor.peek().is_some_and(first) {
        return cursor.expected(what);
    }
    let name = cursor.run(what, |o| first(o) || o.is_ascii_digit() || o == b':')?;
    Ok(String::from_utf8_lossy(name).to_ascii_uppercase().into())
}

/// Skips the value of an unknown parameter. Anything that cannot be a parameter name is a value.
///
/// ```abnf
/// select-param-value   = tagged-ext-val
/// tagged-ext-val       = tagged-ext-simple / "(" [tagged-ext-comp] ")"
/// tagged-ext-simple    = sequence-set / number
/// ```
pub fn skip_value(cursor: &mut Cursor) -> Parsed<()> {
    let mut ahead = cursor.clone();
    ahead.spaces();
    match ahead.peek() {
        Some(b'(') => drop(ahead.parenthesised("a value")?),
        Some(b'0'..=b'9' | b'*') => drop(ahead.sequence_set()?),
        _ => return Ok(()),
    }
    *cursor = ahead;
    Ok(())
}
