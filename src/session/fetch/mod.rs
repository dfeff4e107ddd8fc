//! FETCH (RFC 3501 section 6.4.5): what of a message is asked for, and its octets.

use std::io;
use std::ops::Range;
use std::rc::Rc;

use bytes::BytesMut;

use super::dispatch::Session;
use super::reader::{Checker, Reader, Stored};
use super::section::{Part, filter_header, part_of};
use super::select::push_uid;
use crate::ingest::Owner;
use crate::limits::LARGE_LEASE;
use crate::log::{FlagChange, LogError, Record};
use crate::protocol::response::{Code, FetchResponse};
use crate::protocol::{Fetch, FetchItem, HeaderScanner, Tag};
use crate::types::{Flags, InternalDate, MailboxId, ModSeq, Uid};

/// Messages answered between two looks at whether the client reads.
const TURN: usize = 512;

/// Octets of a reply gathered before they are handed on.
const GATHERED: usize = 64 << 10;

/// What the index says of a message.
struct Message {
    number: u32,
    uid: Uid,
    flags: Flags,
    recent: bool,
    keywords: Vec<Box<str>>,
    date: InternalDate,
    modseq: ModSeq,
    stored: Stored,
}

impl Session {
    pub(super) async fn fetch(&mut self, tag: &Tag, mut fetch: Fetch, owner: &Rc<Owner>) {
        let Some((mailbox, messages, read_only)) = self.resolve(&fetch) else {
            return self.bad(tag, "no mailbox is selected");
        };
        if let Some(unknown) = fetch.items.iter().find(|item| !is_available(item)) {
            return self.bad(tag, &format!("FETCH of {unknown:?} is not available"));
        }
        if fetch.uid && !fetch.items.contains(&FetchItem::Uid) {
            fetch.items.insert(0, FetchItem::Uid);
        }
        let seen = fetch.items.iter().any(FetchItem::sets_seen) && !read_only;
        if seen {
            match self.set_seen(mailbox, &messages, owner).await {
                Ok(false) => {}
                // Whoever sets a flag by fetching is told so.
                Ok(true) if !fetch.items.contains(&FetchItem::Flags) => {
                    fetch.items.push(FetchItem::Flags);
                }
                Ok(true) => {}
                // Mail can be read when the disk is full; the flag waits for the next time.
                Err(LogError::Full(_)) => {}
                Err(error) => return self.no(tag, Some(Code::Unavailable), &error.to_string()),
            }
        }
        match self.answer(mailbox, &messages, &fetch.items, owner).await {
            Ok(true) => self.ok(tag, "FETCH completed"),
            Ok(false) => self.no(tag, None, "some messages are not there any more"),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                tracing::error!("FETCH failed: {error}");
                self.no(
                    tag,
                    Some(Code::Corruption),
                    "a message cannot be read; the log says which",
                );
            }
        }
    }

    /// The messages asked for, as ranges of sequence numbers.
    fn resolve(&self, fetch: &Fetch) -> Option<(MailboxId, Vec<Range<u32>>, bool)> {
        let selected = self.selected.borrow();
        let selected = selected.as_ref()?;
        let view = &selected.view;
        let ranges = match fetch.uid {
            false => {
                let numbers = fetch.set.resolve(view.len());
                let within = |(first, last): (u32, u32)| first..last.min(view.len()) + 1;
                numbers.iter().map(within).filter(|range| !range.is_empty()).collect()
            }
            true => {
                let uids = fetch.set.resolve(view.last().map_or(1, |uid| uid.0));
                let numbers = uids.uids().map(|uids| view.sequences(uids));
                numbers.map(|n| *n.start()..*n.end() + 1).filter(|n| !n.is_empty()).collect()
            }
        };
        Some((selected.mailbox, ranges, selected.read_only))
    }

    /// Sets `\Seen` where it is not; `true` when it was missing somewhere.
    async fn set_seen(
        &self,
        mailbox: MailboxId,
        messages: &[Range<u32>],
        owner: &Rc<Owner>,
    ) -> Result<bool, LogError> {
        let mut uids = Vec::new();
        for number in messages.iter().cloned().flatten() {
            let uid =
                self.selected.borrow().as_ref().and_then(|selected| selected.view.uid(number));
            let account = owner.account.borrow();
            let entry = uid.and_then(|uid| account.mailbox(mailbox)?.get(uid));
            if let Some(entry) = entry.filter(|entry| !entry.flags().contains(Flags::SEEN)) {
                push_uid(&mut uids, entry.uid());
            }
        }
        let any = !uids.is_empty();
        let change = |account, modseq, uids| Record::SetFlags {
            account,
            mailbox,
            modseq,
            uids,
            change: FlagChange::Add,
            flags: Flags::SEEN,
            keywords: Vec::new(),
        };
        self.home.change_messages(owner, mailbox, uids, change).await?;
        Ok(any)
    }

    /// `false` when some messages have gone meanwhile.
    async fn answer(
        &self,
        mailbox: MailboxId,
        messages: &[Range<u32>],
        items: &[FetchItem],
        owner: &Rc<Owner>,
    ) -> io::Result<bool> {
        let needs_octets = items.iter().any(|item| part_of(item).is_some());
        let many = messages.iter().map(ExactSizeIterator::len).sum::<usize>() > 1;
        let mut reader = Reader::new(&self.home, many);
        let (mut out, mut body, mut complete) = (BytesMut::new(), Vec::new(), true);
        for (turn, number) in messages.iter().cloned().flatten().enumerate() {
            let Some(message) = self.message(mailbox, number, owner) else {
                complete = false;
                continue;
            };
            let mut answer = FetchResponse::begin(&mut out, message.number);
            for item in items {
                from_index(&mut answer, &mut out, item, &message);
            }
            if needs_octets && message.stored.size <= LARGE_LEASE as u64 {
                reader.whole(&message.stored, &mut body).await?;
                for item in items {
                    from_memory(&mut answer, &mut out, item, &body);
                }
            } else if needs_octets {
                self.stream(&mut answer, &mut out, items, &message.stored, &mut reader).await?;
            }
            answer.end(&mut out);
            if out.len() >= GATHERED || turn % TURN == TURN - 1 {
                self.hand_on(&mut out, &mut reader).await?;
            }
        }
        drop(reader);
        self.output.push(|queue| queue.unsplit(out));
        Ok(complete)
    }

    fn message(&self, mailbox: MailboxId, number: u32, owner: &Owner) -> Option<Message> {
        let selected = self.selected.borrow();
        let selected = selected.as_ref()?;
        let uid = selected.view.uid(number)?;
        let account = owner.account.borrow();
        let mailbox = account.mailbox(mailbox)?;
        let entry = mailbox.get(uid)?;
        Some(Message {
            number,
            uid,
            flags: entry.flags(),
            recent: selected.is_recent(uid),
            keywords: mailbox.keywords().of(entry.keywords()).map(|k| k.as_str().into()).collect(),
            date: entry.date(),
            modseq: entry.modseq(),
            stored: Stored {
                size: entry.size(),
                checksum: entry.checksum(),
                fragments: entry.fragments().collect(),
            },
        })
    }

    /// Hands on what was gathered, and waits while the client does not read.
    async fn hand_on(&self, out: &mut BytesMut, reader: &mut Reader<'_>) -> io::Result<()> {
        let gathered = std::mem::take(out);
        self.output.push(|queue| queue.unsplit(gathered));
        if self.output.is_full() && self.home.arena.is_scarce() {
            reader.rest();
        }
        self.output.room().await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Octets of a message too large to be gathered.
    async fn stream(
        &self,
        answer: &mut FetchResponse,
        out: &mut BytesMut,
        items: &[FetchItem],
        stored: &Stored,
        reader: &mut Reader<'_>,
    ) -> io::Result<()> {
        for item in items {
            let Some((part, _)) = part_of(item) else { continue };
            let header = match part {
                Part::Whole => 0,
                _ => header_length(stored, reader).await?,
            };
            if let Part::Fields { not, names } = part {
                let head = range(stored, 0..header.min(LARGE_LEASE as u64), reader).await?;
                let fields = filter_header(&head, not, names);
                begin(answer, out, item, fields.len() as u64);
                out.extend_from_slice(cut(&fields, item));
                continue;
            }
            let octets = section_range(&part, header, stored.size);
            let octets = partial(item, octets);
            begin(answer, out, item, octets.end - octets.start);
            let whole = octets == (0..stored.size);
            let (mut at, mut checker) = (octets.start, Checker::new());
            while at < octets.end {
                let piece = reader.piece(stored, at).await?;
                let piece = &piece
                    [..piece.len().min(usize::try_from(octets.end - at).unwrap_or(usize::MAX))];
                checker.feed(piece);
                out.extend_from_slice(piece);
                at += piece.len() as u64;
                self.hand_on(out, reader).await?;
            }
            if whole && let Err(error) = checker.end(stored) {
                // The client holds octets that are not the message's: it must not take them.
                self.conn.shutdown();
                return Err(error);
            }
        }
        Ok(())
    }
}

