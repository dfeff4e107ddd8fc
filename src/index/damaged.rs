//! Damage that a start with `--quarantine` found and skipped: how the catalog remembers it, and
//! which messages are affected.
//!
//! A start reads the log from the catalog's positions on, so it would not see damage before them
//! again. The table `damaged` keeps it: a row for each message whose bytes are damaged, and a row
//! for each hole in a log. The row of a message is deleted when its bytes are whole again, or when
//! no mailbox names them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use redb::{ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::codec::{Fields, Row};
use super::error::{CatalogError, Rot};
use super::failure::Failure;
use super::file::CatalogFile;
use crate::store::{
    Damage, Damaged, Epoch, Fragment, LogId, Lost, LostFrames, Lsn, MailboxId, Medium, SegmentId,
    is_whole,
};
use imap::types::Uid;

/// Key: file, offset, and a number that tells apart rows with the same file and offset.
pub(super) const DAMAGED: TableDefinition<(u64, u64, u16), &[u8]> = TableDefinition::new("damaged");

/// Added to the kind of a row about a stripped segment.
const OF_STRIPPED: u16 = 16;

/// Account names read from the catalog per step.
pub(super) const NAMES: usize = 1024;

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// For `Octets`: exactly one message.
    pub damage: Damage,
}

/// One thing that is damaged, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The segment; `None` when it is the catalog.
    pub file: Option<SegmentId>,
    /// It is stripped, so the file is its record file.
    pub stripped: bool,
    /// Byte offset in it.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
    /// Owner of the mail; `None` if unknown.
    pub user: Option<Box<str>>,
    /// The mailbox.
    pub mailbox: Option<Box<str>>,
    /// First and last UID of the affected messages.
    pub uids: Option<(Uid, Uid)>,
}

/// All damage that a start found and serves around.
#[derive(Clone, Debug, Default)]
pub struct Quarantine {
    /// One finding for each damaged thing.
    pub findings: Vec<Finding>,
    /// The damaged messages.
    pub messages: Damaged,
    /// Number of damaged messages that no mailbox names: they were expunged.
    pub expunged: u64,
    /// Number of messages in mailboxes that are damaged; a copy counts as one.
    copies: usize,
    /// The highest segment that a message of any mailbox names.
    pub(super) highest: SegmentId,
    /// All segments that messages name.
    pub(super) named: BTreeSet<SegmentId>,
}

impl Quarantine {
    /// Number of findings that are damaged messages; a copy counts as one.
    #[must_use]
    pub fn damaged_messages(&self) -> usize {
        self.copies
    }
}

impl Finding {
    /// Name of the damaged file.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self.file {
            None => "catalog.redb".into(),
            Some(file) if self.stripped => file.record_file_name(),
            Some(file) => file.file_name(),
        }
    }

    /// A finding about the catalog itself.
    pub(super) fn of_catalog(what: String) -> Finding {
        let (file, user, mailbox, uids) = (None, None, None, None);
        Finding { file, stripped: false, offset: 0, what, user, mailbox, uids }
    }
}

/// A line for the operator: `00000000000000000003.seg at byte 4096: ...; user "anna"`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { offset, what, user, mailbox, uids, .. } = self;
        match self.file {
            Some(_) => write!(f, "{} at byte {offset}: {what}", self.file_name())?,
            None => write!(f, "{}: {what}", self.file_name())?,
        }
        if let Some(user) = user {
            write!(f, "; user {user:?}")?;
        }
        if let Some(mailbox) = mailbox {
            write!(f, ", mailbox {mailbox:?}")?;
        }
        match uids {
            Some((first, last)) if first == last => write!(f, ", UID {first}"),
            Some((first, last)) => write!(f, ", UIDs {first} to {last}"),
            None => Ok(()),
        }
    }
}

impl Known {
    /// The part of `found` that is not in `known`.
    pub(super) fn fresh(found: &[Damage], known: &[Known]) -> Vec<Known> {
        let is_octets = |known: &&Known| matches!(known.damage.lost, Lost::Octets(_));
        let mut octets: BTreeSet<_> = known.iter().filter(is_octets).map(Known::place).collect();
        let mut fresh: Vec<Known> = Vec::new();
        for one in found.iter().flat_map(Known::of) {
            let is_new = match one.damage.lost {
                Lost::Octets(_) => octets.insert(one.place()),
                _ => known.iter().chain(&fresh).all(|other| !other.is(&one)),
            };
            if is_new {
                fresh.push(one);
            }
        }
        fresh
    }

    /// Whether changes are lost, not only bytes of messages.
    pub(super) fn is_hole(&self) -> bool {
        !matches!(self.damage.lost, Lost::Octets(_))
    }

    /// The damaged log and the hole in it.
    pub(super) fn hole(&self) -> Option<(LogId, LostFrames)> {
        match self.damage.lost {
            Lost::Frames(hole) => Some((self.damage.log, hole)),
            _ => None,
        }
    }

