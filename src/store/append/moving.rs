//! Moving from one segment to the next.

use tokio::sync::oneshot;

use super::{Cause, Log, LogError, Next, STOPPING};
use crate::limits::BLOCK;
use crate::reactor::{Instant, Lease, LogFile, unix_seconds};
use crate::store::format::{SegmentHeader, SegmentId};
use crate::store::pool::{NoSegment, Prepared, Purpose};

impl Log {
    /// Moves to the next segment. The sequencer ensures that nothing in it counts as durable before
    /// its header and the complete old segment are.
    pub(super) async fn move_on(&self, purpose: Purpose) -> Result<(), LogError> {
        let (next, header) = {
            let mut state = self.inner.state.borrow_mut();
            state.moving = true;
            let header = state.header.take().expect("only one moves at a time");
            (state.next.take(), header)
        };
        let result = match self.obtain(next, purpose).await {
            Ok((prepared, open_to)) => self.enter(prepared, open_to, header).await,
            Err(error) => {
                self.inner.state.borrow_mut().header = Some(header);
                Err(error)
            }
        };
        self.inner.state.borrow_mut().moving = false;
        self.inner.moved.notify_waiters();
        result
    }

    /// Leaves a segment, if it is the one that the log writes to: the next frame goes to another.
    /// Returns when the segment is sealed, or as soon as it is when changes are under way.
    ///
    /// # Errors
    /// When there is no room for another segment, or the log fails.
    pub async fn leave(&self, segment: SegmentId) -> Result<(), LogError> {
        loop {
            let moved = self.inner.moved.notified();
            let (end, moving) = {
                let state = self.inner.state.borrow();
                if let Some(why) = &state.broken {
                    return Err(LogError::Poisoned(why.clone()));
                }
                (state.sequencer.end(), state.moving)
            };
            match (end, moving) {
                (_, true) => moved.await,
                (Some((current, _)), false) if current == segment => {
                    self.move_on(Purpose::Changes).await?;
                }
                _ => break,
            }
        }
        self.durable().await?;
        let next = {
            let state = self.inner.state.borrow();
            let end = state.sequencer.end().filter(|_| state.sequencer.is_open(segment));
            // Another move is under way: its first frame ends the segment.
            let end = end.filter(|(current, _)| !state.moving && *current != segment);
            end.map(|(current, _)| (current, state.files[&current].clone()))
        };
        let Some((current, file)) = next else { return Ok(()) };
        if let Err(error) = file.sync_data().await {
            self.poison(Cause::new(format!("fdatasync of segment {current} failed"), error));
            return Err(self.error());
        }
        self.passes(|sequencer| sequencer.header_synced(current));
        Ok(())
    }

    /// The next segment, and the lowest purpose that may use it: some segments are reserved.
    async fn obtain(
        &self,
        next: Option<Next>,
        purpose: Purpose,
    ) -> Result<(Prepared, Purpose), LogError> {
        let pool = &self.inner.pool;
        if let Some(next) = next
            && let Some(prepared) = self.accept(next.come().await)?.ok()
        {
            return Ok((prepared, Purpose::Adds));
        }
        // There may be room now.
        let full = match self.accept(pool.request().await)? {
            Ok(prepared) => return Ok((prepared, Purpose::Adds)),
            Err(full) => full,
        };
        let held_for: &[Purpose] = match purpose {
            Purpose::Adds => &[],
            Purpose::Cleans => &[Purpose::Cleans],
            Purpose::Changes => &[Purpose::Changes],
            Purpose::Removes => &[Purpose::Changes, Purpose::Removes],
        };
        for &held_for in held_for {
            if let Ok(prepared) = self.accept(pool.request_reserve(held_for).await)? {
                return Ok((prepared, held_for));
            }
        }
        Err(full)
    }

    /// Evaluates the reply of the pool: a segment, or none for now. Any other reply stops the log.
    fn accept(
        &self,
        answer: Result<Result<Prepared, NoSegment>, oneshot::error::RecvError>,
    ) -> Result<Result<Prepared, LogError>, LogError> {
        match answer {
            Ok(Ok(prepared)) => Ok(Ok(prepared)),
            Ok(Err(error)) if error.is_shortage() => Ok(Err(LogError::Full(error.into()))),
            Ok(Err(error)) => {
                self.poison(error.into());
                Err(self.error())
            }
            Err(_) => Err(LogError::Full(STOPPING.into())),
        }
    }

    async fn enter(
        &self,
        prepared: Prepared,
        open_to: Purpose,
        mut lease: Lease,
    ) -> Result<(), LogError> {
        if self.inner.state.borrow().broken.is_some() {
            // The log failed in the meantime. The next start finds the segment ready.
            self.inner.state.borrow_mut().header = Some(lease);
            return Err(self.error());
        }
        if !prepared.direct && !self.inner.buffered.replace(true) {
            tracing::warn!(
                "this file system has no O_DIRECT: segments are written through the page cache, \
                 which costs a copy and memory"
            );
        }
        if !prepared.written {
            self.count(|stats| stats.unwritten_segments += 1);
        }
        let file = LogFile::new(prepared.file);
        let begins = {
            let mut state = self.inner.state.borrow_mut();
            let was_open_to = std::mem::replace(&mut state.open_to, open_to);
            if open_to > was_open_to && was_open_to == Purpose::Adds {
                tracing::warn!(
                    "the disk is full: changes and cleaning go to segments that were held back \
                     for them"
                );
            }
            let header =
                state.sequencer.open_segment(prepared.segment, prepared.size, unix_seconds());
            let header = SegmentHeader { reused: prepared.reused, ..header };
            // The counterpart of the check when the header is read.
            assert_eq!(header.check(), Ok(()), "the header of segment {}", prepared.segment);
            header.encode(&mut lease.octets_mut()[..BLOCK]);
            self.inner.pool.segments().activate(prepared.segment);
            state.files.insert(prepared.segment, file.clone());
            let at = state.order.len();
            state.order.insert(prepared.segment, at);
            state.owed.get_or_insert_with(Instant::now);
            header.previous.is_none()
        };
        let (result, lease) = file.write_at(lease, BLOCK, 0).await;
        {
            let mut state = self.inner.state.borrow_mut();
            state.header = Some(lease);
            state.answered();
        }
        if let Err(error) = result {
            let what = format!("writing the header of segment {} failed", prepared.segment);
            self.poison(Cause::new(what, error));
            return Err(self.error());
        }
        self.inner.state.borrow_mut().sequencer.header_written(prepared.segment);
        // Frames written before the header may now be synced.
        self.inner.work.notify_one();
        if !begins {
            return Ok(());
        }
        // Segments of earlier epochs may go only when it is durable that they are earlier.
        match file.sync_data().await {
            Ok(()) => self.inner.pool.has_begun(),
            Err(error) => {
                let what = format!("fdatasync of segment {} failed", prepared.segment);
                self.poison(Cause::new(what, error));
                return Err(self.error());
            }
        }
        Ok(())
    }
}
