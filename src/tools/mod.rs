//! The subcommands that talk to servers (`demo`, `bench`, `top`) with their parts; `doctor`, which
//! checks the machine; `verify` and `inspect`, which read a data folder; `space` and `clean`, which
//! ask its server; `backup` and `restore`, which copy one.
//!
//! The tools speak IMAP over TCP like any other client. Of the server they use its start and its
//! counters only.
//!
//! [`Generator`] generates mail, [`client::Source`] reads it from files. [`client::Client`] sends
//! it and compares what comes back.

mod backup;
mod bench;
mod certificate;
mod cpu;
mod demo;
mod doctor;
mod error;
mod generator;
mod inspect;
mod lane;
mod latency;
mod local;
mod options;
mod size;
mod space;
mod top;
mod verify;

#[cfg(test)]
pub(crate) use self::backup::image_after;
pub use self::backup::{BackupOptions, RestoreOptions, restore, run as backup};
pub use self::bench::run as bench;
pub use self::certificate::SelfSigned;
pub use self::demo::run as demo;
pub use self::doctor::run as doctor;
pub use self::error::{ToolError, say};
pub use self::generator::Generator;
pub use self::inspect::{InspectOptions, run as inspect};
pub use self::options::{BenchOptions, DemoOptions};
pub use self::size::show_size;
pub(crate) use self::space::purge;
pub use self::space::{CleanOptions, SpaceOptions, clean, run as space};
pub use self::top::run as top;
pub use self::verify::{Verdict, VerifyOptions, run as verify};
