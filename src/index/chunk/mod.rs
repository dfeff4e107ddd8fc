//! A chunk: up to 512 messages of a mailbox, ascending by UID, in the catalog's encoding. Accessors
//! read fields in place, so loading a chunk decodes nothing.
//!
//! As a row of the catalog, little-endian:
//!
//! ```text
//! entries   u32   number of entries, at most 512
//! fragments u32   number of fragments in the table
//! entry     88 bytes each, at the offsets below
//! fragment  16 bytes each: segment u64, offset u32, length u32
//! checksum  u64   XXH3-64 of everything before it
//! ```
//!
//! Nearly every message is one fragment, which is stored in its entry. A message in several pieces
//! has them in the table, which follows the order of the entries and has no gaps:
//!
//! ```text
//! entry UID 5   COUNT 1   SEGMENT 7, OFFSET 4096, LENGTH 900     the fragment itself
//! entry UID 6   COUNT 3   SEGMENT 0                              table[0..3]
//! entry UID 8   COUNT 2   SEGMENT 3                              table[3..5]
//! ```

use std::ops::Range;

use super::codec::{Fields, Row};
use super::error::Rot;
use super::keywords::KeywordSet;
use crate::limits::CHUNK_MESSAGES;
use crate::reactor::thresholds;
use crate::store::{EmailId, Fragment, KeywordList, MessageRecord, SegmentId, Stored};
use imap::types::{Flags, InternalDate, ModSeq, Uid, UidRange};

const UID: usize = 0;
const FLAGS: usize = UID + 4;
const ZERO: usize = FLAGS + 1;
const KEYWORDS: usize = ZERO + 3;
/// Number of fragments. If 1, the next three fields are the fragment; otherwise SEGMENT is the
/// index of the first fragment in the table, and OFFSET and LENGTH are zero.
const COUNT: usize = KEYWORDS + 4;
const SEGMENT: usize = COUNT + 4;
const OFFSET: usize = SEGMENT + 8;
const LENGTH: usize = OFFSET + 4;
const MODSEQ: usize = LENGTH + 4;
const DATE: usize = MODSEQ + 8;
const SAVE_DATE: usize = DATE + 8;
const SIZE: usize = SAVE_DATE + 8;
const EMAIL: usize = SIZE + 8;
const CHECKSUM: usize = EMAIL + 8;
const ENTRY: usize = CHECKSUM + 16;
const FRAGMENT: usize = 16;

const _: () = assert!(ENTRY == 88);

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    entries: Vec<[u8; ENTRY]>,
    fragments: Vec<[u8; FRAGMENT]>,
    max_modseq: ModSeq,
}

impl Chunk {
    /// Number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether all UIDs are below `end` and no mod-sequence is above `highest`.
    pub(super) fn is_within(&self, end: Uid, highest: ModSeq) -> bool {
        self.iter().next_back().is_none_or(|last| last.uid() < end) && self.max_modseq <= highest
    }

    /// How full it is.
    pub(super) fn fill(&self) -> Fill {
        Fill { messages: self.len(), fragments: self.fragments.len() }
    }

