//! A checkpoint: the changed rows of all accounts as of one instant, written to the catalog in one
//! transaction.

use std::collections::BTreeSet;

use redb::{ReadableTable, WriteTransaction};

use super::damaged::Known;
use super::failure::Failure;
use super::file::{POSITIONS, REPLAYING, ReplayMarks};
use super::live::counts::LiveRow;
use super::rows::{ChunkRow, MailboxRow};
use crate::reactor::unix_seconds;
use crate::store::{Epoch, LogPosition, Lsn, MailboxId, SegmentId, Unfinished};

/// See the head of this file. Create and fill it without an await in between, so that all accounts
/// of the named logs stand at the same position of those logs.
#[derive(Debug, Default)]
pub struct Checkpoint {
    pub(super) accounts: Vec<(Box<str>, Vec<u8>)>,
    pub(super) subscriptions: Vec<(Box<str>, Vec<u8>)>,
    pub(super) mailboxes: Vec<MailboxRow>,
    pub(super) chunks: Vec<ChunkRow>,
    pub(super) live: Vec<LiveRow>,
    pub(super) deleted: Vec<(Box<str>, MailboxId)>,
    /// Segments with octets that nothing will name any more, beside those that `live` and `deleted`
    /// tell of.
    pub(super) dead: Vec<SegmentId>,
    /// When that was, in seconds since 1970 UTC; 0 if it is unknown.
    pub(super) at: u64,
    /// From each of these segments to the end of its epoch, there may be octets that nothing names.
    pub(super) tails: Vec<SegmentId>,
    /// Octets that no record has named yet.
    pub(super) unfinished: Option<Unfinished>,
    pub(super) coverage: Coverage,
    /// All known damage. `None` leaves the table as it is.
    pub(super) damaged: Option<Vec<Known>>,
    /// The catalog has the consequences of all restores of backups up to this epoch.
    pub(super) restored: Option<Epoch>,
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

impl Coverage {
    /// The position, if these are the positions of one log.
    pub(super) fn one(&self) -> Option<&LogPosition> {
        match self {
            Coverage::Positions(positions) => match &positions[..] {
                [position] => Some(position),
                _ => None,
            },
            Coverage::Replaying(_) | Coverage::Replayed(_) => None,
        }
    }

    /// If these are the positions of one log: up to where the catalog has that log already. `None`
    /// if it has nothing of it.
    pub(super) fn before(&self, transaction: &WriteTransaction) -> Result<Option<Lsn>, Failure> {
        let Some(LogPosition { epoch, log, .. }) = self.one() else { return Ok(None) };
        let table = transaction.open_table(POSITIONS)?;
        let row = table.get((epoch.0, log.0))?;
        Ok(row.map(|row| Lsn(row.value().3)))
    }

    pub(super) fn write(&self, transaction: &WriteTransaction) -> Result<(), Failure> {
        let mut table = transaction.open_table(POSITIONS)?;
        let mut replaying = transaction.open_table(REPLAYING)?;
        let positions = match self {
            Coverage::Replaying(logs) => {
                for (&(epoch, log), lsn) in logs {
                    replaying.insert((epoch.0, log.0), lsn.0)?;
                }
                return Ok(());
            }
            Coverage::Replayed(positions) => {
                replaying.retain(|_, _| false)?;
                table.retain(|_, _| false)?;
                positions
            }
            Coverage::Positions(positions) => positions,
        };
        for at in positions {
            let place = (at.segment.0, at.offset, at.lsn.0, at.applied.0);
            table.insert((at.epoch.0, at.log.0), place)?;
        }
        Ok(())
    }
}

impl Default for Coverage {
    fn default() -> Coverage {
        Coverage::Positions(Vec::new())
    }
}

impl Checkpoint {
    /// A checkpoint that makes the catalog complete up to these positions, provided that every
    /// changed account is added with [`super::Account::begin_saving`].
    #[must_use]
    pub fn new(positions: Vec<LogPosition>) -> Checkpoint {
        let coverage = Coverage::Positions(positions);
        Checkpoint { coverage, at: unix_seconds(), ..Checkpoint::default() }
    }

    /// Adds where there are octets that nothing will name any more, and where there are some that
    /// no record has named yet.
    pub fn unnamed(&mut self, dead: &BTreeSet<SegmentId>, unfinished: Unfinished) {
        self.dead.extend(dead);
        self.unfinished = Some(unfinished);
    }

    /// Number of chunks.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }
}
