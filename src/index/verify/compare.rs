//! Comparing the catalog with what the log says, entry by entry.

use std::collections::{BTreeSet, VecDeque};

use crate::index::account::Account;
use crate::index::chunk::Entry;
use crate::index::damaged::{Finding, NAMES};
use crate::index::error::CatalogError;
use crate::index::file::CatalogFile;
use crate::index::mailbox::Mailbox;
use crate::index::replay::Replay;
use crate::store::{EmailId, Fragment, Lost, MailboxId, Medium, SegmentId, is_whole};
use imap::types::{Flags, InternalDate, ModSeq, Uid};

/// A comparison under way.
pub(super) struct Compare<'a> {
    log: &'a Replay,
    catalog: &'a Replay,
    medium: &'a dyn Medium,
    /// Changes are lost in the log, so that flags and mod-sequences may rightly differ.
    has_holes: bool,
    pub(super) findings: Vec<Finding>,
    /// The catalog is not what the log says.
    pub(super) contradicts: bool,
}

/// An entry, copied.
#[derive(PartialEq)]
struct Copied {
    uid: Uid,
    flags: Flags,
    modseq: ModSeq,
    size: u64,
    date: InternalDate,
    save_date: i64,
    checksum: u128,
    email: EmailId,
    fragments: Vec<Fragment>,
}

/// How an entry of one side compares with the other side.
#[derive(Clone, Copy, PartialEq)]
enum Differs {
    /// Only the catalog has it.
    NotInLog,
    /// Only the catalog has it, and its octets are damaged.
    NotInLogAndDamaged,
    /// Only the log has it.
    NotInCatalog,
    /// Both have it, with other contents.
    Otherwise,
}

/// Messages in a row with one finding.
struct Run {
    differs: Differs,
    place: (SegmentId, u64),
    uids: (Uid, Uid),
}

impl<'a> Compare<'a> {
    pub(super) fn new(log: &'a Replay, catalog: &'a Replay, medium: &'a dyn Medium) -> Self {
        let known = log.known.iter().chain(&catalog.known);
        let lost = |lost: &Lost| !matches!(lost, Lost::Octets(_));
        let has_holes = known.into_iter().any(|known| lost(&known.damage.lost));
        Compare { log, catalog, medium, has_holes, findings: Vec::new(), contradicts: false }
    }

    /// Whether the catalog has read more of a log than there is.
    pub(super) fn positions(&mut self) -> Result<(), CatalogError> {
        for at in self.catalog.catalog.positions()? {
            let ends = &self.log.recovered.ends;
            let end = ends.iter().find(|end| (end.epoch, end.log) == (at.epoch, at.log));
            let (file, offset, what) = match end {
                Some(end) if end.lsn >= at.lsn => continue,
                Some(end) => {
                    let what = format!("the log ends before frame {}", end.lsn);
                    (end.segment, end.offset, what)
                }
                None => (at.segment, at.offset, "the log is missing".into()),
            };
            let what = format!("{what}, though the catalog has read it up to frame {}", at.lsn);
            let (user, mailbox, uids) = (None, None, None);
            let stripped = self.medium.is_stripped(file);
            let (file, offset) = (Some(file), offset.into());
            self.findings.push(Finding { file, stripped, offset, what, user, mailbox, uids });
        }
        Ok(())
    }

    pub(super) fn accounts(&mut self) -> Result<(), CatalogError> {
        let (mut after, log, catalog) = (String::new(), &self.log.catalog, &self.catalog.catalog);
        loop {
            let (ours, theirs) = (log.names(&after, NAMES)?, catalog.names(&after, NAMES)?);
            // Beyond the end of the shorter list, the other side may have names not read yet.
            let full = [&ours, &theirs].into_iter().filter(|names| names.len() == NAMES);
            let end = full.filter_map(|names| names.last()).min().cloned();
            let mut names: BTreeSet<_> = ours.iter().chain(&theirs).cloned().collect();
            names.retain(|name| end.as_ref().is_none_or(|end| name <= end));
            for name in &names {
                self.account(name)?;
            }
            let Some(end) = end else { return Ok(()) };
            after = end.into();
        }
    }

