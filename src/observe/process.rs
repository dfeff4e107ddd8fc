//! The figures of the process, beside those of its reactors.

use crate::stats::{Figure, Scope, Values};

/// Figures with the scope [`Scope::Process`]. Those that were not set are unknown.
#[derive(Debug, Default)]
pub(super) struct Process {
    pub values: Values,
    known: Vec<Figure>,
}

impl Process {
    pub(super) fn set(&mut self, figure: Figure, value: u64) {
        self.set_each(figure, [value]);
    }

    /// Sets a figure with a label, in the order of the label's values.
    pub(super) fn set_each<const N: usize>(&mut self, figure: Figure, values: [u64; N]) {
        assert_eq!(figure.declared().scope, Scope::Process, "{figure:?} is a reactor's");
        self.values.set_each(figure, values);
        self.known.push(figure);
    }

    pub(super) fn has(&self, figure: Figure) -> bool {
        self.known.contains(&figure)
    }
}
