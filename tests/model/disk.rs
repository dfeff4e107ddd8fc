//! A disk in memory for segments, that keeps apart what was written and what is durable.
//!
//! In a power loss each 512-byte sector of a write that no sync has covered is there or not, in any
//! combination, whether the write was complete or not. What a sync has covered is never lost or
//! changed, and the bytes of one sector are never mixed.
//!
//! The machine of the simulation has a disk of its own, with names, folders and files that grow.

use std::collections::BTreeMap;
use std::io;

use kit::Random;
use mailrace::store::{Medium, ReadyHeader, SegmentId};

const SECTOR: usize = 512;
const BLOCK: u64 = 4096;

#[derive(Clone, Default)]
pub struct Disk {
    /// What a read gives.
    pub files: BTreeMap<SegmentId, Vec<u8>>,
    /// Of files with writes that no sync has covered.
    pending: BTreeMap<SegmentId, Pending>,
    next_write: u64,
    /// Recovery is killed after this many changes.
    pub patience: Option<u32>,
}

#[derive(Clone)]
struct Pending {
    /// The file without these writes.
    durable: Vec<u8>,
    writes: Vec<Write>,
}

#[derive(Clone)]
struct Write {
    id: u64,
    offset: usize,
    octets: Vec<u8>,
    complete: bool,
}

impl Disk {
    /// Makes a segment that is ready, with zeros behind its header, durable with its name.
    pub fn create(&mut self, segment: SegmentId, size: u32) {
        self.insert(segment, size, vec![0; size as usize], false);
    }

    /// Makes a segment that is ready, with `left` behind its header, durable with its name.
    pub fn reuse(&mut self, segment: SegmentId, size: u32, left: &[u8]) {
        let mut octets = vec![0; size as usize];
        let room = &mut octets[BLOCK as usize..];
        let length = room.len().min(left.len());
        room[..length].copy_from_slice(&left[..length]);
        self.insert(segment, size, octets, true);
    }

    fn insert(&mut self, segment: SegmentId, size: u32, mut octets: Vec<u8>, reused: bool) {
        if u64::from(size) >= BLOCK {
            ReadyHeader { reused }.encode(&mut octets);
        }
        let old = self.files.insert(segment, octets);
        assert!(old.is_none(), "segment {segment} was there before");
    }

    /// Gives a segment another number, durably.
    pub fn rename(&mut self, from: SegmentId, to: SegmentId) {
        let file = self.files.remove(&from).expect("a segment");
        assert!(self.files.insert(to, file).is_none(), "segment {to} was there before");
        if let Some(pending) = self.pending.remove(&from) {
            self.pending.insert(to, pending);
        }
    }

    /// Begins a write and returns its id.
    pub fn write(&mut self, segment: SegmentId, offset: u32, octets: Vec<u8>) -> u64 {
        self.next_write += 1;
        let (id, offset) = (self.next_write, offset as usize);
        let file = &self.files[&segment];
        assert!(offset + octets.len() <= file.len(), "a write beyond the end");
        let pending = self.pending.entry(segment);
        let pending =
            pending.or_insert_with(|| Pending { durable: file.clone(), writes: Vec::new() });
        pending.writes.push(Write { id, offset, octets, complete: false });
        id
    }

    /// Ends a write: reads see it from now on.
    pub fn complete(&mut self, segment: SegmentId, id: u64) {
        let pending = self.pending.get_mut(&segment).expect("a write in flight");
        let write = pending.writes.iter_mut().find(|write| write.id == id);
        let write = write.expect("a write in flight");
        write.complete = true;
        put(self.files.get_mut(&segment).expect("a segment"), write.offset, &write.octets);
    }

    /// The writes that a sync begun now will cover.
    pub fn covered(&self, segment: SegmentId) -> Vec<u64> {
        let writes = self.pending.get(&segment).into_iter().flat_map(|pending| &pending.writes);
        writes.filter(|write| write.complete).map(|write| write.id).collect()
    }

    /// Ends a sync that covered these writes when it began.
    pub fn synced(&mut self, segment: SegmentId, covered: &[u64]) {
        let Some(pending) = self.pending.get_mut(&segment) else { return };
        let writes = std::mem::take(&mut pending.writes).into_iter();
        let (done, rest): (Vec<_>, Vec<_>) = writes.partition(|w| covered.contains(&w.id));
        for write in done {
            put(&mut pending.durable, write.offset, &write.octets);
        }
        pending.writes = rest;
        if pending.writes.is_empty() {
            self.pending.remove(&segment);
        }
    }

