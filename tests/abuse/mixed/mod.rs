//! 24 connections do everything a client can do, for seconds or hours.
//!
//! Each client knows its own messages in full, wherever in the account they are, and compares all
//! that it reads with the generator. At the end every message of every mailbox is compared, and
//! again after a restart.

mod reading;
mod shadow;
mod worker;
mod writing;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use kit::{Client, Folder, PASSWORD, Random, Server};

use shadow::Mailbox;
use worker::{Common, Worker};

use crate::gauge::{Gauge, Growth, MIB, Sample};
use crate::wanted;

/// Connections, four to an account.
const CONNECTIONS: usize = 24;

/// Length of a run without MAILRACE_MINUTES.
const QUICK: Duration = Duration::from_secs(6);

/// Bytes of disk that a run of any length may take, plus a few seconds of writes: clients may write
/// faster than cleaning gives back the space of deleted mail. The allowance grows over the run;
/// while the log is ahead of it, clients only read.
const DISK: u64 = 20 << 30;

/// Bytes that may be written in addition from the start.
const DISK_FREE: u64 = 1 << 30;

/// Allowed growth of memory from the second to the last quarter of a run, in bytes. Even without a
/// leak, caches fill a little more: pages of the catalog, journals of mailboxes, the allocator's
/// reserves. Samples differ by some 8 MiB. In an hour, millions of commands run between the two
/// quarters, so a leak of 100 bytes per command is ten times this.
const GROWTH: u64 = 16 * MIB + CLEANING;

/// What cleaning uses while it runs: leases, rows that it changes, and what the catalog writes. In
/// a run of seconds it begins after the second quarter, once 128 MiB are expunged.
const CLEANING: u64 = 24 * MIB;

/// Smallest leak that a long run must find, in bytes per command.
const LEAK: u64 = 100;

#[test]
fn clients_that_do_everything_find_all_as_it_should_be() {
    let mut random = Random::seeded();
    let minutes = wanted("MAILRACE_MINUTES", 0) as u64;
    let length = if minutes == 0 { QUICK } else { Duration::from_secs(60 * minutes) };
    let folder = Folder::empty();
    for account in 0..CONNECTIONS / 4 {
        folder.add_user(&user(account), PASSWORD, &[]);
    }
    let server = Server::with(&folder, &["--segment-size", "64M"]);
    let gauge = Gauge::new(&server);
    let idle = gauge.sample(0);
    for account in 0..CONNECTIONS / 4 {
        login(&server, account).ok("CREATE bulk");
    }
    let common = Common::default();
    let (expected, samples) = load(&server, &folder, gauge, (&common, &mut random), length);
    gauge.wait_for_connections(0);
    report(&samples, &common, disk(&folder.path().join("segments")));
    judge(&idle, &samples);
    compare(&server, &expected);
    assert!(server.terminate().success());
    let server = Server::with(&folder, &["--segment-size", "64M"]);
    compare(&server, &expected);
}

fn user(account: usize) -> String {
    format!("user-{account}")
}

fn login(server: &Server, account: usize) -> Client {
    let mut client = server.connect();
    client.ok(&format!("LOGIN {} {PASSWORD}", user(account)));
    client
}

/// What the accounts must hold: mailboxes by account and name.
type Expected = BTreeMap<(usize, String), Mailbox>;

