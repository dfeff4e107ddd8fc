//! The log against a model, with crashes at any moment.
//!
//! Random histories of batches, completions, syncs, checkpoints, kills and power losses, over
//! several epochs and two logs. After every crash recovery must find everything that was
//! acknowledged, octet for octet and in order, no batch in part, and nothing that was not
//! submitted; and a second recovery must find the same. A history that fails is shrunk and printed.

mod cases;
mod copying;
mod damage;
mod forged;
mod golden;
mod noise;
mod numbers;
mod simple;
mod stripped;
mod writer;

use std::collections::BTreeMap;

use kit::Random;
use mailrace::store::{
    Change, Epoch, Fragment, LogId, LogPosition, Lsn, Medium, ReadySegment, Recovered,
    RecoveryError, SegmentId, recover,
};
use proptest::prelude::*;

use crate::disk::Disk;
use writer::{Entry, Fate, FrameInfo, Writer};

const LOGS: u16 = 2;

#[derive(Clone, Debug)]
enum Step {
    Submit { log: usize, messages: usize, large: bool, fate: Fate },
    Copy { log: usize, pick: usize },
    Frame { log: usize, room: usize, other: bool },
    Complete { log: usize, pick: usize },
    Sync { log: usize },
    Checkpoint,
    Crash { power: bool, patience: Option<u32> },
}

