//! Responses to FETCH.

use bytes::BytesMut;

use crate::protocol::{BinarySection, BodySection, Partial, Section, SectionText};
use crate::types::{Flags, InternalDate, ModSeq, Uid};

use super::{astring, decimal, flag_list, nstring, put};

/// The response for one message, written item by item to the end of the given buffer. After an item
/// that announces octets, the caller sends them behind the buffered text; the next item may go to
/// another buffer.
///
/// ```abnf
/// message-data = nz-number SP ("EXPUNGE" / ("FETCH" SP msg-att))
/// msg-att      = "(" (msg-att-dynamic / msg-att-static)
///                *(SP (msg-att-dynamic / msg-att-static)) ")"
/// ```
#[derive(Debug)]
#[must_use = "a response that was begun must be ended"]
pub struct FetchResponse {
    /// Whether an item was written yet.
    started: bool,
}

impl FetchResponse {
    /// Begins the response for the message with this number.
    pub fn begin(out: &mut BytesMut, number: u32) -> FetchResponse {
        out.extend_from_slice(b"* ");
        decimal(out, number.into());
        out.extend_from_slice(b" FETCH (");
        FetchResponse { started: false }
    }

    /// `UID 5`
    pub fn uid(&mut self, out: &mut BytesMut, uid: Uid) {
        self.item(out, "UID ");
        decimal(out, uid.0.into());
    }

    /// `FLAGS (\Seen Work)`
    pub fn flags<'a>(
        &mut self,
        out: &mut BytesMut,
        flags: Flags,
        keywords: impl IntoIterator<Item = &'a str>,
        recent: bool,
    ) {
        self.item(out, "FLAGS ");
        message_flags(out, flags, keywords, recent);
    }

    /// `INTERNALDATE " 7-Feb-1994 22:43:04 -0800"`
    pub fn internal_date(&mut self, out: &mut BytesMut, date: InternalDate) {
        self.item(out, "INTERNALDATE ");
        quoted_date(out, date);
    }

    /// `RFC822.SIZE 44`
    pub fn size(&mut self, out: &mut BytesMut, octets: u64) {
        self.item(out, "RFC822.SIZE ");
        decimal(out, octets);
    }

    /// `MODSEQ (624)` (RFC 7162)
    pub fn modseq(&mut self, out: &mut BytesMut, modseq: ModSeq) {
        self.item(out, "MODSEQ (");
        decimal(out, modseq.0);
        out.extend_from_slice(b")");
    }

    /// `EMAILID (M6d99ac3275bb4e)` (RFC 8474): letters, digits, `-` and `_`
    pub fn email_id(&mut self, out: &mut BytesMut, id: &str) {
        self.object_id(out, "EMAILID (", id);
    }

    /// `THREADID (T64b478a75b7ea9)` (RFC 8474). `None` is NIL: it belongs to no thread.
    pub fn thread_id(&mut self, out: &mut BytesMut, id: Option<&str>) {
        match id {
            Some(id) => self.object_id(out, "THREADID (", id),
            None => self.item(out, "THREADID NIL"),
        }
    }

    fn object_id(&mut self, out: &mut BytesMut, name: &str, id: &str) {
        self.item(out, name);
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(b")");
    }

    /// `SAVEDATE " 7-Feb-1994 22:43:04 -0800"` (RFC 8514). `None` is NIL: unknown.
    pub fn save_date(&mut self, out: &mut BytesMut, date: Option<InternalDate>) {
        self.item(out, "SAVEDATE ");
        match date {
            Some(date) => quoted_date(out, date),
            None => out.extend_from_slice(b"NIL"),
        }
    }

    /// `PREVIEW "…"` (RFC 8970). `None` is NIL: the client asked lazily, and the preview is not
    /// cheap.
    pub fn preview(&mut self, out: &mut BytesMut, text: Option<&str>) {
        self.item(out, "PREVIEW ");
        nstring(out, text.map(str::as_bytes));
    }

    /// `ENVELOPE`, `BODY` and `BODYSTRUCTURE`: a name and a finished value.
    pub fn written(&mut self, out: &mut BytesMut, name: &str, value: &[u8]) {
        self.item(out, name);
        out.extend_from_slice(b" ");
        out.extend_from_slice(value);
    }

    /// `RFC822 {44}` and similar: `octets` octets follow.
    pub fn rfc822(&mut self, out: &mut BytesMut, name: &str, octets: u64) {
        self.item(out, name);
        literal(out, octets);
    }

    /// `BODY[TEXT]<0> {44}`: `octets` octets follow. `None` is NIL: there is no such part.
    pub fn section(&mut self, out: &mut BytesMut, asked: &BodySection, octets: Option<u64>) {
        self.item(out, "BODY[");
        section(out, &asked.section);
        out.extend_from_slice(b"]");
        origin(out, asked.partial);
        match octets {
            Some(octets) => literal(out, octets),
            None => out.extend_from_slice(b" NIL"),
        }
    }

    /// `BINARY[1]<0> ~{44}`: `octets` octets follow (RFC 3516). `None` is NIL.
    pub fn binary(&mut self, out: &mut BytesMut, asked: &BinarySection, octets: Option<u64>) {
        self.item(out, "BINARY[");
        part(out, &asked.part);
        out.extend_from_slice(b"]");
        origin(out, asked.partial);
        match octets {
            Some(octets) => put(out, format_args!(" ~{{{octets}}}\r\n")),
            None => out.extend_from_slice(b" NIL"),
        }
    }

    /// `BINARY.SIZE[1] 44` (RFC 3516)
    pub fn binary_size(&mut self, out: &mut BytesMut, of: &[u32], octets: u64) {
        self.item(out, "BINARY.SIZE[");
        part(out, of);
        put(out, format_args!("] {octets}"));
    }

    /// Ends the response.
    pub fn end(self, out: &mut BytesMut) {
        out.extend_from_slice(b")\r\n");
    }

    fn item(&mut self, out: &mut BytesMut, name: &str) {
        out.extend_from_slice(if self.started { b" " } else { b"" });
        out.extend_from_slice(name.as_bytes());
        self.started = true;
    }
}

