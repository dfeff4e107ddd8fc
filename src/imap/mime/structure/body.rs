//! BODY and BODYSTRUCTURE (RFC 3501 section 7.4.2).

use std::fmt::Write;

use bytes::BytesMut;

use super::envelope;
use crate::limits::MIME_ANSWER;
use crate::mime::header::content::{Content, languages, transfer_encoding};
use crate::mime::header::fields::{Field, Fields, unfolded, without_nul};
use crate::mime::message::{Message, TooLong};
use crate::mime::parts::{Kind, Part};
use crate::protocol::response::{nstring, string};

/// Replaces the parts of a multipart without any: the grammar requires one.
const NO_PART: &str = "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0";

/// Replaces the envelope of a message that cannot be read in place.
const NO_ENVELOPE: &str = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)";

/// The fields of a part; the first of each name counts.
#[derive(Default)]
struct Data<'a> {
    content: Option<Content>,
    disposition: Option<Content>,
    languages: Vec<Vec<u8>>,
    encoding: Option<Vec<u8>>,
    id: Option<&'a [u8]>,
    description: Option<&'a [u8]>,
    md5: Option<&'a [u8]>,
    location: Option<&'a [u8]>,
}

impl<'a> Data<'a> {
    fn read(header: &'a [u8]) -> Data<'a> {
        let mut data = Data::default();
        let prefix = |field: &Field| {
            field.name.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"Content-"))
        };
        for field in Fields::of_initials(header, |initial| initial == b'c').filter(prefix) {
            let line = match field.name.len() {
                10 if field.is(b"Content-ID") => &mut data.id,
                11 if field.is(b"Content-MD5") => &mut data.md5,
                12 if field.is(b"Content-Type") => {
                    data.content = data.content.or_else(|| Content::parse_type(&field));
                    continue;
                }
                16 if field.is(b"Content-Language") => {
                    if data.languages.is_empty() {
                        data.languages = languages(&field);
                    }
                    continue;
                }
                16 if field.is(b"Content-Location") => &mut data.location,
                19 if field.is(b"Content-Description") => &mut data.description,
                19 if field.is(b"Content-Disposition") => {
                    if data.disposition.as_ref().is_none_or(|d| d.parameters.is_empty()) {
                        data.disposition = Content::parse_disposition(&field).or(data.disposition);
                    }
                    continue;
                }
                25 if field.is(b"Content-Transfer-Encoding") => {
                    data.encoding = data.encoding.or_else(|| transfer_encoding(&field));
                    continue;
                }
                _ => continue,
            };
            line.get_or_insert(field.value);
        }
        data
    }
}

impl Message<'_> {
    /// Writes the value of BODYSTRUCTURE if `extended`, otherwise of BODY. Iterates over the parts
    /// in order, with a stack of open ones.
    ///
    /// ```abnf
    /// body = "(" (body-type-1part / body-type-mpart) ")"
    /// ```
    ///
    /// # Errors
    /// If it would be longer than [`MIME_ANSWER`].
    pub fn body_structure(&self, extended: bool, out: &mut BytesMut) -> Result<(), TooLong> {
        let (mut open, start): (Vec<(usize, Data)>, _) = (Vec::new(), out.len());
        for (number, part) in self.parts.iter().enumerate() {
            while open.last().is_some_and(|(around, _)| self.parts[*around].end <= number) {
                finish(self, &mut open, extended, out);
            }
            if out.len() - start > MIME_ANSWER {
                return Err(TooLong);
            }
            let header = self.header(part);
            let data = if part.mime { Data::read(header) } else { Data::default() };
            out.extend_from_slice(b"(");
            match part.kind {
                Kind::Multipart if part.end == number + 1 => {
                    no_part(extended, out);
                }
                Kind::Multipart => {}
                _ => one_part(part, &data, out),
            }
            match part.kind {
                Kind::Message => {
                    let within = self.parts.get(number + 1).map(|within| self.header(within));
                    out.extend_from_slice(b" ");
                    envelope(within.unwrap_or_default(), out)?;
                    out.extend_from_slice(b" ");
                }
                Kind::Wrapped => {
                    out.extend_from_slice(b" ");
                    out.extend_from_slice(NO_ENVELOPE.as_bytes());
                    out.extend_from_slice(b" ");
                    no_part(extended, out);
                }
                _ => {}
            }
            open.push((number, data));
        }
        while !open.is_empty() {
            finish(self, &mut open, extended, out);
        }
        Ok(())
    }
}

fn no_part(extended: bool, out: &mut BytesMut) {
    out.extend_from_slice(NO_PART.as_bytes());
    out.extend_from_slice(if extended { b" NIL NIL NIL NIL)" } else { b")" });
}

