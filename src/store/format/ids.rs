//! Names of what lies on the disk, as types of their own, so that no offset is ever taken for a
//! log sequence number.

use std::fmt;

use imap::id;

id!(
    /// Log sequence number of a frame: ascends by one within a log of one epoch, from 1.
    Lsn(u64)
);
id!(
    /// A segment file, unique in the data folder for ever, from 1.
    SegmentId(u64)
);
id!(
    /// One reactor's log within an epoch, from 0.
    LogId(u16)
);
id!(
    /// One run of the server on this data folder, from 1: orders an account's older logs before
    /// its newer ones.
    Epoch(u32)
);
id!(
    /// A mailbox, unique in the data folder for ever; a renamed mailbox keeps it.
    MailboxId(u64)
);
id!(
    /// A batch (all messages of one APPEND) within one log of one epoch.
    BatchId(u64)
);

/// A run of octets in a segment: part of a message, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// The file.
    pub segment: SegmentId,
    /// Offset from the start of the file, in octets. Segments stay under 4 GiB.
    pub offset: u32,
    /// Length in octets.
    pub length: u32,
}

impl LogId {
    /// The log that an account's changes go to, of so many: always the same for the same number.
    #[must_use]
    pub fn of_account(name: &str, logs: u16) -> LogId {
        let hash = xxhash_rust::xxh3::xxh3_64(name.as_bytes());
        LogId(u16::try_from(hash % u64::from(logs.max(1))).expect("smaller than the count"))
    }
}

/// What tells a message's octets from those of all others, and stays with them when the message is
/// copied or moved: EMAILID (RFC 8474 section 5.1). It is where the first octet lies in the log. No
/// two messages that were received begin at the same octet, since each has one at least and none is
/// ever written over; no segment gets the number of another; copies name the same octets. Whoever
/// writes messages to another place has to keep the identity they had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailId {
    /// The segment.
    pub segment: SegmentId,
    /// Where in it, in octets.
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
