//! Checking a store without changing it: the log is replayed into a catalog of its own, past all
//! damage, and compared with the catalog of the store, brought up to the end of the log in a copy.
//!
//! ```text
//! segments ── replay of everything ───────▶ work/log.redb ────┐
//!     └────── replay of the newest changes ─┐                  ├─ compared entry by entry
//! catalog.redb ── copied ─▶ work/catalog.redb ─────────────────┘
//! ```
//!
//! Memory does not grow with the store: both catalogs are files, and are read a few rows at a time.
//! The folder `work` needs room for two catalogs, about 200 bytes for each message.

mod compare;
mod octets;

use std::fs;
use std::io;
use std::path::Path;

use self::compare::Compare;
use super::damaged::{Finding, Known};
use super::error::CatalogError;
use super::losses;
use super::replay::{OnDamage, Replay, ReplayError, replay_past, restores, set_aside};
use super::restored::Restored;
use super::snapshot::{self, SnapshotError};
use crate::reactor::{files, thresholds};
use crate::store::{self, Medium, RecoveryError, SegmentHeader, was_dropped};

/// What a check found.
pub(crate) struct Verified {
    /// All damage.
    pub findings: Vec<Finding>,
    /// Messages in the log whose octets were checked, including those expunged since.
    pub messages: u64,
    /// Messages in mailboxes, according to the log.
    pub living: u64,
    /// Frames read.
    pub frames: u64,
    /// Damaged messages that no mailbox has any more.
    pub expunged: u64,
    /// Whether the catalog was compared with the log.
    pub comparison: Comparison,
    /// Whether the damage in the log is recorded in the file `losses`, and nothing else is damaged.
    pub recorded: bool,
    /// Why the file `losses` cannot be used.
    pub unusable_losses: Option<String>,
    /// The damage in the log, for the file `losses`.
    losses: Vec<Known>,
}

/// What became of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// It was compared, and agrees unless a finding says otherwise.
    Done,
    /// There is none: the next start makes it from the log.
    NoCatalog,
    /// A server has it open.
    InUse,
    /// It cannot be used, or contradicts the log: the next start should make it again.
    Unusable,
}

