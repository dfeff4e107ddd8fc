//! Reading a snapshot, block by block.

use std::io;
use std::path::Path;

use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use super::format::{
    BLOCK_HEAD, CHECKSUM, HEAD, SnapshotRow, TAIL, check_head, read_block_head, tail,
};
use super::{Flaw, SnapshotError, path_of};
use crate::reactor::fault::{Fault, made};
use crate::reactor::files::{self, File};

/// A snapshot that is being read.
pub(super) struct Reading {
    file: File,
    length: u64,
    at: u64,
    hash: Xxh3Default,
    rows: u64,
    blocks: u64,
}

/// Why a read ends.
pub(super) enum Broken {
    Flaw(Flaw),
    Io(io::Error),
}

impl From<Flaw> for Broken {
    fn from(flaw: Flaw) -> Broken {
        Broken::Flaw(flaw)
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Io(error)
    }
}

impl Broken {
    pub(super) fn explain(self, path: &Path) -> SnapshotError {
        let path = path.to_owned();
        match self {
            Broken::Flaw(flaw) => SnapshotError::Damaged { path, flaw },
            Broken::Io(error) => SnapshotError::Io { path, error },
        }
    }
}

impl Reading {
    /// Opens a snapshot and checks its head.
    pub(super) fn open(folder: &Path, number: u64) -> Result<Reading, Broken> {
        let file = files::open_as_stored(&path_of(folder, number))?;
        let length = file.length()?;
        let hash = Xxh3Default::new();
        let mut reading = Reading { file, length, at: 0, hash, rows: 0, blocks: 0 };
        let head = reading.array::<HEAD>()?;
        check_head(&head, number)?;
        reading.hash.update(&head);
        Ok(reading)
    }

    /// Reads the next block into `block`, checks it, and returns the number of its rows. `None`
    /// once all blocks are read and the whole is known to be complete.
    pub(super) fn next(&mut self, block: &mut Vec<u8>) -> Result<Option<u32>, Broken> {
        if made(Fault::SnapshotHalfBelieved) && self.length - self.at < BLOCK_HEAD as u64 {
            return Ok(None);
        }
        let head = self.array::<BLOCK_HEAD>()?;
        self.hash.update(&head);
        let (length, rows) = read_block_head(&head)?;
        if length == 0 {
            return self.end().map(|()| None);
        }
        if u64::from(length) > self.length - self.at {
            return Err(Flaw("it ends within a block").into());
        }
        block.resize(length as usize, 0);
        self.read(block)?;
        self.hash.update(block);
        let checksum = self.array::<CHECKSUM>()?;
        self.hash.update(&checksum);
        if xxh3_64(block) != u64::from_le_bytes(checksum) {
            return Err(Flaw("the checksum of a block is wrong").into());
        }
        (self.rows, self.blocks) = (self.rows + u64::from(rows), self.blocks + 1);
        Ok(Some(rows))
    }

    fn end(&mut self) -> Result<(), Broken> {
        let counts = self.array::<TAIL>()?;
        self.hash.update(&counts);
        if counts != tail(self.rows, self.blocks) {
            return Err(Flaw("its end counts other rows").into());
        }
        let checksum = self.array::<CHECKSUM>()?;
        if self.hash.digest() != u64::from_le_bytes(checksum) {
            return Err(Flaw("the checksum of the whole is wrong").into());
        }
        match self.at == self.length {
            true => Ok(()),
            false => Err(Flaw("something follows its end").into()),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let mut octets = [0; N];
        self.read(&mut octets)?;
        Ok(octets)
    }

    fn read(&mut self, out: &mut [u8]) -> Result<(), Broken> {
        let mut filled = 0;
        while filled < out.len() {
            let read = self.file.read_at(&mut out[filled..], self.at)?;
            if read == 0 {
                return Err(Flaw("it ends early").into());
            }
            filled += read;
            self.at += read as u64;
        }
        Ok(())
    }
}

/// Calls `take` with each row of a block.
pub(super) fn rows<'a, E: From<Flaw>>(
    mut block: &'a [u8],
    rows: u32,
    mut take: impl FnMut(SnapshotRow<'a>) -> Result<(), E>,
) -> Result<(), E> {
    for _ in 0..rows {
        take(SnapshotRow::take(&mut block)?)?;
    }
    match block.is_empty() {
        true => Ok(()),
        false => Err(Flaw("a block has more than its rows").into()),
    }
}