fn is_available(item: &FetchItem) -> bool {
    match item {
        FetchItem::Uid
        | FetchItem::Flags
        | FetchItem::InternalDate
        | FetchItem::Size
        | FetchItem::ModSeq => true,
        item => part_of(item).is_some(),
    }
}

fn from_index(answer: &mut FetchResponse, out: &mut BytesMut, item: &FetchItem, message: &Message) {
    match item {
        FetchItem::Uid => answer.uid(out, message.uid),
        FetchItem::Flags => {
            let keywords = message.keywords.iter().map(|keyword| &**keyword);
            answer.flags(out, message.flags, keywords, message.recent);
        }
        FetchItem::InternalDate => answer.internal_date(out, message.date),
        FetchItem::Size => answer.size(out, message.stored.size),
        FetchItem::ModSeq => answer.modseq(out, message.modseq),
        _ => {}
    }
}

fn from_memory(answer: &mut FetchResponse, out: &mut BytesMut, item: &FetchItem, body: &[u8]) {
    let Some((part, _)) = part_of(item) else { return };
    let header = match part {
        Part::Whole => 0,
        _ => {
            let mut scanner = HeaderScanner::new();
            scanner.feed(body).unwrap_or_else(|| scanner.finish())
        }
    };
    let fields;
    let octets = match part {
        Part::Fields { not, names } => {
            fields =
                filter_header(&body[..usize::try_from(header).unwrap_or(body.len())], not, names);
            &fields[..]
        }
        part => {
            let range = section_range(&part, header, body.len() as u64);
            &body[range.start as usize..range.end as usize]
        }
    };
    let octets = cut(octets, item);
    begin(answer, out, item, octets.len() as u64);
    out.extend_from_slice(octets);
}

