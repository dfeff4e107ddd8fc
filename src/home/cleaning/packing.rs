//! Octets of many messages, packed into frames without gaps.
//!
//! They are gathered outside of leases: whoever waits for a lease must hold none, and the next
//! message is read into one.

use std::rc::Rc;

use crate::home::{Home, Owner, Room, Stream};
use crate::limits::LARGE_LEASE;
use crate::reactor::LeaseClass;
use crate::store::{HEADER, LogError, Purpose, Relocated, sealed_len};

/// Octets of a frame: as many as a large lease holds.
const FRAME: usize = LARGE_LEASE - HEADER - 8;

/// The frame being filled.
pub(super) struct Packing {
    payload: Vec<u8>,
    /// Messages with octets in it, of which all were packed.
    whole: Vec<Relocated>,
    /// Messages of which all octets are in the log.
    pub placed: Vec<Relocated>,
}

impl Packing {
    pub(super) fn new() -> Packing {
        Packing { payload: Vec::new(), whole: Vec::new(), placed: Vec::new() }
    }

    /// Adds as many of these octets, the next of `message`, as the frame has room for. Returns how
    /// many that are.
    pub(super) fn add(&mut self, message: &mut Relocated, octets: &[u8]) -> usize {
        let taken = octets.len().min(FRAME - self.payload.len());
        if taken > 0 {
            message.octets(HEADER + self.payload.len(), taken);
            self.payload.extend_from_slice(&octets[..taken]);
        }
        taken
    }

    /// Whether no octet fits any more.
    pub(super) fn is_full(&self) -> bool {
        self.payload.len() == FRAME
    }

    /// All octets of this message were packed.
    pub(super) fn end(&mut self, message: Relocated) {
        self.whole.push(message);
    }

    /// Writes the frame. `rest` gives up all leases that are held, in case there is none left.
    /// `unfinished` is the message that goes on in the next frame. Returns the length of
    /// the frame.
    pub(super) async fn write(
        &mut self,
        (home, owner): (&Home, &Rc<Owner>),
        purpose: Purpose,
        rest: impl FnOnce(),
        unfinished: Option<&mut Relocated>,
    ) -> Result<usize, LogError> {
        let length = self.payload.len();
        if length == 0 {
            self.placed.append(&mut self.whole);
            return Ok(0);
        }
        let ledger = home.ledger(owner);
        let class = LeaseClass::holding(HEADER + length + 8);
        let mut lease = match home.arena.try_lease(class) {
            Some(lease) => lease,
            None => {
                rest();
                home.arena.lease(class).await
            }
        };
        lease.octets_mut()[HEADER..HEADER + length].copy_from_slice(&self.payload);
        let stream: Stream = ledger.begin();
        let room = Room::around(lease, length, 0).purpose(purpose).uncharged();
        let place = ledger.write(room, |page| {
            page.belongs_to(stream.id, 0);
            Ok::<_, LogError>(page.begins_at)
        });
        let place = place.await?;
        for message in self.whole.iter_mut().chain(unfinished) {
            message.place(place);
        }
        self.placed.append(&mut self.whole);
        self.payload.clear();
        Ok(sealed_len(length, 0))
    }
}
