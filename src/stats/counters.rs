//! What a reactor counts on its own thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::census::Census;
use super::figures::Figure;
use super::refusals::Refusals;
use super::uploads::Uploads;
use super::values::Values;

/// The counters of one reactor, without synchronisation.
#[derive(Debug, Default)]
pub struct Counters {
    /// Every figure. Those counted elsewhere (by the log, the arena, the fields below) are copied
    /// here just before all are published.
    pub values: RefCell<Values>,
    /// Connections by state.
    pub census: Rc<Census>,
    /// Refused commands and connections.
    pub refusals: Refusals,
    /// Uploads in progress.
    pub uploads: Uploads,
    /// Checkpoints of the reactor's accounts.
    pub checkpoints: Cell<Checkpointed>,
}

/// Checkpoints so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checkpointed {
    /// Checkpoints written.
    pub written: u64,
    /// Checkpoints that failed.
    pub failed: u64,
    /// Length of the log in bytes when the last written checkpoint began.
    pub log: u64,
}

impl Counters {
    /// All zero. The latest refusals and uploads are kept only if `observed`, that is, if the
    /// admin endpoint will show them.
    #[must_use]
    pub fn new(observed: bool) -> Counters {
        Counters {
            refusals: Refusals::new(observed),
            uploads: Uploads::new(observed),
            ..Counters::default()
        }
    }

    /// Counts one event.
    pub fn one(&self, figure: Figure) {
        self.values.borrow_mut().add(figure, 1);
    }
}
