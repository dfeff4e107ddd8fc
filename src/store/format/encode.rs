//! Records to octets, in place. Octet by octet: [`crate::manual::format`].

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::fields::{
    BATCH, ENTRY, FRAGMENT, HEAD, NO_VALUE, RANGE, count, keyword_len, put_text, short, text_len,
};
use super::ids::{BatchId, Fragment};
use super::octets::Put;
use super::packing::{KeywordTable, table_of};
use super::record::{Commit, MessageRecord, MetadataEntry, Record};
use super::relocation;
use crate::limits::KEYWORD_LENGTH;
use imap::types::{FlagChange, Keyword, UidRange};

/// The kinds of records, with their numbers on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Kind {
    Messages = 1,
    Fragments = 2,
    Commit = 3,
    Cancel = 4,
    CreateMailbox = 5,
    DeleteMailbox = 6,
    SetFlags = 7,
    Expunge = 8,
    References = 9,
    RenameMailbox = 10,
    Subscribe = 11,
    SetMetadata = 12,
    // 13 to 15: see RESERVED.
    Relocate = 16,
}

/// Kinds that only a mailrace that runs on several machines writes, with their names.
const RESERVED: [(u16, &str); 3] = [(13, "give slot"), (14, "take slot"), (15, "retention")];

/// The name of a reserved kind of record.
pub(in crate::store) fn reserved(kind: u16) -> Option<&'static str> {
    RESERVED.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}

impl Kind {
    /// The version in which records of this kind are written.
    fn version(self) -> u16 {
        match self {
            // Version 0 had no special uses.
            Kind::CreateMailbox => 1,
            // Version 0 spelled out the keywords of each message.
            Kind::Messages => 1,
            // Version 1 had no EMAILIDs; neither had version 0 of commits.
            Kind::References => 2,
            Kind::Commit => 1,
            _ => 0,
        }
    }
}

impl Record {
    /// Length in a frame in bytes, a multiple of 8.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let body = match self {
            Record::Messages { messages, .. } => return Record::messages_len(messages),
            Record::References { messages, .. } => return Record::references_len(messages),
            Record::Fragments { fragments, .. } => BATCH + fragments.len() * FRAGMENT,
            Record::Commit(commit) => 56 + text_len(&commit.account),
            Record::Cancel { .. } => 8,
            Record::CreateMailbox { account, name, .. } => 16 + text_len(account) + text_len(name),
            Record::DeleteMailbox { account, .. } => 8 + text_len(account),
            Record::SetFlags { account, uids, keywords, .. } => {
                24 + uids.len() * RANGE + keywords_len(keywords) + text_len(account)
            }
            Record::Expunge { account, uids, .. } => 24 + uids.len() * RANGE + text_len(account),
            Record::RenameMailbox { account, from, to } => {
                text_len(account) + text_len(from) + text_len(to)
            }
            Record::Subscribe { account, name, .. } => 2 + text_len(account) + text_len(name),
            Record::SetMetadata { account, entries, .. } => {
                16 + text_len(account) + entries.iter().map(entry_len).sum::<usize>()
            }
            Record::Relocate { account, messages, .. } => relocation::len(account, messages),
        };
        (HEAD + body).next_multiple_of(8)
    }

    /// Writes the record to the beginning of `out`, and returns
    /// [`encoded_len`](Self::encoded_len).
    ///
    /// # Panics
    /// When `out` is shorter than that, or a name or list is too long for its count (65,535 bytes
    /// of account name or mailbox name, 65,535 keywords, fragments of a relocated message, or
    /// segments of a `Relocate`): the layers above bound them. When a
    /// message of a `Messages` record has an EMAILID, or one of a `References` record has none.
    pub fn encode(&self, out: &mut [u8]) -> usize {
        let total = self.encoded_len();
        let (head, body) = out[..total].split_at_mut(HEAD);
        let mut put = Put::new(body);
        let kind = self.encode_body(&mut put);
        let length = put.len();
        put.pad();
        assert_eq!(
            put.len() + HEAD,
            total,
            "a record of kind {kind:?} has another length than said"
        );
        let (number, version) = (kind as u16, kind.version());
        let checksum = checksum(length as u32, number, version, &body[..length]);
        let mut put = Put::new(head);
        put.u32(length as u32);
        put.u16(number);
        put.u16(version);
        put.u64(checksum);
        total
    }

    fn encode_body(&self, put: &mut Put<'_>) -> Kind {
        match self {
            Record::Messages { batch, messages } => {
                put_messages(put, *batch, messages, Kind::Messages);
                Kind::Messages
            }
            Record::References { batch, messages } => {
                put_messages(put, *batch, messages, Kind::References);
                Kind::References
            }
            Record::Fragments { batch, fragments } => {
                put.u64(batch.0);
                put.u32(count(fragments.len()));
                put.u32(0);
                fragments.iter().for_each(|&fragment| put_fragment(put, fragment));
                Kind::Fragments
            }
            Record::Commit(commit) => {
                put_commit(put, commit);
                Kind::Commit
            }
            Record::Cancel { batch } => {
                put.u64(batch.0);
                Kind::Cancel
            }
            Record::CreateMailbox { account, mailbox, name, uid_validity, uses } => {
                put.u64(mailbox.0);
                put.u32(uid_validity.0);
                put.u16(uses.0);
                put.u16(0);
                put_text(put, account);
                put_text(put, name);
                Kind::CreateMailbox
            }
            Record::DeleteMailbox { account, mailbox } => {
                put.u64(mailbox.0);
                put_text(put, account);
                Kind::DeleteMailbox
            }
            Record::SetFlags { account, mailbox, modseq, uids, change, flags, keywords } => {
                put.u64(mailbox.0);
                put.u64(modseq.0);
                put.u32(count(uids.len()));
                put.u16(short(keywords.len()));
                put.u8(flags.0);
                put.u8(change_code(*change));
                uids.iter().for_each(|&range| put_range(put, range));
                keywords.iter().for_each(|keyword| put_keyword(put, keyword));
                put_text(put, account);
                Kind::SetFlags
            }
            Record::Expunge { account, mailbox, modseq, uids } => {
                put.u64(mailbox.0);
                put.u64(modseq.0);
                put.u32(count(uids.len()));
                put.u32(0);
                uids.iter().for_each(|&range| put_range(put, range));
                put_text(put, account);
                Kind::Expunge
            }
            Record::RenameMailbox { account, from, to } => {
                [account, from, to].into_iter().for_each(|text| put_text(put, text));
                Kind::RenameMailbox
            }
            Record::Subscribe { account, name, subscribed } => {
                put.u8(u8::from(*subscribed));
                put.u8(0);
                put_text(put, account);
                put_text(put, name);
                Kind::Subscribe
            }
            Record::SetMetadata { account, mailbox, uses, entries } => {
                put.u64(mailbox.0);
                put.u16(uses.unwrap_or_default().0);
                put.u8(u8::from(uses.is_some()));
                put.u8(0);
                put.u32(count(entries.len()));
                put_text(put, account);
                entries.iter().for_each(|entry| put_entry(put, entry));
                Kind::SetMetadata
            }
            Record::Relocate { account, mailbox, messages } => {
                relocation::put(put, account, *mailbox, messages);
                Kind::Relocate
            }
        }
    }

    /// Bytes of a `Messages` or `References` record without its messages and their keywords.
    pub const MESSAGES_OVERHEAD: usize = HEAD + BATCH;

    /// How many fragments fit into one `Fragments` record of at most `octets` bytes.
    #[must_use]
    pub fn fragments_that_fit(octets: usize) -> usize {
        octets.saturating_sub(HEAD + BATCH) / FRAGMENT
    }
}

