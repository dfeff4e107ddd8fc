//! Segment files of the simulated disk.

use std::io;
use std::ops::Range;
use std::rc::Rc;

use super::conn::the_machine;
use super::files::File;
use super::machine::Machine;
use super::node::SECTOR;
use crate::reactor::Lease;
use crate::reactor::fault::{Fault, made};

/// An open segment file. Clones are handles to one file.
#[derive(Clone)]
pub struct LogFile {
    file: Rc<File>,
}

impl LogFile {
    /// Wraps an open file.
    #[must_use]
    pub fn new(file: File) -> LogFile {
        LogFile { file: Rc::new(file) }
    }

    /// See the ring's.
    pub fn names(&self) -> io::Result<u64> {
        self.file.names()
    }

    /// See the ring's. Octets leave the lease late, some sectors before others.
    pub async fn write_at(
        &self,
        lease: Lease,
        length: usize,
        offset: u64,
    ) -> (io::Result<()>, Lease) {
        let node = match &*self.file {
            File::Real(file) => {
                return (file.write_all_at(&lease.octets()[..length], offset), lease);
            }
            File::Simulated(node) => *node,
        };
        if made(Fault::LeaseReusedEarly) {
            return self.write_late(node, lease, length, offset).await;
        }
        let machine = the_machine();
        let (longest, fails) = begin(&machine);
        machine.step_or_hang().await;
        let write = InFlight { machine: &machine, node, offset, length, lease: Some(lease) };
        machine.delay(longest).await;
        if machine.random(|random| random.one_in(3)) {
            write_some(&machine, node, write.octets(), offset);
            machine.delay(longest).await;
        }
        machine.step_or_hang().await;
        if machine.fails(fails) {
            write_some(&machine, node, write.octets(), offset);
            return (Err(io::Error::from_raw_os_error(libc::EIO)), write.over());
        }
        machine.trace(format_args!("disk: wrote {length} octets of file {node} at {offset}"));
        machine.disk.borrow_mut().write(node, offset, write.octets());
        (Ok(()), write.over())
    }

    /// The planted fault: the lease is reused before its octets have been written.
    async fn write_late(
        &self,
        node: u64,
        lease: Lease,
        length: usize,
        offset: u64,
    ) -> (io::Result<()>, Lease) {
        let machine = the_machine();
        let (longest, _) = begin(&machine);
        let octets = lease.pointer(0..length);
        // Keeps the arena alive after the lease is gone.
        let (class, arena) = (lease.class(), crate::reactor::Arena::of_lease(&lease));
        drop(lease);
        machine.delay(longest.max(5)).await;
        // SAFETY: the arena stays mapped as long as `arena` lives, and no code on this thread
        // writes to it while the slice is used. That the octets have changed by now is the point of
        // the fault.
        let octets = unsafe { std::slice::from_raw_parts(octets, length) };
        machine.disk.borrow_mut().write(node, offset, octets);
        (Ok(()), arena.lease(class).await)
    }

    /// See the ring's.
    pub async fn read_at(
        &self,
        mut lease: Lease,
        range: Range<usize>,
        offset: u64,
    ) -> (io::Result<usize>, Lease) {
        if let File::Simulated(_) = &*self.file {
            let machine = the_machine();
            let longest = machine.temper.borrow().disk;
            machine.step_or_hang().await;
            machine.delay(longest).await;
        }
        let result = self.file.read_at(&mut lease.octets_mut()[range], offset);
        (result, lease)
    }

    /// See the ring's. Need not cover writes that are in flight.
    pub async fn sync_data(&self) -> io::Result<()> {
        let node = match &*self.file {
            File::Real(file) => return file.sync_all(),
            File::Simulated(node) => *node,
        };
        let machine = the_machine();
        let (longest, fails) = {
            let temper = machine.temper.borrow();
            (temper.sync, temper.sync_fails)
        };
        let last = machine.disk.borrow().last();
        machine.step_or_hang().await;
        machine.delay(longest).await;
        machine.step_or_hang().await;
        let failed = machine.fails(fails);
        let done = if failed { "failed" } else { "done" };
        machine.trace(format_args!("disk: fdatasync of file {node} up to write {last} {done}"));
        let mut disk = machine.disk.borrow_mut();
        match failed {
            true => {
                disk.sync_failed(node, last, &mut machine.random.borrow_mut());
                Err(io::Error::from_raw_os_error(libc::EIO))
            }
            false => {
                disk.synced(node, last);
                Ok(())
            }
        }
    }
}

/// A write that the kernel works on. The disk may do it after its process was killed.
struct InFlight<'m> {
    machine: &'m Machine,
    node: u64,
    offset: u64,
    length: usize,
    /// `None` once the operation is over.
    lease: Option<Lease>,
}

impl InFlight<'_> {
    fn octets(&self) -> &[u8] {
        &self.lease.as_ref().expect("it is not over").octets()[..self.length]
    }

    fn over(mut self) -> Lease {
        self.lease.take().expect("it is not over")
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if self.lease.is_some() && self.machine.is_off() && self.machine.random(|r| r.one_in(2)) {
            self.machine.disk.borrow_mut().leave(self.node, self.offset, self.octets());
        }
    }
}

fn begin(machine: &Machine) -> (u64, u32) {
    let temper = machine.temper.borrow();
    (temper.disk, temper.write_fails)
}

/// Writes some of the sectors, in random order.
fn write_some(machine: &Machine, node: u64, octets: &[u8], offset: u64) {
    let mut disk = machine.disk.borrow_mut();
    let sectors = octets.chunks(SECTOR).enumerate();
    for (number, sector) in sectors {
        if machine.random(|random| random.one_in(2)) {
            disk.write(node, offset + (number * SECTOR) as u64, sector);
        }
    }
}