fn load(
    server: &Server,
    folder: &Folder,
    gauge: Gauge,
    (common, random): (&Common, &mut Random),
    length: Duration,
) -> (Expected, Vec<Sample>) {
    let begun = Instant::now();
    let segments = folder.path().join("segments");
    // A quick run needs frequent samples; for an hour, one per second is enough.
    let every = Duration::from_millis(if length > Duration::from_secs(60) { 1000 } else { 50 });
    let look = |sample: &Sample| {
        let passed = begun.elapsed().as_secs_f64() / length.as_secs_f64();
        let allowed = DISK_FREE + (DISK as f64 * passed.min(1.0)) as u64;
        common.frugal.store(disk(&segments) > allowed, Ordering::Relaxed);
        common.ended.store(passed >= 1.0, Ordering::Relaxed);
        if sample.at.as_secs().is_multiple_of(300) && length > QUICK {
            println!("{}", line(sample));
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                let (account, random) = (number / 4, Random::new(random.number()));
                let worker = Worker::new(number, user(account), server.address(), common, random);
                scope.spawn(move || {
                    // Without this, the others would go on for an hour.
                    let _guard = EndOnPanic(common);
                    (account, worker.run())
                })
            })
            .collect();
        let count = || common.commands.load(Ordering::Relaxed);
        let samples = gauge.watch(every, &common.ended, look, count);
        let mut expected = Expected::new();
        for worker in workers {
            let (account, mailboxes) = worker.join().expect("the client has said why");
            for (name, messages) in mailboxes {
                let all: &mut Mailbox = expected.entry((account, name)).or_default();
                for (uid, kept) in messages {
                    assert_eq!(all.insert(uid, kept), None, "UID {uid} was given to two clients");
                }
            }
        }
        (expected, samples)
    })
}

struct EndOnPanic<'a>(&'a Common);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.ended.store(true, Ordering::Relaxed);
        }
    }
}

/// Disk space of the files in a folder, in bytes.
fn disk(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    entries.filter_map(|entry| Some(entry.metadata().ok()?.blocks() * 512)).sum()
}

fn line(sample: &Sample) -> String {
    format!(
        "after {:4} s: {} MiB resident, {} descriptors, {} threads, {} commands",
        sample.at.as_secs(),
        sample.resident / MIB,
        sample.descriptors,
        sample.threads,
        sample.count
    )
}

fn report(samples: &[Sample], common: &Common, disk: u64) {
    for sample in samples.iter().step_by((samples.len() / 12).max(1)).chain(samples.last()) {
        println!("{}", line(sample));
    }
    let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{} commands; {} messages of {} MiB appended, {} copied or moved, {} of {} MiB read and \
         compared; {} connections; {} MiB of disk",
        get(&common.commands),
        get(&common.messages),
        get(&common.appended) / MIB,
        get(&common.copied),
        get(&common.compared),
        get(&common.read) / MIB,
        get(&common.connections),
        disk / MIB
    );
}

/// Checks that memory, descriptors and threads do not grow.
fn judge(idle: &Sample, samples: &[Sample]) {
    let growth = Growth::of(samples);
    println!(
        "resident in the second quarter {} MiB, in the last {} MiB; {} commands between them",
        growth.before / MIB,
        growth.after / MIB,
        growth.count
    );
    let sensitive = growth.count * LEAK > 2 * GROWTH;
    if !sensitive {
        println!("too short to show a leak of {LEAK} octets a command; MAILRACE_MINUTES=60 does");
    }
    assert!(growth.octets() <= GROWTH, "memory grows: {growth:?}");
    // Connections, some of them closing, and segments that are kept open.
    let open = CONNECTIONS * 2 + mailrace::limits::OPEN_SEGMENTS * 2;
    for sample in samples {
        assert!(sample.descriptors <= idle.descriptors + open, "{sample:?}, {idle:?} when idle");
        assert!(sample.threads <= 64, "{sample:?}");
    }
}

/// Compares every octet of every message.
fn compare(server: &Server, expected: &Expected) {
    for ((account, name), mailbox) in expected {
        let found = shadow::all(&mut login(server, *account), name);
        for (uid, kept) in mailbox {
            assert_eq!(found.get(uid), Some(kept), "UID {uid} of {name} of {}", user(*account));
        }
        assert_eq!(found.len(), mailbox.len(), "{name} of {} has more", user(*account));
    }
    let messages: usize = expected.values().map(BTreeMap::len).sum();
    println!("{messages} messages in {} mailboxes: all as they should be", expected.len());
}
