//! What an upload tells the operator: its refusals, and a line for each batch.

use std::time::Duration;

use super::refusal::Refusal;
use super::upload::UploadContext;
use crate::index::Mailbox;
use crate::reactor::{Instant, unix_seconds};
use crate::stats::{AUDIT_TARGET, Refused, What, harmless, uid_set};
use crate::store::Commit;
use imap::types::{Uid, UidRange};

impl UploadContext {
    /// An APPEND was refused.
    pub(super) fn refused(&self, refusal: &Refusal) {
        let progress = &self.progress;
        let mailbox = progress.asked();
        self.span.in_scope(|| {
            tracing::info!(mailbox = harmless(&mailbox), "APPEND refused: {}", refusal.text);
        });
        self.counters.refusals.add(What::Append, || {
            Refused::new(unix_seconds(), progress.peer(), What::Append, &refusal.text)
                .of(progress.user())
                .in_mailbox(&mailbox)
        });
    }

    /// A batch is durable. Its first octets came at `begun`, its last at `complete`.
    pub(super) fn committed(&self, commit: &Commit, begun: Instant, complete: Instant) {
        self.progress.committed(commit.messages);
        let (disk, all) = (complete.elapsed(), begun.elapsed());
        let first = commit.first_uid;
        let last = Uid(first.0 + (commit.messages - 1));
        let account = self.owner.account.borrow();
        self.span.in_scope(|| {
            tracing::info!(
                target: AUDIT_TARGET,
                mailbox = account.mailbox(commit.mailbox).map(Mailbox::name),
                uids = uid_set(&[UidRange { first, last }]),
                messages = commit.messages,
                octets = commit.octets,
                disk_ms = milliseconds(disk),
                messages_per_second = (f64::from(commit.messages) / seconds(all)) as u64,
                "appended"
            );
        });
    }
}

/// With two decimals.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}

/// Never none, since it is divided by.
fn seconds(time: Duration) -> f64 {
    time.as_secs_f64().max(1e-6)
}
