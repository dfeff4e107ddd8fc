//! Identifiers as types of their own, so that no offset is ever taken for a UID.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl $name {
            /// The one after this. Identifiers are never wide enough to run out by honest use;
            /// running out is a bug and stops the process.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.checked_add(1).expect(concat!(stringify!($name), " ran out")))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

id!(
    /// Unique identifier of a message in its mailbox, 1 and up (RFC 3501 section 2.3.1.1).
    Uid(u32)
);
id!(
    /// The mailbox's UIDVALIDITY, non-zero (RFC 3501 section 2.3.1.1).
    UidValidity(u32)
);
id!(
    /// A mod-sequence, 1 to 2^63 - 1 (RFC 7162 section 3.1).
    ModSeq(u64)
);
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

/// An ascending range of UIDs, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UidRange {
    /// The lowest.
    pub first: Uid,
    /// The highest.
    pub last: Uid,
}

impl UidRange {
    /// Whether `uid` lies in the range.
    #[must_use]
    pub fn contains(self, uid: Uid) -> bool {
        self.first <= uid && uid <= self.last
    }
}
