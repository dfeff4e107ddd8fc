//! Octets to records. Damaged octets end in an error, never in a panic or a large allocation: every
//! count is checked against the octets that are left before memory is allocated for it.

use std::sync::Arc;

use super::encode::{Kind, checksum};
use super::fields::{
    ENTRY, FRAGMENT, HEAD, MESSAGE, NO_VALUE, RANGE, REFERENCE, RecordError, bounded, need, text,
    zero,
};
use super::ids::{BatchId, EmailId, Fragment, MailboxId, SegmentId};
use super::keywords::{BitSet, KeywordList, bits};
use super::octets::Take;
use super::record::{Commit, MessageRecord, MetadataEntry, Record};
use super::relocation;
use crate::reactor::fault::{Fault, made};
use imap::types::{
    FlagChange, Flags, InternalDate, Keyword, ModSeq, SpecialUse, Uid, UidRange, UidValidity,
};

/// All records in the region of a frame. The frame's header says that there are `expected`.
///
/// # Errors
/// When any of them is not what was written.
pub fn decode_records(region: &[u8], expected: u32) -> Result<Vec<Record>, RecordError> {
    let mut take = Take::new(region);
    let mut records = Vec::new();
    while take.left() > 0 {
        records.push(record(&mut take)?);
    }
    match u32::try_from(records.len()) {
        Ok(got) if got != expected => Err(RecordError::Count { expected, got }),
        _ => Ok(records),
    }
}

fn record(take: &mut Take<'_>) -> Result<Record, RecordError> {
    let mut head = Take::new(take.octets(HEAD).ok_or(RecordError::Short)?);
    let (Some(length), Some(kind), Some(version), Some(expected)) =
        (head.u32(), head.u16(), head.u16(), head.u64())
    else {
        return Err(RecordError::Short);
    };
    let body = take.octets(length as usize).ok_or(RecordError::Short)?;
    take.pad().ok_or(RecordError::Short)?;
    let got = checksum(length, kind, version, body);
    if got != expected && !made(Fault::FooterUnchecked) {
        return Err(RecordError::Checksum { expected, got });
    }
    let is = |known: Kind, of: u16| kind == known as u16 && version == of;
    let decode: fn(&mut Take<'_>) -> _ = match () {
        () if is(Kind::Messages, 1) => messages,
        () if is(Kind::Fragments, 0) => fragments,
        () if is(Kind::Commit, 1) => commit,
        () if is(Kind::Cancel, 0) => cancel,
        () if is(Kind::CreateMailbox, 0) => |body| create_mailbox(body, false),
        () if is(Kind::CreateMailbox, 1) => |body| create_mailbox(body, true),
        () if is(Kind::DeleteMailbox, 0) => delete_mailbox,
        () if is(Kind::SetFlags, 0) => set_flags,
        () if is(Kind::Expunge, 0) => expunge,
        () if is(Kind::References, 2) => references,
        () if is(Kind::RenameMailbox, 0) => rename_mailbox,
        () if is(Kind::Subscribe, 0) => subscribe,
        () if is(Kind::SetMetadata, 0) => set_metadata,
        () if is(Kind::Relocate, 0) => relocation::take,
        () => return Err(RecordError::Unknown { kind, version }),
    };
    let mut body = Take::new(body);
    let record = decode(&mut body)?;
    if body.left() > 0 {
        return Err(RecordError::Field("length"));
    }
    Ok(record)
}

fn messages(body: &mut Take<'_>) -> Result<Record, RecordError> {
    let (batch, messages) = message_list(body, false)?;
    Ok(Record::Messages { batch, messages })
}

fn references(body: &mut Take<'_>) -> Result<Record, RecordError> {
    let (batch, messages) = message_list(body, true)?;
    Ok(Record::References { batch, messages })
}

fn message_list(
    body: &mut Take<'_>,
    have_ids: bool,
) -> Result<(BatchId, Vec<MessageRecord>), RecordError> {
    let batch = BatchId(need(body.u64())?);
    let count = entries(body, if have_ids { REFERENCE } else { MESSAGE })?;
    let sets = keyword_sets(body)?;
    let messages = (0..count).map(|_| message(body, &sets, have_ids)).collect::<Result<_, _>>()?;
    Ok((batch, messages))
}

