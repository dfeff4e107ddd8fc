//! Actions that run when frames are durable, in the order of their LSNs: at once or with yields.

use std::pin::Pin;

use tokio::sync::oneshot;

use super::{Log, LogError};
use crate::reactor::{Instant, breathe, thresholds};

/// An action that runs when a frame is durable.
pub(super) enum Action {
    AtOnce(Box<dyn FnOnce()>),
    InTurns(Pin<Box<dyn Future<Output = ()>>>),
}

impl Log {
    /// Runs `action` when everything written so far is durable, after all earlier actions;
    /// immediately if nothing is pending. If the log fails, the action is dropped without running.
    pub fn when_durable(&self, action: impl FnOnce() + 'static) {
        match self.is_idle() {
            true => action(),
            false => self.queue(Action::AtOnce(Box::new(action))),
        }
    }

    /// Like `when_durable`, for a long action. It yields by calling [`Log::worked`] with the
    /// amount of work done. Later actions and checkpoints wait for it.
    pub fn when_durable_in_turns(&self, action: impl Future<Output = ()> + 'static) {
        self.queue(Action::InTurns(Box::pin(action)));
    }

    /// Counts messages processed by an action or by a session that reads them. Yields when enough
    /// were processed since the last yield, by one task or by many.
    pub async fn worked(&self, messages: usize) {
        let worked = self.inner.worked.get() + messages;
        let enough = worked >= thresholds().step_messages;
        self.inner.worked.set(if enough { 0 } else { worked });
        if enough {
            breathe().await;
        }
    }

    /// Whether everything written is durable, and all actions have run.
    fn is_idle(&self) -> bool {
        let state = self.inner.state.borrow();
        let durable = state.sequencer.last_reserved() <= state.sequencer.durable();
        durable && state.broken.is_none() && state.actions.is_empty() && !state.acting
    }

    fn queue(&self, action: Action) {
        let mut state = self.inner.state.borrow_mut();
        if state.broken.is_some() {
            return;
        }
        let last = state.sequencer.last_reserved();
        state.actions.push_back((last, action));
        state.owed.get_or_insert_with(Instant::now);
        // Later frames notify the sync task when their write completes.
        if last <= state.sequencer.syncable() {
            self.inner.work.notify_one();
        }
    }

    /// Waits until everything written so far is durable.
    ///
    /// # Errors
    /// When the log fails first.
    pub async fn durable(&self) -> Result<(), LogError> {
        let (sender, receiver) = oneshot::channel();
        // The waiting task may have been dropped.
        self.when_durable(move || {
            let _ = sender.send(());
        });
        receiver.await.map_err(|_| self.error())
    }

    /// Runs the actions of everything durable, in order, and returns their number. An action may
    /// write to the log.
    pub(super) async fn run_actions(&self) -> usize {
        let mut run = 0;
        loop {
            let action = {
                let mut state = self.inner.state.borrow_mut();
                let durable = state.sequencer.durable();
                let action = state.actions.pop_front_if(|(lsn, _)| *lsn <= durable);
                state.acting = action.is_some();
                action
            };
            match action {
                None => return run,
                Some((_, Action::AtOnce(action))) => action(),
                Some((_, Action::InTurns(action))) => action.await,
            }
            run += 1;
            self.worked(1).await;
        }
    }
}
