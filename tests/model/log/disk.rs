//! A disk in memory that keeps apart what was written and what is durable.
//!
//! What it may do in a power loss: of every write that no sync has covered, any of its 512-octet
//! sectors may be there or not, in any combination, whether the write was complete or not. What it
//! may not do: lose or change what a sync has covered, or mix the octets of one sector.

use std::collections::BTreeMap;
use std::io;

use kit::Random;
use mailrace::store::{Medium, SegmentId};

const SECTOR: usize = 512;

#[derive(Clone, Default)]
pub struct Disk {
    files: BTreeMap<SegmentId, File>,
    next_write: u64,
    /// How many changes by recovery succeed before it is killed.
    pub patience: Option<u32>,
}

#[derive(Clone, Default)]
struct File {
    /// What a read gives.
    current: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Write>,
}

#[derive(Clone)]
struct Write {
    id: u64,
    offset: usize,
    octets: Vec<u8>,
    complete: bool,
}

impl Disk {
    /// A prepared segment: zeros, its name durable.
    pub fn create(&mut self, segment: SegmentId, size: u32) {
        let zeros = vec![0; size as usize];
        let file = File { current: zeros.clone(), durable: zeros, unsynced: Vec::new() };
        assert!(self.files.insert(segment, file).is_none(), "segment {segment} was there before");
    }

    /// Begins a write; its id comes back.
    pub fn write(&mut self, segment: SegmentId, offset: u32, octets: Vec<u8>) -> u64 {
        self.next_write += 1;
        let (id, offset) = (self.next_write, offset as usize);
        let file = self.files.get_mut(&segment).expect("a segment that is there");
        assert!(offset + octets.len() <= file.current.len(), "a write beyond the end");
        file.unsynced.push(Write { id, offset, octets, complete: false });
        id
    }

    pub fn complete(&mut self, segment: SegmentId, id: u64) {
        let file = self.files.get_mut(&segment).expect("a segment that is there");
        let write = file.unsynced.iter_mut().find(|write| write.id == id).expect("in flight");
        write.complete = true;
        put(&mut file.current, write.offset, &write.octets);
    }

    /// Writes that a sync begun now will cover.
    pub fn covered(&self, segment: SegmentId) -> Vec<u64> {
        let unsynced = self.files[&segment].unsynced.iter();
        unsynced.filter(|write| write.complete).map(|write| write.id).collect()
    }

    /// A sync that began when it covered these writes ends.
    pub fn synced(&mut self, segment: SegmentId, covered: &[u64]) {
        let file = self.files.get_mut(&segment).expect("a segment that is there");
        let (done, rest) =
            std::mem::take(&mut file.unsynced).into_iter().partition(|w| covered.contains(&w.id));
        let done: Vec<Write> = done;
        for write in done {
            put(&mut file.durable, write.offset, &write.octets);
        }
        file.unsynced = rest;
    }

    /// The power goes off and comes on again.
    pub fn lose_power(&mut self, random: &mut Random) {
        for file in self.files.values_mut() {
            for write in std::mem::take(&mut file.unsynced) {
                let mood = random.below(3);
                for (at, sector) in write.octets.chunks(SECTOR).enumerate() {
                    if mood == 0 || mood == 1 && random.below(2) == 0 {
                        put(&mut file.durable, write.offset + at * SECTOR, sector);
                    }
                }
            }
            file.current = file.durable.clone();
        }
    }

    /// The process dies; the disk goes on. Writes in flight happen or not.
    pub fn kill(&mut self, random: &mut Random) {
        for file in self.files.values_mut() {
            file.unsynced.retain_mut(|write| {
                if !write.complete && random.below(2) == 0 {
                    write.complete = true;
                    put(&mut file.current, write.offset, &write.octets);
                }
                write.complete
            });
        }
    }

    /// All octets, to see whether anything changed.
    pub fn octets(&self) -> BTreeMap<SegmentId, Vec<u8>> {
        self.files.iter().map(|(&segment, file)| (segment, file.current.clone())).collect()
    }

    /// Turns one bit over, as rot would.
    pub fn rot(&mut self, segment: SegmentId, offset: usize, bit: u32) {
        let file = self.files.get_mut(&segment).expect("a segment that is there");
        file.current[offset] ^= 1 << bit;
        file.durable[offset] ^= 1 << bit;
    }

    /// Puts octets there behind everybody's back.
    pub fn overwrite(&mut self, segment: SegmentId, offset: usize, octets: &[u8]) {
        let file = self.files.get_mut(&segment).expect("a segment that is there");
        put(&mut file.current, offset, octets);
        put(&mut file.durable, offset, octets);
        file.unsynced.clear();
    }

    pub fn erase_header(&mut self, segment: SegmentId) {
        self.overwrite(segment, 0, &[0; 4096]);
    }

    pub fn lose_file(&mut self, segment: SegmentId) {
        self.files.remove(&segment).expect("a segment that is there");
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
        Ok(self.files.iter().map(|(&segment, file)| (segment, file.current.len() as u64)).collect())
    }

    fn read_at(&self, segment: SegmentId, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let octets = &self.files.get(&segment).ok_or(io::ErrorKind::NotFound)?.current;
        let rest = octets.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(out.len());
        out[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn truncate(&mut self, segment: SegmentId, length: u64) -> io::Result<()> {
        self.change()?;
        let file = self.files.get_mut(&segment).ok_or(io::ErrorKind::NotFound)?;
        assert!(length as usize <= file.current.len(), "recovery makes no segment longer");
        file.current.truncate(length as usize);
        file.durable = file.current.clone();
        file.unsynced.clear();
        Ok(())
    }

    fn remove(&mut self, segment: SegmentId) -> io::Result<()> {
        self.change()?;
        self.files.remove(&segment).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }
}

fn put(file: &mut [u8], offset: usize, octets: &[u8]) {
    file[offset..offset + octets.len()].copy_from_slice(octets);
}
