//! What a session reports to the operator: counters, refusals and log lines.

use std::net::SocketAddr;
use std::rc::Rc;

use tracing::Span;

use super::session::Session;
use crate::auth::User;
use crate::home::{Home, Owner};
use crate::ingest::Copied;
use crate::reactor::{Instant, Peer, unix_seconds};
use crate::stats::{AUDIT_TARGET, Figure, Progress, Refused, Standing, What, harmless, uid_set};
use crate::store::MailboxId;
use imap::types::{SpecialUse, UidRange};

impl Home {
    /// Reports a connection that was refused before it had a session.
    pub fn turned_away(&self, peer: &Peer, reason: &str) {
        let address = peer.address();
        tracing::warn!(peer = %address, "connection refused: {reason}");
        self.counters.refusals.add(What::Connection, || {
            Refused::new(unix_seconds(), address, What::Connection, reason)
        });
    }

    /// The span of a connection: its log lines carry the connection's name, and the user after
    /// login.
    pub(super) fn span(&self, number: u64, peer: SocketAddr) -> Span {
        let id = self.connection_name(number);
        // At level ERROR, so that no log filter removes the span.
        tracing::error_span!("connection", id, %peer, user = tracing::field::Empty)
    }

    fn connection_name(&self, number: u64) -> String {
        format!("{}-{number}", self.number)
    }
}

impl Session {
    /// Sets the state that is reported between commands, and during commands without a state of
    /// their own.
    pub(super) fn stands(&self) {
        let standing = match (&self.user, self.selected_mailbox()) {
            (None, _) => Standing::Login,
            (Some(_), None) => Standing::Authenticated,
            (Some(_), Some(_)) => Standing::Selected,
        };
        self.counted.set(standing);
    }

    /// Reports a login.
    pub(super) fn login_accepted(&mut self, user: &User) {
        self.home.counters.one(Figure::Logins);
        Span::current().record("user", &*harmless(&user.name));
        let trail = &mut self.trail;
        trail.begun = Some((Instant::now(), self.conn.octets()));
        tracing::info!(
            target: AUDIT_TARGET,
            mechanism = trail.mechanism,
            tls = self.security.version.unwrap_or("none"),
            client = trail.client.as_deref(),
            master = user.acting(),
            "logged in"
        );
    }

    /// Reports the end of a login, if there was one.
    pub(super) fn logged_out(&mut self, why: &str) {
        let Some((begun, before)) = self.trail.begun.take() else { return };
        let now = self.conn.octets();
        tracing::info!(
            target: AUDIT_TARGET,
            commands = std::mem::take(&mut self.trail.commands),
            messages_in = self.progress.take().map_or(0, |progress| progress.durable()),
            messages_out = self.trail.fetched.take(),
            octets_in = now.0 - before.0,
            octets_out = now.1 - before.1,
            seconds = (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            "logged out: {why}"
        );
    }

    /// Reports the client's ID (RFC 2971).
    pub(super) fn client_named(&mut self, fields: &[(Vec<u8>, Option<Vec<u8>>)]) {
        let value = |name: &[u8]| {
            let field = fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name))?;
            Some(String::from_utf8_lossy(field.1.as_deref()?))
        };
        let words: Vec<_> = [b"name" as &[u8], b"version"].into_iter().filter_map(value).collect();
        let client = Some(harmless(&words.join(" "))).filter(|client| !client.is_empty());
        if client.as_deref() == self.trail.client.as_deref() {
            return;
        }
        self.trail.client = client.map(String::into_boxed_str);
        if self.user.is_some() {
            let client = self.trail.client.as_deref();
            tracing::info!(target: AUDIT_TARGET, client, "client named");
        }
    }

    /// Reports a refused login. `user` is unverified text from the client.
    pub(super) fn login_refused(&self, user: &str, reason: &str) {
        let peer = self.conn.address();
        tracing::info!(
            target: AUDIT_TARGET,
            user = harmless(user),
            mechanism = self.trail.mechanism,
            tls = self.security.version.unwrap_or("none"),
            client = self.trail.client.as_deref(),
            "login refused: {reason}"
        );
        self.home
            .counters
            .refusals
            .add(What::Login, || Refused::new(unix_seconds(), peer, What::Login, reason).of(user));
    }

    /// Reports a failed TLS handshake.
    pub(super) fn no_tls(&self, reason: &str) {
        let peer = self.conn.address();
        tracing::info!("no TLS: {reason}");
        self.home.counters.refusals.add(What::Connection, || {
            Refused::new(unix_seconds(), peer, What::Connection, &format!("no TLS: {reason}"))
        });
    }

    /// Reports an APPEND that was refused before login.
    pub(super) fn append_refused(&self, reason: &str) {
        let peer = self.conn.address();
        tracing::info!("APPEND refused: {reason}");
        self.home
            .counters
            .refusals
            .add(What::Append, || Refused::new(unix_seconds(), peer, What::Append, reason));
    }

    /// Reports a command that could not be parsed.
    pub(super) fn misread(&self, text: &str) {
        self.home.counters.one(Figure::ParseErrors);
        tracing::debug!("a command makes no sense: {text}");
    }

    /// The upload progress of this connection, created at its first APPEND.
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

