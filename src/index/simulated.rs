//! The catalog on the disk of a simulated machine.

use std::io;
use std::path::Path;

use crate::reactor::Access;
use crate::reactor::files::{self, File};

/// A file of the machine, as redb uses it.
#[derive(Debug)]
pub(super) struct Simulated(File);

/// The file of a catalog, made when it is not there; `None` where files are real.
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
