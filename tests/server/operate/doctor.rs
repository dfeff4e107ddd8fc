//! `mailrace doctor` on the machine of the test.

use std::fs;
use std::io::{Write, stderr};
use std::path::Path;
use std::process::Output;

use kit::{Folder, mailrace};
use serde_json::Value;

const CHECKS: [&str; 16] = [
    "kernel",
    "io_uring",
    "clock",
    "locked memory",
    "descriptors",
    "cores",
    "huge pages",
    "backlog",
    "receive window",
    "data folder",
    "room",
    "file system",
    "mount",
    "scheduler",
    "write cache",
    "O_DIRECT",
];

fn doctor(data: &Path, flags: &[&str]) -> Output {
    mailrace(&[&["doctor", "--data", data.to_str().unwrap()], flags].concat(), "")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn verdict<'j>(json: &'j Value, check: &str) -> (&'j str, &'j str) {
    let checks = json["checks"].as_array().unwrap();
    let found = checks.iter().find(|found| found["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no {check}: {json}"));
    (found["verdict"].as_str().unwrap(), found["found"].as_str().unwrap())
}

#[test]
fn every_check_has_its_line_and_nothing_is_left_behind() {
    let folder = Folder::new();
    let names = || {
        let entries = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let output = doctor(&folder.path(), &[]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    for check in CHECKS.iter().chain(&["fdatasync"]) {
        let is = |line: &str| line.get(8..).is_some_and(|rest| rest.starts_with(check));
        assert!(text.lines().any(is), "no {check}:\n{text}");
    }
    let to_do = text.lines().filter(|line| line.starts_with("TO DO")).count();
    assert_eq!(output.status.code(), Some(i32::from(to_do > 0)), "{output:?}");
    assert_eq!(output.stderr.is_empty(), to_do == 0, "{output:?}");
    assert_eq!(names(), before);
}

#[test]
fn the_same_as_json() {
    let folder = Folder::new();
    let output = doctor(&folder.path(), &["--json"]);
    let json = json(&output);
    let checks = json["checks"].as_array().unwrap();
    assert_eq!(checks.len(), CHECKS.len() + 1);
    let to_do = checks.iter().filter(|check| check["verdict"] == "to_do").count();
    assert_eq!(json["to_do"], to_do);
    for check in checks.iter().filter(|check| check["verdict"] == "to_do") {
        assert!(check["why"].is_string() && check["do"].is_string(), "{check}");
    }
    // These checks pass wherever the tests run.
    assert_eq!(verdict(&json, "io_uring").0, "fine");
    assert_eq!(verdict(&json, "kernel").0, "fine");
    assert!(verdict(&json, "fdatasync").1.contains("(p99)"), "{json}");
}

#[test]
fn a_folder_that_is_not_there_is_not_made() {
    let folder = Folder::empty();
    let missing = folder.path().join("some/where");
    let json = json(&doctor(&missing, &["--json"]));
    assert!(verdict(&json, "data folder").1.contains("is not there yet"), "{json}");
    assert!(!folder.path().join("some").exists());
    // A file is not a folder, and no folder can be made below it.
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let output = doctor(&file, &["--json"]);
    assert_eq!(verdict(&self::json(&output), "data folder").0, "to_do");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn memory_and_the_kernels_own_folders_are_no_place_for_mail() {
    let output = doctor(Path::new("/proc"), &["--json"]);
    let json = json(&output);
    assert_eq!(verdict(&json, "fdatasync").0, "unknown", "{json}");
    assert_eq!(verdict(&json, "file system").0, "unknown", "{json}");
    let memory = Path::new("/dev/shm");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    if !mounts.contains("tmpfs /dev/shm") {
        let _ = writeln!(stderr(), "skipped: no memory is mounted at {}", memory.display());
        return;
    }
    let json = self::json(&doctor(memory, &["--json"]));
    assert_eq!(verdict(&json, "file system").0, "to_do", "{json}");
    assert_eq!(verdict(&json, "write cache").0, "unknown", "{json}");
}
