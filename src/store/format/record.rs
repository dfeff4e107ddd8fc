//! Records, at the end of frames: everything in a log besides the octets of messages.

use super::ids::{BatchId, EmailId, Fragment, MailboxId, SegmentId};
use super::incoming::THIS_FRAME;
use super::keywords::KeywordList;
use imap::types::{
    FlagChange, Flags, InternalDate, Keyword, ModSeq, SpecialUse, Uid, UidRange, UidValidity,
};

/// A change, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Messages of a batch that is not committed yet. A batch has one or more of these. The octets
    /// they point to are in this frame or in earlier ones.
    Messages {
        /// The batch they belong to.
        batch: BatchId,
        /// In the order in which they were sent.
        messages: Vec<MessageRecord>,
    },
    /// Like `Messages`, for messages whose octets came with earlier batches: COPY and MOVE write
    /// these. The octets were durable and checked before this batch began, so they are not checked
    /// again with it.
    References {
        /// The batch they belong to.
        batch: BatchId,
        /// In the order in which they get their UIDs.
        messages: Vec<MessageRecord>,
    },
    /// The first fragments of the next message in a `Messages` or `References` record of this
    /// batch, when the message is in more pieces than one frame can name. There may be several of
    /// these.
    Fragments {
        /// The batch the message belongs to.
        batch: BatchId,
        /// In order. Those in the [`MessageRecord`] follow.
        fragments: Vec<Fragment>,
    },
    /// The commit footer. It makes all `Messages` and `References` of the batch part of the
    /// mailbox, with ascending UIDs from `first_uid` on.
    Commit(Commit),
    /// The batch will never be committed. Without this record the result is the same, but a reader
    /// of the log has to remember the batch to the end.
    Cancel {
        /// The batch.
        batch: BatchId,
    },
    /// A new mailbox.
    CreateMailbox {
        /// Its owner.
        account: Box<str>,
        /// Its identifier.
        mailbox: MailboxId,
        /// Its name in UTF-8, levels divided by `/`, INBOX in capitals.
        name: Box<str>,
        /// Its UIDVALIDITY.
        uid_validity: UidValidity,
        /// Its special uses (RFC 6154), as bits.
        uses: SpecialUse,
    },
    /// A new name for a mailbox and for all mailboxes below it. They keep identifier and
    /// UIDVALIDITY.
    RenameMailbox {
        /// Their owner.
        account: Box<str>,
        /// The old name. The mailbox itself need not exist, if there are some below it.
        from: Box<str>,
        /// The new one.
        to: Box<str>,
    },
    /// A name that LSUB lists from now on, or no longer lists. There need not be a mailbox of that
    /// name.
    Subscribe {
        /// The account whose list it is.
        account: Box<str>,
        /// Written like the name of a mailbox.
        name: Box<str>,
        /// Whether it is listed.
        subscribed: bool,
    },
    /// The special use of a mailbox and entries of its metadata (RFC 5464, RFC 6154 section 4).
    /// Entries that are not named stay as they are.
    SetMetadata {
        /// Its owner.
        account: Box<str>,
        /// The mailbox.
        mailbox: MailboxId,
        /// Its special uses from now on; `None` leaves them as they are.
        uses: Option<SpecialUse>,
        /// Entries, each once.
        entries: Vec<MetadataEntry>,
    },
    /// The end of a mailbox and of all messages in it.
    DeleteMailbox {
        /// Its owner.
        account: Box<str>,
        /// Its identifier.
        mailbox: MailboxId,
    },
    /// New flags for messages. UIDs that do not exist are skipped.
    SetFlags {
        /// Owner of the mailbox.
        account: Box<str>,
        /// The mailbox.
        mailbox: MailboxId,
        /// Mod-sequence that the changed messages get.
        modseq: ModSeq,
        /// UIDs of the messages.
        uids: Vec<UidRange>,
        /// Whether the flags are added, removed, or replace all others.
        change: FlagChange,
        /// System flags.
        flags: Flags,
        /// Keywords.
        keywords: Vec<Keyword>,
    },
    /// Messages removed from a mailbox for good. UIDs that do not exist are skipped.
    Expunge {
        /// Owner of the mailbox.
        account: Box<str>,
        /// The mailbox.
        mailbox: MailboxId,
        /// Mod-sequence of the change.
        modseq: ModSeq,
        /// UIDs of the messages.
        uids: Vec<UidRange>,
    },
    /// New places for the octets of messages. Nothing else of them changes, so no session is told.
    /// UIDs that do not exist are skipped. The octets were durable in their new places before this
    /// record was composed.
    Relocate {
        /// Owner of the mailbox.
        account: Box<str>,
        /// The mailbox. If others have copies of a message, each gets its own record.
        mailbox: MailboxId,
        /// The messages, ascending by UID.
        messages: Vec<Relocated>,
    },
}

