//! Clients at work while a backup is made, and the states of their mailboxes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use kit::{Client, Fetched, Message, PASSWORD, Random, Server, USER};

/// Clients at work during a backup.
pub(super) const CLIENTS: usize = 4;

/// Messages by number, in the mailbox that is appended to and in the one that they are moved to.
type State = (VecDeque<u64>, Vec<u64>);

/// What one client has done.
pub(super) struct Done {
    /// The state after each change that may have taken effect, from the empty one on.
    states: Vec<State>,
}

pub(super) struct Load {
    stop: Arc<AtomicBool>,
    /// How many changes each client may make.
    most: Arc<AtomicUsize>,
    /// How many changes of each client are acknowledged.
    acknowledged: Vec<Arc<AtomicUsize>>,
    clients: Vec<JoinHandle<Done>>,
}

fn message(client: usize, number: u64) -> Vec<u8> {
    let mut random = Random::new((client as u64) << 40 | number);
    let size = if random.one_in(20) { 400_000 } else { random.within(10, 20_000) };
    let mut octets = format!("X-Number: {number}\r\n\r\n").into_bytes();
    octets.extend((0..size).map(|at| b'a' + ((number + at as u64 / 7) % 26) as u8));
    octets
}

impl Load {
    pub(super) fn start(address: SocketAddr) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let most = Arc::new(AtomicUsize::new(usize::MAX));
        let (mut acknowledged, mut clients) = (Vec::new(), Vec::new());
        for client in 0..CLIENTS {
            let count = Arc::new(AtomicUsize::new(0));
            let (stop, most, acked) = (stop.clone(), most.clone(), count.clone());
            acknowledged.push(count);
            clients.push(thread::spawn(move || work(client, address, (&stop, &most), &acked)));
        }
        Load { stop, most, acknowledged, clients }
    }

    /// Makes clients wait once they have made so many more changes than the first of them now.
    pub(super) fn allow(&self, changes: usize) {
        let first = self.acknowledged().into_iter().max().unwrap_or_default();
        self.most.store(first + changes, Ordering::SeqCst);
    }

    /// Waits until every client has had this many more changes acknowledged.
    pub(super) fn wait(&self, changes: usize) {
        let before = self.acknowledged();
        let clients = self.acknowledged.iter().zip(&self.clients);
        for ((count, client), before) in clients.zip(before) {
            let goal = before + changes;
            while count.load(Ordering::SeqCst) < goal {
                assert!(!client.is_finished(), "a client has ended");
                thread::yield_now();
            }
        }
    }

    pub(super) fn acknowledged(&self) -> Vec<usize> {
        self.acknowledged.iter().map(|count| count.load(Ordering::SeqCst)).collect()
    }

    pub(super) fn stop(self) -> Vec<Done> {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.into_iter().map(|client| client.join().unwrap()).collect()
    }
}

/// Appends, moves and expunges until it is told to stop.
fn work(
    client: usize,
    address: SocketAddr,
    (stop, most): (&AtomicBool, &AtomicUsize),
    count: &AtomicUsize,
) -> Done {
    let mut connection = Client::connect(address);
    connection.response().expect("a greeting");
    connection.ok(&format!("LOGIN {} {PASSWORD}", user(client)));
    connection.ok(&format!("CREATE c{client}"));
    connection.ok(&format!("CREATE d{client}"));
    connection.ok(&format!("SELECT c{client}"));
    let (mut random, mut next) = (Random::new(client as u64), 1);
    let mut states = vec![State::default()];
    while !stop.load(Ordering::SeqCst) {
        if states.len() > most.load(Ordering::SeqCst) {
            thread::yield_now();
            continue;
        }
        let mut state = states.last().unwrap().clone();
        if state.0.len() < 5 || random.one_in(2) {
            let numbers: Vec<_> = (next..next + random.within(1, 6) as u64).collect();
            next += numbers.len() as u64;
            state.0.extend(&numbers);
            states.push(state);
            let octets: Vec<_> = numbers.iter().map(|number| message(client, *number)).collect();
            let messages = octets.iter().map(|octets| Message { options: "", octets });
            let messages: Vec<_> = messages.collect();
            let reply = connection.append(&format!("c{client}"), &messages);
            assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
        } else if random.one_in(2) {
            let moved = state.0.pop_front().unwrap();
            state.1.push(moved);
            states.push(state);
            connection.ok(&format!("MOVE 1 d{client}"));
        } else {
            connection.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
            state.0.pop_front();
            states.push(state);
            connection.ok("EXPUNGE");
        }
        count.store(states.len() - 1, Ordering::SeqCst);
    }
    Done { states }
}

/// Two clients for each user.
fn user(client: usize) -> &'static str {
    [USER, "bob"][client % 2]
}

/// The numbers of the messages in a mailbox, each compared with what was sent.
fn stored(connection: &mut Client, client: usize, mailbox: &str) -> Vec<u64> {
    connection.ok(&format!("EXAMINE {mailbox}"));
    let reply = connection.command("UID FETCH 1:* (UID BODY.PEEK[])");
    assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
    let number = |one: &Fetched| {
        let octets = one.octets("BODY[]");
        let line = octets.split(|&octet| octet == b'\r').next().unwrap();
        let line = std::str::from_utf8(line).unwrap();
        let number = line.strip_prefix("X-Number: ").unwrap().parse().unwrap();
        assert!(octets == message(client, number), "message {number} of {mailbox}");
        number
    };
    Fetched::all(&reply.untagged).iter().map(number).collect()
}

/// Every client's mailboxes are in a state that they had at `from` or later.
#[track_caller]
pub(super) fn check(server: &Server, done: &[Done], from: &[usize]) {
    for (client, (done, &from)) in done.iter().zip(from).enumerate() {
        let mut connection = server.connect();
        connection.ok(&format!("LOGIN {} {PASSWORD}", user(client)));
        let appended = stored(&mut connection, client, &format!("c{client}"));
        let moved = stored(&mut connection, client, &format!("d{client}"));
        let found = (VecDeque::from(appended), moved);
        let at = done.states.iter().rposition(|state| *state == found);
        let at = at.unwrap_or_else(|| panic!("client {client} never had {found:?}"));
        assert!(at >= from, "client {client}: state {at}, though {from} was acknowledged");
    }
}
