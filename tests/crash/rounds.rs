//! Rounds of load and crash on one data folder. After each, everything is checked.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use kit::{Client, Folder, Image, Message, PASSWORD, Random, Server, USER};

use crate::changer::Changer;
use crate::load::{Id, Style, Writer};
use crate::owned::Owned;
use crate::shadow::{Opened, Shadow};

pub const BOB: &str = "bob";

/// The appending clients: two accounts, three mailboxes, two of them with two clients.
const STYLES: [Style; 5] = [
    Style { user: USER, mailbox: "INBOX", batch: 40, large: 90_000, ahead: 2, in_step: false },
    Style { user: USER, mailbox: "INBOX", batch: 1, large: 20_000, ahead: 30, in_step: false },
    Style { user: USER, mailbox: "bulk", batch: 12, large: 40_000, ahead: 0, in_step: true },
    Style { user: BOB, mailbox: "INBOX", batch: 5, large: 3_000_000, ahead: 1, in_step: false },
    Style { user: BOB, mailbox: "INBOX", batch: 2000, large: 5_000, ahead: 0, in_step: false },
];

/// The mailboxes of [`STYLES`].
const MAILBOXES: [(&str, &str); 3] = [(USER, "INBOX"), (USER, "bulk"), (BOB, "INBOX")];

/// Clients that change mail at the same time: user, mailbox prefix, commands sent ahead.
const CHANGERS: [(&str, &str, usize); 3] = [(USER, "c0", 0), (USER, "c1", 8), (BOB, "c2", 2)];

/// Largest message that is copied.
const COPIED: usize = 90_000;

/// How a server under load ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// kill -9.
    Kill,
    /// SIGTERM.
    Terminate,
    /// The disk keeps only the data that it already has.
    PowerLoss,
    /// The disk refuses every operation until the next start.
    DiskFails,
}

/// A data folder and the mail that must be there.
#[derive(Clone)]
pub struct World {
    pub folder: Folder,
    appended: [Shadow; MAILBOXES.len()],
    owned: [Owned; CHANGERS.len()],
    /// Number of rounds so far, so that batch numbers are unique.
    rounds: u64,
}

impl World {
    /// Starts with an empty folder in which [`USER`] exists.
    pub fn new(folder: Folder) -> World {
        folder.add_user(BOB, PASSWORD, &[]);
        let server = Server::start(&folder);
        server.login().ok("CREATE bulk");
        assert!(server.terminate().success());
        let owned = CHANGERS.map(|(_, prefix, _)| Owned::new(prefix));
        World { folder, appended: Default::default(), owned, rounds: 0 }
    }

    /// Starts a server, loads it, ends it, perhaps kills some starts, and checks everything.
    pub fn round(&mut self, end: End, image: Option<&Image>, random: &mut Random) {
        let server = self.start(random);
        // Rounds of much new mail, and rounds of many changes to existing mail.
        let bulk = random.one_in(2);
        let most = match bulk {
            true => random.pick(&[200_000, 2_000_000, 8_000_000, 25_000_000]),
            false => random.pick(&[10, 100, 600]),
        };
        let progress = random.below(most);
        let load = self.load(&server, &|style| bulk || style.batch < 40, end, random);
        let cleaning = random.one_in(2).then(|| Cleaning::begin(&server, &self.folder));
        load.wait(bulk, progress);
        finish(server, &self.folder, end, image);
        self.heard(load);
        let cleaned = cleaning.map_or(0, Cleaning::end);
        if let Some(image) = image.filter(|_| matches!(end, End::PowerLoss | End::DiskFails)) {
            image.remount();
        }
        if random.one_in(3) {
            fs::remove_file(self.folder.catalog()).unwrap();
        }
        for _ in 0..random.below(3) {
            let after = Duration::from_micros(random.below(60_000) as u64);
            Server::kill_starting(&self.folder, &flags(random), after);
        }
        self.is_sound();
        let server = self.start(random);
        self.verify(&server);
        server.kill();
        let of = if bulk { "octets" } else { "changes" };
        let records = fs::read_dir(self.folder.path().join("records"));
        let (round, told, records) = (self.rounds, self.tell(), records.map_or(0, Iterator::count));
        println!(
            "round {round}: {end:?} after {progress} {of}, cleaned {cleaned} times, \
             {records} record files, {told}"
        );
    }

