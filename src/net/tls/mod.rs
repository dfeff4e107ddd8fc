//! TLS by rustls, without I/O of its own: who may speak it, and what becomes of the octets.
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

pub use acceptor::{Acceptor, TlsError, TlsFiles};
pub(super) use engine::Engine;

/// What a client has shown of itself by TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// The channel binding `tls-exporter` (RFC 9266); with TLS 1.3 only, as the RFC wants it.
    pub exporter: Option<[u8; 32]>,
    /// Names in the client's certificate, if it sent one that was accepted: its mail addresses, or
    /// else its common name.
    pub names: Vec<Box<str>>,
    /// Protocol version and cipher suite, for the operator.
    pub description: String,
}

#[cfg(test)]
mod tests;
