//! A checkpoint: the changed rows of all accounts as of one instant, written to the catalog in one
//! transaction.

use std::sync::Arc;

use super::chunk::Chunk;
use super::damaged::Known;
use super::file::ReplayMarks;
use crate::store::{LogPosition, MailboxId};
use imap::types::Uid;

/// Whether the catalog has the current state of a row.
///
/// `Clean ─change─▶ Dirty ─begin─▶ Saving ─written─▶ Clean`. A change while saving makes the row
/// dirty again, as does a failed write. An account has at most one checkpoint in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saved {
    Clean,
    Dirty,
    Saving,
}

impl Saved {
    /// Starts saving a dirty row. False when there is nothing to save.
    pub(super) fn begin(&mut self) -> bool {
        assert_ne!(*self, Saved::Saving, "the previous checkpoint of this account is in flight");
        let dirty = *self == Saved::Dirty;
        if dirty {
            *self = Saved::Saving;
        }
        dirty
    }

    /// Ends saving. True when the row has to be saved again because the write failed.
    pub(super) fn end(&mut self, written: bool) -> bool {
        if *self != Saved::Saving {
            return false;
        }
        *self = if written { Saved::Clean } else { Saved::Dirty };
        !written
    }
}

/// See the head of this file. Create and fill it without an await in between, so that all accounts
/// of the named logs stand at the same position of those logs.
#[derive(Debug, Default)]
pub struct Checkpoint {
    pub(super) accounts: Vec<(Box<str>, Vec<u8>)>,
    pub(super) subscriptions: Vec<(Box<str>, Vec<u8>)>,
    pub(super) mailboxes: Vec<MailboxRow>,
    pub(super) chunks: Vec<ChunkRow>,
    pub(super) deleted: Vec<(Box<str>, MailboxId)>,
    pub(super) coverage: Coverage,
    /// All known damage. `None` leaves the table as it is.
    pub(super) damaged: Option<Vec<Known>>,
}

/// How far into each log the catalog is complete once the checkpoint is written.
#[derive(Debug)]
pub(super) enum Coverage {
    /// These logs up to these positions; other logs are unchanged.
    Positions(Vec<LogPosition>),
    /// A replay is under way: the catalog also has each named log up to this frame.
    Replaying(ReplayMarks),
    /// A replay is complete: these positions replace all others.
    Replayed(Vec<LogPosition>),
}

impl Default for Coverage {
    fn default() -> Coverage {
        Coverage::Positions(Vec::new())
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
    /// Key of the row: the UID at which the chunk begins.
    pub(super) first: Uid,
    /// An empty chunk deletes the row.
    pub(super) chunk: Arc<Chunk>,
    /// See `chunks.rs`.
    pub(super) joins: bool,
}

impl Checkpoint {
    /// A checkpoint that makes the catalog complete up to these positions, provided that every
    /// changed account is added with [`super::Account::begin_saving`].
    #[must_use]
    pub fn new(positions: Vec<LogPosition>) -> Checkpoint {
        Checkpoint { coverage: Coverage::Positions(positions), ..Checkpoint::default() }
    }

    /// Number of chunks.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }
}
