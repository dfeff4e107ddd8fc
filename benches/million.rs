//! Starts, memory and `mailrace verify` with a million messages on the disk.
//!
//! ```sh
//! cargo bench --bench million                                   # 1,000,000 messages, 4 KiB each
//! cargo bench --bench million -- --messages 100000 --rounds 3   # fewer
//! cargo bench --bench million -- --segment-size 16M             # more segments
//! MAILRACE_CORPUS=DIR cargo bench --bench million               # real mail, DIR/messages.mbox
//! ```
//! The real binary runs in its own process on a temporary folder in `target/tmp`, which needs room
//! for the mail and 4 GiB. After each start, every mailbox must have what was acknowledged. Figures
//! are medians with the least and the greatest.

mod server;
mod stored;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use mailrace::server::Server as Within;
use mailrace::server::{CleaningConfig, Config, SnapshotConfig};
use rustix::process::Signal;

use server::Server;
use stored::mail::{Account, Mail};
use stored::{disk, mail};

const MIB: f64 = 1048576.0;

/// Number of users. Each has one mailbox.
const USERS: usize = 8;

/// Messages in one APPEND while the store is filled.
const BATCH: usize = 1000;

/// Messages in one APPEND of the load amid which the server is killed.
const LOAD: usize = 100;

struct Options {
    messages: usize,
    size: usize,
    rounds: usize,
    segment_size: String,
}

impl Options {
    fn read() -> Options {
        let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
        let after = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            Some(arguments.get(at + 1).unwrap_or_else(|| panic!("{name} needs a value")).clone())
        };
        let number = |name: &str, standard: usize| {
            after(name).map_or(standard, |text| text.parse().expect("a number"))
        };
        Options {
            messages: number("--messages", 1_000_000),
            size: number("--size", 4096),
            rounds: number("--rounds", 5).max(1),
            segment_size: after("--segment-size").unwrap_or("1G".into()),
        }
    }
}

fn main() {
    let options = Options::read();
    let mail = Mail::new(options.size);
    let users: Vec<String> = (0..USERS).map(|number| format!("user{number}")).collect();
    let mut server = Server::with(&users, &[("--segment-size", &options.segment_size)]);
    let mut accounts: Vec<Account> = users.iter().map(|user| Account::new(user)).collect();
    fill(&server, &mut accounts, &mail, options.messages);
    let starts = kills(&mut server, &mut accounts, &mail, options.rounds);
    report("start after kill -9 under load", &starts, "ms", "at most 2,000");
    memory(&mut server, &mut accounts, options.rounds);
    let times = rebuilds(&mut server, &mut accounts, options.rounds);
    report("rebuild without the catalog", &times, "ms", "");
    verify(&mut server, &accounts, options.rounds);
    snapshot(&mut server);
    let times = rebuilds(&mut server, &mut accounts, options.rounds);
    report("rebuild without the catalog, from a snapshot", &times, "ms", "");
}

fn segments(data: &Path) -> usize {
    fs::read_dir(data.join("segments")).expect("a folder").count()
}

/// Appends the messages to all accounts in parallel.
fn fill(server: &Server, accounts: &mut [Account], mail: &Mail, messages: usize) {
    let (begun, address) = (Instant::now(), server.address);
    thread::scope(|scope| {
        let each = messages / USERS;
        for (number, account) in accounts.iter_mut().enumerate() {
            scope.spawn(move || {
                let mut client = account.login(address);
                let mut left = each + if number == 0 { messages % USERS } else { 0 };
                while left > 0 {
                    let count = left.min(BATCH);
                    assert!(account.append(&mut client, mail, count), "the server is gone");
                    left -= count;
                }
            });
        }
    });
    let octets: u64 = accounts.iter().map(|account| account.octets).sum();
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{messages} messages, {:.0} MB, in {} segments; filled in {seconds:.1} s, {:.0} MB/s",
        octets as f64 / 1e6,
        segments(&server.data()),
        octets as f64 / 1e6 / seconds
    );
}

/// Kills the server while all users upload. Returns the times that it took to start, in ms.
fn kills(server: &mut Server, accounts: &mut [Account], mail: &Mail, rounds: usize) -> Vec<f64> {
    let mut starts = Vec::new();
    for round in 0..rounds {
        let (address, (tell, told)) = (server.address, channel());
        thread::scope(|scope| {
            for account in accounts.iter_mut() {
                let tell = tell.clone();
                scope.spawn(move || {
                    let mut client = account.login(address);
                    while account.append(&mut client, mail, LOAD) {
                        let _ = tell.send(());
                    }
                });
            }
            // Some batches of each.
            for _ in 0..USERS * (5 + 4 * (round % 3)) {
                told.recv().expect("an upload goes on");
            }
            server.stop(Signal::KILL);
        });
        let begun = server.start();
        starts.push(milliseconds(begun.elapsed()));
        check(server, accounts);
    }
    starts
}

