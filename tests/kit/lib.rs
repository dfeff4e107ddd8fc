//! What the tests of mailrace share. It knows the server from outside only: the package `mailrace`
//! is not among its dependencies.
//!
//! - [`Server`] starts the binary on a [`Folder`]; [`Image`] puts that on a file system of its own.
//! - [`Client`] sends exactly the octets it is given, in clear text or over TLS ([`Identity`]).
//! - [`run_transcript`] plays a dialogue that is written down as text.
//! - [`model`] has clients that act at random, and what a server may answer them.
//! - [`value`] reads the lists of an answer strictly.
//! - [`Random`] is the only source of randomness.

mod client;
mod fetched;
mod filesystem;
pub mod model;
mod pattern;
mod random;
mod server;
mod set;
mod tls;
mod transcript;
pub mod value;

use std::path::PathBuf;

pub use client::{Client, Message, Reply, Response, append_text};
pub use fetched::{Fetched, without_nul};
pub use filesystem::{Frozen, Image, Kind};
pub use random::Random;
pub use server::{Folder, Server, command, mailrace};
pub use set::{numbers, set};
pub use tls::{Identity, Stream};
pub use transcript::{run as run_transcript, run_sliced as run_transcript_sliced};

/// The user that every [`Folder`] begins with.
pub const USER: &str = "alice";

/// The password of [`USER`].
pub const PASSWORD: &str = "secret";

/// The non-loopback address of this machine, if it has one. Nothing is sent.
pub fn own_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Connecting a UDP socket only makes the kernel choose a source address.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// The folder that Cargo built this profile into: `target/debug`. The binary under test lies in it,
/// and the running test in `deps` below it.
fn build_folder() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    test.ancestors().nth(2).expect("a test lies in deps").to_owned()
}

/// Where tests put their files: `target/tmp`. It is on a disk; the system's folder for temporary
/// files may be in memory and not support O_DIRECT.
pub fn scratch() -> PathBuf {
    let folder = build_folder().with_file_name("tmp");
    std::fs::create_dir_all(&folder).expect("the folder for files of tests");
    folder
}