    /// Approximate bytes in memory and in the catalog.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.entries.len() * ENTRY + self.fragments.len() * FRAGMENT
    }

    /// The message at `index`, counted from 0.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Entry<'_>> {
        self.entries.get(index).map(|octets| Entry { octets, table: &self.fragments })
    }

    /// All messages, ascending by UID.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Entry<'_>> + ExactSizeIterator {
        self.entries.iter().map(|octets| Entry { octets, table: &self.fragments })
    }

    /// The messages in a range of UIDs, ascending.
    pub fn range(
        &self,
        uids: UidRange,
    ) -> impl DoubleEndedIterator<Item = Entry<'_>> + ExactSizeIterator {
        let entries = &self.entries[self.find_range(uids.first, uids.last)];
        entries.iter().map(|octets| Entry { octets, table: &self.fragments })
    }

    /// The highest mod-sequence of all messages, 0 without messages. CHANGEDSINCE (RFC 7162 section
    /// 3.1.4.1) skips the chunk when this is not above the client's value.
    #[must_use]
    pub fn max_modseq(&self) -> ModSeq {
        self.max_modseq
    }

    /// Index of the message with this UID.
    ///
    /// # Errors
    /// When no message has it: the index at which it would be inserted.
    pub fn find(&self, uid: Uid) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&uid, |octets| Uid(u32_at(octets, UID)))
    }

    /// Indices of the messages with UIDs from `first` to `last`.
    #[must_use]
    pub fn find_range(&self, first: Uid, last: Uid) -> Range<usize> {
        let from = self.entries.partition_point(|octets| u32_at(octets, UID) < first.0);
        let to = self.entries.partition_point(|octets| u32_at(octets, UID) <= last.0);
        from..to.max(from)
    }

    /// Appends a message.
    ///
    /// # Panics
    /// When its UID is not above all others.
    pub(super) fn push(&mut self, placed: Placed, message: &MessageRecord) {
        let Placed { uid, email, keywords, modseq, save_date } = placed;
        let last = self.iter().next_back().map(|entry| entry.uid());
        assert!(last < Some(uid), "UIDs of a chunk do not ascend: {uid} after {last:?}");
        let mut octets = [0; ENTRY];
        put(&mut octets, UID, uid.0.to_le_bytes());
        octets[FLAGS] = message.flags.0;
        put(&mut octets, KEYWORDS, keywords.0.to_le_bytes());
        put(&mut octets, MODSEQ, modseq.0.to_le_bytes());
        put(&mut octets, DATE, message.date.to_bits().to_le_bytes());
        put(&mut octets, SAVE_DATE, save_date.to_le_bytes());
        put(&mut octets, SIZE, message.size.to_le_bytes());
        put(&mut octets, EMAIL, email.0.to_le_bytes());
        put(&mut octets, CHECKSUM, message.checksum.to_le_bytes());
        put_fragments(&mut octets, &mut self.fragments, &message.fragments);
        self.entries.push(octets);
        self.max_modseq = self.max_modseq.max(modseq);
    }

    /// Replaces the flags of the message at `index`.
    pub(super) fn set(&mut self, index: usize, flags: Flags, keywords: KeywordSet, modseq: ModSeq) {
        let octets = &mut self.entries[index];
        octets[FLAGS] = flags.0;
        put(octets, KEYWORDS, keywords.0.to_le_bytes());
        put(octets, MODSEQ, modseq.0.to_le_bytes());
        self.max_modseq = self.max_modseq.max(modseq);
    }

    /// Replaces the fragments of the messages for which `new` gives others.
    pub(super) fn relocate<'f>(&mut self, new: impl Fn(Uid) -> Option<&'f [Fragment]>) {
        let old = std::mem::take(&mut self.fragments);
        let table = &mut self.fragments;
        for octets in &mut self.entries {
            let entry = Entry { octets, table: &old };
            if let Some(fragments) = new(entry.uid()) {
                put_fragments(octets, table, fragments);
            } else if entry.count() != 1 {
                let start = table.len() as u64;
                table.extend_from_slice(entry.in_table());
                put(octets, SEGMENT, start.to_le_bytes());
            }
        }
    }

    /// Keeps only the messages for which `keep` is true.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(Entry<'_>) -> bool) {
        let table = std::mem::take(&mut self.fragments);
        let kept = &mut self.fragments;
        let mut max_modseq = ModSeq::default();
        self.entries.retain_mut(|octets| {
            let entry = Entry { octets, table: &table };
            if !keep(entry) {
                return false;
            }
            if entry.count() != 1 {
                let start = kept.len() as u64;
                kept.extend_from_slice(entry.in_table());
                put(octets, SEGMENT, start.to_le_bytes());
            }
            max_modseq = max_modseq.max(ModSeq(u64_at(octets, MODSEQ)));
            true
        });
        self.max_modseq = max_modseq;
    }

    /// Whether both together fit into one chunk.
    pub(super) fn has_room_for(&self, other: &Chunk) -> bool {
        let (limits, both) = (thresholds(), self.fill().and(other.fill()));
        both.messages <= limits.chunk_messages && both.fragments <= limits.chunk_fragments
    }

    /// Appends all messages of `other`, which has higher UIDs.
    pub(super) fn join(&mut self, other: &Chunk) {
        let end = |chunk: &Chunk, at: Option<usize>| at.and_then(|at| Some(chunk.get(at)?.uid()));
        let (last, first) = (end(self, self.len().checked_sub(1)), end(other, Some(0)));
        assert!(first.is_none() || last < first, "a chunk joins one with UIDs above its own");
        let shift = self.fragments.len() as u64;
        self.max_modseq = self.max_modseq.max(other.max_modseq);
        self.fragments.extend_from_slice(&other.fragments);
        self.entries.extend(other.iter().map(|entry| {
            let mut octets = *entry.octets;
            if entry.count() != 1 {
                let start = u64_at(&octets, SEGMENT) + shift;
                put(&mut octets, SEGMENT, start.to_le_bytes());
            }
            octets
        }));
    }

    /// The row of the catalog. [`Chunk::decode`] checks what is asserted here.
    pub(super) fn encode(&self) -> Vec<u8> {
        assert!(self.len() <= CHUNK_MESSAGES, "a chunk has too many entries");
        let mut row = Row::with_capacity(8 + self.octets());
        row.octets(&count(self.entries.len()));
        row.octets(&count(self.fragments.len()));
        row.octets(self.entries.as_flattened());
        row.octets(self.fragments.as_flattened());
        row.seal()
    }

    /// Reads a row of the catalog and checks every entry.
    pub(super) fn decode(row: &[u8]) -> Result<Chunk, Rot> {
        let mut fields = Fields::open(row)?;
        let (entries, fragments) = (fields.u32()? as usize, fields.u32()? as usize);
        if entries > CHUNK_MESSAGES {
            return Err(Rot("a chunk has too many entries"));
        }
        let entries = fields.octets(entries * ENTRY)?.as_chunks().0.to_vec();
        let length = fragments.checked_mul(FRAGMENT).ok_or(Rot("a fragment table is too long"))?;
        let fragments = fields.octets(length)?.as_chunks().0.to_vec();
        fields.end()?;
        let mut chunk = Chunk { entries, fragments, max_modseq: ModSeq::default() };
        chunk.check()?;
        chunk.max_modseq = chunk.iter().map(Entry::modseq).max().unwrap_or_default();
        Ok(chunk)
    }

    /// Checks what the accessors rely on.
    fn check(&self) -> Result<(), Rot> {
        let (mut last, mut in_table) = (Uid(0), 0);
        for entry in self.iter() {
            if entry.uid() <= last {
                return Err(Rot("the UIDs of a chunk do not ascend"));
            }
            last = entry.uid();
            if !entry.email_id().is_given() {
                return Err(Rot("an entry has no EMAILID"));
            }
            if InternalDate::from_bits(u64_at(entry.octets, DATE)).is_none() {
                return Err(Rot("an entry has an impossible date"));
            }
            if entry.count() != 1 {
                if u64_at(entry.octets, SEGMENT) != in_table as u64 {
                    return Err(Rot("the fragments of a chunk are out of order"));
                }
                in_table += entry.count();
                if in_table > self.fragments.len() {
                    return Err(Rot("an entry has fragments beyond the table"));
                }
            }
            if entry.fragments().map(|f| u64::from(f.length)).sum::<u64>() != entry.size() {
                return Err(Rot("the fragments of an entry do not add up to its size"));
            }
        }
        if in_table != self.fragments.len() {
            return Err(Rot("a chunk has fragments that no entry names"));
        }
        Ok(())
    }
}

