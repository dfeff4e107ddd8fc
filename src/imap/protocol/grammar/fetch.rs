//! FETCH (RFC 3501 section 6.4.5), with BINARY (RFC 3516), MODSEQ (RFC 7162), OBJECTID (RFC 8474),
//! SAVEDATE (RFC 8514), PREVIEW (RFC 8970) and PARTIAL (RFC 9394).

use std::ops::Range;

use super::parameters::parameter_name;
use super::search::partial_range;
use super::{Cursor, Parsed, PartialRange};
use crate::protocol::SequenceSet;
use crate::types::ModSeq;

/// The arguments of FETCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Whether the set holds UIDs.
    pub uid: bool,
    /// The messages.
    pub set: SequenceSet,
    /// The requested items, with ALL, FAST and FULL expanded.
    pub items: Vec<FetchItem>,
    /// `CHANGEDSINCE`: only messages whose mod-sequence is above this (RFC 7162).
    pub changed_since: Option<ModSeq>,
    /// `VANISHED`: also report messages expunged since then (RFC 7162). Only with UIDs and
    /// `CHANGEDSINCE`. The session checks whether QRESYNC is enabled.
    pub vanished: bool,
    /// `PARTIAL`: only this part of the messages (RFC 9394). Only with UIDs.
    pub partial: Option<PartialRange>,
}

/// One requested item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FetchItem {
    /// `UID`
    Uid,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Size,
    /// `MODSEQ`
    ModSeq,
    /// `EMAILID`: the message's identifier (RFC 8474)
    EmailId,
    /// `THREADID`: the thread's identifier (RFC 8474)
    ThreadId,
    /// `SAVEDATE`: when it entered the mailbox (RFC 8514)
    SaveDate,
    /// `PREVIEW`: the beginning of the text (RFC 8970)
    Preview {
        /// `LAZY`: only if the server can answer cheaply.
        lazy: bool,
    },
    /// `ENVELOPE`
    Envelope,
    /// `BODY`: the structure without extension data.
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `RFC822`: `BODY[]` under another name.
    Rfc822,
    /// `RFC822.HEADER`: `BODY.PEEK[HEADER]` under another name.
    Rfc822Header,
    /// `RFC822.TEXT`: `BODY[TEXT]` under another name.
    Rfc822Text,
    /// `BODY[section]<partial>`
    Section(BodySection),
    /// `BINARY[part]<partial>`
    Binary(BinarySection),
    /// `BINARY.SIZE[part]`
    BinarySize(Vec<u32>),
}

impl FetchItem {
    /// Whether fetching it sets `\Seen`.
    #[must_use]
    pub fn sets_seen(&self) -> bool {
        match self {
            FetchItem::Rfc822 | FetchItem::Rfc822Text => true,
            FetchItem::Section(section) => !section.peek,
            FetchItem::Binary(binary) => !binary.peek,
            _ => false,
        }
    }
}

/// Octets of a message, or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BodySection {
    /// `BODY.PEEK`: leaves `\Seen` alone.
    pub peek: bool,
    /// The section.
    pub section: Section,
    /// The octets of it; `None` means all.
    pub partial: Option<Partial>,
}

/// Octets of a part after its transfer encoding is removed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BinarySection {
    /// `BINARY.PEEK`: leaves `\Seen` alone.
    pub peek: bool,
    /// Part numbers; empty means the whole message.
    pub part: Vec<u32>,
    /// The octets of it; `None` means all.
    pub partial: Option<Partial>,
}

/// The text between `[` and `]`, in requests and replies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Section {
    /// Part numbers, outermost first; empty means the message itself.
    pub part: Vec<u32>,
    /// Which piece of the part; `None` means all of it.
    pub text: Option<SectionText>,
}

/// A piece of a part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SectionText {
    /// `HEADER`, including the empty line.
    Header,
    /// `HEADER.FIELDS`, or `HEADER.FIELDS.NOT` if `not` is set.
    HeaderFields {
        /// Whether the named fields are excluded.
        not: bool,
        /// Field names, as written.
        names: Vec<Vec<u8>>,
    },
    /// `TEXT`: everything after the header.
    Text,
    /// `MIME`: the MIME header of the part.
    Mime,
}

/// `<offset.length>`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Partial {
    /// First octet, from 0.
    pub offset: u64,
    /// Maximum number of octets; not 0.
    pub length: u64,
}

impl Partial {
    /// The octets it names of `size` octets. Empty if it begins beyond the end.
    #[must_use]
    pub fn of(self, size: u64) -> Range<u64> {
        let start = self.offset.min(size);
        start..self.offset.saturating_add(self.length).min(size).max(start)
    }
}