/// XXH3-64 of the body. Its seed is made of length, kind and version, so it covers them too.
pub(super) fn checksum(length: u32, kind: u16, version: u16, body: &[u8]) -> u64 {
    let seed = u64::from(length) | u64::from(kind) << 32 | u64::from(version) << 48;
    xxh3_64_with_seed(body, seed)
}

fn put_messages(put: &mut Put<'_>, batch: BatchId, messages: &[MessageRecord], kind: Kind) {
    let mut table = table_of(messages);
    put.u64(batch.0);
    put.u32(count(messages.len()));
    put.u16(short(table.names().len()));
    put.u16(short(table.sets().len()));
    table.names().iter().for_each(|keyword| put_keyword(put, keyword));
    for set in table.sets() {
        put.octets(set.octets());
        put.zeros(table.width() - set.octets().len());
    }
    put.pad();
    for message in messages {
        let is_reference = kind == Kind::References;
        assert_eq!(message.email.is_given(), is_reference, "references alone have an EMAILID");
        put_message(put, message, &mut table);
    }
}

fn put_message(put: &mut Put<'_>, message: &MessageRecord, table: &mut KeywordTable) {
    put.u64(message.size);
    put.u64(message.date.to_bits());
    put.u128(message.checksum);
    put.u32(count(message.fragments.len()));
    put.u16(table.number(&message.keywords).expect("the table is that of the messages"));
    put.u8(message.flags.0);
    put.u8(0);
    if message.email.is_given() {
        put.u64(message.email.0);
    }
    message.fragments.iter().for_each(|&fragment| put_fragment(put, fragment));
}

fn put_fragment(put: &mut Put<'_>, fragment: Fragment) {
    put.u64(fragment.segment.0);
    put.u32(fragment.offset);
    put.u32(fragment.length);
}

fn put_commit(put: &mut Put<'_>, commit: &Commit) {
    put.u64(commit.batch.0);
    put.u64(commit.mailbox.0);
    put.u64(commit.modseq.0);
    put.octets(&commit.save_date.to_le_bytes());
    put.u64(commit.octets);
    put.u64(commit.first_email.0);
    put.u32(commit.first_uid.0);
    put.u32(commit.messages);
    put_text(put, &commit.account);
}

fn put_range(put: &mut Put<'_>, range: UidRange) {
    put.u32(range.first.0);
    put.u32(range.last.0);
}

fn put_keyword(put: &mut Put<'_>, keyword: &Keyword) {
    const { assert!(KEYWORD_LENGTH <= u8::MAX as usize) };
    put.u8(keyword.as_str().len() as u8);
    put.octets(keyword.as_str().as_bytes());
}

fn put_entry(put: &mut Put<'_>, entry: &MetadataEntry) {
    put_text(put, &entry.name);
    match &entry.value {
        Some(value) => {
            put.u32(count(value.len()));
            put.octets(value);
        }
        None => put.u32(NO_VALUE),
    }
}

fn entry_len(entry: &MetadataEntry) -> usize {
    ENTRY + entry.name.len() + entry.value.as_ref().map_or(0, |value| value.len())
}

fn keywords_len(keywords: &[Keyword]) -> usize {
    keywords.iter().map(keyword_len).sum()
}

fn change_code(change: FlagChange) -> u8 {
    match change {
        FlagChange::Replace => 0,
        FlagChange::Add => 1,
        FlagChange::Remove => 2,
    }
}
