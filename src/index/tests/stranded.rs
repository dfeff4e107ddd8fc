//! Messages whose octets lie in a stripped segment, at the end of a replay.

use std::collections::BTreeSet;
use std::io;

use super::*;
use crate::index::replay::{OnDamage, Replay, ReplayError, replay_by};
use crate::store::{
    Change, Epoch, LogId, LogPosition, Lsn, Medium, Recovered, RecoveryError, Relocated, Replayed,
    VisitError, Visitor,
};

/// A medium with these segments, all of them stripped.
struct Stripped(BTreeSet<u64>);

impl Medium for Stripped {
    fn segments(&self) -> io::Result<Vec<(SegmentId, u64)>> {
        Ok(self.0.iter().map(|&segment| (SegmentId(segment), 1 << 20)).collect())
    }

    fn read_at(&self, _: SegmentId, _: u64, out: &mut [u8]) -> io::Result<usize> {
        out.fill(0);
        Ok(out.len())
    }

    fn truncate(&mut self, _: SegmentId, _: u64) -> io::Result<()> {
        unreachable!("nothing is cut here")
    }

    fn remove(&mut self, _: SegmentId) -> io::Result<()> {
        unreachable!("nothing is removed here")
    }

    fn is_stripped(&self, segment: SegmentId) -> bool {
        self.0.contains(&segment.0)
    }
}

/// A replay of these changes, one in each frame, of which the first `killed` were read before.
fn replayed(
    folder: &Folder,
    on_damage: OnDamage,
    stripped: &[u64],
    changes: &[Change],
    killed: usize,
) -> Result<Replay, ReplayError> {
    let medium = Stripped(stripped.iter().copied().collect());
    let tell = |count: usize, from: &[LogPosition], visitor: &mut dyn Visitor| {
        let applied = from.first().map_or(Lsn(0), |position| position.applied);
        for (at, change) in changes.iter().take(count).enumerate() {
            let (epoch, log, lsn) = (Epoch(1), LogId(0), Lsn(at as u64 + 1));
            let replayed = Replayed { epoch, log, lsn, change: change.clone() };
            if lsn > applied {
                visitor.change(replayed).map_err(RecoveryError::Visit)?;
            }
        }
        Ok::<(), RecoveryError>(())
    };
    if killed > 0 {
        let result = replay_by(&folder.path(), 0, on_damage, |from, visitor| {
            tell(killed, from, visitor)?;
            Err(RecoveryError::Visit(VisitError::from("killed")))
        });
        assert!(result.is_err());
    }
    replay_by(&folder.path(), 0, on_damage, |from, visitor| {
        tell(changes.len(), from, visitor)?;
        visitor.end(&medium)?;
        let end = LogPosition {
            epoch: Epoch(1),
            log: LogId(0),
            segment: SegmentId(30),
            offset: 4096,
            lsn: Lsn(changes.len() as u64 + 1),
            applied: Lsn(changes.len() as u64),
        };
        Ok(Recovered { ends: vec![end], ..Recovered::default() })
    })
}

/// Messages of 1 to 9 octets in segment 3, of which the last three are expunged and the first
/// three relocated.
fn history() -> Vec<Change> {
    let messages: Vec<_> = (1..=9).map(message).collect();
    let moved = |uid| Relocated {
        uid: Uid(uid),
        fragments: vec![Fragment { segment: SegmentId(20), offset: 4224, length: uid }],
    };
    let messages_moved = (1..=3).map(moved).collect();
    vec![
        Change::Other(create("a", INBOX, "INBOX")),
        Change::Append { commit: batch(INBOX, 1, 2, &messages), messages },
        Change::Other(expunge(INBOX, ModSeq(3), vec![range(7, 9)])),
        Change::Other(Record::Relocate {
            account: "a".into(),
            mailbox: INBOX,
            messages: messages_moved,
        }),
    ]
}

/// The same without messages that still lie in segment 3.
fn emptied() -> Vec<Change> {
    let mut changes = history();
    changes.push(Change::Other(expunge(INBOX, ModSeq(4), vec![range(4, 6)])));
    changes
}

#[test]
fn a_living_message_in_a_stripped_segment_is_named_damage() {
    for killed in 0..4 {
        let folder = Folder::new();
        let result = replayed(&folder, OnDamage::Stop, &[3], &history(), killed);
        let error = result.err().expect("damage").to_string();
        assert!(error.contains("00000000000000000003.rec at octet 4096: 3 messages"), "{error}");
        assert!(error.contains("Messages affected in mailbox 7: 3."), "{error}");
        let replay = replayed(&folder, OnDamage::Quarantine, &[3], &history(), 0).unwrap();
        let quarantine = &replay.quarantine;
        assert_eq!(quarantine.damaged_messages(), 3);
        let uids: Vec<_> = quarantine.findings.iter().map(|finding| finding.uids).collect();
        assert_eq!(uids, [4, 5, 6].map(|uid| Some((Uid(uid), Uid(uid)))));
        assert!(quarantine.findings.iter().all(|f| f.file_name() == "00000000000000000003.rec"));
        drop(replay);
        // The next start has read past all of it, and knows.
        assert!(replayed(&folder, OnDamage::Stop, &[3], &history(), 0).is_err());
        // Once the messages are expunged, nothing is missing.
        let replay = replayed(&folder, OnDamage::Stop, &[3], &emptied(), 0).unwrap();
        assert_eq!(replay.quarantine.findings, []);
    }
}

#[test]
fn messages_that_were_expunged_or_relocated_need_no_octets() {
    for killed in 0..5 {
        let folder = Folder::new();
        let replay = replayed(&folder, OnDamage::Stop, &[3, 4], &emptied(), killed).unwrap();
        assert_eq!(replay.quarantine.findings, []);
        drop(replay);
        // Nothing is searched for if nothing is new.
        let replay = replayed(&folder, OnDamage::Stop, &[3, 4], &emptied(), 0).unwrap();
        assert_eq!(replay.checkpoints, 0);
    }
}

#[test]
fn without_stripped_segments_nothing_is_searched_for() {
    let replay = replayed(&Folder::new(), OnDamage::Stop, &[5], &history(), 0).unwrap();
    let expected = replayed(&Folder::new(), OnDamage::Stop, &[], &history(), 0).unwrap();
    assert_eq!(replay.checkpoints, expected.checkpoints);
}