/// The value of FLAGS, for [`FetchResponse::written`]. Computed once for all messages with equal
/// flags.
pub fn message_flags<'a>(
    out: &mut BytesMut,
    flags: Flags,
    keywords: impl IntoIterator<Item = &'a str>,
    recent: bool,
) {
    flag_list(out, flags, keywords, if recent { &["\\Recent"] } else { &[] });
}

fn literal(out: &mut BytesMut, octets: u64) {
    out.extend_from_slice(b" {");
    decimal(out, octets);
    out.extend_from_slice(b"}\r\n");
}

fn quoted_date(out: &mut BytesMut, date: InternalDate) {
    out.extend_from_slice(b"\"");
    out.extend_from_slice(&date.to_text());
    out.extend_from_slice(b"\"");
}

/// ```abnf
/// section-spec = section-msgtext / (section-part ["." section-text])
/// ```
fn section(out: &mut BytesMut, section: &Section) {
    part(out, &section.part);
    if section.text.is_some() && !section.part.is_empty() {
        out.extend_from_slice(b".");
    }
    match &section.text {
        None => {}
        Some(SectionText::Header) => out.extend_from_slice(b"HEADER"),
        Some(SectionText::Text) => out.extend_from_slice(b"TEXT"),
        Some(SectionText::Mime) => out.extend_from_slice(b"MIME"),
        Some(SectionText::HeaderFields { not, names }) => {
            put(out, format_args!("HEADER.FIELDS{} (", if *not { ".NOT" } else { "" }));
            for (n, name) in names.iter().enumerate() {
                out.extend_from_slice(if n == 0 { b"" } else { b" " });
                astring(out, name);
            }
            out.extend_from_slice(b")");
        }
    }
}

/// ```abnf
/// section-part = nz-number *("." nz-number)
/// ```
fn part(out: &mut BytesMut, numbers: &[u32]) {
    for (n, number) in numbers.iter().enumerate() {
        put(out, format_args!("{}{number}", if n == 0 { "" } else { "." }));
    }
}

/// The response names the first octet of a partial, not its length (RFC 3501 section 7.4.2).
fn origin(out: &mut BytesMut, partial: Option<Partial>) {
    if let Some(partial) = partial {
        put(out, format_args!("<{}>", partial.offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Command, FetchItem, parse};

    #[test]
    fn a_message_item_by_item() {
        let mut out = BytesMut::new();
        let mut answer = FetchResponse::begin(&mut out, 12);
        answer.uid(&mut out, Uid(5));
        answer.flags(&mut out, Flags::SEEN, ["Work"], true);
        answer.internal_date(&mut out, InternalDate::from_unix(0));
        answer.size(&mut out, 44);
        answer.modseq(&mut out, ModSeq(624));
        answer.email_id(&mut out, "M6d");
        answer.thread_id(&mut out, Some("T64"));
        answer.thread_id(&mut out, None);
        answer.save_date(&mut out, Some(InternalDate::from_unix(0)));
        answer.save_date(&mut out, None);
        answer.preview(&mut out, Some("a \"b\""));
        answer.preview(&mut out, None);
        answer.rfc822(&mut out, "RFC822", 3);
        out.extend_from_slice(b"a\nb");
        answer.binary_size(&mut out, &[1, 2], 9);
        answer.end(&mut out);
        assert_eq!(
            out,
            "* 12 FETCH (UID 5 FLAGS (\\Seen Work \\Recent) \
             INTERNALDATE \" 1-Jan-1970 00:00:00 +0000\" RFC822.SIZE 44 MODSEQ (624) \
             EMAILID (M6d) THREADID (T64) THREADID NIL \
             SAVEDATE \" 1-Jan-1970 00:00:00 +0000\" SAVEDATE NIL \
             PREVIEW \"a \\\"b\\\"\" PREVIEW NIL \
             RFC822 {3}\r\na\nb BINARY.SIZE[1.2] 9)\r\n"
        );
    }

    #[test]
    fn sections_are_answered_as_they_were_asked() {
        for (asked, answered) in [
            ("BODY[]", "BODY[] {7}\r\n"),
            ("body.peek[header]", "BODY[HEADER] {7}\r\n"),
            ("BODY.PEEK[1.2.MIME]<5.100>", "BODY[1.2.MIME]<5> {7}\r\n"),
            ("BODY[3]", "BODY[3] {7}\r\n"),
            (
                "BODY[2.HEADER.FIELDS.NOT (\"Subject\" \"a b\")]",
                "BODY[2.HEADER.FIELDS.NOT (Subject \"a b\")] {7}\r\n",
            ),
            ("BINARY.PEEK[1]<0.9>", "BINARY[1]<0> ~{7}\r\n"),
        ] {
            let mut out = BytesMut::new();
            let mut answer = FetchResponse { started: false };
            let command = parse(format!("a FETCH 1 {asked}").as_bytes(), false).unwrap().command;
            let Command::Fetch(fetch) = command else { panic!("{asked}") };
            match &fetch.items[0] {
                FetchItem::Section(section) => answer.section(&mut out, section, Some(7)),
                FetchItem::Binary(binary) => answer.binary(&mut out, binary, Some(7)),
                other => panic!("{other:?}"),
            }
            assert_eq!(out, answered);
        }
    }
}
