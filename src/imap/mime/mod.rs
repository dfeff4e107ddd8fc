//! Messages: octets in, values out, no I/O.
//!
//! ```text
//!                             ┌▶ sort_keys   SORT
//!           header ──▶ facts ─┴▶ thread      THREAD
//!             │      └─────────────────────────┐
//!  octets ──▶ parts ──┬▶ structure  FETCH      ▼
//!             ▲       ├────────────────────▶ text   SEARCH, PREVIEW
//!           transfer  └▶ stream: the same of messages that are larger than memory
//! ```
//!
//! `header` reads the fields of any header. `parts` is the one walk over a message that finds its
//! parts: FETCH takes it to the end, SEARCH and PREVIEW only as far as needed. `facts` are what
//! SORT and THREAD keep of a header. `transfer` decodes base64 and quoted-printable.
//!
//! Broken messages are read as far as possible. No message causes an error or deep recursion, or
//! takes more than a small multiple of its size.

mod header;
mod transfer;
mod parts;
mod message;
mod structure;
mod text;
mod stream;
pub mod facts;
mod sort_keys;
pub mod thread;
#[cfg(test)]
mod tests;

pub use header::dates::{SentDate, parse_date, sent_date};
pub use header::fields::{Field, Fields, header_length};
pub use header::short::{in_short_header, short_header};
pub use header::subject::{BaseSubject, base_subject};
pub use header::words::decode_field;
pub use message::{Message, TooLong};
pub use sort_keys::Sorter;
pub use stream::{Outline, Outliner, TextSearch};
pub use structure::{BinaryError, envelope};
pub use text::{BadCharset, CHARSETS, FieldText, Needle, casemap, field_text, preview};
pub use transfer::{Decoder, Transfer};