    /// Splits damage into rows: one for each message.
    pub(super) fn of(damage: &Damage) -> Vec<Known> {
        match &damage.lost {
            Lost::Octets(first) => {
                let one = |first: &Fragment| Known {
                    damage: Damage { lost: Lost::Octets(vec![*first]), ..damage.clone() },
                };
                first.iter().map(one).collect()
            }
            _ => vec![Known { damage: damage.clone() }],
        }
    }

    /// The row's key without its number.
    pub(super) fn place(&self) -> (u64, u64) {
        match &self.damage.lost {
            Lost::Octets(first) => first.first().map_or((0, 0), |f| (f.segment.0, f.offset.into())),
            _ => (self.damage.file.0, self.damage.offset),
        }
    }

    /// Whether both describe one piece of damage.
    fn is(&self, other: &Known) -> bool {
        let same = |lost: &Lost, other: &Lost| match (lost, other) {
            (Lost::Frames(_), Lost::Frames(_)) => true,
            (lost, other) => lost == other,
        };
        let log = |known: &Known| (known.damage.epoch, known.damage.log, known.damage.lsn);
        self.place() == other.place()
            && log(self) == log(other)
            && same(&self.damage.lost, &other.damage.lost)
    }

    /// Whether `other` is the loss that this row of the file `losses` records. The bytes of a
    /// message may be found with the record of a copy as well.
    pub(super) fn covers(&self, other: &Known) -> bool {
        match (&self.damage.lost, &other.damage.lost) {
            (Lost::Octets(_), Lost::Octets(_)) => self.place() == other.place(),
            _ => self.is(other),
        }
    }

    /// ```text
    /// kind u16 (0 octets, 1 frames, 2 messages, 3 file; 16 more: of a stripped segment),
    /// epoch u32, log u16, LSN u64, what text,
    /// mailbox u64, number of its messages u32, then by kind:
    /// octets:   length of the first fragment u32
    /// frames:   LSN of the first frame after the hole u64 (0 none), most UIDs given u32, logs u16
    /// messages: account text, first UID u32, last UID u32
    /// ```
    pub(super) fn encode(&self) -> Vec<u8> {
        let Damage { stripped, epoch, log, lsn, what, messages, lost, .. } = &self.damage;
        let mut row = Row::default();
        let kind = match lost {
            Lost::Octets(_) => 0,
            Lost::Frames(_) => 1,
            Lost::Messages { .. } => 2,
            Lost::File => 3,
        };
        row.u16(kind + if *stripped { OF_STRIPPED } else { 0 });
        row.u32(epoch.0);
        row.u16(log.0);
        row.u64(lsn.0);
        row.text(what);
        let (mailbox, count) = messages.first().copied().unwrap_or_default();
        row.u64(mailbox.0);
        row.u32(count);
        match lost {
            Lost::Octets(first) => row.u32(first.first().map_or(0, |first| first.length)),
            Lost::Frames(LostFrames { until, given, logs }) => {
                row.u64(until.unwrap_or_default().0);
                row.u32(*given);
                row.u16(*logs);
            }
            Lost::Messages { account, uids: (first, last) } => {
                row.text(account);
                row.u32(first.0);
                row.u32(last.0);
            }
            Lost::File => {}
        }
        row.seal()
    }

    pub(super) fn decode((file, offset): (u64, u64), row: &[u8]) -> Result<Known, Rot> {
        let mut fields = Fields::open(row)?;
        let kind = fields.u16()?;
        let stripped = kind >= OF_STRIPPED;
        let (epoch, log) = (Epoch(fields.u32()?), LogId(fields.u16()?));
        let (lsn, what) = (Lsn(fields.u64()?), fields.text()?.to_owned());
        let mailbox = (MailboxId(fields.u64()?), fields.u32()?);
        let messages = if mailbox.1 > 0 { vec![mailbox] } else { Vec::new() };
        let lost = match kind % OF_STRIPPED {
            0 => {
                let offset = u32::try_from(offset)
                    .map_err(|_| Rot("a row of damage has an offset beyond any segment"))?;
                let (segment, length) = (SegmentId(file), fields.u32()?);
                Lost::Octets(vec![Fragment { segment, offset, length }])
            }
            1 => {
                let until = Some(Lsn(fields.u64()?)).filter(|lsn| lsn.0 > 0);
                Lost::Frames(LostFrames { until, given: fields.u32()?, logs: fields.u16()? })
            }
            2 => {
                let account = fields.text()?.into();
                Lost::Messages { account, uids: (Uid(fields.u32()?), Uid(fields.u32()?)) }
            }
            3 => Lost::File,
            _ => return Err(Rot("a row of damage has an unknown kind")),
        };
        fields.end()?;
        let file = SegmentId(file);
        let damage = Damage { file, stripped, offset, epoch, log, lsn, what, messages, lost };
        Ok(Known { damage })
    }
}

