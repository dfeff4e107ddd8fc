//! Replay of a log that has lost frames.

use super::*;
use crate::index::replay::{OnDamage, Replay, ReplayError, replay_by};
use crate::store::{
    Change, Damage, Epoch, LogId, Lost, LostFrames, Lsn, Recovered, RecoveryError, Replayed,
    SegmentId, VisitError, Visitor,
};

const WORK: MailboxId = MailboxId(3 << 40 | 17);
const OTHER: MailboxId = MailboxId(3 << 40 | 18);

/// What recovery reports of a log.
enum Told {
    Change(Change),
    Lost(LostFrames),
}

fn hole(logs: u16) -> Told {
    Told::Lost(LostFrames { until: Some(Lsn(9)), given: 100, logs })
}

/// Every hole is at this place.
fn damage(frames: LostFrames) -> Damage {
    Damage {
        file: SegmentId(7),
        stripped: false,
        offset: 8192,
        epoch: Epoch(1),
        log: LogId(0),
        lsn: Lsn(2),
        what: "it is gone".into(),
        messages: Vec::new(),
        lost: Lost::Frames(frames),
    }
}

/// One frame for each change; ends as if killed after `count` of them.
fn tell(
    told: &[Told],
    after: usize,
    visitor: &mut dyn Visitor,
) -> Result<Recovered, RecoveryError> {
    for (at, told) in told.iter().enumerate() {
        if at == after {
            return Err(RecoveryError::Visit(VisitError::from("killed")));
        }
        let lsn = Lsn(at as u64 + 1);
        match told {
            Told::Change(change) => {
                let (epoch, log, change) = (Epoch(1), LogId(0), change.clone());
                let replayed = Replayed { epoch, log, lsn, change };
                visitor.change(replayed).map_err(RecoveryError::Visit)?;
            }
            Told::Lost(frames) => visitor.damage(damage(*frames))?,
        }
    }
    visitor.end(&NoMedium)?;
    Ok(Recovered::default())
}

/// A medium that these tests never read.
struct NoMedium;

impl crate::store::Medium for NoMedium {
    fn segments(&self) -> std::io::Result<Vec<(SegmentId, u64)>> {
        Ok(Vec::new())
    }

    fn read_at(&self, _: SegmentId, _: u64, _: &mut [u8]) -> std::io::Result<usize> {
        Ok(0)
    }

    fn truncate(&mut self, _: SegmentId, _: u64) -> std::io::Result<()> {
        Ok(())
    }

    fn remove(&mut self, _: SegmentId) -> std::io::Result<()> {
        Ok(())
    }
}

fn replayed(folder: &Folder, on_damage: OnDamage, told: &[Told]) -> Result<Replay, ReplayError> {
    replay_by(&folder.path(), 0, on_damage, |_, visitor| tell(told, usize::MAX, visitor))
}

fn other(record: crate::store::Record) -> Told {
    Told::Change(Change::Other(record))
}

fn append(mailbox: MailboxId, first_uid: u32, modseq: u64, count: u32) -> Told {
    let messages: Vec<_> = (1..=count).map(message).collect();
    let commit = batch(mailbox, first_uid, modseq, &messages);
    Told::Change(Change::Append { commit, messages })
}

/// Names of mailboxes and their numbers of messages.
fn shown(file: &CatalogFile) -> Vec<(String, u32)> {
    let account = file.account("a").unwrap().unwrap();
    let counts = |id| account.mailbox(id).unwrap().counts().messages;
    account.names().map(|(name, id)| (name.to_owned(), counts(id))).collect()
}

fn names(expected: &[(&str, u32)]) -> Vec<(String, u32)> {
    expected.iter().map(|&(name, count)| (name.to_owned(), count)).collect()
}

#[test]
fn mail_for_a_mailbox_that_nobody_made_is_kept() {
    let told = [other(create("a", INBOX, "INBOX")), hole(1), append(WORK, 5, 9, 3)];
    let replay = replayed(&Folder::new(), OnDamage::Quarantine, &told).unwrap();
    assert_eq!(shown(&replay.catalog), names(&[("INBOX", 0), ("Recovered 3-17", 3)]));
    assert_eq!(replay.quarantine.findings.len(), 1);
}

#[test]
fn metadata_of_a_mailbox_that_nobody_made_is_kept() {
    let (account, uses) = ("a".into(), Some(SpecialUse::SENT));
    let record = Record::SetMetadata { account, mailbox: WORK, uses, entries: Vec::new() };
    let told = [other(create("a", INBOX, "INBOX")), hole(1), other(record), append(WORK, 5, 9, 3)];
    let replay = replayed(&Folder::new(), OnDamage::Quarantine, &told).unwrap();
    assert_eq!(shown(&replay.catalog), names(&[("INBOX", 0), ("Recovered 3-17", 3)]));
    let account = replay.catalog.account("a").unwrap().unwrap();
    assert_eq!(account.mailbox(WORK).unwrap().special_use(), SpecialUse::SENT);
}

