//! Segment files, as the log sees them: whole blocks in and out of leases.

use std::io;
use std::ops::Range;
use std::rc::Rc;

use io_uring::{opcode, types};

use super::executor::submit;
use super::files::File;
use crate::reactor::Lease;

/// An open segment file. A handle: clones mean the same file.
#[derive(Clone)]
pub struct LogFile {
    file: Rc<File>,
}

impl LogFile {
    /// Takes an open file; with O_DIRECT, offsets and lengths must be whole blocks.
    #[must_use]
    pub fn new(file: File) -> LogFile {
        LogFile { file: Rc::new(file) }
    }

    /// How many names the file has; none when somebody removed it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn names(&self) -> io::Result<u64> {
        self.file.names()
    }

    fn fd(&self) -> types::Fd {
        types::Fd(self.file.descriptor())
    }

    /// Writes the first `length` octets of the lease at `offset`.
    ///
    /// # Errors
    /// What the disk says; writing less than everything is an error as well.
    pub async fn write_at(
        &self,
        lease: Lease,
        length: usize,
        offset: u64,
    ) -> (io::Result<()>, Lease) {
        let size = u32::try_from(length).expect("a lease is small");
        let pointer = lease.pointer(0..length);
        let entry = match lease.registered() {
            Some(index) => {
                opcode::WriteFixed::new(self.fd(), pointer, size, index).offset(offset).build()
            }
            None => opcode::Write::new(self.fd(), pointer, size).offset(offset).build(),
        };
        let (result, (_, lease)) = submit(entry, (self.file.clone(), lease)).await;
        let result = result.and_then(|written| match written == length {
            true => Ok(()),
            false => {
                Err(io::Error::new(io::ErrorKind::WriteZero, "the disk wrote part of a frame"))
            }
        });
        (result, lease)
    }

    /// Reads from `offset` into `range` of the lease; fewer octets only at the end of the file.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn read_at(
        &self,
        lease: Lease,
        range: Range<usize>,
        offset: u64,
    ) -> (io::Result<usize>, Lease) {
        let size = u32::try_from(range.len()).expect("a lease is small");
        let pointer = lease.pointer(range);
        let entry = match lease.registered() {
            Some(index) => {
                opcode::ReadFixed::new(self.fd(), pointer, size, index).offset(offset).build()
            }
            None => opcode::Read::new(self.fd(), pointer, size).offset(offset).build(),
        };
        let (result, (_, lease)) = submit(entry, (self.file.clone(), lease)).await;
        (result, lease)
    }

    /// Makes everything whose write has completed durable: fdatasync.
    ///
    /// # Errors
    /// What the disk says. After an error nothing is known about what was written since the last
    /// success; trying again would only hide that (the kernel reports a lost page once).
    pub async fn sync_data(&self) -> io::Result<()> {
        let entry = opcode::Fsync::new(self.fd()).flags(types::FsyncFlags::DATASYNC).build();
        submit(entry, self.file.clone()).await.0.map(|_| ())
    }
}
