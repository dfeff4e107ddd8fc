//! At a start: brings the catalog up to the end of the log.
//!
//! Changes are applied by the same code as in operation. When those in memory grow too large they
//! are written to the catalog, along with the last frame of *each* log whose changes it holds now.
//! An interrupted replay begins again at the old positions and skips, in each log, the changes up
//! to that log's frame; so no change is applied twice, and the positions move only at the very end.
//! Changes of one frame are not divided between two checkpoints.
//!
//! Each log has its own frame because each log can lose its own tail: until recovery is over,
//! nothing that it reads of the newest epoch is known to be durable. A catalog that holds a frame
//! which its log no longer has is refused, whichever log that is.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::path::Path;

use super::account::Account;
use super::checkpoint::{Checkpoint, Progress};
use super::error::{ApplyError, CatalogError, Rot};
use super::file::{CatalogFile, Replayed};
use crate::limits::REPLAY_GATHERS;
use crate::log::{
    self, Change, LogPosition, Medium, Record, Recovered, RecoveryError, Replayed as Visited,
    VisitError,
};
use crate::types::{Epoch, LogId, Lsn, MailboxId, UidRange};

/// What a start gives. Its `Display` is a line for the operator.
pub struct Replay {
    /// The catalog, complete up to the end of the log.
    pub catalog: CatalogFile,
    /// What recovery found.
    pub recovered: Recovered,
    /// Changes that the catalog did not have.
    pub changes: u64,
    /// Messages that the catalog did not have.
    pub messages: u64,
    /// Checkpoints written on the way.
    pub checkpoints: u64,
}

/// Why a start failed.
#[derive(Debug)]
pub enum ReplayError {
    /// The catalog.
    Catalog(CatalogError),
    /// The log.
    Log(RecoveryError),
    /// A change in the log does not fit what is there before it.
    Misfit {
        /// The epoch of the log.
        epoch: Epoch,
        /// The log.
        log: LogId,
        /// The frame.
        lsn: Lsn,
        /// Why.
        error: ApplyError,
    },
}

/// Opens the catalog and replays the log into it. Blocks until all is durable.
///
/// # Errors
/// See [`ReplayError`]. Nothing is lost by it, and another attempt goes on where this one ended.
pub fn replay(catalog: &Path, medium: &mut dyn Medium) -> Result<Replay, ReplayError> {
    // The catalog is made, or made anew, when it is opened.
    log::check_versions(medium).map_err(ReplayError::Log)?;
    replay_by(catalog, REPLAY_GATHERS, |from, visit| log::recover(medium, from, visit))
}

pub(super) type Visitor<'v> = dyn FnMut(Visited) -> Result<(), VisitError> + 'v;

pub(super) fn replay_by(
    catalog: &Path,
    gathers: usize,
    recover: impl FnOnce(&[LogPosition], &mut Visitor<'_>) -> Result<Recovered, RecoveryError>,
) -> Result<Replay, ReplayError> {
    let catalog = CatalogFile::open(catalog)?;
    let positions = catalog.positions()?;
    let mut replayer = Replayer::new(&catalog, gathers)?;
    let recovered = recover(&positions, &mut |change| Ok(replayer.visit(change)?))
        .map_err(ReplayError::of_recovery)?;
    replayer.check_done()?;
    let ends = ends(&recovered.ends, &positions);
    if replayer.changes > 0 || !replayer.done.is_empty() || ends != positions {
        replayer.checkpoint(Progress::Replayed(ends))?;
    }
    let Replayer { changes, messages, checkpoints, .. } = replayer;
    Ok(Replay { catalog, recovered, changes, messages, checkpoints })
}

/// The positions after a replay. With all logs applied to their ends, those of the last epoch say
/// so for all before. A log that has vanished meanwhile keeps its position: without any, all would
/// be read again.
fn ends(ends: &[LogPosition], before: &[LogPosition]) -> Vec<LogPosition> {
    let log = |at: &LogPosition| (at.epoch, at.log);
    let vanished = before.iter().filter(|old| ends.iter().all(|end| log(end) != log(old)));
    let mut all: Vec<LogPosition> = ends.iter().chain(vanished).copied().collect();
    let last = all.iter().map(|at| at.epoch).max();
    all.retain(|at| Some(at.epoch) == last);
    all.sort_by_key(log);
    all
}

struct Replayer<'c> {
    catalog: &'c CatalogFile,
    accounts: BTreeMap<Box<str>, Account>,
    /// The frame of each log up to which an earlier replay had come.
    done: Replayed,
    /// Those of them that have not come up in their log again.
    unseen: Replayed,
    /// The last frame of each log whose changes are in memory or in the catalog.
    reached: Replayed,
    /// The frame of the last change.
    last: Option<(Epoch, LogId, Lsn)>,
    /// Octets in memory, about, and how many there may be.
    gathered: usize,
    gathers: usize,
    changes: u64,
    messages: u64,
    checkpoints: u64,
}