/// How full a chunk is: messages, and fragments in its table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fill {
    messages: usize,
    fragments: usize,
}

impl Fill {
    /// The fill of two chunks joined.
    pub(super) fn and(self, other: Fill) -> Fill {
        Fill {
            messages: self.messages + other.messages,
            fragments: self.fragments + other.fragments,
        }
    }

    /// Whether the next message has to go into a new chunk.
    pub(super) fn is_full(self) -> bool {
        let limits = thresholds();
        self.messages >= limits.chunk_messages || self.fragments >= limits.chunk_fragments
    }
}

/// What a message gets from the mailbox it is put into, and from its account.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    pub(super) uid: Uid,
    pub(super) email: EmailId,
    pub(super) keywords: KeywordSet,
    pub(super) modseq: ModSeq,
    pub(super) save_date: i64,
}

/// A message in its mailbox.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    octets: &'a [u8; ENTRY],
    table: &'a [[u8; FRAGMENT]],
}

impl<'a> Entry<'a> {
    /// UID.
    #[must_use]
    pub fn uid(self) -> Uid {
        Uid(u32_at(self.octets, UID))
    }

    /// System flags.
    #[must_use]
    pub fn flags(self) -> Flags {
        Flags(self.octets[FLAGS])
    }

    /// Keywords, as a set in the mailbox's table.
    #[must_use]
    pub fn keywords(self) -> KeywordSet {
        KeywordSet(u32_at(self.octets, KEYWORDS))
    }

    /// MODSEQ (RFC 7162).
    #[must_use]
    pub fn modseq(self) -> ModSeq {
        ModSeq(u64_at(self.octets, MODSEQ))
    }

    /// INTERNALDATE.
    #[must_use]
    pub fn date(self) -> InternalDate {
        InternalDate::from_bits(u64_at(self.octets, DATE)).expect("checked when it was read")
    }

