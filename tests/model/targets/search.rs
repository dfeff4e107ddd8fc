//! SEARCH: keys fit the messages that a naive evaluation says, and strings are found where they
//! are.
//!
//! Input: an octet that chooses; then an expression, or a string and a message.

use imap::mime::{Fields, Message, Needle, TextSearch, casemap, field_text, header_length};
use imap::protocol::{Command, DateField, DateOrder, SearchKey, SectionText, parse};
use imap::types::{Date, Flags, Keyword};

use super::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.below(3) {
        0 => expression(&mut input),
        1 => text(&mut input, "UTF-8"),
        _ => {
            let charsets = ["US-ASCII", "ISO-8859-1", "ISO-2022-JP", "UTF-8", "x"];
            let charset = charsets[input.below(charsets.len())];
            text(&mut input, charset);
        }
    }
}

// ---- Keys --------------------------------------------------------------------------------------

/// A message as keys without strings see it.
struct Mail {
    number: u32,
    uid: u32,
    flags: Flags,
    recent: bool,
    junk: bool,
    size: u64,
    day: Date,
}

const LAST: u32 = 9;

/// The meaning of a key, built along with its text.
enum Expr {
    Is(fn(&Mail, u32) -> bool, u32),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Box<Expr>, Box<Expr>),
}

impl Expr {
    fn holds(&self, mail: &Mail) -> bool {
        match self {
            Expr::Is(asked, number) => asked(mail, *number),
            Expr::Not(inner) => !inner.holds(mail),
            Expr::And(all) => all.iter().all(|one| one.holds(mail)),
            Expr::Or(one, other) => one.holds(mail) || other.holds(mail),
        }
    }
}

fn expression(input: &mut Input<'_>) {
    let mut text = String::from("a SEARCH");
    let mut all = Vec::new();
    for _ in 0..1 + input.below(3) {
        text.push(' ');
        all.push(key(input, &mut text, 0));
    }
    text.push_str("\r\n");
    let expected = Expr::And(all);
    let command = parse(text.as_bytes(), false).map(|tagged| tagged.command);
    let Ok(Command::Search(search)) = command else { panic!("{command:?}: {text}") };
    for number in 1..=LAST {
        let seed = input.u8();
        let mail = Mail {
            number,
            uid: number * 3,
            flags: Flags(seed & 0x1F),
            recent: seed & 0x20 != 0,
            junk: seed & 0x40 != 0,
            size: u64::from(seed % 7),
            day: Date(i32::from(seed % 5)),
        };
        assert_eq!(fits(&search.key, &mail), expected.holds(&mail), "message {number}: {text}");
    }
}

/// Writes a key and returns its meaning.
fn key(input: &mut Input<'_>, text: &mut String, depth: usize) -> Expr {
    let choice = input.below(24);
    match choice {
        0..4 if depth < 40 => {
            text.push_str("NOT ");
            Expr::Not(Box::new(key(input, text, depth + 1)))
        }
        4..8 if depth < 40 => {
            text.push_str("OR ");
            let one = key(input, text, depth + 1);
            text.push(' ');
            Expr::Or(Box::new(one), Box::new(key(input, text, depth + 1)))
        }
        8..12 if depth < 40 => {
            text.push('(');
            let mut all = Vec::new();
            for n in 0..1 + input.below(4) {
                text.push_str(if n > 0 { " " } else { "" });
                all.push(key(input, text, depth + 1));
            }
            text.push(')');
            Expr::And(all)
        }
        _ => leaf(input, text),
    }
}

