//! Large messages whose parts are asked for: threads beside the reactors look at them piece by
//! piece, few at a time, one for each user.

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

impl Session {
    /// Has threads beside the reactor look at the first `length` octets of a message, in pieces of
    /// so many. Between two of them the client may turn out to have gone, and other users may have
    /// their turn. When all of the message was looked at, its checksum was right.
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
        // Who waits for a turn holds no lease.
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
                // What it holds is no more than any command may.
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

    /// Finds the parts of a message over [`LARGE`], or what its long header says; then only the
    /// first `length` octets are looked at.
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