impl CatalogFile {
    /// Damage found by earlier starts.
    pub(super) fn damaged(&self) -> Result<Vec<Known>, CatalogError> {
        self.work(|database| {
            let table = database.begin_read()?.open_table(DAMAGED)?;
            let mut known = Vec::new();
            for entry in table.iter()? {
                let (key, row) = entry?;
                let (file, offset, _) = key.value();
                known.push(Known::decode((file, offset), row.value())?);
            }
            Ok(known)
        })
    }

    /// Finds the messages that the known damage affects. Rows that affect none leave `known`.
    pub(super) fn quarantine(
        &self,
        medium: &dyn Medium,
        known: &mut Vec<Known>,
    ) -> Result<Quarantine, CatalogError> {
        let mut quarantine = Quarantine::default();
        let mut octets: BTreeMap<(u64, u64), Option<bool>> = BTreeMap::new();
        for known in known.iter().filter(|known| matches!(known.damage.lost, Lost::Octets(_))) {
            octets.insert(known.place(), None);
        }
        let mut after = String::new();
        loop {
            let names = self.names(&after, NAMES)?;
            let Some(last) = names.last() else { break };
            after = last.to_string();
            for name in &names {
                self.find(name, medium, &mut octets, &mut quarantine)?;
            }
        }
        let mut known_messages: Vec<Fragment> = Vec::new();
        known.retain(|known| match &known.damage.lost {
            Lost::Octets(first) => {
                let living = octets.get(&known.place()).copied().flatten();
                quarantine.expunged += u64::from(living.is_none());
                known_messages.extend(first.first().filter(|_| living == Some(false)));
                living == Some(false)
            }
            Lost::Frames(_) | Lost::Messages { .. } | Lost::File => true,
        });
        quarantine.messages = known_messages.into_iter().collect();
        for Known { damage } in known.iter() {
            let (user, uids) = match &damage.lost {
                Lost::Octets(_) => continue,
                Lost::Messages { account, uids } => (Some(account.clone()), Some(*uids)),
                Lost::Frames(_) | Lost::File => (None, None),
            };
            let mailbox = match (&user, damage.messages.first()) {
                (Some(user), Some((id, _))) => {
                    let account = self.account(user)?;
                    account.and_then(|account| Some(account.mailbox(*id)?.name().into()))
                }
                _ => None,
            };
            let (file, stripped) = (Some(damage.file), damage.stripped);
            let (offset, what) = (damage.offset, damage.to_string());
            quarantine.findings.push(Finding { file, stripped, offset, what, user, mailbox, uids });
        }
        Ok(quarantine)
    }

    /// Searches the mailboxes of an account for messages that begin at one of the places in
    /// `octets`, and records there whether each is whole now.
    fn find(
        &self,
        name: &str,
        medium: &dyn Medium,
        octets: &mut BTreeMap<(u64, u64), Option<bool>>,
        quarantine: &mut Quarantine,
    ) -> Result<(), CatalogError> {
        let Some(account) = self.account(name)? else { return Ok(()) };
        for (mailbox, id) in account.names() {
            let mut from = Some(Uid(1));
            while let Some(first) = from {
                let piece = self.chunks(id, first)?;
                for entry in piece.chunks.iter().flat_map(|(_, chunk)| chunk.iter()) {
                    for Fragment { segment, .. } in entry.fragments() {
                        quarantine.highest = quarantine.highest.max(segment);
                        quarantine.named.insert(segment);
                    }
                    let Some(start) = entry.fragment(0) else { continue };
                    let place = (start.segment.0, start.offset.into());
                    let Some(whole) = octets.get_mut(&place) else { continue };
                    let is = || is_whole(medium, entry.fragments(), entry.checksum());
                    if *whole.get_or_insert_with(is) {
                        continue;
                    }
                    quarantine.copies += 1;
                    quarantine.findings.push(Finding {
                        file: Some(start.segment),
                        stripped: medium.is_stripped(start.segment),
                        offset: start.offset.into(),
                        what: "the message is not what was received: its checksum is wrong".into(),
                        user: Some(name.into()),
                        mailbox: Some(mailbox.into()),
                        uids: Some((entry.uid(), entry.uid())),
                    });
                }
                from = piece.next;
            }
        }
        Ok(())
    }
}

/// Replaces the table's rows.
pub(super) fn write(transaction: &WriteTransaction, all: &[Known]) -> Result<(), Failure> {
    let mut table = transaction.open_table(DAMAGED)?;
    table.retain(|_, _| false)?;
    for known in all {
        let (file, offset) = known.place();
        let last = table.range((file, offset, 0)..=(file, offset, u16::MAX))?.next_back();
        let number = last.transpose()?.map_or(0, |(key, _)| key.value().2.saturating_add(1));
        table.insert((file, offset, number), &known.encode()[..])?;
    }
    Ok(())
}