    /// Whatever happened, `mailrace verify` finds no damage.
    fn is_sound(&self) {
        let data = self.folder.path();
        let output = kit::mailrace(&["verify", "--data", data.to_str().unwrap()], "");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("sound: "), "{said}");
    }

    fn start(&self, random: &mut Random) -> Server {
        Server::with(&self.folder, &flags(random))
    }

    /// A small round of `changes` changes with small messages, which ends with kill -9.
    pub fn grow(&mut self, changes: usize, random: &mut Random) {
        let server = self.start(random);
        let load = self.load(&server, &|style| style.large <= 40_000, End::Kill, random);
        load.wait(false, changes);
        server.kill();
        self.heard(load);
        let server = self.start(random);
        self.verify(&server);
        server.kill();
    }

    /// Starts the changing clients, and the appending clients of the chosen styles.
    fn load(
        &mut self,
        server: &Server,
        appends: &dyn Fn(&Style) -> bool,
        end: End,
        random: &mut Random,
    ) -> Load {
        self.rounds += 1;
        let mut number = self.rounds << 32;
        let mut numbers = || {
            number += 1 << 24;
            number
        };
        // When the disk fails, a log that cannot continue rightly refuses mail.
        let fails = matches!(end, End::PowerLoss | End::DiskFails);
        let (sender, octets) = channel();
        let styles = STYLES.iter().filter(|style| appends(style));
        let writers = styles.map(|style| {
            let random = Random::new(random.number());
            let mut writer = Writer::new(server.address(), *style, random, numbers());
            writer.may_fail = fails;
            let sender = sender.clone();
            thread::spawn(move || writer.run(&sender))
        });
        let writers = writers.collect();
        let (sender, changes) = channel();
        let changers = [0, 1, 2].map(|at| {
            let (user, prefix, ahead) = CHANGERS[at];
            let (client, state) = (login(server, user), self.owned[at].state().clone());
            let (library, random) = (self.library(user, random), Random::new(random.number()));
            let mut changer = Changer::new(client, prefix, state, library, random, numbers());
            changer.may_fail = fails;
            changer.ahead = if fails { 0 } else { ahead };
            let sender = sender.clone();
            thread::spawn(move || changer.run(&sender))
        });
        Load { octets, changes, writers, changers }
    }

    /// Some messages of the INBOX that are small enough to copy.
    fn library(&self, user: &str, random: &mut Random) -> Vec<(u32, Id)> {
        let at = MAILBOXES.iter().position(|own| *own == (user, "INBOX")).unwrap();
        let known = self.appended[at].known();
        let small = known.iter().filter(|(_, id)| id.large <= COPIED && random.one_in(3));
        small.take(100).map(|(uid, id)| (*uid, *id)).collect()
    }

    /// Waits until all clients have seen the end, and records what they know.
    fn heard(&mut self, load: Load) {
        for writer in load.writers.into_iter().map(|thread| thread.join().unwrap()) {
            let mailbox = (writer.style.user, writer.style.mailbox);
            let at = MAILBOXES.iter().position(|own| *own == mailbox).unwrap();
            self.appended[at].heard(&writer);
        }
        for (thread, owned) in load.changers.into_iter().zip(&mut self.owned) {
            owned.heard(thread.join().unwrap().possible());
        }
    }

    /// Checks everything in a log with damaged octets. Returns how many messages cannot be read.
    pub fn verify_damaged(&mut self, server: &Server) -> usize {
        let appended = MAILBOXES.into_iter().zip(&mut self.appended);
        let appended = appended
            .map(|((user, mailbox), shadow)| {
                shadow.verify_damaged(&mut login(server, user), mailbox)
            })
            .sum::<usize>();
        let owned = CHANGERS.into_iter().zip(&mut self.owned);
        let owned = owned.map(|((user, ..), owned)| owned.verify_damaged(&mut login(server, user)));
        appended + owned.sum::<usize>()
    }

    /// Checks a log with lost frames: all mail that is there must be the original. With `one`, the
    /// missing messages of a mailbox must be adjacent.
    pub fn verify_sound(&self, server: &Server, one: bool) {
        for ((user, mailbox), shadow) in MAILBOXES.iter().zip(&self.appended) {
            shadow.verify_sound(&mut login(server, user), mailbox, one);
        }
        for user in [USER, BOB] {
            let mut client = login(server, user);
            let list = client.ok("LIST \"\" *").texts();
            for line in list.iter().filter(|line| !line.contains("\\No")) {
                let (_, name) = line.split_once(" \"/\" ").unwrap_or_else(|| panic!("{line}"));
                Opened::look_at_sound(&mut client, name);
            }
        }
    }

    /// Whether every mailbox can be opened: the catalog may be damaged.
    pub fn can_be_opened(&self, server: &Server) -> bool {
        let mut good = true;
        for user in [USER, BOB] {
            let mut client = server.connect();
            if !client.command(&format!("LOGIN {user} {PASSWORD}")).tagged.starts_with("OK ") {
                return false;
            }
            for line in client.ok("LIST \"\" *").texts().iter().filter(|l| !l.contains("\\No")) {
                let name = line.rsplit(' ').next().unwrap();
                good &= client.command(&format!("EXAMINE {name}")).tagged.starts_with("OK ");
            }
        }
        good
    }

    /// Checks everything.
    pub fn verify(&mut self, server: &Server) {
        for ((user, mailbox), shadow) in MAILBOXES.into_iter().zip(&mut self.appended) {
            shadow.verify(&mut login(server, user), mailbox);
        }
        for ((user, ..), owned) in CHANGERS.into_iter().zip(&mut self.owned) {
            owned.verify(&mut login(server, user));
        }
    }

    fn tell(&self) -> String {
        let appended: Vec<_> = self.appended.iter().map(Shadow::len).collect();
        let owned: Vec<_> = self
            .owned
            .iter()
            .map(|owned| (owned.state().mailboxes.len(), owned.state().len()))
            .collect();
        format!("{appended:?} messages, {owned:?} mailboxes and messages")
    }
}

