//! The responses of a server, as far as the clients of the model need them.

use super::{Checked, wrong};
use crate::model::flags::{Flags, parse as parse_flags};
use crate::numbers;

/// What LIST tells of mailboxes beside their special uses.
const TREE: [&str; 5] =
    ["\\HasChildren", "\\HasNoChildren", "\\Noselect", "\\NonExistent", "\\Subscribed"];

/// A response.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// `+`.
    Continue,
    /// A tagged OK, NO or BAD.
    Tagged(&'a str, Status<'a>),
    /// An untagged one, or BYE.
    Untagged(Status<'a>),
    /// EXISTS.
    Exists(u32),
    /// EXPUNGE.
    Expunge(u32),
    /// VANISHED: whether EARLIER, and the UIDs.
    Vanished(bool, Vec<u32>),
    /// FETCH.
    Fetch(Fetched<'a>),
    /// LIST: the name of a mailbox, whether it exists, and its special uses.
    List(String, bool, String),
    /// LSUB.
    Lsub(String),
    /// STATUS: the name, and numbers by their names.
    Status(String, Vec<(&'a str, u64)>),
    /// METADATA: entries with their values.
    Metadata(Vec<(String, String)>),
    /// SEARCH, or ESEARCH with ALL.
    Search(Vec<u32>),
    /// Any other: FLAGS, RECENT, ENABLED, CAPABILITY.
    Other,
}

/// A status response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status<'a> {
    /// OK, NO, BAD, BYE.
    pub word: &'a str,
    /// The first word of the response code, or nothing.
    pub code: &'a str,
    /// The rest of the response code.
    pub data: &'a str,
    /// The text for people.
    pub text: &'a str,
}

/// A FETCH response.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fetched<'a> {
    /// The sequence number.
    pub number: u32,
    /// UID.
    pub uid: Option<u32>,
    /// FLAGS.
    pub flags: Option<Flags>,
    /// MODSEQ.
    pub modseq: Option<u64>,
    /// EMAILID.
    pub email: Option<&'a str>,
    /// INTERNALDATE.
    pub date: Option<&'a str>,
    /// RFC822.SIZE.
    pub size: Option<usize>,
    /// BODY[] or BINARY[].
    pub octets: Option<&'a [u8]>,
}

impl Status<'_> {
    /// Whether it is OK.
    pub fn is_ok(&self) -> bool {
        self.word == "OK"
    }
}

/// The length of the response that starts here, if all of it is there.
pub fn end_of(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let end = at + memchr::memchr(b'\n', octets.get(at..)?)?;
        at = end + 1;
        match literal_at_end(octets[..end].trim_ascii_end()) {
            Some(size) => at += size,
            None => return Some(at),
        }
    }
}

fn literal_at_end(line: &[u8]) -> Option<usize> {
    let digits = line.strip_suffix(b"}")?;
    let open = digits.iter().rposition(|octet| *octet == b'{')?;
    number(&digits[open + 1..])
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Reads a response, with its line end.
pub fn parse(response: &[u8]) -> Checked<Reply<'_>> {
    match read(response)? {
        Some(reply) => Ok(reply),
        None => {
            let start = &response[..response.len().min(200)];
            wrong(format!("a response of no known form: {}", String::from_utf8_lossy(start)))
        }
    }
}

fn read(response: &[u8]) -> Checked<Option<Reply<'_>>> {
    let mut words = Cursor { octets: response };
    if response.starts_with(b"+") {
        return Ok(Some(Reply::Continue));
    }
    let Some(tag) = words.word() else { return Ok(None) };
    let Some(word) = words.word() else { return Ok(None) };
    if tag != "*" {
        return Ok(status(word, words.octets).map(|status| Reply::Tagged(tag, status)));
    }
    if let Some(number) = number::<u32>(word.as_bytes()) {
        return match words.word() {
            Some("EXISTS") => Ok(Some(Reply::Exists(number))),
            Some("EXPUNGE") => Ok(Some(Reply::Expunge(number))),
            Some("FETCH") => Ok(words.fetched(number)?.map(Reply::Fetch)),
            _ => Ok(Some(Reply::Other)),
        };
    }
    Ok(match word {
        "OK" | "NO" | "BAD" | "BYE" => status(word, words.octets).map(Reply::Untagged),
        "VANISHED" => words.vanished(),
        "LIST" => words.list().map(|(name, there, uses)| Reply::List(name, there, uses)),
        "LSUB" => words.list().map(|(name, ..)| Reply::Lsub(name)),
        "STATUS" => words.status(),
        "METADATA" => words.metadata(),
        "SEARCH" => words.search(),
        "ESEARCH" => words.esearch(),
        _ => Some(Reply::Other),
    })
}

fn status<'a>(word: &'a str, rest: &'a [u8]) -> Option<Status<'a>> {
    let rest = std::str::from_utf8(rest).ok()?.trim_ascii();
    let Some(inside) = rest.strip_prefix('[') else {
        return Some(Status { word, code: "", data: "", text: rest });
    };
    // MAILBOXID, CAPABILITY and COPYUID have no bracket in them; PERMANENTFLAGS may not either.
    let (inside, text) = inside.split_once(']')?;
    let (code, data) = inside.split_once(' ').unwrap_or((inside, ""));
    Some(Status { word, code, data, text: text.trim_ascii() })
}

