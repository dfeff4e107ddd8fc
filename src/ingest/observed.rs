//! What an upload reports to the operator: refusals, and a log line per batch.

use std::time::Duration;

use super::refusal::Refusal;
use super::uploader::Uploader;
use crate::index::Mailbox;
use crate::reactor::{Instant, unix_seconds};
use crate::stats::{AUDIT_TARGET, Refused, What, harmless, uid_set};
use crate::store::MailboxId;
use imap::types::UidRange;

impl Uploader {
    /// Reports a refused APPEND.
    pub(super) fn refused(&self, refusal: &Refusal) {
        let progress = &self.client.progress;
        let mailbox = progress.asked();
        self.span.in_scope(|| {
            tracing::info!(mailbox = harmless(&mailbox), "APPEND refused: {}", refusal.text);
        });
        self.home.counters.refusals.add(What::Append, || {
            Refused::new(unix_seconds(), progress.peer(), What::Append, &refusal.text)
                .of(progress.user())
                .in_mailbox(&mailbox)
        });
    }

    /// Reports a durable batch. Its first octets arrived at `begun`, its last at `complete`.
    pub(super) fn committed(
        &self,
        mailbox: MailboxId,
        uids: UidRange,
        octets: u64,
        begun: Instant,
        complete: Instant,
    ) {
        let messages = UidRange::count(&[uids]);
        self.client.progress.committed(messages);
        let mut committed = self.home.committed.get();
        committed.batches += 1;
        committed.messages += u64::from(messages);
        committed.octets += octets;
        self.home.committed.set(committed);
        let (disk, all) = (complete.elapsed(), begun.elapsed());
        let account = self.owner.account.borrow();
        self.span.in_scope(|| {
            tracing::info!(
                target: AUDIT_TARGET,
                mailbox = account.mailbox(mailbox).map(Mailbox::name),
                uids = uid_set(&[uids]),
                messages,
                octets,
                disk_ms = milliseconds(disk),
                messages_per_second = (f64::from(messages) / seconds(all)) as u64,
                "appended"
            );
        });
    }
}

/// Milliseconds with two decimals.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}

/// Seconds, at least a microsecond, because they are a divisor.
fn seconds(time: Duration) -> f64 {
    time.as_secs_f64().max(1e-6)
}
