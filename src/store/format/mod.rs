//! What lies on the disk, octet by octet: segments, frames and records. No I/O.

pub mod frame;

#[cfg(test)]
mod codec_tests;
mod decode;
mod encode;
mod fields;
mod ids;
mod incoming;
mod keywords;
pub(super) mod octets;
mod packing;
mod place;
mod record;
mod relocation;
mod segment;

pub use decode::decode_records;
pub(super) use encode::reserved;
pub use fields::RecordError;
pub(super) use frame::{FrameHeader, HEADER, records_at, seal, sealed_len};
pub use ids::{AccountSlot, BatchId, EmailId, Epoch, Fragment, LogId, Lsn, MailboxId, SegmentId};
pub use incoming::{Fragments, Incoming, place};
pub use keywords::{BitSet, KeywordList, bits, has_bit};
pub use packing::Packing;
pub use place::{LogPosition, Place};
pub use record::{Commit, MessageRecord, MetadataEntry, Record, Relocated};
pub(super) use segment::opening;
pub use segment::{HeaderError, ReadyHeader, SegmentHeader, VERSION};
