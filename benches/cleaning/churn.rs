//! Steady churn: mail comes in, and as much is expunged at random.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kit::{Client, Fetched, Random};

use crate::mail::Mail;
use crate::server::{Server, bound, size};
use crate::{MIB, Options, percentile};

/// Users whose mail churns, and one more who appends single messages.
const WRITERS: usize = 2;

/// Messages of an APPEND, and of an EXPUNGE.
const BATCH: u64 = 100;

/// Time between two single messages.
const BETWEEN: Duration = Duration::from_millis(10);

/// Time between two looks at the folder.
const LOOK: Duration = Duration::from_millis(100);

/// Time that the folder must stay as it is, after the churn, to count as final.
const SETTLED: Duration = Duration::from_secs(40);

/// What all threads tell.
#[derive(Default)]
struct Told {
    live: AtomicU64,
    ingested: AtomicU64,
    ended: AtomicBool,
}

/// A user's mailbox: number and length of each message by UID.
struct Churning<'a> {
    mail: &'a Mail,
    told: &'a Told,
    client: Client,
    random: Random,
    messages: BTreeMap<u32, (u64, u64)>,
    octets: u64,
    next: u64,
}

pub fn run(options: &Options) {
    let mail = Mail::read();
    let server = Server::new(options, WRITERS + 1);
    let (folder, told) = (server.folder(), Told::default());
    let begun = Instant::now();
    let (mut latencies, peak, mailboxes) = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|user| {
                let mut churning = Churning::new(&mail, &told, server.login(user), user);
                scope.spawn(move || {
                    churning.churn(options);
                    churning.messages
                })
            })
            .collect();
        let mut single = Churning::new(&mail, &told, server.login(WRITERS), WRITERS);
        let single = scope.spawn(move || {
            let latencies = single.append_singly();
            (latencies, single.messages)
        });
        let watching = scope.spawn(|| watch(&folder, options, &told));
        let ended = writers.into_iter().map(|writer| writer.join().expect("a writer"));
        let mut mailboxes: Vec<_> = ended.collect();
        told.ended.store(true, Ordering::Relaxed);
        let (latencies, messages) = single.join().expect("single messages");
        mailboxes.push(messages);
        (latencies, watching.join().expect("the watch"), mailboxes)
    });
    let seconds = begun.elapsed().as_secs_f64();
    let (live, ingested) =
        (told.live.load(Ordering::Relaxed), told.ingested.load(Ordering::Relaxed));
    let rewritten = server.metric("mailrace_rewritten_bytes_total");
    let at_end = size(&folder);
    let settled = settle(&folder);
    let bound = bound(options, live);
    println!(
        "churn of {} MiB living mail: {} MiB came in, {:.0} MB/s; segments of {} MiB, {} reactors",
        live / MIB,
        ingested / MIB,
        ingested as f64 / 1e6 / seconds,
        options.segment_size / MIB,
        options.reactors,
    );
    println!(
        "data folder: peak {} MiB, {:.2} of its bound; {} MiB at the end, {} MiB settled; \
         bound {} MiB",
        peak.0 / MIB,
        peak.1,
        at_end / MIB,
        settled / MIB,
        bound / MIB,
    );
    println!(
        "write amplification {:.2}: {} MiB were written again",
        rewritten as f64 / ingested as f64,
        rewritten / MIB,
    );
    let count = latencies.len();
    let (middle, late) = (percentile(&mut latencies, 0.5), percentile(&mut latencies, 0.99));
    println!("single APPENDs beside it: {count}, p50 {middle:.2} ms, p99 {late:.2} ms");
    for (user, messages) in mailboxes.iter().enumerate() {
        check(&mail, &mut server.login(user), messages);
    }
    server.verify();
}

/// The peak of the folder in bytes, and its greatest ratio to the bound, once mail is expunged.
fn watch(folder: &Path, options: &Options, told: &Told) -> (u64, f64) {
    let (mut peak, mut ratio) = (0, 0.0_f64);
    let (begun, mut printed) = (Instant::now(), Instant::now());
    while !told.ended.load(Ordering::Relaxed) {
        thread::sleep(LOOK);
        let live = told.live.load(Ordering::Relaxed);
        let size = size(folder);
        let now = size as f64 / bound(options, live) as f64;
        (peak, ratio) = (peak.max(size), ratio.max(now));
        if printed.elapsed() >= Duration::from_secs(5) {
            printed = Instant::now();
            println!(
                "{:4.0} s: {} MiB came in, {} live, folder {}, {now:.2} of its bound",
                begun.elapsed().as_secs_f64(),
                told.ingested.load(Ordering::Relaxed) / MIB,
                live / MIB,
                size / MIB,
            );
        }
    }
    (peak, ratio)
}

