//! The targets: each takes arbitrary octets and panics when a promise is broken.
//!
//! They run in two programs: the tests in `fuzz/`, and the one that libFuzzer drives.

pub mod append;
pub mod command;
pub mod framing;
pub mod input;
pub mod mime;
mod print;
pub mod records;
pub mod recovery;
pub mod search;
pub mod utf7;

/// A target and its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Target; 8] = [
    ("command", command::run),
    ("framing", framing::run),
    ("append", append::run),
    ("records", records::run),
    ("recovery", recovery::run),
    ("search", search::run),
    ("mime", mime::run),
    ("utf7", utf7::run),
];