struct Cursor<'a> {
    octets: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn spaces(&mut self) {
        while let Some(rest) = self.octets.strip_prefix(b" ") {
            self.octets = rest;
        }
    }

    /// Up to a space, a parenthesis or the end of the line.
    fn word(&mut self) -> Option<&'a str> {
        self.spaces();
        let ends = |octet: &u8| matches!(octet, b' ' | b'(' | b')' | b'\r' | b'\n');
        let end = self.octets.iter().position(ends).unwrap_or(self.octets.len());
        let word = std::str::from_utf8(&self.octets[..end]).ok()?;
        self.octets = &self.octets[end..];
        (!word.is_empty()).then_some(word)
    }

    fn accept(&mut self, octet: u8) -> bool {
        self.spaces();
        match self.octets.split_first() {
            Some((first, rest)) if *first == octet => {
                self.octets = rest;
                true
            }
            _ => false,
        }
    }

    /// The contents of parentheses without others in them.
    fn list_of(&mut self) -> Option<&'a [u8]> {
        if !self.accept(b'(') {
            return None;
        }
        let end = memchr::memchr(b')', self.octets)?;
        let inside = &self.octets[..end];
        self.octets = &self.octets[end + 1..];
        Some(inside)
    }

    /// An atom, a quoted string without escapes, a literal.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.spaces();
        let octets = self.octets;
        if let Some(rest) = octets.strip_prefix(b"\"") {
            let end = memchr::memchr(b'"', rest)?;
            self.octets = &rest[end + 1..];
            return Some(&rest[..end]);
        }
        let brace = octets.strip_prefix(b"~").unwrap_or(octets);
        if let Some(rest) = brace.strip_prefix(b"{") {
            let close = memchr::memchr(b'}', rest)?;
            let size: usize = number(&rest[..close])?;
            let from = close + 3;
            self.octets = rest.get(from + size..)?;
            return Some(&rest[from..from + size]);
        }
        self.word().map(str::as_bytes)
    }

    fn fetched(&mut self, number: u32) -> Checked<Option<Fetched<'a>>> {
        let mut fetched = Fetched { number, ..Fetched::default() };
        if !self.accept(b'(') {
            return Ok(None);
        }
        while !self.accept(b')') {
            let Some(name) = self.word() else { return Ok(None) };
            let known = match name {
                "FLAGS" => {
                    let Some(list) = self.list_of() else { return Ok(None) };
                    fetched.flags = Some(parse_flags(list)?);
                    true
                }
                "MODSEQ" => {
                    fetched.modseq = self.list_of().and_then(self::number);
                    fetched.modseq.is_some()
                }
                "EMAILID" => {
                    fetched.email = self.list_of().and_then(|id| std::str::from_utf8(id).ok());
                    fetched.email.is_some_and(|id| !id.is_empty())
                }
                "UID" => {
                    fetched.uid = self.word().and_then(|word| word.parse().ok());
                    fetched.uid.is_some()
                }
                "RFC822.SIZE" => {
                    fetched.size = self.word().and_then(|word| word.parse().ok());
                    fetched.size.is_some()
                }
                "INTERNALDATE" => {
                    fetched.date = self.string().and_then(|date| std::str::from_utf8(date).ok());
                    fetched.date.is_some()
                }
                "BODY[]" | "BINARY[]" => {
                    fetched.octets = self.string();
                    fetched.octets.is_some()
                }
                _ => false,
            };
            if !known {
                return Ok(None);
            }
        }
        Ok(Some(fetched))
    }

    fn vanished(&mut self) -> Option<Reply<'a>> {
        let earlier = self.list_of().is_some();
        Some(Reply::Vanished(earlier, numbers(self.word()?)?))
    }

    fn list(&mut self) -> Option<(String, bool, String)> {
        let attributes = std::str::from_utf8(self.list_of()?).ok()?;
        self.string()?;
        let name = String::from_utf8(self.string()?.to_vec()).ok()?;
        let there = !attributes.contains("\\Noselect") && !attributes.contains("\\NonExistent");
        let of_tree = |word: &&str| TREE.iter().any(|other| word.eq_ignore_ascii_case(other));
        let uses: Vec<&str> = attributes.split(' ').filter(|word| !of_tree(word)).collect();
        Some((name, there, uses.join(" ")))
    }

    /// Values have no quotes in them.
    fn metadata(&mut self) -> Option<Reply<'a>> {
        self.string()?;
        let mut entries = Vec::new();
        if !self.accept(b'(') {
            return None;
        }
        while !self.accept(b')') {
            let name = String::from_utf8(self.string()?.to_vec()).ok()?;
            let value = String::from_utf8(self.string()?.to_vec()).ok()?;
            entries.push((name, value.replace("\\\\", "\\")));
        }
        Some(Reply::Metadata(entries))
    }

    fn status(&mut self) -> Option<Reply<'a>> {
        let name = String::from_utf8(self.string()?.to_vec()).ok()?;
        let list = std::str::from_utf8(self.list_of()?).ok()?;
        let words: Vec<&str> = list.split(' ').collect();
        let pairs = words.chunks(2).map(|pair| Some((pair[0], pair.get(1)?.parse().ok()?)));
        Some(Reply::Status(name, pairs.collect::<Option<_>>()?))
    }

    fn search(&mut self) -> Option<Reply<'a>> {
        let mut found = Vec::new();
        while let Some(word) = self.word() {
            found.push(word.parse().ok()?);
        }
        Some(Reply::Search(found))
    }

    fn esearch(&mut self) -> Option<Reply<'a>> {
        self.list_of()?;
        while let Some(word) = self.word() {
            if word == "ALL" {
                return Some(Reply::Search(numbers(self.word()?)?));
            }
        }
        Some(Reply::Search(Vec::new()))
    }
}
