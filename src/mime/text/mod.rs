//! The text of a message: what SEARCH looks through and PREVIEW shows.
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
mod pieces;
mod preview;

pub use charset::{BadCharset, CHARSETS};
pub use collation::casemap;
pub use needle::{FieldText, Needle};
pub use preview::preview;
