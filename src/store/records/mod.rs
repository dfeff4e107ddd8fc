//! Record files: what stays of a segment once its messages are expunged or lie elsewhere.
//!
//! A record file has everything of a segment but the octets of messages: its header, and the header
//! and the records of every frame. Recovery reads it as if it were the segment, with nothing where
//! octets were. It is a hundredth of a segment of ordinary mail.
//!
//! ```text
//! segments/N.seg   header │ frame: header, octets, records │ frame: header, octets, records │ …
//! records/N.rec    header │ frame: header,         records │ frame: header,         records │ …
//! ```
//!
//! A record file is written under another name, synced, and renamed. So one that is there is whole
//! or damaged, never torn. From that moment on it stands for the segment, even while the segment's
//! own file is still there: that may already be in use for something else.

mod checking;
mod dropping;
mod ending;
mod format;
mod reader;
mod source;
mod writer;

pub use checking::{Flaw, FlawKind, FrameCheck, Step, check_record_file};
pub use dropping::{Dropped, drop_records, was_dropped};
pub(super) use reader::RecordFile;
pub use writer::strip;

#[cfg(test)]
mod tests;
