//! Ending a wait from outside.

use std::rc::Rc;

/// Ends the receiving operations of a connection; they return what they have so far, or
/// `Interrupted`.
#[derive(Clone)]
pub struct Interrupt {
    end: Rc<dyn Fn()>,
}

impl Interrupt {
    pub(super) fn new(end: impl Fn() + 'static) -> Interrupt {
        Interrupt { end: Rc::new(end) }
    }

    /// See [`Interrupt`].
    pub fn interrupt(&self) {
        (self.end)();
    }
}
