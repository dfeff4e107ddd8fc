//! What server lines say.

use imap::types::{Flags, InternalDate};

/// The end of a command: `A7 OK [APPENDUID 1 2:3] done`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Whether it is OK, rather than NO or BAD.
    pub ok: bool,
    /// From OK, NO or BAD to the end of the line.
    pub text: String,
}

impl Completion {
    /// Reads `line` if it carries `tag`.
    pub fn parse(line: &[u8], tag: &str) -> Option<Completion> {
        let rest = line.strip_prefix(tag.as_bytes())?.strip_prefix(b" ")?;
        let word = rest.split(|&o| o == b' ').next()?;
        let ok = word.eq_ignore_ascii_case(b"OK");
        if !ok && !word.eq_ignore_ascii_case(b"NO") && !word.eq_ignore_ascii_case(b"BAD") {
            return None;
        }
        Some(Completion { ok, text: String::from_utf8_lossy(rest).into_owned() })
    }

    /// The UIDs in `[APPENDUID validity set]` (RFC 4315 section 3), one for each message.
    pub fn append_uids(&self) -> Option<AppendUid> {
        let code = self.text.split_once('[')?.1.split_once(']')?.0;
        let mut words = code.split(' ');
        if !words.next()?.eq_ignore_ascii_case("APPENDUID") {
            return None;
        }
        let validity = words.next()?.parse().ok()?;
        Some(AppendUid { validity, uids: parse_set(words.next()?)? })
    }
}

/// Where appended messages are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendUid {
    /// The mailbox's UIDVALIDITY.
    pub validity: u32,
    /// First and last of each run of UIDs, in the order of the messages.
    pub uids: Vec<(u32, u32)>,
}

impl AppendUid {
    /// How many messages these are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.uids.iter().map(|&(first, last)| u64::from(last - first) + 1).sum()
    }

    /// All UIDs, one by one.
    pub fn each(&self) -> impl Iterator<Item = u32> + '_ {
        self.uids.iter().flat_map(|&(first, last)| first..=last)
    }
}

/// ```abnf
/// uid-set         = (uniqueid / uid-range) *("," uid-set)
/// uid-range       = (uniqueid ":" uniqueid)
/// ```
fn parse_set(text: &str) -> Option<Vec<(u32, u32)>> {
    let range = |range: &str| {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        Some((first.min(last), first.max(last)))
    };
    text.split(',').map(range).collect()
}

/// What STATUS says of a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// How many messages it holds.
    pub messages: u64,
    /// The UID that the next message gets, or a lower bound of it.
    pub uid_next: u32,
    /// The UIDVALIDITY.
    pub uid_validity: u32,
}

impl Status {
    /// Reads `* STATUS name (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 1)`.
    pub fn parse(line: &[u8]) -> Option<Status> {
        let line = std::str::from_utf8(line).ok()?;
        let items = line.strip_suffix(')')?.rsplit_once('(')?.1;
        if !line.get(..9)?.eq_ignore_ascii_case("* STATUS ") {
            return None;
        }
        let mut status = Status::default();
        let mut words = items.split_ascii_whitespace();
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            match &name.to_ascii_uppercase()[..] {
                "MESSAGES" => status.messages = value.parse().ok()?,
                "UIDNEXT" => status.uid_next = value.parse().ok()?,
                "UIDVALIDITY" => status.uid_validity = value.parse().ok()?,
                _ => {}
            }
        }
        Some(status)
    }
}

/// The number in `* 12 EXISTS`, for `word` EXISTS.
pub fn numbered(line: &[u8], word: &str) -> Option<u32> {
    let rest = std::str::from_utf8(line.strip_prefix(b"* ")?).ok()?;
    let (number, what) = rest.split_once(' ')?;
    what.eq_ignore_ascii_case(word).then(|| number.parse().ok())?
}

/// The message number of `* 12 FETCH (…`, and what follows the parenthesis.
pub fn fetch(line: &[u8]) -> Option<(u32, &[u8])> {
    let rest = line.strip_prefix(b"* ")?;
    let space = memchr::memchr(b' ', rest)?;
    let number = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
    let (word, items) = rest[space + 1..].split_at_checked(b"FETCH (".len())?;
    word.eq_ignore_ascii_case(b"FETCH (").then_some((number, items))
}

