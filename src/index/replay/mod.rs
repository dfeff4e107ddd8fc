//! Startup: brings the catalog up to the end of the logs.
//!
//! Changes are applied by the code that applies them in operation. When those in memory grow too
//! large, a checkpoint writes them to the catalog with a *mark* for each log: the last frame whose
//! changes the catalog now has. The positions move only at the end. A frame is never split between
//! two checkpoints. So an interrupted replay starts from the old positions, skips every frame up to
//! its log's mark, and applies no change twice:
//!
//! ```text
//! positions   log 0 at 10            log 1 at 20
//! replay      frames 11 12 13 14     frames 21 22 23        in the order of commits
//! checkpoint  mark 12                mark 22                positions stay 10 and 20
//! power loss
//! next start  skips 11 12            skips 21 22            then applies 13, 23, 14
//! end         position 14            position 23            marks deleted
//! ```
//!
//! Each log has a mark of its own, because their frames are applied in the order of commits.
//! Recovery makes a segment durable before it reads it, so a power loss takes no frame that has a
//! mark. If log 1 ends at 21 all the same, the catalog has changes that the log has lost: frame 22
//! is never read, and the catalog is refused as damaged (`check_done`).

mod change;
mod error;
mod forget;
mod outcome;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::path::Path;

use self::change::{load, needs, owner};
pub(crate) use self::error::ReplayError;
pub(super) use self::forget::restores;
pub(super) use self::outcome::set_aside;
use self::outcome::{ends, tails};
use super::account::Account;
use super::checkpoint::{Checkpoint, Coverage};
use super::damaged::{Finding, Known, Quarantine};
use super::error::{ApplyError, CatalogError};
use super::file::{CatalogFile, ReplayMarks};
use super::losses::{self, LossesError};
use super::restored::Restored;
use super::snapshot::{self, SnapshotError};
use crate::reactor::{files, thresholds};
use crate::store::{
    self, Change, Damage, Epoch, LogId, LogPosition, Lost, Lsn, Medium, Record, Recovered,
    RecoveryError, Replayed, SegmentId, VisitError, Visitor,
};

/// Result of a replay. Its `Display` is a line for the operator.
pub(crate) struct Replay {
    /// The catalog, complete up to the end of the log.
    pub catalog: CatalogFile,
    /// What recovery found.
    pub recovered: Recovered,
    /// Number of changes applied: those that the catalog lacked.
    pub changes: u64,
    /// Number of messages in these changes.
    pub messages: u64,
    /// Number of checkpoints written on the way.
    #[cfg_attr(not(test), expect(dead_code, reason = "what tests compare"))]
    pub checkpoints: u64,
    /// The damage found.
    pub quarantine: Quarantine,
    /// The same as rows: what is damaged now, or was and cannot be checked again.
    pub(super) known: Vec<Known>,
}

/// How a start treats damage to acknowledged data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDamage {
    /// Fail and change nothing, unless only expunged messages are damaged.
    #[default]
    Stop,
    /// Serve what is sound and report the rest.
    Quarantine,
}

/// Opens the catalog and replays the log into it. Blocks until everything is durable.
///
/// # Errors
/// See [`ReplayError`]. Nothing is lost; the next attempt continues where this one ended.
pub(crate) fn replay(
    catalog: &Path,
    medium: &mut dyn Medium,
    on_damage: OnDamage,
) -> Result<Replay, ReplayError> {
    // Before the catalog is opened, which may create or empty it.
    store::check_versions(medium).map_err(ReplayError::Log)?;
    let data = catalog.parent().unwrap_or(Path::new("."));
    let accepted = match losses::read(data) {
        // With the flag, any damage is accepted.
        Err(LossesError::Damaged { .. }) if on_damage == OnDamage::Quarantine => Vec::new(),
        read => read.map_err(ReplayError::Losses)?,
    };
    let mut unusable = from_snapshot(data, catalog, on_damage)?;
    let restored = restores(data)?;
    let mut attempt = || {
        let gathers = thresholds().replay_gathers;
        replay_past(catalog, gathers, on_damage, (&accepted, &restored), |from, visitor| {
            store::recover_with(medium, from, visitor)
        })
    };
    let mut replay = match attempt() {
        Err(
            error @ (ReplayError::Catalog(CatalogError::Damaged { .. })
            | ReplayError::Misfit { .. }),
        ) if on_damage == OnDamage::Quarantine => {
            let aside = set_aside(catalog).map_err(CatalogError::io(catalog))?;
            let what = format!("set aside as {}: {error}", aside.display());
            unusable = from_snapshot(data, catalog, on_damage)?;
            let mut replay = attempt()?;
            replay.quarantine.findings.insert(0, Finding::of_catalog(what));
            replay
        }
        other => other?,
    };
    replay.quarantine.findings.splice(0..0, unusable);
    Ok(replay)
}

