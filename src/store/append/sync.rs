//! Group commit, and its result: actions run, or the log fails.

use std::collections::BTreeMap;

use super::sequencer::{Sequencer, SyncPlan};
use super::{Cause, Log, State};
use crate::reactor::fault::{Fault, made};
use crate::reactor::{Instant, LogFile, spawn};
use crate::store::format::SegmentId;

impl Log {
    /// Group commit: writes that complete during an fdatasync share the next one.
    pub(super) async fn sync_for_ever(self) {
        loop {
            let work = self.inner.work.notified();
            let (plan, mut files) = {
                let mut state = self.inner.state.borrow_mut();
                if state.broken.is_some() {
                    return;
                }
                let waiting = state.actions.front().map(|(lsn, _)| *lsn);
                let useful = waiting.is_some_and(|lsn| lsn <= state.sequencer.syncable());
                let plan = if useful { state.sequencer.begin_sync() } else { None };
                let files: Vec<_> = plan
                    .iter()
                    .flat_map(|plan| &plan.segments)
                    .map(|s| (*s, state.files[s].clone()))
                    .collect();
                (plan, files)
            };
            let Some(plan) = plan else {
                match self.run_actions().await {
                    0 => work.await,
                    _ => self.inner.state.borrow_mut().answered(),
                }
                continue;
            };
            if made(Fault::OkBeforeSync) {
                files
                    .drain(..)
                    .for_each(|(_, file)| drop(spawn(async move { file.sync_data().await })));
            }
            for (segment, file) in files {
                let begun = Instant::now();
                let mut synced = file.sync_data().await;
                if synced.is_err() && made(Fault::SyncRetried) {
                    synced = file.sync_data().await;
                }
                if let Err(error) = synced {
                    self.poison(Cause::new(
                        format!("fdatasync of segment {segment} failed"),
                        error,
                    ));
                    return;
                }
                let micros = begun.elapsed().as_micros() as u64;
                self.inner.histograms.borrow_mut().sync_latency.add(micros);
                self.count(|stats| {
                    stats.syncs += 1;
                    stats.sync_micros += micros;
                });
            }
            self.synced(&plan);
            let group = self.run_actions().await;
            self.inner.state.borrow_mut().answered();
            self.inner.histograms.borrow_mut().group.add(group as u64);
        }
    }

    fn synced(&self, plan: &SyncPlan) {
        self.passes(|sequencer| sequencer.synced(plan));
        let mut state = self.inner.state.borrow_mut();
        let durable = state.sequencer.durable();
        while let Some(place) = state.pending.pop_front_if(|place| place.lsn <= durable) {
            state.durable_end = Some((place.segment, place.offset + place.length));
        }
    }

    /// Seals the segments that the log leaves with this change.
    pub(super) fn passes(&self, change: impl FnOnce(&mut Sequencer)) {
        let mut state = self.inner.state.borrow_mut();
        let ends: BTreeMap<_, _> = state.sequencer.ends().collect();
        change(&mut state.sequencer);
        let State { files, sequencer, .. } = &mut *state;
        files.retain(|&segment, _| {
            let is_open = sequencer.is_open(segment);
            if !is_open {
                let end = ends[&segment];
                self.inner.pool.segments().seal(segment, end);
                self.inner.pool.shorten(segment, end);
            }
            is_open
        });
    }

    /// A segment that is being written or not synced yet, and whose file was deleted.
    #[must_use]
    pub fn nameless(&self) -> Option<SegmentId> {
        let state = self.inner.state.borrow();
        let deleted = |file: &LogFile| file.names().is_ok_and(|names| names == 0);
        state.files.iter().find(|(_, file)| deleted(file)).map(|(&segment, _)| segment)
    }

    /// Stops the log, because writes to it would be lost.
    pub fn lose(&self, why: &str) {
        self.poison(why.into());
    }

    pub(super) fn poison(&self, why: Cause) {
        let actions = {
            let mut state = self.inner.state.borrow_mut();
            if state.broken.is_some() {
                return;
            }
            tracing::error!(
                "{why}; this log promises nothing any more and its sessions end. Start the server \
                 again: it recovers everything acknowledged"
            );
            state.sequencer.poison();
            state.broken = Some(why);
            state.owed = None;
            std::mem::take(&mut state.actions)
        };
        // Dropped outside of the borrow: the captured values may access the log.
        drop(actions);
        self.inner.work.notify_one();
        self.inner.moved.notify_waiters();
        self.inner.broken.notify_waiters();
    }
}
