//! Between sockets and sessions: connections in clear text or with TLS, and replies on their way to
//! clients.

mod security;
mod tls;
mod transport;
mod output;

#[cfg(test)]
pub(crate) use output::forget_buffers;
pub(crate) use output::{BUFFER, GATHERED, Gone, Output, buffer};
pub(crate) use security::Security;
pub(crate) use tls::{Acceptor, Concern, TlsError, TlsFiles};
pub(crate) use transport::{Guest, Transport};
