//! Structure of a message and its parts, for FETCH.
//!
//! ```text
//!  header ─────────▶ envelope   ENVELOPE
//!                       ▼
//!  parts ──────────▶ body       BODY, BODYSTRUCTURE
//!    ├──▶ section               BODY[...]: where its octets are
//!    └──────▶ binary            BINARY[...]: the octets
//! ```

mod binary;
mod body;
mod envelope;
mod section;

pub use binary::BinaryError;
pub(in crate::mime) use envelope::FIELDS;
pub use envelope::envelope;
