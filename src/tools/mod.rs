//! The subcommands that talk to servers: `demo`, `bench` and `top`, and what they are made of; and
//! `doctor`, which looks at the machine.
//!
//! Everything here speaks IMAP over TCP, as any other client would; of the server only its start
//! and its counters are known.
//!
//! [`Generator`] makes mail up, [`client::Source`] reads it from files. [`client::Client`] sends it
//! and compares what comes back.

mod args;
mod bench;
mod certificate;
mod cpu;
mod demo;
mod doctor;
mod error;
mod generator;
mod lane;
mod latency;
mod local;
mod size;
mod top;

pub use self::args::{BenchArgs, DemoArgs};
pub use self::bench::run as bench;
pub use self::certificate::SelfSigned;
pub use self::demo::run as demo;
pub use self::doctor::{DoctorArgs, run as doctor};
pub use self::error::ToolError;
pub use self::generator::Generator;
pub use self::size::{parse_size, show_size};
pub use self::top::{TopArgs, run as top};
