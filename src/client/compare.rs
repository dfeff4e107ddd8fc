//! Reading mail back and comparing it as it arrives.

use super::answer::{self, Attributes, Completion};
use super::connection::Client;
use super::error::ClientError;
use super::mail::Mail;

/// Differences that are described; further ones are only counted.
const DESCRIBED: usize = 5;

/// What a message should be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The UID that APPENDUID gave it, if the server gives any.
    pub uid: Option<u32>,
    /// What was sent.
    pub mail: &'a Mail,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Messages read.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// Messages that differ from what was sent.
    pub differing: u64,
    /// The first few of these, one sentence each.
    pub differences: Vec<String>,
}

impl Comparison {
    fn count(&mut self, octets: u64, difference: Option<String>) {
        self.messages += 1;
        self.octets += octets;
        if let Some(text) = difference {
            self.differing += 1;
            if self.differences.len() < DESCRIBED {
                self.differences.push(text);
            }
        }
    }

    /// Adds another comparison to this one.
    pub fn add(&mut self, other: Comparison) {
        self.messages += other.messages;
        self.octets += other.octets;
        self.differing += other.differing;
        let room = DESCRIBED.saturating_sub(self.differences.len());
        self.differences.extend(other.differences.into_iter().take(room));
    }
}

impl Client {
    /// Fetches the messages of `set` (message numbers, not UIDs) in the selected mailbox. Compares
    /// octets, UID, flags and internal date with what `expected` returns for each number, and calls
    /// `seen` with the size of each message.
    ///
    /// # Errors
    /// When the server refuses, or the connection breaks. A difference is not an error.
    pub fn compare<'a>(
        &mut self,
        set: &str,
        expected: impl Fn(u32) -> Option<Expected<'a>>,
        mut seen: impl FnMut(u64),
    ) -> Result<Comparison, ClientError> {
        let tag = self.next_tag();
        let items = "(UID FLAGS INTERNALDATE BODY.PEEK[])";
        self.write_all(format!("{tag} FETCH {set} {items}\r\n").as_bytes())?;
        let mut comparison = Comparison::default();
        loop {
            let line = self.input.line()?;
            if let Some(completion) = Completion::parse(line, &tag) {
                if completion.ok {
                    return Ok(comparison);
                }
                return Err(ClientError::Refused {
                    command: "FETCH".into(),
                    answer: completion.text,
                });
            }
            if let Some((number, items)) = answer::fetch(line) {
                let Some(size) = body_size(items)? else { continue };
                let mut attributes = Attributes::default();
                attributes.read(items);
                let expected = expected(number);
                let difference = self.compare_one(number, size, attributes, expected)?;
                comparison.count(size, difference);
                seen(size);
            } else if !line.starts_with(b"* ") {
                return Err(ClientError::unexpected("an answer to FETCH", line));
            }
        }
    }

    /// Reads the literal of `size` octets and the rest of its answer. Returns the difference, if
    /// any.
    fn compare_one(
        &mut self,
        number: u32,
        size: u64,
        mut attributes: Attributes,
        expected: Option<Expected<'_>>,
    ) -> Result<Option<String>, ClientError> {
        let octets = expected.map_or(&[][..], |e| &e.mail.octets[..]);
        let (mut at, mut differs_at) = (0, None);
        self.input.literal(size, |piece| {
            let same = octets.get(at..at + piece.len()) == Some(piece);
            if !same && differs_at.is_none() {
                let rest = octets.get(at..).unwrap_or_default();
                let equal =
                    piece.iter().zip(rest).take_while(|(got, sent)| stands_for(**got, **sent));
                let equal = equal.count();
                differs_at = (equal < piece.len()).then_some(at + equal);
            }
            at += piece.len();
        })?;
        let rest = self.input.line()?;
        if answer::literal_size(rest).is_some() || !rest.ends_with(b")") {
            return Err(ClientError::unexpected("the end of a FETCH answer", rest));
        }
        attributes.read(rest);
        let Some(expected) = expected else {
            return Ok(Some(format!("message {number} was never sent")));
        };
        Ok(difference(number, size, differs_at, attributes, expected))
    }
}

/// The size of the literal that `BODY[]` announces at the end of `items`. `None` when the answer is
/// about something else, such as changed flags.
fn body_size(items: &[u8]) -> Result<Option<u64>, ClientError> {
    if memchr::memmem::find(items, b"BODY[]").is_none() {
        return Ok(None);
    }
    let size = answer::literal_size(items);
    size.map(Some).ok_or_else(|| ClientError::unexpected("a literal after BODY[]", items))
}

/// Whether an octet of `BODY[]` stands for the one that was sent. A literal cannot hold NUL
/// (`CHAR8`, RFC 3501 section 9), so servers send 0x80 in its place.
fn stands_for(got: u8, sent: u8) -> bool {
    got == sent || (sent == 0 && got == 0x80)
}

fn difference(
    number: u32,
    size: u64,
    differs_at: Option<usize>,
    got: Attributes,
    expected: Expected<'_>,
) -> Option<String> {
    let mail = expected.mail;
    let sent = mail.octets.len() as u64;
    if let Some(at) = differs_at.filter(|&at| (at as u64) < sent.min(size)) {
        return Some(format!("message {number}, {sent} octets, differs from octet {at} on"));
    }
    if size != sent {
        return Some(format!("message {number} has {size} octets, sent were {sent}"));
    }
    if expected.uid.is_some() && got.uid != expected.uid {
        let (sent, got) = (expected.uid, got.uid);
        return Some(format!("message {number} has UID {got:?}, APPENDUID said {sent:?}"));
    }
    if got.flags != Some(mail.flags) {
        let names = |flags: imap::types::Flags| flags.names().collect::<Vec<_>>().join(" ");
        let (sent, got) = (names(mail.flags), got.flags.map(names));
        return Some(format!("message {number} has the flags {got:?}, sent were {sent:?}"));
    }
    let instant = |date: imap::types::InternalDate| date.to_unix();
    if mail.date.is_some() && got.date.map(instant) != mail.date.map(instant) {
        let (sent, got) = (mail.date.map(|d| d.to_string()), got.date.map(|d| d.to_string()));
        return Some(format!("message {number} has the date {got:?}, sent was {sent:?}"));
    }
    None
}