/// Memory of a server that has just started, and once every mailbox was looked at.
fn memory(server: &mut Server, accounts: &mut [Account], rounds: usize) {
    let mut starts = Vec::new();
    let [mut resident, mut shared, mut used] = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        let begun = server.restart(Signal::TERM);
        starts.push(milliseconds(begun.elapsed()));
        resident.push(server.memory("VmRSS") as f64 / MIB);
        shared.extend(server.share_of_memory().map(|octets| octets as f64 / MIB));
        check(server, accounts);
        used.push(server.memory("VmRSS") as f64 / MIB);
    }
    let catalog = server.data().join("catalog.redb").metadata().expect("a catalog").len();
    let messages: u64 = accounts.iter().map(|account| account.messages).sum();
    println!("catalog: {} bytes a message", catalog / messages.max(1));
    report("start after SIGTERM", &starts, "ms", "");
    report("resident memory after it", &resident, "MiB", "at most 150");
    report("proportional share of it", &shared, "MiB", "");
    report("resident memory after a login and STATUS of each user", &used, "MiB", "");
}

/// Starts without the catalog, in ms.
fn rebuilds(server: &mut Server, accounts: &mut [Account], rounds: usize) -> Vec<f64> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        server.stop(Signal::TERM);
        fs::remove_file(server.data().join("catalog.redb")).expect("there is a catalog");
        let begun = server.start();
        times.push(milliseconds(begun.elapsed()));
        check(server, accounts);
    }
    times
}

/// `mailrace verify` and reading the same files, in turns.
fn verify(server: &mut Server, accounts: &[Account], rounds: usize) {
    server.stop(Signal::TERM);
    let data = server.data();
    let files = disk::with_frames(&data);
    let megabytes = files.iter().map(|(_, length)| length).sum::<u64>() as f64 / 1e6;
    let [mut checked, mut one, mut four] = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        let begun = Instant::now();
        let mut command = kit::command(&["verify", "--json", "--data"]);
        let output = command.arg(&data).stdin(Stdio::null()).output().expect("it runs");
        checked.push(megabytes / begun.elapsed().as_secs_f64());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "verify: {said}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let living: u64 = accounts.iter().map(|account| account.messages).sum();
        assert!(told["sound"] == true && told["catalog"] == "agrees", "{told:#}");
        assert_eq!(told["living"], living, "living messages");
        one.push(megabytes / disk::read(&files, 1));
        four.push(megabytes / disk::read(&files, 4));
    }
    let share = |of: &[f64]| checked.iter().zip(of).map(|(verify, read)| verify / read).collect();
    let (ratios, best): (Vec<f64>, Vec<f64>) = (share(&one), share(&four));
    println!("verify of {megabytes:.0} MB in {} segments with frames:", files.len());
    report("verify", &checked, "MB/s", "");
    report("sequential read of the same files", &one, "MB/s", "");
    report("the same by four threads", &four, "MB/s", "");
    report("verify : sequential read", &ratios, "", "at least 0.8");
    report("verify : read by four threads", &best, "", "");
    server.start();
}

/// Makes a server take a snapshot: it is due once a segment was stripped, and there is one with
/// nothing but mail that is gone.
fn snapshot(server: &mut Server) {
    server.restart(Signal::TERM);
    mail::come_and_go(server.address);
    server.stop(Signal::TERM);
    let look = Duration::from_millis(20);
    let config = Config {
        data: server.data(),
        listens: false,
        // A segment in which nothing lives is always given back.
        cleaning: CleaningConfig { look, ..CleaningConfig::default() },
        snapshots: SnapshotConfig { least: 0, times: 0, files: 0, rate: None, look },
        ..Config::default()
    };
    let within = Within::start(config).expect("the server starts");
    let folder = server.data().join("snapshot");
    let is_there = || {
        let names = fs::read_dir(&folder).into_iter().flatten().flatten();
        names.map(|entry| entry.path()).any(|path| path.extension().is_some_and(|e| e == "snap"))
    };
    let begun = Instant::now();
    while !is_there() {
        assert!(begun.elapsed() < Duration::from_secs(600), "no snapshot");
        thread::sleep(look);
    }
    within.stop().expect("the server stops");
    server.start();
}

/// Checks that every mailbox has what was acknowledged.
fn check(server: &Server, accounts: &mut [Account]) {
    accounts.iter_mut().for_each(|account| account.check(server.address));
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Prints the median, the least and the greatest.
fn report(what: &str, values: &[f64], unit: &str, target: &str) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(least), Some(greatest)) = (sorted.first(), sorted.last()) else {
        return println!("{what}: not known here");
    };
    let digits = if *greatest < 10.0 { 2 } else { 0 };
    let median = sorted[sorted.len() / 2];
    let target = if target.is_empty() { String::new() } else { format!("; {target}") };
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    println!("{what}: {median:.digits$}{unit} ({least:.digits$} to {greatest:.digits$}){target}");
}
