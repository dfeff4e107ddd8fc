//! Sends the octets of a message from the leases of the reader.

use std::ops::Range;
use std::time::Duration;

use bytes::BytesMut;
use memchr::memchr;

use super::decoded::Sizes;
use super::head::Reader;
use super::head::header_length;
use super::parts::{Finder, Part, Parts, write_fields};
use super::section::{FieldNames, Filter};
use super::wanted::{Plain, Wanted, cut, plain};
use crate::index::Found;
use crate::limits::{LARGE_LEASE, LARGE_MESSAGE as LARGE};
use crate::net::{BUFFER, Gone};
use crate::reactor::{Instant, breathe, timeout};
use crate::session::session::Session;
use crate::session::trouble::Trouble;
use crate::session::vigil::Vigil;
use crate::store::{Checksum, verify};
use imap::mime::TooLong;
use imap::protocol::response::FetchResponse;
use imap::protocol::{FetchItem, Partial};

/// Up to this number of items are answered from the reader's lease. A client that requests more may
/// take long to read them, so they are answered from a copy.
const MANY: usize = 16;

/// Octets of a response that are written at once, from the reader's lease.
const AT_ONCE: u64 = (BUFFER + LARGE_LEASE) as u64;

/// Octets of a message processed for one client before other sessions get a turn: half a
/// millisecond.
const FETCH_STEP: u64 = 512 << 10;

/// The cost of an item, besides its octets.
const ITEM: u64 = 8 << 10;

/// How long a client may take to read a response of megabytes while others wait for the memory: for
/// 32 MiB it must read half a megabyte a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// Buffers reused for every message.
#[derive(Default)]
pub(super) struct Scratch {
    /// A message, or its header, copied because it is not contiguous in the lease.
    octets: Vec<u8>,
    /// Selected header fields, or an envelope.
    made: Vec<u8>,
    checksum: Checksum,
}

/// What is known of the current message.
#[derive(Default)]
struct Progress {
    /// Length of its header, in octets.
    header: Option<u64>,
    /// The checksum was verified.
    checked: bool,
    /// A part of the response has been sent.
    sent: bool,
}

/// The state of answering one message.
pub(super) struct One<'o, 'r, 'h> {
    session: &'o Session,
    pub message: &'o Found,
    pub out: &'o mut BytesMut,
    pub reader: &'r mut Reader<'h>,
    scratch: &'o mut Scratch,
    progress: Progress,
    /// Octets processed since the last yield.
    pub work: u64,
}

impl Session {
    /// Writes the items that need the octets of the message, and ends the response. Returns `true`
    /// if a part has an unknown encoding.
    pub(super) async fn octets(
        &self,
        mut answer: FetchResponse,
        out: &mut BytesMut,
        wanted: &Wanted,
        message: &Found,
        reader: &mut Reader<'_>,
        scratch: &mut Scratch,
    ) -> Result<bool, Trouble> {
        let progress = Progress::default();
        let mut one = One { session: self, message, out, reader, scratch, progress, work: 0 };
        let result = match wanted.parses {
            false => one.plain(&mut answer, wanted).await.map(|()| false),
            true => one.parsed(&mut answer, wanted).await,
        };
        match result {
            Ok(unknown_encoding) => {
                answer.end(one.out);
                Ok(unknown_encoding)
            }
            Err(Trouble::Gone) => Err(Trouble::Gone),
            Err(error) if one.progress.sent => {
                // No end of the response: the client must not take the octets it has for the
                // message.
                tracing::error!("FETCH cuts the connection in the middle of an answer: {error}");
                self.conn.shutdown();
                Err(Trouble::Gone)
            }
            Err(error) => Err(error),
        }
    }
}

