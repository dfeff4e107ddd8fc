//! The fuzz targets driven by libFuzzer: the one that MAILRACE_TARGET names. `fuzz/long.sh` builds
//! and runs it.
#![no_main]

#[allow(dead_code, reason = "no target loses power")]
mod disk;
#[allow(dead_code, reason = "targets use a part of it")]
mod folder;
mod targets;

use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("MAILRACE_TARGET").expect("MAILRACE_TARGET names a target");
    let target = targets::ALL.iter().find(|(known, _)| *known == name);
    target.unwrap_or_else(|| panic!("there is no target {name}")).1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