    fn account(&mut self, name: &str) -> Result<(), CatalogError> {
        let found = self.catalog.catalog.account(name);
        let Some(catalog) = self.readable(found, name, None)? else { return Ok(()) };
        let log = self.log.catalog.account(name)?;
        let (Some(log), Some(catalog)) = (&log, &catalog) else {
            let what = match log {
                Some(_) => "it lacks a user that the log has",
                None => "it has a user that the log does not have",
            };
            self.note(what.into(), name, None);
            return Ok(());
        };
        let (ours, theirs) = (log.next_email(), catalog.next_email());
        // After a hole some are skipped.
        if theirs < ours {
            let what = format!("it would give EMAILID {theirs} again, the log says {ours} is next");
            self.note(what, name, None);
        }
        let ids = |account: &Account| account.names().map(|(_, id)| id).collect::<BTreeSet<_>>();
        for id in &ids(log) | &ids(catalog) {
            match (log.mailbox(id), catalog.mailbox(id)) {
                (Some(log), Some(catalog)) => self.mailbox(name, id, log, catalog)?,
                (Some(log), None) => {
                    self.note("it lacks a mailbox that the log has".into(), name, Some(log.name()));
                }
                (None, Some(catalog)) => {
                    let what = "it has a mailbox that the log does not have";
                    self.note(what.into(), name, Some(catalog.name()));
                    self.entries(name, id, catalog.name(), false)?;
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn mailbox(
        &mut self,
        user: &str,
        id: MailboxId,
        log: &Mailbox,
        catalog: &Mailbox,
    ) -> Result<(), CatalogError> {
        let (ours, theirs) = (log.counts(), catalog.counts());
        let pairs = [
            ("UIDVALIDITY", u64::from(log.uid_validity().0), u64::from(catalog.uid_validity().0)),
            ("UIDNEXT", ours.uid_next.0.into(), theirs.uid_next.0.into()),
            ("HIGHESTMODSEQ", ours.highest_modseq.0, theirs.highest_modseq.0),
            ("the number of messages", ours.messages.into(), theirs.messages.into()),
            ("their size", ours.octets, theirs.octets),
            ("the number of unseen messages", ours.unseen.into(), theirs.unseen.into()),
        ];
        let differing = pairs.into_iter().filter(|(_, log, catalog)| log != catalog);
        for (what, log, theirs) in differing.filter(|_| !self.has_holes).collect::<Vec<_>>() {
            let what = format!("it has {theirs} for {what}, the log says {log}");
            self.note(what, user, Some(catalog.name()));
        }
        if log.name() != catalog.name() && !self.has_holes {
            let what =
                format!("it has this name for a mailbox that the log names {:?}", log.name());
            self.note(what, user, Some(catalog.name()));
        }
        self.entries(user, id, catalog.name(), true)
    }

    /// Compares the entries of a mailbox, which the log may not have at all.
    fn entries(
        &mut self,
        user: &str,
        id: MailboxId,
        mailbox: &str,
        in_log: bool,
    ) -> Result<(), CatalogError> {
        let first = in_log.then_some(Uid(1));
        let mut log = Entries { file: &self.log.catalog, id, from: first, read: VecDeque::new() };
        let mut catalog =
            Entries { file: &self.catalog.catalog, from: Some(Uid(1)), ..log.fresh() };
        let mut run: Option<Run> = None;
        loop {
            let found = catalog.peek().map(|entry| entry.map(|entry| entry.uid));
            let Some(theirs) = self.readable(found, user, Some(mailbox))? else { break };
            let ours = log.peek()?.map(|entry| entry.uid);
            let (ours, theirs) = match (ours, theirs) {
                (None, None) => break,
                (Some(ours), Some(theirs)) if ours == theirs => (log.take(), catalog.take()),
                (Some(ours), theirs) if theirs.is_none_or(|theirs| ours < theirs) => {
                    (log.take(), None)
                }
                _ => (None, catalog.take()),
            };
            let Some((differs, entry)) = self.judge(ours, theirs) else { continue };
            let start = entry.fragments.first();
            let place = start.map_or((SegmentId(0), 0), |at| (at.segment, at.offset.into()));
            match &mut run {
                Some(run) if run.differs == differs && run.place.0 == place.0 => {
                    run.uids.1 = entry.uid;
                }
                _ => {
                    let next = Run { differs, place, uids: (entry.uid, entry.uid) };
                    self.end(run.replace(next), user, mailbox);
                }
            }
        }
        self.end(run, user, mailbox);
        Ok(())
    }

    /// How the entries of a message differ, and one of them.
    fn judge(&self, log: Option<Copied>, catalog: Option<Copied>) -> Option<(Differs, Copied)> {
        match (log, catalog) {
            (Some(mut log), Some(catalog)) => {
                if self.has_holes {
                    (log.flags, log.modseq) = (catalog.flags, catalog.modseq);
                }
                (log != catalog).then_some((Differs::Otherwise, catalog))
            }
            (Some(log), None) => Some((Differs::NotInCatalog, log)),
            (None, Some(entry)) => {
                // The log did not name these octets, so they were not checked with it.
                let whole = is_whole(self.medium, entry.fragments.iter().copied(), entry.checksum);
                let differs = if whole { Differs::NotInLog } else { Differs::NotInLogAndDamaged };
                Some((differs, entry))
            }
            (None, None) => None,
        }
    }

    /// Notes a run of messages as a finding.
    fn end(&mut self, run: Option<Run>, user: &str, mailbox: &str) {
        let Some(Run { differs, place: (file, offset), uids }) = run else { return };
        let (what, in_log) = match differs {
            Differs::NotInLog => (
                "the catalog has messages that begin here, with sound octets, but the log has \
                 lost their records",
                true,
            ),
            Differs::NotInLogAndDamaged => (
                "the catalog has messages that begin here, but the log has lost their records, \
                 and octets of theirs are damaged",
                true,
            ),
            Differs::NotInCatalog if self.has_holes => (
                "the catalog does not have messages that begin here; the log has, perhaps because \
                 it has lost the record that expunged them",
                true,
            ),
            Differs::NotInCatalog => ("it lacks messages that the log has", false),
            Differs::Otherwise => ("its entries are not those of the log", false),
        };
        self.contradicts |= !self.has_holes;
        let (file, offset) = if in_log { (Some(file), offset) } else { (None, 0) };
        let (user, mailbox, uids) = (Some(user.into()), Some(mailbox.into()), Some(uids));
        let stripped = file.is_some_and(|file| self.medium.is_stripped(file));
        let what = what.into();
        self.findings.push(Finding { file, stripped, offset, what, user, mailbox, uids });
    }

    /// Notes that the catalog differs in a user or mailbox.
    fn note(&mut self, what: String, user: &str, mailbox: Option<&str>) {
        self.contradicts |= !self.has_holes;
        let mut finding = Finding::of_catalog(what);
        (finding.user, finding.mailbox) = (Some(user.into()), mailbox.map(Into::into));
        self.findings.push(finding);
    }

    /// Something read from the catalog; `None` if it is damaged there, which is noted.
    fn readable<T>(
        &mut self,
        found: Result<T, CatalogError>,
        user: &str,
        mailbox: Option<&str>,
    ) -> Result<Option<T>, CatalogError> {
        match found {
            Err(CatalogError::Damaged { cause, .. }) => {
                self.note(format!("a row is damaged: {cause}"), user, mailbox);
                // Even where the log has holes: nothing can be read from it.
                self.contradicts = true;
                Ok(None)
            }
            other => other.map(Some),
        }
    }
}

/// The entries of a mailbox in a catalog, ascending by UID.
struct Entries<'a> {
    file: &'a CatalogFile,
    id: MailboxId,
    from: Option<Uid>,
    read: VecDeque<Copied>,
}

impl Entries<'_> {
    fn fresh(&self) -> Self {
        Entries { file: self.file, id: self.id, from: None, read: VecDeque::new() }
    }

    fn peek(&mut self) -> Result<Option<&Copied>, CatalogError> {
        while self.read.is_empty()
            && let Some(from) = self.from
        {
            let piece = self.file.chunks(self.id, from)?;
            let chunks = piece.chunks.iter();
            self.read.extend(chunks.flat_map(|(_, chunk)| chunk.iter()).map(Copied::of));
            self.from = piece.next;
        }
        Ok(self.read.front())
    }

    fn take(&mut self) -> Option<Copied> {
        self.read.pop_front()
    }
}

impl Copied {
    fn of(entry: Entry<'_>) -> Copied {
        Copied {
            uid: entry.uid(),
            flags: entry.flags(),
            modseq: entry.modseq(),
            size: entry.size(),
            date: entry.date(),
            save_date: entry.save_date(),
            checksum: entry.checksum(),
            email: entry.email_id(),
            fragments: entry.fragments().collect(),
        }
    }
}

/// How many messages the mailboxes of a catalog have.
pub(super) fn living(catalog: &CatalogFile) -> Result<u64, CatalogError> {
    let (mut after, mut living) = (String::new(), 0);
    loop {
        let names = catalog.names(&after, NAMES)?;
        let Some(last) = names.last() else { return Ok(living) };
        after = last.to_string();
        for name in &names {
            let Some(account) = catalog.account(name)? else { continue };
            let mailboxes = account.names().filter_map(|(_, id)| account.mailbox(id));
            living += mailboxes.map(|mailbox| u64::from(mailbox.counts().messages)).sum::<u64>();
        }
    }
}
