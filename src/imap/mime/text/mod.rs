//! The text of a message, for SEARCH and PREVIEW.
//!
//! ```text
//!  parts ──▶ pieces ──charset──▶ text ──┬─▶ preview   the first words
//!                                       └─▶ needle    is the string in it?
//!                      collation ──▶ pattern ──┘
//! ```

pub(super) mod charset;
pub(super) mod collation;
#[cfg(test)]
mod model;
mod needle;
mod pattern;
pub(super) mod pieces;
mod preview;
pub(super) mod reader;
mod shifting;

pub use charset::{BadCharset, CHARSETS};
pub use collation::casemap;
pub(super) use needle::push_field;
pub use needle::{FieldText, Needle, field_text};
pub use preview::preview;
pub(super) use preview::{of_start, read as preview_reads};