/// Makes the catalog from a snapshot if there is none. With --quarantine, a snapshot that cannot be
/// used is a finding, and the log is replayed from where it begins.
fn from_snapshot(
    data: &Path,
    catalog: &Path,
    on_damage: OnDamage,
) -> Result<Option<Finding>, ReplayError> {
    match snapshot::restore(data, catalog) {
        Ok(_) => Ok(None),
        Err(error @ (SnapshotError::Damaged { .. } | SnapshotError::Missing(_)))
            if on_damage == OnDamage::Quarantine =>
        {
            Ok(Some(Finding::of_catalog(format!("not made from a snapshot: {error}"))))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
pub(super) fn replay_by(
    path: &Path,
    gathers: usize,
    on_damage: OnDamage,
    recover: impl FnOnce(&[LogPosition], &mut dyn Visitor) -> Result<Recovered, RecoveryError>,
) -> Result<Replay, ReplayError> {
    replay_past(path, gathers, on_damage, (&[], &[]), recover)
}

/// Replays past the losses that are `accepted`, as if `on_damage` were `Quarantine` for them, and
/// makes clients forget what they know where the log leaves a backup that was `restored`.
pub(super) fn replay_past(
    path: &Path,
    gathers: usize,
    on_damage: OnDamage,
    (accepted, restored): (&[Known], &[Restored]),
    recover: impl FnOnce(&[LogPosition], &mut dyn Visitor) -> Result<Recovered, RecoveryError>,
) -> Result<Replay, ReplayError> {
    let mut catalog = CatalogFile::open(path)?;
    let holes: Vec<_> = catalog.damaged()?.into_iter().filter(Known::is_hole).collect();
    let refused = |hole: &&Known| {
        on_damage == OnDamage::Stop && !accepted.iter().any(|accepted| accepted.covers(hole))
    };
    if let Some(first) = holes.iter().find(refused) {
        let (damage, count) = (Box::new(first.damage.clone()), holes.len());
        return Err(ReplayError::Known { damage, count });
    }
    let mut pending = catalog.pending(restored)?;
    let forgets = !holes.is_empty() || !pending.is_empty();
    if forgets && !catalog.replayed()?.is_empty() {
        // The replay was interrupted after a hole. If the lost frames are back, from a backup, the
        // marks would skip them. Or some mailboxes have a new UIDVALIDITY already, and must not get
        // another that no later replay would give them.
        drop(catalog);
        files::remove(path).map_err(CatalogError::io(path))?;
        from_snapshot(path.parent().unwrap_or(Path::new(".")), path, on_damage)?;
        catalog = CatalogFile::open(path)?;
        pending = catalog.pending(restored)?;
    }
    // Files of earlier epochs may have been dropped since.
    let positions = snapshot::newest(catalog.positions()?);
    let mut replayer = Replayer::new(&catalog, gathers, on_damage, accepted)?;
    replayer.resumes = !positions.is_empty();
    replayer.restored = pending;
    let mut recovered = recover(&positions, &mut replayer).map_err(ReplayError::of_recovery)?;
    replayer.check_done()?;
    replayer.tails = tails(&recovered.ends, &positions);
    replayer.tails.extend(catalog.unfinished()?);
    let ends = ends(&recovered.ends, &positions);
    if replayer.has_news() || ends != positions || !replayer.tails.is_empty() {
        replayer.checkpoint(Coverage::Replayed(ends))?;
    }
    let Replayer { changes, messages, checkpoints, quarantine, known, .. } = replayer;
    let highest = quarantine.highest;
    if highest.epoch() >= Epoch::LAST {
        let error = RecoveryError::LastEpoch { file: highest, epoch: highest.epoch() };
        return Err(ReplayError::Log(error));
    }
    recovered.next_epoch = recovered.next_epoch.max(highest.epoch().next());
    // A segment that looks unused may be the remains of one that was used. Its number stays taken.
    let named = |segment: &SegmentId| known.iter().any(|known| known.damage.file == *segment);
    let is_named = |one: &SegmentId| quarantine.named.contains(one) || named(one);
    recovered.ready.retain(|ready| !is_named(&ready.segment));
    Ok(Replay { catalog, recovered, changes, messages, checkpoints, quarantine, known })
}

struct Replayer<'c> {
    catalog: &'c CatalogFile,
    accounts: BTreeMap<Box<str>, Account>,
    /// The marks of an earlier, interrupted replay.
    done: ReplayMarks,
    /// Marks whose frame has not been read in this replay.
    unseen: ReplayMarks,
    /// The last frame of each log whose changes are in memory or in the catalog.
    reached: ReplayMarks,
    /// The frame of the last change.
    last: Option<(Epoch, LogId, Lsn)>,
    /// Approximate bytes in memory, and the size at which a checkpoint is written.
    gathered: usize,
    gathers: usize,
    changes: u64,
    messages: u64,
    checkpoints: u64,
    on_damage: OnDamage,
    /// Losses that the operator has accepted.
    accepted: &'c [Known],
    /// The catalog has positions: the log before them is not read.
    resumes: bool,
    /// Damage found by earlier starts; after recovery, all damage that is there now.
    known: Vec<Known>,
    were_known: bool,
    /// Damage found by this start.
    found: Vec<Damage>,
    /// The segments in which messages lie that this replay added.
    named: BTreeSet<SegmentId>,
    quarantine: Quarantine,
    /// Where the log may have octets that nothing names.
    tails: Vec<SegmentId>,
    /// Restores of backups whose epochs are not behind this replay yet.
    restored: VecDeque<Restored>,
    /// The last of those that are.
    left: Option<Epoch>,
}

impl Visitor for Replayer<'_> {
    fn change(&mut self, change: Replayed) -> Result<(), VisitError> {
        Ok(self.visit(change)?)
    }

    fn damage(&mut self, damage: Damage) -> Result<(), RecoveryError> {
        // Whether the message is expunged is known only when everything is replayed.
        let waits = matches!(damage.lost, Lost::Octets(_));
        if !waits && !Known::of(&damage).iter().all(|known| self.passes(known)) {
            return Err(damage.into());
        }
        self.found.push(damage);
        Ok(())
    }

    fn knows_damage(&self) -> bool {
        !self.known.is_empty() || !self.accepted.is_empty()
    }

    fn end(&mut self, medium: &dyn Medium) -> Result<(), RecoveryError> {
        self.settle(medium)
            .and_then(|()| Ok(self.leave_backups(None)?))
            .map_err(|error| RecoveryError::Visit(error.into()))
    }
}

impl<'c> Replayer<'c> {
    fn new(
        catalog: &'c CatalogFile,
        gathers: usize,
        on_damage: OnDamage,
        accepted: &'c [Known],
    ) -> Result<Replayer<'c>, CatalogError> {
        let known = catalog.damaged()?;
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
            on_damage,
            accepted,
            resumes: false,
            were_known: !known.is_empty(),
            known,
            found: Vec::new(),
            named: BTreeSet::new(),
            quarantine: Quarantine::default(),
            tails: Vec::new(),
            restored: VecDeque::new(),
            left: None,
        })
    }

    /// Whether the catalog must be written at the end.
    fn has_news(&self) -> bool {
        let damaged = self.were_known || !self.known.is_empty();
        self.changes > 0 || self.checkpoints > 0 || !self.done.is_empty() || damaged
    }

    /// Whether the start goes on in spite of this damage.
    fn passes(&self, known: &Known) -> bool {
        let accepted = || self.accepted.iter().any(|accepted| accepted.covers(known));
        self.on_damage == OnDamage::Quarantine || accepted()
    }

    fn has_holes(&self) -> bool {
        let lost = |damage: &Damage| matches!(damage.lost, Lost::Frames(_));
        self.found.iter().any(lost) || self.known.iter().any(|known| lost(&known.damage))
    }

    /// Judges the damage once everything sound is applied.
    fn settle(&mut self, medium: &dyn Medium) -> Result<(), ReplayError> {
        let stranded = self.stranded(medium)?;
        self.found.extend(stranded);
        if self.found.is_empty() && self.known.is_empty() && self.accepted.is_empty() {
            return Ok(());
        }
        let fresh = Known::fresh(&self.found, &self.known);
        let holes: Vec<_> = fresh.iter().filter_map(Known::hole).collect();
        self.known.extend(fresh);
        if self.resumes {
            // Those before the positions are not found again. Their changes are in the catalog.
            let unknown = |one: &&Known| !self.known.iter().any(|known| one.covers(known));
            let unseen: Vec<_> = self.accepted.iter().filter(unknown).cloned().collect();
            self.known.extend(unseen);
        }
        self.checkpoint(Coverage::Replaying(self.reached.clone()))?;
        self.quarantine = self.catalog.quarantine(medium, &mut self.known)?;
        if let Some(first) = self.known.iter().find(|known| !self.passes(known)) {
            let named = |damage: &&Damage| match &first.damage.lost {
                Lost::Octets(octets) => octets.iter().any(|octets| damage.takes(octets)),
                _ => false,
            };
            return Err(match self.found.iter().find(named) {
                Some(damage) => ReplayError::Log(damage.clone().into()),
                None => {
                    let (damage, count) = (Box::new(first.damage.clone()), self.known.len());
                    ReplayError::Known { damage, count }
                }
            });
        }
        if !holes.is_empty() {
            self.forget_lost(&holes)?;
        }
        Ok(())
    }

    /// Messages whose octets are in a stripped segment. The catalog had none when that was
    /// stripped, so there are some only if this replay has added them, or has lost changes. An
    /// interrupted replay may have added some too.
    fn stranded(&mut self, medium: &dyn Medium) -> Result<Vec<Damage>, CatalogError> {
        let added = self.named.iter().any(|&segment| medium.is_stripped(segment));
        if !added && self.done.is_empty() && !self.has_holes() {
            return Ok(Vec::new());
        }
        self.checkpoint(Coverage::Replaying(self.reached.clone()))?;
        self.catalog.stranded(medium)
    }

    /// The account, from memory or the catalog; a new one if it has no row.
    fn account(&mut self, name: &str) -> Result<&mut Account, CatalogError> {
        if !self.accounts.contains_key(name) {
            let account = self.catalog.account(name)?.unwrap_or_else(|| Account::new(name));
            self.gathered += account.octets_in_memory();
            self.accounts.insert(name.into(), account);
        }
        Ok(self.accounts.get_mut(name).expect("it was just put there"))
    }

    fn visit(&mut self, change: Replayed) -> Result<(), ReplayError> {
        let Replayed { epoch, log, lsn, .. } = change;
        if let Some(&done) = self.done.get(&(epoch, log))
            && lsn <= done
        {
            if lsn == done {
                self.unseen.remove(&(epoch, log));
            }
            return Ok(());
        }
        if !self.restored.is_empty() {
            self.leave_backups(Some(epoch))?;
        }
        let frame = (epoch, log, lsn);
        if self.gathered >= self.gathers && self.last.is_some_and(|last| last != frame) {
            self.checkpoint(Coverage::Replaying(self.reached.clone()))?;
        }
        self.last = Some(frame);
        self.reached.insert((epoch, log), lsn);
        self.changes += 1;
        let mut applied = self.apply(&change.change)?;
        if let Err(error) = applied
            && (self.on_damage == OnDamage::Quarantine || !self.accepted.is_empty())
            && self.has_holes()
        {
            applied = self.mend(&change.change, error)?;
        }
        applied.map_err(|error| ReplayError::Misfit { epoch, log, lsn, error })
    }

    /// Applies a change that does not fit because earlier changes are lost.
    fn mend(
        &mut self,
        change: &Change,
        error: ApplyError,
    ) -> Result<Result<(), ApplyError>, CatalogError> {
        let Some(name) = owner(change) else { return Ok(Err(error)) };
        let account = self.account(name)?;
        let mended = match (change, error) {
            (Change::Append { commit, .. }, ApplyError::NoMailbox(_)) => {
                account.make_recovered(commit.mailbox, commit.save_date).map(|()| true)
            }
            (Change::Other(Record::SetMetadata { mailbox, .. }), ApplyError::NoMailbox(_)) => {
                account.make_recovered(*mailbox, 0).map(|()| true)
            }
            (Change::Other(Record::DeleteMailbox { .. }), ApplyError::NoMailbox(_)) => {
                return Ok(Ok(()));
            }
            (Change::Other(record), ApplyError::MailboxExists(_)) => account.step_aside(record),
            _ => Ok(false),
        };
        match mended {
            Ok(true) => self.apply(change),
            Ok(false) => Ok(Err(error)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Refuses a catalog with changes that its log has lost: an earlier replay wrote them, and the
    /// disk has not kept what it had called durable.
    fn check_done(&self) -> Result<(), CatalogError> {
        let Some((&(epoch, log), lsn)) = self.unseen.first_key_value() else { return Ok(()) };
        let what = format!(
            "it is ahead of the log: it contains frame {lsn} of log {log} of epoch {epoch}, which \
             the log has lost"
        );
        let cause = Box::<dyn std::error::Error + Send + Sync>::from(what).into();
        Err(CatalogError::Damaged { path: self.catalog.path().into(), cause })
    }

    fn apply(&mut self, change: &Change) -> Result<Result<(), ApplyError>, CatalogError> {
        let Some(name) = owner(change) else { return Ok(Err(ApplyError::NotAChange)) };
        self.account(name)?;
        let account = self.accounts.get_mut(name).expect("it was just put there");
        if let Some((mailbox, uids)) = needs(change) {
            self.gathered += load(self.catalog, account, mailbox, &uids)?;
        }
        let before = account.dirty_octets();
        let applied = match change {
            Change::Append { commit, messages } => {
                self.messages += messages.len() as u64;
                let fragments = messages.iter().flat_map(|message| &message.fragments);
                for fragment in fragments {
                    self.named.insert(fragment.segment);
                }
                account.append(commit, messages)
            }
            Change::Other(record) => account.apply(record),
        };
        self.gathered += account.dirty_octets().saturating_sub(before);
        Ok(applied)
    }

    /// Writes all changes in memory to the catalog and drops the accounts.
    fn checkpoint(&mut self, coverage: Coverage) -> Result<(), CatalogError> {
        let ends = matches!(coverage, Coverage::Replayed(_));
        let restored = self.left;
        let mut checkpoint = Checkpoint { coverage, restored, ..Checkpoint::default() };
        if ends {
            checkpoint.tails = mem::take(&mut self.tails);
        }
        if ends && self.has_news() {
            checkpoint.damaged = Some(self.known.clone());
        } else if self.has_holes() {
            // If this start is interrupted, the next one must know what it skipped.
            let fresh = Known::fresh(&self.found, &self.known);
            checkpoint.damaged = Some(self.known.iter().cloned().chain(fresh).collect());
        }
        for account in mem::take(&mut self.accounts).values_mut() {
            account.begin_saving(&mut checkpoint);
        }
        self.catalog.write(&checkpoint)?;
        self.gathered = 0;
        self.checkpoints += 1;
        Ok(())
    }
}
