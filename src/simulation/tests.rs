//! Runs of the simulation. `MAILRACE_SEED` runs one seed and says what happens, step by step;
//! with `MAILRACE_SEEDS` so many from it on.

use std::rc::Rc;

use super::model::Trace;
use super::world::{Summary, simulate};
use crate::reactor::fault::Fault;

/// Runs in a test, unless the environment says otherwise.
const SEEDS: u64 = 300;

/// So many runs are enough to notice any mistake.
const ENOUGH: u64 = 1000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn nothing_is_lost() {
    let (first, seeds) = (number("MAILRACE_SEED"), number("MAILRACE_SEEDS"));
    let trace = first.is_some() && seeds.is_none();
    let say = trace.then(|| Rc::new(|line: &str| println!("{line}")) as Trace);
    if trace {
        // What the server says of itself, among the steps.
        let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).try_init();
    }
    let first = first.unwrap_or(1);
    let seeds = seeds.unwrap_or(if trace { 1 } else { SEEDS });
    let (mut all, mut findings) = (Summary::default(), 0);
    for seed in first..first + seeds {
        match simulate(seed, None, say.clone()) {
            Ok(summary) => all.add(summary),
            Err(finding) => {
                println!("{finding}");
                findings += 1;
            }
        }
    }
    println!("{seeds} seeds: {all:?}");
    assert_eq!(findings, 0, "see above; MAILRACE_SEED replays one step by step");
}

/// The checker notices each mistake that the machine can be told to make.
#[test]
fn each_fault_is_noticed() {
    for fault in [
        Fault::OkBeforeSync,
        Fault::WatermarkIgnored,
        Fault::ShownBeforeDurable,
        Fault::FooterUnchecked,
        Fault::SyncRetried,
        Fault::LeaseReusedEarly,
    ] {
        let noticed = (1..=ENOUGH).find_map(|seed| simulate(seed, Some(fault), None).err());
        match noticed {
            Some(finding) => println!("{fault:?}: {finding}"),
            None => panic!("{fault:?} is not noticed in {ENOUGH} seeds"),
        }
    }
}

/// What differs between two runs of a seed cannot be replayed.
#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1..=20 {
        let run = || simulate(seed, None, None).map_err(|finding| finding.to_string());
        assert_eq!(run(), run(), "seed {seed}");
    }
}