/// Checks everything that the medium has, and the catalog if there is one. While a server runs, the
/// catalog is left out, and `active` has the headers of the segments that the medium leaves out.
/// `work` is an empty folder for files that the caller removes.
///
/// # Errors
/// See [`ReplayError`]: when the check itself cannot be done. Damage is no error.
pub(crate) fn verify(
    data: &Path,
    work: &Path,
    active: Option<&[SegmentHeader]>,
    medium: &mut dyn Medium,
) -> Result<Verified, ReplayError> {
    store::check_versions(medium).map_err(ReplayError::Log)?;
    let restored = restores(data)?;
    let kept = snapshot::check(data);
    // Without its beginning, the log says nothing about what came before the snapshot.
    let (path, mut filled) = (work.join("log.redb"), false);
    if was_dropped(data).map_err(CatalogError::io(data))? && kept.is_ok() {
        filled = snapshot::restore(data, &path)?;
    }
    let mut log = pass(&path, &restored, medium)?;
    // Where the snapshot ends in a segment that is still written to, there is nothing to read.
    let in_use: Vec<_> = active.into_iter().flatten().map(|header| header.segment).collect();
    log.known.retain(|known| !in_use.contains(&known.damage.file));
    let is_in_use = |one: &Finding| one.file.is_some_and(|file| in_use.contains(&file));
    log.quarantine.findings.retain(|one| !is_in_use(one));
    let log = log;
    let mut verified = Verified {
        findings: log.quarantine.findings.clone(),
        messages: log.messages,
        living: 0,
        frames: log.recovered.frames,
        expunged: log.quarantine.expunged,
        comparison: Comparison::Done,
        recorded: false,
        unusable_losses: None,
        losses: log.known.clone(),
    };
    match kept {
        Ok(_) => {}
        Err(error @ SnapshotError::Damaged { .. }) => {
            verified.findings.push(Finding::of_catalog(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    }
    if filled {
        octets::check(&log.catalog, medium, &mut verified.findings)?;
    }
    let catalog = data.join("catalog.redb");
    if let Some(active) = active {
        verified.comparison = Comparison::InUse;
        // Messages of stripped segments may have new places in the segments that are left out.
        verified.findings.retain(|finding| !finding.stripped || finding.uids.is_none());
        verified.check_ends(&log, active, medium)?;
    } else if !catalog.exists() {
        verified.comparison = Comparison::NoCatalog;
    } else {
        let copy = work.join("catalog.redb");
        fs::copy(&catalog, &copy).map_err(CatalogError::io(&catalog))?;
        match pass(&copy, &restored, medium) {
            Ok(copy) => verified.compare(&log, &copy, medium)?,
            Err(
                error @ (ReplayError::Catalog(CatalogError::Damaged { .. })
                | ReplayError::Misfit { .. }),
            ) => verified.refuse(&error, &copy, &catalog),
            Err(error) => return Err(error),
        }
    }
    verified.living = compare::living(&log.catalog)?;
    let accepted = losses::read(data).unwrap_or_else(|error| {
        verified.unusable_losses = Some(error.to_string());
        Vec::new()
    });
    let covered = |known: &Known| accepted.iter().any(|one| one.covers(known));
    verified.recorded =
        verified.losses.iter().all(covered) && verified.comparison != Comparison::Unusable;
    Ok(verified)
}

/// A replay past all damage.
fn pass(
    catalog: &Path,
    restored: &[Restored],
    medium: &mut dyn Medium,
) -> Result<Replay, ReplayError> {
    let gathers = thresholds().replay_gathers;
    replay_past(catalog, gathers, OnDamage::Quarantine, (&[], restored), |from, visitor| {
        store::recover_with(medium, from, visitor)
    })
}

impl Verified {
    /// Logs that go on in segments of a running server must end where those say. Logs of older
    /// epochs were cut where they end.
    fn check_ends(
        &mut self,
        log: &Replay,
        active: &[SegmentHeader],
        medium: &dyn Medium,
    ) -> Result<(), ReplayError> {
        let io = |error| RecoveryError::Io { file: None, offset: 0, error };
        let lengths = medium.segments().map_err(|error| ReplayError::Log(io(error)))?;
        let newest = active.iter().map(|header| header.epoch).max();
        for end in &log.recovered.ends {
            let length = lengths.iter().find(|(segment, _)| *segment == end.segment);
            let length = length.map(|&(segment, length)| medium.end(segment, length)).transpose();
            let length = length.map_err(|error| ReplayError::Log(io(error)))?;
            let left = active.iter().filter_map(|header| header.previous);
            let wanted = match Some(end.epoch) < newest {
                true => length,
                false => left
                    .filter(|(segment, _)| *segment == end.segment)
                    .map(|left| left.1.into())
                    .next(),
            };
            if wanted.is_some_and(|wanted| u64::from(end.offset) < wanted) {
                let mut finding = Finding::of_catalog(format!(
                    "no valid frame follows frame {}, though the log goes on",
                    end.lsn.0 - 1
                ));
                (finding.file, finding.offset) = (Some(end.segment), end.offset.into());
                self.findings.push(finding);
            }
        }
        Ok(())
    }

    fn compare(
        &mut self,
        log: &Replay,
        copy: &Replay,
        medium: &dyn Medium,
    ) -> Result<(), ReplayError> {
        for known in &copy.known {
            if !self.losses.iter().any(|other| other.covers(known)) {
                self.losses.push(known.clone());
            }
        }
        let place =
            |one: &Finding| (one.file, one.offset, one.user.clone(), one.mailbox.clone(), one.uids);
        for finding in &copy.quarantine.findings {
            if !self.findings.iter().any(|other| place(other) == place(finding)) {
                self.findings.push(finding.clone());
            }
        }
        let mut compare = Compare::new(log, copy, medium);
        compare.positions()?;
        compare.accounts()?;
        // Where the log has lost changes, the catalog may well have more than the log.
        if compare.contradicts && !self.losses.iter().any(Known::is_hole) {
            self.comparison = Comparison::Unusable;
        }
        self.findings.append(&mut compare.findings);
        Ok(())
    }

    fn refuse(&mut self, error: &ReplayError, copy: &Path, catalog: &Path) {
        let (copy, catalog) = (copy.display().to_string(), catalog.display().to_string());
        let what = error.to_string().replace(&copy, &catalog);
        self.findings.push(Finding::of_catalog(what));
        self.comparison = Comparison::Unusable;
    }
}

/// Accepts what a check found in a data folder that no server uses: damage in the log is written
/// down, and a catalog that contradicts the log is set aside. Durable on return.
///
/// # Errors
/// Those of the disk.
pub(crate) fn repair(data: &Path, verified: &Verified) -> io::Result<()> {
    losses::write(data, &verified.losses)?;
    let catalog = data.join("catalog.redb");
    if verified.comparison == Comparison::Unusable && files::exists(&catalog)? {
        set_aside(&catalog)?;
    }
    Ok(())
}