impl One<'_, '_, '_> {
    /// Items that do not need the parts of the message.
    async fn plain(&mut self, answer: &mut FetchResponse, wanted: &Wanted) -> Result<(), Trouble> {
        let size = self.message.entry().size();
        for (item, names) in wanted.items.iter().zip(&wanted.names) {
            if *item == FetchItem::Envelope {
                self.envelope(answer, wanted).await?;
                continue;
            }
            let Some((part, partial)) = plain(item) else { continue };
            if let (Plain::Fields, Some(names)) = (part, names) {
                let header = 0..self.header().await?;
                self.fields(answer, item, names, header, partial).await?;
            } else {
                let octets = match part {
                    Plain::Whole => 0..size,
                    Plain::Text => self.header().await?..size,
                    Plain::Header | Plain::Fields => 0..self.header().await?,
                };
                let octets = cut(octets, partial);
                announce(answer, self.out, item, octets.end - octets.start);
                let whole = partial.is_none() && octets.end == size;
                self.send(item, octets, whole && !self.progress.checked).await?;
            }
            // With a single item the caller does this.
            if wanted.items.len() > 1 {
                self.hand_on_if(false).await?;
            }
        }
        Ok(())
    }

    /// Selected fields of a header that is a range of the message.
    async fn fields(
        &mut self,
        answer: &mut FetchResponse,
        item: &FetchItem,
        names: &FieldNames,
        header: Range<u64>,
        partial: Option<Partial>,
    ) -> Result<(), Trouble> {
        let length = header.end - header.start;
        if header.start == 0 && length <= LARGE_LEASE as u64 {
            let Scratch { octets, made, .. } = &mut *self.scratch;
            let octets = self.reader.start(self.message, length, octets).await?;
            write_fields(answer, self.out, item, partial, (octets, names, made));
            self.work += length;
            self.rest().await;
            return Ok(());
        }
        // The first pass counts the octets to send, the second sends them.
        let (mut filter, mut kept) = (Filter::new(names), 0);
        let mut at = header.start;
        while at < header.end {
            let piece = self.reader.piece(self.message, at..header.end).await?;
            filter.feed(piece, |octets| kept += octets.len() as u64);
            at += piece.len() as u64;
            self.work += piece.len() as u64;
            self.rest().await;
        }
        filter.end(|octets| kept += octets.len() as u64);
        let wanted = cut(0..kept, partial);
        announce(answer, self.out, item, wanted.end - wanted.start);
        let (mut filter, mut before) = (Filter::new(names), 0);
        at = header.start;
        while at < header.end && before < wanted.end {
            let piece = self.reader.piece(self.message, at..header.end).await?;
            let out = &mut *self.out;
            filter.feed(piece, |octets| before = write_part(out, item, octets, before, &wanted));
            at += piece.len() as u64;
            self.work += piece.len() as u64;
            self.hand_on_if(true).await?;
            self.rest().await;
        }
        if before < wanted.end {
            filter.end(|octets| before = write_part(self.out, item, octets, before, &wanted));
        }
        Ok(())
    }

    /// Yields to other sessions after `FETCH_STEP` octets.
    pub(super) async fn rest(&mut self) {
        if self.work >= FETCH_STEP {
            self.work = 0;
            breathe().await;
        }
    }

    /// Checks for a disconnected client when that is due, until a part of the response has been
    /// sent.
    pub(super) fn still_there(&self, vigil: &mut Vigil) -> Result<(), Gone> {
        if self.progress.sent { Ok(()) } else { self.session.still_there(vigil) }
    }

    async fn envelope(
        &mut self,
        answer: &mut FetchResponse,
        wanted: &Wanted,
    ) -> Result<(), Trouble> {
        let length = self.header().await?;
        if length > LARGE_LEASE as u64 {
            let item = &[FetchItem::Envelope];
            let parts = self.session.parse_large(self.message, length, item, self.reader).await?;
            return self.large(answer, item, &[None], &parts).await;
        }
        let mut value = BytesMut::new();
        let head = self.reader.start(self.message, length, &mut self.scratch.octets).await?;
        imap::mime::envelope(head, &mut value).map_err(Trouble::from)?;
        answer.written(self.out, "ENVELOPE", &value);
        debug_assert!(!wanted.parses, "else all items are found together");
        Ok(())
    }

    /// The length of the header, including the empty line.
    async fn header(&mut self) -> Result<u64, Trouble> {
        if let Some(length) = self.progress.header {
            return Ok(length);
        }
        let length = header_length(self.reader, self.message, self.message.entry().size()).await?;
        self.progress.header = Some(length);
        Ok(length)
    }

    /// Sends a range of the message. With `check` the range must extend to the end of the message,
    /// and a wrong checksum is an error.
    async fn send(
        &mut self,
        item: &FetchItem,
        octets: Range<u64>,
        check: bool,
    ) -> Result<(), Trouble> {
        let size = self.message.entry().size();
        if check && size <= LARGE_LEASE as u64 && size > 0 {
            let piece = self.reader.piece(self.message, 0..size).await?;
            if piece.len() as u64 == size {
                verify(self.message, piece)?;
                self.progress.checked = true;
                put(self.out, item, &piece[within(octets)]);
                return Ok(());
            }
        }
        self.scratch.checksum.reset();
        let mut at = if check { 0 } else { octets.start };
        while at < octets.end {
            let until = if at < octets.start { octets.start } else { octets.end };
            let piece = self.reader.piece(self.message, at..until).await?;
            if check {
                self.scratch.checksum.update(piece);
            }
            if at >= octets.start {
                put(self.out, item, piece);
            }
            at += piece.len() as u64;
            self.hand_on_if(size > LARGE_LEASE as u64).await?;
        }
        if check {
            self.scratch.checksum.verify(self.message)?;
            self.progress.checked = true;
        }
        Ok(())
    }

    /// Sends the buffer when it is full enough. A small message is kept until it is complete, so
    /// that nothing of a damaged one has been sent; a large one is not.
    pub(super) async fn hand_on_if(&mut self, large: bool) -> Result<(), Gone> {
        let enough = if large { BUFFER } else { BUFFER + LARGE_LEASE };
        if self.out.len() >= enough {
            self.progress.sent = true;
            self.session.hand_on(self.out, Some(self.reader)).await?;
        }
        Ok(())
    }

    /// Items, when at least one needs the parts of the message.
    async fn parsed(
        &mut self,
        answer: &mut FetchResponse,
        wanted: &Wanted,
    ) -> Result<bool, Trouble> {
        let (message, size) = (self.message, self.message.entry().size());
        if size > LARGE && wanted.lazy {
            self.plain(answer, wanted).await?;
            answer.preview(self.out, None);
            return Ok(false);
        }
        let long_header = size > LARGE_LEASE as u64 && self.header().await? > LARGE_LEASE as u64;
        if size > LARGE || long_header {
            let parts = self.session.parse_large(message, size, &wanted.items, self.reader).await?;
            self.progress.checked = true;
            self.large(answer, &wanted.items, &wanted.names, &parts).await?;
            return Ok(parts.has_unknown_encoding());
        }
        if size <= LARGE_LEASE as u64 && wanted.items.len() <= MANY {
            let octets = match size {
                0 => &[],
                _ => self.reader.piece(message, 0..size).await?,
            };
            if octets.len() as u64 == size {
                verify(message, octets)?;
                let global = self.session.enabled.rev2;
                let mut finder = Finder::new(octets, wanted.items.len(), global);
                let parts: Vec<_> = wanted.items.iter().map(|item| finder.part(item)).collect();
                if parts.iter().any(Part::is_too_long) {
                    return Err(TooLong.into());
                }
                if parts.iter().map(Part::octets).sum::<u64>() <= AT_ONCE {
                    let made = &mut self.scratch.made;
                    for ((item, names), part) in wanted.items.iter().zip(&wanted.names).zip(&parts)
                    {
                        part.write(answer, self.out, item, (octets, names.as_ref(), made));
                    }
                    return Ok(parts.iter().any(Part::is_unknown));
                }
            }
        }
        self.reader.copy(message, 0..size, &mut self.scratch.octets).await?;
        verify(message, &self.scratch.octets)?;
        let octets = std::mem::take(&mut self.scratch.octets);
        let unknown = self.one_by_one(answer, wanted, &octets).await;
        self.scratch.octets = octets;
        unknown
    }

    /// Items of a message in memory. Each is located when it is to be sent.
    async fn one_by_one(
        &mut self,
        answer: &mut FetchResponse,
        wanted: &Wanted,
        octets: &[u8],
    ) -> Result<bool, Trouble> {
        let mut finder = Finder::new(octets, wanted.items.len(), self.session.enabled.rev2);
        let mut unknown = false;
        for (item, names) in wanted.items.iter().zip(&wanted.names) {
            let part = finder.part(item);
            if part.is_too_long() {
                return Err(TooLong.into());
            }
            unknown |= part.is_unknown();
            let made = &mut self.scratch.made;
            part.write(answer, self.out, item, (octets, names.as_ref(), made));
            // Finding a part walks over the parts before it.
            self.work += ITEM + part.octets();
            self.hand_on_if(true).await?;
            self.rest().await;
        }
        Ok(unknown)
    }

    /// Items of a large message whose parts are known: a second read, piece by piece.
    async fn large(
        &mut self,
        answer: &mut FetchResponse,
        items: &[FetchItem],
        names: &[Option<FieldNames>],
        parts: &Parts,
    ) -> Result<(), Trouble> {
        let mut sizes = Sizes::default();
        for ((item, names), part) in items.iter().zip(names).zip(&parts.items) {
            match (part, names) {
                (Part::Range(octets), _) => {
                    announce(answer, self.out, item, octets.end - octets.start);
                    let whole = *octets == (0..self.message.entry().size());
                    self.send(item, octets.clone(), whole && !self.progress.checked).await?;
                }
                (Part::Fields(header), Some(names)) => {
                    let partial = plain_partial(item);
                    self.fields(answer, item, names, header.clone(), partial).await?;
                }
                (Part::Encoded(octets, transfer), _) => {
                    self.send_decoded(answer, item, (octets, *transfer), &mut sizes).await?;
                }
                (Part::EncodedSize(octets, transfer), _) => {
                    let size = self.decoded_size(octets, *transfer, &mut sizes).await?;
                    Part::Size(size).write(answer, self.out, item, (&[], None, &mut Vec::new()));
                }
                (Part::Written(name, value), _) => {
                    answer.written(self.out, name, &[]);
                    let begun = Instant::now();
                    for piece in value.chunks(BUFFER) {
                        self.out.extend_from_slice(piece);
                        self.hand_on_in_turn(parts, begun).await?;
                    }
                }
                (part, _) => {
                    let made = &mut self.scratch.made;
                    part.write(answer, self.out, item, (&[], None, made));
                }
            }
            self.hand_on_if(true).await?;
            self.work += ITEM;
            self.rest().await;
        }
        Ok(())
    }

    /// Sends the buffer of a response that is in memory.
    async fn hand_on_in_turn(&mut self, parts: &Parts, begun: Instant) -> Result<(), Gone> {
        let mut room = timeout(PATIENCE, self.hand_on_if(true)).await.transpose()?.is_some();
        while !room {
            self.yield_turn(parts, begun)?;
            room = timeout(PATIENCE, self.session.output.room()).await.is_some();
        }
        self.yield_turn(parts, begun)
    }

    /// Ends the connection of a client that takes too long to read a response in memory, if others
    /// wait for that memory.
    fn yield_turn(&self, parts: &Parts, begun: Instant) -> Result<(), Gone> {
        if parts.turn.is_none()
            || begun.elapsed() < PATIENCE
            || !self.session.home.offload.is_awaited()
        {
            return Ok(());
        }
        self.session.conn.shutdown();
        Err(Gone)
    }
}

