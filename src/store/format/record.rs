//! What a log is made of besides message octets: the records at the end of frames.

use super::ids::{BatchId, Fragment, MailboxId};
use super::keywords::KeywordList;
use imap::types::{
    FlagChange, Flags, InternalDate, Keyword, ModSeq, SpecialUse, Uid, UidRange, UidValidity,
};

/// A change, as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Messages of a batch that is not committed yet. A batch has one or more of these; the octets
    /// they point to stand in this frame or in earlier ones.
    Messages {
        /// The batch they belong to.
        batch: BatchId,
        /// In the order in which they were sent.
        messages: Vec<MessageRecord>,
    },
    /// Messages of a batch that is not committed yet, like `Messages`, whose octets came with
    /// earlier batches: what COPY and MOVE bring into a mailbox. Those octets were durable, and had
    /// been checked, before this batch began; nobody checks them again for its sake.
    References {
        /// The batch they belong to.
        batch: BatchId,
        /// In the order in which they get their UIDs.
        messages: Vec<MessageRecord>,
    },
    /// The first fragments of the next message in a `Messages` or `References` record of this
    /// batch, for a message in so many pieces that one frame cannot name them all. There may be
    /// several of these.
    Fragments {
        /// The batch the message belongs to.
        batch: BatchId,
        /// In order; those in the [`MessageRecord`] come after them.
        fragments: Vec<Fragment>,
    },
    /// The commit footer: makes all `Messages` and `References` of the batch part of the mailbox,
    /// with ascending UIDs from `first_uid` on.
    Commit(Commit),
    /// The batch will never be committed. Without this record it is the same, but whoever reads the
    /// log keeps the batch in mind to the end.
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
        /// What it is meant for (RFC 6154), as bits.
        uses: SpecialUse,
    },
    /// Another name for a mailbox and for all mailboxes below it. They keep their identifiers and
    /// UIDVALIDITYs.
    RenameMailbox {
        /// Their owner.
        account: Box<str>,
        /// The old name. There need not be a mailbox of this name, if there are some below it.
        from: Box<str>,
        /// The new one.
        to: Box<str>,
    },
    /// A name that LSUB lists from now on, or lists no longer; whether there is a mailbox of that
    /// name makes no difference.
    Subscribe {
        /// Whose list.
        account: Box<str>,
        /// As the name of a mailbox is written.
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
    /// New flags of messages that exist. UIDs that do not exist are passed over.
    SetFlags {
        /// Owner of the mailbox.
        account: Box<str>,
        /// Where.
        mailbox: MailboxId,
        /// Mod-sequence that the changed messages get.
        modseq: ModSeq,
        /// Which.
        uids: Vec<UidRange>,
        /// How.
        change: FlagChange,
        /// System flags.
        flags: Flags,
        /// Keywords.
        keywords: Vec<Keyword>,
    },
    /// Messages taken out of a mailbox for good. UIDs that do not exist are passed over.
    Expunge {
        /// Owner of the mailbox.
        account: Box<str>,
        /// Where.
        mailbox: MailboxId,
        /// Mod-sequence of the change.
        modseq: ModSeq,
        /// Which.
        uids: Vec<UidRange>,
    },
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
    /// Mod-sequence of all of them.
    pub modseq: ModSeq,
    /// When they were saved (RFC 8514), seconds since 1970 UTC.
    pub save_date: i64,
    /// How many messages the batch has. At least one.
    pub messages: u32,
    /// Octets of all of them.
    pub octets: u64,
}

/// One message of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRecord {
    /// RFC822.SIZE in octets: the sum of its fragments, those in `Fragments` records before it
    /// included. At least 1.
    pub size: u64,
    /// INTERNALDATE.
    pub date: InternalDate,
    /// System flags.
    pub flags: Flags,
    /// Keywords. A record names each once, and each set of them once.
    pub keywords: KeywordList,
    /// XXH3-128 (seed 0) of its octets.
    pub checksum: u128,
    /// Where its octets are, in order.
    pub fragments: Vec<Fragment>,
}
