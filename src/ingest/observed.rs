//! What an upload tells the operator: its refusals, and a line for each batch.

use std::time::Duration;

use super::refusal::Refusal;
use super::upload::UploadContext;
use crate::log::Commit;
use crate::reactor::{Instant, unix_seconds};
use crate::stats::{Refused, What, harmless};

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
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let (disk, all) = (complete.elapsed(), begun.elapsed());
        let mailbox = {
            let account = self.owner.account.borrow();
            let names = account.names().find(|(_, id)| *id == commit.mailbox);
            names.map_or_else(String::new, |(name, _)| harmless(name))
        };
        self.span.in_scope(|| {
            tracing::debug!(
                mailbox,
                messages = commit.messages,
                octets = commit.octets,
                first_uid = commit.first_uid.0,
                disk_ms = format_args!("{:.2}", milliseconds(disk)),
                messages_per_second = (f64::from(commit.messages) / seconds(all)) as u64,
                "batch committed"
            );
        });
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Never none, since it is divided by.
fn seconds(time: Duration) -> f64 {
    time.as_secs_f64().max(1e-6)
}
