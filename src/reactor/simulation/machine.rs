//! The simulated machine: what disk, network and threads share.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::pending;
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Once;
use std::time::Duration;

use kit::Random;
use tokio::sync::Notify;

use super::disk::Disk;
use super::network::Network;
use crate::reactor::arena::{Shape, Shared};
use crate::reactor::fault::Fault;
use crate::reactor::{Instant, Thresholds};

/// A write whose process has ended takes about this many steps of the machine: often more than the
/// next start.
const LATE: usize = 1_000;

thread_local! {
    static MACHINE: RefCell<Option<Rc<Machine>>> = const { RefCell::new(None) };
}

/// How a machine behaves. Times are maxima in milliseconds; chances are millionths per operation.
#[derive(Clone, Debug)]
pub struct Temper {
    /// A disk read or write.
    pub disk: u64,
    /// An fdatasync.
    pub sync: u64,
    /// The transmission of some octets through the network.
    pub network: u64,
    /// The start of a job on another thread.
    pub thread: u64,
    /// Most octets that arrive together.
    pub slice: usize,
    /// Octets that a socket buffers before its peer reads.
    pub buffer: usize,
    /// Leases of a reactor, small and large.
    pub leases: (usize, usize),
    /// Capacity of the disk in bytes.
    pub capacity: u64,
    /// A write fails.
    pub write_fails: u32,
    /// An fdatasync fails, and may lose what it was to make durable.
    pub sync_fails: u32,
    /// A read fails.
    pub read_fails: u32,
    /// Creating, renaming, resizing or syncing a name fails.
    pub names_fail: u32,
    /// Allocating a file fails once for lack of space.
    pub room_fails: u32,
    /// Opening a file fails for lack of descriptors.
    pub opens_fail: u32,
    /// An operation takes very long.
    pub stalls: u32,
    /// A connection breaks.
    pub resets: u32,
    /// Sizes at which the server takes another path.
    pub thresholds: Thresholds,
}

impl Default for Temper {
    /// Fast, large, and never fails.
    fn default() -> Temper {
        Temper {
            disk: 0,
            sync: 0,
            network: 0,
            thread: 0,
            slice: 9_000,
            buffer: 64 << 10,
            leases: (64, 32),
            capacity: 1 << 40,
            write_fails: 0,
            sync_fails: 0,
            read_fails: 0,
            names_fail: 0,
            room_fails: 0,
            opens_fail: 0,
            stalls: 0,
            resets: 0,
            thresholds: Thresholds::STANDARD,
        }
    }
}

/// A simulated machine. One at most per thread; its parts find it there.
pub struct Machine {
    pub(super) random: RefCell<Random>,
    pub(super) disk: RefCell<Disk>,
    pub(super) network: RefCell<Network>,
    pub(super) temper: RefCell<Temper>,
    /// Unix time in seconds at the start of the run, and milliseconds since then.
    pub(super) born: u64,
    elapsed: Cell<u64>,
    booted: Cell<Option<Instant>>,
    pub(super) arenas: RefCell<Vec<Weak<Shared>>>,
    thresholds: Thresholds,
    fault: Option<Fault>,
    steps: Cell<u64>,
    fails_at: Cell<Option<u64>>,
    /// Whether an operation has failed.
    pub(super) failed: Cell<bool>,
    off: Cell<bool>,
    power: Notify,
    panicked: RefCell<Option<String>>,
    trace: Option<Trace>,
}