fn step() -> impl Strategy<Value = Step> {
    let log = 0..usize::from(LOGS);
    let fate = prop_oneof![
        6 => Just(Fate::Committed),
        1 => Just(Fate::Cancelled),
        1 => Just(Fate::Forgotten),
    ];
    prop_oneof![
        4 => (log.clone(), 1..8_usize, prop::bool::weighted(0.2), fate)
            .prop_map(|(log, messages, large, fate)| Step::Submit { log, messages, large, fate }),
        2 => (log.clone(), 0..8_usize).prop_map(|(log, pick)| Step::Copy { log, pick }),
        10 => (log.clone(), 1..12_000_usize, prop::bool::weighted(0.2))
            .prop_map(|(log, room, other)| Step::Frame { log, room, other }),
        12 => (log.clone(), 0..8_usize).prop_map(|(log, pick)| Step::Complete { log, pick }),
        8 => log.prop_map(|log| Step::Sync { log }),
        1 => Just(Step::Checkpoint),
        1 => (any::<bool>(), prop::option::weighted(0.3, 0..4_u32))
            .prop_map(|(power, patience)| Step::Crash { power, patience }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn what_was_acknowledged_survives(seed: u64, steps in prop::collection::vec(step(), 1..400)) {
        let mut world = World::new(seed);
        for step in steps {
            world.step(step);
        }
        if world.random.one_in(3) {
            stripped::nothing_changes(&mut world);
        }
        world.crash(true, None);
        damage::rot_is_never_cut(&mut world);
    }
}

/// A disk, the logs on it, and what was written to them.
pub struct World {
    pub disk: Disk,
    pub random: Random,
    writers: Vec<Writer>,
    /// The contents of the logs of earlier epochs, in order of recovery.
    history: Vec<Entry>,
    /// All frames that were written, for those logs.
    pub frames: BTreeMap<(Epoch, LogId), Vec<FrameInfo>>,
    /// The positions that the catalog would have.
    checkpoint: Vec<LogPosition>,
    next_segment: SegmentId,
    ready: Vec<ReadySegment>,
    /// Segments without a frame, to remove once this epoch has begun.
    stale: Vec<SegmentId>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut world = World {
            disk: Disk::default(),
            random: Random::new(seed),
            writers: Vec::new(),
            history: Vec::new(),
            frames: BTreeMap::new(),
            checkpoint: Vec::new(),
            next_segment: SegmentId(0),
            ready: Vec::new(),
            stale: Vec::new(),
        };
        world.start(Epoch(1));
        world
    }

    fn start(&mut self, epoch: Epoch) {
        let salt = self.random.number();
        self.next_segment = SegmentId::first_of(epoch);
        for ready in &mut self.ready {
            self.disk.rename(ready.segment, self.next_segment);
            ready.segment = self.next_segment;
            self.next_segment = self.next_segment.next();
        }
        let writer = |log| Writer::new(epoch, LogId(log), LOGS, salt ^ u64::from(log));
        self.writers = (0..LOGS).map(writer).collect();
        // One segment is ready ahead of need.
        self.prepare();
    }

    fn prepare(&mut self) {
        let size = (9 + self.random.below(12) as u32) * 4096;
        let segment = self.next_segment;
        self.next_segment = segment.next();
        let reused = self.random.one_in(2);
        let left = noise::octets(self, segment);
        match reused {
            true => self.disk.reuse(segment, size, &left),
            false => self.disk.create(segment, size),
        }
        self.ready.push(ReadySegment { segment, length: size.into(), reused });
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Submit { log, messages, large, fate } => {
                let message = |_| {
                    let most = if large { 40_000 } else { 3_000 };
                    let length = self.random.below(most) + 1;
                    self.random.octets(length)
                };
                let messages = (0..messages).map(message).collect();
                self.writers[log].submit(messages, fate);
            }
            Step::Copy { log, pick } => self.writers[log].copy(pick),
            Step::Frame { log, room, other } => {
                if self.ready.is_empty() {
                    self.prepare();
                }
                let ready = &mut self.ready;
                let (writers, random) = (&mut self.writers, &mut self.random);
                writers[log].frame(&mut self.disk, random, room, other, |_| {
                    ready.pop().expect("filled above") //
                });
            }
            Step::Complete { log, pick } => self.writers[log].complete(&mut self.disk, pick),
            Step::Sync { log } => {
                self.writers[log].sync(&mut self.disk);
                if self.writers[log].sequencer.durable() > Lsn(0) {
                    self.stale.drain(..).for_each(|segment| self.disk.lose_file(segment));
                }
            }
            Step::Checkpoint => self.checkpoint(),
            Step::Crash { power, patience } => self.crash(power, patience),
        }
    }

    /// What a checkpoint of the catalog at this moment would name as its position in each log.
    fn checkpoint(&mut self) {
        for writer in &self.writers {
            let applied = writer.sequencer.durable();
            let Some(last) = writer.frames.iter().find(|frame| frame.place.lsn == applied) else {
                continue;
            };
            let first = writer.frames.iter().find(|frame| frame.place.lsn == last.open_since);
            let (segment, offset, lsn) = match first {
                Some(first) if first.place.lsn <= applied => {
                    (first.place.segment, first.place.offset, first.place.lsn)
                }
                _ => (last.place.segment, last.place.offset + last.place.length, applied.next()),
            };
            let (epoch, log) = (writer.epoch, writer.log);
            self.checkpoint.retain(|old| (old.epoch, old.log) != (epoch, log));
            self.checkpoint.push(LogPosition { epoch, log, segment, offset, lsn, applied });
        }
    }

    fn crash(&mut self, power: bool, patience: Option<u32>) {
        if power {
            self.disk.lose_power(&mut self.random);
        } else {
            self.disk.kill(&mut self.random);
        }
        self.disk.patience = patience;
        if let Err(error) = self.read(&[]) {
            assert!(patience.is_some(), "{error}");
            self.disk.lose_power(&mut self.random);
        }
        self.disk.patience = None;
        let (recovered, found) = self.read(&[]).expect("nothing acknowledged is damaged");
        self.check_history(&found);
        self.check_again(&found);
        self.history = found;
        for writer in &self.writers {
            let end =
                recovered.ends.iter().find(|e| (e.epoch, e.log) == (writer.epoch, writer.log));
            let end = end.map_or(Lsn(0), |end| end.applied);
            let kept = writer.frames.iter().filter(|frame| frame.place.lsn <= end).copied();
            self.frames.insert((writer.epoch, writer.log), kept.collect());
        }
        (self.ready, self.stale) = (recovered.ready, recovered.stale);
        // Below that only after a recovery that was killed had removed all files of an epoch.
        assert!(recovered.next_epoch <= self.writers[0].epoch.next());
        self.start(recovered.next_epoch);
    }

    /// Checks that recovery found a lawful history.
    fn check_history(&self, found: &[Entry]) {
        let ours = |entry: &Entry| entry.epoch < self.writers[0].epoch;
        let (old, new): (Vec<_>, Vec<_>) = found.iter().partition(|entry| ours(entry));
        assert!(old.iter().copied().eq(&self.history), "an older epoch has changed");
        let mut count = 0;
        for writer in &self.writers {
            let found = new.iter().filter(|entry| entry.log == writer.log);
            let found: Vec<&Entry> = found.copied().collect();
            count += found.len();
            assert!(found.len() <= writer.submitted.len(), "more than was submitted");
            for (found, submitted) in found.iter().zip(&writer.submitted) {
                assert_eq!(*found, submitted);
            }
            let durable = writer.sequencer.durable();
            let acknowledged = writer.submitted.iter().filter(|entry| entry.lsn <= durable);
            assert!(found.len() >= acknowledged.count(), "acknowledged changes are gone");
        }
        assert_eq!(count, new.len(), "changes of a log that nobody wrote");
        assert!(found.is_sorted_by_key(|entry| (entry.epoch, entry.log, entry.lsn)));
    }

    /// Recovery again, from the beginning and from the last checkpoint, finds the same.
    fn check_again(&mut self, found: &[Entry]) {
        let before = self.disk.files.clone();
        let (recovered, again) = self.read(&[]).expect("it was fine a moment ago");
        assert_eq!(again, found);
        assert_eq!(recovered.cut, Vec::<String>::new());
        let positions = self.checkpoint.clone();
        let (_, rest) = self.read(&positions).expect("the checkpoint is in the log");
        let lowest = positions.iter().map(|position| position.epoch).min().unwrap_or_default();
        let expected = found.iter().filter(|entry| {
            let at = positions.iter().find(|p| (p.epoch, p.log) == (entry.epoch, entry.log));
            entry.epoch >= lowest && at.is_none_or(|at| entry.lsn > at.applied)
        });
        assert!(rest.iter().eq(expected), "from the checkpoint something else was found");
        let (recovered, nothing) = self.read(&recovered.ends).expect("its own ends");
        assert!(nothing.is_empty() && recovered.frames == 0);
        assert!(before == self.disk.files, "a clean log was changed");
    }

    /// Recovers from these positions, and reads the octets of all messages.
    pub fn read(&mut self, from: &[LogPosition]) -> Result<(Recovered, Vec<Entry>), RecoveryError> {
        let mut found = Vec::new();
        let recovered = recover(&mut self.disk, from, &mut |replayed| {
            found.push(replayed);
            Ok(())
        })?;
        let entries = found.into_iter().map(|mut replayed| {
            let octets = self.take_octets(&mut replayed.change);
            let (epoch, log, lsn) = (replayed.epoch, replayed.log, replayed.lsn);
            Entry { epoch, log, lsn, change: replayed.change, octets }
        });
        Ok((recovered, entries.collect()))
    }

    /// Takes the fragments out of a change and returns the octets that they lead to.
    fn take_octets(&self, change: &mut Change) -> Vec<Vec<u8>> {
        let Change::Append { messages, .. } = change else { return Vec::new() };
        let octets = messages.iter_mut().map(|message| {
            let mut octets = Vec::new();
            for fragment in std::mem::take(&mut message.fragments) {
                let mut part = vec![0; fragment.length as usize];
                let offset = u64::from(fragment.offset);
                let read = self.disk.read_at(fragment.segment, offset, &mut part);
                assert_eq!(read.expect("memory"), part.len());
                octets.extend(part);
            }
            octets
        });
        octets.collect()
    }

    /// The same where files may be missing. An incomplete message has no octets.
    pub fn octets_there(&self, change: &mut Change) -> Vec<Vec<u8>> {
        let files = self.disk.segments().expect("memory");
        let lengths: BTreeMap<_, _> = files.into_iter().collect();
        let there = |fragment: &Fragment| {
            let end = u64::from(fragment.offset) + u64::from(fragment.length);
            lengths.get(&fragment.segment).is_some_and(|&length| length >= end)
        };
        if let Change::Append { messages, .. } = change {
            for message in messages.iter_mut().filter(|m| !m.fragments.iter().all(there)) {
                message.fragments.clear();
            }
        }
        self.take_octets(change)
    }
}