/// Writes what follows the inner parts of the innermost open part.
///
/// ```abnf
/// body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]
/// body-ext-mpart  = body-fld-param [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc]]]
/// body-ext-1part  = body-fld-md5 [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc]]]
/// ```
fn finish(message: &Message, open: &mut Vec<(usize, Data)>, extended: bool, out: &mut BytesMut) {
    let Some((number, data)) = open.pop() else { return };
    let part = &message.parts[number];
    if part.kind == Kind::Multipart {
        out.extend_from_slice(b" ");
        text(out, data.content.as_ref().map_or(b"mixed", |content| &content.subtype));
        if extended {
            out.extend_from_slice(b" ");
            parameters(out, data.content.as_ref(), false);
        }
    } else {
        if matches!(part.kind, Kind::Message | Kind::Wrapped) {
            put(out, format_args!(" {}", part.lines));
        }
        if extended {
            out.extend_from_slice(b" ");
            line(out, data.md5);
        }
    }
    if extended {
        extension(&data, out);
    }
    out.extend_from_slice(b")");
}

/// ```abnf
/// body-type-1part = (body-type-basic / body-type-msg / body-type-text) [SP body-ext-1part]
/// body-type-basic = media-basic SP body-fields
/// body-type-msg   = media-message SP body-fields SP envelope SP body SP body-fld-lines
/// body-type-text  = media-text SP body-fields SP body-fld-lines
/// body-fields     = body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc SP
///                   body-fld-octets
/// ```
fn one_part(part: &Part, data: &Data, out: &mut BytesMut) {
    let is_text = |content: &Content| content.kind.eq_ignore_ascii_case(b"text");
    let mut is_text = data.content.as_ref().is_none_or(is_text);
    match (part.kind, &data.content) {
        (Kind::Message, Some(content)) if content.is("message", "global") => {
            out.extend_from_slice(b"\"message\" \"global\"");
        }
        (Kind::Message | Kind::Wrapped, _) => out.extend_from_slice(b"\"message\" \"rfc822\""),
        (Kind::Limited, _) => out.extend_from_slice(b"\"application\" \"octet-stream\""),
        (_, None) => out.extend_from_slice(b"\"text\" \"plain\""),
        (_, Some(content)) => {
            text(out, &content.kind);
            out.extend_from_slice(b" ");
            text(out, &content.subtype);
        }
    }
    is_text &= part.kind == Kind::Leaf;
    out.extend_from_slice(b" ");
    parameters(out, data.content.as_ref(), is_text);
    out.extend_from_slice(b" ");
    line(out, data.id);
    out.extend_from_slice(b" ");
    line(out, data.description);
    out.extend_from_slice(b" ");
    text(out, data.encoding.as_deref().unwrap_or(b"7bit"));
    put(out, format_args!(" {}", part.body.end - part.body.start));
    if is_text {
        put(out, format_args!(" {}", part.lines));
    }
}

/// ```abnf
/// body-fld-dsp  = "(" string SP body-fld-param ")" / nil
/// body-fld-lang = nstring / "(" string *(SP string) ")"
/// body-fld-loc  = nstring
/// ```
fn extension(data: &Data, out: &mut BytesMut) {
    match &data.disposition {
        Some(disposition) => {
            out.extend_from_slice(b" (");
            text(out, &disposition.kind);
            out.extend_from_slice(b" ");
            parameters(out, Some(disposition), false);
            out.extend_from_slice(b") ");
        }
        None => out.extend_from_slice(b" NIL "),
    }
    for (n, language) in data.languages.iter().enumerate() {
        out.extend_from_slice(if n == 0 { b"(" } else { b" " });
        text(out, language);
    }
    out.extend_from_slice(if data.languages.is_empty() { b"NIL " } else { b") " });
    line(out, data.location);
}

/// A text without charset is US-ASCII (RFC 2046 section 4.1.2).
///
/// ```abnf
/// body-fld-param = "(" string SP string *(SP string SP string) ")" / nil
/// ```
fn parameters(out: &mut BytesMut, content: Option<&Content>, is_text: bool) {
    let list = content.map(|content| content.parameters.as_slice()).unwrap_or_default();
    let charset = content.is_some_and(|content| content.parameter("charset").is_some());
    let default = (is_text && !charset).then_some((&b"charset"[..], &b"us-ascii"[..]));
    let list = list.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    let mut empty = true;
    for (name, value) in list.chain(default) {
        out.extend_from_slice(if empty { b"(" } else { b" " });
        text(out, name);
        out.extend_from_slice(b" ");
        text(out, value);
        empty = false;
    }
    out.extend_from_slice(if empty { b"NIL" } else { b")" });
}

fn text(out: &mut BytesMut, octets: &[u8]) {
    string(out, &without_nul(octets));
}

fn line(out: &mut BytesMut, value: Option<&[u8]>) {
    nstring(out, value.map(unfolded).as_deref());
}

fn put(out: &mut BytesMut, text: std::fmt::Arguments) {
    out.write_fmt(text).expect("a BytesMut grows as needed, and numbers always format");
}
