//! One client of the mixed load: its state, its random choice of actions, its connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kit::{Client, Fetched, PASSWORD, Random, Reply};

use super::shadow::{Kept, Mailbox, checked};
use crate::mail::Mail;

/// Octets of its own messages above which a client deletes some.
const LIVE: u64 = 4 << 20;

/// Number of its own messages above which a client deletes some.
const LIVE_MESSAGES: usize = 300;

/// Longest pause between two actions of a client, in microseconds.
const PAUSE: usize = 20_000;

/// State that all clients share.
#[derive(Default)]
pub struct Common {
    /// The clients must end.
    pub ended: AtomicBool,
    /// The disk space allowed up to now is used up: clients only read.
    pub frugal: AtomicBool,
    /// Commands that were answered.
    pub commands: AtomicU64,
    /// Messages appended and acknowledged.
    pub messages: AtomicU64,
    /// Octets of these messages.
    pub appended: AtomicU64,
    /// Messages copied or moved.
    pub copied: AtomicU64,
    /// Messages read and compared.
    pub compared: AtomicU64,
    /// Octets of these messages.
    pub read: AtomicU64,
    /// Connections opened.
    pub connections: AtomicU64,
}

/// A client.
pub struct Worker<'a> {
    pub number: usize,
    pub user: String,
    address: SocketAddr,
    pub common: &'a Common,
    pub random: Random,
    pub client: Client,
    pub selected: Option<String>,
    /// Its own messages in all mailboxes of the account.
    pub mailboxes: BTreeMap<String, Mailbox>,
    next: u64,
}

/// An action and its weight in the random choice.
type Deed<'a> = (usize, fn(&mut Worker<'a>));

impl<'a> Worker<'a> {
    /// Logs in.
    pub fn new(
        number: usize,
        user: String,
        address: SocketAddr,
        common: &'a Common,
        random: Random,
    ) -> Worker<'a> {
        let client = connect(address, &user);
        let mailboxes = BTreeMap::new();
        common.connections.fetch_add(1, Ordering::Relaxed);
        let (selected, next) = (None, 0);
        Worker { number, user, address, common, random, client, selected, mailboxes, next }
    }

    /// The mailbox that only this client uses.
    pub fn private(&self) -> String {
        format!("own-{}", self.number)
    }

    /// The mailboxes that this client uses. It shares all but the first.
    pub fn places(&self) -> [String; 3] {
        [self.private(), "INBOX".into(), "bulk".into()]
    }

    /// Works until told to end; returns its messages, which must be there.
    pub fn run(mut self) -> BTreeMap<String, Mailbox> {
        self.ok(&format!("CREATE {}", self.private()));
        while !self.common.ended.load(Ordering::Relaxed) {
            let live: u64 = self.kept().map(|kept| kept.mail.size as u64).sum();
            if live > LIVE || self.kept().count() > LIVE_MESSAGES {
                self.expunge_many();
            }
            let frugal = self.common.frugal.load(Ordering::Relaxed);
            let deeds = if frugal { Worker::READING } else { Worker::DEEDS };
            let sum = deeds.iter().map(|(weight, _)| weight).sum();
            let mut at = self.random.below(sum);
            let deed = deeds.iter().find(|(weight, _)| {
                let here = at < *weight;
                at = at.wrapping_sub(*weight);
                here
            });
            deed.expect("the sum is that of all").1(&mut self);
            let pause = self.random.below(PAUSE) as u64;
            std::thread::sleep(Duration::from_micros(pause));
        }
        self.mailboxes
    }

    const DEEDS: &'a [Deed<'a>] = &[
        (8, Worker::append_small),
        (2, Worker::append_large),
        (3, Worker::append_pipeline),
        (2, Worker::append_cancelled),
        (2, Worker::append_broken),
        (8, Worker::fetch_own),
        (4, Worker::fetch_anybodys),
        (4, Worker::fetch_piece),
        (6, Worker::search),
        (6, Worker::store),
        (4, Worker::copy),
        (4, Worker::move_some),
        (3, Worker::expunge_some),
        (3, Worker::idle),
        (3, Worker::list),
        (3, Worker::status),
        (1, Worker::folder),
        (2, Worker::pipeline),
        (1, Worker::reconnect),
    ];

    const READING: &'a [Deed<'a>] = &[
        (8, Worker::fetch_own),
        (4, Worker::fetch_anybodys),
        (4, Worker::fetch_piece),
        (6, Worker::search),
        (3, Worker::idle),
        (3, Worker::list),
        (3, Worker::status),
        (2, Worker::pipeline),
        (1, Worker::reconnect),
    ];

    fn kept(&self) -> impl Iterator<Item = &Kept> {
        self.mailboxes.values().flat_map(BTreeMap::values)
    }

    /// A new message.
    pub fn new_mail(&mut self, size: usize) -> Mail {
        self.next += 1;
        Mail { owner: self.number, number: self.next, size }
    }

    /// Runs a command that must succeed.
    #[track_caller]
    pub fn ok(&mut self, command: &str) -> Reply {
        self.common.commands.fetch_add(1, Ordering::Relaxed);
        self.client.ok(command)
    }

    /// The messages in a reply to FETCH of [`super::shadow::ITEMS`], after comparing each.
    pub fn compared(&self, reply: &Reply) -> Mailbox {
        let found: Mailbox = Fetched::all(&reply.untagged).iter().filter_map(checked).collect();
        self.common.compared.fetch_add(found.len() as u64, Ordering::Relaxed);
        let octets = found.values().map(|kept| kept.mail.size as u64).sum();
        self.common.read.fetch_add(octets, Ordering::Relaxed);
        found
    }

    /// Selects a mailbox with messages of its own. Returns the mailbox and some of their UIDs.
    pub fn some_own(&mut self) -> Option<(String, Vec<u32>)> {
        let places = self.places();
        let place = places[self.random.below(places.len())].clone();
        let mut uids: Vec<u32> = self.mailboxes.get(&place)?.keys().copied().collect();
        if uids.is_empty() {
            return None;
        }
        let from = self.random.below(uids.len());
        let count = self.random.within(1, 30);
        uids = uids.into_iter().skip(from).take(count).collect();
        self.select(&place);
        Some((place, uids))
    }

    /// Selects a mailbox unless it is selected already.
    pub fn select(&mut self, place: &str) {
        if self.selected.as_deref() != Some(place) {
            self.ok(&format!("SELECT {place}"));
            self.selected = Some(place.into());
        }
    }

    /// Opens a new connection; the old one ends with LOGOUT or without.
    pub fn reconnect(&mut self) {
        if self.random.one_in(2) {
            self.ok("LOGOUT");
        }
        self.break_off();
    }

    /// Opens a new connection; the old one ends at once, whatever it is doing.
    pub fn break_off(&mut self) {
        let client = connect(self.address, &self.user);
        self.common.connections.fetch_add(1, Ordering::Relaxed);
        let mut old = std::mem::replace(&mut self.client, client);
        self.selected = None;
        match self.random.below(3) {
            0 => old.end(),
            1 => old.reset(),
            _ => {}
        }
    }
}

fn connect(address: SocketAddr, user: &str) -> Client {
    let mut client = Client::connect(address);
    client.response().expect("a greeting");
    client.ok(&format!("LOGIN {user} {PASSWORD}"));
    client
}
