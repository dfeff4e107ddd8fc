//! Patterns for the lines of a server: what stands between `{{` and `}}` in a transcript.
//!
//! | Wildcard | Stands for |
//! | --- | --- |
//! | `{{*}}` | any number of octets |
//! | `{{n}}` | digits |
//! | `{{>old}}` | digits that make a larger number than `old` |
//! | `{{new:=*}}`, `{{new:=n}}`, `{{new:>old}}` | the same, stored under the name `new` |
//! | `{{=new}}` | the octets stored under `new` |
//! | `{{~Text}}` | the text, in upper or lower case |
//! | `{{(\Seen \Draft)}}` | a list of exactly these flags in any order, perhaps with `\Recent` |
//! | `{{UID {{n}}\|FLAGS ()}}` | these patterns in any order, separated by spaces |

use std::collections::BTreeMap;

/// Octets that a script has stored, by name.
pub type Names = BTreeMap<String, Vec<u8>>;

/// Matches a line against a pattern, and stores the names in it if the line matches. Panics when
/// the pattern is malformed.
pub fn matches(pattern: &str, line: &[u8], names: &mut Names) -> bool {
    let Some(begin) = pattern.find("{{") else {
        return pattern.as_bytes() == line;
    };
    let (fixed, wild) = pattern.split_at(begin);
    let Some(line) = line.strip_prefix(fixed.as_bytes()) else {
        return false;
    };
    let end = end_of_wildcard(wild).unwrap_or_else(|| panic!("no end of a wildcard: {wild}"));
    let (inside, rest) = (&wild[2..end - 2], &wild[end..]);
    let parts = split(inside);
    if parts.len() > 1 {
        return in_any_order(&parts, rest, line, names);
    }
    if let Some(flags) = inside.strip_prefix('(').and_then(|inside| inside.strip_suffix(')')) {
        let end = line.iter().position(|&octet| octet == b')');
        let list = end.and_then(|end| line[..end].strip_prefix(b"("));
        return list.is_some_and(|list| {
            sorted_flags(list) == sorted_flags(flags.as_bytes())
                && matches(rest, &line[list.len() + 2..], names)
        });
    }
    if let Some(text) = inside.strip_prefix('~') {
        return line.get(..text.len()).is_some_and(|s| s.eq_ignore_ascii_case(text.as_bytes()))
            && matches(rest, &line[text.len()..], names);
    }
    if let Some(name) = inside.strip_prefix('=') {
        let known = known(name, names);
        return line.strip_prefix(&known[..]).is_some_and(|line| matches(rest, line, names));
    }
    let (name, kind) = match inside.find(":=").or(inside.find(":>")) {
        Some(at) => (Some(&inside[..at]), inside[at + 1..].trim_start_matches('=')),
        None => (None, inside),
    };
    let lengths = match kind {
        "*" => 0..=line.len(),
        _ => {
            let digits = line.iter().take_while(|octet| octet.is_ascii_digit()).count();
            let good = match kind.strip_prefix('>') {
                Some(old) => number(&line[..digits]) > number(&known(old, names)),
                None if kind == "n" => digits > 0,
                None => panic!("no such wildcard: {wild}"),
            };
            if !good {
                return false;
            }
            digits..=digits
        }
    };
    lengths.into_iter().any(|length| {
        let Some(name) = name else { return matches(rest, &line[length..], names) };
        let before = names.insert(name.into(), line[..length].to_vec());
        let good = matches(rest, &line[length..], names);
        if !good {
            match before {
                Some(before) => names.insert(name.into(), before),
                None => names.remove(name),
            };
        }
        good
    })
}

/// A line of the client with what it takes from `names`. Panics when it is not known.
pub fn filled(text: &str, names: &Names) -> Vec<u8> {
    let mut pieces = text.split("{{=");
    let mut filled = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (name, text) = piece.split_once("}}").expect("the end of a name");
        filled.extend(known(name, names));
        filled.extend_from_slice(text.as_bytes());
    }
    filled
}

