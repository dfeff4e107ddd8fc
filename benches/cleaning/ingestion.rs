//! Ingestion while cleaning is under way, and into segments that are used again, in turns with
//! ingestion beside which nothing is cleaned.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kit::{Client, Random};

use crate::mail::Mail;
use crate::server::Server;
use crate::{MIB, Options, percentile};

/// Connections that upload.
const CONNECTIONS: usize = 8;

/// Messages of an APPEND.
const BATCH: u64 = 100;

/// Octets that lie in the folder before the measurement.
const FILL: u64 = 2048 * MIB;

/// Time between two single messages.
const BETWEEN: Duration = Duration::from_millis(5);

/// What has become of the mail that lay there before the measurement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// It lives.
    Lives,
    /// Half of it is dead, everywhere: it is cleaned meanwhile.
    Half,
    /// All of it is dead: its segments are used again.
    Dead,
}

const ARMS: [(&str, Before); 3] = [
    ("nothing to clean", Before::Lives),
    ("cleaning under way", Before::Half),
    ("segments used again", Before::Dead),
];

/// A measurement.
struct Measured {
    /// Megabytes of mail a second.
    rate: f64,
    /// The slowest of a hundred single APPENDs, in milliseconds.
    late: f64,
    /// MiB that were written again, and that came back.
    rewritten: u64,
    given_back: u64,
}

pub fn run(options: &Options) {
    let mail = Mail::read();
    let mut measured: [Vec<Measured>; 3] = Default::default();
    for round in 0..options.rounds {
        for (arm, (name, before)) in ARMS.into_iter().enumerate() {
            let one = measure(options, &mail, before);
            println!(
                "round {round}, {name}: {:.0} MB/s, single APPEND p99 {:.2} ms; {} MiB written \
                 again, {} MiB back",
                one.rate, one.late, one.rewritten, one.given_back,
            );
            measured[arm].push(one);
        }
    }
    let middle = |arm: usize, value: fn(&Measured) -> f64| {
        let mut values: Vec<f64> = measured[arm].iter().map(value).collect();
        percentile(&mut values, 0.5)
    };
    let (rate, late) = (|one: &Measured| one.rate, |one: &Measured| one.late);
    for (arm, (name, _)) in ARMS.into_iter().enumerate() {
        println!(
            "{name}: {:.0} MB/s, {:.2} of the first; p99 {:.2} ms, {:.2} times the first",
            middle(arm, rate),
            middle(arm, rate) / middle(0, rate),
            middle(arm, late),
            middle(arm, late) / middle(0, late),
        );
    }
}

fn measure(options: &Options, mail: &Mail, before: Before) -> Measured {
    let server = Server::new(options, CONNECTIONS + 1);
    prepare(&server, mail, before);
    let counted = || {
        let metric = |name: &str| server.metric(&format!("mailrace_{name}_bytes_total")) / MIB;
        (metric("rewritten"), metric("cleaned"))
    };
    let earlier = counted();
    let (ended, begun) = (AtomicBool::new(false), Instant::now());
    let (octets, mut latencies) = thread::scope(|scope| {
        let uploads: Vec<_> = (0..CONNECTIONS)
            .map(|user| {
                let (mut client, ended) = (server.login(user), &ended);
                let first = (user as u64 + 1) << 40;
                scope.spawn(move || upload(mail, &mut client, first, |_| !is(ended)))
            })
            .collect();
        let (mut client, stop) = (server.login(CONNECTIONS), &ended);
        let single = scope.spawn(move || singly(mail, &mut client, stop));
        thread::sleep(Duration::from_secs(options.seconds));
        ended.store(true, Ordering::Relaxed);
        let octets = uploads.into_iter().map(|upload| upload.join().expect("an upload"));
        (octets.sum::<u64>(), single.join().expect("single messages"))
    });
    let seconds = begun.elapsed().as_secs_f64();
    let later = counted();
    server.verify();
    Measured {
        rate: octets as f64 / 1e6 / seconds,
        late: percentile(&mut latencies, 0.99),
        rewritten: later.0 - earlier.0,
        given_back: later.1 - earlier.1,
    }
}

fn is(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed)
}

/// Fills the folder, and takes away what is to be dead.
fn prepare(server: &Server, mail: &Mail, before: Before) {
    thread::scope(|scope| {
        for user in 0..2 {
            let mut client = server.login(user);
            scope.spawn(move || {
                let mut random = Random::new(user as u64);
                client.ok("CREATE Before");
                client.ok("SELECT INBOX");
                upload(mail, &mut client, (user as u64) << 32, |octets| octets < FILL / 2);
                let count = client.ok("STATUS INBOX (UIDNEXT)").texts().concat();
                let next = count.split("UIDNEXT ").nth(1).expect("UIDNEXT");
                let next: u32 = next.trim_end_matches(')').parse().expect("a number");
                match before {
                    Before::Lives => {}
                    Before::Half => {
                        let gone: Vec<u32> = (1..next).filter(|_| random.one_in(2)).collect();
                        for some in gone.chunks(500) {
                            remove(&mut client, some.iter().map(u32::to_string).collect());
                        }
                    }
                    Before::Dead => remove(&mut client, vec![format!("1:{}", next - 1)]),
                }
            });
        }
    });
}

fn remove(client: &mut Client, uids: Vec<String>) {
    let set = uids.join(",");
    client.ok(&format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)"));
    client.ok(&format!("UID EXPUNGE {set}"));
}

/// Uploads batches for as long as the octets so far shall go on. Returns the octets.
fn upload(mail: &Mail, client: &mut Client, first: u64, goes_on: impl Fn(u64) -> bool) -> u64 {
    let (mut octets, mut next) = (0, first);
    // Composed before, so that the client takes little of the processor.
    let batches: Vec<_> =
        (0..8).map(|at| mail.append("b", first + at..first + at + BATCH)).collect();
    while goes_on(octets) {
        let (text, lengths) = &batches[next as usize % batches.len()];
        next += 1;
        client.send(text);
        let reply = client.reply("b");
        assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
        octets += lengths.iter().sum::<u64>();
    }
    octets
}

fn singly(mail: &Mail, client: &mut Client, ended: &AtomicBool) -> Vec<f64> {
    let mut latencies = Vec::new();
    let mut number = 1 << 50;
    while !is(ended) {
        let (text, _) = mail.append("s", number..number + 1);
        number += 1;
        let begun = Instant::now();
        client.send(&text);
        let reply = client.reply("s");
        latencies.push(begun.elapsed().as_secs_f64() * 1e3);
        assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
        thread::sleep(BETWEEN);
    }
    latencies
}
