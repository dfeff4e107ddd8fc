//! A checkpoint: what accounts hand over, at one instant, for the catalog to write in one
//! transaction.

use std::sync::Arc;

use super::chunk::Chunk;
use super::damaged::Known;
use super::file::Replayed;
use crate::store::{LogPosition, MailboxId};
use imap::types::Uid;

/// Whether the catalog has something as it is.
///
/// `Clean ─change─▶ Dirty ─handed over─▶ Saving ─written─▶ Clean`; a change while it is being saved
/// makes it dirty again, and so does a failure. One checkpoint of an account is on its way at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saved {
    Clean,
    Dirty,
    Saving,
}

impl Saved {
    /// Whether it has to be handed over.
    pub(super) fn begin(&mut self) -> bool {
        assert_ne!(*self, Saved::Saving, "the checkpoint before this one is not over");
        let dirty = *self == Saved::Dirty;
        if dirty {
            *self = Saved::Saving;
        }
        dirty
    }

    /// Whether what was handed over has to be handed over again.
    pub(super) fn end(&mut self, written: bool) -> bool {
        if *self != Saved::Saving {
            return false;
        }
        *self = if written { Saved::Clean } else { Saved::Dirty };
        !written
    }
}

/// See the head of this file. To be made and filled without an await in between: all accounts
/// whose changes are in the logs named, at the same point of those logs.
#[derive(Debug, Default)]
pub struct Checkpoint {
    pub(super) accounts: Vec<(Box<str>, Vec<u8>)>,
    pub(super) subscriptions: Vec<(Box<str>, Vec<u8>)>,
    pub(super) mailboxes: Vec<MailboxRow>,
    pub(super) chunks: Vec<ChunkRow>,
    pub(super) deleted: Vec<(Box<str>, MailboxId)>,
    pub(super) progress: Progress,
    /// All damage that is known; `None` leaves what is written there.
    pub(super) damaged: Option<Vec<Known>>,
}

/// Up to where the catalog is complete once the checkpoint is written.
#[derive(Debug)]
pub(super) enum Progress {
    /// These logs up to these positions; others as before.
    Positions(Vec<LogPosition>),
    /// A replay goes on: each log named up to its frame, on top of the positions.
    Replaying(Replayed),
    /// A replay is over: these positions and no others.
    Replayed(Vec<LogPosition>),
}

impl Default for Progress {
    fn default() -> Progress {
        Progress::Positions(Vec::new())
    }
}

#[derive(Debug)]
pub(super) struct MailboxRow {
    pub(super) account: Box<str>,
    pub(super) mailbox: MailboxId,
    pub(super) row: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct ChunkRow {
    pub(super) mailbox: MailboxId,
    /// Where it begins.
    pub(super) first: Uid,
    /// Without a message: the row has to go.
    pub(super) chunk: Arc<Chunk>,
    /// See `chunks.rs`.
    pub(super) joins: bool,
}

impl Checkpoint {
    /// One that makes the catalog complete up to these positions, when all that changed is added
    /// with [`super::Account::begin_saving`].
    #[must_use]
    pub fn new(positions: Vec<LogPosition>) -> Checkpoint {
        Checkpoint { progress: Progress::Positions(positions), ..Checkpoint::default() }
    }

    /// Chunks in it.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }
}
