//! BINARY of large messages. A part is decoded as it is read: once to count its octets, and once to
//! send them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::octets::{One, announce, put, within};
use super::wanted::cut;
use crate::session::trouble::Trouble;
use crate::session::vigil::Vigil;
use crate::store::ReadError;
use imap::mime::{Decoder, Transfer};
use imap::protocol::FetchItem;
use imap::protocol::response::FetchResponse;

/// The decoded sizes of parts, in octets, by the offset of the part.
pub(super) type Sizes = BTreeMap<u64, u64>;

impl One<'_, '_, '_> {
    /// The decoded size of a part, in octets.
    pub(super) async fn decoded_size(
        &mut self,
        octets: &Range<u64>,
        transfer: Transfer,
        sizes: &mut Sizes,
    ) -> Result<u64, Trouble> {
        self.decoded_up_to(octets, transfer, u64::MAX, sizes).await
    }

    /// The decoded size of a part, but at most `most`: decoding stops there.
    async fn decoded_up_to(
        &mut self,
        octets: &Range<u64>,
        transfer: Transfer,
        most: u64,
        sizes: &mut Sizes,
    ) -> Result<u64, Trouble> {
        if let Some(size) = sizes.get(&octets.start) {
            return Ok(most.min(*size));
        }
        let (mut decoder, mut decoded, mut size) = (Decoder::new(transfer), Vec::new(), 0);
        let (mut at, mut vigil) = (octets.start, Vigil::new());
        while at < octets.end && size < most {
            let piece = self.reader.piece(self.message, at..octets.end).await?;
            at += piece.len() as u64;
            self.work += piece.len() as u64;
            decoder.feed(piece, &mut decoded);
            size += decoded.len() as u64;
            decoded.clear();
            self.still_there(&mut vigil)?;
            self.rest().await;
        }
        if size < most {
            decoder.finish(&mut decoded);
            size += decoded.len() as u64;
            sizes.insert(octets.start, size);
        }
        Ok(most.min(size))
    }

    /// Sends the range of a decoded part that an item requests.
    pub(super) async fn send_decoded(
        &mut self,
        answer: &mut FetchResponse,
        item: &FetchItem,
        (octets, transfer): (&Range<u64>, Transfer),
        sizes: &mut Sizes,
    ) -> Result<(), Trouble> {
        let partial = if let FetchItem::Binary(binary) = item { binary.partial } else { None };
        let most = partial.map_or(u64::MAX, |p| p.offset.saturating_add(p.length));
        let wanted = cut(0..self.decoded_up_to(octets, transfer, most, sizes).await?, partial);
        announce(answer, self.out, item, wanted.end - wanted.start);
        let (mut decoder, mut decoded, mut before) = (Decoder::new(transfer), Vec::new(), 0);
        let mut at = octets.start;
        while before < wanted.end {
            if at < octets.end {
                let piece = self.reader.piece(self.message, at..octets.end).await?;
                at += piece.len() as u64;
                self.work += piece.len() as u64;
                decoder.feed(piece, &mut decoded);
            } else {
                decoder.finish(&mut decoded);
            }
            let end = before + decoded.len() as u64;
            let (from, to) = (wanted.start.clamp(before, end), wanted.end.clamp(before, end));
            put(self.out, item, &decoded[within(from - before..to.max(from) - before)]);
            if at >= octets.end && end < wanted.end && decoded.is_empty() {
                // The message differs from what was read a moment ago.
                return Err(ReadError::damaged(self.message, "changes while it is read").into());
            }
            before = end;
            decoded.clear();
            self.hand_on_if(true).await?;
            self.rest().await;
        }
        Ok(())
    }
}
