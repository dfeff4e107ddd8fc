//! Logs written as the server writes them, and then corrupted.

use imap::types::{InternalDate, ModSeq, Uid};
use mailrace::store::{
    BatchId, Change, Commit, EmailId, Epoch, Fragment, FrameHeader, HEADER, KeywordList, LogId,
    LogPosition, Lsn, MailboxId, MessageRecord, Place, ReadyHeader, ReadySegment, Record, Replayed,
    SegmentHeader, SegmentId, Sequencer, frame, recover,
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::disk::Disk;
use crate::targets::input::Input;
use crate::targets::records::record;

const BLOCK: usize = 4096;
const SALT: u64 = 0x5EED;

pub struct World {
    pub disk: Disk,
    /// What recovery should find.
    pub written: Vec<Replayed>,
    /// Positions that a catalog would have.
    pub positions: Vec<LogPosition>,
    sequencer: Sequencer,
    epoch: Epoch,
    segment: SegmentId,
    /// Segments that are ready.
    ready: Vec<ReadySegment>,
    /// Segments without a frame, to remove once this epoch has begun.
    stale: Vec<SegmentId>,
    batch: u64,
    /// Messages of the open batch.
    open: Vec<MessageRecord>,
    /// Its first frame.
    open_since: Option<Place>,
    /// The frames of this epoch, each with the place from which a replay would have to start.
    frames: Vec<(Place, Option<Place>)>,
    spoilt: bool,
}

impl World {
    pub fn new() -> World {
        World {
            disk: Disk::default(),
            written: Vec::new(),
            positions: Vec::new(),
            sequencer: Sequencer::new(Epoch(1), LogId(0), 1, SALT),
            epoch: Epoch(1),
            segment: SegmentId::first_of(Epoch(1)),
            ready: Vec::new(),
            stale: Vec::new(),
            batch: 1,
            open: Vec::new(),
            open_since: None,
            frames: Vec::new(),
            spoilt: false,
        }
    }

    /// Whether the disk still holds everything that was written.
    pub fn is_sound(&self) -> bool {
        !self.spoilt
    }

    pub fn step(&mut self, input: &mut Input<'_>) {
        match input.below(20) {
            0 | 1 => self.segment(2 + input.below(10)),
            2..=4 => self.messages(input, true),
            5 => self.messages(input, false),
            6 => self.change(input),
            7 => self.sync(),
            8 => self.restart(),
            9 => self.prepare(input),
            10 => self.position(input),
            step => {
                self.spoilt = true;
                self.spoil(step, input);
            }
        }
    }

    fn segment(&mut self, blocks: usize) {
        let fits = |ready: &mut ReadySegment| ready.length >= (blocks * BLOCK) as u64;
        let ready = self.ready.pop_if(fits).unwrap_or_else(|| {
            let segment = self.next_segment();
            self.disk.create(segment, (blocks * BLOCK) as u32);
            ReadySegment { segment, length: (blocks * BLOCK) as u64, reused: false }
        });
        let ReadySegment { segment, length, reused } = ready;
        let mut block = vec![0; BLOCK];
        let header = self.sequencer.open_segment(segment, length as u32, 0);
        SegmentHeader { reused, ..header }.encode(&mut block);
        self.disk.put(segment, 0, &block);
        self.sequencer.header_written(segment);
        for stale in std::mem::take(&mut self.stale) {
            self.disk.files.remove(&stale);
        }
    }

    fn next_segment(&mut self) -> SegmentId {
        let segment = self.segment;
        self.segment = segment.next();
        segment
    }

    /// A segment that is ready and not in use.
    fn prepare(&mut self, input: &mut Input<'_>) {
        let (segment, size) = (self.next_segment(), (2 + input.below(12)) * BLOCK);
        let left = self.left_behind(segment, input);
        match &left {
            Some(left) => self.disk.reuse(segment, size as u32, left),
            None => self.disk.create(segment, size as u32),
        }
        self.ready.push(ReadySegment { segment, length: size as u64, reused: left.is_some() });
    }

    /// What an earlier use may have left behind the header of a segment: frames of another one, and
    /// mail with anything in it.
    fn left_behind(&self, segment: SegmentId, input: &mut Input<'_>) -> Option<Vec<u8>> {
        let old = self.disk.pick(input.below(16))?;
        let mut octets = self.disk.get(old, BLOCK, usize::MAX).to_vec();
        let first = FrameHeader::decode(&octets).ok()?;
        if first.segment != old {
            return None;
        }
        octets.resize(octets.len() + input.below(4) * BLOCK, b'm');
        for image in octets.chunks_exact_mut(BLOCK).skip(1) {
            let (lsn, salt) = (Lsn(input.below(20) as u64 + 1), input.u64());
            // The salt is all that a client cannot know.
            if input.below(2) == 0 && !(SALT..SALT + 2000).contains(&salt) {
                let (epoch, log, length) = (segment.epoch(), LogId(0), BLOCK as u32);
                let (offset, watermark) = (0, Lsn(lsn.0 - 1));
                let place = Place { segment, offset, length, lsn, watermark, epoch, log, salt };
                frame::seal(image, &place, BatchId(1), 0, 0, []);
            }
        }
        Some(octets)
    }

    /// A frame with messages, with or without the footer of their batch.
    fn messages(&mut self, input: &mut Input<'_>, last: bool) {
        let octets: Vec<&[u8]> = (0..1 + input.below(3)).map(|_| input.short(60)).collect();
        let octets: Vec<&[u8]> = octets.into_iter().filter(|octets| !octets.is_empty()).collect();
        let mut payload = octets.concat();
        // Sometimes more than a block.
        let more = if input.below(8) == 0 { BLOCK } else { 0 };
        payload.resize(payload.len() + more, b'x');
        let count = octets.len();
        let blank = |length: usize| MessageRecord {
            size: length as u64,
            date: InternalDate::from_unix(0),
            flags: Default::default(),
            keywords: KeywordList::default(),
            email: EmailId::default(),
            checksum: 0,
            fragments: vec![Fragment { segment: SegmentId(1), offset: 0, length: length as u32 }],
        };
        let messages: Vec<_> = octets.iter().map(|octets| blank(octets.len())).collect();
        let all = self.open.len() + count;
        let last = last && all > 0;
        let records = self.footer(messages, last);
        let Some(place) = self.reserve(payload.len(), &records) else { return };
        let mut messages = Vec::new();
        let mut at = 0;
        for octets in &octets {
            let mut message = blank(octets.len());
            let offset = frame::payload_offset(&place, at);
            message.fragments[0] =
                Fragment { segment: place.segment, offset, length: octets.len() as u32 };
            message.checksum = xxh3_128(octets);
            at += octets.len();
            messages.push(message);
        }
        let records = self.footer(messages.clone(), last);
        self.open_since = match last {
            true => None,
            false => self.open_since.or((count > 0).then_some(place)),
        };
        self.write(&place, &payload, &records);
        self.open.extend(messages);
        if let (true, Some(Record::Commit(commit))) = (last, records.last()) {
            let messages = std::mem::take(&mut self.open);
            self.tell(place.lsn, Change::Append { commit: commit.clone(), messages });
            self.batch += 1;
        }
    }

    fn footer(&self, messages: Vec<MessageRecord>, last: bool) -> Vec<Record> {
        let batch = BatchId(self.batch);
        let all = self.open.len() + messages.len();
        let octets = self.open.iter().chain(&messages).map(|message| message.size).sum();
        let mut records = Vec::new();
        if !messages.is_empty() {
            records.push(Record::Messages { batch, messages });
        }
        if last {
            records.push(Record::Commit(Commit {
                batch,
                account: "alice".into(),
                mailbox: MailboxId(1),
                first_uid: Uid(1),
                first_email: EmailId(1),
                modseq: ModSeq(2),
                save_date: 0,
                messages: all as u32,
                octets,
            }));
        }
        records
    }

    /// A frame with any other change.
    fn change(&mut self, input: &mut Input<'_>) {
        let record = record(input);
        // They belong to batches, which have their own step.
        let of_batch = matches!(
            record,
            Record::Messages { .. }
                | Record::References { .. }
                | Record::Fragments { .. }
                | Record::Commit(_)
                | Record::Cancel { .. }
        );
        if of_batch {
            self.spoilt = true;
        }
        let records = [record];
        let Some(place) = self.reserve(0, &records) else { return };
        self.write(&place, &[], &records);
        let [record] = records;
        if !of_batch {
            self.tell(place.lsn, Change::Other(record));
        }
    }

    fn tell(&mut self, lsn: Lsn, change: Change) {
        self.written.push(Replayed { epoch: self.epoch, log: LogId(0), lsn, change });
    }

    fn reserve(&mut self, payload: usize, records: &[Record]) -> Option<Place> {
        let records = records.iter().map(Record::encoded_len).sum();
        let length = frame::sealed_len(payload, records) as u32;
        if !self.sequencer.fits(length) {
            self.segment(4 + length as usize / BLOCK);
        }
        self.sequencer.reserve(length)
    }

    fn write(&mut self, place: &Place, payload: &[u8], records: &[Record]) {
        let mut octets = vec![0; place.length as usize];
        octets[HEADER..][..payload.len()].copy_from_slice(payload);
        frame::seal(&mut octets, place, BatchId(self.batch), 0, payload.len(), records);
        self.disk.put(place.segment, place.offset as usize, &octets);
        self.sequencer.written(place.lsn);
        self.frames.push((*place, self.open_since));
    }

    fn sync(&mut self) {
        if let Some(plan) = self.sequencer.begin_sync() {
            self.sequencer.synced(&plan);
        }
    }

    /// The server is killed and starts again.
    fn restart(&mut self) {
        let recovered = recover(&mut self.disk, &[], &mut |_| Ok(()));
        let recovered = match recovered {
            Ok(recovered) => recovered,
            Err(_) if self.spoilt => return,
            Err(error) => panic!("nobody spoilt it: {error}"),
        };
        if self.spoilt && recovered.next_epoch.0 > 1000 {
            return;
        }
        self.positions = recovered.ends;
        self.epoch = recovered.next_epoch.max(self.epoch);
        self.segment = SegmentId::first_of(self.epoch).max(self.segment);
        (self.ready, self.stale) = (Vec::new(), recovered.stale);
        for mut ready in recovered.ready {
            let segment = self.next_segment();
            self.disk.rename(ready.segment, segment);
            ready.segment = segment;
            self.ready.push(ready);
        }
        self.sequencer = Sequencer::new(self.epoch, LogId(0), 1, SALT + u64::from(self.epoch.0));
        self.open.clear();
        self.open_since = None;
        self.frames.clear();
        self.batch += 1;
    }

    /// The position of a checkpoint made when some frame had become durable.
    fn position(&mut self, input: &mut Input<'_>) {
        let durable = self.sequencer.durable();
        let durable = self.frames.iter().filter(|(place, _)| place.lsn <= durable).count();
        let Some((last, since)) = self.frames.get(input.below(durable.max(1))) else { return };
        if durable == 0 {
            return;
        }
        let (offset, lsn) = match since {
            Some(first) => (first.offset, first.lsn),
            None => (last.offset + last.length, last.lsn.next()),
        };
        let segment = since.unwrap_or(*last).segment;
        let (epoch, log, applied) = (self.epoch, LogId(0), last.lsn);
        self.positions.retain(|old| (old.epoch, old.log) != (epoch, log));
        self.positions.push(LogPosition { epoch, log, segment, offset, lsn, applied });
    }

    fn spoil(&mut self, step: usize, input: &mut Input<'_>) {
        let Some(segment) = self.disk.pick(input.below(16)) else { return };
        let blocks = self.disk.files[&segment].len().div_ceil(BLOCK).max(1);
        let block = input.below(blocks) * BLOCK;
        match step {
            11 => {
                let offset = block + usize::from(input.u16()) % BLOCK;
                let octets = input.short(100);
                self.disk.put(segment, offset, octets);
            }
            12 => {
                let offset = block + usize::from(input.u16()) % 256;
                let octet = self.disk.get(segment, offset, 1).first().copied().unwrap_or(0);
                self.disk.put(segment, offset, &[octet ^ 1 << input.below(8)]);
            }
            13 => self.sign(segment, block, HEADER),
            14 if input.below(4) == 0 => self.plant_ready(segment, input),
            14 => self.sign(segment, 0, 96),
            15 => self.plant_frame(segment, block, input),
            16 => self.plant_segment(segment, input),
            17 => {
                let length = usize::from(input.u16()) * 16;
                self.disk.files.get_mut(&segment).expect("picked").truncate(length);
            }
            18 => drop(self.disk.files.remove(&segment)),
            _ => {
                let copy = self.disk.get(segment, block, 2 * BLOCK).to_vec();
                let Some(other) = self.disk.pick(input.below(16)) else { return };
                self.disk.put(other, input.below(12) * BLOCK, &copy);
            }
        }
    }

    /// Makes the checksum of a header right.
    fn sign(&mut self, segment: SegmentId, at: usize, length: usize) {
        let header = self.disk.get(segment, at, length - 8);
        let checksum = xxh3_64(header).to_le_bytes();
        self.disk.put(segment, at + length - 8, &checksum);
    }

    fn plant_frame(&mut self, segment: SegmentId, at: usize, input: &mut Input<'_>) {
        let records: Vec<Record> = (0..input.below(3)).map(|_| record(input)).collect();
        let region: usize = records.iter().map(Record::encoded_len).sum();
        let payload = usize::from(input.u16()) % 9000;
        let length = frame::sealed_len(payload, region);
        let own = Epoch(1 + input.below(3) as u32);
        let place = Place {
            segment,
            offset: at as u32,
            length: length as u32,
            lsn: Lsn(1 + input.below(20) as u64),
            watermark: Lsn(0),
            epoch: if input.below(2) == 0 { self.epoch } else { own },
            log: LogId(input.below(2) as u16),
            salt: SALT + if self.epoch.0 > 1 { u64::from(self.epoch.0) } else { 0 },
        };
        let watermark = Lsn(input.below(20) as u64).min(Lsn(place.lsn.0 - 1));
        let mut octets = vec![b'y'; length];
        frame::seal(&mut octets, &Place { watermark, ..place }, BatchId(1), 0, payload, &records);
        if input.below(4) == 0 {
            let mut header = FrameHeader::decode(&octets).expect("just sealed");
            header.lsn = Lsn(input.u64());
            header.watermark = Lsn(input.u64());
            header.epoch = Epoch(input.u32());
            header.encode(&mut octets);
        }
        self.disk.put(segment, at, &octets);
    }

    fn plant_ready(&mut self, segment: SegmentId, input: &mut Input<'_>) {
        let mut block = vec![0; BLOCK];
        ReadyHeader { reused: input.below(2) == 0 }.encode(&mut block);
        self.disk.put(segment, 0, &block);
    }

    fn plant_segment(&mut self, segment: SegmentId, input: &mut Input<'_>) {
        let wild = input.below(4) == 0;
        let previous = SegmentId(segment.0 & !7 | input.below(8) as u64);
        let previous = (previous, (input.below(12) * BLOCK) as u32);
        let header = SegmentHeader {
            segment,
            epoch: if wild { Epoch(input.u32()) } else { segment.epoch() },
            log: LogId(input.below(2) as u16),
            logs: 2,
            salt: SALT + input.below(3) as u64,
            first_lsn: Lsn(if wild { input.u64() } else { input.below(12) as u64 }),
            watermark: Lsn(input.below(12) as u64),
            previous: (input.below(2) == 0).then_some(previous),
            size: input.u32(),
            created: 0,
            reused: input.below(2) == 0,
        };
        let mut block = vec![0; BLOCK];
        header.encode(&mut block);
        self.disk.put(segment, 0, &block);
    }
}
