//! What sessions count on the thread of their reactor.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::census::Census;
use super::histogram::Histogram;
use super::refusals::Refusals;
use super::uploads::Uploads;

/// The counters of one reactor that are its own: cells, without synchronisation.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections.
    pub census: Rc<Census>,
    /// What was refused.
    pub refusals: Refusals,
    /// Uploads under way.
    pub uploads: Uploads,
    /// Commands that could not be read.
    pub parse_errors: Cell<u64>,
    /// Commands that waited because their account had logged too much.
    pub log_waits: Cell<u64>,
    /// Logins that were accepted.
    pub logins: Cell<u64>,
    /// How late a timer of this reactor fires, in microseconds: what any event waits for its turn.
    pub lateness: RefCell<Histogram>,
    /// Checkpoints of its accounts.
    pub checkpoints: Cell<Checkpointed>,
}

/// What there is to say about checkpoints.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checkpointed {
    /// How many were written.
    pub written: u64,
    /// How many failed.
    pub failed: u64,
    /// Octets that the log had when the last one that was written began.
    pub log: u64,
}

impl Counters {
    /// All zero. What is not a mere count is kept only when somebody will look at it.
    #[must_use]
    pub fn new(observed: bool) -> Counters {
        Counters {
            refusals: Refusals::new(observed),
            uploads: Uploads::new(observed),
            ..Counters::default()
        }
    }

    /// One more.
    pub fn one(counter: &Cell<u64>) {
        counter.set(counter.get() + 1);
    }
}
