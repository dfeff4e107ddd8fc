//! Identifiers of what lies on the disk. Each is a type of its own, so that an offset cannot be
//! mistaken for a log sequence number.

use std::fmt;

use imap::id;

id!(
    /// Log sequence number of a frame: from 1, ascending by one within a log of one epoch.
    Lsn(u64)
);
id!(
    /// A segment, from 1. A number is never used again in a data folder.
    SegmentId(u64)
);
id!(
    /// One reactor's log within an epoch, from 0.
    LogId(u16)
);
id!(
    /// One run of the server on this data folder, from 1. Epochs order the older logs of an
    /// account before its newer ones.
    Epoch(u32)
);
id!(
    /// A mailbox. Never used again in a data folder; a renamed mailbox keeps it.
    MailboxId(u64)
);
id!(
    /// A batch (all messages of one APPEND, say) within one log of one epoch.
    BatchId(u64)
);

/// A run of octets in a segment: part of a message, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// The segment.
    pub segment: SegmentId,
    /// Offset in the file, in bytes. Segments are shorter than 4 GiB.
    pub offset: u32,
    /// Length in bytes.
    pub length: u32,
}

impl LogId {
    /// The log that an account's changes go to when there are this many. It depends on the name
    /// and the number alone.
    #[must_use]
    pub fn of_account(name: &str, logs: u16) -> LogId {
        let hash = xxhash_rust::xxh3::xxh3_64(name.as_bytes());
        LogId(u16::try_from(hash % u64::from(logs.max(1))).expect("smaller than the count"))
    }
}

/// EMAILID (RFC 8474 section 5.1): identifies the octets of a message, and stays the same when the
/// message is copied or moved. It is the position of the first octet in the log. No two messages
/// that were received begin at the same octet, because each has at least one and none is ever
/// overwritten; no segment gets the number of another; copies refer to the same octets. Code that
/// writes a message to another place must keep its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailId {
    /// The segment.
    pub segment: SegmentId,
    /// Offset in it, in bytes.
    pub offset: u32,
}

/// As an `objectid`, without the parentheses around it.
///
/// ```abnf
/// objectid = 1*255(ALPHA / DIGIT / "_" / "-")
/// ```
impl fmt::Display for EmailId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "M{:x}-{:x}", self.segment.0, self.offset)
    }
}
