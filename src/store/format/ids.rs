//! Identifiers of what lies on the disk. Each is a type of its own, so that an offset cannot be
//! mistaken for a log sequence number.

use std::fmt;

use imap::id;

id!(
    /// Log sequence number of a frame: from 1, ascending by one within a log of one epoch.
    Lsn(u64)
);
id!(
    /// A segment: its epoch in the upper 24 bits, and a number from 1 within the epoch. A number is
    /// never used again in a data folder.
    SegmentId(u64)
);
id!(
    /// One reactor's log within an epoch, from 0.
    LogId(u16)
);
id!(
    /// One run of the server on this data folder, from 1 to [`Epoch::LAST`]. Epochs order the older
    /// logs of an account before its newer ones.
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
id!(
    /// The part of a data folder's accounts that an account belongs to, below [`AccountSlot::ALL`].
    /// It depends on the name alone.
    AccountSlot(u16)
);

/// Bits of a segment's number that count within its epoch.
const WITHIN_EPOCH: u32 = 40;

impl Epoch {
    /// The last epoch that segment numbers have room for.
    pub const LAST: Epoch = Epoch((1 << (u64::BITS - WITHIN_EPOCH)) - 1);
}

impl SegmentId {
    /// The first segment of an epoch.
    #[must_use]
    pub fn first_of(epoch: Epoch) -> SegmentId {
        SegmentId((u64::from(epoch.0) << WITHIN_EPOCH) + 1)
    }

    /// The highest number of an epoch.
    #[must_use]
    pub fn last_of(epoch: Epoch) -> SegmentId {
        SegmentId(((u64::from(epoch.0) + 1) << WITHIN_EPOCH) - 1)
    }

    /// The epoch in the number. 0 in the numbers that older versions of the format gave.
    #[must_use]
    pub fn epoch(self) -> Epoch {
        Epoch(u32::try_from(self.0 >> WITHIN_EPOCH).expect("24 bits are left"))
    }
}

/// EMAILID (RFC 8474 section 5.1): identifies a message in its account, from 1. A message gets the
/// next number of its account with its UID; COPY and MOVE carry it along, and no other message of
/// the account ever gets it. It says nothing about where the octets lie. 0 stands for a number that
/// is still to be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailId(pub u64);

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

impl AccountSlot {
    /// How many slots there are.
    pub const ALL: u16 = 4096;

    /// The slot of an account.
    #[must_use]
    pub fn of_account(name: &str) -> AccountSlot {
        let hash = xxhash_rust::xxh3::xxh3_64(name.as_bytes()) % u64::from(AccountSlot::ALL);
        AccountSlot(u16::try_from(hash).expect("smaller than the count"))
    }

    /// The log that the changes of this slot's accounts go to when there are this many.
    #[must_use]
    pub fn log(self, logs: u16) -> LogId {
        LogId(self.0 % logs.max(1))
    }
}

impl LogId {
    /// The log that an account's changes go to when there are this many. It depends on the name
    /// and the number alone.
    #[must_use]
    pub fn of_account(name: &str, logs: u16) -> LogId {
        AccountSlot::of_account(name).log(logs)
    }
}

impl EmailId {
    /// The number of the message this many places after the one with this number. `None` when there
    /// are no such numbers.
    #[must_use]
    pub fn plus(self, places: u32) -> Option<EmailId> {
        self.0.checked_add(u64::from(places)).map(EmailId)
    }

    /// Whether it was given to a message.
    #[must_use]
    pub fn is_given(self) -> bool {
        self != EmailId(0)
    }
}

/// As an `objectid`, without the parentheses around it.
///
/// ```abnf
/// objectid = 1*255(ALPHA / DIGIT / "_" / "-")
/// ```
impl fmt::Display for EmailId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "M{:x}", self.0)
    }
}