/// The size of the literal that a line announces at its end: `… {12}`.
pub fn literal_size(line: &[u8]) -> Option<u64> {
    let inside = line.strip_suffix(b"}")?;
    let brace = memchr::memrchr(b'{', inside)?;
    let digits = &inside[brace + 1..];
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// What a FETCH says of a message besides its octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Its UID.
    pub uid: Option<u32>,
    /// Its system flags; keywords and `\Recent` left out.
    pub flags: Option<Flags>,
    /// Its internal date.
    pub date: Option<InternalDate>,
}

impl Attributes {
    /// Adds what `items`, the text before or after a literal, holds.
    pub fn read(&mut self, items: &[u8]) {
        let after = |name: &[u8]| {
            let at = memchr::memmem::find(items, name)?;
            Some(&items[at + name.len()..])
        };
        let until =
            |text: &'_ [u8], end: u8| memchr::memchr(end, text).map(|at| text[..at].to_vec());
        if let Some(rest) = after(b"UID ") {
            let digits = rest.iter().take_while(|o| o.is_ascii_digit()).count();
            self.uid = std::str::from_utf8(&rest[..digits]).ok().and_then(|d| d.parse().ok());
        }
        if let Some(names) = after(b"FLAGS (").and_then(|rest| until(rest, b')')) {
            let named = names.split(|&o| o == b' ').filter_map(Flags::by_name);
            self.flags = Some(named.fold(Flags::default(), Flags::union));
        }
        if let Some(date) = after(b"INTERNALDATE \"").and_then(|rest| until(rest, b'"')) {
            self.date = InternalDate::parse(&date).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_carry_their_tag() {
        let done = Completion::parse(b"A7 OK [APPENDUID 38505 3955:3957,9] done", "A7").unwrap();
        let uids = done.append_uids().unwrap();
        assert_eq!((uids.validity, uids.count()), (38_505, 4));
        assert_eq!(uids.each().collect::<Vec<_>>(), [3955, 3956, 3957, 9]);
        let no = Completion::parse(b"A7 no [TRYCREATE] where?", "A7").unwrap();
        assert_eq!((no.ok, &no.text[..]), (false, "no [TRYCREATE] where?"));
        assert_eq!(no.append_uids(), None);
        assert_eq!(Completion::parse(b"A77 OK x", "A7"), None);
        assert_eq!(Completion::parse(b"* OK x", "A7"), None);
        assert!(Completion::parse(b"A7 OK", "A7").unwrap().ok);
    }

    #[test]
    fn broken_uid_sets_are_none() {
        for code in ["[APPENDUID 1]", "[APPENDUID 1 x]", "[APPENDUID 1 1:]", "[APPENDUID x 1]", "["]
        {
            let done = Completion { ok: true, text: format!("OK {code}") };
            assert_eq!(done.append_uids(), None, "{code}");
        }
    }

    #[test]
    fn status_and_exists() {
        let line = b"* STATUS \"a (b)\" (MESSAGES 2 uidnext 3 SIZE 99 UIDVALIDITY 7)";
        let status = Status { messages: 2, uid_next: 3, uid_validity: 7 };
        assert_eq!(Status::parse(line), Some(status));
        assert_eq!(Status::parse(b"* STATUS x (MESSAGES many)"), None);
        assert_eq!(Status::parse(b"* LIST () \"/\" x"), None);
        assert_eq!(numbered(b"* 12 exists", "EXISTS"), Some(12));
        assert_eq!(numbered(b"* 12 RECENT", "EXISTS"), None);
    }

    #[test]
    fn fetch_lines() {
        let line = b"* 5 FETCH (UID 9 FLAGS (\\Seen \\Recent $x) BODY[] {12}";
        let (number, items) = fetch(line).unwrap();
        let mut attributes = Attributes::default();
        attributes.read(items);
        attributes.read(b" INTERNALDATE \" 7-Feb-1994 22:43:04 -0800\")");
        assert_eq!((number, attributes.uid, literal_size(line)), (5, Some(9), Some(12)));
        assert_eq!(attributes.flags, Some(Flags::SEEN));
        assert_eq!(attributes.date.unwrap().to_string(), " 7-Feb-1994 22:43:04 -0800");
        for none in [&b"* x FETCH ("[..], b"* 5 FETCH", b"* 5 EXISTS", b"5 FETCH (", b"* 5"] {
            assert_eq!(fetch(none), None);
        }
        for none in [&b"{}"[..], b"12}", b"{12", b"{1x}", b"{99999999999999999999}", b"}"] {
            assert_eq!(literal_size(none), None);
        }
    }
}