type Leaf = (&'static str, fn(&Mail, u32) -> bool);

const LEAVES: [Leaf; 22] = [
    ("ALL", |_, _| true),
    ("SEEN", |mail, _| mail.flags.contains(Flags::SEEN)),
    ("unseen", |mail, _| !mail.flags.contains(Flags::SEEN)),
    ("ANSWERED", |mail, _| mail.flags.contains(Flags::ANSWERED)),
    ("UNANSWERED", |mail, _| !mail.flags.contains(Flags::ANSWERED)),
    ("Deleted", |mail, _| mail.flags.contains(Flags::DELETED)),
    ("UNDELETED", |mail, _| !mail.flags.contains(Flags::DELETED)),
    ("FLAGGED", |mail, _| mail.flags.contains(Flags::FLAGGED)),
    ("UNFLAGGED", |mail, _| !mail.flags.contains(Flags::FLAGGED)),
    ("DRAFT", |mail, _| mail.flags.contains(Flags::DRAFT)),
    ("UNDRAFT", |mail, _| !mail.flags.contains(Flags::DRAFT)),
    ("NEW", |mail, _| mail.recent && !mail.flags.contains(Flags::SEEN)),
    ("OLD", |mail, _| !mail.recent),
    ("RECENT", |mail, _| mail.recent),
    ("KEYWORD $junk", |mail, _| mail.junk),
    ("UNKEYWORD \"$JUNK\"", |mail, _| !mail.junk),
    ("KEYWORD a]b", |_, _| false),
    ("UNKEYWORD \\Odd", |_, _| true),
    ("KEYWORD \\Seen", |mail, _| mail.flags.contains(Flags::SEEN)),
    ("BEFORE \"3-Jan-1970\"", |mail, _| mail.day.0 < 2),
    ("ON 03-jan-1970", |mail, _| mail.day.0 == 2),
    ("SINCE 3-Jan-1970", |mail, _| mail.day.0 >= 2),
];

fn leaf(input: &mut Input<'_>, text: &mut String) -> Expr {
    let choice = input.below(LEAVES.len() + 6);
    if let Some(&(word, asked)) = LEAVES.get(choice) {
        text.push_str(word);
        return Expr::Is(asked, 0);
    }
    let number = 1 + input.below(8) as u32;
    let (word, asked): (String, fn(&Mail, u32) -> bool) = match choice - LEAVES.len() {
        0 => (format!("LARGER {number}"), |mail, n| mail.size > n.into()),
        1 => (format!("SMALLER {number}"), |mail, n| mail.size < n.into()),
        2 => (format!("{number}:3,*"), |mail, n| {
            (n.min(3)..=n.max(3)).contains(&mail.number) || mail.number == LAST
        }),
        3 => (format!("*:{number}"), |mail, n| mail.number >= n),
        4 => (format!("UID {number}:*"), |mail, n| mail.uid >= n),
        _ => (format!("UID {number},27,2:5"), |mail, n| {
            mail.uid == n || mail.uid == 27 || (2..=5).contains(&mail.uid)
        }),
    };
    text.push_str(&word);
    Expr::Is(asked, number)
}

/// The meaning of a parsed key.
fn fits(key: &SearchKey, mail: &Mail) -> bool {
    match key {
        SearchKey::All => true,
        SearchKey::Nothing => false,
        SearchKey::And(keys) => keys.iter().all(|key| fits(key, mail)),
        SearchKey::Or(keys) => keys.iter().any(|key| fits(key, mail)),
        SearchKey::Not(key) => !fits(key, mail),
        SearchKey::Flags(flags) => mail.flags.contains(*flags),
        SearchKey::Keyword(keyword) => mail.junk && Ok(keyword) == Keyword::new(b"$Junk").as_ref(),
        SearchKey::Recent => mail.recent,
        SearchKey::Date { field: DateField::Internal, order, day } => match order {
            DateOrder::Before => mail.day < *day,
            DateOrder::On => mail.day == *day,
            DateOrder::Since => mail.day >= *day,
        },
        SearchKey::Larger(size) => mail.size > *size,
        SearchKey::Smaller(size) => mail.size < *size,
        SearchKey::Sequence(set) => set.contains(mail.number, LAST),
        SearchKey::Uid(set) => set.contains(mail.uid, LAST * 3),
        other => panic!("nobody asked for {other:?}"),
    }
}

// ---- Strings -----------------------------------------------------------------------------------

fn text(input: &mut Input<'_>, charset: &str) {
    let sought = input.short(24);
    let message = input.rest();
    let Ok(needle) = Needle::new(sought, charset) else {
        assert_eq!(charset, "x");
        return;
    };
    let (in_body, in_text) = (needle.in_body(message), needle.in_text(message));
    assert!(in_text || !in_body, "TEXT finds what BODY finds");
    assert_eq!(in_pieces(&needle, message), [in_body, in_text], "it is found in pieces");
    let Ok(sought) = std::str::from_utf8(sought) else { return };
    if charset != "UTF-8" && !(charset == "US-ASCII" && sought.is_ascii()) {
        return;
    }
    // A byte order mark is not text.
    if sought.contains('\u{feff}') {
        return;
    }
    let mapped = casemap(sought);
    assert!(!mapped.is_empty() || in_body, "the empty string is everywhere");
    fields(&needle, &mapped, message);
    parts_of_it(sought, message, in_body, in_text);
    if let Some(body) = plain_body(message) {
        let body = String::from_utf8_lossy(body);
        assert_eq!(in_body, casemap(&body).contains(&mapped), "{sought:?} in {body:?}");
    }
}

/// Whether a string is found in the body, and in the whole, of a message that comes in pieces.
fn in_pieces(needle: &Needle, message: &[u8]) -> Vec<bool> {
    let length = 1 + message.first().map_or(0, |octet| usize::from(*octet));
    let mut search = TextSearch::new([(needle.clone(), false), (needle.clone(), true)]);
    let pieces: Vec<_> = message.chunks(length).collect();
    for (at, piece) in pieces.iter().enumerate() {
        if search.feed(piece, at + 1 == pieces.len()).expect("some kibibytes") {
            break;
        }
    }
    search.found().collect()
}

/// A field holds a string when its decoded text does.
fn fields(needle: &Needle, mapped: &str, message: &[u8]) {
    let names: [&[u8]; 4] = [b"Subject", b"From", b"To", b"Content-Type"];
    for name in names {
        let found = Fields::new(message)
            .filter(|field| field.is(name))
            .any(|field| casemap(&field_text(&field)).contains(mapped));
        let shown = message.escape_ascii();
        assert_eq!(needle.in_header_field(message, name), found, "{mapped:?} in {shown}");
        if found && !mapped.is_empty() && name == b"Subject" {
            let header = &message[..header_length(message)];
            assert!(needle.in_header_field(header, name), "the body is not asked");
        }
    }
}

/// Where a string is found, every part of it is found.
fn parts_of_it(sought: &str, message: &[u8], in_body: bool, in_text: bool) {
    let middle = sought.floor_char_boundary(sought.len() / 2);
    for part in [&sought[..middle], &sought[middle..]] {
        let needle = Needle::new(part.as_bytes(), "UTF-8").expect("UTF-8 is known");
        assert!(!in_body || needle.in_body(message), "{part:?} is part of {sought:?}");
        assert!(!in_text || needle.in_text(message), "{part:?} is part of {sought:?}");
    }
}

/// The body of a message in which nothing has to be decoded.
fn plain_body(message: &[u8]) -> Option<&[u8]> {
    let special = |name: &[u8]| {
        name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"Content-"))
            || name.eq_ignore_ascii_case(b"Mime-Version")
    };
    if Fields::new(message).any(|field| special(field.name)) {
        return None;
    }
    let range = Message::parse(message, true).section(&[], Some(&SectionText::Text))?;
    let body = &message[range.start as usize..];
    // Without a charset an escape sequence may be one of ISO-2022-JP.
    Some(body).filter(|body| body.is_ascii() && !body.contains(&0x1b))
}
