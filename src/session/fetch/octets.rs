//! The octets of a message, from the leases they were read into to the buffer they are sent from.

use std::io;
use std::ops::Range;
use std::time::Duration;

use bytes::BytesMut;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::large::LARGE;
use super::parts::{Part, Parts};
use super::reader::Reader;
use super::section::filter_header;
use super::walk::Found;
use super::wanted::{Plain, Wanted, cut, plain};
use crate::limits::{LARGE_LEASE, MIME_OCTETS};
use crate::net::BUFFER;
use crate::protocol::FetchItem;
use crate::protocol::response::FetchResponse;
use crate::reactor::{Instant, timeout};
use crate::session::dispatch::Session;

/// Items up to here are answered from the reader's lease; a client that asks for more at once may
/// take long to read them, and gets them from memory of its own.
const MANY: usize = 16;

/// So long a client may take for a decoded part when others wait for memory: at 64 MiB a megabyte
/// a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a message cannot be answered.
pub(super) enum Unfit {
    /// It cannot be read, or not as it was stored. Nothing of it was sent yet.
    Damaged(io::Error),
    /// It makes no sense to go on.
    Broken(io::Error),
}

/// Memory that is used again for message after message.
#[derive(Default)]
pub(super) struct Scratch {
    /// A message, or its header, that did not lie together.
    octets: Vec<u8>,
    /// Fields of a header, or an envelope.
    made: Vec<u8>,
    hasher: Xxh3,
}

/// What is known of the message that is being answered.
#[derive(Default)]
struct Progress {
    /// Length of its header.
    header: Option<u64>,
    /// Its checksum was found right.
    checked: bool,
    /// Some of it was sent already.
    sent: bool,
}

/// What it takes to answer one message.
struct One<'o, 'r, 'h> {
    session: &'o Session,
    message: &'o Found,
    out: &'o mut BytesMut,
    reader: &'r mut Reader<'h>,
    scratch: &'o mut Scratch,
    progress: Progress,
}

impl Session {
    /// Writes those items of an answer for which the message must be read, and ends the answer.
    /// `true` when a part is encoded in a way that is not known.
    pub(super) async fn octets(
        &self,
        mut answer: FetchResponse,
        out: &mut BytesMut,
        wanted: &Wanted,
        message: &Found,
        reader: &mut Reader<'_>,
        scratch: &mut Scratch,
    ) -> Result<bool, Unfit> {
        let progress = Progress::default();
        let mut one = One { session: self, message, out, reader, scratch, progress };
        let result = match wanted.parses {
            false => one.plain(&mut answer, &wanted.items).await.map(|()| false),
            true => one.parsed(&mut answer, wanted).await,
        };
        match result {
            Ok(unknown_encoding) => {
                answer.end(one.out);
                Ok(unknown_encoding)
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Unfit::Broken(error)),
            Err(error) if one.progress.sent => {
                // The client holds octets that are not the message's: it must not take them.
                self.conn.shutdown();
                Err(Unfit::Broken(error))
            }
            Err(error) => Err(Unfit::Damaged(error)),
        }
    }
}