/// Clients at work.
struct Load {
    octets: Receiver<usize>,
    changes: Receiver<usize>,
    writers: Vec<JoinHandle<Writer>>,
    changers: [JoinHandle<Changer>; CHANGERS.len()],
}

impl Load {
    /// Waits until at least this many octets were sent or this many changes acknowledged.
    fn wait(&self, bulk: bool, most: usize) {
        let progress = if bulk { &self.octets } else { &self.changes };
        let mut done = 0;
        while done < most {
            done += progress.recv().expect("clients that go on");
        }
    }
}

/// `mailrace clean --all`, again and again: beside the server, and on its folder once it was
/// killed.
struct Cleaning {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Cleaning {
    fn begin(server: &Server, folder: &Folder) -> Cleaning {
        // Mail that is gone already, in the segments that the load goes on with.
        let gone = vec![b'x'; 1 << 20];
        for user in [USER, BOB] {
            let mut client = login(server, user);
            client.ok("CREATE gone");
            let message = Message { options: "", octets: &gone };
            let reply = client.append("gone", &[message; 2]).tagged;
            assert!(reply.starts_with("OK "), "{reply}");
            client.ok("DELETE gone");
        }
        let (folder, stop) = (folder.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let data = folder.path();
            let data = data.to_str().unwrap();
            let mut cleaned = 0;
            while !stopped.load(Relaxed) {
                // It fails when the server or the disk does.
                let output = kit::mailrace(&["clean", "--all", "--data", data], "");
                cleaned += usize::from(output.status.success());
            }
            cleaned
        });
        Cleaning { stop, thread }
    }

    /// Returns how often it was done.
    fn end(self) -> usize {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap()
    }
}

/// Ends the server, or waits for its end.
fn finish(server: Server, folder: &Folder, end: End, image: Option<&Image>) {
    match end {
        End::Kill => server.kill(),
        End::Terminate => assert!(server.terminate().success()),
        End::PowerLoss => {
            image.unwrap().lose_power();
            server.kill();
        }
        End::DiskFails => {
            let mut idle = server.login();
            image.unwrap().fail();
            // On a reactor whose log has not failed, the BYE says that the server is stopping.
            let bye = idle.response().expect("a word at parting").text();
            let good = ["* BYE [UNAVAILABLE] the disk failed", "* BYE the server is stopping"];
            assert!(good.contains(&&*bye), "{bye}");
            let code = server.wait().code();
            let log = fs::read_to_string(folder.log()).unwrap();
            assert_eq!(code, Some(74), "{log}");
        }
    }
}

/// A random number of reactors, and small segments, so that batches span several.
pub fn flags(random: &mut Random) -> [&'static str; 4] {
    ["--segment-size", "4M", "--reactors", random.pick(&["1", "2", "3"])]
}

pub fn login(server: &Server, user: &str) -> Client {
    let mut client = server.connect();
    client.ok(&format!("LOGIN {user} {PASSWORD}"));
    client
}
