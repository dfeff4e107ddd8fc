//! What a session tells the operator: counters, refusals, lines of the log.

use std::net::SocketAddr;
use std::rc::Rc;

use tracing::Span;

use super::context::Home;
use super::dispatch::Session;
use crate::reactor::{Peer, unix_seconds};
use crate::stats::{AUDIT_TARGET, Counters, Progress, Refused, Standing, What, harmless};

impl Home {
    /// A connection is turned away before it gets a session.
    pub fn turned_away(&self, peer: &Peer, reason: &str) {
        let address = peer.address();
        tracing::warn!(peer = %address, "connection refused: {reason}");
        self.counters.refusals.add(What::Connection, || {
            Refused::new(unix_seconds(), address, What::Connection, reason)
        });
    }

    /// Everything that is logged meanwhile says which connection it is about; once somebody has
    /// logged in, also whose.
    pub(super) fn span(&self, number: u64, peer: SocketAddr) -> Span {
        let id = self.connection_name(number);
        tracing::info_span!("connection", id, %peer, user = tracing::field::Empty)
    }

    fn connection_name(&self, number: u64) -> String {
        format!("{}-{number}", self.number)
    }
}

impl Session {
    /// What it does while it runs no command, or one that is not told apart.
    pub(super) fn stands(&self) {
        let standing = match (&self.user, self.selected_mailbox()) {
            (None, _) => Standing::Login,
            (Some(_), None) => Standing::Authenticated,
            (Some(_), Some(_)) => Standing::Selected,
        };
        self.counted.set(standing);
    }

    /// Somebody has logged in.
    pub(super) fn login_accepted(&self, user: &str) {
        Counters::one(&self.home.counters.logins);
        let user = harmless(user);
        Span::current().record("user", &*user);
        tracing::info!(target: AUDIT_TARGET, "logged in");
    }

    /// A login was refused. The name is whatever the client said.
    pub(super) fn login_refused(&self, user: &str, reason: &str) {
        let peer = self.conn.address();
        tracing::info!(target: AUDIT_TARGET, user = harmless(user), "login refused: {reason}");
        self.home
            .counters
            .refusals
            .add(What::Login, || Refused::new(unix_seconds(), peer, What::Login, reason).of(user));
    }

    /// A handshake failed.
    pub(super) fn no_tls(&self, reason: &str) {
        let peer = self.conn.address();
        tracing::info!("no TLS: {reason}");
        self.home.counters.refusals.add(What::Connection, || {
            Refused::new(unix_seconds(), peer, What::Connection, &format!("no TLS: {reason}"))
        });
    }

    /// An APPEND was refused before anybody had logged in.
    pub(super) fn append_refused(&self, reason: &str) {
        let peer = self.conn.address();
        tracing::info!("APPEND refused: {reason}");
        self.home
            .counters
            .refusals
            .add(What::Append, || Refused::new(unix_seconds(), peer, What::Append, reason));
    }

    /// A command could not be read.
    pub(super) fn misread(&self, text: &str) {
        Counters::one(&self.home.counters.parse_errors);
        tracing::debug!("a command makes no sense: {text}");
    }

    /// What this connection uploads, from its first APPEND on.
    pub(super) fn progress(&mut self) -> Rc<Progress> {
        let user = self.user.as_ref().map_or("", |(user, _)| &*user.name);
        if let Some(progress) = self.progress.as_ref().filter(|one| one.user() == user) {
            return progress.clone();
        }
        let connection = self.home.connection_name(self.number);
        let (counted, peer) = (self.counted.clone(), self.conn.address());
        let progress = Rc::new(Progress::new(counted, &connection, peer, user));
        self.home.counters.uploads.add(&progress);
        self.progress = Some(progress.clone());
        progress
    }
}
