//! Mailbox names: each has one form on the wire, and patterns find what a naive matcher finds.
//!
//! Input: an octet of flags, then a name as received, or with flag 1 a pattern, a NUL and a name.

use imap::protocol::{MailboxName, Pattern};

pub fn run(data: &[u8]) {
    let Some((&flags, octets)) = data.split_first() else { return };
    if flags & 1 == 1 {
        let mut halves = octets.splitn(2, |&octet| octet == 0);
        let (pattern, name) = (halves.next().unwrap_or_default(), halves.next());
        return list(pattern, name.unwrap_or_default(), flags & 2 == 2);
    }
    from_wire(octets);
    if let Ok(text) = std::str::from_utf8(octets) {
        from_text(text);
    }
}

/// Checks the meaning of a name on the wire, and that it has no second form.
fn from_wire(octets: &[u8]) {
    let name = MailboxName::from_wire(octets, false);
    if octets.is_ascii() && octets.len() <= 3000 {
        let expected = decoded(octets).map(|text| MailboxName::from_utf8(&text));
        assert_eq!(name.as_ref().ok(), expected.as_ref().and_then(|name| name.as_ref().ok()));
    }
    let Ok(name) = name else { return };
    let wire = name.to_wire();
    if octets.is_ascii() {
        assert!(wire.as_bytes().eq_ignore_ascii_case(octets));
        let inbox = name.is_inbox() || name.is_below(&MailboxName::inbox());
        let same = if inbox { 5 } else { 0 };
        assert_eq!(&wire.as_bytes()[same..], &octets[same..]);
    }
    back(&name);
}

/// A name in UTF-8.
fn from_text(text: &str) {
    let name = MailboxName::from_utf8(text);
    assert_eq!(MailboxName::from_wire(text.as_bytes(), true).ok(), name.as_ref().ok().cloned());
    if let Ok(name) = &name {
        back(name);
        assert!(name.as_str().eq_ignore_ascii_case(text));
        assert_eq!(name.to_wire(), encoded(name.as_str()));
    }
}

fn back(name: &MailboxName) {
    let wire = name.to_wire();
    assert!(wire.bytes().all(|octet| matches!(octet, b' '..=b'~')), "{wire}");
    assert_eq!(MailboxName::from_wire(wire.as_bytes(), false).as_ref(), Ok(name));
    assert_eq!(MailboxName::from_utf8(name.as_str()).as_ref(), Ok(name));
    if let Some(parent) = name.parent() {
        assert!(name.is_below(&parent));
    }
}

/// Decodes a text bit by bit.
fn decoded(wire: &[u8]) -> Option<String> {
    let (mut text, mut rest) = (String::new(), wire);
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'&' {
            text.push(first.into());
            continue;
        }
        let end = rest.iter().position(|&octet| octet == b'-')?;
        let mut bits = Vec::new();
        for &octet in &rest[..end] {
            let value = DIGITS.iter().position(|&digit| digit == octet)?;
            bits.extend((0..6).rev().map(|bit| value >> bit & 1));
        }
        let units = bits.chunks_exact(16);
        let units = units.map(|unit| unit.iter().fold(0, |all, &bit| all << 1 | bit as u16));
        text.extend(char::decode_utf16(units).collect::<Result<Vec<_>, _>>().ok()?);
        if end == 0 {
            text.push('&');
        }
        rest = &rest[end + 1..];
    }
    (encoded(&text).as_bytes() == wire).then_some(text)
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// RFC 3501 section 5.1.3, run by run.
fn encoded(text: &str) -> String {
    let plain = |c: char| matches!(c, ' '..='~');
    let chars: Vec<char> = text.chars().collect();
    let mut wire = String::new();
    for run in chars.chunk_by(|&a, &b| plain(a) == plain(b)) {
        let run: String = run.iter().collect();
        if run.starts_with(plain) {
            wire.push_str(&run.replace('&', "&-"));
            continue;
        }
        let units: Vec<u16> = run.encode_utf16().collect();
        let mut bits: Vec<u16> =
            units.iter().flat_map(|unit| (0..16).rev().map(move |bit| unit >> bit & 1)).collect();
        bits.resize(bits.len().next_multiple_of(6), 0);
        let digits = bits.chunks(6).map(|six| six.iter().fold(0, |all, &bit| all << 1 | bit));
        wire.push('&');
        wire.extend(digits.map(|digit| char::from(DIGITS[usize::from(digit)])));
        wire.push('-');
    }
    wire
}

/// LIST: the pattern matches the name exactly when it explains every character.
fn list(pattern: &[u8], name: &[u8], utf8: bool) {
    let Ok(name) = MailboxName::from_wire(name, utf8) else { return };
    let Ok(compiled) = Pattern::new(b"", pattern, utf8) else { return };
    // They stand for themselves, and no name contains them.
    if pattern.iter().any(u8::is_ascii_control) {
        return;
    }
    let half = pattern.len() / 2;
    if let Ok(joined) = Pattern::new(&pattern[..half], &pattern[half..], utf8) {
        assert!(!pattern.is_ascii() || joined == compiled, "reference and name are one");
    }
    let text = match pattern.is_ascii() && !utf8 {
        true => decoded(pattern).expect("it was decoded"),
        false => std::str::from_utf8(pattern).expect("it was decoded").to_owned(),
    };
    let (text, chars): (Vec<char>, Vec<char>) =
        (text.chars().collect(), name.as_str().chars().collect());
    if text.len() * chars.len() > 1 << 20 {
        return;
    }
    let inbox = name.is_inbox() || name.is_below(&MailboxName::inbox());
    let caseless = if inbox { 5 } else { 0 };
    let found = compiled.matches(&name);
    assert_eq!(found, explained(&text, &chars, caseless), "{name} by {}", pattern.escape_ascii());
}

fn explained(pattern: &[char], name: &[char], caseless: usize) -> bool {
    // matched[n]: the part of the pattern read so far explains the first n characters.
    let mut matched = vec![false; name.len() + 1];
    matched[0] = true;
    for &part in pattern {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match part {
                '*' => matched[at] || at > 0 && next[at - 1],
                '%' => matched[at] || at > 0 && next[at - 1] && name[at - 1] != '/',
                c => {
                    at > 0
                        && matched[at - 1]
                        && (name[at - 1] == c
                            || at <= caseless && name[at - 1].eq_ignore_ascii_case(&c))
                }
            };
        }
        matched = next;
    }
    matched[name.len()]
}
