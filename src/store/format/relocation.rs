//! The body of a *relocate* record: compact, because cleaning writes one entry for each message
//! that it moves. Fragments name their segment by its number in a table:
//!
//! ```text
//! segments  8, 9
//! UID 5     (0, 4224, 900)                        segment 8 from octet 4224 on, 900 octets
//! UID 7     (0, 5124, 3000) (1, 4224, 70)         the rest of it is in segment 9
//! ```
//!
//! There is one encoding of each record: UIDs ascend, and the table has the segments in the order
//! in which fragments first name them.

use std::collections::{BTreeMap, BTreeSet};

use super::fields::{RecordError, bounded, count, need, put_text, short, text, text_len, zero};
use super::ids::{Fragment, MailboxId, SegmentId};
use super::octets::{Put, Take};
use super::record::{Record, Relocated};
use imap::types::Uid;

/// Bytes of a body before its table, which is followed by the messages and the account.
const FIXED: usize = 16;
/// Bytes of a segment in the table.
const SEGMENT: usize = 8;
/// Bytes of a message without its fragments.
const MESSAGE: usize = 6;
/// Bytes of a fragment.
const FRAGMENT: usize = 10;

/// Length of the body in bytes.
pub(super) fn len(account: &str, messages: &[Relocated]) -> usize {
    let fragments: usize = messages.iter().map(|message| message.fragments.len()).sum();
    let segments = Table::of(messages).segments.len() * SEGMENT;
    FIXED + segments + messages.len() * MESSAGE + fragments * FRAGMENT + text_len(account)
}

pub(super) fn put(put: &mut Put<'_>, account: &str, mailbox: MailboxId, messages: &[Relocated]) {
    let table = Table::of(messages);
    put.u64(mailbox.0);
    put.u32(count(messages.len()));
    put.u16(short(table.segments.len()));
    put.u16(0);
    table.segments.iter().for_each(|segment| put.u64(segment.0));
    for Relocated { uid, fragments } in messages {
        put.u32(uid.0);
        put.u16(short(fragments.len()));
        for fragment in fragments {
            put.u16(short(table.numbers[&fragment.segment]));
            put.u32(fragment.offset);
            put.u32(fragment.length);
        }
    }
    put_text(put, account);
}

pub(super) fn take(body: &mut Take<'_>) -> Result<Record, RecordError> {
    let mailbox = MailboxId(need(body.u64())?);
    let (count, segments) = (need(body.u32())? as usize, usize::from(need(body.u16())?));
    zero(body.u16().map(u64::from))?;
    bounded(body, segments, SEGMENT)?;
    let segment = |_| Ok(SegmentId(need(body.u64())?));
    let segments: Vec<SegmentId> = (0..segments).map(segment).collect::<Result<_, _>>()?;
    bounded(body, count, MESSAGE)?;
    let messages: Vec<Relocated> =
        (0..count).map(|_| message(body, &segments)).collect::<Result<_, _>>()?;
    if !messages.is_sorted_by(|one, next| one.uid < next.uid) {
        return Err(RecordError::Field("UIDs"));
    }
    if Table::of(&messages).segments != segments {
        return Err(RecordError::Field("segments"));
    }
    Ok(Record::Relocate { account: text(body)?, mailbox, messages })
}

fn message(body: &mut Take<'_>, segments: &[SegmentId]) -> Result<Relocated, RecordError> {
    let (uid, count) = (Uid(need(body.u32())?), usize::from(need(body.u16())?));
    if uid.0 == 0 || count == 0 {
        return Err(RecordError::Field("relocated message"));
    }
    bounded(body, count, FRAGMENT)?;
    let fragment = |_| {
        let segment = segments.get(usize::from(need(body.u16())?));
        let segment = *segment.ok_or(RecordError::Field("segments"))?;
        let (offset, length) = (need(body.u32())?, need(body.u32())?);
        if length == 0 || offset.checked_add(length).is_none() {
            return Err(RecordError::Field("fragment"));
        }
        Ok(Fragment { segment, offset, length })
    };
    let fragments = (0..count).map(fragment).collect::<Result<_, _>>()?;
    Ok(Relocated { uid, fragments })
}

/// The segments of all fragments, in order of first use.
#[derive(Default)]
struct Table {
    segments: Vec<SegmentId>,
    numbers: BTreeMap<SegmentId, usize>,
}

impl Table {
    fn of(messages: &[Relocated]) -> Table {
        let mut table = Table::default();
        for fragment in messages.iter().flat_map(|message| &message.fragments) {
            let next = table.segments.len();
            if *table.numbers.entry(fragment.segment).or_insert(next) == next {
                table.segments.push(fragment.segment);
            }
        }
        table
    }
}

impl Relocated {
    /// Bytes that a record grows by when it names this message as well. `segments` has those that
    /// it names already, and is added to.
    #[must_use]
    pub fn len_among(&self, segments: &mut BTreeSet<SegmentId>) -> usize {
        let new = self.fragments.iter().filter(|fragment| segments.insert(fragment.segment));
        MESSAGE + self.fragments.len() * FRAGMENT + new.count() * SEGMENT
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode::decode_records;
    use super::super::encode::checksum;
    use super::*;

    fn fragment(segment: u64, length: u32) -> Fragment {
        Fragment { segment: SegmentId(segment), offset: 4224, length }
    }

    fn sample() -> Record {
        let messages = vec![
            Relocated { uid: Uid(5), fragments: vec![fragment(9, 900)] },
            Relocated { uid: Uid(7), fragments: vec![fragment(9, 30), fragment(8, 70)] },
        ];
        Record::Relocate { account: "anna".into(), mailbox: MailboxId(3), messages }
    }

    /// The record with its body changed, behind a right checksum.
    fn changed(change: impl FnOnce(&mut [u8])) -> Result<Vec<Record>, RecordError> {
        let mut octets = vec![0; sample().encoded_len()];
        sample().encode(&mut octets);
        let length = u32::from_le_bytes(octets[..4].try_into().unwrap());
        let body = &mut octets[16..16 + length as usize];
        change(body);
        let sum = checksum(length, 16, 0, body);
        octets[8..16].copy_from_slice(&sum.to_le_bytes());
        decode_records(&octets, 1)
    }

    #[test]
    fn a_message_of_one_fragment_takes_16_bytes() {
        assert_eq!(changed(|_| {}), Ok(vec![sample()]));
        let Record::Relocate { account, mut messages, .. } = sample() else { unreachable!() };
        let before = len(&account, &messages);
        messages.push(Relocated { uid: Uid(8), fragments: vec![fragment(8, 1)] });
        assert_eq!(len(&account, &messages) - before, 16);
    }

    #[test]
    fn there_is_one_encoding() {
        let (table, first) = (FIXED, FIXED + 2 * SEGMENT);
        let second = first + MESSAGE + FRAGMENT;
        let refused = |field, at: usize, octet| {
            assert_eq!(changed(|body| body[at] = octet), Err(RecordError::Field(field)), "{at}");
        };
        refused("UIDs", first, 7);
        refused("relocated message", first, 0);
        refused("relocated message", first + 4, 0);
        refused("segments", first + MESSAGE, 1);
        refused("segments", first + MESSAGE, 2);
        // A segment twice in the table, and one that no fragment names.
        refused("segments", table, 8);
        refused("segments", second + MESSAGE + FRAGMENT, 0);
        refused("reserved", FIXED - 1, 1);
        refused("count", FIXED - 8, 99);
    }
}
