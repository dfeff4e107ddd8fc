//! Replay: an interruption anywhere does not change the result.

use super::*;
use crate::index::replay::{OnDamage, Replay, ReplayError, replay_by};
use crate::index::snapshot::restore;
use crate::index::{ApplyError, CatalogError, Counts, SNAPSHOTS};
use crate::store::{
    Change, Epoch, LogId, LogPosition, Lsn, Recovered, RecoveryError, Relocated, Replayed,
    VisitError,
};

pub(super) type Visitor<'v> = dyn FnMut(Replayed) -> Result<(), VisitError> + 'v;

const WORK: MailboxId = MailboxId(8);

/// Two epochs of a log, with several changes in some frames.
pub(super) fn history() -> Vec<Replayed> {
    let mut email = 1;
    let mut append = |mailbox, first_uid, modseq, sizes: std::ops::RangeInclusive<u32>| {
        let messages: Vec<_> = sizes.map(message).collect();
        let mut commit = batch(mailbox, first_uid, modseq, &messages);
        commit.first_email = EmailId(email);
        email += u64::from(commit.messages);
        Change::Append { commit, messages }
    };
    let other = Change::Other;
    let seen = |modseq, uids| other(add_flags(INBOX, ModSeq(modseq), uids, Flags::SEEN));
    let changes = [
        (1, 1, other(create("a", INBOX, "INBOX"))),
        (1, 1, append(INBOX, 1, 2, 1..=600)),
        (1, 2, other(create("a", WORK, "Work"))),
        (1, 3, append(WORK, 1, 2, 1..=1)),
        (1, 4, append(INBOX, 601, 3, 601..=700)),
        (1, 5, seen(4, vec![range(1, 1), range(650, 720), range(10, 20)])),
        (1, 6, append(WORK, 2, 3, 2..=3)),
        (1, 6, other(expunge(WORK, ModSeq(4), vec![range(2, 2)]))),
        (1, 7, other(create("b", MailboxId(9), "INBOX"))),
        (2, 1, append(INBOX, 701, 5, 701..=1_100)),
        (2, 2, other(expunge(INBOX, ModSeq(6), vec![range(400, 705)]))),
        (2, 2, append(WORK, 4, 5, 4..=4)),
        (2, 3, other(delete("a", WORK))),
        // Of UIDs that are there, were expunged, and never were; and of a mailbox that is gone.
        (2, 3, other(relocate(INBOX, &[3, 401, 800, 5_000]))),
        (2, 3, other(relocate(WORK, &[1]))),
        (2, 4, other(create("a", MailboxId(10), "Work"))),
        (2, 5, append(MailboxId(10), 1, 2, 1..=5)),
        (2, 6, seen(7, vec![range(1, 1_000)])),
    ];
    let change = |(epoch, lsn, change)| Replayed {
        epoch: Epoch(epoch),
        log: LogId(0),
        lsn: Lsn(lsn),
        change,
    };
    changes.into_iter().map(change).collect()
}

/// Messages that [`message`] made now lie in two pieces in segment 11.
fn relocate(mailbox: MailboxId, uids: &[u32]) -> Record {
    let piece = |length| Fragment { segment: SegmentId(11), offset: 4224, length };
    let messages = uids.iter().map(|&uid| {
        Relocated { uid: Uid(uid), fragments: vec![piece(1), piece(uid - 1)] } //
    });
    Record::Relocate { account: "a".into(), mailbox, messages: messages.collect() }
}

/// What recovery would find if the log had only the first `count` changes.
pub(super) fn recover(
    from: &[LogPosition],
    log: &[Replayed],
    visit: &mut Visitor<'_>,
) -> Result<Recovered, RecoveryError> {
    let mut ends: Vec<LogPosition> = Vec::new();
    for change in log {
        let at = from.iter().find(|at| (at.epoch, at.log) == (change.epoch, change.log));
        let lowest = from.iter().map(|at| at.epoch).min();
        if lowest.is_some_and(|lowest| change.epoch < lowest) {
            continue;
        }
        if at.is_none_or(|at| at.applied < change.lsn) {
            visit(change.clone()).map_err(RecoveryError::Visit)?;
        }
        ends.retain(|end| end.epoch != change.epoch);
        ends.push(LogPosition {
            epoch: change.epoch,
            log: change.log,
            segment: SegmentId(1),
            offset: 4096,
            lsn: change.lsn.next(),
            applied: change.lsn,
        });
    }
    Ok(Recovered { ends, ..Recovered::default() })
}

fn replayed(folder: &Folder, gathers: usize, log: &[Replayed]) -> Result<Replay, ReplayError> {
    replay_by(&folder.path(), gathers, OnDamage::Stop, |from, visitor| {
        recover(from, log, &mut |change| visitor.change(change))
    })
}

/// A start that is killed after `after` changes.
fn killed(folder: &Folder, gathers: usize, log: &[Replayed], after: usize) {
    let killed = || VisitError::from("killed");
    let result = replay_by(&folder.path(), gathers, OnDamage::Stop, |from, visitor| {
        let mut left = after;
        recover(from, log, &mut |change| {
            left = left.checked_sub(1).ok_or_else(killed)?;
            visitor.change(change)
        })
    });
    assert!(matches!(result, Err(ReplayError::Log(RecoveryError::Visit(_)))));
}

