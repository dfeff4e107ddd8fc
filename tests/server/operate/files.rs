//! The files of `tuning/` match the program: they name only flags and settings that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use kit::{Folder, mailrace};
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    let path = root().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The keys of a configuration file, including those in comments.
fn keys(text: &str) -> BTreeSet<&str> {
    let setting = |line: &'_ str| -> bool { !line.starts_with(' ') && line.contains(" = ") };
    let lines = text.lines().map(|line| line.strip_prefix('#').unwrap_or(line));
    lines.filter(|line| setting(line)).filter_map(|line| line.split(" = ").next()).collect()
}

/// The values of a key in a unit.
fn values<'t>(unit: &'t str, key: &str) -> Vec<&'t str> {
    let value = |line: &'t str| line.strip_prefix(key)?.strip_prefix('=');
    unit.lines().filter_map(value).collect()
}

#[test]
fn the_configuration_that_is_shipped_has_every_key() {
    let shipped = read("tuning/mailrace.toml");
    let example = mailrace(&["config", "example"], "");
    let example = String::from_utf8(example.stdout).unwrap();
    assert_eq!(keys(&shipped), keys(&example));
    assert!(keys(&shipped).contains("listen"));
    // In another folder and on a free port: the check tries both.
    let folder = Folder::new();
    let path = folder.path().join("mailrace.toml");
    let here = format!("data = {:?}\nlisten = '127.0.0.1:0'\n", folder.path());
    std::fs::write(&path, shipped.replace("data = \"/var/lib/mailrace\"\n", &here)).unwrap();
    let output = mailrace(&["config", "check", path.to_str().unwrap()], "");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_unit_asks_for_what_the_limits_say() {
    let unit = read("tuning/systemd/mailrace.service");
    let descriptors: u64 = values(&unit, "LimitNOFILE")[0].parse().unwrap();
    assert!(descriptors >= mailrace::limits::CONNECTIONS as u64 + 512, "{descriptors}");
    assert_eq!(values(&unit, "Type"), ["notify"]);
    assert_eq!((values(&unit, "LimitCORE"), values(&unit, "UMask")), (vec!["0"], vec!["0077"]));
    let start = values(&unit, "ExecStart")[0];
    let line = start.strip_prefix("/usr/bin/mailrace ").expect("the package puts it there");
    // The line is accepted, except for the file that does not exist.
    let output = mailrace(&line.split(' ').collect::<Vec<_>>(), "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(78) && said.contains("/etc/mailrace"), "{output:?}");
    for (socket, name) in [("mailrace", "imap"), ("mailrace-tls", "imaps")] {
        let unit = read(&format!("tuning/systemd/{socket}.socket"));
        assert_eq!(values(&unit, "FileDescriptorName"), [name]);
    }
}

#[test]
fn the_package_ships_what_there_is() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let deb = &manifest["package"]["metadata"]["deb"];
    for asset in deb["assets"].as_array().unwrap() {
        let source = asset[0].as_str().unwrap();
        let place = root().join(source.trim_end_matches('*'));
        assert!(source.starts_with("target/") || place.exists(), "{source}");
    }
    for script in ["postinst", "prerm", "postrm"] {
        assert!(read(&format!("tuning/debian/{script}")).starts_with("#!/bin/sh\n"));
    }
}

#[test]
fn the_profile_lets_io_uring_through_and_makes_no_namespaces() {
    let profile: Value = serde_json::from_str(&read("tuning/container/seccomp.json")).unwrap();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let rules = profile["syscalls"].as_array().unwrap();
    let allowed = |name: &str| {
        let has = |rule: &&Value| rule["names"].as_array().unwrap().iter().any(|n| n == name);
        rules.iter().filter(has).any(|rule| rule["action"] == "SCMP_ACT_ALLOW")
    };
    for name in ["io_uring_setup", "io_uring_enter", "io_uring_register", "futex", "execve"] {
        assert!(allowed(name), "{name}");
    }
    for name in ["unshare", "setns", "mount", "ptrace", "keyctl", "bpf", "init_module"] {
        assert!(!allowed(name), "{name}");
    }
}

#[test]
fn sysctls_are_those_of_this_kernel() {
    for line in read("tuning/sysctl.d/90-mailrace.conf").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once(" = ").expect("a name and a value");
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        // Older kernels have no io_uring_disabled, network namespaces not all of net.
        let known = path.exists() || name == "kernel.io_uring_disabled" || name.starts_with("net.");
        assert!(known && !value.is_empty(), "{name}");
    }
}
