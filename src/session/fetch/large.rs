//! Large messages whose parts are asked for: threads beside the reactors look at them piece by
//! piece, few at a time, one for each user.

use std::io;

use xxhash_rust::xxh3::Xxh3;

use super::octets::right;
use super::parts::Parts;
use super::reader::Reader;
use super::walk::Found;
use crate::home::Turn;
use crate::limits::LARGE_MESSAGE as LARGE;
use crate::session::dispatch::Session;
use crate::session::vigil::Vigil;
use imap::mime::{Outliner, TextSearch, TooLong};
use imap::protocol::FetchItem;

/// Pieces of a large message, after which other users may have theirs first.
const PIECES: usize = 16;

/// What looks at a message that comes in pieces.
pub(in crate::session) trait Looks: Send + 'static {
    /// Takes the next octets, the last or not. Whether it has seen enough.
    fn look(&mut self, piece: &[u8], last: bool) -> Result<bool, TooLong>;

    /// What it takes in memory, in bytes.
    fn memory(&self) -> usize;
}

impl Looks for Outliner {
    fn look(&mut self, piece: &[u8], last: bool) -> Result<bool, TooLong> {
        self.feed(piece, last).map(|()| false)
    }

    fn memory(&self) -> usize {
        Outliner::memory(self)
    }
}

impl Looks for TextSearch {
    fn look(&mut self, piece: &[u8], last: bool) -> Result<bool, TooLong> {
        self.feed(piece, last)
    }

    fn memory(&self) -> usize {
        TextSearch::memory(self)
    }
}

/// Headers are too long to be looked at.
pub(in crate::session) fn too_long(error: TooLong) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, error)
}

impl Session {
    /// Has threads beside the reactor look at the first `length` octets of a message, in pieces of
    /// so many. Between two of them the client may turn out to have gone, and other users may have
    /// their turn. When all of the message was looked at, its checksum was right.
    ///
    /// # Errors
    /// `FileTooLarge` when a header is too long; `BrokenPipe` when the client has gone.
    pub(in crate::session) async fn look_at<L: Looks>(
        &self,
        message: &Found,
        (length, piece): (u64, u64),
        (reader, vigil): (&mut Reader<'_>, &mut Vigil),
        mut looks: L,
    ) -> io::Result<(L, Turn)> {
        let (offload, user, size) = (&self.home.offload, self.user_name(), message.entry().size());
        // Who waits for a turn holds no lease.
        reader.rest();
        let mut turn = self.watch(vigil, offload.turn(user)).await?;
        let (mut at, mut pieces, mut octets, mut hasher) = (0, 0, Vec::new(), Xxh3::new());
        while at < length {
            reader.copy(message, at..length.min(at + piece), &mut octets).await?;
            at += octets.len() as u64;
            let last = at == length;
            let work = offload.run(user, move || {
                hasher.update(&octets);
                let enough = looks.look(&octets, last);
                (enough, looks, octets, hasher)
            });
            let enough;
            (enough, looks, octets, hasher) = self.watch(vigil, work).await?;
            if enough.map_err(too_long)? && !last {
                return Ok((looks, turn));
            }
            self.still_there(vigil)?;
            pieces += 1;
            if pieces >= PIECES && !last && offload.is_awaited() && looks.memory() as u64 <= LARGE {
                // What it holds is no more than any command may.
                reader.rest();
                drop(turn);
                turn = self.watch(vigil, offload.turn(user)).await?;
                pieces = 0;
            }
        }
        if length == size {
            right(message, hasher.digest128())?;
        }
        Ok((looks, turn))
    }

    /// Finds the parts of a message over [`LARGE`], or what its long header says; then only the
    /// first `length` octets are looked at.
    pub(super) async fn parse_large(
        &self,
        message: &Found,
        length: u64,
        items: &[FetchItem],
        reader: &mut Reader<'_>,
    ) -> io::Result<Parts> {
        let says = |item: &FetchItem| {
            matches!(item, FetchItem::Body | FetchItem::BodyStructure | FetchItem::Envelope)
        };
        let shows = |item: &FetchItem| matches!(item, FetchItem::Preview { .. });
        let (headers, preview) = (items.iter().any(says), items.iter().any(shows));
        let outliner = Outliner::new(self.enabled.rev2, headers, preview);
        let mut vigil = Vigil::new();
        let with = (reader, &mut vigil);
        let (outliner, turn) = self.look_at(message, (length, LARGE), with, outliner).await?;
        let (items, size) = (items.to_vec(), message.entry().size());
        let work = move || Parts::find(outliner.finish(), size, &items);
        let work = self.home.offload.run(self.user_name(), work);
        let mut parts = self.watch(&mut vigil, work).await?;
        if parts.items.iter().any(super::parts::Part::is_too_long) {
            return Err(too_long(TooLong));
        }
        parts.turn = Some(turn).filter(|_| parts.held > LARGE);
        Ok(parts)
    }
}
