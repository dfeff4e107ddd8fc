//! A message while it is received: its record, before the place of its last octets is known.
//!
//! Octets are received into a frame that has no place in the log yet. Until it has one, fragments
//! in it count from its start:
//!
//! ```text
//! received           frame is placed at 8192 of segment 7     received into the next frame
//! this frame, 128 ─▶ segment 7, 8320                      ─▶  segment 7, 8320 · this frame, 128
//! ```

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::ids::{EmailId, Fragment, SegmentId};
use super::keywords::KeywordList;
use super::record::MessageRecord;
use imap::types::{Flags, InternalDate};

/// Stands for the segment in fragments that lie in a frame without a place. No segment has the
/// number 0.
pub(super) const THIS_FRAME: SegmentId = SegmentId(0);

/// Fragments of one message, in order.
pub type Fragments = Vec<Fragment>;

/// A message of which some octets are still to come.
pub struct Incoming {
    record: MessageRecord,
    /// Half a kilobyte; created only when the message does not come in one piece.
    hash: Option<Box<Xxh3>>,
    announced: u64,
}

impl Incoming {
    /// A message of this many octets, none of which was received.
    #[must_use]
    pub fn new(
        announced: u64,
        date: InternalDate,
        flags: Flags,
        keywords: KeywordList,
    ) -> Incoming {
        let (size, checksum, fragments) = (0, 0, Vec::with_capacity(1));
        let email = EmailId::default();
        let record = MessageRecord { size, date, flags, keywords, email, checksum, fragments };
        Incoming { record, hash: None, announced }
    }

    /// Takes the next octets, which lie at `offset` of the frame being filled.
    ///
    /// # Panics
    /// When they do not follow those before them.
    pub fn octets(&mut self, octets: &[u8], offset: usize) {
        let offset = u32::try_from(offset).expect("a frame is small");
        let length = u32::try_from(octets.len()).expect("a frame is small");
        let record = &mut self.record;
        record.size += u64::from(length);
        assert!(record.size <= self.announced, "a message has more octets than were announced");
        if record.size == self.announced && self.hash.is_none() {
            record.checksum = xxh3_128(octets);
        } else {
            self.hash.get_or_insert_with(|| Box::new(Xxh3::new())).update(octets);
        }
        match record.fragments.last_mut() {
            Some(last) if last.segment == THIS_FRAME => {
                assert_eq!(last.offset + last.length, offset, "octets of a message lie together");
                last.length += length;
            }
            _ => record.fragments.push(Fragment { segment: THIS_FRAME, offset, length }),
        }
    }

    /// The record of the message, all of which was received.
    ///
    /// # Panics
    /// When some of it was not.
    #[must_use]
    pub fn end(self) -> MessageRecord {
        let mut record = self.record;
        assert_eq!(record.size, self.announced, "the literal had another size");
        if let Some(hash) = self.hash {
            record.checksum = hash.digest128();
        }
        record
    }

    /// Whether its fragments take at least this many bytes of memory.
    #[must_use]
    pub fn has_fragments_for(&self, octets: usize) -> bool {
        self.record.fragments.len() >= (octets / size_of::<Fragment>()).max(1)
    }

    /// Takes out its fragments so far, all of which are placed.
    #[must_use]
    pub fn take_fragments(&mut self) -> Fragments {
        std::mem::take(&mut self.record.fragments)
    }
}

/// Gives messages the place of the frame that was being filled. `messages` are those that ended in
/// it or before, the last one first; `incoming` is the one that comes after them.
pub fn place<'a>(
    incoming: Option<&mut Incoming>,
    messages: impl Iterator<Item = &'a mut MessageRecord>,
    (segment, offset): (SegmentId, u32),
) {
    let placed = |record: &mut MessageRecord| match record.fragments.last_mut() {
        Some(last) if last.segment == THIS_FRAME => {
            last.segment = segment;
            last.offset += offset;
            true
        }
        _ => false,
    };
    // The message that is still coming may have nothing in this frame. The others are in order.
    if let Some(incoming) = incoming {
        placed(&mut incoming.record);
    }
    for message in messages {
        if !placed(message) {
            break;
        }
    }
}
