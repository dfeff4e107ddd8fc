//! Segment files as the log uses them: whole blocks between disk and leases.

use std::io;
use std::ops::Range;
use std::rc::Rc;

use io_uring::{opcode, types};

use super::executor::submit;
use super::files::File;
use crate::reactor::Lease;

/// An open segment file. Clones are handles to one file.
#[derive(Clone)]
pub struct LogFile {
    file: Rc<File>,
}

impl LogFile {
    /// Wraps an open file. With O_DIRECT, offsets and lengths must be whole blocks.
    #[must_use]
    pub fn new(file: File) -> LogFile {
        LogFile { file: Rc::new(file) }
    }

    /// Number of hard links; 0 if the file was removed.
    ///
    /// # Errors
    /// The disk's error.
    pub fn names(&self) -> io::Result<u64> {
        self.file.names()
    }

    fn fd(&self) -> types::Fd {
        types::Fd(self.file.descriptor())
    }

    /// Writes the first `length` octets of the lease at `offset`.
    ///
    /// # Errors
    /// The disk's error; a short write is an error too.
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
                Err(io::Error::new(io::ErrorKind::WriteZero, "only part of a frame was written"))
            }
        });
        (result, lease)
    }

    /// Reads from `offset` into `range` of the lease; fewer octets only at the end of the file.
    ///
    /// # Errors
    /// The disk's error.
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

    /// Makes all completed writes durable: fdatasync.
    ///
    /// # Errors
    /// The disk's error. After an error, the state of everything written since the last success is
    /// unknown. Do not retry: the kernel reports a lost page once, so a retry would succeed and
    /// hide the loss.
    pub async fn sync_data(&self) -> io::Result<()> {
        let entry = opcode::Fsync::new(self.fd()).flags(types::FsyncFlags::DATASYNC).build();
        submit(entry, self.file.clone()).await.0.map(|_| ())
    }
}