/// The sets of keywords of a record, by number. Number 0 is the empty set.
fn keyword_sets(body: &mut Take<'_>) -> Result<Vec<KeywordList>, RecordError> {
    let (names, count) = (need(body.u16())?, need(body.u16())?);
    let names = Arc::new(keyword_list(body, names)?);
    let width = names.len().div_ceil(8);
    if count > 0 {
        bounded(body, usize::from(count), width.max(1))?;
    }
    let mut sets = vec![KeywordList::default()];
    for _ in 0..count {
        let set = BitSet::of(need(body.octets(width))?);
        let last = bits(set.octets()).last().ok_or(RecordError::Field("set of keywords"))?;
        if usize::from(last) >= names.len() {
            return Err(RecordError::Field("set of keywords"));
        }
        sets.push(KeywordList::new(&names, &set));
    }
    body.pad().ok_or(RecordError::Field("padding"))?;
    Ok(sets)
}

fn message(
    body: &mut Take<'_>,
    sets: &[KeywordList],
    has_id: bool,
) -> Result<MessageRecord, RecordError> {
    let size = need(body.u64())?;
    let date = InternalDate::from_bits(need(body.u64())?).ok_or(RecordError::Field("date"))?;
    let checksum = need(body.u128())?;
    let fragments = need(body.u32())? as usize;
    let keywords = sets.get(usize::from(need(body.u16())?)).cloned();
    let keywords = keywords.ok_or(RecordError::Field("keywords"))?;
    let flags = flags(body)?;
    zero(body.u8().map(u64::from))?;
    if size == 0 {
        return Err(RecordError::Field("size"));
    }
    let email = if has_id { EmailId(need(body.u64())?) } else { EmailId::default() };
    if email.is_given() != has_id {
        return Err(RecordError::Field("EMAILID"));
    }
    let fragments = fragment_list(body, fragments)?;
    Ok(MessageRecord { size, date, flags, keywords, email, checksum, fragments })
}

fn fragments(body: &mut Take<'_>) -> Result<Record, RecordError> {
    let batch = BatchId(need(body.u64())?);
    let count = need(body.u32())? as usize;
    zero(body.u32().map(u64::from))?;
    Ok(Record::Fragments { batch, fragments: fragment_list(body, count)? })
}

fn commit(body: &mut Take<'_>) -> Result<Record, RecordError> {
    let commit = Commit {
        batch: BatchId(need(body.u64())?),
        mailbox: MailboxId(need(body.u64())?),
        modseq: ModSeq(need(body.u64())?),
        save_date: need(body.u64())?.cast_signed(),
        octets: need(body.u64())?,
        first_email: EmailId(need(body.u64())?),
        first_uid: Uid(need(body.u32())?),
        messages: need(body.u32())?,
        account: text(body)?,
    };
    // The last UID must be a valid one too.
    let last = commit.messages.checked_sub(1).and_then(|more| commit.first_uid.0.checked_add(more));
    if commit.first_uid.0 == 0 || last.is_none() {
        return Err(RecordError::Field("UIDs"));
    }
    // As must the number after the last EMAILID.
    if commit.first_email.plus(commit.messages).is_none() {
        return Err(RecordError::Field("EMAILIDs"));
    }
    Ok(Record::Commit(commit))
}

fn cancel(body: &mut Take<'_>) -> Result<Record, RecordError> {
    Ok(Record::Cancel { batch: BatchId(need(body.u64())?) })
}

fn create_mailbox(body: &mut Take<'_>, has_uses: bool) -> Result<Record, RecordError> {
    let mailbox = MailboxId(need(body.u64())?);
    let uid_validity = UidValidity(need(body.u32())?);
    let mut uses = SpecialUse::default();
    if has_uses {
        uses = SpecialUse(need(body.u16())?);
        zero(body.u16().map(u64::from))?;
    }
    let account = text(body)?;
    let name = text(body)?;
    Ok(Record::CreateMailbox { account, mailbox, name, uid_validity, uses })
}

fn rename_mailbox(body: &mut Take<'_>) -> Result<Record, RecordError> {
    let (account, from, to) = (text(body)?, text(body)?, text(body)?);
    Ok(Record::RenameMailbox { account, from, to })
}

fn subscribe(body: &mut Take<'_>) -> Result<Record, RecordError> {
    let subscribed = match need(body.u8())? {
        0 => false,
        1 => true,
        _ => return Err(RecordError::Field("subscribed")),
    };
    zero(body.u8().map(u64::from))?;
    let (account, name) = (text(body)?, text(body)?);
    Ok(Record::Subscribe { account, name, subscribed })
}