/// Waits until the folder no longer shrinks. Its size.
fn settle(folder: &Path) -> u64 {
    let (mut last, mut since) = (size(folder), Instant::now());
    while since.elapsed() < SETTLED {
        thread::sleep(LOOK);
        let now = size(folder);
        // The catalog grows and shrinks by itself.
        if now.abs_diff(last) > MIB {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

impl<'a> Churning<'a> {
    fn new(mail: &'a Mail, told: &'a Told, mut client: Client, user: usize) -> Churning<'a> {
        client.ok("SELECT INBOX");
        let random = Random::new(user as u64);
        let (messages, next) = (BTreeMap::new(), (user as u64) << 40);
        Churning { mail, told, client, random, messages, octets: 0, next }
    }

    /// Appends so many messages.
    fn append(&mut self, count: u64) -> Duration {
        let tag = self.client.tag();
        let numbers = self.next..self.next + count;
        let (text, lengths) = self.mail.append(&tag, numbers.clone());
        self.next += count;
        let begun = Instant::now();
        self.client.send(&text);
        let reply = self.client.reply(&tag);
        let took = begun.elapsed();
        assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
        let uids = reply.code().rsplit(' ').next().expect("APPENDUID");
        let first = uids.split(':').next().and_then(|uid| uid.parse::<u32>().ok()).expect("a UID");
        let octets: u64 = lengths.iter().sum();
        self.messages.extend((first..).zip(numbers.zip(lengths)));
        self.octets += octets;
        self.told.live.fetch_add(octets, Ordering::Relaxed);
        self.told.ingested.fetch_add(octets, Ordering::Relaxed);
        took
    }

    /// Expunges messages at random until there are only so many octets.
    fn expunge(&mut self, octets: u64) {
        let mut gone = Vec::new();
        let mut uids: Vec<u32> = self.messages.keys().copied().collect();
        while self.octets > octets {
            let uid = uids.swap_remove(self.random.below(uids.len()));
            let (_, length) = self.messages.remove(&uid).expect("it is there");
            self.octets -= length;
            self.told.live.fetch_sub(length, Ordering::Relaxed);
            gone.push(uid.to_string());
        }
        if !gone.is_empty() {
            let gone = gone.join(",");
            self.client.ok(&format!("UID STORE {gone} +FLAGS.SILENT (\\Deleted)"));
            self.client.ok(&format!("UID EXPUNGE {gone}"));
        }
    }

    fn churn(&mut self, options: &Options) {
        let share = options.live / WRITERS as u64;
        let (mut sent, begun) = (0, Instant::now());
        while sent < share * (options.times + 1) {
            let before = self.octets;
            self.append(BATCH);
            sent += self.octets - before;
            self.expunge(share);
            if let Some(rate) = options.rate {
                let due = sent as f64 * WRITERS as f64 / (rate * 1e6);
                thread::sleep(Duration::from_secs_f64(due).saturating_sub(begun.elapsed()));
            }
        }
    }

    /// Appends single messages until the others have ended. The latencies in milliseconds.
    fn append_singly(&mut self) -> Vec<f64> {
        let mut latencies = Vec::new();
        while !self.told.ended.load(Ordering::Relaxed) {
            latencies.push(self.append(1).as_secs_f64() * 1e3);
            self.expunge(16 * MIB);
            thread::sleep(BETWEEN);
        }
        latencies
    }
}

/// Reads every message that should be there, and no other.
fn check(mail: &Mail, client: &mut Client, messages: &BTreeMap<u32, (u64, u64)>) {
    client.ok("EXAMINE INBOX");
    let uids: Vec<u32> = messages.keys().copied().collect();
    let count = client.ok("STATUS INBOX (MESSAGES)").texts();
    let wanted = format!("(MESSAGES {})", uids.len());
    assert!(count.iter().any(|text| text.contains(&wanted)), "{count:?} is not {wanted}");
    for some in uids.chunks(200) {
        let set = some.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let reply = client.ok(&format!("UID FETCH {set} (UID BODY.PEEK[])"));
        let fetched = Fetched::all(&reply.untagged);
        assert_eq!(fetched.len(), some.len(), "messages are missing");
        for one in fetched {
            let uid = one.number("UID") as u32;
            let right = one.octets("BODY[]") == mail.message(messages[&uid].0);
            assert!(right, "message {uid} differs");
        }
    }
}