impl<'c> Replayer<'c> {
    fn new(catalog: &'c CatalogFile, gathers: usize) -> Result<Replayer<'c>, CatalogError> {
        let done = catalog.replayed()?;
        Ok(Replayer {
            catalog,
            accounts: BTreeMap::new(),
            unseen: done.clone(),
            reached: done.clone(),
            done,
            last: None,
            gathered: 0,
            gathers,
            changes: 0,
            messages: 0,
            checkpoints: 0,
        })
    }

    fn visit(&mut self, change: Visited) -> Result<(), ReplayError> {
        let Visited { epoch, log, lsn, .. } = change;
        if let Some(&done) = self.done.get(&(epoch, log))
            && lsn <= done
        {
            if lsn == done {
                self.unseen.remove(&(epoch, log));
            }
            return Ok(());
        }
        let frame = (epoch, log, lsn);
        if self.gathered >= self.gathers && self.last.is_some_and(|last| last != frame) {
            self.checkpoint(Progress::Replaying(self.reached.clone()))?;
        }
        self.last = Some(frame);
        self.reached.insert((epoch, log), lsn);
        self.changes += 1;
        self.apply(&change.change)?.map_err(|error| ReplayError::Misfit { epoch, log, lsn, error })
    }

    /// The tail of a log is durable only when recovery is over. After a power loss before that, an
    /// interrupted replay may have written what the log has lost.
    fn check_done(&self) -> Result<(), CatalogError> {
        let Some((&(epoch, log), lsn)) = self.unseen.first_key_value() else { return Ok(()) };
        let what = format!(
            "a power loss during a start has put it ahead of the log: it has frame {lsn} of log \
             {log} of epoch {epoch}, which is not there"
        );
        Err(CatalogError::Damaged { path: self.catalog.path().into(), what })
    }

    fn apply(&mut self, change: &Change) -> Result<Result<(), ApplyError>, CatalogError> {
        let Some(name) = owner(change) else { return Ok(Err(ApplyError::NotAChange)) };
        if !self.accounts.contains_key(name) {
            let account = self.catalog.account(name)?.unwrap_or_else(|| Account::new(name));
            self.gathered += account.octets_in_memory();
            self.accounts.insert(name.into(), account);
        }
        let account = self.accounts.get_mut(name).expect("it was just put there");
        if let Some((mailbox, uids)) = needs(change) {
            self.gathered += load(self.catalog, account, mailbox, uids)?;
        }
        let before = account.dirty_octets();
        let applied = match change {
            Change::Append { commit, messages } => {
                self.messages += messages.len() as u64;
                account.append(commit, messages)
            }
            Change::Other(record) => account.apply(record),
        };
        self.gathered += account.dirty_octets().saturating_sub(before);
        Ok(applied)
    }

    /// Writes all changes and empties the memory.
    fn checkpoint(&mut self, progress: Progress) -> Result<(), CatalogError> {
        let mut checkpoint = Checkpoint { progress, ..Checkpoint::default() };
        for account in mem::take(&mut self.accounts).values_mut() {
            account.begin_saving(&mut checkpoint);
        }
        self.catalog.write(&checkpoint)?;
        self.gathered = 0;
        self.checkpoints += 1;
        Ok(())
    }
}

fn owner(change: &Change) -> Option<&str> {
    match change {
        Change::Append { commit, .. } => Some(&commit.account),
        Change::Other(
            Record::CreateMailbox { account, .. }
            | Record::DeleteMailbox { account, .. }
            | Record::RenameMailbox { account, .. }
            | Record::Subscribe { account, .. }
            | Record::SetFlags { account, .. }
            | Record::Expunge { account, .. },
        ) => Some(account),
        Change::Other(_) => None,
    }
}

/// Which messages must be in memory for a change.
fn needs(change: &Change) -> Option<(MailboxId, &[UidRange])> {
    match change {
        Change::Other(
            Record::SetFlags { mailbox, uids, .. } | Record::Expunge { mailbox, uids, .. },
        ) => Some((*mailbox, uids)),
        _ => None,
    }
}

fn load(
    catalog: &CatalogFile,
    account: &mut Account,
    mailbox: MailboxId,
    uids: &[UidRange],
) -> Result<usize, CatalogError> {
    let Some(mailbox) = account.mailbox_mut(mailbox) else { return Ok(0) };
    let id = mailbox.id();
    let rotten =
        |rot: Rot| CatalogError::Damaged { path: catalog.path().into(), what: rot.to_string() };
    mailbox.load_for(uids, |uids, known| catalog.chunks_of(id, uids, known), rotten)
}

// ---- Words for the operator --------------------------------------------------------------------

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (changes, messages) = (self.changes, self.messages);
        write!(f, "replayed {changes} changes with {messages} messages")?;
        let (frames, octets) = (self.recovered.frames, self.recovered.octets);
        write!(f, " from {frames} frames, {octets} octets")?;
        self.recovered.cut.iter().try_for_each(|cut| write!(f, "; {cut}"))
    }
}

impl ReplayError {
    /// The errors of the visitor come back wrapped.
    fn of_recovery(error: RecoveryError) -> ReplayError {
        match error {
            RecoveryError::Visit(inner) => match inner.downcast::<ReplayError>() {
                Ok(error) => *error,
                Err(inner) => ReplayError::Log(RecoveryError::Visit(inner)),
            },
            error => ReplayError::Log(error),
        }
    }
}

impl From<CatalogError> for ReplayError {
    fn from(error: CatalogError) -> ReplayError {
        ReplayError::Catalog(error)
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::Catalog(error) => error.fmt(f),
            ReplayError::Log(error) => error.fmt(f),
            ReplayError::Misfit { epoch, log, lsn, error } => write!(
                f,
                "frame {lsn} of log {log} of epoch {epoch} does not fit what comes before it: \
                 {error}. If catalog.redb was put there from elsewhere, delete it: it is rebuilt \
                 from the segments. If it was not, a file is missing in segments/: put it back \
                 from a copy. Nothing was changed"
            ),
        }
    }
}

impl std::error::Error for ReplayError {}
