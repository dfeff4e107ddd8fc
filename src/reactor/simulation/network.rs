//! The simulated network. A connection is two pipes. A pipe preserves the order of octets, but
//! neither the pieces in which they were sent nor timing.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;

use tokio::sync::Notify;

use super::machine::{Machine, machine};

/// Listeners, and connections between reactors.
#[derive(Default)]
pub struct Network {
    pub(super) listeners: Vec<Rc<Backlog>>,
    /// Ends of connections that no reactor holds at the moment.
    pub(super) parked: BTreeMap<u64, Rc<End>>,
    pub(super) next: u64,
}

/// Connections waiting to be accepted.
#[derive(Default)]
pub(super) struct Backlog {
    pub waiting: RefCell<VecDeque<Rc<End>>>,
    pub closed: Cell<bool>,
    pub news: Notify,
}

/// One end of a connection. Dropping it closes the connection.
pub(super) struct End {
    pub number: u64,
    pub receives: Rc<Pipe>,
    pub sends: Rc<Pipe>,
}

/// One direction of a connection.
#[derive(Default)]
pub(super) struct Pipe {
    state: RefCell<State>,
    pub news: Notify,
}

#[derive(Default)]
struct State {
    /// Sent but not arrived.
    under_way: VecDeque<u8>,
    arrived: VecDeque<u8>,
    /// Whether a task is transmitting.
    carried: bool,
    /// Whether the sender has ended the stream.
    ended: bool,
    /// Whether that end has arrived.
    end_arrived: bool,
    /// Whether the receiver stopped receiving: it sees the end after what has arrived.
    deaf: bool,
    /// Whether the receiver is gone.
    abandoned: bool,
    /// Whether the connection was reset.
    broken: bool,
}

/// The two ends of a new connection.
pub(super) fn connect(machine: &Machine) -> (Rc<End>, Rc<End>) {
    let mut network = machine.network.borrow_mut();
    network.next += 1;
    let (up, down) = (Rc::<Pipe>::default(), Rc::<Pipe>::default());
    let number = network.next;
    let server = End { number, receives: up.clone(), sends: down.clone() };
    let client = End { number, receives: down, sends: up };
    (Rc::new(server), Rc::new(client))
}

impl End {
    /// Resets the connection: octets in transit are lost.
    pub fn reset(&self) {
        for pipe in [&self.receives, &self.sends] {
            let mut state = pipe.state.borrow_mut();
            state.broken = true;
            state.under_way.clear();
            drop(state);
            pipe.news.notify_waiters();
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let unread = {
            let mut state = self.receives.state.borrow_mut();
            state.abandoned = true;
            !state.arrived.is_empty()
        };
        self.receives.news.notify_waiters();
        match unread {
            // As in the kernel: a receiver that leaves octets unread resets the connection.
            true => self.reset(),
            false => self.sends.end(),
        }
    }
}

impl Pipe {
    /// Whether nothing more will arrive.
    pub fn has_ended(&self) -> bool {
        let state = self.state.borrow();
        state.end_arrived || state.broken
    }

    /// Sends what fits; `None` while nothing does.
    pub fn send(self: &Rc<Self>, octets: &[u8]) -> io::Result<Option<usize>> {
        let Some(machine) = machine() else { return Err(io::ErrorKind::NotConnected.into()) };
        let mut state = self.state.borrow_mut();
        if state.broken || state.abandoned {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if state.ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = machine.temper.borrow().buffer;
        let room = room.saturating_sub(state.under_way.len() + state.arrived.len());
        let taken = room.min(octets.len());
        state.under_way.extend(&octets[..taken]);
        drop(state);
        self.carry(&machine);
        Ok((taken > 0).then_some(taken))
    }

    /// Ends the stream.
    pub fn end(self: &Rc<Self>) {
        self.state.borrow_mut().ended = true;
        match machine() {
            Some(machine) => self.carry(&machine),
            None => self.news.notify_waiters(),
        }
    }

    /// Stops receiving.
    pub fn deafen(&self) {
        self.state.borrow_mut().deaf = true;
        self.news.notify_waiters();
    }

    /// Moves arrived octets to `out` and returns their number; 0 at the end, `None` if nothing is
    /// there.
    pub fn receive(&self, out: &mut [u8]) -> io::Result<Option<usize>> {
        let mut state = self.state.borrow_mut();
        if state.broken && state.arrived.is_empty() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if state.arrived.is_empty() {
            return Ok((state.end_arrived || state.deaf).then_some(0));
        }
        let taken = out.len().min(state.arrived.len());
        for (to, from) in out.iter_mut().zip(state.arrived.drain(..taken)) {
            *to = from;
        }
        drop(state);
        self.news.notify_waiters();
        Ok(Some(taken))
    }

    /// Whether [`Pipe::receive`] would return something.
    pub fn is_readable(&self) -> bool {
        let state = self.state.borrow();
        state.broken || state.end_arrived || state.deaf || !state.arrived.is_empty()
    }

    /// Starts a task that transmits the octets in pieces, unless there is one.
    fn carry(self: &Rc<Self>, machine: &Rc<Machine>) {
        let mut state = self.state.borrow_mut();
        let nothing = state.under_way.is_empty() && (!state.ended || state.end_arrived);
        if state.carried || nothing || machine.is_off() {
            return;
        }
        state.carried = true;
        let (pipe, machine) = (self.clone(), machine.clone());
        tokio::task::spawn_local(async move { while pipe.carry_some(&machine).await {} });
    }

    /// Transmits a piece; `false` if nothing is left.
    async fn carry_some(&self, machine: &Machine) -> bool {
        let (longest, slice, resets) = {
            let temper = machine.temper.borrow();
            (temper.network, temper.slice, temper.resets)
        };
        machine.delay(longest).await;
        machine.step_or_hang().await;
        let mut state = self.state.borrow_mut();
        if machine.random(|random| random.in_a_million(resets)) {
            state.broken = true;
            state.under_way.clear();
        }
        let some = machine.random(|random| random.within(1, slice));
        let some = some.min(state.under_way.len());
        let State { under_way, arrived, .. } = &mut *state;
        if some == under_way.len() {
            arrived.append(under_way);
        } else {
            arrived.extend(under_way.drain(..some));
        }
        if state.under_way.is_empty() {
            state.end_arrived = state.ended;
            state.carried = false;
        }
        let more = state.carried;
        drop(state);
        self.news.notify_waiters();
        more
    }
}