/// ```abnf
/// fetch           = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att /
///                   "(" fetch-att *(SP fetch-att) ")") [fetch-modifiers]        ; RFC 4466
/// fetch-modifiers = SP "(" fetch-modifier *(SP fetch-modifier) ")"
/// ```
pub fn fetch(cursor: &mut Cursor, uid: bool) -> Parsed<Fetch> {
    cursor.sp()?;
    let set = cursor.sequence_set()?;
    cursor.sp()?;
    let items = match cursor.peek() {
        Some(b'(') => cursor.list("fetch items", false, fetch_att)?,
        _ => match fetch_macro(cursor) {
            Some(items) => items,
            None => vec![fetch_att(cursor)?],
        },
    };
    let mut fetch = Fetch { uid, set, items, changed_since: None, vanished: false, partial: None };
    cursor.spaces();
    if cursor.peek() == Some(b'(') {
        modifiers(cursor, &mut fetch)?;
    }
    Ok(fetch)
}

/// ```abnf
/// fetch-modifier =/ "CHANGEDSINCE" SP mod-sequence-value / "VANISHED"           ; RFC 7162
/// fetch-modifier =/ "PARTIAL" SP partial-range                                  ; RFC 9394
/// ```
fn modifiers(cursor: &mut Cursor, fetch: &mut Fetch) -> Parsed<()> {
    let start = cursor.clone();
    cursor.list("a list of modifiers", true, |c| {
        let start = c.clone();
        match &*parameter_name(c)? {
            "CHANGEDSINCE" => {
                c.sp()?;
                fetch.changed_since = Some(ModSeq(c.number("a mod-sequence")?));
            }
            "VANISHED" if fetch.uid => fetch.vanished = true,
            "PARTIAL" if fetch.uid => {
                c.sp()?;
                fetch.partial = Some(partial_range(c)?);
            }
            "VANISHED" | "PARTIAL" => return start.expected("UID before FETCH for this modifier"),
            _ => return start.expected("CHANGEDSINCE, VANISHED or PARTIAL"),
        }
        Ok(())
    })?;
    if fetch.vanished && fetch.changed_since.is_none() {
        return start.expected("CHANGEDSINCE beside VANISHED");
    }
    Ok(())
}

/// The expansion of a macro (RFC 3501 section 6.4.5).
fn fetch_macro(cursor: &mut Cursor) -> Option<Vec<FetchItem>> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Size};
    const MACROS: [(&str, &[FetchItem]); 3] = [
        ("FAST", &[Flags, InternalDate, Size]),
        ("ALL", &[Flags, InternalDate, Size, Envelope]),
        ("FULL", &[Flags, InternalDate, Size, Envelope, Body]),
    ];
    let mut macros = MACROS.into_iter();
    macros.find(|(name, _)| cursor.accept_word(name)).map(|(_, items)| items.to_vec())
}

/// ```abnf
/// fetch-att  = "ENVELOPE" / "FLAGS" / "INTERNALDATE" / "RFC822" [".HEADER" / ".SIZE" / ".TEXT"] /
///              "BODY" ["STRUCTURE"] / "UID" /
///              "BODY" section ["<" number "." nz-number ">"] /
///              "BODY.PEEK" section ["<" number "." nz-number ">"]
/// fetch-att =/ "BINARY" [".PEEK"] section-binary [partial] /                    ; RFC 3516
///              "BINARY.SIZE" section-binary
/// fetch-att =/ "MODSEQ"                                                         ; RFC 7162
/// fetch-att =/ "EMAILID" / "THREADID"                                           ; RFC 8474
/// fetch-att =/ "SAVEDATE"                                                       ; RFC 8514
/// fetch-att =/ "PREVIEW" [SP "(" preview-mod *(SP preview-mod) ")"]             ; RFC 8970
/// ```
fn fetch_att(cursor: &mut Cursor) -> Parsed<FetchItem> {
    let start = cursor.clone();
    let what = "a fetch item";
    let name = cursor.run(what, |o| o.is_ascii_alphanumeric() || o == b'.')?;
    let bracket = cursor.peek() == Some(b'[');
    Ok(match (name.to_ascii_uppercase().as_slice(), bracket) {
        (b"UID", false) => FetchItem::Uid,
        (b"FLAGS", false) => FetchItem::Flags,
        (b"INTERNALDATE", false) => FetchItem::InternalDate,
        (b"RFC822.SIZE", false) => FetchItem::Size,
        (b"MODSEQ", false) => FetchItem::ModSeq,
        (b"EMAILID", false) => FetchItem::EmailId,
        (b"THREADID", false) => FetchItem::ThreadId,
        (b"SAVEDATE", false) => FetchItem::SaveDate,
        (b"PREVIEW", false) => FetchItem::Preview { lazy: preview_lazy(cursor) },
        (b"ENVELOPE", false) => FetchItem::Envelope,
        (b"BODY", false) => FetchItem::Body,
        (b"BODYSTRUCTURE", false) => FetchItem::BodyStructure,
        (b"RFC822", false) => FetchItem::Rfc822,
        (b"RFC822.HEADER", false) => FetchItem::Rfc822Header,
        (b"RFC822.TEXT", false) => FetchItem::Rfc822Text,
        (name @ (b"BODY" | b"BODY.PEEK"), true) => FetchItem::Section(BodySection {
            peek: name.ends_with(b".PEEK"),
            section: section(cursor)?,
            partial: partial(cursor)?,
        }),
        (name @ (b"BINARY" | b"BINARY.PEEK"), true) => FetchItem::Binary(BinarySection {
            peek: name.ends_with(b".PEEK"),
            part: section_binary(cursor)?,
            partial: partial(cursor)?,
        }),
        (b"BINARY.SIZE", true) => FetchItem::BinarySize(section_binary(cursor)?),
        _ => return start.expected(what),
    })
}

