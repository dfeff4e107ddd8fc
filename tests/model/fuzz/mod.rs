//! The fuzz targets as tests: each over its seeds, over earlier findings, and over some thousand
//! mutations of both. `long.sh` beside this file runs the same targets on libFuzzer for a given
//! time.

mod mutate;
mod seeds;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use kit::Random;

use mutate::mutated;
use seeds::{WORDS, seeds};

use super::targets::{ALL, Target};

/// Mutations for each target. MAILRACE_ROUNDS sets another number.
const ROUNDS: usize = 2000;

fn rounds() -> usize {
    std::env::var("MAILRACE_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number"))
}

/// Inputs on which a target once failed.
fn findings(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/findings").join(name);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a file")).collect()
}

/// Runs a target, and prints the input when it fails.
fn attempt((name, run): Target, input: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| run(input)));
    if let Err(panic) = outcome {
        println!("target {name} fails on b\"{}\"", input.escape_ascii());
        resume_unwind(panic);
    }
}

fn target(name: &str) {
    let target = *ALL.iter().find(|(known, _)| *known == name).expect("a target");
    let mut random = Random::seeded();
    let mut inputs = seeds(name, &mut random);
    assert!(inputs.len() >= 20, "{} seeds", inputs.len());
    inputs.extend(findings(name));
    for input in &inputs {
        attempt(target, input);
    }
    for _ in 0..rounds() {
        attempt(target, &mutated(&inputs, &WORDS, &mut random));
    }
}

#[test]
fn command() {
    target("command");
}

#[test]
fn framing() {
    target("framing");
}

#[test]
fn append() {
    target("append");
}

#[test]
fn records() {
    target("records");
}

#[test]
fn recovery() {
    target("recovery");
}

#[test]
fn search() {
    target("search");
}

#[test]
fn mime() {
    target("mime");
}

#[test]
fn utf7() {
    target("utf7");
}

/// For `long.sh`: writes a folder of seeds for each target, and the dictionary.
#[test]
#[ignore = "writes the seeds of the long runs to the folder that MAILRACE_SEEDS names"]
fn write_seeds() {
    let folder = PathBuf::from(std::env::var_os("MAILRACE_SEEDS").expect("MAILRACE_SEEDS"));
    let mut random = Random::seeded();
    for (name, _) in ALL {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).expect("a folder for the seeds");
        let inputs = seeds(name, &mut random).into_iter().chain(findings(name));
        for (n, input) in inputs.enumerate() {
            fs::write(folder.join(format!("seed_{n:05}")), input).expect("a seed is written");
        }
    }
    let quoted = |word: &&[u8]| {
        let octets: String = word.iter().map(|octet| format!("\\x{octet:02x}")).collect();
        format!("\"{octets}\"\n")
    };
    let words: String = WORDS.iter().map(quoted).collect();
    fs::write(folder.join("words.dict"), words).expect("the dictionary is written");
}
