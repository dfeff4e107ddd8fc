//! Runs of the simulation. `MAILRACE_SEED` runs one seed and prints its steps. With
//! `MAILRACE_SEEDS=N` it runs N seeds from there on `MAILRACE_THREADS` threads, by default one per
//! processor.

use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use kit::model::Trace;

use super::scenarios::aimed_at;
use super::world::{Finding, Summary, carry_out, simulate};
use crate::reactor::fault::Fault;

/// Number of seeds without `MAILRACE_SEEDS`.
const SEEDS: u64 = 300;

/// Every fault must be noticed within this many seeds.
const ENOUGH: u64 = 3_000;

/// Number of seeds between two lines of progress.
const PROGRESS: u64 = 10_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn threads() -> u64 {
    let processors = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    number("MAILRACE_THREADS").unwrap_or(processors).max(1)
}

/// Runs `seeds` seeds, and prints each finding at once. Returns the number of findings, too.
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
        // The log of the server, among the steps.
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

/// The checker notices each planted fault. `MAILRACE_FAULT` names a single one to plant.
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

/// The finding of the first seed that fails with this fault and passes without it.
fn first_notice(fault: Fault) -> Option<Finding> {
    let aimed = aimed_at(fault);
    let run = |seed, fault| match aimed {
        Some(draw) => carry_out(seed, |random| draw(random, seed), fault, None),
        None => simulate(seed, fault, None),
    };
    (1..=ENOUGH).find_map(|seed| {
        let finding = run(seed, Some(fault)).err()?;
        run(seed, None).ok().map(|_| finding)
    })
}

/// Otherwise a finding could not be replayed.
#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1..=20 {
        let run = || simulate(seed, None, None).map_err(|finding| finding.to_string());
        assert_eq!(run(), run(), "seed {seed}");
    }
}