type Trace = Box<dyn Fn(fmt::Arguments<'_>)>;

/// The machine of this thread.
pub(super) fn machine() -> Option<Rc<Machine>> {
    MACHINE.with_borrow(Clone::clone)
}

/// Whether this fault is planted.
#[must_use]
pub fn made(fault: Fault) -> bool {
    MACHINE.with_borrow(|machine| machine.as_ref().is_some_and(|m| m.fault == Some(fault)))
}

/// The thresholds of this machine.
#[must_use]
pub fn thresholds() -> Thresholds {
    MACHINE.with_borrow(|machine| {
        machine.as_ref().map_or(Thresholds::STANDARD, |machine| machine.thresholds)
    })
}

impl Machine {
    /// Creates a machine on this thread, replacing any other.
    pub fn put_up(
        seed: u64,
        temper: Temper,
        fault: Option<Fault>,
        trace: Option<Trace>,
    ) -> Rc<Machine> {
        note_panics();
        let mut random = Random::new(seed);
        let born = 1_700_000_000 + random.below(100_000_000) as u64;
        let machine = Rc::new(Machine {
            disk: RefCell::new(Disk::new()),
            thresholds: temper.thresholds,
            network: RefCell::default(),
            temper: RefCell::new(temper),
            random: RefCell::new(random),
            born,
            elapsed: Cell::new(0),
            booted: Cell::new(None),
            arenas: RefCell::default(),
            fault,
            steps: Cell::new(0),
            fails_at: Cell::new(None),
            failed: Cell::new(false),
            off: Cell::new(false),
            power: Notify::new(),
            panicked: RefCell::default(),
            trace,
        });
        MACHINE.with_borrow_mut(|place| *place = Some(machine.clone()));
        machine
    }

    /// Removes this thread's machine.
    pub fn take_down() {
        MACHINE.with_borrow_mut(Option::take);
    }

    /// Records a line about an event, for the replay of a seed.
    pub fn trace(&self, line: fmt::Arguments<'_>) {
        if let Some(trace) = &self.trace {
            trace(line);
        }
    }

    /// Changes its behaviour.
    pub fn behave(&self, change: impl FnOnce(&mut Temper)) {
        change(&mut self.temper.borrow_mut());
    }

    /// Draws a random value.
    pub fn random<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.random.borrow_mut())
    }

    /// Examines or changes the disk.
    pub fn disk<T>(&self, look: impl FnOnce(&mut Disk, &mut Random) -> T) -> T {
        look(&mut self.disk.borrow_mut(), &mut self.random.borrow_mut())
    }

    /// Number of disk and network operations so far.
    pub fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// Makes the power fail after this many more steps.
    pub fn fail_after(&self, steps: Option<u64>) {
        self.fails_at.set(steps.map(|steps| self.steps.get() + steps));
    }

    /// Switches the power off. No operation completes any more, and nothing reaches the disk.
    pub fn switch_off(&self) {
        if !self.off.replace(true) {
            self.trace(format_args!("off after step {}", self.steps.get()));
            self.power.notify_waiters();
        }
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.off.get()
    }

    /// Waits until the power fails.
    pub async fn power_fails(&self) {
        loop {
            let failing = self.power.notified();
            if self.is_off() {
                return;
            }
            failing.await;
        }
    }

    /// Prepares for everything that ran on the machine to be dropped.
    pub fn halt(&self) {
        self.switch_off();
        self.elapsed.set(self.now());
        self.booted.set(None);
    }

    /// Switches the power on, possibly again. Nothing that ran on the machine may be left.
    pub fn switch_on(&self) {
        self.booted.set(Some(Instant::now()));
        *self.network.borrow_mut() = Network::default();
        self.arenas.borrow_mut().clear();
        self.fails_at.set(None);
        self.failed.set(false);
        self.off.set(false);
    }

    /// Whether reads, and whether writes, may fail.
    pub fn may_fail(&self) -> (bool, bool) {
        let temper = self.temper.borrow();
        let writes = [temper.write_fails, temper.sync_fails, temper.names_fail, temper.room_fails];
        (
            temper.read_fails > 0 || temper.opens_fail > 0,
            writes.iter().any(|fails| *fails > 0) || temper.opens_fail > 0,
        )
    }

    /// Whether its disk has failed since it was switched on.
    pub fn has_failed(&self) -> bool {
        self.failed.get()
    }

    /// Decides whether an operation with this chance of failure fails.
    pub(super) fn fails(&self, millionths: u32) -> bool {
        let fails = self.random(|random| random.in_a_million(millionths));
        self.failed.set(self.failed.get() || fails);
        fails
    }

    /// The text of a panic, if there was one.
    pub fn panicked(&self) -> Option<String> {
        self.panicked.borrow_mut().take()
    }

    /// Leases in use, for each reactor.
    pub fn leases(&self) -> Vec<usize> {
        let arenas = self.arenas.borrow();
        arenas.iter().filter_map(Weak::upgrade).map(|arena| arena.stats().in_use).collect()
    }

    /// Milliseconds since the run began.
    pub(super) fn now(&self) -> u64 {
        let since = self.booted.get().map_or(0, |at| at.elapsed().as_millis() as u64);
        self.elapsed.get() + since
    }

    pub(super) fn shape(&self) -> Shape {
        let (small, large) = self.temper.borrow().leases;
        Shape { small, large }
    }

    /// Takes one step, which may be the last before the power fails.
    pub(super) fn step(&self) -> io::Result<()> {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        if self.fails_at.get().is_some_and(|at| steps >= at) {
            self.switch_off();
        }
        if self.is_off() {
            return Err(io::Error::other("the power is off"));
        }
        self.land_late();
        Ok(())
    }

    /// Does a write of an earlier process, now and then, as long as there are any.
    fn land_late(&self) {
        if self.disk.borrow().has_late() && self.random(|random| random.one_in(LATE)) {
            self.disk.borrow_mut().land_one(&mut self.random.borrow_mut());
        }
    }

    /// As [`Machine::step`], but never returns when the power is off.
    pub(super) async fn step_or_hang(&self) {
        if self.step().is_err() {
            pending::<()>().await;
        }
    }

    /// Takes up to `longest` milliseconds, and occasionally very much longer.
    pub(super) async fn delay(&self, longest: u64) {
        let stalls = self.temper.borrow().stalls;
        let time = self.random(|random| match random.in_a_million(stalls) {
            true => random.within(100, 20_000) as u64,
            false => random.below(longest as usize + 1) as u64,
        });
        match time {
            0 => tokio::task::yield_now().await,
            time => tokio::time::sleep(Duration::from_millis(time)).await,
        }
        if self.is_off() {
            pending::<()>().await;
        }
    }
}

/// Makes a panic on a machine's thread end its run; the report includes it.
fn note_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match machine() {
            // A panic after the end of a run is only a consequence.
            Some(machine) if machine.is_off() => {}
            Some(machine) => {
                let trace = std::backtrace::Backtrace::capture();
                machine.panicked.borrow_mut().get_or_insert(format!("{info}\n{trace}"));
                machine.switch_off();
            }
            None => before(info),
        }));
    });
}
