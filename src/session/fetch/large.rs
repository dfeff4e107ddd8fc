//! Parts of large messages. The offload pool parses such a message piece by piece: a few messages
//! at a time, and one per user.

use super::head::Reader;
use super::parts::Parts;
use crate::home::Turn;
use crate::index::Found;
use crate::limits::LARGE_MESSAGE as LARGE;
use crate::session::session::Session;
use crate::session::trouble::Trouble;
use crate::session::vigil::Vigil;
use crate::store::Checksum;
use imap::mime::{Outliner, TextSearch, TooLong};
use imap::protocol::FetchItem;

/// Pieces of a large message after which other users get a turn.
const PIECES: usize = 16;

/// A parser or search that takes a message in pieces.
pub(in crate::session) trait Looks: Send + 'static {
    /// Takes the next piece; `last` marks the final one. Returns whether it needs no more.
    fn look(&mut self, piece: &[u8], last: bool) -> Result<bool, TooLong>;

    /// Its memory, in bytes.
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

impl Session {
    /// Feeds the first `length` octets of a message to `looks` on the offload pool, in pieces of
    /// `piece` octets. Between pieces it checks whether the client has disconnected, and other
    /// users may get a turn. If it reads the complete message, it has verified the checksum.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub(in crate::session) async fn look_at<L: Looks>(
        &self,
        message: &Found,
        (length, piece): (u64, u64),
        (reader, vigil): (&mut Reader<'_>, &mut Vigil),
        mut looks: L,
    ) -> Result<(L, Turn), Trouble> {
        let (offload, user, size) = (&self.home.offload, self.user_name(), message.entry().size());
        // Release the lease before waiting for a turn.
        reader.rest();
        let mut turn = self.watch(vigil, offload.turn(user)).await?;
        let (mut at, mut pieces) = (0, 0);
        let (mut octets, mut checksum) = (Vec::new(), Checksum::default());
        while at < length {
            reader.copy(message, at..length.min(at + piece), &mut octets).await?;
            at += octets.len() as u64;
            let last = at == length;
            let work = offload.run(user, move || {
                checksum.update(&octets);
                let enough = looks.look(&octets, last);
                (enough, looks, octets, checksum)
            });
            let enough;
            (enough, looks, octets, checksum) = self.watch(vigil, work).await??;
            if enough? && !last {
                return Ok((looks, turn));
            }
            self.still_there(vigil)?;
            pieces += 1;
            if pieces >= PIECES && !last && offload.is_awaited() && looks.memory() as u64 <= LARGE {
                // It may keep this memory without a turn: no more than any command may have.
                reader.rest();
                drop(turn);
                turn = self.watch(vigil, offload.turn(user)).await?;
                pieces = 0;
            }
        }
        if length == size {
            checksum.verify(message)?;
        }
        Ok((looks, turn))
    }

    /// Finds the parts of a message over [`LARGE`]. If only a long header matters, `length` is
    /// shorter than the message.
    pub(super) async fn parse_large(
        &self,
        message: &Found,
        length: u64,
        items: &[FetchItem],
        reader: &mut Reader<'_>,
    ) -> Result<Parts, Trouble> {
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
        let mut parts = self.watch(&mut vigil, work).await??;
        if parts.items.iter().any(super::parts::Part::is_too_long) {
            return Err(TooLong.into());
        }
        parts.turn = Some(turn).filter(|_| parts.held > LARGE);
        Ok(parts)
    }
}