#[test]
fn a_name_that_is_taken_is_given_up() {
    let rename = |from: &str, to: &str| crate::store::Record::RenameMailbox {
        account: "a".into(),
        from: from.into(),
        to: to.into(),
    };
    let told = [
        other(create("a", WORK, "Work")),
        append(WORK, 1, 2, 3),
        hole(1),
        other(create("a", OTHER, "Work")),
        other(delete("a", MailboxId(99))),
    ];
    let replay = replayed(&Folder::new(), OnDamage::Quarantine, &told).unwrap();
    assert_eq!(shown(&replay.catalog), names(&[("Recovered 3-17", 3), ("Work", 0)]));

    let told = [
        other(create("a", WORK, "Work")),
        append(WORK, 1, 2, 3),
        other(create("a", OTHER, "x")),
        hole(1),
        other(rename("x", "Work")),
    ];
    let replay = replayed(&Folder::new(), OnDamage::Quarantine, &told).unwrap();
    assert_eq!(shown(&replay.catalog), names(&[("Recovered 3-17", 3), ("Work", 0)]));
}

#[test]
fn clients_of_the_log_that_has_a_hole_forget_what_they_know() {
    for logs in [0, 1, 64] {
        let told = [other(create("a", INBOX, "INBOX")), append(INBOX, 1, 2, 3), hole(logs)];
        let replay = replayed(&Folder::new(), OnDamage::Quarantine, &told).unwrap();
        let mut account = replay.catalog.account("a").unwrap().unwrap();
        let inbox = account.mailbox(INBOX).unwrap();
        let before = {
            let told = [other(create("a", INBOX, "INBOX")), append(INBOX, 1, 2, 3)];
            let replay = replayed(&Folder::new(), OnDamage::Stop, &told).unwrap();
            let account = replay.catalog.account("a").unwrap().unwrap();
            account.mailbox(INBOX).unwrap().uid_validity()
        };
        let ours = logs == 0 || LogId::of_account("a", logs) == LogId(0);
        assert_eq!(inbox.uid_validity() > before, ours, "{logs}");
        let next = if ours { 104 } else { 4 };
        assert_eq!(inbox.counts().uid_next, Uid(next), "{logs}");
        assert_eq!(inbox.counts().highest_modseq.0 > 2, ours, "{logs}");
        // The last message has the EMAILID 2002.
        let skipped = if ours { 100 << 16 } else { 0 };
        assert_eq!(account.reserve_emails(1), Some(EmailId(2_003 + skipped)), "{logs}");
    }
}

#[test]
fn a_hole_is_remembered_and_takes_effect_once() {
    let (folder, told) = (Folder::new(), [other(create("a", INBOX, "INBOX")), hole(1)]);
    let error = replayed(&folder, OnDamage::Stop, &told).err().unwrap();
    assert!(matches!(error, ReplayError::Log(RecoveryError::Damaged(_))), "{error}");
    let next = |replay: &Replay| {
        let account = replay.catalog.account("a").unwrap().unwrap();
        let inbox = account.mailbox(INBOX).unwrap();
        (inbox.uid_validity(), inbox.counts().uid_next)
    };
    let first = next(&replayed(&folder, OnDamage::Quarantine, &told).unwrap());
    let error = replayed(&folder, OnDamage::Stop, &[]).err().unwrap();
    assert!(matches!(error, ReplayError::Known { count: 1, .. }), "{error}");
    // Recovery may report damage before the positions again.
    for told in [&told[1..], &[]] {
        let again = replayed(&folder, OnDamage::Quarantine, told).unwrap();
        assert_eq!(next(&again), first);
        assert_eq!(again.quarantine.findings.len(), 1);
    }
}

#[test]
fn a_start_that_is_killed_behind_a_hole_is_begun_anew() {
    let told = [
        other(create("a", INBOX, "INBOX")),
        hole(1),
        append(INBOX, 11, 3, 3),
        other(create("a", WORK, "Work")),
        other(create("a", OTHER, "x")),
    ];
    let folder = Folder::new();
    let killed =
        replay_by(&folder.path(), 0, OnDamage::Quarantine, |_, visitor| tell(&told, 4, visitor));
    assert!(matches!(killed, Err(ReplayError::Log(RecoveryError::Visit(_)))));
    // The lost frames come back: they must not be taken for applied.
    let mut whole = told;
    whole[1] = append(INBOX, 1, 2, 10);
    let replay = replayed(&folder, OnDamage::Quarantine, &whole).unwrap();
    assert_eq!(shown(&replay.catalog), names(&[("INBOX", 13), ("Work", 0), ("x", 0)]));
    assert!(replay.quarantine.findings.is_empty());
}
