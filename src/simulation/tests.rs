//! Runs of the simulation. `MAILRACE_SEED` runs one seed and says what happens, step by step;
//! with `MAILRACE_SEEDS` so many from it on, on as many threads as there are processors, or as
//! `MAILRACE_THREADS` says.

use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use kit::model::Trace;

use super::world::{Finding, Summary, simulate};
use crate::reactor::fault::Fault;

/// Runs in a test, unless the environment says otherwise.
const SEEDS: u64 = 300;

/// So many runs are enough to notice any mistake.
const ENOUGH: u64 = 3_000;

/// A line about how far it has come, after so many seeds.
const PROGRESS: u64 = 10_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn threads() -> u64 {
    let processors = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    number("MAILRACE_THREADS").unwrap_or(processors).max(1)
}

/// Runs all these seeds. What is found is printed at once.
fn run_all(first: u64, seeds: u64) -> (Summary, u64) {
    let (next, begun) = (AtomicU64::new(first), Instant::now());
    let results = Mutex::new((Summary::default(), 0, 0));
    thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let result = simulate(seed, None, None);
                    let mut all = results.lock().expect("nobody panics with it");
                    all.2 += 1;
                    if all.2 % PROGRESS == 0 {
                        println!("{} seeds after {} s", all.2, begun.elapsed().as_secs());
                    }
                    match result {
                        Ok(summary) => all.0.add(summary),
                        Err(finding) => {
                            println!("{finding}");
                            all.1 += 1;
                        }
                    }
                }
            });
        }
    });
    let (summary, findings, _) = results.into_inner().expect("nobody panics with it");
    (summary, findings)
}

#[test]
fn nothing_is_lost() {
    let (first, seeds) = (number("MAILRACE_SEED"), number("MAILRACE_SEEDS"));
    if let (Some(seed), None) = (first, seeds) {
        // What the server says of itself, among the steps.
        let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).try_init();
        let say = Rc::new(|line: &str| println!("{line}")) as Trace;
        match simulate(seed, None, Some(say)) {
            Ok(summary) => println!("{summary:?}"),
            Err(finding) => panic!("{finding}"),
        }
        return;
    }
    let (first, seeds) = (first.unwrap_or(1), seeds.unwrap_or(SEEDS));
    let (all, findings) = run_all(first, seeds);
    println!("{seeds} seeds: {all:?}");
    assert_eq!(findings, 0, "see above; MAILRACE_SEED replays one step by step");
}

/// The checker notices each mistake that the server can be told to make. `MAILRACE_FAULT` makes
/// only the one of this name.
#[test]
fn each_fault_is_noticed() {
    let only = std::env::var("MAILRACE_FAULT").ok();
    let named = |fault: &&Fault| only.as_ref().is_none_or(|only| format!("{fault:?}") == *only);
    let faults: Vec<Fault> = Fault::ALL.iter().filter(named).copied().collect();
    let next = AtomicU64::new(0);
    let unnoticed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed) as usize;
                    let Some(&fault) = faults.get(at) else { return };
                    match first_notice(fault) {
                        Some(finding) => println!("{fault:?}: {finding}"),
                        None => unnoticed.lock().expect("nobody panics with it").push(fault),
                    }
                }
            });
        }
    });
    let unnoticed = unnoticed.into_inner().expect("nobody panics with it");
    assert!(unnoticed.is_empty(), "not noticed in {ENOUGH} seeds: {unnoticed:?}");
}

/// What the first seed says that fails with this fault, and does not without.
fn first_notice(fault: Fault) -> Option<Finding> {
    (1..=ENOUGH).find_map(|seed| {
        let finding = simulate(seed, Some(fault), None).err()?;
        simulate(seed, None, None).ok().map(|_| finding)
    })
}

/// What differs between two runs of a seed cannot be replayed.
#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1..=20 {
        let run = || simulate(seed, None, None).map_err(|finding| finding.to_string());
        assert_eq!(run(), run(), "seed {seed}");
    }
}