/// The audit trail: a line for each command that changed mail.
pub(super) mod changes {
    use super::*;

    fn name(owner: &Owner, mailbox: MailboxId) -> Option<String> {
        owner.account.borrow().mailbox(mailbox).map(|found| found.name().to_owned())
    }

    /// `\Deleted` was set or cleared.
    pub(crate) fn marked(owner: &Owner, mailbox: MailboxId, uids: &[UidRange], deleted: bool) {
        let what = if deleted { "marked as deleted" } else { "no longer marked as deleted" };
        of_messages(owner, mailbox, uids, what);
    }

    pub(crate) fn expunged(owner: &Owner, mailbox: MailboxId, uids: &[UidRange]) {
        of_messages(owner, mailbox, uids, "expunged");
    }

    fn of_messages(owner: &Owner, mailbox: MailboxId, uids: &[UidRange], what: &str) {
        if uids.is_empty() {
            return;
        }
        tracing::info!(
            target: AUDIT_TARGET,
            mailbox = name(owner, mailbox),
            uids = uid_set(uids),
            messages = UidRange::count(uids),
            "{what}"
        );
    }

    /// Messages were copied or moved.
    pub(crate) fn copied(owner: &Owner, from: MailboxId, to: &str, copied: &Copied, moves: bool) {
        if copied.from.is_empty() {
            return;
        }
        tracing::info!(
            target: AUDIT_TARGET,
            mailbox = name(owner, from),
            uids = uid_set(&copied.from),
            messages = UidRange::count(&copied.from),
            to,
            to_uids = uid_set(&copied.to),
            "{}",
            if moves { "moved" } else { "copied" }
        );
    }

    pub(crate) fn created(mailbox: &str) {
        tracing::info!(target: AUDIT_TARGET, mailbox, "mailbox created");
    }

    /// The special use of a mailbox or entries of its metadata changed. Values may be private and
    /// are not logged.
    pub(crate) fn metadata_set(mailbox: &str, uses: Option<SpecialUse>, entries: &[Box<str>]) {
        let uses = uses.map(|uses| uses.names().collect::<Vec<_>>().join(" "));
        tracing::info!(
            target: AUDIT_TARGET,
            mailbox,
            special_use = uses.as_deref(),
            entries = (!entries.is_empty()).then(|| harmless(&entries.join(" "))),
            "metadata of mailbox changed"
        );
    }

    pub(crate) fn deleted(mailbox: &str, messages: u32) {
        tracing::info!(target: AUDIT_TARGET, mailbox, messages, "mailbox deleted");
    }

    /// A mailbox was renamed, with all mailboxes below it.
    pub(crate) fn renamed(mailbox: &str, to: &str) {
        tracing::info!(target: AUDIT_TARGET, mailbox, to, "mailbox renamed");
    }
}
