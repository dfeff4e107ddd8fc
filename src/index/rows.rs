//! Rows of the catalog, and whether each is saved.

use std::sync::Arc;

use super::chunk::Chunk;
use crate::store::MailboxId;
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
