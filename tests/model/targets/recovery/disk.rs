//! A disk in memory.

use std::collections::BTreeMap;
use std::io;

use mailrace::store::{Medium, SegmentId};

const BLOCK: u64 = 4096;

#[derive(Clone, Default)]
pub struct Disk {
    pub files: BTreeMap<SegmentId, Vec<u8>>,
    /// How many changes by recovery succeed before it is killed.
    pub patience: Option<u32>,
}

impl Disk {
    /// Puts octets there, as many of them as the file has room for.
    pub fn put(&mut self, segment: SegmentId, offset: usize, octets: &[u8]) {
        let Some(file) = self.files.get_mut(&segment) else { return };
        let offset = offset.min(file.len());
        let length = octets.len().min(file.len() - offset);
        file[offset..offset + length].copy_from_slice(&octets[..length]);
    }

    /// The octets from there on, so many at most.
    pub fn get(&self, segment: SegmentId, offset: usize, length: usize) -> &[u8] {
        let file = self.files.get(&segment).map(Vec::as_slice).unwrap_or_default();
        let rest = file.get(offset..).unwrap_or_default();
        &rest[..rest.len().min(length)]
    }

    /// One of the files.
    pub fn pick(&self, number: usize) -> Option<SegmentId> {
        self.files.keys().nth(number % self.files.len().max(1)).copied()
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
        // The zeros at the end of the last frame may be missing, and come back.
        assert!(length < file.len() as u64 + BLOCK, "recovery makes a segment longer");
        file.resize(length as usize, 0);
        Ok(())
    }

    fn remove(&mut self, segment: SegmentId) -> io::Result<()> {
        self.change()?;
        self.files.remove(&segment).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }
}
