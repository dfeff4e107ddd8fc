//! A log of small frames, written one after the other, for single cases.

use mailrace::store::{
    BatchId, Epoch, LogId, LogPosition, Record, Recovered, RecoveryError, SegmentHeader, SegmentId,
    Sequencer, frame, recover,
};

use crate::disk::Disk;

pub const SALT: u64 = 0x5EED;
pub const BLOCK: u32 = 4096;

pub struct Log {
    pub disk: Disk,
    pub sequencer: Sequencer,
}

impl Log {
    pub fn new() -> Log {
        Log::after(Disk::default(), Epoch(1))
    }

    /// The next epoch on a disk.
    pub fn after(disk: Disk, epoch: Epoch) -> Log {
        Log { disk, sequencer: Sequencer::new(epoch, LogId(0), 1, SALT) }
    }

    /// Continues in a new segment of this many blocks.
    pub fn segment(&mut self, segment: u64, blocks: u32) {
        let (segment, size) = (SegmentId(segment), blocks * BLOCK);
        self.disk.create(segment, size);
        self.enter(segment, size, false);
    }

    /// The same in a file that had another use before, with this behind its header.
    pub fn reused(&mut self, segment: u64, blocks: u32, left: &[u8]) {
        let (segment, size) = (SegmentId(segment), blocks * BLOCK);
        self.disk.reuse(segment, size, left);
        self.enter(segment, size, true);
    }

    fn enter(&mut self, segment: SegmentId, size: u32, reused: bool) {
        let mut block = vec![0; BLOCK as usize];
        let header = self.sequencer.open_segment(segment, size, 0);
        SegmentHeader { reused, ..header }.encode(&mut block);
        self.write(segment, 0, block);
        self.sequencer.header_written(segment);
    }

    /// Writes a frame and returns its place.
    pub fn frame(&mut self, payload: &[u8], records: &[Record]) -> (SegmentId, u32) {
        let records_len = records.iter().map(Record::encoded_len).sum();
        let length = frame::sealed_len(payload.len(), records_len);
        let place = self.sequencer.reserve(length as u32).expect("room");
        let mut octets = vec![0; length];
        octets[frame::HEADER..][..payload.len()].copy_from_slice(payload);
        frame::seal(&mut octets, &place, BatchId(1), 0, payload.len(), records);
        self.write(place.segment, place.offset, octets);
        self.sequencer.written(place.lsn);
        (place.segment, place.offset)
    }

    /// Makes everything durable.
    pub fn sync(&mut self) {
        let plan = self.sequencer.begin_sync().expect("something to sync");
        for &segment in &plan.segments {
            let covered = self.disk.covered(segment);
            self.disk.synced(segment, &covered);
        }
        self.sequencer.synced(&plan);
    }

    pub fn recover(&mut self, from: &[LogPosition]) -> Result<Recovered, RecoveryError> {
        recover(&mut self.disk, from, &mut |_| Ok(()))
    }

    /// Recovery that must report damage. Returns the report as the operator sees it.
    pub fn damage(&mut self, from: &[LogPosition]) -> String {
        let before = self.disk.files.clone();
        let error = self.recover(from).expect_err("damage");
        assert!(matches!(error, RecoveryError::Damaged(_)), "{error}");
        assert!(before == self.disk.files, "recovery changed a damaged log");
        error.to_string()
    }

    fn write(&mut self, segment: SegmentId, offset: u32, octets: Vec<u8>) {
        let write = self.disk.write(segment, offset, octets);
        self.disk.complete(segment, write);
    }
}
