//! What a reactor counts, and how other threads read it.
//!
//! ```text
//! Figure: the declarations (name, kind, unit, help)
//!
//! sessions, uploads, log ── Counters: Values on the reactor's own thread
//!                              │ copied 20 times a second
//!                              ▼
//!                           Tally: atomics and two boards ──▶ any other thread
//! ```
//!
//! Counting costs a reactor an addition in its own memory: there is no lock and no atomic
//! operation on the path of a message.

mod census;
mod counters;
mod figures;
mod histogram;
mod lines;
mod refusals;
mod space;
mod tally;
mod text;
mod uploads;
mod values;

pub use census::{Census, Counted, Standing};
pub use counters::{Checkpointed, Counters};
pub use figures::{Declared, Figure, Kind, Label, Scope, Unit};
pub use histogram::{BUCKETS, Histogram, SharedHistogram};
pub use lines::{AUDIT, AUDIT_TARGET, LINE_COUNTS, LOG, LineCounts};
pub use refusals::{Refusals, Refused, What};
pub use space::{ScrubCounts, SpaceCounts};
pub use tally::Tally;
pub use text::{escaped, harmless, is_hidden, uid_set};
pub use uploads::{Progress, UploadView, Uploads, UploadsView};
pub use values::{SharedValues, Values};
