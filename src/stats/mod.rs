//! What a reactor counts, and how others come to see it.
//!
//! ```text
//! sessions, uploads, log ── Counters, LogGauges: cells of the reactor's own thread
//!                                   │ copied 20 times a second
//!                                   ▼
//!                                 Tally: atomics and two boards ──▶ any other thread
//! ```
//!
//! To count costs a reactor no more than an addition in its own memory: no lock and no atomic
//! operation lies on the path of a message.

mod census;
mod counters;
mod histogram;
mod lines;
mod refusals;
mod tally;
mod text;
mod uploads;

pub use census::{Census, Counted, STANDINGS, Standing};
pub use counters::{Checkpointed, Counters};
pub use histogram::{BUCKETS, Histogram, SharedHistogram};
pub use lines::{AUDIT, AUDIT_TARGET, LOG, LineCounts};
pub use refusals::{Refusals, Refused, WHATS, What};
pub use tally::Tally;
pub use text::{escaped, harmless, is_hidden, uid_set};
pub use uploads::{Progress, UploadView, Uploads, UploadsView};