    /// SAVEDATE (RFC 8514), seconds since 1970 UTC.
    #[must_use]
    pub fn save_date(self) -> i64 {
        u64_at(self.octets, SAVE_DATE).cast_signed()
    }

    /// RFC822.SIZE in octets.
    #[must_use]
    pub fn size(self) -> u64 {
        u64_at(self.octets, SIZE)
    }

    /// XXH3-128 (seed 0) of the message.
    #[must_use]
    pub fn checksum(self) -> u128 {
        u128::from_le_bytes(array_at(self.octets, CHECKSUM))
    }

    /// EMAILID (RFC 8474 section 5.1).
    #[must_use]
    pub fn email_id(self) -> EmailId {
        EmailId(u64_at(self.octets, EMAIL))
    }

    /// A log record of this message that names its EMAILID and its existing fragments. `keywords`
    /// are those of its set, from the mailbox's table.
    #[must_use]
    pub fn to_record(self, keywords: KeywordList) -> MessageRecord {
        MessageRecord {
            size: self.size(),
            date: self.date(),
            flags: self.flags(),
            keywords,
            email: self.email_id(),
            checksum: self.checksum(),
            fragments: self.fragments().collect(),
        }
    }

    /// The fragments of the message, in order.
    pub fn fragments(self) -> impl ExactSizeIterator<Item = Fragment> + 'a {
        let packed: &[[u8; FRAGMENT]] = match self.count() {
            1 => self.octets[SEGMENT..SEGMENT + FRAGMENT].as_chunks().0,
            _ => self.in_table(),
        };
        packed.iter().map(unpack)
    }

    /// The fragment at `index`, counted from 0.
    #[must_use]
    pub fn fragment(self, index: usize) -> Option<Fragment> {
        match self.count() {
            1 if index == 0 => Some(unpack(&array_at(self.octets, SEGMENT))),
            1 => None,
            _ => self.in_table().get(index).map(unpack),
        }
    }

    fn count(self) -> usize {
        u32_at(self.octets, COUNT) as usize
    }

    fn in_table(self) -> &'a [[u8; FRAGMENT]] {
        let start = u64_at(self.octets, SEGMENT) as usize;
        &self.table[start..start + self.count()]
    }
}

impl Stored for Entry<'_> {
    fn size(&self) -> u64 {
        Entry::size(*self)
    }

    fn checksum(&self) -> u128 {
        Entry::checksum(*self)
    }

    fn fragment(&self, index: usize) -> Option<Fragment> {
        Entry::fragment(*self, index)
    }
}

/// Writes the fragments of a message into its entry, or appends them to the table.
fn put_fragments(
    octets: &mut [u8; ENTRY],
    table: &mut Vec<[u8; FRAGMENT]>,
    fragments: &[Fragment],
) {
    put(octets, COUNT, count(fragments.len()));
    if let [fragment] = *fragments {
        octets[SEGMENT..SEGMENT + FRAGMENT].copy_from_slice(&pack(fragment));
    } else {
        octets[SEGMENT..SEGMENT + FRAGMENT].fill(0);
        put(octets, SEGMENT, (table.len() as u64).to_le_bytes());
        table.extend(fragments.iter().map(|&fragment| pack(fragment)));
    }
}

fn pack(fragment: Fragment) -> [u8; FRAGMENT] {
    let mut octets = [0; FRAGMENT];
    put(&mut octets, 0, fragment.segment.0.to_le_bytes());
    put(&mut octets, OFFSET - SEGMENT, fragment.offset.to_le_bytes());
    put(&mut octets, LENGTH - SEGMENT, fragment.length.to_le_bytes());
    octets
}

fn unpack(octets: &[u8; FRAGMENT]) -> Fragment {
    Fragment {
        segment: SegmentId(u64_at(octets, 0)),
        offset: u32_at(octets, OFFSET - SEGMENT),
        length: u32_at(octets, LENGTH - SEGMENT),
    }
}

fn count(count: usize) -> [u8; 4] {
    u32::try_from(count).expect("a message of 2^64 octets has fewer fragments").to_le_bytes()
}

fn put<const N: usize>(octets: &mut [u8], at: usize, value: [u8; N]) {
    octets[at..at + N].copy_from_slice(&value);
}

fn array_at<const N: usize>(octets: &[u8], at: usize) -> [u8; N] {
    *octets[at..].first_chunk().expect("offsets lie within the entry")
}

fn u32_at(octets: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(octets, at))
}

fn u64_at(octets: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(octets, at))
}

#[cfg(test)]
mod tests;
