//! Headers: from fields down to addresses, dates and decoded text.
//!
//! ```text
//!  header ──▶ fields ──▶ lexer ──▶ address   From, To, ...     words of structured fields
//!                │            └──▶ content   Content-Type, Content-Disposition, ...
//!                ├─────▶ words   ──▶ subject   the text that a reader sees
//!                └─────▶ dates                 Date
//! ```

pub(super) mod address;
pub(super) mod content;
pub(super) mod dates;
pub(super) mod fields;
mod lexer;
pub(super) mod short;
pub(super) mod subject;
pub(super) mod words;