type Shown = Vec<(String, u64, Counts, Vec<(u32, u8, u64, Vec<u64>)>)>;

/// Everything stored, for comparison.
fn shown(file: &CatalogFile) -> Shown {
    let mut shown = Vec::new();
    for name in file.names("", 10).unwrap() {
        let mut account = file.account(&name).unwrap().unwrap();
        let ids: Vec<_> = account.names().map(|(_, id)| id).collect();
        for id in ids {
            pin_and_load(&mut account, id, file);
            let mailbox = account.mailbox(id).unwrap();
            let entries = mailbox.range(range(1, u32::MAX));
            let entries = entries.map(|e| {
                let segments = e.fragments().map(|fragment| fragment.segment.0).collect();
                (e.uid().0, e.flags().0, e.size(), segments)
            });
            let entries = entries.collect();
            let label = format!("{name}/{}", mailbox.name());
            shown.push((label, account.octets(), mailbox.counts(), entries));
        }
    }
    let octets = shown.iter().map(|(.., counts, _)| counts.octets).sum::<u64>();
    let live = file.live().unwrap().iter().map(|(_, live)| live.octets).sum::<u64>();
    assert_eq!(live, octets, "what lives in the segments is what the mailboxes have");
    shown
}

fn expected() -> Shown {
    let folder = Folder::new();
    let replay = replayed(&folder, usize::MAX, &history()).unwrap();
    assert_eq!((replay.changes, replay.checkpoints), (18, 1));
    let shown = shown(&replay.catalog);
    let labels: Vec<_> = shown.iter().map(|(label, ..)| label.as_str()).collect();
    assert_eq!(labels, ["a/INBOX", "a/Work", "b/INBOX"]);
    let inbox = &shown[0].2;
    assert_eq!((inbox.messages, inbox.unseen, inbox.uid_next), (794, 100, Uid(1_101)));
    assert_eq!(shown[1].2.messages, 5);
    let moved = |entry: &&(u32, u8, u64, Vec<u64>)| entry.3 == [11, 11];
    let moved: Vec<_> = shown[0].3.iter().filter(moved).map(|entry| entry.0).collect();
    assert_eq!(moved, [3, 800]);
    shown
}

#[test]
fn a_replay_that_was_killed_anywhere_ends_like_one_that_was_not() {
    let (expected, history) = (expected(), history());
    for gathers in [0, 30_000] {
        for after in 0..history.len() {
            let folder = Folder::new();
            killed(&folder, gathers, &history, after);
            killed(&folder, gathers, &history, (after * 7) % history.len());
            let replay = replayed(&folder, gathers, &history).unwrap();
            assert_eq!(shown(&replay.catalog), expected, "{gathers} {after}");
        }
    }
}

#[test]
fn a_second_start_finds_nothing_to_do() {
    let (folder, history) = (Folder::new(), history());
    drop(replayed(&folder, 0, &history).unwrap());
    let again = replayed(&folder, 0, &history).unwrap();
    assert_eq!((again.changes, again.checkpoints), (0, 0));
    let epochs: Vec<_> = again.catalog.positions().unwrap().iter().map(|at| at.epoch).collect();
    assert_eq!(epochs, [Epoch(2)], "one epoch stands for all before it");
    assert_eq!(shown(&again.catalog), expected());
}

#[test]
fn starts_in_between_make_no_difference() {
    let (folder, history) = (Folder::new(), history());
    // Ends of frames only: a log has a frame whole or not at all.
    for end in [2, 3, 4, 6, 9, 10, 12, 15, 18] {
        drop(replayed(&folder, 30_000, &history[..end]).unwrap());
    }
    assert_eq!(shown(&folder.open()), expected());
}

#[test]
fn a_snapshot_and_the_log_behind_it_make_the_whole() {
    let history = history();
    for end in [2, 3, 4, 6, 9, 10, 12, 15, 18] {
        let folder = Folder::new();
        let (data, snapshots) = (folder.0.path(), folder.0.path().join(SNAPSHOTS));
        let replay = replayed(&folder, 30_000, &history[..end]).unwrap();
        replay.catalog.write_snapshot(&snapshots, &|_| true).unwrap().unwrap();
        drop(replay);
        // It went on for a while, and then the catalog was lost.
        drop(replayed(&folder, 0, &history).unwrap());
        std::fs::remove_file(folder.path()).unwrap();
        assert!(restore(data, &folder.path()).unwrap());
        let replay = replayed(&folder, 0, &history).unwrap();
        assert_eq!(replay.changes as usize, history.len() - end);
        assert_eq!(shown(&replay.catalog), expected(), "a snapshot after {end} changes");
    }
}

#[test]
fn changes_of_one_frame_are_in_one_checkpoint() {
    let (folder, history) = (Folder::new(), history());
    killed(&folder, 0, &history, 2);
    assert_eq!(folder.open().replayed().unwrap(), [].into());
    killed(&folder, 0, &history, 3);
    assert_eq!(folder.open().replayed().unwrap(), [((Epoch(1), LogId(0)), Lsn(1))].into());
}