fn set_metadata(body: &mut Take<'_>) -> Result<Record, RecordError> {
    let mailbox = MailboxId(need(body.u64())?);
    let uses = SpecialUse(need(body.u16())?);
    let uses = match (need(body.u8())?, uses.is_empty()) {
        (0, true) => None,
        (1, _) => Some(uses),
        _ => return Err(RecordError::Field("special uses")),
    };
    zero(body.u8().map(u64::from))?;
    let count = need(body.u32())? as usize;
    let account = text(body)?;
    bounded(body, count, ENTRY)?;
    let entries = (0..count).map(|_| metadata_entry(body)).collect::<Result<_, _>>()?;
    Ok(Record::SetMetadata { account, mailbox, uses, entries })
}

fn metadata_entry(body: &mut Take<'_>) -> Result<MetadataEntry, RecordError> {
    let name = text(body)?;
    let value = match need(body.u32())? {
        NO_VALUE => None,
        length => Some(need(body.octets(length as usize))?.into()),
    };
    Ok(MetadataEntry { name, value })
}

fn delete_mailbox(body: &mut Take<'_>) -> Result<Record, RecordError> {
    let mailbox = MailboxId(need(body.u64())?);
    Ok(Record::DeleteMailbox { account: text(body)?, mailbox })
}

fn set_flags(body: &mut Take<'_>) -> Result<Record, RecordError> {
    let mailbox = MailboxId(need(body.u64())?);
    let modseq = ModSeq(need(body.u64())?);
    let ranges = need(body.u32())? as usize;
    let keywords = need(body.u16())?;
    let flags = flags(body)?;
    let change = match need(body.u8())? {
        0 => FlagChange::Replace,
        1 => FlagChange::Add,
        2 => FlagChange::Remove,
        _ => return Err(RecordError::Field("change")),
    };
    let uids = range_list(body, ranges)?;
    let keywords = keyword_list(body, keywords)?;
    let account = text(body)?;
    Ok(Record::SetFlags { account, mailbox, modseq, uids, change, flags, keywords })
}

fn expunge(body: &mut Take<'_>) -> Result<Record, RecordError> {
    let mailbox = MailboxId(need(body.u64())?);
    let modseq = ModSeq(need(body.u64())?);
    let ranges = need(body.u32())? as usize;
    zero(body.u32().map(u64::from))?;
    let uids = range_list(body, ranges)?;
    Ok(Record::Expunge { account: text(body)?, mailbox, modseq, uids })
}

fn fragment_list(body: &mut Take<'_>, count: usize) -> Result<Vec<Fragment>, RecordError> {
    bounded(body, count, FRAGMENT)?;
    let fragment = |_| {
        let segment = SegmentId(need(body.u64())?);
        let (offset, length) = (need(body.u32())?, need(body.u32())?);
        if length == 0 || offset.checked_add(length).is_none() {
            return Err(RecordError::Field("fragment"));
        }
        Ok(Fragment { segment, offset, length })
    };
    (0..count).map(fragment).collect()
}

fn range_list(body: &mut Take<'_>, count: usize) -> Result<Vec<UidRange>, RecordError> {
    bounded(body, count, RANGE)?;
    let range = |_| {
        let (first, last) = (Uid(need(body.u32())?), Uid(need(body.u32())?));
        if first.0 == 0 || first > last {
            return Err(RecordError::Field("range of UIDs"));
        }
        Ok(UidRange { first, last })
    };
    (0..count).map(range).collect()
}

fn keyword_list(body: &mut Take<'_>, count: u16) -> Result<Vec<Keyword>, RecordError> {
    bounded(body, usize::from(count), 2)?;
    let keyword = |_| {
        let length = need(body.u8())?;
        let octets = need(body.octets(usize::from(length)))?;
        Keyword::new(octets).map_err(|_| RecordError::Field("keyword"))
    };
    (0..count).map(keyword).collect()
}

fn flags(body: &mut Take<'_>) -> Result<Flags, RecordError> {
    let known = Flags::NAMES.iter().fold(Flags::default(), |all, &(_, flag)| all.union(flag));
    let flags = Flags(need(body.u8())?);
    if known.contains(flags) { Ok(flags) } else { Err(RecordError::Field("flags")) }
}

/// A count of entries of at least `each` octets, checked against what is left.
fn entries(body: &mut Take<'_>, each: usize) -> Result<usize, RecordError> {
    let count = need(body.u32())? as usize;
    bounded(body, count, each)?;
    Ok(count)
}
