//! What records are made of: the sizes of their parts, and the fields whose length varies, to
//! octets and back. Octet by octet: [`crate::manual::format`].

use std::fmt;

use super::octets::{Put, Take};
use imap::types::Keyword;

/// Bytes before the body of every record: length, kind, version, checksum.
pub(super) const HEAD: usize = 16;
/// Bytes of a message in a `Messages` record, without its fragments.
pub(super) const MESSAGE: usize = 40;
/// Bytes of a message in a `References` record, without its fragments: its EMAILID is added.
pub(super) const REFERENCE: usize = MESSAGE + 8;
/// Bytes of a fragment.
pub(super) const FRAGMENT: usize = 16;
/// Bytes of an entry of metadata without its name and value.
pub(super) const ENTRY: usize = 6;
/// The length of a value that says that there is none.
pub(super) const NO_VALUE: u32 = u32::MAX;
/// Bytes of a range of UIDs.
pub(super) const RANGE: usize = 8;
/// Bytes of a `Messages`, `References` or `Fragments` body before its table or first entry.
pub(super) const BATCH: usize = 16;

/// Why octets are not a valid record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The region ends within the record.
    Short,
    /// The octets changed since they were written, or were written in part only.
    Checksum {
        /// In the head of the record.
        expected: u64,
        /// Computed from its octets.
        got: u64,
    },
    /// A kind or version of record that this version of mailrace does not know.
    Unknown {
        /// The kind in the head of the record.
        kind: u16,
        /// The version in the head of the record.
        version: u16,
    },
    /// The checksum is right, but this field is not: a bug in the program that wrote it.
    Field(&'static str),
    /// The region does not hold as many records as the frame says.
    Count {
        /// In the frame's header.
        expected: u32,
        /// Found in the region.
        got: u32,
    },
}

/// Writes a name, behind its length.
pub(super) fn put_text(put: &mut Put<'_>, text: &str) {
    put.u16(short(text.len()));
    put.octets(text.as_bytes());
}

/// Bytes of a name and its length.
pub(super) fn text_len(text: &str) -> usize {
    2 + text.len()
}

/// Bytes of a keyword and its length.
pub(super) fn keyword_len(keyword: &Keyword) -> usize {
    1 + keyword.as_str().len()
}

/// A count of entries as a record has it.
pub(super) fn count(length: usize) -> u32 {
    u32::try_from(length).expect("a frame holds fewer entries than that")
}

/// A length of names or lists as a record has it.
pub(super) fn short(length: usize) -> u16 {
    u16::try_from(length).expect("names and keyword lists are bounded far below that")
}

/// Reads what [`put_text`] wrote.
pub(super) fn text(body: &mut Take<'_>) -> Result<Box<str>, RecordError> {
    let length = need(body.u16())?;
    let octets = need(body.octets(usize::from(length)))?;
    let text = std::str::from_utf8(octets).map_err(|_| RecordError::Field("name"))?;
    Ok(text.into())
}

/// Checks that `count` entries of at least `each` octets can be left, before memory is allocated
/// for them.
pub(super) fn bounded(body: &Take<'_>, count: usize, each: usize) -> Result<(), RecordError> {
    if count > body.left() / each { Err(RecordError::Field("count")) } else { Ok(()) }
}

/// Reserved octets are zero.
pub(super) fn zero(reserved: Option<u64>) -> Result<(), RecordError> {
    if need(reserved)? == 0 { Ok(()) } else { Err(RecordError::Field("reserved")) }
}

/// A value that the record must have.
pub(super) fn need<T>(value: Option<T>) -> Result<T, RecordError> {
    value.ok_or(RecordError::Field("length"))
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::Short => f.write_str("a record runs over the end of its frame"),
            RecordError::Checksum { expected, got } => {
                write!(f, "record checksum {got:016x}, written was {expected:016x}")
            }
            RecordError::Unknown { kind, version } => {
                write!(f, "record of kind {kind}, version {version}: unknown")
            }
            RecordError::Field(name) => write!(f, "field \"{name}\" of a record makes no sense"),
            RecordError::Count { expected, got } => {
                write!(f, "{got} records in a frame that should have {expected}")
            }
        }
    }
}

impl std::error::Error for RecordError {}
