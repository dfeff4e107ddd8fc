//! What lies on the disk: segments, the log written to them, and how it is read.
//!
//! ```text
//!  format    records, frames and headers, octet by octet; no I/O
//!  segments  the files: names, lengths, states
//!  records   what stays of a segment when its messages lie elsewhere
//!  pool      segment files prepared ahead of need
//!  append    records ─ sealed ─▶ frame ── place from the sequencer ─▶ segment ─▶ fdatasync
//!  recover   after a start: segments ─▶ changes in the order of the log ─▶ index
//!  read      octets of messages, while the server runs
//! ```
//!
//! Each of these imports only those above it. `lock` stands apart: one server for a data folder.

mod append;
mod format;
mod lock;
mod pool;
mod read;
mod records;
mod recover;
mod segments;

pub use append::sequencer::{self, Sequencer, SyncPlan};
pub use append::{
    Begun, Cause, Frame, Hold, Log, LogError, LogGauges, LogStats, Slot, Unfinished, Unnamed,
};
pub use format::frame::{self, FrameHeader, HEADER, sealed_len};
pub use format::{
    AccountSlot, BatchId, BitSet, Commit, EmailId, Epoch, Fragment, Fragments, HeaderError,
    Incoming, KeywordList, LogId, LogPosition, Lsn, MailboxId, MessageRecord, MetadataEntry,
    Packing, Place, ReadyHeader, Record, RecordError, Relocated, SegmentHeader, SegmentId, VERSION,
    bits, decode_records, has_bit, place,
};
pub use lock::{DataLock, LockError};
pub use pool::{NoSegment, PoolConfig, PoolCounts, Prepared, Purpose, SegmentPool, Spare, piece};
pub use read::{Checksum, Damaged, Files, MessageCheck, ReadError, Reader, Stored, verify};
pub use records::{
    Dropped, Flaw, FlawKind, FrameCheck, Step, check_record_file, drop_records, strip, was_dropped,
};
pub use recover::{
    Change, Damage, ImageEnd, ImageFile, ImagePart, LogImage, Lost, LostFrames, Medium, ReadAhead,
    Recovered, RecoveryError, Replayed, StoredSegments, VisitError, Visitor, check_versions, image,
    is_whole, recover, recover_with,
};
pub use segments::{RECORDS, ReadySegment, SegmentCounts, SegmentState, Segments};