fn in_any_order(parts: &[&str], rest: &str, line: &[u8], names: &mut Names) -> bool {
    (0..parts.len()).any(|first| {
        let mut others = parts.to_vec();
        let part = others.remove(first);
        let others = match &others[..] {
            [other] => (*other).to_owned(),
            others => format!("{{{{{}}}}}", others.join("|")),
        };
        matches(&format!("{part} {others}{rest}"), line, names)
    })
}

fn known(name: &str, names: &Names) -> Vec<u8> {
    names.get(name).unwrap_or_else(|| panic!("nothing is remembered as {name}")).clone()
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn sorted_flags(list: &[u8]) -> Vec<String> {
    let list = String::from_utf8_lossy(list).to_lowercase();
    let mut flags: Vec<String> = list
        .split(' ')
        .filter(|flag| !flag.is_empty() && *flag != "\\recent")
        .map(str::to_owned)
        .collect();
    flags.sort();
    flags
}

/// The length of the wildcard that `text` begins with.
fn end_of_wildcard(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        match (rest.starts_with(b"{{"), rest.starts_with(b"}}")) {
            (true, _) => depth += 1,
            (_, true) => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The parts between those bars that stand in no wildcard.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut at) = (Vec::new(), 0, 0);
    while at < text.len() {
        if text.as_bytes()[at..].starts_with(b"{{") {
            at += end_of_wildcard(&text[at..]).unwrap_or(2);
        } else {
            if text.as_bytes()[at] == b'|' {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            at += 1;
        }
    }
    parts.push(&text[begin..]);
    parts
}

#[test]
fn patterns() {
    for (pattern, line, same) in [
        ("* OK", "* OK", true),
        ("* OK", "* OK ", false),
        ("* {{n}} EXISTS", "* 172 EXISTS", true),
        ("* {{n}} EXISTS", "* EXISTS", false),
        ("* {{n}} EXISTS", "* x EXISTS", false),
        ("a OK {{*}}", "a OK done", true),
        ("a OK {{*}}", "b OK done", false),
        ("{{*}} IDLE{{*}}", "* CAPABILITY IDLE", true),
        ("{{*}} IDLE{{*}}", "* CAPABILITY", false),
        ("[{{n}}] {{*}}.", "[12] x.y.", true),
        ("{{~nil}} x", "NiL x", true),
        ("{{~nil}} x", "Ni", false),
        ("{{~nil}} x", "NIL X", false),
        ("({{(\\Seen B)}})", "((b \\SEEN))", true),
        ("{{(\\Seen)}}", "(\\Recent \\Seen)", true),
        ("{{(\\Seen)}}", "(\\Seen \\Draft)", false),
        ("{{(\\Seen \\Draft)}}", "(\\Seen)", false),
        ("{{()}}", "()", true),
        ("{{()}}", "(", false),
        ("({{A 1|B {{n}}|C}})", "(C A 1 B 23)", true),
        ("({{A 1|B {{n}}|C}})", "(C B 23)", false),
        ("({{A 1|B {{n}}|C}})", "(B 1 B 2 C)", false),
        ("({{A|X {{B|C}}}})", "(X C B A)", true),
        ("{{x:=n}} {{=x}}", "12 12", true),
        ("{{x:=n}} {{=x}}", "12 13", false),
        ("{{x:=*}} {{=x}}", "a b a b", true),
        ("{{x:=n}} {{y:>x}} {{>y}}", "9 10 11", true),
        ("{{x:=n}} {{y:>x}} {{>y}}", "9 10 10", false),
        ("{{x:=n}} {{>x}}", "9 ", false),
    ] {
        assert_eq!(matches(pattern, line.as_bytes(), &mut Names::new()), same, "{pattern} {line}");
    }
    let mut names = Names::new();
    assert!(matches("({{A {{m:=n}}|B}})", b"(B A 17)", &mut names));
    assert!(!matches("{{m:=n}} {{other:=n}} x", b"1 2 y", &mut names));
    assert_eq!(names.len(), 1, "a line that does not match leaves nothing");
    assert_eq!(filled("STORE {{=m}}:{{=m}}.", &names), b"STORE 17:17.");
}
