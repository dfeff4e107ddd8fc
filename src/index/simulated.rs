//! The catalog on a simulated machine's disk.

use std::io;
use std::path::Path;

use crate::reactor::Access;
use crate::reactor::files::{self, File};

/// A simulated file as a storage backend of redb.
#[derive(Debug)]
pub(super) struct Simulated(File);

/// Opens or creates a simulated file; `None` where files are real.
pub(super) fn open(path: &Path) -> Option<io::Result<Simulated>> {
    files::are_simulated().then(|| files::open(path, Access::Create).map(Simulated))
}

impl redb::StorageBackend for Simulated {
    fn len(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.0.read_at(out, offset)? == out.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_length(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn write(&self, offset: u64, octets: &[u8]) -> io::Result<()> {
        self.0.write_all_at(octets, offset)
    }
}