/// The partial range of a section item.
fn plain_partial(item: &FetchItem) -> Option<Partial> {
    match item {
        FetchItem::Section(body) => body.partial,
        _ => None,
    }
}

/// Writes the octets of the requested range. `before` is the offset of `octets` in the item.
/// Returns the offset of their end.
fn write_part(
    out: &mut BytesMut,
    item: &FetchItem,
    octets: &[u8],
    before: u64,
    wanted: &Range<u64>,
) -> u64 {
    let end = before + octets.len() as u64;
    let (from, to) = (wanted.start.clamp(before, end), wanted.end.clamp(before, end));
    put(out, item, &octets[within(from - before..to.max(from) - before)]);
    end
}

/// Writes octets of an announced item. Only literals of BINARY may contain NUL (RFC 3501 and RFC
/// 9051, `CHAR8`); elsewhere it is replaced by 0x80, as Dovecot does.
pub(super) fn put(out: &mut BytesMut, item: &FetchItem, octets: &[u8]) {
    let start = out.len();
    out.extend_from_slice(octets);
    if !matches!(item, FetchItem::Binary(_)) {
        let mut rest = &mut out[start..];
        while let Some(nul) = memchr(0, rest) {
            rest[nul] = 0x80;
            rest = &mut rest[nul + 1..];
        }
    }
}

/// Writes the name of an item and the number of octets that follow.
pub(super) fn announce(
    answer: &mut FetchResponse,
    out: &mut BytesMut,
    item: &FetchItem,
    octets: u64,
) {
    match item {
        FetchItem::Rfc822 => answer.rfc822(out, "RFC822", octets),
        FetchItem::Rfc822Header => answer.rfc822(out, "RFC822.HEADER", octets),
        FetchItem::Rfc822Text => answer.rfc822(out, "RFC822.TEXT", octets),
        FetchItem::Section(section) => answer.section(out, section, Some(octets)),
        FetchItem::Binary(binary) => answer.binary(out, binary, Some(octets)),
        _ => {}
    }
}

/// Converts a range of octets in memory to indexes.
pub(super) fn within(octets: Range<u64>) -> Range<usize> {
    let at = |octet| usize::try_from(octet).expect("what is in memory is counted by a usize");
    at(octets.start)..at(octets.end)
}
