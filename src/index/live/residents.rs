//! The messages that lie in a segment.

use redb::{ReadableDatabase, ReadableTable};

use super::counts::Live;
use super::tables::{LIVE, SEGMENTS};
use crate::index::chunk::{Chunk, Entry};
use crate::index::error::CatalogError;
use crate::index::failure::Failure;
use crate::index::file::CatalogFile;
use crate::reactor::thresholds;
use crate::store::{Fragment, Fragments, MailboxId, SegmentId, Stored};
use imap::types::Uid;

/// What lives in each segment: see [`CatalogFile::live`].
pub(super) fn all(database: &impl ReadableDatabase) -> Result<Vec<(SegmentId, Live)>, Failure> {
    let table = database.begin_read()?.open_table(SEGMENTS)?;
    let mut live = Vec::new();
    for row in table.iter()? {
        let (segment, row) = row?;
        let (fragments, octets) = row.value();
        live.push((SegmentId(segment.value()), Live { fragments, octets }));
    }
    Ok(live)
}

impl CatalogFile {
    /// What lives in each segment, ascending by segment; segments in which nothing lives are left
    /// out.
    #[allow(clippy::missing_errors_doc)]
    pub fn live(&self) -> Result<Vec<(SegmentId, Live)>, CatalogError> {
        self.work(all)
    }

    /// The next mailboxes with mail in a segment after `after`, ascending by account and mailbox,
    /// at most `count`.
    #[allow(clippy::missing_errors_doc)]
    pub fn live_in(
        &self,
        segment: SegmentId,
        (account, mailbox): (&str, MailboxId),
        count: usize,
    ) -> Result<Vec<LiveIn>, CatalogError> {
        self.work(|database| {
            let table = database.begin_read()?.open_table(LIVE)?;
            let from = (segment.0, account, mailbox.0);
            let mut found = Vec::new();
            for row in table.range(from..(segment.0 + 1, "", 0))? {
                let (key, row) = row?;
                let (_, account, id) = key.value();
                if key.value() == from {
                    continue;
                }
                let (fragments, octets) = row.value();
                let live = Live { fragments, octets };
                found.push(LiveIn { account: account.into(), mailbox: MailboxId(id), live });
                if found.len() == count {
                    break;
                }
            }
            Ok(found)
        })
    }
}

/// What a mailbox has in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveIn {
    /// Owner of the mailbox.
    pub account: Box<str>,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// What lives in the segment because of it.
    pub live: Live,
}

/// Chunks whose messages are read at a time: about 4,096 messages.
const RESIDENT_CHUNKS: usize = 8;

/// A message with octets in a segment.
#[derive(Clone, Debug)]
pub struct Resident {
    /// Its UID.
    pub uid: Uid,
    size: u64,
    checksum: u128,
    fragments: Fragments,
}

impl Resident {
    fn of(entry: Entry<'_>) -> Resident {
        let (uid, size, checksum) = (entry.uid(), entry.size(), entry.checksum());
        Resident { uid, size, checksum, fragments: entry.fragments().collect() }
    }

    /// Where it begins: the segment and the offset. Copies begin at the same place, and no other
    /// message does.
    #[must_use]
    pub fn begins_at(&self) -> (SegmentId, u32) {
        self.fragments.first().map_or_else(Default::default, |first| (first.segment, first.offset))
    }
}

impl Stored for Resident {
    fn size(&self) -> u64 {
        self.size
    }

    fn checksum(&self) -> u128 {
        self.checksum
    }

    fn fragment(&self, index: usize) -> Option<Fragment> {
        self.fragments.get(index).copied()
    }
}

/// Some of the messages of a mailbox that have octets in a segment.
#[derive(Debug)]
pub struct Residents {
    /// The messages, ascending by UID.
    pub messages: Vec<Resident>,
    /// Their chunks, for [`Mailbox::bring`](crate::index::Mailbox::bring).
    pub chunks: Vec<(Uid, Chunk)>,
    /// Where to go on; `None` at the end of the mailbox.
    pub next: Option<Uid>,
}

impl CatalogFile {
    /// The messages with octets in this segment in the next few chunks of a mailbox that begin at
    /// or above `from`.
    #[allow(clippy::missing_errors_doc)]
    pub fn residents(
        &self,
        segment: SegmentId,
        mailbox: MailboxId,
        from: Uid,
    ) -> Result<Residents, CatalogError> {
        let count = RESIDENT_CHUNKS.min(thresholds().chunks_at_once);
        let piece = self.chunks_up_to(count, mailbox, from)?;
        let lies_there = |entry: &Entry<'_>| entry.fragments().any(|f| f.segment == segment);
        let chunks = piece.chunks.into_iter();
        let chunks: Vec<_> =
            chunks.filter(|(_, chunk)| chunk.iter().any(|e| lies_there(&e))).collect();
        let entries = chunks.iter().flat_map(|(_, chunk)| chunk.iter().filter(lies_there));
        let messages = entries.map(Resident::of).collect();
        Ok(Residents { messages, chunks, next: piece.next })
    }
}