    /// The power fails and comes back.
    pub fn lose_power(&mut self, random: &mut Random) {
        for (segment, Pending { mut durable, writes }) in std::mem::take(&mut self.pending) {
            for write in writes {
                let mood = random.below(3);
                for (at, sector) in write.octets.chunks(SECTOR).enumerate() {
                    if mood == 0 || mood == 1 && random.one_in(2) {
                        put(&mut durable, write.offset + at * SECTOR, sector);
                    }
                }
            }
            self.files.insert(segment, durable);
        }
    }

    /// The process dies and the disk goes on. A write in flight happens or not.
    pub fn kill(&mut self, random: &mut Random) {
        for (segment, pending) in &mut self.pending {
            let file = self.files.get_mut(segment).expect("a segment");
            pending.writes.retain_mut(|write| {
                if !write.complete && random.one_in(2) {
                    write.complete = true;
                    put(file, write.offset, &write.octets);
                }
                write.complete
            });
        }
        self.pending.retain(|_, pending| !pending.writes.is_empty());
    }

    /// Turns one bit over.
    pub fn rot(&mut self, segment: SegmentId, offset: usize, bit: u32) {
        self.files.get_mut(&segment).expect("a segment")[offset] ^= 1 << bit;
        if let Some(pending) = self.pending.get_mut(&segment) {
            pending.durable[offset] ^= 1 << bit;
        }
    }

    /// Writes where a person would: around the log, at once, durable.
    pub fn overwrite(&mut self, segment: SegmentId, offset: usize, octets: &[u8]) {
        put(self.files.get_mut(&segment).expect("a segment"), offset, octets);
        self.pending.remove(&segment);
    }

    /// The same as far as there is a file, and room in it.
    pub fn put(&mut self, segment: SegmentId, offset: usize, octets: &[u8]) {
        let Some(file) = self.files.get(&segment) else { return };
        let offset = offset.min(file.len());
        let length = octets.len().min(file.len() - offset);
        self.overwrite(segment, offset, &octets[..length]);
    }

    /// At most `length` octets from `offset` on.
    pub fn get(&self, segment: SegmentId, offset: usize, length: usize) -> &[u8] {
        let file = self.files.get(&segment).map(Vec::as_slice).unwrap_or_default();
        let rest = file.get(offset..).unwrap_or_default();
        &rest[..rest.len().min(length)]
    }

    /// One of the files, whatever the number.
    pub fn pick(&self, number: usize) -> Option<SegmentId> {
        self.files.keys().nth(number % self.files.len().max(1)).copied()
    }

    /// Zeros in place of the header.
    pub fn erase_header(&mut self, segment: SegmentId) {
        self.overwrite(segment, 0, &[0; BLOCK as usize]);
    }

    /// Removes a file from outside.
    pub fn lose_file(&mut self, segment: SegmentId) {
        self.files.remove(&segment).expect("a segment");
        self.pending.remove(&segment);
    }

    fn change(&mut self) -> io::Result<()> {
        match &mut self.patience {
            Some(0) => Err(io::Error::other("killed while cutting")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Medium for Disk {
    fn segments(&self) -> io::Result<Vec<(SegmentId, u64)>> {
        Ok(self.files.iter().map(|(&segment, file)| (segment, file.len() as u64)).collect())
    }

    fn read_at(&self, segment: SegmentId, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let file = self.files.get(&segment).ok_or(io::ErrorKind::NotFound)?;
        let rest = usize::try_from(offset).ok().and_then(|offset| file.get(offset..));
        let rest = rest.unwrap_or_default();
        let length = rest.len().min(out.len());
        out[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn truncate(&mut self, segment: SegmentId, length: u64) -> io::Result<()> {
        self.change()?;
        let file = self.files.get_mut(&segment).ok_or(io::ErrorKind::NotFound)?;
        // Zeros at the end of the last frame may be missing, and come back.
        let most = (file.len() as u64).next_multiple_of(BLOCK);
        assert!(length <= most, "recovery makes a segment longer");
        file.resize(length as usize, 0);
        self.pending.remove(&segment);
        Ok(())
    }

    fn remove(&mut self, segment: SegmentId) -> io::Result<()> {
        self.change()?;
        self.pending.remove(&segment);
        self.files.remove(&segment).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }
}

fn put(file: &mut [u8], offset: usize, octets: &[u8]) {
    file[offset..offset + octets.len()].copy_from_slice(octets);
}