fn section_range(part: &Part, header: u64, size: u64) -> Range<u64> {
    match part {
        Part::Whole => 0..size,
        Part::Header | Part::Fields { .. } => 0..header,
        Part::Text => header..size,
    }
}

/// What a partial (`<offset.length>`) leaves of a range.
fn partial(item: &FetchItem, octets: Range<u64>) -> Range<u64> {
    match part_of(item).and_then(|(_, partial)| partial) {
        None => octets,
        Some(partial) => {
            let cut = partial.of(octets.end - octets.start);
            octets.start + cut.start..octets.start + cut.end
        }
    }
}

fn cut<'a>(octets: &'a [u8], item: &FetchItem) -> &'a [u8] {
    let range = partial(item, 0..octets.len() as u64);
    &octets[range.start as usize..range.end as usize]
}

fn begin(answer: &mut FetchResponse, out: &mut BytesMut, item: &FetchItem, octets: u64) {
    match item {
        FetchItem::Rfc822 => answer.rfc822(out, "RFC822", octets),
        FetchItem::Rfc822Header => answer.rfc822(out, "RFC822.HEADER", octets),
        FetchItem::Rfc822Text => answer.rfc822(out, "RFC822.TEXT", octets),
        FetchItem::Section(section) => answer.section(out, section, Some(octets)),
        _ => {}
    }
}

async fn header_length(stored: &Stored, reader: &mut Reader<'_>) -> io::Result<u64> {
    let (mut scanner, mut at) = (HeaderScanner::new(), 0);
    while at < stored.size {
        let piece = reader.piece(stored, at).await?;
        if let Some(length) = scanner.feed(piece) {
            return Ok(length);
        }
        at += piece.len() as u64;
    }
    Ok(scanner.finish())
}

async fn range(
    stored: &Stored,
    octets: Range<u64>,
    reader: &mut Reader<'_>,
) -> io::Result<Vec<u8>> {
    let mut gathered = Vec::new();
    while octets.start + (gathered.len() as u64) < octets.end {
        let piece = reader.piece(stored, octets.start + gathered.len() as u64).await?;
        gathered.extend_from_slice(piece);
    }
    gathered.truncate(usize::try_from(octets.end - octets.start).unwrap_or(usize::MAX));
    Ok(gathered)
}
