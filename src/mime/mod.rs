//! What stands in a message: octets in, values out, no I/O.
//!
//! Mail is taken as it comes. Nothing here fails on a broken message, recurses as deep as one
//! nests, or holds more than a small multiple of it.

mod charset;
mod collation;
mod dates;
mod field_text;
mod fields;
mod find;
mod preview;
#[cfg(test)]
mod search_model;
mod search_text;
mod sort_keys;
mod subject;
mod text_parts;
pub mod thread;
mod transfer;

pub use charset::{BadCharset, CHARSETS};
pub use collation::casemap;
pub use dates::{SentDate, parse_date, sent_date};
pub use field_text::decode_field;
pub use fields::{Field, Fields, header_length};
pub use preview::preview;
pub use search_text::Needle;
pub use sort_keys::{Criterion, SortKey, Sorter};
pub use subject::{BaseSubject, base_subject};