/// ```abnf
/// preview-mod = "LAZY"
/// ```
/// Parentheses with anything else in them are FETCH modifiers.
fn preview_lazy(cursor: &mut Cursor) -> bool {
    let mut ahead = cursor.clone();
    ahead.spaces();
    let lazy = ahead
        .list("LAZY", false, |c| if c.accept_word("LAZY") { Ok(()) } else { c.expected("LAZY") });
    if lazy.is_ok() {
        *cursor = ahead;
    }
    lazy.is_ok()
}

/// ```abnf
/// section      = "[" [section-spec] "]"
/// section-spec = section-msgtext / (section-part ["." section-text])
/// section-text = section-msgtext / "MIME"
/// ```
fn section(cursor: &mut Cursor) -> Parsed<Section> {
    cursor.require(b'[', "a section")?;
    cursor.spaces();
    let (part, more) = section_part(cursor)?;
    let text = match cursor.peek() {
        Some(b']' | b' ') if !more => None,
        _ if part.is_empty() || more => Some(section_text(cursor, !part.is_empty())?),
        _ => return cursor.expected("a closing bracket"),
    };
    cursor.spaces();
    cursor.require(b']', "a closing bracket")?;
    Ok(Section { part, text })
}

/// ```abnf
/// section-part = nz-number *("." nz-number)
/// ```
/// The second value tells whether the last number was followed by a dot, so that a section text
/// must follow.
fn section_part(cursor: &mut Cursor) -> Parsed<(Vec<u32>, bool)> {
    let mut part = Vec::new();
    while cursor.peek().is_some_and(|o| o.is_ascii_digit()) {
        let start = cursor.clone();
        let number = u32::try_from(cursor.number("a part number")?).unwrap_or(0);
        if number == 0 {
            return start.expected("a part number");
        }
        part.push(number);
        if !cursor.accept(b'.') {
            return Ok((part, false));
        }
    }
    let more = !part.is_empty();
    Ok((part, more))
}

/// ```abnf
/// section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
/// header-list     = "(" header-fld-name *(SP header-fld-name) ")"
/// header-fld-name = astring
/// ```
fn section_text(cursor: &mut Cursor, of_part: bool) -> Parsed<SectionText> {
    if cursor.accept_word("HEADER.FIELDS") {
        let not = cursor.accept_word(".NOT");
        cursor.spaces();
        let names = cursor
            .list("a list of header fields", false, |c| c.astring("the name of a header field"))?;
        Ok(SectionText::HeaderFields { not, names })
    } else if cursor.accept_word("HEADER") {
        Ok(SectionText::Header)
    } else if cursor.accept_word("TEXT") {
        Ok(SectionText::Text)
    } else if of_part && cursor.accept_word("MIME") {
        Ok(SectionText::Mime)
    } else {
        cursor.expected("a section")
    }
}

/// ```abnf
/// section-binary = "[" [section-part] "]"
/// ```
fn section_binary(cursor: &mut Cursor) -> Parsed<Vec<u32>> {
    cursor.require(b'[', "a section")?;
    let (part, more) = section_part(cursor)?;
    if more {
        return cursor.expected("a part number");
    }
    cursor.require(b']', "a closing bracket")?;
    Ok(part)
}

/// ```abnf
/// partial = "<" number "." nz-number ">"
/// ```
fn partial(cursor: &mut Cursor) -> Parsed<Option<Partial>> {
    if !cursor.accept(b'<') {
        return Ok(None);
    }
    let offset = cursor.number("the offset of a partial")?;
    cursor.require(b'.', "a dot")?;
    let start = cursor.clone();
    let length = cursor.number("the length of a partial")?;
    if length == 0 {
        return start.expected("a length over 0");
    }
    cursor.require(b'>', "a closing angle bracket")?;
    Ok(Some(Partial { offset, length }))
}