/// See [`Record::Relocate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocated {
    /// The message.
    pub uid: Uid,
    /// Where its octets lie from now on, in order: at least one fragment, as long together as the
    /// message.
    pub fragments: Vec<Fragment>,
}

impl Relocated {
    /// A message without octets yet.
    #[must_use]
    pub fn new(uid: Uid) -> Relocated {
        Relocated { uid, fragments: Vec::new() }
    }

    /// Adds its next octets, which are in the frame being filled: `length` of them from `offset`
    /// on.
    ///
    /// # Panics
    /// When the octets of one message do not lie together in a frame.
    pub fn octets(&mut self, offset: usize, length: usize) {
        let [offset, length] =
            [offset, length].map(|n| u32::try_from(n).expect("a frame is small"));
        match self.fragments.last_mut() {
            Some(last) if last.segment == THIS_FRAME => {
                assert_eq!(last.offset + last.length, offset, "octets of a message lie together");
                last.length += length;
            }
            _ => self.fragments.push(Fragment { segment: THIS_FRAME, offset, length }),
        }
    }

    /// Gives its octets in the frame that was being filled the place of that frame.
    pub fn place(&mut self, (segment, offset): (SegmentId, u32)) {
        if let Some(last) = self.fragments.last_mut().filter(|last| last.segment == THIS_FRAME) {
            last.segment = segment;
            last.offset += offset;
        }
    }
}

/// See [`Record::SetMetadata`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataEntry {
    /// In lower case: the case of entry names does not count (RFC 5464 section 3.2).
    pub name: Box<str>,
    /// Any octets; `None` takes the entry away.
    pub value: Option<Box<[u8]>>,
}

/// See [`Record::Commit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The batch.
    pub batch: BatchId,
    /// Owner of the mailbox.
    pub account: Box<str>,
    /// Where the messages go.
    pub mailbox: MailboxId,
    /// UID of the first message; the others follow without a gap.
    pub first_uid: Uid,
    /// EMAILID of the first message; the others follow like the UIDs. Messages of a `References`
    /// record have their own instead. 0 in a batch that has only such messages.
    pub first_email: EmailId,
    /// Mod-sequence of all of them.
    pub modseq: ModSeq,
    /// SAVEDATE (RFC 8514) of all of them, in seconds since 1970 UTC.
    pub save_date: i64,
    /// How many messages the batch has. At least one.
    pub messages: u32,
    /// Octets of all of them.
    pub octets: u64,
}

/// One message of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRecord {
    /// RFC822.SIZE in octets: the sum of its fragments, including those in `Fragments` records
    /// before it. At least 1.
    pub size: u64,
    /// INTERNALDATE.
    pub date: InternalDate,
    /// System flags.
    pub flags: Flags,
    /// Keywords. A record names each once, and each set of them once.
    pub keywords: KeywordList,
    /// EMAILID. 0 in a `Messages` record: the commit gives it.
    pub email: EmailId,
    /// XXH3-128 (seed 0) of its octets.
    pub checksum: u128,
    /// Where its octets lie, in order.
    pub fragments: Vec<Fragment>,
}
