//! STARTTLS (RFC 3501 section 6.2.1, RFC 9051 section 6.2.1) and implicit TLS (RFC 8314 section
//! 3.2).

use std::io::ErrorKind;

use super::session::{Flow, Session};
use imap::protocol::Tag;
use imap::protocol::response::{Condition, tagged};

impl Session {
    /// Whether STARTTLS is available to the client.
    pub(super) fn offers_tls(&self) -> bool {
        self.home.settings.tls.is_some() && !self.conn.is_private() && self.user.is_none()
    }

    /// Octets received after the command in clear text may come from an attacker. They are
    /// discarded.
    pub(super) async fn start_tls(&mut self, tag: &Tag) -> Flow {
        let why_not = match () {
            () if self.user.is_some() => "STARTTLS comes before login",
            () if self.conn.is_private() => "there is TLS already",
            () if self.home.settings.tls.is_none() => "this server has no certificate",
            () => {
                self.output.push(|out| tagged(out, tag, Condition::Ok, None, "begin TLS now"));
                if self.output.flush().await.is_err() || !self.secure().await {
                    return Flow::Over;
                }
                drop(self.input.take());
                return Flow::On;
            }
        };
        self.bad(tag, why_not);
        Flow::On
    }

    /// Runs the TLS handshake; `false` when the session is over.
    pub(super) async fn secure(&mut self) -> bool {
        let Some(acceptor) = &self.home.settings.tls else { return false };
        let peer = self.conn.address();
        match self.conn.secure(acceptor).await {
            Ok(description) => {
                tracing::debug!(%peer, "{description}");
                self.security = self.conn.security();
                true
            }
            // Probably a port scan or a health check.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                tracing::debug!(%peer, "gone before the end of the TLS handshake");
                false
            }
            Err(error) => {
                self.no_tls(&error.to_string());
                false
            }
        }
    }
}
