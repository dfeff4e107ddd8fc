//! What is on the disk: segments, the log written to them, and how it is read again.
//!
//! ```text
//!  format    records, frames and headers, octet by octet
//!  pool      segment files made ready ahead of need
//!  append    record ── encode ─▶ frame ── place from the sequencer ─▶ segment ─▶ fdatasync
//!  read      a segment's octets while the server runs
//!  recover   after a start: segments ─▶ changes in the order of the log ─▶ index
//! ```

mod append;
mod directory;
mod format;
mod lock;
mod pool;
mod read;
mod recover;

pub use append::sequencer::{self, Place, Sequencer, SyncPlan};
pub use append::{Frame, Hold, Log, LogError, LogGauges, LogStats, Purpose};
pub use directory::Directory;
pub use format::decode::{RecordError, decode_records};
pub use format::frame::{self, FrameHeader, HEADER, sealed_len};
pub use format::ids::{BatchId, EmailId, Epoch, Fragment, LogId, Lsn, MailboxId, SegmentId};
pub use format::keywords::{BitSet, KeywordList, bits, has_bit};
pub use format::packing::Packing;
pub use format::record::{Commit, MessageRecord, Record};
pub use format::segment::{HeaderError, SegmentHeader, VERSION};
pub use lock::{DataLock, LockError};
pub use pool::{PoolConfig, PoolCounts, Prepared, SegmentPool, Spare};
pub use read::Files;
pub use recover::{
    Change, Damage, LogPosition, Lost, LostFrames, Medium, Recovered, RecoveryError, Replayed,
    VisitError, Visitor, check_versions, is_whole, recover, recover_with,
};