#[test]
fn a_log_that_has_vanished_keeps_its_position() {
    let (folder, history) = (Folder::new(), history());
    let before = replayed(&folder, 0, &history).unwrap().catalog.positions().unwrap();
    let again = replayed(&folder, 0, &[]).unwrap();
    assert_eq!(again.catalog.positions().unwrap(), before);
}

#[test]
fn a_catalog_ahead_of_its_log_is_refused() {
    let (folder, history) = (Folder::new(), history());
    killed(&folder, 0, &history, 8);
    let error = replayed(&folder, 0, &history[..4]).err().unwrap();
    assert!(matches!(error, ReplayError::Catalog(CatalogError::Damaged { .. })), "{error}");
    assert!(error.to_string().contains("ahead of the log"), "{error}");
}

/// Two logs of one epoch: account a lives on log 0, account b on log 1.
fn two_logs() -> Vec<Replayed> {
    let append = |first_uid, modseq, sizes: std::ops::RangeInclusive<u32>| {
        let messages: Vec<_> = sizes.map(message).collect();
        Change::Append { commit: batch(INBOX, first_uid, modseq, &messages), messages }
    };
    let made = |account: &str, id, name: &str| Change::Other(create(account, id, name));
    let on = |log, lsn, change| {
        let (epoch, log, lsn) = (Epoch(1), LogId(log), Lsn(lsn));
        Replayed { epoch, log, lsn, change }
    };
    vec![
        on(0, 1, made("a", INBOX, "INBOX")),
        on(0, 2, append(1, 2, 1..=10)),
        on(0, 3, append(11, 3, 11..=20)),
        on(0, 4, made("a", WORK, "Work")),
        on(1, 1, made("b", MailboxId(9), "INBOX")),
        on(1, 2, made("b", MailboxId(10), "x")),
        on(1, 3, made("b", MailboxId(11), "y")),
    ]
}

#[test]
fn an_interrupted_replay_of_two_logs_goes_on_in_each_where_it_was() {
    let history = two_logs();
    let whole = Folder::new();
    let expected = shown(&replayed(&whole, usize::MAX, &history).unwrap().catalog);
    let labels: Vec<_> = expected.iter().map(|(label, ..)| label.as_str()).collect();
    assert_eq!(labels, ["a/INBOX", "a/Work", "b/INBOX", "b/x", "b/y"]);
    for first in 0..history.len() {
        for second in 0..history.len() {
            let folder = Folder::new();
            killed(&folder, 0, &history, first);
            killed(&folder, 0, &history, second);
            let replay = replayed(&folder, 0, &history).unwrap();
            assert_eq!(shown(&replay.catalog), expected, "{first} {second}");
            assert_eq!(replay.catalog.replayed().unwrap(), [].into());
        }
    }
}

#[test]
fn a_checkpoint_names_the_last_frame_of_every_log() {
    let folder = Folder::new();
    killed(&folder, 0, &two_logs(), 6);
    let reached = [((Epoch(1), LogId(0)), Lsn(4)), ((Epoch(1), LogId(1)), Lsn(1))];
    assert_eq!(folder.open().replayed().unwrap(), reached.into());
}

/// After an interrupted replay, the tail of either log is lost.
#[test]
fn a_catalog_ahead_of_any_of_two_logs_is_refused() {
    let history = two_logs();
    for killed_after in 0..history.len() {
        // The last frames left in log 0 and log 1.
        for (first, second) in (0..=4).flat_map(|first| (0..=3).map(move |second| (first, second)))
        {
            let folder = Folder::new();
            killed(&folder, 0, &history, killed_after);
            let reached = folder.open().replayed().unwrap();
            let had = |log| reached.get(&(Epoch(1), LogId(log))).map_or(0, |lsn| lsn.0);
            let ahead = had(0) > first || had(1) > second;
            let left = |change: &&Replayed| change.lsn.0 <= [first, second][change.log.0 as usize];
            let less: Vec<_> = history.iter().filter(left).cloned().collect();
            let result = replayed(&folder, 0, &less);
            let context = format!("killed after {killed_after}, {first} and {second} are left");
            match result {
                Ok(replay) => {
                    assert!(!ahead, "{context}");
                    let whole = Folder::new();
                    let expected = shown(&replayed(&whole, 0, &less).unwrap().catalog);
                    assert_eq!(shown(&replay.catalog), expected, "{context}");
                }
                Err(error) => {
                    assert!(ahead, "{context}: {error}");
                    assert!(error.to_string().contains("ahead of the log"), "{context}: {error}");
                }
            }
        }
    }
}

#[test]
fn a_change_that_does_not_fit_is_named() {
    let (folder, mut history) = (Folder::new(), history());
    history.remove(2);
    let error = replayed(&folder, 0, &history).err().unwrap();
    let ReplayError::Misfit { lsn, error: reason, .. } = &error else { panic!("{error}") };
    assert_eq!((*lsn, reason), (Lsn(3), &ApplyError::NoMailbox(WORK)));
    assert!(error.to_string().contains("frame 3"), "{error}");
}