impl One<'_, '_, '_> {
    /// Items for which the parts of the message need not be known.
    async fn plain(&mut self, answer: &mut FetchResponse, items: &[FetchItem]) -> io::Result<()> {
        let size = self.message.entry().size();
        for item in items {
            if *item == FetchItem::Envelope {
                self.envelope(answer).await?;
                continue;
            }
            let Some((part, partial)) = plain(item) else { continue };
            if let Plain::Fields { not, names } = part {
                self.scratch.made.clear();
                let mut made = std::mem::take(&mut self.scratch.made);
                filter_header(self.head().await?, not, names, &mut made);
                let octets = &made[within(cut(0..made.len() as u64, partial))];
                announce(answer, self.out, item, octets.len() as u64);
                self.out.extend_from_slice(octets);
                self.scratch.made = made;
                continue;
            }
            let octets = match part {
                Plain::Whole => 0..size,
                Plain::Text => self.header().await?..size,
                Plain::Header | Plain::Fields { .. } => 0..self.header().await?,
            };
            let octets = cut(octets, partial);
            announce(answer, self.out, item, octets.end - octets.start);
            let whole = partial.is_none() && octets.end == size;
            self.send(octets, whole && !self.progress.checked).await?;
        }
        Ok(())
    }

    async fn envelope(&mut self, answer: &mut FetchResponse) -> io::Result<()> {
        let mut value = BytesMut::new();
        crate::mime::envelope(self.head().await?, &mut value);
        answer.written(self.out, "ENVELOPE", &value);
        Ok(())
    }

    /// The length of the header, empty line included.
    async fn header(&mut self) -> io::Result<u64> {
        if let Some(length) = self.progress.header {
            return Ok(length);
        }
        let length = self.reader.header_length(self.message, self.message.entry().size()).await?;
        self.progress.header = Some(length);
        Ok(length)
    }

    /// The header, or the start of one longer than a lease.
    async fn head(&mut self) -> io::Result<&[u8]> {
        let length = self.header().await?.min(LARGE_LEASE as u64);
        self.reader.start(self.message, length, &mut self.scratch.octets).await
    }

    /// Sends a range of the message; when `check` is set, which needs the range to be the rest of
    /// the message, only if its checksum is right.
    async fn send(&mut self, octets: Range<u64>, check: bool) -> io::Result<()> {
        let size = self.message.entry().size();
        if check && size <= LARGE_LEASE as u64 && size > 0 {
            let piece = self.reader.piece(self.message, 0..size).await?;
            if piece.len() as u64 == size {
                right(self.message, xxh3_128(piece))?;
                self.progress.checked = true;
                self.out.extend_from_slice(&piece[within(octets)]);
                return Ok(());
            }
        }
        self.scratch.hasher.reset();
        let mut at = if check { 0 } else { octets.start };
        while at < octets.end {
            let until = if at < octets.start { octets.start } else { octets.end };
            let piece = self.reader.piece(self.message, at..until).await?;
            if check {
                self.scratch.hasher.update(piece);
            }
            if at >= octets.start {
                self.out.extend_from_slice(piece);
            }
            at += piece.len() as u64;
            self.hand_on_if(size > LARGE_LEASE as u64).await?;
        }
        if check {
            right(self.message, self.scratch.hasher.digest128())?;
            self.progress.checked = true;
        }
        Ok(())
    }

    /// Hands on what was gathered when there is enough. As long as nothing of a message was sent,
    /// nothing has to be if it turns out to be damaged: so that waits, unless it is large.
    async fn hand_on_if(&mut self, large: bool) -> io::Result<()> {
        let enough = if large { BUFFER } else { BUFFER + LARGE_LEASE };
        if self.out.len() >= enough {
            self.progress.sent = true;
            self.session.hand_on(self.out, Some(self.reader)).await?;
        }
        Ok(())
    }

    /// Items some of which need the parts of the message.
    async fn parsed(&mut self, answer: &mut FetchResponse, wanted: &Wanted) -> io::Result<bool> {
        let (message, size) = (self.message, self.message.entry().size());
        if size > LARGE && wanted.lazy {
            self.plain(answer, &wanted.items).await?;
            answer.preview(self.out, None);
            return Ok(false);
        }
        if size > LARGE {
            let parts = self.session.parse_large(message, &wanted.items, self.reader).await?;
            self.progress.checked = size <= MIME_OCTETS;
            return self.large(answer, wanted, &parts).await;
        }
        let mut together = size == 0;
        if size > 0 && wanted.items.len() <= MANY {
            let piece = self.reader.piece(message, 0..size).await?;
            together = piece.len() as u64 == size;
        }
        if !together {
            self.reader.gather(message, size, &mut self.scratch.octets).await?;
            right(message, xxh3_128(&self.scratch.octets))?;
            let octets = std::mem::take(&mut self.scratch.octets);
            let parts = Parts::find(&octets, size, &wanted.items);
            for (item, part) in wanted.items.iter().zip(&parts.items) {
                part.write(answer, self.out, item, &octets);
                self.hand_on_if(true).await?;
            }
            self.scratch.octets = octets;
            return Ok(parts.has_unknown_encoding());
        }
        let octets = match size {
            0 => &[],
            _ => self.reader.piece(message, 0..size).await?,
        };
        right(message, xxh3_128(octets))?;
        let parts = Parts::find(octets, size, &wanted.items);
        for (item, part) in wanted.items.iter().zip(&parts.items) {
            part.write(answer, self.out, item, octets);
        }
        Ok(parts.has_unknown_encoding())
    }

    /// Items of a large message whose parts are known, read once more piece by piece.
    async fn large(
        &mut self,
        answer: &mut FetchResponse,
        wanted: &Wanted,
        parts: &Parts,
    ) -> io::Result<bool> {
        for (item, part) in wanted.items.iter().zip(&parts.items) {
            match part {
                Part::Range(octets) => {
                    announce(answer, self.out, item, octets.end - octets.start);
                    let whole = *octets == (0..self.message.entry().size());
                    self.send(octets.clone(), whole && !self.progress.checked).await?;
                }
                Part::Octets(octets) => {
                    announce(answer, self.out, item, octets.len() as u64);
                    let begun = Instant::now();
                    for piece in octets.chunks(BUFFER) {
                        self.out.extend_from_slice(piece);
                        self.hand_on_in_turn(parts, begun).await?;
                    }
                }
                part => part.write(answer, self.out, item, &[]),
            }
        }
        Ok(parts.has_unknown_encoding())
    }
}

impl One<'_, '_, '_> {
    /// Hands on what was gathered of a part that had to be decoded in memory.
    async fn hand_on_in_turn(&mut self, parts: &Parts, begun: Instant) -> io::Result<()> {
        let mut room = timeout(PATIENCE, self.hand_on_if(true)).await.transpose()?.is_some();
        while !room {
            self.yield_turn(parts, begun)?;
            room = timeout(PATIENCE, self.session.output.room()).await.is_some();
        }
        self.yield_turn(parts, begun)
    }

    /// Whoever takes long to read what had to be decoded in memory must not keep others waiting.
    fn yield_turn(&self, parts: &Parts, begun: Instant) -> io::Result<()> {
        if parts.turn.is_none()
            || begun.elapsed() < PATIENCE
            || !self.session.home.parser.is_awaited()
        {
            return Ok(());
        }
        self.session.conn.shutdown();
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

/// Writes the name of an item and how many octets follow.
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

/// A range of octets that are in memory.
pub(super) fn within(octets: Range<u64>) -> Range<usize> {
    let at = |octet| usize::try_from(octet).expect("what is in memory is counted by a usize");
    at(octets.start)..at(octets.end)
}

/// Compares what was read with what was received.
pub(super) fn right(message: &Found, checksum: u128) -> io::Result<()> {
    if checksum == message.entry().checksum() {
        return Ok(());
    }
    let at = message.entry().fragment(0).map(|f| (f.segment, f.offset));
    let text = format!("the message at {at:?} does not have the octets that were stored");
    Err(io::Error::new(io::ErrorKind::InvalidData, text))
}
