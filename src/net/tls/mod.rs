//! TLS with rustls, without I/O: settings of the server, and conversion of octets.
//!
//! ```text
//!  socket ─recv→ records ─decrypted in place by rustls→ lease, or the command buffer of a session
//!  socket ←send─ records ←encrypted─ replies
//! ```
//! RFC 8446 (TLS 1.3), RFC 5246 (TLS 1.2), RFC 8314 (implicit TLS for IMAP).

mod acceptor;
mod engine;
mod exporter;
mod names;

pub(crate) use acceptor::{Acceptor, Concern, TlsError, TlsFiles};
pub(super) use engine::Engine;

#[cfg(test)]
mod tests;
