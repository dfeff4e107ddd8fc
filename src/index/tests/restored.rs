//! Restores of backups: clients forget what they know once for each, whatever a catalog is made
//! from.

use super::replay::{history, recover};
use super::*;
use crate::index::replay::{OnDamage, Replay, ReplayError, replay_past};
use crate::index::restored::Restored;
use crate::index::snapshot::restore;
use crate::index::{Counts, SNAPSHOTS};
use crate::store::{
    Change, Epoch, LogId, Lsn, RecoveryError, Replayed, StoredSegments, VisitError,
};

/// Changes of the first epoch.
const FIRST: usize = 9;

/// Three epochs, the first two of which each end in a backup that was restored.
fn log() -> Vec<Replayed> {
    let mut log = history();
    log.truncate(FIRST);
    for (epoch, id) in [(2, 20), (3, 30)] {
        for (lsn, name) in [(1, "INBOX"), (2, "More")] {
            let account = ["c", "d"][epoch as usize - 2];
            let change = Change::Other(create(account, MailboxId(id + lsn), name));
            log.push(Replayed { epoch: Epoch(epoch), log: LogId(0), lsn: Lsn(lsn), change });
        }
    }
    log
}

fn restored(epoch: u32) -> Restored {
    Restored { epoch: Epoch(epoch), at: 1_700_000_000 + u64::from(epoch) * 1_000 }
}

/// A start that is killed after so many changes, if any.
fn start(
    folder: &Folder,
    log: &[Replayed],
    restored: &[Restored],
    killed: Option<usize>,
) -> Result<Replay, ReplayError> {
    let segments = folder.0.path().join("segments");
    std::fs::create_dir_all(&segments).unwrap();
    let medium = StoredSegments::at(&segments);
    replay_past(&folder.path(), 0, OnDamage::Stop, (&[], restored), |from, visitor| {
        let mut left = killed.unwrap_or(usize::MAX);
        let recovered = recover(from, log, &mut |change| {
            left = left.checked_sub(1).ok_or_else(|| VisitError::from("killed"))?;
            visitor.change(change)
        })?;
        visitor.end(&medium)?;
        Ok::<_, RecoveryError>(recovered)
    })
}

type Shown = Vec<(String, UidValidity, Counts)>;

fn shown(folder: &Folder) -> Shown {
    let (file, mut shown) = (folder.open(), Vec::new());
    for name in file.names("", 10).unwrap() {
        let mut account = file.account(&name).unwrap().unwrap();
        let ids: Vec<_> = account.names().map(|(_, id)| id).collect();
        for id in ids {
            pin_and_load(&mut account, id, &file);
            let mailbox = account.mailbox(id).unwrap();
            let label = format!("{name}/{}", mailbox.name());
            shown.push((label, mailbox.uid_validity(), mailbox.counts()));
        }
    }
    shown
}

/// What a start without catalog and snapshot makes of it.
fn expected(log: &[Replayed], restored: &[Restored]) -> Shown {
    let folder = Folder::new();
    drop(start(&folder, log, restored, None).unwrap());
    shown(&folder)
}

fn snapshot(folder: &Folder) {
    let snapshots = folder.0.path().join(SNAPSHOTS);
    folder.open().write_snapshot(&snapshots, &|_| true).unwrap().unwrap();
}

/// The catalog is lost, and made again from the snapshot.
fn lose_catalog(folder: &Folder) {
    std::fs::remove_file(folder.path()).unwrap();
    assert!(restore(folder.0.path(), &folder.path()).unwrap());
}

#[test]
fn clients_forget_at_each_restore() {
    let (log, both) = (log(), [restored(1), restored(2)]);
    let validities = |restored: &[Restored]| -> Vec<u32> {
        expected(&log, restored).iter().map(|(_, validity, _)| validity.0).collect()
    };
    let before = validities(&[]);
    assert_eq!(before, [1_000; 7]);
    let after = validities(&both);
    // Those of a and b skip numbers twice; c came after the first restore, d after both.
    let first = restored(1).at as u32 + 1 + (1 << 24);
    let second = restored(2).at as u32;
    let expected = [first + 1, first + 2, first, second, second + 1, 1_000, 1_000];
    assert_eq!(after, expected);
}

#[test]
fn a_snapshot_neither_loses_a_restore_nor_repeats_it() {
    let (log, both) = (log(), [restored(1), restored(2)]);
    let (second, third) = (FIRST + 2, FIRST + 4);
    // The snapshot in the backup says nothing of the restore that follows.
    let folder = Folder::new();
    drop(start(&folder, &log[..FIRST], &[], None).unwrap());
    snapshot(&folder);
    for (end, restored) in
        [(FIRST, &both[..1]), (second, &both[..1]), (second, &both), (third, &both)]
    {
        lose_catalog(&folder);
        drop(start(&folder, &log[..end], restored, None).unwrap());
        let expected = expected(&log[..end], restored);
        assert_eq!(shown(&folder), expected, "from the snapshot before");
        snapshot(&folder);
        lose_catalog(&folder);
        drop(start(&folder, &log[..end], restored, None).unwrap());
        assert_eq!(shown(&folder), expected, "from a snapshot with the restore in it");
        drop(start(&folder, &log[..end], restored, None).unwrap());
        assert_eq!(shown(&folder), expected, "with the catalog");
    }
}

#[test]
fn a_start_after_restores_that_was_killed_anywhere_ends_like_one_that_was_not() {
    let (log, both) = (log(), [restored(1), restored(2)]);
    let expected = expected(&log, &both);
    for snapshots in [false, true] {
        for after in 0..log.len() {
            let folder = Folder::new();
            if snapshots {
                drop(start(&folder, &log[..FIRST], &[], None).unwrap());
                snapshot(&folder);
                lose_catalog(&folder);
            }
            let most = log.len();
            let mut ended = false;
            for after in [after, (after * 7) % log.len()] {
                ended |= start(&folder, &log, &both, Some(after)).is_ok();
                assert!(!ended || after >= most || snapshots, "{after}");
            }
            drop(start(&folder, &log, &both, None).unwrap());
            assert_eq!(shown(&folder), expected, "after {after} changes, {snapshots}");
        }
    }
}
