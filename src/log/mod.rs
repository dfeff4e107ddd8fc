//! The segment log: what is written to the disk, in which order, and how it is read again.
//!
//! ```text
//! record ── encode ─▶ frame ── place from the sequencer ─▶ segment (a file from the pool)
//!                                                             │ after a crash
//! index ◀── changes in order of the log ── recovery ◀─────────┘
//! ```

pub mod frame;
pub mod sequencer;

#[cfg(test)]
mod codec_tests;
mod decode;
mod directory;
mod encode;
mod ids;
mod keywords;
mod lock;
mod octets;
mod packing;
mod pool;
mod preparation;
mod preparing;
mod record;
mod recovery;
mod segment;
mod spare;
mod writer;

pub use decode::{RecordError, decode_records};
pub use directory::Directory;
pub use frame::{FrameHeader, HEADER, sealed_len};
pub use ids::{BatchId, EmailId, Epoch, Fragment, LogId, Lsn, MailboxId, SegmentId};
pub use keywords::{BitSet, KeywordList, bits, has_bit};
pub use lock::{DataLock, LockError};
pub use packing::Packing;
pub use pool::{PoolConfig, PoolCounts, Prepared, SegmentPool};
pub use record::{Commit, MessageRecord, Record};
pub use recovery::{
    Change, Damage, LogPosition, Lost, LostFrames, Medium, Recovered, RecoveryError, Replayed,
    VisitError, Visitor, check_versions, is_whole, recover, recover_with,
};
pub use segment::{HeaderError, SegmentHeader, VERSION};
pub use sequencer::{Place, Sequencer, SyncPlan};
pub use spare::Spare;
pub use writer::{Frame, Hold, Log, LogError, LogGauges, LogStats, Purpose};
